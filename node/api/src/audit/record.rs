//! What is noted of one request, from its arrival to the end of its answer.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{HeaderName, HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, BodyStream, Full, StreamBody};
use hyper::body::Frame;
use jiff::Timestamp;
use serde_json::{Value, json};
use skein_objects::{MediaType, parse};

use super::{
    Audit,
    policy::{Decision, Level, Stage},
};
use crate::{
    access::{Action, Object},
    identity::Identity,
    limits,
    reply::Reply,
    route::{Target, canonical_path},
    server::Peer,
    service::Lasts,
    subresource::Subresource,
};

/// Tells a client under which name its request is noted; one may give its own.
const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");

/// Says that an object is left out because it is too large.
const TRUNCATED: &str = "audit.k8s.io/truncated";

/// One request.
pub(crate) struct Record {
    audit: Arc<Audit>,
    id: String,
    uri: String,
    /// Its method, which is the verb of a path.
    method: String,
    /// Its path, as rules know it.
    path: String,
    agent: Option<String>,
    peer: Option<SocketAddr>,
    received: Timestamp,
    noted: Mutex<Noted>,
}

/// What is known of it so far.
#[derive(Default)]
struct Noted {
    /// Who asks; nobody knows, until there is proof.
    identity: Option<Identity>,
    decision: Option<Decision>,
    /// The event, complete but for the stage.
    event: Value,
    /// Whether there is nothing more to note.
    is_complete: bool,
    /// Whether request and answer are objects that may be shown: not so with tokens, private keys
    /// and the questions about them.
    has_objects: bool,
}

