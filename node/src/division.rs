//! Whether the cluster was recovered twice, as its nodes gossip it. Pure.
//!
//! Two recoveries that did not see each other begin epochs of the same number, each on its side.
//! Their replicas take nothing from each other, so only a human can end it.

use std::collections::BTreeMap;

use skein_consensus::RaftStatus;
use skein_net::{Member, NodeId};

/// Under which key nodes that hold a replica gossip the epoch of it.
pub(crate) const EPOCH_KEY: &str = "epoch";

/// What can be done when there are several sides.
pub(crate) const WAY_OUT: &str =
    "choose the side to give up and run on each of its hosts: skein rejoin";

/// The hosts that went on together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Side {
    founder: NodeId,
    hosts: Vec<String>,
}

/// The epoch this node tells the others.
pub(crate) fn gossiped_epoch(raft: &RaftStatus) -> String {
    match raft.initialized {
        true => format!("{} {}", raft.epoch.number, raft.epoch.founder),
        false => String::new(),
    }
}

fn heard_epoch(member: &Member) -> Option<(u64, NodeId)> {
    let (number, founder) = member.values.get(EPOCH_KEY)?.split_once(' ')?;
    Some((number.parse().ok()?, founder.parse().ok()?))
}

/// The sides of the newest epoch among the living; none where they are one.
pub(crate) fn sides(members: &[Member]) -> Vec<Side> {
    let told = members.iter().filter(|member| member.alive);
    let told: Vec<(&Member, (u64, NodeId))> =
        told.filter_map(|member| Some((member, heard_epoch(member)?))).collect();
    let newest = told.iter().map(|(_, (number, _))| *number).max();
    let mut hosts: BTreeMap<NodeId, Vec<String>> = BTreeMap::new();
    for (member, (number, founder)) in told {
        if Some(number) == newest {
            hosts.entry(founder).or_default().push(member.name.clone());
        }
    }
    if hosts.len() < 2 {
        return Vec::new();
    }
    hosts
        .into_iter()
        .map(|(founder, mut hosts)| {
            hosts.sort_unstable();
            Side { founder, hosts }
        })
        .collect()
}

/// What is wrong where there are `sides`.
pub(crate) fn explain(sides: &[Side], name: impl Fn(NodeId) -> String) -> String {
    let side = |side: &Side| format!("{} (from {})", side.hosts.join(", "), name(side.founder));
    let sides: Vec<String> = sides.iter().map(side).collect();
    format!(
        "the cluster was recovered {} times, each side goes on alone: {}",
        sides.len(),
        sides.join("; ")
    )
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, time::SystemTime};

    use skein_consensus::Epoch;

    use super::*;

    fn member(id: u64, epoch: &str, alive: bool) -> Member {
        Member {
            id: NodeId(id),
            name: format!("h{id}"),
            addr: SocketAddr::from(([10, 0, 0, 1], 7600)),
            alive,
            since: SystemTime::UNIX_EPOCH,
            values: [(EPOCH_KEY.to_owned(), epoch.to_owned())].into(),
        }
    }

    #[test]
    fn two_founders_of_the_newest_epoch_are_two_sides_while_both_live() {
        let epoch = |number, founder| {
            let epoch = Epoch { number, founder: NodeId(founder) };
            gossiped_epoch(&RaftStatus { initialized: true, epoch, ..RaftStatus::default() })
        };
        let one = [member(3, &epoch(2, 1), true), member(1, &epoch(2, 1), true)];
        let other = |alive| [member(2, &epoch(2, 2), alive)];
        let old = [member(4, &epoch(1, 0), true), member(5, "", true), member(6, "x", true)];
        assert_eq!(sides(&[&one[..], &old].concat()), []);
        assert_eq!(sides(&[&one[..], &old, &other(false)].concat()), []);
        let divided = sides(&[&one[..], &old, &other(true)].concat());
        assert_eq!(
            explain(&divided, |id| format!("h{}", id.0)),
            "the cluster was recovered 2 times, each side goes on alone: h1, h3 (from h1); h2 \
             (from h2)"
        );
        assert_eq!(sides(&[&one[..], &other(true), &[member(4, &epoch(3, 4), true)]].concat()), []);
    }
}
