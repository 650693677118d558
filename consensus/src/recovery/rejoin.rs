//! Which epoch a replica that was left behind is to start anew in. Pure.

use std::collections::BTreeSet;

use skein_net::NodeId;
use skein_store::{Epoch, StoreError};

use super::Survey;

/// The epoch the others went on in, which a host that answers now must be of: nothing is given up
/// for one that is over by itself.
pub(super) fn target(own: Epoch, node: NodeId, surveys: &[Survey]) -> Result<Epoch, StoreError> {
    let reports = surveys
        .iter()
        .filter(|survey| survey.node != node)
        .filter_map(|survey| survey.outcome.as_ref().ok())
        .filter(|report| !report.voters.is_empty() && report.outdated.is_none());
    let others: BTreeSet<Epoch> = reports
        .map(|report| report.epoch)
        .filter(|epoch| epoch.number >= own.number && *epoch != own)
        .collect();
    let newest = others.last().copied();
    let Some(newest) = newest else {
        let reason = format!("no host answers that is of another epoch than its {own}");
        return Err(StoreError::Invalid(reason));
    };
    match others.iter().find(|other| other.number == newest.number && **other != newest) {
        Some(rival) => {
            let reason = format!(
                "it would have to choose between epoch {newest} and epoch {rival}: first let the \
                 hosts of the one rejoin the other"
            );
            Err(StoreError::Invalid(reason))
        }
        None => Ok(newest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recovery::ReplicaReport;

    #[test]
    fn a_replica_rejoins_the_one_other_epoch_that_somebody_who_answers_is_of() {
        let epoch = |number, founder| Epoch { number, founder: NodeId(founder) };
        let survey = |node, epoch| Survey {
            node: NodeId(node),
            name: format!("h{node}"),
            outcome: Ok(ReplicaReport {
                epoch,
                voters: vec![NodeId(node)],
                ..ReplicaReport::default()
            }),
        };
        let table = [
            (Epoch::FIRST, vec![epoch(2, 7)], Some(epoch(2, 7))),
            (epoch(2, 8), vec![epoch(2, 7), Epoch::FIRST], Some(epoch(2, 7))),
            (epoch(2, 8), vec![epoch(2, 7), epoch(3, 6)], Some(epoch(3, 6))),
            (epoch(2, 8), vec![epoch(2, 8), Epoch::FIRST], None),
            (Epoch::FIRST, vec![epoch(2, 7), epoch(2, 8)], None),
            (Epoch::FIRST, Vec::new(), None),
        ];
        for (own, others, expected) in table {
            let mut surveys: Vec<Survey> =
                (2..).zip(&others).map(|(node, other)| survey(node, *other)).collect();
            surveys.push(survey(1, own));
            assert_eq!(target(own, NodeId(1), &surveys).ok(), expected, "{own} among {others:?}");
        }
    }
}
