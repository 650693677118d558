//! Which nodes belong to the cluster: a record in the store for each, made when it joins, and one
//! for each that was removed for good.
//!
//! Gossip tells who is alive; this tells who may be, and who owns a name.

use std::{collections::BTreeSet, net::SocketAddr};

use futures::StreamExt;
use serde::{Deserialize, Serialize};
use skein_consensus::{
    Consistency, Key, KeyRange, ListOptions, Operation, Precondition, Revision, SharedStore,
    StoreError, Transaction,
};
use skein_net::{JoinRefusal, NodeId, PeerAddress};

use crate::authority::not_ready;

/// Where the records lie in the store; no kind of the API has this resource.
const RESOURCE: &str = "registrations.skein.internal";

/// Where it is written, by id, that a node was removed.
const REMOVALS: &str = "removals.skein.internal";

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

/// Who belongs to the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Roster {
    /// Those that do.
    pub(crate) registered: Vec<Registration>,
    /// Those that no longer do.
    pub(crate) removed: BTreeSet<NodeId>,
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
    #[error("node {0} has been removed from the cluster")]
    Removed(NodeId),
    #[error("the registration of {0} is changing, try again")]
    Changing(String),
}

impl From<RegistrationError> for JoinRefusal {
    fn from(error: RegistrationError) -> Self {
        match error {
            RegistrationError::NameTaken { name, by } => Self::NameTaken { name, by },
            RegistrationError::Removed(id) => Self::Invalid(format!(
                "node {id} has been removed from the cluster: start with an empty data directory"
            )),
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
            let stays = Operation::Check { key: removal(id), when: Precondition::Absent };
            tries += 1;
            match self.store.write(Transaction::new(vec![put, stays])).await {
                Ok(_) => return Ok(()),
                Err(StoreError::PreconditionFailed { index: 1, .. }) => {
                    return Err(RegistrationError::Removed(id));
                }
                Err(StoreError::PreconditionFailed { .. }) if tries < CLAIM_TRIES => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Removes the node registered under `name` for good: its name is free, and its id never
    /// belongs to the cluster again. `None` where nobody has the name.
    pub(crate) async fn remove(&self, name: &str) -> Result<Option<NodeId>, RegistrationError> {
        let key = Key::new(RESOURCE, "", name);
        let (record, _) = self.store.get(&key, Consistency::Linearizable).await?;
        let Some(record) = record else { return Ok(None) };
        let held = parse(name, &record.value)?;
        let when = Precondition::Unchanged(record.modified);
        let value = serde_json::to_vec(&held).map_err(|source| damaged(name, source))?;
        let operations = vec![
            Operation::Delete { key, when },
            Operation::Put { key: removal(held.id), value: value.into(), when: Precondition::Any },
        ];
        match self.store.write(Transaction::new(operations)).await {
            Ok(_) => Ok(Some(held.id)),
            Err(StoreError::PreconditionFailed { .. }) => {
                Err(RegistrationError::Changing(name.to_owned()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Every registered node, as this node's replica knows them.
    pub(crate) async fn list(&self) -> Result<Vec<Registration>, RegistrationError> {
        self.read(RESOURCE).await.map(|(registered, _)| registered)
    }

    /// Who belongs to the cluster and who no longer does, and from when on changes of either tell
    /// more.
    pub(crate) async fn roster(&self) -> Result<(Roster, [Revision; 2]), RegistrationError> {
        let (registered, at) = self.read(RESOURCE).await?;
        let (removed, removed_at) = self.read(REMOVALS).await?;
        let removed = removed.into_iter().map(|one| one.id).collect();
        Ok((Roster { registered, removed }, [at, removed_at]))
    }

    /// Returns when the roster may be another than at `since`, or can no longer be followed.
    pub(crate) async fn changed(&self, since: [Revision; 2]) -> Result<(), RegistrationError> {
        let [registered, removed] = since;
        let mut changes = futures::stream::select(
            self.store.watch(&KeyRange::all(RESOURCE), registered).await?,
            self.store.watch(&KeyRange::all(REMOVALS), removed).await?,
        );
        // A watch also tells of its progress, which is no change.
        while let Some(batch) = changes.next().await {
            if !batch?.events.is_empty() {
                break;
            }
        }
        Ok(())
    }

    async fn read(
        &self,
        resource: &str,
    ) -> Result<(Vec<Registration>, Revision), RegistrationError> {
        let range = KeyRange::all(resource);
        let listing = self.store.list(&range, ListOptions::default(), Consistency::Any).await?;
        let records = listing.records.iter();
        let parsed: Result<Vec<_>, _> =
            records.map(|record| parse(&record.key.name, &record.value)).collect();
        Ok((parsed?, listing.revision))
    }

    /// Every registered node as a peer to connect to.
    pub(crate) async fn peers(&self) -> Result<Vec<PeerAddress>, RegistrationError> {
        let peer =
            |one: Registration| PeerAddress { id: one.id, name: one.name, addr: one.address };
        Ok(self.list().await?.into_iter().map(peer).collect())
    }
}

fn removal(id: NodeId) -> Key {
    Key::new(REMOVALS, "", id.to_string())
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

    #[tokio::test]
    async fn a_removed_node_frees_its_name_and_never_comes_back() {
        let registrations = Registrations::new(MemoryStore::new());
        let claim = |id| registrations.claim("h1", NodeId(id), address(), |_| true);
        claim(1).await.unwrap();
        assert_eq!(registrations.remove("h1").await.unwrap(), Some(NodeId(1)));
        assert_eq!(registrations.remove("h1").await.unwrap(), None);
        let refused = claim(1).await.unwrap_err();
        assert!(matches!(refused, RegistrationError::Removed(NodeId(1))), "{refused}");
        claim(2).await.unwrap();
        let (roster, _) = registrations.roster().await.unwrap();
        assert_eq!(roster.registered.len(), 1);
        assert_eq!(roster.removed, [NodeId(1)].into());
    }

    #[tokio::test]
    async fn a_change_of_the_roster_wakes_whoever_waits_for_it() {
        let registrations = Registrations::new(MemoryStore::new());
        let (_, since) = registrations.roster().await.unwrap();
        let (woken, claimed) = tokio::join!(
            registrations.changed(since),
            registrations.claim("h1", NodeId(1), address(), |_| true)
        );
        woken.unwrap();
        claimed.unwrap();
    }
}
