//! Which survivor goes on, and who follows it. Pure.

use serde::{Deserialize, Serialize};
use skein_net::NodeId;
use skein_store::Epoch;

use super::{ReplicaReport, Survey};

/// How to go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Goes on alone with what it has.
    pub lead: NodeId,
    /// Forget what they have and follow it.
    pub follow: Vec<NodeId>,
    /// The epoch that begins.
    pub epoch: Epoch,
    /// The voters that do not answer: what only they had is lost.
    pub missing: Vec<NodeId>,
    /// Term and index of the last log entry that is kept.
    pub last_log: (u64, u64),
}

/// Why there is nothing to recover, or nobody to do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryError {
    /// The cluster works.
    #[error("node {node} hears node {leader} lead: the cluster has a quorum")]
    Led {
        /// Who says so.
        node: NodeId,
        /// The leader.
        leader: NodeId,
    },
    /// The cluster will work by itself.
    #[error("{reachable} of {voters} voters answer: that is a quorum, they will elect a leader")]
    Quorum {
        /// Voters that answered.
        reachable: usize,
        /// All voters.
        voters: usize,
    },
    /// Nobody has anything to go on with.
    #[error("no host that answers holds a replica")]
    NoReplica,
    /// The cluster was recovered twice.
    #[error(
        "nodes {one} and {other} are of two recoveries of the same epoch: rejoin one to the other"
    )]
    TwoEpochs {
        /// A node of one.
        one: NodeId,
        /// A node of the other.
        other: NodeId,
    },
}

