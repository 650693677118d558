//! The node's view of its cluster: what `skein status` prints, and user certificates.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Value, json};
use skein_api::{ClusterView, UserCertificate};
use skein_consensus::RaftStatus;
use skein_net::{Member, NodeId};
use skein_objects::StatusError;
use tokio::sync::watch;

use crate::{
    authority::Authority,
    core::{VERSION_KEY, timestamp},
    liveness::Liveness,
};

/// Under which key members gossip the address of their API.
pub(crate) const API_ADDRESS_KEY: &str = "api";

/// What this node knows of the cluster, put together when asked.
pub(crate) struct View {
    pub(crate) cluster_id: String,
    pub(crate) raft: watch::Receiver<RaftStatus>,
    pub(crate) members: watch::Receiver<std::sync::Arc<Vec<Member>>>,
    pub(crate) liveness: Liveness,
    pub(crate) authority: Authority,
}

impl View {
    fn member(&self, id: NodeId, name: &str, alive: bool, since: Timestamp) -> Value {
        let raft = self.raft.borrow();
        let role = if raft.leader == Some(id) {
            "leader"
        } else if raft.voters.contains(&id) {
            "voter"
        } else if raft.learners.contains(&id) {
            "standby"
        } else {
            "member"
        };
        let members = self.members.borrow();
        let gossiped = members.iter().find(|member| member.id == id);
        let value = |key: &str| {
            gossiped.and_then(|member| member.values.get(key)).cloned().unwrap_or_default()
        };
        json!({
            "name": name,
            "id": id.to_string(),
            "address": gossiped.map(|member| member.addr.to_string()).unwrap_or_default(),
            "apiAddress": value(API_ADDRESS_KEY),
            "alive": alive,
            "role": role,
            "version": value(VERSION_KEY),
            "since": since.to_string(),
        })
    }
}

#[async_trait]
impl ClusterView for View {
    fn status(&self) -> Value {
        let verdicts = self.liveness.verdicts();
        let raft = self.raft.borrow().clone();
        let name = |id: NodeId| verdicts.get(&id).map(|verdict| verdict.name.clone());
        let mut members: Vec<Value> = verdicts
            .iter()
            .map(|(id, verdict)| {
                self.member(*id, &verdict.name, verdict.alive, timestamp(verdict.since))
            })
            .collect();
        members.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
        json!({
            "clusterId": self.cluster_id,
            "leader": raft.leader.and_then(name),
            "term": raft.term,
            "quorum": raft.quorum,
            "members": members,
        })
    }

    fn ready(&self) -> Result<(), String> {
        let raft = self.raft.borrow();
        match (&raft.failure, raft.quorum) {
            (Some(failure), _) => Err(format!("the replica has stopped: {failure}")),
            (None, false) => Err("no leader with a majority is known".to_owned()),
            (None, true) => Ok(()),
        }
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
}
