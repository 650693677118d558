//! The table of kinds. A new kind is one entry here, plus a strategy when it has rules.

mod access;
mod autoscaler;
mod certificate;
mod client_config;
mod controllers;
mod cron_job;
mod csi;
mod data;
pub(crate) mod definition;
mod endpoints;
mod event;
mod hooks;
mod ingress;
mod job;
mod lease;
mod namespace;
mod network;
mod network_policy;
mod node;
mod pod;
mod policy;
mod quota;
mod runtime_class;
mod selectors;
mod service;
#[cfg(test)]
mod tests;
mod token;
mod versions;
mod volume;
mod workload;

use std::sync::{Arc, LazyLock};

use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use k8s_openapi::api::apps::v1::{
    ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet,
};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{
    ConfigMap, Endpoints, Event, LimitRange, Namespace, Node, PersistentVolume,
    PersistentVolumeClaim, Pod, PodTemplate, ReplicationController, ResourceQuota, Secret, Service,
    ServiceAccount,
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass, NetworkPolicy};
use k8s_openapi::api::node::v1::RuntimeClass;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use k8s_openapi::api::scheduling::v1::PriorityClass;
use k8s_openapi::api::storage::v1::{CSIDriver, CSINode, StorageClass, VolumeAttachment};
use k8s_openapi::api::{autoscaling, events};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

use crate::kind::{Kind, WORKLOAD_SCALE};
use crate::table;
use crate::token::JoinToken;

/// What events can be selected by.
const EVENT_FIELDS: [&str; 11] = [
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
];

/// The same in the other version.
const NEW_EVENT_FIELDS: [&str; 10] = [
    "regarding.kind",
    "regarding.namespace",
    "regarding.name",
    "regarding.uid",
    "regarding.apiVersion",
    "regarding.resourceVersion",
    "regarding.fieldPath",
    "reason",
    "reportingController",
    "type",
];

/// Every kind of this binary, in the order `kubectl api-resources` groups them.
pub(crate) static KINDS: LazyLock<Vec<Arc<Kind>>> =
    LazyLock::new(|| table().into_iter().map(Arc::new).collect());

