//! Requests for certificates: who asks, and the approval subresource with the conditions that decide
//! them, and nothing else.

use k8s_openapi::{Resource as _, api::certificates::v1::CertificateSigningRequest};
use serde_json::{Value, json};
use skein_objects::{Kind, Part, Reason, StatusError};

use super::update;
use crate::{
    access::{self, Action, Object},
    call::Call,
    identity::Identity,
    query::Version,
    reply::Reply,
    service::Service,
};

/// The conditions that are a decision.
const DECISIONS: [&str; 2] = ["Approved", "Denied"];

/// Writes into a new request for a certificate who made it, whatever it says itself. Objects of
/// other kinds stay as they are.
pub(super) fn note_requester(kind: &Kind, identity: &Identity, object: &mut Value) {
    if kind.group != CertificateSigningRequest::GROUP || !object["spec"].is_object() {
        return;
    }
    let spec = &mut object["spec"];
    spec["username"] = json!(identity.user);
    spec["groups"] = json!(identity.all_groups().collect::<Vec<_>>());
    for (member, value) in [("uid", json!(identity.uid)), ("extra", json!(identity.extra))] {
        if identity.uid.is_empty() {
            spec.as_object_mut().and_then(|spec| spec.remove(member));
        } else {
            spec[member] = value;
        }
    }
}

/// Decides a request as the object in the body says.
pub(super) async fn update(service: &Service, call: Call) -> Result<Reply, StatusError> {
    may_approve(service, &call).await?;
    update::by(service, &call, Part::Status, decided).await
}

/// Whether the client may approve for the signer of the request: a role must name the signer, or all
/// of its domain.
async fn may_approve(service: &Service, call: &Call) -> Result<(), StatusError> {
    if access::may_do_everything(&call.identity) {
        return Ok(());
    }
    let (kind, name) = (&call.target.kind, call.target.name());
    let consistency = call.consistency(Version::Latest);
    let request = service.storage.get(kind, "", name, consistency).await?;
    let spec = request.decode::<CertificateSigningRequest>()?.spec;
    let domain = spec.signer_name.split_once('/').map(|(domain, _)| format!("{domain}/*"));
    for signer in [Some(spec.signer_name.clone()), domain].into_iter().flatten() {
        let object = Object::Resource {
            group: CertificateSigningRequest::GROUP,
            resource: "signers",
            subresource: "",
            namespace: "",
            name: &signer,
        };
        let action = Action { verb: "approve", object };
        if access::allows(&service.storage, &call.identity, &action).await? {
            return Ok(());
        }
    }
    let why =
        format!("user not permitted to approve requests with signerName {:?}", spec.signer_name);
    Err(StatusError::forbidden(kind, name, why))
}

/// The live object with the decisions of the wanted one added; whose version, if it has one,
/// decides. What has been decided stays, and is not decided the other way.
fn decided(mut live: Value, wanted: &Value) -> Result<Value, StatusError> {
    let conditions = |object: &Value| -> Vec<Value> {
        object["status"]["conditions"].as_array().cloned().unwrap_or_default()
    };
    let mut all = conditions(&live);
    let has = |all: &[Value], kind: &str| all.iter().any(|one| one["type"] == kind);
    let is_new = |one: &Value| {
        DECISIONS.iter().any(|decision| one["type"] == *decision && !has(&all, decision))
    };
    let new: Vec<Value> = conditions(wanted).into_iter().filter(is_new).collect();
    all.extend(new);
    if DECISIONS.iter().all(|decision| has(&all, decision)) {
        let rule = "status.conditions: Invalid value: \"Denied\": Approved and Denied conditions \
                    are mutually exclusive";
        return Err(StatusError::new(Reason::Invalid, rule));
    }
    live["status"]["conditions"] = json!(all);
    live["metadata"]["resourceVersion"] = wanted["metadata"]["resourceVersion"].clone();
    Ok(live)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_decisions_are_taken_over() {
        let live = json!({"metadata": {}, "status": {"certificate": "c",
            "conditions": [{"type": "Failed"}]}});
        let wanted = json!({"metadata": {"resourceVersion": "7"}, "status": {
            "certificate": "other", "conditions": [{"type": "Approved"}, {"type": "Mine"}]}});
        let expected = json!({"metadata": {"resourceVersion": "7"}, "status": {
            "certificate": "c", "conditions": [{"type": "Failed"}, {"type": "Approved"}]}});
        assert_eq!(decided(live, &wanted).unwrap(), expected);
    }

    #[test]
    fn what_is_decided_stays_so() {
        let with = |kind: &str| json!({"metadata": {}, "status": {"conditions": [{"type": kind}]}});
        let none = json!({"metadata": {}, "status": {}});
        let kept = decided(with("Approved"), &none).unwrap();
        assert_eq!(kept["status"], with("Approved")["status"]);
        assert_eq!(decided(with("Approved"), &with("Denied")).unwrap_err().code, 422);
    }
}
