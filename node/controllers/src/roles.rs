//! The roles that every cluster has, as in Kubernetes, and who has them. What is missing when a term
//! begins is made; what somebody has changed stays.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use skein_consensus::Consistency;
use skein_objects::{Reason, StatusError, registry};
use skein_storage::WriteOptions;

use crate::{
    cluster::Cluster,
    reconcile::{Next, Reconciler, work},
};

/// The controller's name.
const NAME: &str = "roles";

/// A list of roles and bindings.
const DEFAULTS: &str = include_str!("roles/defaults.json");

/// Starts the controller for this term. Its keys are places in the list.
pub(crate) fn start(cluster: &Cluster) {
    let queue = cluster.queue::<usize>(NAME);
    let objects = defaults();
    (0..objects.len()).for_each(|place| queue.add(place));
    let controller = Arc::new(Controller { cluster: cluster.clone(), objects });
    cluster.tasks.spawn(work(controller, queue, cluster.cancel.clone()));
}

/// What every cluster has; a test sees that it can be read.
fn defaults() -> Vec<Value> {
    serde_json::from_str(DEFAULTS).unwrap_or_default()
}

struct Controller {
    cluster: Cluster,
    objects: Vec<Value>,
}

#[async_trait]
impl Reconciler for Controller {
    type Key = usize;

    fn name(&self) -> &'static str {
        NAME
    }

    async fn reconcile(&self, place: &usize) -> Result<Next, StatusError> {
        let Some(object) = self.objects.get(*place) else { return Ok(Next::Settled) };
        let text = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let kind = registry().by_api_version(text("/apiVersion"), text("/kind"));
        let kind = kind.ok_or_else(StatusError::no_resource)?;
        let storage = &self.cluster.storage;
        match storage.get(kind, "", text("/metadata/name"), Consistency::Any).await {
            Err(error) if error.reason == Reason::NotFound => {}
            found => return found.map(|_| Next::Settled),
        }
        match storage.create(kind, "", object.clone(), &WriteOptions::default()).await {
            Err(error) if error.reason != Reason::AlreadyExists => Err(error),
            _ => Ok(Next::Settled),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use skein_objects::{FieldValidation, check};

    use super::*;

    #[test]
    fn they_are_what_they_say_they_are() {
        let objects = defaults();
        let name = |object: &Value| object["metadata"]["name"].as_str().unwrap().to_owned();
        let roles: BTreeSet<String> =
            objects.iter().filter(|one| one["kind"] == "ClusterRole").map(name).collect();
        for wanted in ["cluster-admin", "admin", "edit", "view", "system:discovery"] {
            assert!(roles.contains(wanted), "{wanted}");
        }
        for object in objects {
            let api_version = object["apiVersion"].as_str().unwrap();
            let kind = registry().by_api_version(api_version, object["kind"].as_str().unwrap());
            check(kind.unwrap(), object.clone(), FieldValidation::Strict).unwrap();
            if object["kind"] == "ClusterRoleBinding" {
                assert!(roles.contains(object["roleRef"]["name"].as_str().unwrap()));
            }
        }
    }

    #[test]
    fn whoever_views_sees_no_secrets_and_changes_nothing() {
        let view = defaults().into_iter().find(|one| one["metadata"]["name"] == "view").unwrap();
        for rule in view["rules"].as_array().unwrap() {
            assert_eq!(rule["verbs"], serde_json::json!(["get", "list", "watch"]));
            let resources = rule["resources"].as_array().unwrap();
            assert!(resources.iter().all(|one| one != "secrets" && one != "pods/exec"));
        }
    }
}
