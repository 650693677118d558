//! Whether the cluster can decide anything, as far as this node can tell. Pure.

use std::collections::BTreeMap;

use skein_consensus::RaftStatus;
use skein_net::{Member, NodeId};

use crate::liveness::Verdict;

/// Under which key nodes that hold a replica gossip what they are in the Raft group.
pub(crate) const ROLE_KEY: &str = "raft";

/// Ends the role of a node that knows of no leader with a majority.
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
    let alone = if role.is_empty() || raft.quorum { "" } else { ALONE };
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
}

/// How the cluster stands, by this node's replica or, where it has none, by what others say.
pub(crate) fn standing(
    raft: &RaftStatus,
    verdicts: &BTreeMap<NodeId, Verdict>,
    members: &[Member],
) -> Standing {
    let (voters, sound) = if raft.initialized {
        (raft.voters.clone(), raft.quorum)
    } else {
        let says = |member: &&Member| member.alive && heard_role(member).is_some();
        let sound = |member: &Member| !member.values[ROLE_KEY].ends_with(ALONE);
        let is_voter = |member: &&Member| matches!(heard_role(member), Some("leader" | "voter"));
        let voters = members.iter().filter(is_voter).map(|member| member.id).collect();
        (voters, members.iter().filter(says).any(sound))
    };
    let answers = |id: &NodeId| {
        *id == raft.id || verdicts.get(id).is_some_and(|verdict| verdict.heard && verdict.alive)
    };
    let missing: Vec<NodeId> = voters.iter().copied().filter(|id| !answers(id)).collect();
    match voters.len() - missing.len() {
        _ if sound => Standing::Sound,
        answering if voters.is_empty() || answering > voters.len() / 2 => Standing::Leaderless,
        _ => Standing::Lost { missing, voters: voters.len() },
    }
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, time::SystemTime};

    use super::*;

    fn raft(voters: &[u64], quorum: bool) -> RaftStatus {
        RaftStatus {
            id: NodeId(1),
            initialized: !voters.is_empty(),
            quorum,
            voters: voters.iter().copied().map(NodeId).collect(),
            ..RaftStatus::default()
        }
    }

    fn verdicts(alive: &[u64]) -> BTreeMap<NodeId, Verdict> {
        let verdict = |id: u64| Verdict {
            name: format!("h{id}"),
            alive: alive.contains(&id),
            since: SystemTime::UNIX_EPOCH,
            heard: true,
        };
        (1..=5).map(|id| (NodeId(id), verdict(id))).collect()
    }

    fn member(id: u64, role: &str) -> Member {
        Member {
            id: NodeId(id),
            name: format!("h{id}"),
            addr: SocketAddr::from(([10, 0, 0, 1], 7600)),
            alive: true,
            since: SystemTime::UNIX_EPOCH,
            values: [(ROLE_KEY.to_owned(), role.to_owned())].into(),
        }
    }

    #[test]
    fn the_quorum_is_lost_when_too_few_voters_answer_and_not_while_they_elect() {
        let lost = |missing: &[u64], voters| Standing::Lost {
            missing: missing.iter().copied().map(NodeId).collect(),
            voters,
        };
        let three: &[u64] = &[1, 2, 3];
        let cases: [(&[u64], bool, &[u64], Standing); 5] = [
            (three, true, &[1, 2, 3], Standing::Sound),
            (three, false, &[1, 2], Standing::Leaderless),
            (three, false, &[1], lost(&[2, 3], 3)),
            (&[1, 2], false, &[1], lost(&[2], 2)),
            (&[1, 2, 3, 4, 5], false, &[1, 2], lost(&[3, 4, 5], 5)),
        ];
        for (voters, quorum, alive, expected) in cases {
            let found = standing(&raft(voters, quorum), &verdicts(alive), &[]);
            assert_eq!(found, expected, "{voters:?} {alive:?}");
        }
    }

    #[test]
    fn a_node_without_a_replica_goes_by_what_others_say() {
        let none = raft(&[], false);
        let heard = |roles: [&str; 2], alive: &[u64]| {
            let members = [member(2, roles[0]), member(3, roles[1])];
            standing(&none, &verdicts(alive), &members)
        };
        assert_eq!(heard(["leader", "voter"], &[1, 2, 3]), Standing::Sound);
        assert_eq!(heard(["voter?", "standby?"], &[1, 2, 3]), Standing::Leaderless);
        let lost = Standing::Lost { missing: vec![NodeId(3)], voters: 2 };
        assert_eq!(heard(["voter?", "voter?"], &[1, 2]), lost);
    }

    #[test]
    fn a_role_is_gossiped_with_whether_it_knows_a_majority() {
        assert_eq!(gossiped_role(&raft(&[1, 2], true)), "voter");
        assert_eq!(gossiped_role(&raft(&[1, 2], false)), "voter?");
        assert_eq!(gossiped_role(&raft(&[], false)), "");
    }
}