impl Record {
    /// A request that has just come.
    pub(crate) fn begin<B>(
        audit: &Arc<Audit>,
        request: &Request<B>,
        identity: Option<&Identity>,
    ) -> Arc<Self> {
        let text = |name: HeaderName| {
            let value = request.headers().get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        let given = text(AUDIT_ID).filter(|id| (1..=limits::AUDIT_ID_BYTES).contains(&id.len()));
        let uri = request.uri();
        Arc::new(Self {
            audit: audit.clone(),
            id: given.unwrap_or_else(|| uuid::Uuid::new_v4().to_string()),
            uri: uri.path_and_query().map_or_else(String::new, ToString::to_string),
            method: request.method().as_str().to_ascii_lowercase(),
            path: canonical_path(uri.path()),
            agent: text(header::USER_AGENT),
            peer: request.extensions().get::<Peer>().map(|peer| peer.0),
            received: Timestamp::now(),
            noted: Mutex::new(Noted { identity: identity.cloned(), ..Noted::default() }),
        })
    }

    /// Notes who asks, once that is known.
    pub(crate) fn is_by(&self, identity: &Identity) {
        self.noted().identity = Some(identity.clone());
    }

    /// Notes whether the client may do it.
    pub(crate) fn is_decided(&self, allowed: bool) {
        let decision = if allowed { "allow" } else { "forbid" };
        self.noted().annotate("authorization.k8s.io/decision", decision);
    }

    /// Notes who asks for what, before it is done.
    pub(crate) async fn asked(
        &self,
        identity: &Identity,
        action: &Action<'_>,
        target: Option<&Target>,
    ) {
        let decision = self.audit.policy.decide(identity, action);
        let mut event = json!({
            "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": decision.level,
            "auditID": self.id, "requestURI": self.uri, "verb": action.verb,
            "user": identity.user_info(), "requestReceivedTimestamp": time(self.received),
        });
        if let Some(agent) = &self.agent {
            event["userAgent"] = json!(agent);
        }
        if let Some(peer) = self.peer {
            event["sourceIPs"] = json!([peer.ip().to_canonical().to_string()]);
        }
        if let Some(reference) = reference(action, target) {
            event["objectRef"] = reference;
        }
        let part = target.map(|target| target.subresource);
        let has_objects = part.is_some_and(|part| part != Some(Subresource::Token));
        let event = {
            let mut noted = self.noted();
            (noted.decision, noted.event, noted.has_objects) = (Some(decision), event, has_objects);
            noted.at(Stage::RequestReceived)
        };
        if let Some(event) = event {
            self.audit.write(event).await;
        }
    }

    /// Notes the object in the request, or the patch.
    pub(crate) fn sent(&self, bytes: &[u8], media: MediaType) {
        let mut noted = self.noted();
        if !noted.wants_request() {
            return;
        }
        if bytes.len() > limits::AUDIT_OBJECT_BYTES {
            noted.annotate(TRUNCATED, "true");
        } else if let Ok(object) = parse(bytes, media) {
            let object = noted.shown(object);
            noted.event["requestObject"] = object;
        }
    }

    /// Notes the answer, now or when it ends.
    pub(crate) async fn answered(self: Arc<Self>, reply: Reply, lasts: Lasts) -> Reply {
        if self.noted().decision.is_none() {
            // It was refused before it was clear what it is about.
            let identity = self.noted().identity.clone().unwrap_or_else(Identity::anonymous);
            let action = Action { verb: &self.method, object: Object::Path(&self.path) };
            self.asked(&identity, &action, None).await;
        }
        let reply = self.with_id(reply);
        let code = reply.status();
        if !self.noted().wants(Level::Metadata) {
            return reply;
        }
        if code == StatusCode::SWITCHING_PROTOCOLS || lasts == Lasts::AsLongAsWanted {
            // What a stream says is its sender's. It is complete when nobody holds the record.
            let event = self.noted().with_status(code, None).at(Stage::ResponseStarted);
            if let Some(event) = event {
                self.audit.write(event).await;
            }
            return reply;
        }
        let (reply, object) = match self.noted().wants_answer() || !code.is_success() {
            true => read(reply).await,
            false => (reply, None),
        };
        let event = self.noted().with_status(code, object).at(Stage::ResponseComplete);
        if let Some(event) = event {
            self.audit.write(event).await;
        }
        reply
    }

    fn with_id(&self, mut reply: Reply) -> Reply {
        if let Ok(id) = HeaderValue::from_str(&self.id) {
            reply.headers_mut().insert(AUDIT_ID, id);
        }
        reply
    }

    fn noted(&self) -> std::sync::MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Record {
    /// Nobody has anything to do with the request any more: a stream has ended, or the client was
    /// gone before the answer.
    fn drop(&mut self) {
        let noted = self.noted.get_mut().unwrap_or_else(PoisonError::into_inner);
        if noted.is_complete {
            return;
        }
        if noted.event["responseStatus"].is_null() {
            noted.event["responseStatus"] = json!({"metadata": {}, "status": "Failure",
                "message": "the client was gone before it was answered"});
        }
        if let Some(event) = noted.at(Stage::ResponseComplete) {
            self.audit.write_now(event);
        }
    }
}

impl Noted {
    fn annotate(&mut self, name: &str, value: &str) {
        self.event["annotations"][name] = json!(value);
    }

    fn wants(&self, level: Level) -> bool {
        self.decision.as_ref().is_some_and(|decision| decision.level >= level)
    }

    fn wants_request(&self) -> bool {
        self.wants(Level::Request) && self.has_objects
    }

    fn wants_answer(&self) -> bool {
        self.wants(Level::RequestResponse) && self.has_objects
    }

    /// An object without what the policy does not want to see.
    fn shown(&self, mut object: Value) -> Value {
        let omits = self.decision.as_ref().is_some_and(|decision| decision.omit_managed_fields);
        let without = |object: &mut Value| {
            if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
                metadata.remove("managedFields");
            }
        };
        if omits {
            without(&mut object);
            let items = object.get_mut("items").and_then(Value::as_array_mut);
            items.into_iter().flatten().for_each(without);
        }
        object
    }

    /// With how it was answered: in a failure's own words, or with the object if it is wanted.
    fn with_status(&mut self, code: StatusCode, object: Option<Value>) -> &mut Self {
        let mut status = json!({"metadata": {}, "code": code.as_u16()});
        let failure = object.as_ref().filter(|object| object["kind"] == "Status");
        for member in ["status", "message", "reason", "details"] {
            if let Some(value) = failure.and_then(|failure| failure.get(member)) {
                status[member] = value.clone();
            }
        }
        self.event["responseStatus"] = status;
        match object.filter(|_| self.wants_answer()) {
            Some(object) => self.event["responseObject"] = self.shown(object),
            None if self.wants_answer() => self.annotate(TRUNCATED, "true"),
            None => {}
        }
        self
    }

    /// The event of a stage, if the policy wants it.
    fn at(&mut self, stage: Stage) -> Option<Bytes> {
        self.is_complete |= stage == Stage::ResponseComplete;
        let decision = self.decision.as_ref()?;
        if decision.level == Level::None || decision.omitted.contains(&stage) {
            return None;
        }
        self.event["stage"] = json!(stage);
        self.event["stageTimestamp"] = json!(time(Timestamp::now()));
        Some(format!("{}\n", self.event).into())
    }
}

/// An answer, and the object in it if it is not too large to be noted.
async fn read(reply: Reply) -> (Reply, Option<Value>) {
    let (parts, mut body) = reply.into_parts();
    let mut bytes = Vec::new();
    loop {
        match body.frame().await {
            None => break,
            Some(Ok(frame)) => bytes.extend(frame.into_data().unwrap_or_default()),
            // What broke off goes on to break off.
            Some(Err(error)) => {
                let rest = stream::iter([Ok(Frame::data(bytes.into())), Err(error)]);
                return (Reply::from_parts(parts, StreamBody::new(rest).boxed_unsync()), None);
            }
        }
        if bytes.len() > limits::AUDIT_OBJECT_BYTES {
            let begun = stream::iter([Ok(Frame::data(Bytes::from(bytes)))]);
            let rest = StreamBody::new(begun.chain(BodyStream::new(body)));
            return (Reply::from_parts(parts, rest.boxed_unsync()), None);
        }
    }
    let object = serde_json::from_slice(&bytes).ok();
    let body = Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync();
    (Reply::from_parts(parts, body), object)
}

/// Microseconds, as in Kubernetes.
fn time(time: Timestamp) -> String {
    format!("{time:.6}")
}

/// What objects a request is about.
fn reference(action: &Action<'_>, target: Option<&Target>) -> Option<Value> {
    let Object::Resource { group, resource, subresource, namespace, name } = action.object else {
        return None;
    };
    let mut reference = json!({"resource": resource});
    let version = target.map_or("", |target| &target.kind.version);
    for (member, value) in [
        ("apiGroup", group),
        ("apiVersion", version),
        ("namespace", namespace),
        ("name", name),
        ("subresource", subresource),
    ] {
        if !value.is_empty() {
            reference[member] = json!(value);
        }
    }
    Some(reference)
}
