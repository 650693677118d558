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
    /// Somebody has more than whoever could go on, but cannot go on itself.
    #[error("node {node} has the freshest replica, and it is in trouble: {failure}")]
    Failed {
        /// The node.
        node: NodeId,
        /// What is wrong with its replica.
        failure: String,
    },
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
/// would then throw away what others have acknowledged. Refuses as well where the freshest of all
/// is a replica that cannot go on, a full disk for instance: it is to be helped, or its host
/// stopped by whoever gives up what only it has.
pub fn plan(surveys: &[Survey]) -> Result<Plan, RecoveryError> {
    let reports: Vec<(NodeId, &ReplicaReport)> = surveys
        .iter()
        .filter_map(|survey| Some((survey.node, survey.outcome.as_ref().ok()?)))
        .filter(|(_, report)| !report.voters.is_empty())
        .collect();
    let newest = reports.iter().map(|(_, report)| report.epoch.number).max().unwrap_or(0);
    let (current, failed): (Vec<_>, Vec<_>) = reports
        .iter()
        .filter(|(_, report)| report.epoch.number == newest && report.outdated.is_none())
        .copied()
        .partition(|(_, report)| report.failure.is_none());
    let log = |report: &ReplicaReport| (report.last_log_term, report.last_log_index);
    let freshness =
        |(node, report): &&(NodeId, &ReplicaReport)| (log(report), std::cmp::Reverse(*node));
    let chosen = current.iter().max_by_key(freshness);
    if let Some((node, report)) = failed.iter().max_by_key(freshness)
        && chosen.is_none_or(|(_, chosen)| log(report) > log(chosen))
    {
        let failure = report.failure.clone().unwrap_or_default();
        return Err(RecoveryError::Failed { node: *node, failure });
    }
    let Some(&(lead, freshest)) = chosen else {
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
    let count = |voters: &[NodeId]| voters.iter().filter(|voter| answers(voter)).count();
    if freshest.configurations.iter().all(|voters| count(voters) * 2 > voters.len()) {
        let (reachable, voters) = (count(&freshest.voters), freshest.voters.len());
        return Err(RecoveryError::Quorum { reachable, voters });
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
            ..of([[1, 2, 3].map(NodeId).to_vec()])
        }
    }

    fn of<const N: usize>(configurations: [Vec<NodeId>; N]) -> ReplicaReport {
        let mut voters = configurations.concat();
        voters.sort();
        voters.dedup();
        let configurations = configurations.to_vec();
        ReplicaReport { voters, configurations, ..ReplicaReport::default() }
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
        let five = |number, term, index| {
            let ReplicaReport { voters, configurations, .. } = of([(1..=5).map(NodeId).collect()]);
            ReplicaReport { voters, configurations, ..report(number, term, index) }
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
        let empty = ReplicaReport::default();
        assert_eq!(plan(&[survey(1, Ok(empty))]), Err(RecoveryError::NoReplica));
    }

    #[test]
    fn a_failed_replica_neither_leads_nor_counts_and_what_only_it_has_is_not_given_up() {
        let failed = |index| ReplicaReport { failure: Some("full".into()), ..report(1, 1, index) };
        let surveys = [survey(1, Ok(failed(5))), survey(2, Ok(report(1, 1, 5)))];
        let followed = plan(&surveys).unwrap();
        assert_eq!((followed.lead, followed.follow), (NodeId(2), vec![NodeId(1)]));
        let refused = Err(RecoveryError::Failed { node: NodeId(1), failure: "full".to_owned() });
        assert_eq!(plan(&[survey(1, Ok(failed(6))), survey(2, Ok(report(1, 1, 5)))]), refused);
        assert_eq!(plan(&[survey(1, Ok(failed(6)))]), refused);
    }

    #[test]
    fn while_the_voters_change_a_majority_of_either_set_is_needed() {
        let ids = |ids: [u64; 5]| ids.map(NodeId).to_vec();
        let changing = of([ids([1, 2, 3, 4, 5]), ids([3, 4, 5, 6, 7])]);
        let answering = |ids: &[u64]| {
            let surveys: Vec<_> = ids.iter().map(|id| survey(*id, Ok(changing.clone()))).collect();
            plan(&surveys)
        };
        assert_eq!(answering(&[3, 4, 6, 7]).unwrap().missing, [1, 2, 5].map(NodeId));
        assert!(matches!(answering(&[1, 3, 4, 6]), Err(RecoveryError::Quorum { .. })));
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
