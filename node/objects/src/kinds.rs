//! The table of kinds. A new kind is one entry here, plus a strategy when it has rules.

mod namespace;
mod pod;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Namespace, Node, Pod, Secret, ServiceAccount};

use crate::kind::{Kind, WORKLOAD_SCALE};
use crate::token::JoinToken;

/// Every kind served.
pub(crate) static KINDS: &[Kind] = &[
    Kind::of::<ConfigMap>("configmap").short(&["cm"]),
    Kind::of::<Event>("event").short(&["ev"]).selectable(&[
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ]),
    Kind::of::<Namespace>("namespace")
        .short(&["ns"])
        .with_status()
        .selectable(&["status.phase"])
        .ruled_by(&namespace::NamespaceStrategy),
    Kind::of::<Node>("node").short(&["no"]).with_status().selectable(&["spec.unschedulable"]),
    Kind::of::<Pod>("pod")
        .short(&["po"])
        .in_all()
        .with_status()
        .with_generation()
        .selectable(&[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ])
        .ruled_by(&pod::PodStrategy),
    Kind::of::<Secret>("secret").selectable(&["type"]),
    Kind::of::<ServiceAccount>("serviceaccount").short(&["sa"]),
    Kind::of::<Deployment>("deployment")
        .short(&["deploy"])
        .in_all()
        .with_status()
        .with_generation()
        .with_scale(WORKLOAD_SCALE),
    Kind::of::<ReplicaSet>("replicaset")
        .short(&["rs"])
        .in_all()
        .with_status()
        .with_generation()
        .with_scale(WORKLOAD_SCALE)
        .selectable(&["status.replicas"]),
    Kind::of::<Lease>("lease"),
    Kind::of::<JoinToken>("jointoken").short(&["jt"]).with_status(),
];
