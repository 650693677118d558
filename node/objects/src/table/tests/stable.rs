//! The columns of the stable kinds and what is in them, as `kubectl get -o wide` prints them.

use super::*;

/// The header and the row of an object, its cells apart by bars.
fn shown(resource: &str, object: Value) -> [String; 2] {
    let kind = registry().by_store_resource(resource).unwrap();
    let mut object = object;
    object["metadata"] = meta("x");
    let header: Vec<&str> = columns(kind).iter().map(Column::name).collect();
    let cells = row(kind, object, NOW.parse().unwrap());
    let cells: Vec<String> =
        cells.iter().map(|cell| cell.as_str().map_or(cell.to_string(), str::to_owned)).collect();
    [header.join("|"), cells.join("|")]
}

fn check(cases: Vec<(&str, Value, &str, &str)>) {
    for (resource, object, header, cells) in cases {
        assert_eq!(shown(resource, object), [header, cells], "{resource}");
    }
}

fn containers() -> Value {
    json!({"spec": {"containers": [{"name": "web", "image": "hello:1"}]}})
}

#[test]
fn workloads_have_their_columns() {
    const JOB: &str = "Name|Status|Completions|Duration|Age|Containers|Images|Selector";
    let job = |spec: Value, status: Value| {
        let mut object = json!({"spec": spec, "status": status});
        object["spec"]["template"] = containers();
        object
    };
    check(vec![
        (
            "statefulsets.apps",
            json!({"spec": {"replicas": 3, "template": containers()},
                "status": {"readyReplicas": 2}}),
            "Name|Ready|Age|Containers|Images",
            "x|2/3|5m|web|hello:1",
        ),
        (
            "daemonsets.apps",
            json!({"spec": {"selector": {"matchLabels": {"a": "b"}}, "template": containers()},
                "status": {"desiredNumberScheduled": 3, "numberReady": 2}}),
            "Name|Desired|Current|Ready|Up-to-date|Available|Node Selector|Age|Containers|Images|Selector",
            "x|3|0|2|0|0|<none>|5m|web|hello:1|a=b",
        ),
        (
            "replicationcontrollers",
            json!({"spec": {"replicas": 1, "selector": {"a": "b"}, "template": containers()}}),
            "Name|Desired|Current|Ready|Age|Containers|Images|Selector",
            "x|1|0|0|5m|web|hello:1|a=b",
        ),
        (
            "podtemplates",
            json!({"template": containers()}),
            "Name|Containers|Images|Pod Labels",
            "x|web|hello:1|<none>",
        ),
        (
            "jobs.batch",
            job(
                json!({"completions": 2, "selector": {"matchLabels": {"a": "b"}}}),
                json!({"succeeded": 1, "startTime": "2026-01-01T00:59:00Z"}),
            ),
            JOB,
            "x|Running|1/2|60s|5m|web|hello:1|a=b",
        ),
        (
            "jobs.batch",
            job(
                json!({"parallelism": 3}),
                json!({"succeeded": 1, "conditions": [{"type": "Complete", "status": "True"}],
                    "startTime": "2026-01-01T00:56:00Z", "completionTime": "2026-01-01T00:56:05Z"}),
            ),
            JOB,
            "x|Complete|1/1 of 3|5s|5m|web|hello:1|<none>",
        ),
        (
            "cronjobs.batch",
            json!({"spec": {"schedule": "@daily", "suspend": false,
                "jobTemplate": {"spec": {"template": containers()}}}}),
            "Name|Schedule|Timezone|Suspend|Active|Last Schedule|Age|Containers|Images|Selector",
            "x|@daily|<none>|False|0|<none>|5m|web|hello:1|<none>",
        ),
        (
            "horizontalpodautoscalers.autoscaling",
            json!({"spec": {"minReplicas": 1, "maxReplicas": 3,
                    "scaleTargetRef": {"kind": "Deployment", "name": "web"}, "metrics": [
                    {"type": "Resource", "resource":
                        {"name": "cpu", "target": {"averageUtilization": 80}}},
                    {"type": "External", "external": {"target": {"averageValue": "5"}}},
                    {"type": "Pods", "pods": {"target": {"averageValue": "7"}}}]},
                "status": {"currentReplicas": 2, "currentMetrics": [
                    {"type": "Resource", "resource":
                        {"name": "cpu", "current": {"averageUtilization": 40, "averageValue": "1"}}}]}}),
            "Name|Reference|Targets|MinPods|MaxPods|Replicas|Age",
            "x|Deployment/web|cpu: 40%/80%, <unknown>/5 (avg) + 1 more...|1|3|2|5m",
        ),
        (
            "poddisruptionbudgets.policy",
            json!({"spec": {"minAvailable": "50%"}, "status": {"disruptionsAllowed": 1}}),
            "Name|Min Available|Max Unavailable|Allowed Disruptions|Age",
            "x|50%|N/A|1|5m",
        ),
    ]);
}

