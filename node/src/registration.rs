//! Which nodes belong to the cluster: a record in the store for each, made when it joins.
//!
//! Gossip tells who is alive; this tells who may be, and who owns a name.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use skein_consensus::{
    Consistency, Key, KeyRange, ListOptions, Operation, Precondition, SharedStore, StoreError,
    Transaction,
};
use skein_net::{JoinRefusal, NodeId, PeerAddress};

use crate::authority::not_ready;

/// Where the records lie in the store; no kind of the API has this resource.
const RESOURCE: &str = "registrations.skein.internal";

/// Tries at claiming a name while others write it.
const CLAIM_TRIES: usize = 5;

/// One node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Registration {
    /// Its id.
    pub(crate) id: NodeId,
    /// Its name, which no other living node has.
    pub(crate) name: String,
    /// Where its peers reach it.
    pub(crate) address: SocketAddr,
}

/// Why the records could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegistrationError {
    #[error("the registrations could not be read or written")]
    Store(#[from] StoreError),
    #[error("the registration of {name} is damaged")]
    Damaged {
        name: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("the name {name} belongs to the living node {by}")]
    NameTaken { name: String, by: NodeId },
}

impl From<RegistrationError> for JoinRefusal {
    fn from(error: RegistrationError) -> Self {
        match error {
            RegistrationError::NameTaken { name, by } => Self::NameTaken { name, by },
            other => not_ready(other),
        }
    }
}

/// The records, through the store. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Registrations {
    store: SharedStore,
}

impl Registrations {
    pub(crate) fn new(store: SharedStore) -> Self {
        Self { store }
    }

    /// Registers a node under `name`. A name whose holder is another node is free again once that
    /// one is dead: a host that lost its disk comes back as a new node under its old name.
    pub(crate) async fn claim(
        &self,
        name: &str,
        id: NodeId,
        address: SocketAddr,
        is_alive: impl Fn(NodeId) -> bool + Send,
    ) -> Result<(), RegistrationError> {
        let key = Key::new(RESOURCE, "", name);
        let ours = Registration { id, name: name.to_owned(), address };
        let value = serde_json::to_vec(&ours).map_err(|source| damaged(name, source))?;
        let mut tries = 0;
        loop {
            let (record, _) = self.store.get(&key, Consistency::Linearizable).await?;
            let when = match &record {
                None => Precondition::Absent,
                Some(record) => {
                    let held = parse(name, &record.value)?;
                    if held == ours {
                        return Ok(());
                    }
                    if held.id != id && is_alive(held.id) {
                        return Err(RegistrationError::NameTaken {
                            name: name.into(),
                            by: held.id,
                        });
                    }
                    Precondition::Unchanged(record.modified)
                }
            };
            let put = Operation::Put { key: key.clone(), value: value.clone().into(), when };
            tries += 1;
            match self.store.write(Transaction::new(vec![put])).await {
                Ok(_) => return Ok(()),
                Err(StoreError::PreconditionFailed { .. }) if tries < CLAIM_TRIES => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Every registered node, as this node's replica knows them.
    pub(crate) async fn list(&self) -> Result<Vec<Registration>, RegistrationError> {
        let range = KeyRange::all(RESOURCE);
        let listing = self.store.list(&range, ListOptions::default(), Consistency::Any).await?;
        listing.records.iter().map(|record| parse(&record.key.name, &record.value)).collect()
    }

    /// Every registered node as a peer to connect to.
    pub(crate) async fn peers(&self) -> Result<Vec<PeerAddress>, RegistrationError> {
        let peer =
            |one: Registration| PeerAddress { id: one.id, name: one.name, addr: one.address };
        Ok(self.list().await?.into_iter().map(peer).collect())
    }
}

fn parse(name: &str, value: &[u8]) -> Result<Registration, RegistrationError> {
    serde_json::from_slice(value).map_err(|source| damaged(name, source))
}

fn damaged(name: &str, source: serde_json::Error) -> RegistrationError {
    RegistrationError::Damaged { name: name.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use skein_consensus::MemoryStore;

    use super::*;

    fn address() -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], 7600))
    }

    #[tokio::test]
    async fn a_name_is_held_by_its_living_node_and_free_after_its_death() {
        let registrations = Registrations::new(MemoryStore::new());
        let claim =
            |id, alive: bool| registrations.claim("h1", NodeId(id), address(), move |_| alive);
        claim(1, true).await.unwrap();
        claim(1, true).await.unwrap();
        let refused = claim(2, true).await.unwrap_err();
        assert!(matches!(refused, RegistrationError::NameTaken { by: NodeId(1), .. }), "{refused}");
        claim(2, false).await.unwrap();
        let ids: Vec<NodeId> =
            registrations.list().await.unwrap().into_iter().map(|one| one.id).collect();
        assert_eq!(ids, [NodeId(2)]);
    }
}
