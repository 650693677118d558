//! Whether the store still has a pod on this host.

use std::sync::Arc;

use k8s_openapi::{
    api::core::v1::{Pod, PodSpec},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use memchr::memmem;
use serde::Deserialize;
use serde_json::json;
use skein_storage::{Read, read_part, read_whole};

use crate::{host::Host, lifecycle::Observed};

/// What a linearizable read said of a pod.
#[derive(Debug)]
pub(super) enum Ownership {
    /// It is bound here.
    Here(Box<Pod>),
    /// It is not there, is another one of the same name, or is bound elsewhere.
    Gone,
    /// The store did not say.
    Unknown,
}

/// Asks the store whether `pod` is still this host's.
pub(super) async fn confirm(host: &Host, pod: &Pod) -> Ownership {
    let meta = &pod.metadata;
    let namespace = meta.namespace.as_deref().unwrap_or_default();
    let name = meta.name.as_deref().unwrap_or_default();
    match host.storage.typed::<Pod>().get(namespace, name).await {
        Ok(stored) => judge(stored, meta.uid.as_deref(), &host.config.node_name),
        Err(error) => {
            tracing::debug!(namespace, name, %error, "cannot tell whether a pod is gone");
            Ownership::Unknown
        }
    }
}

fn judge(stored: Option<Pod>, uid: Option<&str>, node: &str) -> Ownership {
    match stored {
        Some(stored) if stored.metadata.uid.as_deref() == uid && is_bound(&stored, node) => {
            Ownership::Here(Box::new(stored))
        }
        _ => Ownership::Gone,
    }
}

/// Whether a pod is bound to `node`.
pub(crate) fn is_bound(pod: &Pod, node: &str) -> bool {
    pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) == Some(node)
}

/// Reads the pods that are bound to `node`. Most are bound elsewhere and only looked at for that.
pub(crate) fn bound_to(node: String) -> Read<Pod> {
    #[derive(Deserialize)]
    struct Partial {
        spec: Option<Spec>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Spec {
        node_name: Option<String>,
    }
    // As the store writes it. Of all pods of the cluster most have it nowhere, and are not read.
    let here = memmem::Finder::new(&format!("\"nodeName\":{}", json!(node))).into_owned();
    Box::new(move |record| {
        if here.find(&record.value).is_none() {
            return Ok(None);
        }
        let spec = read_part::<Partial>(record)?.spec;
        let is_own = spec.and_then(|spec| spec.node_name).as_deref() == Some(&*node);
        is_own.then(|| read_whole(record)).transpose()
    })
}

/// The uid of a pod.
pub(super) fn uid_of(pod: &Pod) -> String {
    pod.metadata.uid.clone().unwrap_or_default()
}

/// As much of a pod as the runtime knows.
pub(super) fn pod_of(uid: &str, observed: &Observed) -> Arc<Pod> {
    let sandbox = observed.newest_sandbox();
    Arc::new(Pod {
        metadata: ObjectMeta {
            uid: Some(uid.to_owned()),
            namespace: sandbox.map(|sandbox| sandbox.namespace.clone()),
            name: sandbox.map(|sandbox| sandbox.name.clone()),
            ..ObjectMeta::default()
        },
        spec: Some(PodSpec::default()),
        status: None,
    })
}

#[cfg(test)]
mod tests {
    use skein_consensus::{Key, Record, Revision};
    use skein_objects::canonical;

    use super::*;

    #[test]
    fn of_all_pods_those_bound_here_are_kept() {
        let read = bound_to("h1".to_owned());
        let kept = |object| {
            let record = Record {
                key: Key::new("pods", "default", "p"),
                value: canonical(&object),
                created: Revision(1),
                modified: Revision(1),
            };
            read(&record).expect("a pod").is_some()
        };
        assert!(kept(json!({"spec": {"nodeName": "h1", "containers": []}})));
        let elsewhere = json!({"spec": {"nodeName": "h11", "containers": []}});
        let noted = json!({"metadata": {"annotations": {"nodeName": "h1"}},
            "spec": {"containers": []}});
        for pod in [elsewhere, noted, json!({"spec": {"containers": []}})] {
            assert!(!kept(pod.clone()), "{pod}");
        }
    }

    fn pod(uid: &str, node: &str) -> Pod {
        let mut pod = Pod::default();
        pod.metadata.uid = Some(uid.to_owned());
        pod.spec = Some(PodSpec { node_name: Some(node.to_owned()), ..PodSpec::default() });
        pod
    }

    #[test]
    fn a_pod_is_here_only_under_its_uid_and_bound_to_this_node() {
        let cases = [
            (Some(pod("u", "h1")), true),
            (Some(pod("other", "h1")), false),
            (Some(pod("u", "h2")), false),
            (None, false),
        ];
        for (stored, here) in cases {
            let ownership = judge(stored, Some("u"), "h1");
            assert_eq!(matches!(ownership, Ownership::Here(_)), here, "{ownership:?}");
        }
    }
}