#[test]
fn services_and_what_leads_to_them_have_their_columns() {
    const SERVICE: &str = "Name|Type|Cluster-IP|External-IP|Port(s)|Age|Selector";
    check(vec![
        (
            "services",
            json!({"spec": {"type": "NodePort", "clusterIPs": ["10.43.0.1"],
                "selector": {"app": "web"}, "ports": [
                    {"port": 80, "nodePort": 30080, "protocol": "TCP"},
                    {"port": 53, "protocol": "UDP"}]}}),
            SERVICE,
            "x|NodePort|10.43.0.1|<none>|80:30080/TCP,53/UDP|5m|app=web",
        ),
        (
            "services",
            json!({"spec": {"type": "LoadBalancer", "externalIPs": ["1.1.1.1"]},
                "status": {"loadBalancer": {"ingress": [{"hostname": "b"}, {"ip": "a"}, {"ip": "a"}]}}}),
            SERVICE,
            "x|LoadBalancer|<none>|a,b,1.1.1.1|<none>|5m|<none>",
        ),
        (
            "services",
            json!({"spec": {"type": "LoadBalancer"}}),
            SERVICE,
            "x|LoadBalancer|<none>|<pending>|<none>|5m|<none>",
        ),
        (
            "services",
            json!({"spec": {"type": "ExternalName", "externalName": "a.b"}}),
            SERVICE,
            "x|ExternalName|<none>|a.b|<none>|5m|<none>",
        ),
        (
            "endpoints",
            json!({"subsets": [{"addresses": [{"ip": "1.1.1.1"}, {"ip": "::1"}],
                "ports": [{"port": 1}, {"port": 2}]}]}),
            "Name|Endpoints|Age",
            "x|1.1.1.1:1,[::1]:1,1.1.1.1:2 + 1 more...|5m",
        ),
        ("endpoints", json!({}), "Name|Endpoints|Age", "x|<none>|5m"),
        (
            "endpointslices.discovery.k8s.io",
            json!({"addressType": "IPv4", "endpoints": [{"addresses": ["1.1.1.1"]}],
                "ports": [{"port": 1}, {"name": "any"}, {}]}),
            "Name|AddressType|Ports|Endpoints|Age",
            "x|IPv4|1,any,*|1.1.1.1|5m",
        ),
        (
            "endpointslices.discovery.k8s.io",
            json!({"addressType": "IPv4"}),
            "Name|AddressType|Ports|Endpoints|Age",
            "x|IPv4|<unset>|<unset>|5m",
        ),
        (
            "ingresses.networking.k8s.io",
            json!({"spec": {"ingressClassName": "c", "tls": [{}], "rules": [{"host": "a"}, {}]}}),
            "Name|Class|Hosts|Address|Ports|Age",
            "x|c|a||80, 443|5m",
        ),
        (
            "ingressclasses.networking.k8s.io",
            json!({"spec": {"controller": "a.b/c",
                "parameters": {"apiGroup": "g", "kind": "K", "name": "n"}}}),
            "Name|Controller|Parameters|Age",
            "x|a.b/c|K.g/n|5m",
        ),
        (
            "networkpolicies.networking.k8s.io",
            json!({"spec": {"podSelector": {}}}),
            "Name|Pod-Selector|Age",
            "x|<none>|5m",
        ),
    ]);
}

