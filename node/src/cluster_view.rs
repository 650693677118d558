//! The node's view of its cluster: what `skein status` prints, what is wrong, and user
//! certificates.

mod describe;
mod gauges;
mod peers;
mod recovery;
mod removal;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use prometheus_client::registry::Registry;
use serde_json::Value;
use skein_api::{ClusterView, Gauge, Impairment, UserCertificate};
use skein_consensus::RaftStatus;
use skein_net::{Member, Membership, NodeId};
use skein_objects::StatusError;
use skein_storage::Storage;
use tokio::sync::watch;

use self::describe::Situation;
use crate::{
    authority::Authority,
    core::SharedReplica,
    division::Side,
    hosts::Hosts,
    liveness::Liveness,
    registration::Registrations,
    standing::{Standing, standing},
};

/// Under which key members gossip the address of their API.
pub(crate) const API_ADDRESS_KEY: &str = "api";

/// What this node knows of the cluster, put together when asked, and what can be done to it.
pub(crate) struct View {
    pub(crate) node_name: String,
    pub(crate) cluster_id: String,
    pub(crate) raft: watch::Receiver<RaftStatus>,
    pub(crate) replica: SharedReplica,
    pub(crate) membership: Membership,
    pub(crate) sides: watch::Receiver<Vec<Side>>,
    pub(crate) liveness: Liveness,
    pub(crate) registrations: Registrations,
    pub(crate) authority: Authority,
    pub(crate) storage: Storage,
    pub(crate) hosts: Arc<Hosts>,
    /// What the agent and the controllers of this node count.
    pub(crate) registry: Registry,
}

impl View {
    /// Everything known at this moment.
    fn situation(&self) -> Situation {
        Situation {
            node_name: self.node_name.clone(),
            cluster_id: self.cluster_id.clone(),
            raft: self.raft.borrow().clone(),
            verdicts: self.liveness.verdicts(),
            members: self.members(),
            sides: self.sides.borrow().clone(),
        }
    }

    fn members(&self) -> Arc<Vec<Member>> {
        self.membership.members().borrow().clone()
    }

    /// How the cluster stands. Asked with every request, so nothing is put together for it.
    fn standing(&self) -> Standing {
        let (raft, members) = (self.raft.borrow(), self.membership.members());
        standing(&raft, &members.borrow())
    }

    fn id_of(&self, name: &str) -> Option<NodeId> {
        let verdicts = self.liveness.verdicts();
        verdicts.iter().find(|(_, verdict)| verdict.name == name).map(|(id, _)| *id)
    }
}

#[async_trait]
impl ClusterView for View {
    fn node_name(&self) -> &str {
        &self.node_name
    }

    fn status(&self) -> Value {
        self.situation().describe()
    }

    fn gauges(&self) -> Vec<Gauge> {
        gauges::of(&self.raft.borrow(), &self.membership.members().borrow())
    }

    fn registry(&self) -> &Registry {
        &self.registry
    }

    fn ready(&self) -> Result<(), String> {
        if let Some(failure) = &self.raft.borrow().failure {
            return Err(format!("the replica is in trouble: {failure}"));
        }
        match self.standing() {
            Standing::Sound => Ok(()),
            Standing::Leaderless => Err("no leader with a majority is known".to_owned()),
            Standing::Lost { .. } | Standing::Outdated { .. } => {
                Err(self.situation().warnings().join("; "))
            }
        }
    }

    fn impairment(&self) -> Option<Impairment> {
        match self.standing() {
            Standing::Sound | Standing::Leaderless if self.sides.borrow().is_empty() => None,
            Standing::Sound | Standing::Leaderless => self.situation().impairment(),
            Standing::Lost { .. } | Standing::Outdated { .. } => self.situation().impairment(),
        }
    }

    async fn peers(&self) -> Value {
        peers::beliefs(&self.hosts, &self.membership).await
    }

    async fn recovery(&self) -> Result<Value, StatusError> {
        self.survey().await
    }

    async fn recover(&self, lead: &str) -> Result<Value, StatusError> {
        self.recover_from(lead).await
    }

    async fn rejoin(&self) -> Result<Value, StatusError> {
        self.rejoin_cluster().await
    }

    async fn remove_node(&self, name: &str) -> Result<Value, StatusError> {
        self.remove(name).await
    }

    async fn issue_user(
        &self,
        user: &str,
        groups: &[String],
        lifetime: Duration,
    ) -> Result<UserCertificate, StatusError> {
        let unavailable = |error| StatusError::service_unavailable(format!("{error}"));
        let ca = self.authority.ca().await.map_err(unavailable)?;
        let issued = ca
            .issue_user(user, groups, lifetime, SystemTime::now())
            .map_err(|error| StatusError::bad_request(error.to_string()))?;
        Ok(UserCertificate {
            certificate: issued.cert_pem,
            key: issued.key_pem,
            ca: ca.cert_pem().to_owned(),
        })
    }

    async fn token_key(&self, offered: Option<Vec<u8>>) -> Result<Option<Vec<u8>>, StatusError> {
        let kept = self.authority.token_key(offered).await;
        kept.map_err(|error| StatusError::service_unavailable(error.to_string()))
    }
}
