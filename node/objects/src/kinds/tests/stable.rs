//! The kinds whose objects are kept before anybody acts on them: what each fills in and keeps.

use super::*;

pub(super) fn template(restart: &str) -> Value {
    json!({"metadata": {"labels": {"app": "web"}}, "spec": {
        "restartPolicy": restart, "containers": [{"name": "web", "image": "hello:1"}]}})
}

pub(super) fn workload(spec: Value) -> Value {
    let mut all =
        json!({"selector": {"matchLabels": {"app": "web"}}, "template": template("Always")});
    merge(&mut all, spec);
    json!({"metadata": {"name": "w"}, "spec": all})
}

/// Sets members.
pub(super) fn merge(into: &mut Value, from: Value) {
    for (name, value) in from.as_object().unwrap() {
        into[name] = value.clone();
    }
}

pub(super) fn of(spec: Value) -> Value {
    json!({"metadata": {"name": "x"}, "spec": spec})
}

pub(super) fn named(name: &str, members: Value) -> Value {
    let mut all = json!({"metadata": {"name": name}});
    merge(&mut all, members);
    all
}

/// Demands that each object is refused with a message that contains the text beside it.
pub(super) fn refused(cases: Vec<(&str, Value, &str)>) {
    for (resource, object, expected) in cases {
        let answer = create(resource, object).map_err(|error| error.to_string());
        let message = answer.err().unwrap_or_default();
        assert!(message.contains(expected), "{resource}: {message:?} lacks {expected:?}");
    }
}

