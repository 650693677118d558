//! Which parts of an object have owners of their own.
//!
//! Kubernetes' own table: `x-kubernetes-list-type`, `x-kubernetes-list-map-keys` and
//! `x-kubernetes-map-type` of its OpenAPI document. What is not here is as the rule has it: maps
//! are granular, lists atomic.

use serde_json::{Value, json};

use crate::schema::TypeRef;

/// How a map or a list is owned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topology<'s> {
    /// As a whole.
    Atomic,
    /// A map, member by member.
    Granular,
    /// A list of scalars, item by item.
    Set,
    /// A list of maps, item by item; these members identify one.
    Map(Keys<'s>),
}

/// The names of members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keys<'s> {
    /// Those of a type of this binary.
    Known(&'static [&'static str]),
    /// Those a custom schema lists.
    Listed(&'s [Value]),
}

impl<'s> Keys<'s> {
    pub(crate) fn iter(self) -> impl Iterator<Item = &'s str> {
        let (known, listed) = match self {
            Self::Known(known) => (known, &[][..]),
            Self::Listed(listed) => (&[][..], listed),
        };
        known.iter().copied().chain(listed.iter().filter_map(Value::as_str))
    }
}

use Topology::{Atomic, Granular, Set};

/// A list of maps that these members of its items identify.
const fn by(keys: &'static [&'static str]) -> Topology<'static> {
    Topology::Map(Keys::Known(keys))
}

impl<'s> Topology<'s> {
    /// What a custom schema says.
    pub(crate) fn declared(of: TypeRef<'s>) -> Option<Self> {
        let text = |name: &str| of.extension(name).and_then(Value::as_str);
        match (text("x-kubernetes-list-type"), text("x-kubernetes-map-type")) {
            (Some("set"), _) => Some(Set),
            (Some("map"), _) => {
                let keys = of.extension("x-kubernetes-list-map-keys").and_then(Value::as_array);
                Some(Self::Map(Keys::Listed(keys.map_or(&[], Vec::as_slice))))
            }
            (Some("atomic"), _) | (_, Some("atomic")) => Some(Atomic),
            (_, Some("granular")) => Some(Granular),
            _ => None,
        }
    }

    /// What the OpenAPI document says of it, as members of a schema.
    pub(crate) fn extensions(self, is_list: bool) -> Vec<(&'static str, Value)> {
        let list = |kind: &str| ("x-kubernetes-list-type", json!(kind));
        match self {
            Atomic if is_list => vec![list("atomic")],
            Atomic => vec![("x-kubernetes-map-type", json!("atomic"))],
            Granular => vec![("x-kubernetes-map-type", json!("granular"))],
            Set => vec![list("set")],
            Self::Map(keys) => {
                let keys: Vec<&str> = keys.iter().collect();
                vec![("x-kubernetes-list-map-keys", json!(keys)), list("map")]
            }
        }
    }
}

