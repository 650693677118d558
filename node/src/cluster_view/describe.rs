//! The cluster in words and JSON. Pure.

use std::sync::Arc;

use serde_json::{Value, json};
use skein_api::Impairment;
use skein_consensus::RaftStatus;
use skein_net::{Member, NodeId};

use super::API_ADDRESS_KEY;
use crate::{
    core::{VERSION_KEY, WITNESS_KEY, timestamp},
    division::{self, Side},
    liveness::{Verdict, Verdicts},
    standing::{Standing, heard_role, role, standing},
};

/// What can be done when the quorum is lost.
const LOSS_WAY_OUT: &str =
    "bring a majority of the voters back, or go on without them for good: skein recover";

/// Everything a node knows of its cluster at one moment.
pub(super) struct Situation {
    pub(super) node_name: String,
    pub(super) cluster_id: String,
    pub(super) raft: RaftStatus,
    pub(super) verdicts: Verdicts,
    pub(super) members: Arc<Vec<Member>>,
    pub(super) sides: Vec<Side>,
}

impl Situation {
    /// As `GET /skein/v1/status` gives it.
    pub(super) fn describe(&self) -> Value {
        let mut members: Vec<Value> =
            self.verdicts.iter().map(|(id, verdict)| self.member(*id, verdict)).collect();
        members.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
        let standing = self.standing();
        let missing = match &standing {
            Standing::Lost { missing, .. } => self.names(missing),
            _ => Vec::new(),
        };
        let epoch = (!self.raft.voters.is_empty()).then(|| self.raft.epoch.number.to_string());
        json!({
            "clusterId": self.cluster_id,
            "leader": self.leader().map(|id| self.name(id)),
            "term": self.raft.term,
            "epoch": epoch,
            "outdated": self.raft.outdated.map(|epoch| epoch.number.to_string()),
            "quorum": standing == Standing::Sound,
            "missing": missing,
            "warnings": self.warnings(),
            "members": members,
        })
    }

    fn standing(&self) -> Standing {
        standing(&self.raft, &self.members)
    }

    fn leader(&self) -> Option<NodeId> {
        let says = |member: &&Member| member.alive && heard_role(member) == Some("leader");
        let heard = || self.members.iter().find(says).map(|member| member.id);
        if self.raft.initialized { self.raft.leader } else { heard() }
    }

    fn member(&self, id: NodeId, verdict: &Verdict) -> Value {
        let gossiped = self.members.iter().find(|member| member.id == id);
        let value = |key: &str| {
            gossiped.and_then(|member| member.values.get(key)).cloned().unwrap_or_default()
        };
        json!({
            "name": verdict.name,
            "id": id.to_string(),
            "address": gossiped.map(|member| member.addr.to_string()).unwrap_or_default(),
            "apiAddress": value(API_ADDRESS_KEY),
            "alive": verdict.alive,
            "role": self.role(id, gossiped),
            "witness": is_witness(gossiped),
            "version": value(VERSION_KEY),
            "since": timestamp(verdict.since).to_string(),
        })
    }

    fn role(&self, id: NodeId, gossiped: Option<&Member>) -> String {
        let known = if self.raft.initialized {
            role(&self.raft, id)
        } else {
            gossiped.and_then(heard_role)
        };
        known.unwrap_or("member").to_owned()
    }

    /// What whoever looks at the cluster should know although nothing is broken yet.
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings: Vec<String> = self
            .trouble()
            .map(|(what, way_out)| format!("{what}; {way_out}"))
            .into_iter()
            .collect();
        if self.raft.voters.len() == 2 {
            warnings.push(
                "with two voters the loss of either stops the cluster: add a third host, or one \
                 that only votes: skein up --witness"
                    .to_owned(),
            );
        }
        if let Some(failure) = &self.raft.failure {
            warnings.push(format!("the replica of {} is in trouble: {failure}", self.node_name));
        }
        warnings
    }

    /// What keeps this node from reading and writing for certain, or what it writes from lasting.
    pub(super) fn impairment(&self) -> Option<Impairment> {
        let (what, way_out) = self.trouble()?;
        let node = &self.node_name;
        Some(Impairment {
            reads: format!("{what}; this is what {node} last knew, it may be stale"),
            writes: format!("{what}; nothing was changed; {way_out}"),
        })
    }

    /// What is wrong, and what can be done.
    fn trouble(&self) -> Option<(String, String)> {
        let node = &self.node_name;
        match self.standing() {
            Standing::Sound | Standing::Leaderless if self.sides.is_empty() => None,
            Standing::Sound | Standing::Leaderless => {
                let what = division::explain(&self.sides, |id| self.name(id));
                Some((what, division::WAY_OUT.to_owned()))
            }
            Standing::Lost { missing, voters } => {
                Some((self.loss(&missing, voters), LOSS_WAY_OUT.to_owned()))
            }
            Standing::Outdated { own, current } => Some((
                format!("the cluster went on in epoch {current} without {node}, of epoch {own}"),
                format!("run on {node}: skein rejoin"),
            )),
        }
    }

    fn loss(&self, missing: &[NodeId], voters: usize) -> String {
        let names = self.names(missing).join(", ");
        let (noun, verb) = if missing.len() == 1 { ("voter", "does") } else { ("voters", "do") };
        format!(
            "the cluster has lost its quorum: {noun} {names} {verb} not answer ({} of {voters})",
            missing.len()
        )
    }

    fn names(&self, ids: &[NodeId]) -> Vec<String> {
        ids.iter().map(|id| self.name(*id)).collect()
    }

    /// A node's name, or its id where the name is not known.
    fn name(&self, id: NodeId) -> String {
        let known = self.verdicts.get(&id).map(|verdict| verdict.name.clone());
        known.unwrap_or_else(|| id.to_string())
    }
}

