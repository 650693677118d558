//! What workloads and what goes with them must be, and what is said when they are not.

use super::stable::{merge, named, of, refused, template, workload};
use super::*;

fn job(spec: Value) -> Value {
    let mut all = json!({"template": template("Never")});
    merge(&mut all, spec);
    of(all)
}

fn cron_job(spec: Value) -> Value {
    let mut all =
        json!({"schedule": "@daily", "jobTemplate": {"spec": {"template": template("Never")}}});
    merge(&mut all, spec);
    of(all)
}

fn autoscaler(spec: Value) -> Value {
    let mut all = json!({"maxReplicas": 3, "scaleTargetRef": {"kind": "D", "name": "d"}});
    merge(&mut all, spec);
    of(all)
}

#[test]
fn broken_workloads_are_refused_with_the_field_at_fault() {
    let rolling = |rolling: Value| workload(json!({"updateStrategy": {"rollingUpdate": rolling}}));
    refused(vec![
        (
            "statefulsets.apps",
            workload(json!({"podManagementPolicy": "Later"})),
            "spec.podManagementPolicy: Invalid value: \"Later\": must be 'OrderedReady' or 'Parallel'",
        ),
        (
            "statefulsets.apps",
            workload(json!({"selector": {}})),
            "spec.selector: Invalid value: {}: empty selector is invalid for statefulset",
        ),
        (
            "statefulsets.apps",
            workload(json!({"updateStrategy": {"type": "OnDelete", "rollingUpdate": {}}})),
            "spec.updateStrategy.rollingUpdate: Invalid value: {}: only allowed for updateStrategy 'RollingUpdate'",
        ),
        (
            "statefulsets.apps",
            rolling(json!({"maxUnavailable": 0})),
            "spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: 0: cannot be 0",
        ),
        (
            "statefulsets.apps",
            workload(json!({"ordinals": {"start": -1}})),
            "spec.ordinals.start: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            "statefulsets.apps",
            workload(json!({"volumeClaimTemplates": [{"metadata": {"name": "a"}, "spec": {}}]})),
            "spec.volumeClaimTemplates[0].spec.resources[storage]: Required value",
        ),
        (
            "daemonsets.apps",
            workload(json!({"template": template("Never")})),
            "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
        ),
        (
            "daemonsets.apps",
            rolling(json!({"maxSurge": 1})),
            "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero",
        ),
        (
            "daemonsets.apps",
            rolling(json!({"maxUnavailable": 0})),
            "spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0",
        ),
        (
            "daemonsets.apps",
            rolling(json!({"maxUnavailable": "101%"})),
            "spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: \"101%\": must not be greater than 100%",
        ),
        ("replicationcontrollers", of(json!({})), "spec.template: Required value"),
        (
            "replicationcontrollers",
            of(json!({"selector": {"a": "b"}, "template": template("Always")})),
            "spec.template.metadata.labels: Invalid value: {\"app\":\"web\"}: `selector` does not match template `labels`",
        ),
        (
            "podtemplates",
            named("x", json!({"template": {"spec": {"containers": []}}})),
            "template.spec.containers: Required value",
        ),
        (
            "controllerrevisions.apps",
            named("x", json!({"revision": -1})),
            "[revision: Invalid value: -1: must be greater than or equal to 0, data: Required value: data is mandatory]",
        ),
        (
            "horizontalpodautoscalers.autoscaling",
            autoscaler(json!({"maxReplicas": 1, "minReplicas": 2})),
            "spec.maxReplicas: Invalid value: 1: must be greater than or equal to `minReplicas`",
        ),
        (
            "horizontalpodautoscalers.autoscaling",
            autoscaler(json!({"minReplicas": 0})),
            "spec.minReplicas: Invalid value: 0: must be greater than or equal to 1",
        ),
        (
            "horizontalpodautoscalers.autoscaling",
            autoscaler(json!({"metrics": [{"type": "Guess"}]})),
            "spec.metrics[0].type: Unsupported value: \"Guess\": supported values: \"ContainerResource\", \"External\", \"Object\", \"Pods\", \"Resource\"",
        ),
        (
            "horizontalpodautoscalers.autoscaling",
            autoscaler(json!({"metrics": [{"type": "Resource", "resource":
                {"name": "cpu", "target": {"type": "Utilization"}}}]})),
            "spec.metrics[0].resource.target.averageUtilization: Required value: must set either a target raw value or a target utilization",
        ),
        (
            "horizontalpodautoscalers.autoscaling",
            autoscaler(json!({"behavior": {"scaleUp": {"stabilizationWindowSeconds": 3601}}})),
            "spec.behavior.scaleUp.stabilizationWindowSeconds: Invalid value: 3601: must be less than or equal to 3600",
        ),
        (
            "poddisruptionbudgets.policy",
            of(json!({"minAvailable": 1, "maxUnavailable": 1})),
            "minAvailable and maxUnavailable cannot be both set",
        ),
        (
            "poddisruptionbudgets.policy",
            of(json!({"selector": {"matchExpressions": [{"key": "a", "operator": "In"}]}})),
            "spec.selector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
        ),
    ]);
}

#[test]
fn broken_jobs_are_refused_with_the_field_at_fault() {
    refused(vec![
        (
            "jobs.batch",
            job(json!({"template": template("Always")})),
            "spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"",
        ),
        (
            "jobs.batch",
            job(json!({"completionMode": "Indexed", "parallelism": 2})),
            "spec.completions: Required value: when completion mode is Indexed",
        ),
        (
            "jobs.batch",
            job(json!({"backoffLimit": -1})),
            "spec.backoffLimit: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            "jobs.batch",
            job(json!({"backoffLimitPerIndex": 1})),
            "spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode",
        ),
        (
            "jobs.batch",
            job(json!({"selector": {"matchLabels": {"app": "web"}}})),
            "spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"web\",\"batch.kubernetes.io/controller-uid\":\"00000000-0000-0000-0000-000000000007\"}}: `selector` not auto-generated",
        ),
        ("jobs.batch", job(json!({"manualSelector": true})), "spec.selector: Required value"),
        (
            "jobs.batch",
            job(json!({"podFailurePolicy": {"rules": [{"action": "FailJob"}]}})),
            "spec.podFailurePolicy.rules[0]: Invalid value",
        ),
        (
            "jobs.batch",
            job(json!({"podReplacementPolicy": "Never"})),
            "spec.podReplacementPolicy: Unsupported value: \"Never\": supported values: \"Failed\", \"TerminatingOrFailed\"",
        ),
        (
            "cronjobs.batch",
            cron_job(json!({"schedule": "61 * * * *"})),
            "spec.schedule: Invalid value: \"61 * * * *\": end of range (61) above maximum (59): 61",
        ),
        ("cronjobs.batch", cron_job(json!({"schedule": ""})), "spec.schedule: Required value"),
        (
            "cronjobs.batch",
            cron_job(json!({"timeZone": "local"})),
            "spec.timeZone: Invalid value: \"local\": timeZone must be an explicit time zone",
        ),
        (
            "cronjobs.batch",
            cron_job(json!({"timeZone": "Europe/../Berlin"})),
            "spec.timeZone: Invalid value: \"Europe/../Berlin\": unknown time zone Europe/../Berlin",
        ),
        (
            "cronjobs.batch",
            cron_job(json!({"concurrencyPolicy": "Maybe"})),
            "spec.concurrencyPolicy: Unsupported value: \"Maybe\": supported values: \"Allow\", \"Forbid\", \"Replace\"",
        ),
    ]);
}
