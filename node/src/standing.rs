//! Whether the cluster can decide anything, as far as this node can tell. Pure.

use skein_consensus::{Epoch, RaftStatus};
use skein_net::{Member, NodeId};

/// Under which key nodes that hold a replica gossip what they are in the Raft group.
pub(crate) const ROLE_KEY: &str = "raft";

/// Ends the role of a node that knows that the quorum is lost.
const ALONE: &str = "?";

/// What a node is in the Raft group.
pub(crate) fn role(raft: &RaftStatus, id: NodeId) -> Option<&'static str> {
    if raft.leader == Some(id) {
        Some("leader")
    } else if raft.voters.contains(&id) {
        Some("voter")
    } else if raft.learners.contains(&id) {
        Some("standby")
    } else {
        None
    }
}

/// What this node gossips of its own role.
pub(crate) fn gossiped_role(raft: &RaftStatus) -> String {
    let role = role(raft, raft.id).unwrap_or_default();
    let alone = if role.is_empty() || !raft.quorum_lost { "" } else { ALONE };
    format!("{role}{alone}")
}

/// The role that another node gossips of itself.
pub(crate) fn heard_role(member: &Member) -> Option<&str> {
    let role = member.values.get(ROLE_KEY)?.trim_end_matches(ALONE);
    Some(role).filter(|role| !role.is_empty())
}

/// How the cluster stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// A leader with a majority is there.
    Sound,
    /// None is known, but there may be one soon.
    Leaderless,
    /// So few voters answer that there cannot be one.
    Lost {
        /// The voters that do not answer.
        missing: Vec<NodeId>,
        /// How many voters there are.
        voters: usize,
    },
    /// The cluster went on without this node's replica.
    Outdated {
        /// The replica's epoch.
        own: Epoch,
        /// The cluster's.
        current: Epoch,
    },
}

/// How the cluster stands, by this node's replica or, where it has none, by what others say.
pub(crate) fn standing(raft: &RaftStatus, members: &[Member]) -> Standing {
    if let Some(current) = raft.outdated {
        return Standing::Outdated { own: raft.epoch, current };
    }
    if !raft.initialized {
        return heard_standing(members);
    }
    match (raft.quorum, raft.quorum_lost) {
        (true, _) => Standing::Sound,
        (false, false) => Standing::Leaderless,
        (false, true) => {
            Standing::Lost { missing: raft.missing.clone(), voters: raft.voters.len() }
        }
    }
}

/// By what the members say that hold a replica: one that knows a majority is enough.
fn heard_standing(members: &[Member]) -> Standing {
    let is_voter = |member: &&Member| matches!(heard_role(member), Some("leader" | "voter"));
    let voters: Vec<&Member> = members.iter().filter(is_voter).collect();
    let missing: Vec<NodeId> =
        voters.iter().filter(|voter| !voter.alive).map(|voter| voter.id).collect();
    let knows_majority =
        |member: &&&Member| member.alive && !member.values[ROLE_KEY].ends_with(ALONE);
    if voters.is_empty() {
        Standing::Leaderless
    } else if voters.iter().any(|voter| knows_majority(&voter)) {
        Standing::Sound
    } else {
        Standing::Lost { missing, voters: voters.len() }
    }
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, time::SystemTime};

    use super::*;

    fn raft(quorum: bool, missing: &[u64]) -> RaftStatus {
        RaftStatus {
            id: NodeId(1),
            initialized: true,
            quorum,
            quorum_lost: missing.len() > 1,
            missing: missing.iter().copied().map(NodeId).collect(),
            voters: [1, 2, 3].map(NodeId).to_vec(),
            ..RaftStatus::default()
        }
    }

    fn member(id: u64, role: &str, alive: bool) -> Member {
        Member {
            id: NodeId(id),
            name: format!("h{id}"),
            addr: SocketAddr::from(([10, 0, 0, 1], 7600)),
            alive,
            since: SystemTime::UNIX_EPOCH,
            values: [(ROLE_KEY.to_owned(), role.to_owned())].into(),
        }
    }

    #[test]
    fn a_replica_knows_how_the_cluster_stands() {
        let lost = Standing::Lost { missing: vec![NodeId(2), NodeId(3)], voters: 3 };
        assert_eq!(standing(&raft(true, &[3]), &[]), Standing::Sound);
        assert_eq!(standing(&raft(false, &[3]), &[]), Standing::Leaderless);
        assert_eq!(standing(&raft(false, &[2, 3]), &[]), lost);
        let current = Epoch::FIRST.next(NodeId(2));
        let outdated = RaftStatus { outdated: Some(current), ..raft(false, &[2, 3]) };
        let expected = Standing::Outdated { own: Epoch::FIRST, current };
        assert_eq!(standing(&outdated, &[]), expected);
    }

    #[test]
    fn a_node_without_a_replica_goes_by_what_others_say() {
        let heard = |members: &[Member]| standing(&RaftStatus::default(), members);
        assert_eq!(heard(&[]), Standing::Leaderless);
        let sound = [member(2, "leader", true), member(3, "voter", false)];
        assert_eq!(heard(&sound), Standing::Sound);
        let lost = Standing::Lost { missing: vec![NodeId(2)], voters: 2 };
        assert_eq!(heard(&[member(2, "leader", false), member(3, "voter?", true)]), lost);
    }

    #[test]
    fn a_role_is_gossiped_with_whether_the_quorum_is_lost() {
        assert_eq!(gossiped_role(&raft(true, &[])), "voter");
        assert_eq!(gossiped_role(&raft(false, &[2])), "voter");
        assert_eq!(gossiped_role(&raft(false, &[2, 3])), "voter?");
        assert_eq!(gossiped_role(&RaftStatus::default()), "");
    }
}
