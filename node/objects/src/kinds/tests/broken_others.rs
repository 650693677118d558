//! What volumes, bounds, roles and the like must be, and what is said when they are not.

use super::stable::{merge, named, of, refused};
use super::*;

fn volume(spec: Value) -> Value {
    let mut all = json!({"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
        "hostPath": {"path": "/data"}});
    merge(&mut all, spec);
    of(all)
}

fn claim(spec: Value) -> Value {
    let mut all =
        json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1"}}});
    merge(&mut all, spec);
    of(all)
}

#[test]
fn broken_volumes_and_bounds_are_refused_with_the_field_at_fault() {
    refused(vec![
        (
            "persistentvolumes",
            of(json!({"capacity": {"storage": "1"}, "accessModes": ["ReadWriteOnce"]})),
            "spec: Required value: must specify a volume type",
        ),
        (
            "persistentvolumes",
            volume(json!({"nfs": {"path": "/", "server": "h"}})),
            "spec.nfs: Forbidden: may not specify more than 1 volume type",
        ),
        (
            "persistentvolumes",
            volume(json!({"capacity": {"storage": "0"}})),
            "spec.capacity[storage]: Invalid value: \"0\": must be greater than zero",
        ),
        (
            "persistentvolumes",
            volume(json!({"accessModes": ["ReadWriteOnce", "ReadWriteOncePod"]})),
            "spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes",
        ),
        (
            "persistentvolumeclaims",
            claim(json!({"accessModes": []})),
            "spec.accessModes: Required value: at least 1 access mode is required",
        ),
        (
            "persistentvolumeclaims",
            claim(json!({"resources": {}})),
            "spec.resources[storage]: Required value",
        ),
        (
            "storageclasses.storage.k8s.io",
            named("x", json!({"provisioner": "a", "volumeBindingMode": "Soon"})),
            "volumeBindingMode: Unsupported value: \"Soon\": supported values: \"Immediate\", \"WaitForFirstConsumer\"",
        ),
        (
            "csidrivers.storage.k8s.io",
            of(json!({"fsGroupPolicy": "Some"})),
            "spec.fsGroupPolicy: Unsupported value: \"Some\"",
        ),
        (
            "csinodes.storage.k8s.io",
            of(json!({"drivers": [{"name": "a"}]})),
            "spec.drivers[0].nodeID: Required value",
        ),
        (
            "volumeattachments.storage.k8s.io",
            of(json!({"attacher": "a", "nodeName": "h1"})),
            "spec.source: Required value: must specify exactly one of inlineVolumeSpec and persistentVolumeName",
        ),
        (
            "priorityclasses.scheduling.k8s.io",
            named("x", json!({"value": 2_000_000_000})),
            "value: Forbidden: maximum allowed value of a user defined priority is 1000000000",
        ),
        (
            "priorityclasses.scheduling.k8s.io",
            named("system-mine", json!({"value": 1})),
            "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved",
        ),
        (
            "resourcequotas",
            of(json!({"hard": {"cpu": "-1"}})),
            "spec.hard[cpu]: Invalid value: \"-1\": must be greater than or equal to 0",
        ),
        (
            "resourcequotas",
            of(json!({"hard": {"gold": "1"}})),
            "spec.hard[gold]: Invalid value: \"gold\": must be a standard resource for quota",
        ),
        (
            "resourcequotas",
            of(json!({"hard": {"pods": "1500m"}})),
            "spec.hard[pods]: Invalid value: \"1500m\": must be an integer",
        ),
        (
            "limitranges",
            of(
                json!({"limits": [{"type": "Container", "min": {"cpu": "2"}, "max": {"cpu": "1"}}]}),
            ),
            "spec.limits[0].min[cpu]: Invalid value: \"2\": min value 2 is greater than max value 1",
        ),
        (
            "limitranges",
            of(json!({"limits": [{"type": "Pod", "default": {"cpu": "1"}}]})),
            "spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'",
        ),
        (
            "runtimeclasses.node.k8s.io",
            named("x", json!({"handler": "a.b"})),
            "handler: Invalid value: \"a.b\": a lowercase RFC 1123 label",
        ),
        (
            "leases.coordination.k8s.io",
            of(json!({"leaseDurationSeconds": 0})),
            "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
        ),
    ]);
}

#[test]
fn broken_roles_and_requests_are_refused_with_the_field_at_fault() {
    let role = |kind: &str| json!({"kind": kind, "name": "r"});
    refused(vec![
        (
            "roles.rbac.authorization.k8s.io",
            named("x", json!({"rules": [{"resources": ["pods"], "apiGroups": [""]}]})),
            "rules[0].verbs: Required value: verbs must contain at least one value",
        ),
        (
            "roles.rbac.authorization.k8s.io",
            named("x", json!({"rules": [{"verbs": ["get"], "nonResourceURLs": ["/"]}]})),
            "rules[0].nonResourceURLs: Invalid value: [\"/\"]: namespaced rules cannot apply to non-resource URLs",
        ),
        (
            "roles.rbac.authorization.k8s.io",
            named("a%b", json!({})),
            "metadata.name: Invalid value: \"a%b\": may not contain '%'",
        ),
        (
            "clusterroles.rbac.authorization.k8s.io",
            named("x", json!({"aggregationRule": {}})),
            "aggregationRule.clusterRoleSelectors: Required value",
        ),
        (
            "clusterrolebindings.rbac.authorization.k8s.io",
            named("x", json!({"roleRef": role("Role")})),
            "roleRef.kind: Unsupported value: \"Role\": supported values: \"ClusterRole\"",
        ),
        (
            "clusterrolebindings.rbac.authorization.k8s.io",
            named(
                "x",
                json!({"roleRef": role("ClusterRole"), "subjects": [
                    {"kind": "ServiceAccount", "name": "a"}]}),
            ),
            "subjects[0].namespace: Required value",
        ),
        (
            "rolebindings.rbac.authorization.k8s.io",
            named(
                "x",
                json!({"roleRef": role("Role"), "subjects": [{"kind": "Robot", "name": "a"}]}),
            ),
            "subjects[0].kind: Unsupported value: \"Robot\": supported values: \"ServiceAccount\", \"User\", \"Group\"",
        ),
        (
            "certificatesigningrequests.certificates.k8s.io",
            of(json!({"request": "eA==", "signerName": "mine", "usages": ["any"]})),
            "spec.signerName: Invalid value: \"mine\": must be a fully qualified domain and path",
        ),
        (
            "mutatingwebhookconfigurations.admissionregistration.k8s.io",
            named("x", json!({"webhooks": [{"name": "a.example.com"}]})),
            "webhooks[0].sideEffects: Required value: must specify one of None, NoneOnDryRun",
        ),
        (
            "mutatingwebhookconfigurations.admissionregistration.k8s.io",
            named("x", json!({"webhooks": [{"name": "a.example.com"}]})),
            "webhooks[0].clientConfig: Required value: exactly one of url or service is required",
        ),
    ]);
}
