//! Objects of a custom kind in another version, where a webhook makes it: what the webhook is asked,
//! and whether what it answers may be taken.
//!
//! Follows "Webhook conversion" of Kubernetes' documentation on versions in custom resource
//! definitions; the sentences of errors are those of its server.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::schema::Schema;
use super::values;
use crate::field::{Errors, Field};
use crate::lifecycle::{validate_annotations, validate_labels};
use crate::status::{Reason, StatusError};
use crate::webhook::Webhook;

/// The version and kind of what is sent and answered.
const API_VERSION: &str = "apiextensions.k8s.io/v1";
const KIND: &str = "ConversionReview";

/// How the versions of a custom kind are made of each other by a webhook.
pub struct Conversion {
    webhook: Webhook,
    /// The schema of every version, by its `apiVersion`.
    schemas: BTreeMap<String, Schema>,
}

/// Objects for the webhook, and what is to become of them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    uid: &'a str,
    #[serde(rename = "desiredAPIVersion")]
    desired_api_version: &'a str,
    objects: &'a [Box<RawValue>],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Review<'a> {
    api_version: &'a str,
    kind: &'a str,
    request: Request<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    response: Option<Response>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    #[serde(default)]
    uid: String,
    #[serde(default)]
    converted_objects: Option<Vec<Value>>,
    #[serde(default)]
    result: Outcome,
}

#[derive(Default, Deserialize)]
struct Outcome {
    #[serde(default)]
    status: String,
    #[serde(default)]
    message: String,
}

impl Conversion {
    /// What a definition says, if a webhook converts.
    pub(super) fn compile(definition: &Value) -> Option<Self> {
        let spec = &definition["spec"];
        if spec["conversion"]["strategy"] != "Webhook" {
            return None;
        }
        let group = spec["group"].as_str()?;
        let versions = spec["versions"].as_array()?.iter();
        let schemas = versions.filter_map(|version| {
            let schema = Schema::compile(&version["schema"]["openAPIV3Schema"]).ok()?;
            Some((format!("{group}/{}", version["name"].as_str()?), schema))
        });
        let webhook = Webhook::read(&spec["conversion"]["webhook"]["clientConfig"])?;
        Some(Self { webhook, schemas: schemas.collect() })
    }

    /// Whom to ask.
    pub fn webhook(&self) -> &Webhook {
        &self.webhook
    }

    /// Makes an object as its own version's schema has it, which may have changed since it was
    /// written: webhooks are sent what that version shows.
    pub fn complete(&self, object: &mut Value) {
        let version = object["apiVersion"].as_str().unwrap_or_default();
        if let Some(schema) = self.schemas.get(version) {
            values::prune(schema, object, &mut Vec::new());
            values::complete(schema, object);
        }
    }

    /// The body of a request to make `objects` be of version `to`.
    ///
    /// # Errors
    /// `InternalError` where it cannot be written.
    pub fn review(uid: &str, to: &str, objects: &[Box<RawValue>]) -> Result<Vec<u8>, StatusError> {
        let request = Request { uid, desired_api_version: to, objects };
        let review = Review { api_version: API_VERSION, kind: KIND, request };
        serde_json::to_vec(&review).map_err(StatusError::internal)
    }

    /// The objects in the answer to a review: in version `to`, one for each that was sent, with
    /// metadata that differ in labels and annotations at most.
    ///
    /// # Errors
    /// `InternalError` where the webhook refused, or answered another question.
    pub fn converted(
        &self,
        sent: &[Value],
        uid: &str,
        to: &str,
        answer: &[u8],
    ) -> Result<Vec<Value>, StatusError> {
        let answer = serde_json::from_slice(answer)
            .map_err(|error| format!("the answer cannot be read: {error}"))
            .and_then(|answer| objects(answer, uid));
        let objects = answer.map_err(|why| Self::failed(sent, why))?;
        if objects.len() != sent.len() {
            let (got, wanted) = (objects.len(), sent.len());
            return Err(refused(sent, &format!("returned {got} objects, expected {wanted}")));
        }
        let checked =
            objects.into_iter().zip(sent).enumerate().map(|(index, (object, sent_one))| {
                self.checked(object, sent_one, to).map_err(|fault| {
                    let (what, why) = match fault {
                        Fault::Object(why) => ("invalid converted object at", why),
                        Fault::Metadata(why) => ("invalid metadata in object at", why),
                    };
                    refused(sent, &format!("returned {what} index {index}: {why}"))
                })
            });
        checked.collect()
    }

    /// The error that the webhook could not be asked, or refused.
    pub fn failed(sent: &[Value], why: impl std::fmt::Display) -> StatusError {
        refused(sent, &format!("failed: {why}"))
    }