/// Type (without `io.k8s.`), field (empty: values of the type itself), topology; sorted for the
/// binary search.
const RULES: &[(&str, &str, Topology<'static>)] = &[
    ("api.admissionregistration.v1.MatchResources", "", Atomic),
    ("api.admissionregistration.v1.MutatingWebhook", "matchConditions", by(&["name"])),
    ("api.admissionregistration.v1.MutatingWebhookConfiguration", "webhooks", by(&["name"])),
    ("api.admissionregistration.v1.NamedRuleWithOperations", "", Atomic),
    ("api.admissionregistration.v1.ParamKind", "", Atomic),
    ("api.admissionregistration.v1.ParamRef", "", Atomic),
    ("api.admissionregistration.v1.ValidatingWebhook", "matchConditions", by(&["name"])),
    ("api.admissionregistration.v1.ValidatingWebhookConfiguration", "webhooks", by(&["name"])),
    ("api.apps.v1.DaemonSetStatus", "conditions", by(&["type"])),
    ("api.apps.v1.DeploymentStatus", "conditions", by(&["type"])),
    ("api.apps.v1.ReplicaSetStatus", "conditions", by(&["type"])),
    ("api.apps.v1.StatefulSetStatus", "conditions", by(&["type"])),
    ("api.autoscaling.v2.HorizontalPodAutoscalerStatus", "conditions", by(&["type"])),
    ("api.batch.v1.PodFailurePolicyOnExitCodesRequirement", "values", Set),
    ("api.batch.v1.UncountedTerminatedPods", "failed", Set),
    ("api.batch.v1.UncountedTerminatedPods", "succeeded", Set),
    ("api.certificates.v1.CertificateSigningRequestStatus", "conditions", by(&["type"])),
    ("api.core.v1.ConfigMapKeySelector", "", Atomic),
    ("api.core.v1.Container", "env", by(&["name"])),
    ("api.core.v1.Container", "ports", by(&["containerPort", "protocol"])),
    ("api.core.v1.Container", "volumeDevices", by(&["devicePath"])),
    ("api.core.v1.Container", "volumeMounts", by(&["mountPath"])),
    ("api.core.v1.ContainerRestartRuleOnExitCodes", "values", Set),
    ("api.core.v1.ContainerStatus", "allocatedResourcesStatus", by(&["name"])),
    ("api.core.v1.ContainerStatus", "volumeMounts", by(&["mountPath"])),
    ("api.core.v1.EndpointAddress", "", Atomic),
    ("api.core.v1.EndpointPort", "", Atomic),
    ("api.core.v1.EphemeralContainer", "env", by(&["name"])),
    ("api.core.v1.EphemeralContainer", "ports", by(&["containerPort", "protocol"])),
    ("api.core.v1.EphemeralContainer", "volumeDevices", by(&["devicePath"])),
    ("api.core.v1.EphemeralContainer", "volumeMounts", by(&["mountPath"])),
    ("api.core.v1.FileKeySelector", "", Atomic),
    ("api.core.v1.LocalObjectReference", "", Atomic),
    ("api.core.v1.NamespaceStatus", "conditions", by(&["type"])),
    ("api.core.v1.NodeSelector", "", Atomic),
    ("api.core.v1.NodeSelectorTerm", "", Atomic),
    ("api.core.v1.NodeSpec", "podCIDRs", Set),
    ("api.core.v1.NodeStatus", "addresses", by(&["type"])),
    ("api.core.v1.NodeStatus", "conditions", by(&["type"])),
    ("api.core.v1.ObjectFieldSelector", "", Atomic),
    ("api.core.v1.ObjectReference", "", Atomic),
    ("api.core.v1.PersistentVolumeClaimStatus", "conditions", by(&["type"])),
    ("api.core.v1.PersistentVolumeSpec", "claimRef", Granular),
    ("api.core.v1.PodSpec", "containers", by(&["name"])),
    ("api.core.v1.PodSpec", "ephemeralContainers", by(&["name"])),
    ("api.core.v1.PodSpec", "hostAliases", by(&["ip"])),
    ("api.core.v1.PodSpec", "imagePullSecrets", by(&["name"])),
    ("api.core.v1.PodSpec", "initContainers", by(&["name"])),
    ("api.core.v1.PodSpec", "nodeSelector", Atomic),
    ("api.core.v1.PodSpec", "resourceClaims", by(&["name"])),
    ("api.core.v1.PodSpec", "schedulingGates", by(&["name"])),
    ("api.core.v1.PodSpec", "topologySpreadConstraints", by(&["topologyKey", "whenUnsatisfiable"])),
    ("api.core.v1.PodSpec", "volumes", by(&["name"])),
    ("api.core.v1.PodStatus", "conditions", by(&["type"])),
    ("api.core.v1.PodStatus", "podIPs", by(&["ip"])),
    ("api.core.v1.PodStatus", "resourceClaimStatuses", by(&["name"])),
    ("api.core.v1.ReplicationControllerSpec", "selector", Atomic),
    ("api.core.v1.ReplicationControllerStatus", "conditions", by(&["type"])),
    ("api.core.v1.ResourceFieldSelector", "", Atomic),
    ("api.core.v1.ResourceRequirements", "claims", by(&["name"])),
    ("api.core.v1.ResourceStatus", "resources", by(&["resourceID"])),
    ("api.core.v1.ScopeSelector", "", Atomic),
    ("api.core.v1.SecretKeySelector", "", Atomic),
    ("api.core.v1.SecretReference", "", Atomic),
    ("api.core.v1.ServiceAccount", "secrets", by(&["name"])),
    ("api.core.v1.ServiceSpec", "ports", by(&["port", "protocol"])),
    ("api.core.v1.ServiceSpec", "selector", Atomic),
    ("api.core.v1.ServiceStatus", "conditions", by(&["type"])),
    ("api.core.v1.TopologySelectorTerm", "", Atomic),
    ("api.core.v1.TypedLocalObjectReference", "", Atomic),
    ("api.discovery.v1.Endpoint", "addresses", Set),
    ("api.discovery.v1.EndpointPort", "", Atomic),
    ("api.networking.v1.ServiceBackendPort", "", Atomic),
    ("api.node.v1.Scheduling", "nodeSelector", Atomic),
    ("api.policy.v1.PodDisruptionBudgetStatus", "conditions", by(&["type"])),
    ("api.rbac.v1.RoleRef", "", Atomic),
    ("api.rbac.v1.Subject", "", Atomic),
    ("api.storage.v1.CSIDriverSpec", "volumeLifecycleModes", Set),
    ("api.storage.v1.CSINodeSpec", "drivers", by(&["name"])),
    ("apimachinery.pkg.apis.meta.v1.LabelSelector", "", Atomic),
    ("apimachinery.pkg.apis.meta.v1.ObjectMeta", "finalizers", Set),
    ("apimachinery.pkg.apis.meta.v1.ObjectMeta", "ownerReferences", by(&["uid"])),
    ("apimachinery.pkg.apis.meta.v1.OwnerReference", "", Atomic),
];

/// What is said of a field of a type, or with an empty field of the type, by its OpenAPI name.
pub(crate) fn topology(type_name: &str, field: &str) -> Option<Topology<'static>> {
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
            assert_eq!(matches!(topology, Set | Topology::Map(_)), is_list, "{of}.{field}");
        }
    }
}
