//! What a replica tells about itself.

use std::{net::SocketAddr, sync::Arc};

use openraft::{Instant, RaftMetrics, ServerState};
use skein_net::NodeId;
use tokio::time::Duration;

use skein_store::{Group, LogId};

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
    /// The current term.
    pub term: u64,
    /// Who leads, as far as known.
    pub leader: Option<NodeId>,
    /// What this node is.
    pub role: Role,
    /// Whether a majority stands behind the leader, as far as this node can tell.
    pub quorum: bool,
    /// The members with a vote.
    pub voters: Vec<NodeId>,
    /// The members without.
    pub learners: Vec<NodeId>,
    /// Whether the voters are changing, so that the old and the new majority are needed.
    pub changing: bool,
    /// Index of the last log entry.
    pub last_log: u64,
    /// Index of the last entry applied.
    pub applied: u64,
    /// Index of the last entry known to be committed.
    pub committed: u64,
    /// Why the replica has stopped, if it has: a full or broken disk.
    pub failure: Option<String>,
}

impl RaftStatus {
    /// Whether this node leads.
    pub fn is_leader(&self) -> bool {
        self.role == Role::Leader
    }
}

/// A leader whose majority was silent for longer than this cannot be sure to lead.
const QUORUM_SILENCE: Duration = Duration::from_secs(2);

/// Translates openraft's metrics. `heard` says whether a leader was heard of lately.
pub(crate) fn status_of(metrics: &RaftMetrics<Group>, heard: bool) -> RaftStatus {
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
    let acknowledged = metrics.last_quorum_acked.is_some_and(|at| at.elapsed() < QUORUM_SILENCE);
    let alone = voters == [NodeId(metrics.id)];
    let quorum = match role {
        Role::Leader => acknowledged || alone,
        Role::Follower | Role::Learner => heard && metrics.current_leader.is_some(),
        Role::Candidate => false,
    };
    RaftStatus {
        id: NodeId(metrics.id),
        initialized: !voters.is_empty(),
        term: metrics.current_term,
        leader: match role {
            Role::Leader => Some(NodeId(metrics.id)),
            _ => metrics.current_leader.map(NodeId),
        },
        role: if failure.is_some() { Role::Learner } else { role },
        quorum: quorum && failure.is_none(),
        learners: membership.learner_ids().map(NodeId).collect(),
        voters,
        changing: membership.get_joint_config().len() > 1,
        last_log: metrics.last_log_index.unwrap_or(0),
        applied: index(metrics.last_applied),
        committed: index(metrics.local_committed),
        failure,
    }
}