/// One sound object of each kind, and what a sound one gets where the user wrote nothing.
pub(super) fn sound() -> Vec<(&'static str, Value, Value)> {
    let claim =
        json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
    let job = json!({"template": template("Never")});
    vec![
        (
            "statefulsets.apps",
            // Its containers mount what its claims are for.
            workload(json!({"serviceName": "db",
                "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [
                    {"name": "web", "image": "hello:1",
                        "volumeMounts": [{"name": "data", "mountPath": "/data"}]}]}},
                "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}]})),
            json!({"/spec/replicas": 1, "/spec/podManagementPolicy": "OrderedReady",
                "/spec/updateStrategy/rollingUpdate/partition": 0,
                "/spec/updateStrategy/rollingUpdate/maxUnavailable": 1,
                "/spec/persistentVolumeClaimRetentionPolicy/whenScaled": "Retain",
                "/spec/volumeClaimTemplates/0/spec/volumeMode": "Filesystem",
                "/spec/volumeClaimTemplates/0/status/phase": "Pending"}),
        ),
        (
            "daemonsets.apps",
            workload(json!({})),
            json!({"/spec/updateStrategy/rollingUpdate/maxUnavailable": 1,
                "/spec/revisionHistoryLimit": 10,
                "/spec/template/spec/dnsPolicy": "ClusterFirst"}),
        ),
        (
            "replicationcontrollers",
            of(json!({"template": template("Always")})),
            json!({"/spec/replicas": 1, "/spec/selector/app": "web", "/metadata/labels/app": "web"}),
        ),
        (
            "jobs.batch",
            of(job.clone()),
            json!({"/spec/completions": 1, "/spec/parallelism": 1, "/spec/backoffLimit": 6,
                "/spec/completionMode": "NonIndexed", "/spec/suspend": false,
                "/spec/manualSelector": false,
                "/spec/podReplacementPolicy": "TerminatingOrFailed",
                "/spec/template/metadata/labels/job-name": "x",
                "/spec/selector": {"matchLabels":
                    {"batch.kubernetes.io/controller-uid": stamp().uid.to_string()}},
                "/metadata/labels/app": "web", "/metadata/labels/job-name": "x"}),
        ),
        (
            "cronjobs.batch",
            of(json!({"schedule": "*/5 * * * *", "jobTemplate": {"spec": job}})),
            json!({"/spec/concurrencyPolicy": "Allow", "/spec/successfulJobsHistoryLimit": 3,
                "/spec/failedJobsHistoryLimit": 1, "/spec/suspend": false,
                "/spec/jobTemplate/spec/template/spec/schedulerName": "default-scheduler"}),
        ),
        (
            "horizontalpodautoscalers.autoscaling",
            of(json!({"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "web"},
                "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}}})),
            json!({"/spec/minReplicas": 1, "/spec/metrics/0/resource/name": "cpu",
                "/spec/behavior/scaleUp/policies/0":
                    {"type": "Pods", "value": 4, "periodSeconds": 15},
                "/spec/behavior/scaleUp/stabilizationWindowSeconds": 0,
                "/spec/behavior/scaleDown/policies/0/type": "Percent",
                "/spec/behavior/scaleDown/selectPolicy": "Max"}),
        ),
        (
            "services",
            of(json!({"clusterIP": "10.43.0.9", "ports": [{"port": 80}]})),
            json!({"/spec/type": "ClusterIP", "/spec/ports/0/targetPort": 80,
                "/spec/ports/0/protocol": "TCP", "/spec/internalTrafficPolicy": "Cluster",
                "/spec/sessionAffinity": "None", "/spec/ipFamilies": ["IPv4"],
                "/spec/ipFamilyPolicy": "SingleStack", "/spec/clusterIPs": ["10.43.0.9"],
                "/status/loadBalancer": {}}),
        ),
        (
            "services",
            of(json!({"type": "LoadBalancer", "sessionAffinity": "ClientIP",
                "ports": [{"port": 80, "targetPort": "http"}]})),
            json!({"/spec/externalTrafficPolicy": "Cluster",
                "/spec/allocateLoadBalancerNodePorts": true, "/spec/ports/0/targetPort": "http",
                "/spec/sessionAffinityConfig/clientIP/timeoutSeconds": 10_800}),
        ),
        (
            "services",
            of(json!({"type": "ExternalName", "externalName": "db.example.com."})),
            json!({"/spec/sessionAffinity": "None"}),
        ),
        (
            "endpoints",
            json!({"metadata": {"name": "x"}, "subsets": [
                {"addresses": [{"ip": "10.42.0.2"}], "ports": [{"port": 80}]}]}),
            json!({"/subsets/0/ports/0/protocol": "TCP"}),
        ),
        (
            "endpointslices.discovery.k8s.io",
            json!({"metadata": {"name": "x"}, "addressType": "IPv4", "ports": [{"port": 80}],
                "endpoints": [{"addresses": ["10.42.0.2"]}]}),
            json!({"/ports/0/protocol": "TCP", "/ports/0/name": ""}),
        ),
        (
            "ingresses.networking.k8s.io",
            of(json!({"rules": [{"host": "*.example.com", "http": {"paths": [{"path": "/",
                "pathType": "Prefix", "backend": {"service": {"name": "web", "port": {"number": 80}}}}]}}]})),
            json!({"/status/loadBalancer": {}}),
        ),
        (
            "ingressclasses.networking.k8s.io",
            of(
                json!({"controller": "example.com/proxy", "parameters": {"kind": "P", "name": "p"}}),
            ),
            json!({"/spec/parameters/scope": "Cluster"}),
        ),
        (
            "networkpolicies.networking.k8s.io",
            of(json!({"podSelector": {}, "egress": [{"ports": [{"port": 53}]}]})),
            json!({"/spec/policyTypes": ["Ingress", "Egress"], "/spec/egress/0/ports/0/protocol": "TCP"}),
        ),
        (
            "poddisruptionbudgets.policy",
            of(json!({"minAvailable": "50%", "selector": {}})),
            json!({"/status/disruptionsAllowed": 0}),
        ),
        (
            "priorityclasses.scheduling.k8s.io",
            json!({"metadata": {"name": "x"}, "value": 7}),
            json!({"/preemptionPolicy": "PreemptLowerPriority"}),
        ),
        (
            "limitranges",
            of(json!({"limits": [{"type": "Container", "max": {"cpu": "2"}}]})),
            json!({"/spec/limits/0/default/cpu": "2", "/spec/limits/0/defaultRequest/cpu": "2"}),
        ),
        (
            "persistentvolumes",
            of(json!({"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
                "hostPath": {"path": "/data"}})),
            json!({"/spec/persistentVolumeReclaimPolicy": "Retain", "/status/phase": "Pending",
                "/spec/hostPath/type": "", "/spec/volumeMode": "Filesystem"}),
        ),
        (
            "persistentvolumeclaims",
            of(claim),
            json!({"/spec/volumeMode": "Filesystem", "/status/phase": "Pending"}),
        ),
        (
            "storageclasses.storage.k8s.io",
            json!({"metadata": {"name": "x"}, "provisioner": "example.com/disk"}),
            json!({"/reclaimPolicy": "Delete", "/volumeBindingMode": "Immediate"}),
        ),
        (
            "csidrivers.storage.k8s.io",
            of(json!({"podInfoOnMount": true})),
            json!({"/spec/attachRequired": true, "/spec/podInfoOnMount": true,
                "/spec/fsGroupPolicy": "ReadWriteOnceWithFSType",
                "/spec/volumeLifecycleModes": ["Persistent"]}),
        ),
        (
            "volumeattachments.storage.k8s.io",
            of(json!({"attacher": "example.com", "nodeName": "h1",
                "source": {"persistentVolumeName": "v"}})),
            json!({"/status/attached": false}),
        ),
        (
            "runtimeclasses.node.k8s.io",
            json!({"metadata": {"name": "x"}, "handler": "runsc"}),
            json!({}),
        ),
        (
            "validatingwebhookconfigurations.admissionregistration.k8s.io",
            json!({"metadata": {"name": "x"}, "webhooks": [{"name": "a.example.com",
                "sideEffects": "None", "admissionReviewVersions": ["v1"],
                "clientConfig": {"service": {"name": "a", "namespace": "default"}}}]}),
            json!({"/webhooks/0/failurePolicy": "Fail", "/webhooks/0/timeoutSeconds": 10,
                "/webhooks/0/clientConfig/service/port": 443, "/webhooks/0/objectSelector": {}}),
        ),
        (
            "rolebindings.rbac.authorization.k8s.io",
            json!({"metadata": {"name": "ann:admin"}, "roleRef": {"kind": "ClusterRole", "name": "admin",
                "apiGroup": "rbac.authorization.k8s.io"}, "subjects": [{"kind": "User", "name": "ann"}]}),
            json!({"/subjects/0/apiGroup": "rbac.authorization.k8s.io"}),
        ),
    ]
}

#[test]
fn each_kind_gets_what_kubernetes_documents() {
    for (resource, object, expected) in sound() {
        let made = create(resource, object).unwrap_or_else(|error| panic!("{resource}: {error}"));
        for (pointer, value) in expected.as_object().unwrap() {
            assert_eq!(made.pointer(pointer), Some(value), "{resource} {pointer}: {made}");
        }
        let again = update(resource, made.clone(), &made);
        assert_eq!(again.as_ref(), Ok(&made), "{resource}: an update with nothing changes nothing");
    }
}
