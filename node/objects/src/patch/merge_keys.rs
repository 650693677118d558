//! Which lists a strategic merge patch merges, and by which key.
//!
//! Kubernetes' own table: the `patchStrategy` and `patchMergeKey` of its API types. Lists that
//! are not here are replaced as a whole.

/// How a patch of one field works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MergeRule {
    /// `merge`, `replace`, `retainKeys` or `merge,retainKeys`, as `x-kubernetes-patch-strategy` has
    /// it.
    pub(crate) strategy: &'static str,
    /// The member that identifies an item; empty for lists of scalars and for maps.
    pub(crate) key: &'static str,
}

impl MergeRule {
    pub(crate) fn merges(self) -> bool {
        self.strategy.starts_with("merge")
    }

    /// Whether a map is replaced as a whole, which others are not.
    pub(crate) fn replaces(self) -> bool {
        self.strategy == REPLACE
    }
}

const MERGE: &str = "merge";
const REPLACE: &str = "replace";
const RETAIN: &str = "retainKeys";
const MERGE_RETAIN: &str = "merge,retainKeys";

/// Type (without `io.k8s.`), field, strategy, key; sorted for the binary search.
const RULES: &[(&str, &str, &str, &str)] = &[
    ("api.admissionregistration.v1.MutatingWebhook", "matchConditions", MERGE, "name"),
    ("api.admissionregistration.v1.MutatingWebhookConfiguration", "webhooks", MERGE, "name"),
    ("api.admissionregistration.v1.ValidatingWebhook", "matchConditions", MERGE, "name"),
    ("api.admissionregistration.v1.ValidatingWebhookConfiguration", "webhooks", MERGE, "name"),
    ("api.apps.v1.DaemonSetStatus", "conditions", MERGE, "type"),
    ("api.apps.v1.DeploymentSpec", "strategy", RETAIN, ""),
    ("api.apps.v1.DeploymentStatus", "conditions", MERGE, "type"),
    ("api.apps.v1.ReplicaSetStatus", "conditions", MERGE, "type"),
    ("api.apps.v1.StatefulSetStatus", "conditions", MERGE, "type"),
    ("api.autoscaling.v2.HorizontalPodAutoscalerStatus", "conditions", MERGE, "type"),
    ("api.batch.v1.JobStatus", "conditions", MERGE, "type"),
    ("api.core.v1.Container", "env", MERGE, "name"),
    ("api.core.v1.Container", "ports", MERGE, "containerPort"),
    ("api.core.v1.Container", "volumeDevices", MERGE, "devicePath"),
    ("api.core.v1.Container", "volumeMounts", MERGE, "mountPath"),
    ("api.core.v1.EphemeralContainer", "env", MERGE, "name"),
    ("api.core.v1.EphemeralContainer", "ports", MERGE, "containerPort"),
    ("api.core.v1.EphemeralContainer", "volumeDevices", MERGE, "devicePath"),
    ("api.core.v1.EphemeralContainer", "volumeMounts", MERGE, "mountPath"),
    ("api.core.v1.NamespaceStatus", "conditions", MERGE, "type"),
    ("api.core.v1.NodeSpec", "podCIDRs", MERGE, ""),
    ("api.core.v1.NodeStatus", "addresses", MERGE, "type"),
    ("api.core.v1.NodeStatus", "conditions", MERGE, "type"),
    ("api.core.v1.PersistentVolumeClaimStatus", "conditions", MERGE, "type"),
    ("api.core.v1.PodSpec", "containers", MERGE, "name"),
    ("api.core.v1.PodSpec", "ephemeralContainers", MERGE, "name"),
    ("api.core.v1.PodSpec", "hostAliases", MERGE, "ip"),
    ("api.core.v1.PodSpec", "imagePullSecrets", MERGE, "name"),
    ("api.core.v1.PodSpec", "initContainers", MERGE, "name"),
    ("api.core.v1.PodSpec", "resourceClaims", MERGE_RETAIN, "name"),
    ("api.core.v1.PodSpec", "schedulingGates", MERGE, "name"),
    ("api.core.v1.PodSpec", "topologySpreadConstraints", MERGE, "topologyKey"),
    ("api.core.v1.PodSpec", "volumes", MERGE_RETAIN, "name"),
    ("api.core.v1.PodStatus", "conditions", MERGE, "type"),
    ("api.core.v1.PodStatus", "hostIPs", MERGE, "ip"),
    ("api.core.v1.PodStatus", "podIPs", MERGE, "ip"),
    ("api.core.v1.PodStatus", "resourceClaimStatuses", MERGE_RETAIN, "name"),
    ("api.core.v1.ReplicationControllerStatus", "conditions", MERGE, "type"),
    ("api.core.v1.ServiceAccount", "secrets", MERGE, "name"),
    ("api.core.v1.ServiceSpec", "ports", MERGE, "port"),
    ("api.core.v1.ServiceStatus", "conditions", MERGE, "type"),
    ("api.policy.v1.PodDisruptionBudgetSpec", "selector", REPLACE, ""),
    ("api.policy.v1.PodDisruptionBudgetStatus", "conditions", MERGE, "type"),
    ("api.storage.v1.CSINodeSpec", "drivers", MERGE, "name"),
    ("apimachinery.pkg.apis.meta.v1.ObjectMeta", "finalizers", MERGE, ""),
    ("apimachinery.pkg.apis.meta.v1.ObjectMeta", "ownerReferences", MERGE, "uid"),
];

/// The rule for a field of a type, by the type's OpenAPI name.
pub(crate) fn merge_rule(type_name: &str, field: &str) -> Option<MergeRule> {
    let short = type_name.strip_prefix("io.k8s.")?;
    let found = RULES.binary_search_by(|(of, name, ..)| (*of, *name).cmp(&(short, field))).ok()?;
    let (_, _, strategy, key) = *RULES.get(found)?;
    Some(MergeRule { strategy, key })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema;

    #[test]
    fn the_table_is_sorted() {
        assert!(RULES.is_sorted_by_key(|(of, field, ..)| (*of, *field)));
    }

    #[test]
    fn every_rule_names_a_field_of_its_type() {
        let definitions = schema::definitions();
        for (of, field, ..) in RULES {
            let Some(schema) = definitions.get(&format!("io.k8s.{of}")) else { continue };
            assert!(schema["properties"].get(*field).is_some(), "{of}.{field}");
        }
    }
}
