//! What a replica tells about itself.

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc};

use openraft::{Instant as _, RaftMetrics, ServerState};
use skein_net::NodeId;
use tokio::time::Duration;

use skein_store::{Epoch, Group, LogId};

/// A node of the cluster, as membership sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerState {
    /// Its id.
    pub id: NodeId,
    /// Its name.
    pub name: String,
    /// Where it is.
    pub addr: SocketAddr,
    /// Whether it answers.
    pub alive: bool,
    /// The failure zone it says it is in; empty if none.
    pub zone: String,
    /// Whether it is only there to vote: it leads and stands by only if nobody else can.
    pub witness: bool,
    /// Whether it has been removed from the cluster for good.
    pub removed: bool,
}

/// The nodes of the cluster, this one among them or not.
pub type Peers = Arc<Vec<PeerState>>;

/// What a replica is in the Raft group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Takes writes and sends them to the others.
    Leader,
    /// Votes and follows.
    Follower,
    /// Asks for votes.
    Candidate,
    /// Follows without a vote: a standby, or a node that is in no group yet.
    #[default]
    Learner,
}

/// The state of a replica.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RaftStatus {
    /// This node.
    pub id: NodeId,
    /// Whether it belongs to a group.
    pub initialized: bool,
    /// The life of the cluster it belongs to.
    pub epoch: Epoch,
    /// The epoch the cluster is in, if that is not this replica's: it takes part in nothing and
    /// must rejoin.
    pub outdated: Option<Epoch>,
    /// The current term.
    pub term: u64,
    /// Who leads, as far as known.
    pub leader: Option<NodeId>,
    /// What this node is.
    pub role: Role,
    /// Whether a majority stands behind the leader, as far as this node can tell.
    pub quorum: bool,
    /// Whether no majority of the voters can be reached, so that writes fail at once. Both this
    /// and `quorum` are false while it is not known, in an election.
    pub quorum_lost: bool,
    /// The voters that are dead or do not answer.
    pub missing: Vec<NodeId>,
    /// The members with a vote.
    pub voters: Vec<NodeId>,
    /// The members without.
    pub learners: Vec<NodeId>,
    /// Whether the voters are changing, so that the old and the new majority are needed.
    pub changing: bool,
    /// Index of the last log entry.
    pub last_log: u64,
    /// Term of the last log entry.
    pub last_log_term: u64,
    /// Index of the last entry applied.
    pub applied: u64,
    /// Index of the last entry known to be committed.
    pub committed: u64,
    /// Why the replica takes no entries, if it does not: a full or broken disk, damaged files.
    pub failure: Option<String>,
    /// Whether that is a full disk. Such a replica goes on as soon as there is room; what it has
    /// can be read.
    pub disk_full: bool,
}

impl RaftStatus {
    /// Whether this node leads.
    pub fn is_leader(&self) -> bool {
        self.role == Role::Leader
    }
}

/// What is known beside openraft's metrics.
pub(crate) struct Sight<'a> {
    pub(crate) epoch: Epoch,
    pub(crate) outdated: Option<Epoch>,
    /// How long ago a leader was heard of.
    pub(crate) heard: Option<Duration>,
    /// How long this replica has run.
    pub(crate) up_for: Duration,
    /// How long this node has led.
    pub(crate) led_for: Duration,
    pub(crate) peers: &'a [PeerState],
    pub(crate) last_log: Option<LogId>,
    pub(crate) patience: Patience,
}

/// How long others may be silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patience {
    /// A voter that has not answered its leader for this long is missing.
    pub(crate) voter: Duration,
    /// A leader that was not heard of for this long may be dead.
    pub(crate) leader: Duration,
    /// A replica that has not heard of a leader for this long does not follow.
    pub(crate) following: Duration,
}

impl Sight<'_> {
    fn is_dead(&self, id: u64) -> bool {
        self.peers.iter().any(|peer| peer.id.0 == id && !peer.alive)
    }

    fn silent_for_more_than(&self, limit: Duration) -> bool {
        self.heard.is_none_or(|ago| ago >= limit)
    }

    /// The voters that cannot be counted on.
    fn missing(&self, metrics: &RaftMetrics<Group>) -> Vec<u64> {
        let voters = metrics.membership_config.membership().voter_ids();
        let leads = metrics.state.is_leader();
        let answered = |id: u64| {
            let heartbeats = metrics.heartbeat.as_ref()?;
            heartbeats.get(&id)?.as_ref().map(|at| at.elapsed())
        };
        let is_missing = |id: &u64| match (leads, answered(*id)) {
            _ if *id == metrics.id => false,
            // An answer is worth more than what membership believes.
            (true, Some(ago)) if self.is_dead(*id) => ago >= self.patience.leader,
            (true, Some(ago)) => ago >= self.patience.voter,
            (true, None) => self.is_dead(*id) || self.led_for >= self.patience.voter,
            (false, _) if metrics.current_leader == Some(*id) => {
                self.is_dead(*id) && self.silent_for_more_than(self.patience.leader)
            }
            (false, _) => self.is_dead(*id),
        };
        voters.filter(is_missing).collect::<BTreeSet<_>>().into_iter().collect()
    }
}

