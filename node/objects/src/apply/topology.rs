//! Which parts of an object have owners of their own.
//!
//! Kubernetes' own table: `x-kubernetes-list-type`, `x-kubernetes-list-map-keys` and
//! `x-kubernetes-map-type` of its OpenAPI document. What is not here is as the rule has it: maps
//! are granular, lists atomic.

use serde_json::{Value, json};

/// How a map or a list is owned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topology {
    /// As a whole.
    Atomic,
    /// A map, member by member.
    Granular,
    /// A list of scalars, item by item.
    Set,
    /// A list of maps, item by item; these members identify one.
    Map(&'static [&'static str]),
}

use Topology::{Atomic, Granular, Map, Set};

impl Topology {
    /// What the OpenAPI document says of it, as members of a schema.
    pub(crate) fn extensions(self, is_list: bool) -> Vec<(&'static str, Value)> {
        let list = |kind: &str| ("x-kubernetes-list-type", json!(kind));
        match self {
            Atomic if is_list => vec![list("atomic")],
            Atomic => vec![("x-kubernetes-map-type", json!("atomic"))],
            Granular => vec![("x-kubernetes-map-type", json!("granular"))],
            Set => vec![list("set")],
            Map(keys) => vec![("x-kubernetes-list-map-keys", json!(keys)), list("map")],
        }
    }
}