fn is_witness(member: Option<&Member>) -> bool {
    member.is_some_and(|member| member.values.contains_key(WITNESS_KEY))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, net::SocketAddr, time::SystemTime};

    use super::*;

    fn situation(voters: &[u64], quorum: bool, alive: &[u64]) -> Situation {
        let verdict = |id: &u64| {
            let verdict = Verdict {
                name: format!("h{id}"),
                alive: alive.contains(id),
                since: SystemTime::UNIX_EPOCH,
                heard: true,
            };
            (NodeId(*id), verdict)
        };
        let member = |id: &u64| Member {
            id: NodeId(*id),
            name: format!("h{id}"),
            addr: SocketAddr::from(([10, 0, 0, 1], 7600)),
            alive: alive.contains(id),
            since: SystemTime::UNIX_EPOCH,
            values: BTreeMap::new(),
        };
        Situation {
            node_name: "h1".to_owned(),
            cluster_id: "skein-1".to_owned(),
            raft: RaftStatus {
                id: NodeId(1),
                initialized: true,
                leader: quorum.then_some(NodeId(1)),
                quorum,
                quorum_lost: !quorum,
                missing: voters
                    .iter()
                    .filter(|id| !alive.contains(id))
                    .copied()
                    .map(NodeId)
                    .collect(),
                voters: voters.iter().copied().map(NodeId).collect(),
                ..RaftStatus::default()
            },
            verdicts: Arc::new(voters.iter().map(verdict).collect()),
            members: Arc::new(voters.iter().map(member).collect()),
            sides: Vec::new(),
        }
    }

    #[test]
    fn a_lost_quorum_is_described_with_the_missing_voters_and_the_way_out() {
        let lost = situation(&[1, 2, 3], false, &[1]);
        let status = lost.describe();
        assert_eq!(status["missing"], json!(["h2", "h3"]));
        assert_eq!(status["quorum"], false);
        let warning = status["warnings"][0].as_str().unwrap();
        assert!(warning.contains("voters h2, h3 do not answer (2 of 3)"), "{warning}");
        let impairment = lost.impairment().unwrap();
        assert!(impairment.writes.contains("skein recover"), "{}", impairment.writes);
        assert!(impairment.reads.contains("stale"), "{}", impairment.reads);
    }

    #[test]
    fn a_cluster_recovered_twice_is_described_with_both_sides_and_the_way_out() {
        let mut divided = situation(&[1], true, &[1]);
        let epoch = |id: u64| format!("2 {}", NodeId(id));
        let mut members = situation(&[1, 2], true, &[1, 2]).members.to_vec();
        for member in &mut members {
            member.values.insert(division::EPOCH_KEY.to_owned(), epoch(member.id.0));
        }
        divided.sides = division::sides(&members);
        let status = divided.describe();
        assert_eq!(status["quorum"], true);
        let warning = status["warnings"][0].as_str().unwrap();
        assert!(warning.contains("recovered 2 times") && warning.contains("h2"), "{warning}");
        let impairment = divided.impairment().unwrap();
        assert!(impairment.writes.contains("skein rejoin"), "{}", impairment.writes);
    }

    #[test]
    fn two_voters_are_warned_about_and_three_are_not() {
        let warnings =
            |voters: &[u64]| situation(voters, true, voters).describe()["warnings"].clone();
        assert_eq!(warnings(&[1, 2, 3]), json!([]));
        let warning = warnings(&[1, 2]);
        assert!(warning[0].as_str().unwrap().contains("--witness"), "{warning}");
    }
}
