//! The cluster in numbers.

use skein_api::Gauge;
use skein_consensus::RaftStatus;
use skein_net::Member;

/// What this node's replica and its membership say.
pub(super) fn of(raft: &RaftStatus, members: &[Member]) -> Vec<Gauge> {
    let gauge = |name, help, value| Gauge { name, help, value };
    let flag = |is: bool| f64::from(u8::from(is));
    let alive = members.iter().filter(|member| member.alive).count();
    vec![
        gauge("skein_raft_term", "The term of this replica", raft.term as f64),
        gauge(
            "skein_raft_epoch",
            "The life of the cluster: one more with each recovery",
            raft.epoch.number as f64,
        ),
        gauge(
            "skein_raft_last_log_index",
            "Index of the last log entry here",
            raft.last_log as f64,
        ),
        gauge(
            "skein_raft_commit_index",
            "Index of the last entry known to be committed",
            raft.committed as f64,
        ),
        gauge(
            "skein_raft_applied_index",
            "Index of the last entry applied here",
            raft.applied as f64,
        ),
        gauge("skein_raft_is_leader", "1 where this node leads", flag(raft.is_leader())),
        gauge(
            "skein_raft_has_quorum",
            "1 where a majority stands behind the leader",
            flag(raft.quorum),
        ),
        gauge("skein_raft_voters", "Members of the group with a vote", raft.voters.len() as f64),
        gauge(
            "skein_raft_missing_voters",
            "Voters that are dead or do not answer",
            raft.missing.len() as f64,
        ),
        gauge(
            "skein_raft_failed",
            "1 where this replica takes no entries",
            flag(raft.failure.is_some()),
        ),
        gauge("skein_members", "Hosts this node knows of", members.len() as f64),
        gauge("skein_members_alive", "Hosts it takes for alive", alive as f64),
    ]
}