/// Type (without `io.k8s.`), field (empty: values of the type itself), topology; sorted for the
/// binary search.
const RULES: &[(&str, &str, Topology)] = &[
    ("api.admissionregistration.v1.MatchResources", "", Atomic),
    ("api.admissionregistration.v1.MutatingWebhook", "matchConditions", Map(&["name"])),
    ("api.admissionregistration.v1.MutatingWebhookConfiguration", "webhooks", Map(&["name"])),
    ("api.admissionregistration.v1.NamedRuleWithOperations", "", Atomic),
    ("api.admissionregistration.v1.ParamKind", "", Atomic),
    ("api.admissionregistration.v1.ParamRef", "", Atomic),
    ("api.admissionregistration.v1.ValidatingWebhook", "matchConditions", Map(&["name"])),
    ("api.admissionregistration.v1.ValidatingWebhookConfiguration", "webhooks", Map(&["name"])),
    ("api.apps.v1.DaemonSetStatus", "conditions", Map(&["type"])),
    ("api.apps.v1.DeploymentStatus", "conditions", Map(&["type"])),
    ("api.apps.v1.ReplicaSetStatus", "conditions", Map(&["type"])),
    ("api.apps.v1.StatefulSetStatus", "conditions", Map(&["type"])),
    ("api.autoscaling.v2.HorizontalPodAutoscalerStatus", "conditions", Map(&["type"])),
    ("api.batch.v1.PodFailurePolicyOnExitCodesRequirement", "values", Set),
    ("api.batch.v1.UncountedTerminatedPods", "failed", Set),
    ("api.batch.v1.UncountedTerminatedPods", "succeeded", Set),
    ("api.certificates.v1.CertificateSigningRequestStatus", "conditions", Map(&["type"])),
    ("api.core.v1.ConfigMapKeySelector", "", Atomic),
    ("api.core.v1.Container", "env", Map(&["name"])),
    ("api.core.v1.Container", "ports", Map(&["containerPort", "protocol"])),
    ("api.core.v1.Container", "volumeDevices", Map(&["devicePath"])),
    ("api.core.v1.Container", "volumeMounts", Map(&["mountPath"])),
    ("api.core.v1.ContainerRestartRuleOnExitCodes", "values", Set),
    ("api.core.v1.ContainerStatus", "allocatedResourcesStatus", Map(&["name"])),
    ("api.core.v1.ContainerStatus", "volumeMounts", Map(&["mountPath"])),
    ("api.core.v1.EndpointAddress", "", Atomic),
    ("api.core.v1.EndpointPort", "", Atomic),
    ("api.core.v1.EphemeralContainer", "env", Map(&["name"])),
    ("api.core.v1.EphemeralContainer", "ports", Map(&["containerPort", "protocol"])),
    ("api.core.v1.EphemeralContainer", "volumeDevices", Map(&["devicePath"])),
    ("api.core.v1.EphemeralContainer", "volumeMounts", Map(&["mountPath"])),
    ("api.core.v1.FileKeySelector", "", Atomic),
    ("api.core.v1.LocalObjectReference", "", Atomic),
    ("api.core.v1.NamespaceStatus", "conditions", Map(&["type"])),
    ("api.core.v1.NodeSelector", "", Atomic),
    ("api.core.v1.NodeSelectorTerm", "", Atomic),
    ("api.core.v1.NodeSpec", "podCIDRs", Set),
    ("api.core.v1.NodeStatus", "addresses", Map(&["type"])),
    ("api.core.v1.NodeStatus", "conditions", Map(&["type"])),
    ("api.core.v1.ObjectFieldSelector", "", Atomic),
    ("api.core.v1.ObjectReference", "", Atomic),
    ("api.core.v1.PersistentVolumeClaimStatus", "conditions", Map(&["type"])),
    ("api.core.v1.PersistentVolumeSpec", "claimRef", Granular),
    ("api.core.v1.PodSpec", "containers", Map(&["name"])),
    ("api.core.v1.PodSpec", "ephemeralContainers", Map(&["name"])),
    ("api.core.v1.PodSpec", "hostAliases", Map(&["ip"])),
    ("api.core.v1.PodSpec", "imagePullSecrets", Map(&["name"])),
    ("api.core.v1.PodSpec", "initContainers", Map(&["name"])),
    ("api.core.v1.PodSpec", "nodeSelector", Atomic),
    ("api.core.v1.PodSpec", "resourceClaims", Map(&["name"])),
    ("api.core.v1.PodSpec", "schedulingGates", Map(&["name"])),
    (
        "api.core.v1.PodSpec",
        "topologySpreadConstraints",
        Map(&["topologyKey", "whenUnsatisfiable"]),
    ),
    ("api.core.v1.PodSpec", "volumes", Map(&["name"])),
    ("api.core.v1.PodStatus", "conditions", Map(&["type"])),
    ("api.core.v1.PodStatus", "podIPs", Map(&["ip"])),
    ("api.core.v1.PodStatus", "resourceClaimStatuses", Map(&["name"])),
    ("api.core.v1.ReplicationControllerSpec", "selector", Atomic),
    ("api.core.v1.ReplicationControllerStatus", "conditions", Map(&["type"])),
    ("api.core.v1.ResourceFieldSelector", "", Atomic),
    ("api.core.v1.ResourceRequirements", "claims", Map(&["name"])),
    ("api.core.v1.ResourceStatus", "resources", Map(&["resourceID"])),
    ("api.core.v1.ScopeSelector", "", Atomic),
    ("api.core.v1.SecretKeySelector", "", Atomic),
    ("api.core.v1.SecretReference", "", Atomic),
    ("api.core.v1.ServiceAccount", "secrets", Map(&["name"])),
    ("api.core.v1.ServiceSpec", "ports", Map(&["port", "protocol"])),
    ("api.core.v1.ServiceSpec", "selector", Atomic),
    ("api.core.v1.ServiceStatus", "conditions", Map(&["type"])),
    ("api.core.v1.TopologySelectorTerm", "", Atomic),
    ("api.core.v1.TypedLocalObjectReference", "", Atomic),
    ("api.discovery.v1.Endpoint", "addresses", Set),
    ("api.discovery.v1.EndpointPort", "", Atomic),
    ("api.networking.v1.ServiceBackendPort", "", Atomic),
    ("api.node.v1.Scheduling", "nodeSelector", Atomic),
    ("api.policy.v1.PodDisruptionBudgetStatus", "conditions", Map(&["type"])),
    ("api.rbac.v1.RoleRef", "", Atomic),
    ("api.rbac.v1.Subject", "", Atomic),
    ("api.storage.v1.CSIDriverSpec", "volumeLifecycleModes", Set),
    ("api.storage.v1.CSINodeSpec", "drivers", Map(&["name"])),
    ("apimachinery.pkg.apis.meta.v1.LabelSelector", "", Atomic),
    ("apimachinery.pkg.apis.meta.v1.ObjectMeta", "finalizers", Set),
    ("apimachinery.pkg.apis.meta.v1.ObjectMeta", "ownerReferences", Map(&["uid"])),
    ("apimachinery.pkg.apis.meta.v1.OwnerReference", "", Atomic),
];

/// What is said of a field of a type, or with an empty field of the type, by its OpenAPI name.
pub(crate) fn topology(type_name: &str, field: &str) -> Option<Topology> {
    let short = type_name.strip_prefix("io.k8s.")?;
    let found = RULES.binary_search_by(|(of, name, _)| (*of, *name).cmp(&(short, field))).ok()?;
    RULES.get(found).map(|(_, _, topology)| *topology)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema;

    #[test]
    fn the_table_is_sorted() {
        assert!(RULES.is_sorted_by_key(|(of, field, _)| (*of, *field)));
    }

    #[test]
    fn every_rule_names_a_field_of_its_type() {
        let definitions = schema::definitions();
        for (of, field, topology) in RULES {
            let Some(schema) = definitions.get(&format!("io.k8s.{of}")) else { continue };
            let member = &schema["properties"][*field];
            assert!(field.is_empty() || member.is_object(), "{of}.{field}");
            let is_list = member["type"] == "array";
            assert_eq!(matches!(topology, Set | Map(_)), is_list, "{of}.{field}");
        }
    }
}