    fn checked(&self, mut object: Value, sent: &Value, to: &str) -> Result<Value, Fault> {
        let is = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        if object["apiVersion"] != to {
            return Err(Fault::Object(format!(
                "invalid groupVersion (expected {to}, received {})",
                is(&object["apiVersion"])
            )));
        }
        if object["kind"] != sent["kind"] {
            let (expected, received) = (is(&sent["kind"]), is(&object["kind"]));
            return Err(Fault::Object(format!(
                "invalid kind (expected {expected}, received {received})"
            )));
        }
        for (member, word) in [("name", "name"), ("namespace", "namespace"), ("uid", "UID")] {
            let (before, after) = (is(&sent["metadata"][member]), is(&object["metadata"][member]));
            if before != after {
                return Err(Fault::Object(format!(
                    "must have the same {word}: {before} != {after}"
                )));
            }
        }
        restore_metadata(sent, &mut object).map_err(Fault::Metadata)?;
        if let Some(schema) = self.schemas.get(to) {
            values::prune(schema, &mut object, &mut Vec::new());
        }
        Ok(object)
    }
}

/// What is wrong with a converted object.
enum Fault {
    Object(String),
    Metadata(String),
}

/// The objects of an answer to the request with this uid.
fn objects(answer: Answer, uid: &str) -> Result<Vec<Value>, String> {
    if (&*answer.api_version, &*answer.kind) != (API_VERSION, KIND) {
        let got = group_version_kind(&answer.api_version, &answer.kind);
        let wanted = group_version_kind(API_VERSION, KIND);
        return Err(format!("expected webhook response of {wanted}, got {got}"));
    }
    let response = answer.response.ok_or("no response provided")?;
    if response.uid != uid {
        return Err(format!("expected response.uid={uid:?}, got {:?}", response.uid));
    }
    let Outcome { status, message } = response.result;
    match (&*status, message.is_empty()) {
        ("Success", _) => Ok(response.converted_objects.unwrap_or_default()),
        (_, false) => Err(message),
        (_, true) => Err(format!("response.result.status was '{status}', not 'Success'")),
    }
}

/// Gives a converted object the metadata of the one it was made of, with its own labels and
/// annotations.
fn restore_metadata(sent: &Value, object: &mut Value) -> Result<(), String> {
    let given = match object.get_mut("metadata").map(Value::take) {
        Some(Value::Object(given)) => given,
        None => return Err("missing metadata in converted object".to_owned()),
        Some(_) => return Err("metadata in converted object is not a map".to_owned()),
    };
    let mut metadata = sent["metadata"].as_object().cloned().unwrap_or_default();
    for member in ["labels", "annotations"] {
        match given.get(member) {
            None | Some(Value::Null) => {
                metadata.remove(member);
            }
            Some(Value::Object(texts)) => {
                if metadata.get(member).and_then(Value::as_object) != Some(texts) {
                    check_texts(member, texts, &given)?;
                }
                metadata.insert(member.to_owned(), Value::Object(texts.clone()));
            }
            Some(_) => return Err(format!("metadata.{member} in converted object is not a map")),
        }
    }
    object["metadata"] = Value::Object(metadata);
    Ok(())
}

/// Checks labels or annotations that the webhook has changed as if a user had.
fn check_texts(
    member: &str,
    texts: &Map<String, Value>,
    metadata: &Map<String, Value>,
) -> Result<(), String> {
    if let Some((key, _)) = texts.iter().find(|(_, value)| !value.is_string()) {
        return Err(format!("metadata.{member}[{key}] must be a string"));
    }
    let object = Value::Object(Map::from_iter([(
        "metadata".to_owned(),
        Value::Object(Map::from_iter([(member.to_owned(), metadata[member].clone())])),
    )]));
    let (root, mut errors) = (Field::root(&object), Errors::default());
    let metadata = root.get("metadata");
    match member {
        "labels" => validate_labels(&metadata.get(member), &mut errors),
        _ => validate_annotations(&metadata.get(member), &mut errors),
    }
    let faults: Vec<String> = errors.into_vec().iter().map(ToString::to_string).collect();
    if faults.is_empty() { Ok(()) } else { Err(faults.join(", ")) }
}

/// The error of a conversion of these objects, in Kubernetes' words and without a frame around it.
fn refused(sent: &[Value], why: &str) -> StatusError {
    let text = |member| sent.first().and_then(|one| one[member].as_str()).unwrap_or_default();
    let from = group_version_kind(text("apiVersion"), text("kind"));
    StatusError::new(Reason::InternalError, format!("conversion webhook for {from} {why}"))
}

/// As Kubernetes writes it.
fn group_version_kind(api_version: &str, kind: &str) -> String {
    format!("{api_version}, Kind={kind}")
}