#[test]
fn volumes_and_bounds_have_their_columns() {
    const VOLUME: &str = "Name|Capacity|Access Modes|Reclaim Policy|Status|Claim|StorageClass|VolumeAttributesClass|Reason|Age|VolumeMode";
    const CLAIM: &str = "Name|Status|Volume|Capacity|Access Modes|StorageClass|VolumeAttributesClass|Age|VolumeMode";
    check(vec![
        (
            "persistentvolumes",
            json!({"spec": {"capacity": {"storage": "1Gi"},
                    "accessModes": ["ReadWriteMany", "ReadWriteOnce"],
                    "persistentVolumeReclaimPolicy": "Retain", "volumeMode": "Filesystem",
                    "claimRef": {"namespace": "n", "name": "c"}},
                "status": {"phase": "Bound"}}),
            VOLUME,
            "x|1Gi|RWO,RWX|Retain|Bound|n/c||<unset>||5m|Filesystem",
        ),
        (
            "persistentvolumeclaims",
            json!({"spec": {"volumeName": "v", "storageClassName": "s"}, "status": {"phase": "Bound",
                "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]}}),
            CLAIM,
            "x|Bound|v|1Gi|RWO|s|<unset>|5m|<unset>",
        ),
        (
            "persistentvolumeclaims",
            json!({"spec": {"volumeName": ""}, "status": {"phase": "Pending"}}),
            CLAIM,
            "x|Pending|||||<unset>|5m|<unset>",
        ),
        (
            "storageclasses.storage.k8s.io",
            json!({"provisioner": "a.b", "reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"}),
            "Name|Provisioner|ReclaimPolicy|VolumeBindingMode|AllowVolumeExpansion|Age",
            "x|a.b|Delete|Immediate|false|5m",
        ),
        (
            "csidrivers.storage.k8s.io",
            json!({"spec": {"volumeLifecycleModes": ["Persistent"]}}),
            "Name|AttachRequired|PodInfoOnMount|StorageCapacity|TokenRequests|RequiresRepublish|Modes|Age",
            "x|true|false|false|<unset>|false|Persistent|5m",
        ),
        (
            "csinodes.storage.k8s.io",
            json!({"spec": {"drivers": [{}]}}),
            "Name|Drivers|Age",
            "x|1|5m",
        ),
        (
            "volumeattachments.storage.k8s.io",
            json!({"spec": {"attacher": "a", "nodeName": "h", "source": {"persistentVolumeName": "v"}},
                "status": {"attached": true}}),
            "Name|Attacher|PV|Node|Attached|Age",
            "x|a|v|h|true|5m",
        ),
        (
            "priorityclasses.scheduling.k8s.io",
            json!({"value": 7, "preemptionPolicy": "Never"}),
            "Name|Value|Global-Default|Age|PreemptionPolicy",
            "x|7|false|5m|Never",
        ),
        (
            "resourcequotas",
            json!({"spec": {"hard": {"pods": "9"}}, "status": {
                "hard": {"pods": "9", "limits.cpu": "2", "cpu": "1"}, "used": {"pods": "3"}}}),
            "Name|Request|Limit|Age",
            "x|cpu: 0/1, pods: 3/9|limits.cpu: 0/2|5m",
        ),
        ("limitranges", json!({}), "Name|Created At", "x|2026-01-01T00:55:00Z"),
    ]);
}

#[test]
fn roles_and_the_rest_have_their_columns() {
    check(vec![
        (
            "rolebindings.rbac.authorization.k8s.io",
            json!({"roleRef": {"kind": "Role", "name": "r"}, "subjects": [
                {"kind": "User", "name": "a"}, {"kind": "User", "name": "b"},
                {"kind": "ServiceAccount", "namespace": "n", "name": "s"}]}),
            "Name|Role|Age|Users|Groups|ServiceAccounts",
            "x|Role/r|5m|a, b||n/s",
        ),
        ("roles.rbac.authorization.k8s.io", json!({}), "Name|Created At", "x|2026-01-01T00:55:00Z"),
        (
            "certificatesigningrequests.certificates.k8s.io",
            json!({"spec": {"signerName": "a.b/c", "expirationSeconds": 600}, "status":
                {"certificate": "eA==", "conditions": [{"type": "Approved"}]}}),
            "Name|Age|SignerName|Requestor|RequestedDuration|Condition",
            "x|5m|a.b/c||10m|Approved,Issued",
        ),
        ("leases.coordination.k8s.io", json!({"spec": {}}), "Name|Holder|Age", "x||5m"),
        ("runtimeclasses.node.k8s.io", json!({"handler": "h"}), "Name|Handler|Age", "x|h|5m"),
        (
            "mutatingwebhookconfigurations.admissionregistration.k8s.io",
            json!({"webhooks": [{}, {}]}),
            "Name|Webhooks|Age",
            "x|2|5m",
        ),
    ]);
}

#[test]
fn a_revision_names_its_controller() {
    let kind = registry().by_store_resource("controllerrevisions.apps").unwrap();
    let owner = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web",
        "controller": true});
    let mut revision = json!({"metadata": meta("x"), "revision": 2});
    revision["metadata"]["ownerReferences"] = json!([owner]);
    let cells = row(kind, revision, NOW.parse().unwrap());
    assert_eq!(cells, [json!("x"), json!("statefulset.apps/web"), json!(2), json!("5m")]);
}