/// Who goes on and who follows: the freshest by epoch, term and index of the last log entry.
///
/// Refuses while a leader is heard of, and while enough voters answer to elect one: a recovery
/// would then throw away what others have acknowledged.
pub fn plan(surveys: &[Survey]) -> Result<Plan, RecoveryError> {
    let reports: Vec<(NodeId, &ReplicaReport)> = surveys
        .iter()
        .filter_map(|survey| Some((survey.node, survey.outcome.as_ref().ok()?)))
        .filter(|(_, report)| !report.voters.is_empty())
        .collect();
    let usable = |report: &ReplicaReport| report.failure.is_none() && report.outdated.is_none();
    let newest = reports.iter().map(|(_, report)| report.epoch.number).max().unwrap_or(0);
    let current: Vec<_> = reports
        .iter()
        .filter(|(_, report)| report.epoch.number == newest && usable(report))
        .copied()
        .collect();
    let freshness = |(node, report): &&(NodeId, &ReplicaReport)| {
        (report.last_log_term, report.last_log_index, std::cmp::Reverse(*node))
    };
    let Some(&(lead, freshest)) = current.iter().max_by_key(freshness) else {
        return Err(RecoveryError::NoReplica);
    };
    if let Some((other, _)) = current.iter().find(|(_, report)| report.epoch != freshest.epoch) {
        return Err(RecoveryError::TwoEpochs { one: lead, other: *other });
    }
    for (node, report) in &current {
        if let Some(leader) = report.hears_leader {
            return Err(RecoveryError::Led { node: *node, leader });
        }
    }
    let answers = |voter: &NodeId| current.iter().any(|(node, _)| node == voter);
    let reachable = freshest.voters.iter().filter(|voter| answers(voter)).count();
    if reachable * 2 > freshest.voters.len() {
        return Err(RecoveryError::Quorum { reachable, voters: freshest.voters.len() });
    }
    // Some may have heard of an epoch whose members are all gone.
    let heard = reports.iter().filter_map(|(_, report)| report.outdated);
    let number = heard.map(|epoch| epoch.number).fold(newest, u64::max);
    Ok(Plan {
        lead,
        follow: reports.iter().map(|(node, _)| *node).filter(|node| *node != lead).collect(),
        epoch: Epoch { number, ..freshest.epoch }.next(lead),
        missing: freshest.voters.iter().filter(|voter| !answers(voter)).copied().collect(),
        last_log: (freshest.last_log_term, freshest.last_log_index),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A replica of voters 1 to 3, with the last entry of `term` at `index`.
    fn report(number: u64, term: u64, index: u64) -> ReplicaReport {
        ReplicaReport {
            epoch: Epoch { number, founder: NodeId(0) },
            last_log_term: term,
            last_log_index: index,
            voters: [1, 2, 3].map(NodeId).to_vec(),
            ..ReplicaReport::default()
        }
    }

    fn survey(node: u64, outcome: Result<ReplicaReport, &str>) -> Survey {
        let outcome = outcome.map_err(str::to_owned);
        Survey { node: NodeId(node), name: format!("h{node}"), outcome }
    }

    #[test]
    fn the_last_survivor_goes_on_alone() {
        let surveys =
            [survey(1, Err("dead")), survey(2, Ok(report(1, 4, 90))), survey(3, Err("dead"))];
        let plan = plan(&surveys).unwrap();
        assert_eq!((plan.lead, plan.follow.len(), plan.last_log), (NodeId(2), 0, (4, 90)));
        assert_eq!(plan.epoch, Epoch { number: 2, founder: NodeId(2) });
        assert_eq!(plan.missing, [NodeId(1), NodeId(3)]);
    }

    #[test]
    fn a_later_term_is_fresher_than_a_longer_log_and_an_epoch_than_both() {
        let five = |number, term, index| ReplicaReport {
            voters: (1..=5).map(NodeId).collect(),
            ..report(number, term, index)
        };
        let table = [
            ([(1, 3, 100), (1, 4, 90)], 2),
            ([(1, 4, 90), (1, 4, 91)], 2),
            ([(2, 1, 5), (1, 9, 900)], 1),
        ];
        for (replicas, lead) in table {
            let surveys: Vec<_> = (1..)
                .zip(replicas)
                .map(|(node, (number, term, index))| survey(node, Ok(five(number, term, index))))
                .collect();
            let plan = plan(&surveys).unwrap();
            assert_eq!(plan.lead, NodeId(lead), "{replicas:?}");
            assert_eq!(plan.follow.len(), 1);
        }
    }

    #[test]
    fn nothing_is_recovered_that_works_or_will() {
        let two = [survey(1, Ok(report(1, 1, 1))), survey(2, Ok(report(1, 1, 1)))];
        assert_eq!(plan(&two), Err(RecoveryError::Quorum { reachable: 2, voters: 3 }));
        let led = ReplicaReport { hears_leader: Some(NodeId(3)), ..report(1, 1, 1) };
        let refused = plan(&[survey(1, Ok(led))]);
        assert_eq!(refused, Err(RecoveryError::Led { node: NodeId(1), leader: NodeId(3) }));
        assert_eq!(plan(&[survey(1, Err("dead"))]), Err(RecoveryError::NoReplica));
        let empty = ReplicaReport { voters: Vec::new(), ..report(1, 0, 0) };
        assert_eq!(plan(&[survey(1, Ok(empty))]), Err(RecoveryError::NoReplica));
    }

    #[test]
    fn a_failed_replica_neither_leads_nor_counts() {
        let failed = ReplicaReport { failure: Some("full".to_owned()), ..report(1, 9, 9) };
        let surveys = [survey(1, Ok(failed)), survey(2, Ok(report(1, 1, 1)))];
        let plan = plan(&surveys).unwrap();
        assert_eq!((plan.lead, plan.follow), (NodeId(2), vec![NodeId(1)]));
    }

    #[test]
    fn two_recoveries_of_one_epoch_are_left_to_a_human() {
        let founded = |founder| ReplicaReport {
            epoch: Epoch { number: 2, founder: NodeId(founder) },
            ..report(2, 1, 1)
        };
        let surveys = [survey(1, Ok(founded(1))), survey(2, Ok(founded(2)))];
        assert!(matches!(plan(&surveys), Err(RecoveryError::TwoEpochs { .. })));
    }
}