fn table() -> Vec<Kind> {
    vec![
        Kind::of::<ConfigMap>("configmap")
            .shown(table::CONFIG_MAP)
            .short(&["cm"])
            .ruled_by(&data::ConfigMapStrategy),
        Kind::of::<Endpoints>("endpoints")
            .shown(table::ENDPOINTS)
            .short(&["ep"])
            .ruled_by(&endpoints::EndpointsStrategy),
        Kind::of::<Event>("event")
            .shown(table::EVENT)
            .short(&["ev"])
            .selectable(&EVENT_FIELDS)
            .ruled_by(&event::EventStrategy),
        Kind::of::<LimitRange>("limitrange")
            .short(&["limits"])
            .ruled_by(&quota::LimitRangeStrategy),
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
        Kind::of::<PersistentVolumeClaim>("persistentvolumeclaim")
            .returning_deleted()
            .shown(table::CLAIM)
            .short(&["pvc"])
            .with_status()
            .ruled_by(&volume::ClaimStrategy),
        Kind::of::<PersistentVolume>("persistentvolume")
            .returning_deleted()
            .shown(table::VOLUME)
            .short(&["pv"])
            .with_status()
            .ruled_by(&volume::VolumeStrategy),
        Kind::of::<Pod>("pod")
            .returning_deleted()
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
        Kind::of::<PodTemplate>("podtemplate")
            .returning_deleted()
            .shown(table::POD_TEMPLATE)
            .with_generation()
            .ruled_by(&controllers::PodTemplateStrategy),
        Kind::of::<ReplicationController>("replicationcontroller")
            .shown(table::REPLICA_SET)
            .short(&["rc"])
            .in_all()
            .with_status()
            .with_generation()
            .with_scale(WORKLOAD_SCALE)
            .selectable(&["status.replicas"])
            .ruled_by(&controllers::ReplicationControllerStrategy),
        Kind::of::<ResourceQuota>("resourcequota")
            .returning_deleted()
            .shown(table::QUOTA)
            .short(&["quota"])
            .with_status()
            .ruled_by(&quota::QuotaStrategy),
        Kind::of::<Secret>("secret")
            .shown(table::SECRET)
            .selectable(&["type"])
            .ruled_by(&data::SecretStrategy),
        Kind::of::<ServiceAccount>("serviceaccount")
            .returning_deleted()
            .shown(table::SERVICE_ACCOUNT)
            .short(&["sa"]),
        Kind::of::<Service>("service")
            .returning_deleted()
            .shown(table::SERVICE)
            .short(&["svc"])
            .in_all()
            .with_status()
            .selectable(&["spec.clusterIP", "spec.type"])
            .ruled_by(&service::ServiceStrategy),
        Kind::of::<MutatingWebhookConfiguration>("mutatingwebhookconfiguration")
            .shown(table::HOOKS)
            .in_api_extensions()
            .with_generation()
            .ruled_by(&hooks::MutatingStrategy),
        Kind::of::<ValidatingWebhookConfiguration>("validatingwebhookconfiguration")
            .shown(table::HOOKS)
            .in_api_extensions()
            .with_generation()
            .ruled_by(&hooks::ValidatingStrategy),
        Kind::of::<CustomResourceDefinition>("customresourcedefinition")
            .shown(table::PLAIN)
            .short(&["crd", "crds"])
            .in_api_extensions()
            .with_status()
            .with_generation()
            .ruled_by(&definition::DefinitionStrategy),
        Kind::of::<ControllerRevision>("controllerrevision")
            .shown(table::CONTROLLER_REVISION)
            .ruled_by(&controllers::ControllerRevisionStrategy),
        Kind::of::<DaemonSet>("daemonset")
            .shown(table::DAEMON_SET)
            .short(&["ds"])
            .in_all()
            .with_status()
            .with_generation()
            .ruled_by(&controllers::DaemonSetStrategy),
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
        Kind::of::<StatefulSet>("statefulset")
            .shown(table::STATEFUL_SET)
            .short(&["sts"])
            .in_all()
            .with_status()
            .with_generation()
            .with_scale(WORKLOAD_SCALE)
            .ruled_by(&controllers::StatefulSetStrategy),
        Kind::of::<HorizontalPodAutoscaler>("horizontalpodautoscaler")
            .shown(table::AUTOSCALER)
            .short(&["hpa"])
            .in_all()
            .with_status()
            .ruled_by(&autoscaler::AutoscalerStrategy),
        Kind::of::<autoscaling::v1::HorizontalPodAutoscaler>("horizontalpodautoscaler")
            .shown(table::AUTOSCALER)
            .short(&["hpa"])
            .in_all()
            .with_status()
            .ruled_by(&versions::OldAutoscalerStrategy)
            .stored_as(
                "autoscaling",
                versions::autoscaler_to_stored,
                versions::autoscaler_from_stored,
            ),
        Kind::of::<CronJob>("cronjob")
            .shown(table::CRON_JOB)
            .short(&["cj"])
            .in_all()
            .with_status()
            .with_generation()
            .ruled_by(&cron_job::CronJobStrategy),
        Kind::of::<Job>("job")
            .shown(table::JOB)
            .in_all()
            .with_status()
            .with_generation()
            .selectable(&["status.successful"])
            .ruled_by(&job::JobStrategy),
        Kind::of::<CertificateSigningRequest>("certificatesigningrequest")
            .shown(table::CERTIFICATE_REQUEST)
            .short(&["csr"])
            .with_status()
            .selectable(&["spec.signerName"])
            .ruled_by(&certificate::CertificateRequestStrategy),
        Kind::of::<Lease>("lease").shown(table::LEASE).ruled_by(&lease::LeaseStrategy),
        Kind::of::<EndpointSlice>("endpointslice")
            .shown(table::ENDPOINT_SLICE)
            .with_generation()
            .ruled_by(&endpoints::EndpointSliceStrategy),
        Kind::of::<events::v1::Event>("event")
            .shown(table::EVENT)
            .short(&["ev"])
            .selectable(&NEW_EVENT_FIELDS)
            .ruled_by(&versions::NewEventStrategy)
            .stored_as("", versions::event_to_stored, versions::event_from_stored),
        Kind::of::<IngressClass>("ingressclass")
            .shown(table::INGRESS_CLASS)
            .with_generation()
            .ruled_by(&ingress::IngressClassStrategy),
        Kind::of::<Ingress>("ingress")
            .shown(table::INGRESS)
            .short(&["ing"])
            .with_status()
            .with_generation()
            .ruled_by(&ingress::IngressStrategy),
        Kind::of::<NetworkPolicy>("networkpolicy")
            .shown(table::NETWORK_POLICY)
            .short(&["netpol"])
            .with_generation()
            .ruled_by(&network_policy::NetworkPolicyStrategy),
        Kind::of::<RuntimeClass>("runtimeclass")
            .shown(table::RUNTIME_CLASS)
            .ruled_by(&runtime_class::RuntimeClassStrategy),
        Kind::of::<PodDisruptionBudget>("poddisruptionbudget")
            .shown(table::BUDGET)
            .short(&["pdb"])
            .with_status()
            .with_generation()
            .ruled_by(&policy::BudgetStrategy),
        Kind::of::<ClusterRoleBinding>("clusterrolebinding")
            .shown(table::BINDING)
            .ruled_by(&access::BindingStrategy),
        Kind::of::<ClusterRole>("clusterrole").ruled_by(&access::RoleStrategy),
        Kind::of::<RoleBinding>("rolebinding")
            .shown(table::BINDING)
            .ruled_by(&access::BindingStrategy),
        Kind::of::<Role>("role").ruled_by(&access::RoleStrategy),
        Kind::of::<PriorityClass>("priorityclass")
            .shown(table::PRIORITY_CLASS)
            .short(&["pc"])
            .with_generation()
            .ruled_by(&policy::PriorityClassStrategy),
        Kind::of::<CSIDriver>("csidriver")
            .returning_deleted()
            .shown(table::CSI_DRIVER)
            .ruled_by(&csi::DriverStrategy),
        Kind::of::<CSINode>("csinode")
            .returning_deleted()
            .shown(table::CSI_NODE)
            .ruled_by(&csi::NodeDriversStrategy),
        Kind::of::<StorageClass>("storageclass")
            .returning_deleted()
            .shown(table::STORAGE_CLASS)
            .short(&["sc"])
            .ruled_by(&volume::StorageClassStrategy),
        Kind::of::<VolumeAttachment>("volumeattachment")
            .returning_deleted()
            .shown(table::VOLUME_ATTACHMENT)
            .with_status()
            .ruled_by(&csi::AttachmentStrategy),
        Kind::of::<JoinToken>("jointoken")
            .shown(table::JOIN_TOKEN)
            .short(&["jt"])
            .with_status()
            .ruled_by(&token::JoinTokenStrategy),
    ]
}
