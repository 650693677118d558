//! The table of kinds. A new kind is one entry here, plus a strategy when it has rules.

mod data;
mod event;
mod namespace;
mod node;
mod pod;
#[cfg(test)]
mod tests;
mod token;
mod workload;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Namespace, Node, Pod, Secret, ServiceAccount};

use crate::kind::{Kind, WORKLOAD_SCALE};
use crate::table;
use crate::token::JoinToken;

/// Every kind served.
pub(crate) static KINDS: &[Kind] = &[
    Kind::of::<ConfigMap>("configmap")
        .shown(table::CONFIG_MAP)
        .short(&["cm"])
        .ruled_by(&data::ConfigMapStrategy),
    Kind::of::<Event>("event")
        .shown(table::EVENT)
        .short(&["ev"])
        .selectable(&[
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
        ])
        .ruled_by(&event::EventStrategy),
    Kind::of::<Namespace>("namespace")
        .shown(table::NAMESPACE)
        .short(&["ns"])
        .with_status()
        .selectable(&["status.phase"])
        .ruled_by(&namespace::NamespaceStrategy),
    Kind::of::<Node>("node")
        .shown(table::NODE)
        .short(&["no"])
        .with_status()
        .selectable(&["spec.unschedulable"])
        .ruled_by(&node::NodeStrategy),
    Kind::of::<Pod>("pod")
        .shown(table::POD)
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
    Kind::of::<Secret>("secret")
        .shown(table::SECRET)
        .selectable(&["type"])
        .ruled_by(&data::SecretStrategy),
    Kind::of::<ServiceAccount>("serviceaccount").shown(table::SERVICE_ACCOUNT).short(&["sa"]),
    Kind::of::<Deployment>("deployment")
        .shown(table::DEPLOYMENT)
        .short(&["deploy"])
        .in_all()
        .with_status()
        .with_generation()
        .with_scale(WORKLOAD_SCALE)
        .ruled_by(&workload::DeploymentStrategy),
    Kind::of::<ReplicaSet>("replicaset")
        .shown(table::REPLICA_SET)
        .short(&["rs"])
        .in_all()
        .with_status()
        .with_generation()
        .with_scale(WORKLOAD_SCALE)
        .selectable(&["status.replicas"])
        .ruled_by(&workload::ReplicaSetStrategy),
    Kind::of::<Lease>("lease").shown(table::LEASE),
    Kind::of::<JoinToken>("jointoken")
        .shown(table::JOIN_TOKEN)
        .short(&["jt"])
        .with_status()
        .ruled_by(&token::JoinTokenStrategy),
];
