//! The way back when a majority of the voters is lost, as `skein recover` and `skein rejoin` ask
//! for it. All of it works without a quorum.

use serde_json::{Value, json};
use skein_consensus::recovery::{Plan, RecoveryError, ReplicaReport, Survey, plan};
use skein_net::NodeId;
use skein_objects::{Reason, StatusError};

use super::View;

impl View {
    /// What every replica that answers holds, and what would be done, as
    /// `GET /skein/v1/recovery` gives it.
    pub(super) async fn survey(&self) -> Result<Value, StatusError> {
        let surveys = self.replica.survey().await.map_err(skein_storage::read_error)?;
        Ok(describe(&surveys, &plan(&surveys)))
    }

    /// Recovers the cluster, if the survey made now chooses the replica that was agreed to.
    pub(super) async fn recover_from(&self, lead: &str) -> Result<Value, StatusError> {
        let conflict = |why: String| StatusError::new(Reason::Conflict, why);
        let surveys = self.replica.survey().await.map_err(skein_storage::read_error)?;
        let plan = plan(&surveys).map_err(|error| conflict(refusal(&surveys, &error)))?;
        let chosen = name(&surveys, plan.lead);
        if chosen != lead {
            return Err(conflict(format!(
                "{chosen} is the freshest by now, not {lead}: look again"
            )));
        }
        tracing::warn!(lead = chosen, epoch = %plan.epoch, "the cluster is recovered");
        let ordered = self.replica.recover(&plan).await.map_err(skein_storage::write_error)?;
        let orders = ordered.iter().map(|order| {
            let error = order.outcome.as_ref().err();
            json!({"name": name(&surveys, order.node), "error": error})
        });
        let orders: Vec<Value> = orders.collect();
        match ordered.iter().find(|order| order.node == plan.lead) {
            Some(order) if order.outcome.is_ok() => {
                Ok(json!({"plan": describe_plan(&surveys, &plan), "orders": orders}))
            }
            _ => Err(StatusError::service_unavailable(format!(
                "{chosen} did not take the order, nothing was changed: {}",
                Value::from(orders)
            ))),
        }
    }

    /// Lets this node start anew in the cluster's present epoch.
    pub(super) async fn rejoin_cluster(&self) -> Result<Value, StatusError> {
        self.replica.rejoin().await.map_err(|error| {
            StatusError::new(Reason::Conflict, format!("{} cannot rejoin: {error}", self.node_name))
        })?;
        // Whoever asks for the status next must not be told of the replica as it was.
        drop(self.raft.clone().wait_for(|now| now.outdated.is_some()).await);
        Ok(json!({"name": self.node_name}))
    }
}

fn describe(surveys: &[Survey], plan: &Result<Plan, RecoveryError>) -> Value {
    let replicas: Vec<Value> = surveys
        .iter()
        .map(|survey| match &survey.outcome {
            Ok(report) => describe_report(surveys, &survey.name, report),
            Err(error) => json!({"name": survey.name, "error": error}),
        })
        .collect();
    json!({
        "replicas": replicas,
        "plan": plan.as_ref().ok().map(|plan| describe_plan(surveys, plan)),
        "refusal": plan.as_ref().err().map(|error| refusal(surveys, error)),
    })
}

fn describe_report(surveys: &[Survey], node: &str, report: &ReplicaReport) -> Value {
    let names = |ids: &[NodeId]| ids.iter().map(|id| name(surveys, *id)).collect::<Vec<_>>();
    json!({
        "name": node,
        "epoch": report.epoch.to_string(),
        "outdated": report.outdated.map(|epoch| epoch.to_string()),
        "term": report.term,
        "lastLogTerm": report.last_log_term,
        "lastLogIndex": report.last_log_index,
        "applied": report.applied,
        "voters": names(&report.voters),
        "leader": report.hears_leader.map(|id| name(surveys, id)),
        "failure": report.failure,
    })
}

fn describe_plan(surveys: &[Survey], plan: &Plan) -> Value {
    let names = |ids: &[NodeId]| ids.iter().map(|id| name(surveys, *id)).collect::<Vec<_>>();
    json!({
        "lead": name(surveys, plan.lead),
        "follow": names(&plan.follow),
        "missing": names(&plan.missing),
        "epoch": plan.epoch.number.to_string(),
    })
}

/// Why there is no plan, with names for ids.
fn refusal(surveys: &[Survey], error: &RecoveryError) -> String {
    match error {
        RecoveryError::Led { node, leader } => format!(
            "{} hears {} lead: the cluster has a quorum",
            name(surveys, *node),
            name(surveys, *leader)
        ),
        RecoveryError::TwoEpochs { one, other } => format!(
            "{} and {} are of two recoveries of the same epoch: run skein rejoin on the one to \
             give up",
            name(surveys, *one),
            name(surveys, *other)
        ),
        RecoveryError::Failed { node, failure } => {
            let node = name(surveys, *node);
            format!(
                "{node} has the freshest replica, and it is in trouble: {failure}; help it, or stop \
                 {node} to give up what only it has"
            )
        }
        RecoveryError::Quorum { .. } | RecoveryError::NoReplica => error.to_string(),
    }
}

fn name(surveys: &[Survey], id: NodeId) -> String {
    let known = surveys.iter().find(|survey| survey.node == id);
    known.map_or_else(|| id.to_string(), |survey| survey.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey(id: u64, outcome: Result<(u64, u64), &str>) -> Survey {
        let report = |(term, index)| ReplicaReport {
            term,
            last_log_term: term,
            last_log_index: index,
            voters: [1, 2, 3].map(NodeId).to_vec(),
            configurations: vec![[1, 2, 3].map(NodeId).to_vec()],
            ..ReplicaReport::default()
        };
        Survey {
            node: NodeId(id),
            name: format!("h{id}"),
            outcome: outcome.map(report).map_err(str::to_owned),
        }
    }

    #[test]
    fn the_plan_and_what_is_missing_are_told_by_name() {
        let surveys = [survey(1, Ok((4, 90))), survey(2, Err("dead")), survey(3, Err("dead"))];
        let described = describe(&surveys, &plan(&surveys));
        assert_eq!(described["plan"]["lead"], "h1");
        assert_eq!(described["plan"]["missing"], json!(["h2", "h3"]));
        assert_eq!(described["plan"]["epoch"], "2");
        assert_eq!(described["replicas"][1], json!({"name": "h2", "error": "dead"}));
    }

    #[test]
    fn a_cluster_that_needs_no_recovery_says_why() {
        let surveys = [survey(1, Ok((4, 90))), survey(2, Ok((4, 90))), survey(3, Err("dead"))];
        let described = describe(&surveys, &plan(&surveys));
        assert!(described["plan"].is_null());
        assert!(described["refusal"].as_str().unwrap().contains("quorum"), "{described}");
    }
}