/// Whether `missing` leave no majority in one of the configurations that all have to agree.
fn is_lost(configurations: &[BTreeSet<u64>], missing: &[u64]) -> bool {
    configurations.iter().any(|voters| {
        let present = voters.iter().filter(|id| !missing.contains(id)).count();
        !voters.is_empty() && present * 2 <= voters.len()
    })
}

/// Translates openraft's metrics.
pub(crate) fn status_of(metrics: &RaftMetrics<Group>, sight: &Sight<'_>) -> RaftStatus {
    let membership = metrics.membership_config.membership();
    let index = |id: Option<LogId>| id.map_or(0, |id| id.index);
    let role = match metrics.state {
        ServerState::Leader => Role::Leader,
        ServerState::Follower => Role::Follower,
        ServerState::Candidate => Role::Candidate,
        ServerState::Learner | ServerState::Shutdown => Role::Learner,
    };
    let failure = metrics.running_state.as_ref().err().map(ToString::to_string);
    let voters: Vec<NodeId> = membership.voter_ids().map(NodeId).collect();
    let missing = sight.missing(metrics);
    // Who has just started takes everybody for dead that has not said a word yet.
    let judges = sight.heard.is_some() || sight.up_for >= sight.patience.following;
    let leaderless =
        role != Role::Leader && judges && sight.silent_for_more_than(sight.patience.leader);
    let quorum_lost =
        (role == Role::Leader || leaderless) && is_lost(membership.get_joint_config(), &missing);
    let alone = voters == [NodeId(metrics.id)];
    let acknowledged =
        metrics.last_quorum_acked.is_some_and(|at| at.elapsed() < sight.patience.following);
    let quorum = match role {
        Role::Leader => acknowledged || alone,
        Role::Follower | Role::Learner => {
            !sight.silent_for_more_than(sight.patience.following)
                && metrics.current_leader.is_some()
        }
        Role::Candidate => false,
    };
    let takes_part = failure.is_none() && sight.outdated.is_none();
    RaftStatus {
        id: NodeId(metrics.id),
        initialized: !voters.is_empty(),
        epoch: sight.epoch,
        outdated: sight.outdated,
        term: metrics.current_term,
        leader: match role {
            Role::Leader => Some(NodeId(metrics.id)),
            _ => metrics.current_leader.map(NodeId),
        },
        role: if takes_part { role } else { Role::Learner },
        quorum: quorum && takes_part && !quorum_lost,
        quorum_lost,
        missing: missing.into_iter().map(NodeId).collect(),
        learners: membership.learner_ids().map(NodeId).collect(),
        voters,
        changing: membership.get_joint_config().len() > 1,
        last_log: index(sight.last_log),
        last_log_term: sight.last_log.map_or(0, |id| id.leader_id.term),
        applied: index(metrics.last_applied),
        committed: index(metrics.local_committed),
        failure,
        disk_full: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quorum_is_lost_when_any_configuration_has_no_majority_left() {
        let check = |configurations: &[&[u64]], missing: &[u64], lost: bool| {
            let configurations: Vec<BTreeSet<u64>> =
                configurations.iter().map(|ids| ids.iter().copied().collect()).collect();
            assert_eq!(is_lost(&configurations, missing), lost, "{configurations:?} {missing:?}");
        };
        check(&[&[1, 2, 3]], &[3], false);
        check(&[&[1, 2, 3]], &[2, 3], true);
        check(&[&[1, 2]], &[2], true);
        check(&[&[1, 2, 3, 4]], &[3, 4], true);
        check(&[&[1, 2, 3], &[1, 2, 3, 4, 5]], &[4, 5], false);
        check(&[&[1, 2, 3], &[3, 4, 5]], &[4, 5], true);
        check(&[], &[], false);
    }
}
