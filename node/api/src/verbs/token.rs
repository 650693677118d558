//! The token subresource of service accounts.

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    Metadata, Resource,
    api::{
        authentication::v1::{TokenRequest, TokenRequestStatus},
        core::v1::{Node, Pod, Secret, ServiceAccount},
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
};
use serde::de::DeserializeOwned;
use serde_json::json;
use skein_consensus::Consistency;
use skein_objects::{FieldError, FieldErrorKind, StatusError, parse, registry};

use crate::{
    call::Call,
    limits,
    reply::{self, Reply},
    service::Service,
    tokens::{self, About, ISSUER, Reference},
};

/// Issues a token of the account under the `TokenRequest` in the body.
pub(super) async fn create(service: &Service, call: Call) -> Result<Reply, StatusError> {
    let options = call.query.write_options(&call.headers)?;
    let (bytes, media) = call.read_object().await?;
    let request = if bytes.is_empty() { json!({}) } else { parse(&bytes, media)? };
    let mut request: TokenRequest = serde_json::from_value(request)
        .map_err(|error| StatusError::bad_request(format!("no TokenRequest: {error}")))?;
    let (namespace, name) = (call.target.namespace(), call.target.name());
    let account = found::<ServiceAccount>(service, namespace, name, None).await?;
    let mut about = About {
        namespace: namespace.to_owned(),
        serviceaccount: reference(&account),
        pod: None,
        secret: None,
        node: None,
    };
    let spec = request.spec.get_or_insert_default();
    if let Some(bound) = &spec.bound_object_ref {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let (object, uid) = (text(&bound.name), bound.uid.as_deref());
        match (text(&bound.api_version).as_str(), text(&bound.kind).as_str()) {
            ("v1", "Pod") => {
                let pod = found::<Pod>(service, namespace, &object, uid).await?;
                check_account(&pod, name)?;
                about.pod = Some(reference(&pod));
                let node = pod.spec.and_then(|spec| spec.node_name).unwrap_or_default();
                if !node.is_empty() {
                    about.node = Some(reference(&found::<Node>(service, "", &node, None).await?));
                }
            }
            ("v1", "Secret") => {
                let secret = found::<Secret>(service, namespace, &object, uid).await?;
                about.secret = Some(reference(&secret));
            }
            ("v1", "Node") => {
                about.node = Some(reference(&found::<Node>(service, "", &object, uid).await?));
            }
            (version, kind) => {
                return Err(StatusError::bad_request(format!(
                    "cannot bind token for serviceaccount {name:?} to object of {version}, \
                     Kind={kind}: it must be a Pod, a Secret or a Node of v1"
                )));
            }
        }
    }
    let seconds = *spec.expiration_seconds.get_or_insert(limits::TOKEN_SECONDS);
    check_lifetime(name, seconds)?;
    let mut audiences = spec.audiences.take().unwrap_or_default();
    audiences.retain(|audience| !audience.is_empty());
    if audiences.is_empty() {
        audiences = vec![ISSUER.to_owned()];
    }
    spec.audiences = Some(audiences.clone());
    let (now, lifetime) = (Timestamp::now(), SignedDuration::from_secs(seconds));
    let claims = tokens::claims(about, audiences, now, lifetime);
    let expires = Timestamp::from_second(claims.exp).map_err(StatusError::internal)?;
    let token = if options.dry_run {
        String::new()
    } else {
        service.tokens.issue(service.cluster.as_ref(), &claims).await?
    };
    request.metadata = ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(namespace.to_owned()),
        creation_timestamp: Some(Time(now)),
        ..ObjectMeta::default()
    };
    request.status =
        Some(TokenRequestStatus { expiration_timestamp: Some(Time(expires)), token: Some(token) });
    Ok(reply::json_value(StatusCode::CREATED, &json!(request)))
}

/// Tokens hold for some minutes at least, so that nobody asks for them all the time.
fn check_lifetime(account: &str, seconds: i64) -> Result<(), StatusError> {
    let rule = if seconds < limits::TOKEN_LEAST_SECONDS {
        "may not specify a duration less than 10 minutes"
    } else if seconds > limits::TOKEN_MOST_SECONDS {
        "may not specify a duration larger than 2^32 seconds"
    } else {
        return Ok(());
    };
    let error = FieldError {
        path: "spec.expirationSeconds".to_owned(),
        kind: FieldErrorKind::Invalid,
        value: json!(seconds),
        detail: rule.to_owned(),
    };
    let mut refusal = StatusError::invalid(registry().of::<ServiceAccount>(), account, vec![error]);
    refusal.details.kind = "TokenRequest".to_owned();
    Err(refusal)
}

/// Nothing but a pod that runs as the account may hold a token of it.
fn check_account(pod: &Pod, account: &str) -> Result<(), StatusError> {
    let own = pod.spec.as_ref().and_then(|spec| spec.service_account_name.as_deref());
    if own.unwrap_or("default") == account {
        return Ok(());
    }
    Err(StatusError::bad_request(format!(
        "cannot bind token for serviceaccount {account:?} to pod running with different \
         serviceaccount name."
    )))
}

/// An object that is there, and the one that is meant where a uid is given.
async fn found<T>(
    service: &Service,
    namespace: &str,
    name: &str,
    uid: Option<&str>,
) -> Result<T, StatusError>
where
    T: Resource + Metadata<Ty = ObjectMeta> + DeserializeOwned,
{
    let kind = registry().of::<T>();
    let object = service.storage.get(kind, namespace, name, Consistency::Linearizable).await?;
    let object = object.decode::<T>()?;
    let found = object.metadata().uid.as_deref().unwrap_or_default();
    if let Some(uid) = uid.filter(|uid| !uid.is_empty() && *uid != found) {
        let why = format!(
            "the UID in the bound object reference ({uid}) does not match the UID in record \
             ({found}). The object might have been deleted and then recreated"
        );
        return Err(StatusError::conflict(kind, name, why));
    }
    Ok(object)
}

fn reference<T: Metadata<Ty = ObjectMeta>>(object: &T) -> Reference {
    let ObjectMeta { name, uid, .. } = object.metadata().clone();
    Reference { name: name.unwrap_or_default(), uid: uid.unwrap_or_default() }
}
