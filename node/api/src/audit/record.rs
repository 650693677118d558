//! What is noted of one request, from its arrival to the end of its answer.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, SizeHint};
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
    reply::{Reply, ReplyBody},
    route::Target,
    server::Peer,
    service::Lasts,
    subresource::Subresource,
};

/// Tells a client under which name its request is noted; one may give its own.
const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");

/// Longest name that is taken over, in bytes.
const AUDIT_ID_BYTES: usize = 64;

/// One request.
pub(crate) struct Record {
    audit: Arc<Audit>,
    id: String,
    uri: String,
    /// Its method, which is the verb of a path.
    method: String,
    path: String,
    agent: Option<String>,
    peer: Option<SocketAddr>,
    received: Timestamp,
    noted: Mutex<Noted>,
}

/// What is known of it so far.
#[derive(Default)]
struct Noted {
    decision: Option<Decision>,
    /// The event, complete but for the stage.
    event: Value,
    /// Whether request and answer are objects that may be shown: not so with tokens, private keys
    /// and the questions about them.
    has_objects: bool,
}

impl Record {
    /// A request that has just come.
    pub(crate) fn begin<B>(audit: &Arc<Audit>, request: &Request<B>) -> Arc<Self> {
        let text = |name: HeaderName| {
            let value = request.headers().get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        let given = text(AUDIT_ID).filter(|id| !id.is_empty() && id.len() <= AUDIT_ID_BYTES);
        let uri = request.uri();
        Arc::new(Self {
            audit: audit.clone(),
            id: given.unwrap_or_else(|| uuid::Uuid::new_v4().to_string()),
            uri: uri.path_and_query().map_or_else(String::new, ToString::to_string),
            method: request.method().as_str().to_ascii_lowercase(),
            path: uri.path().to_owned(),
            agent: text(header::USER_AGENT),
            peer: request.extensions().get::<Peer>().map(|peer| peer.0),
            received: Timestamp::now(),
            noted: Mutex::default(),
        })
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
            *noted = Noted { decision: Some(decision), event, has_objects };
            noted.at(Stage::RequestReceived)
        };
        if let Some(event) = event {
            self.audit.write(event).await;
        }
    }

    /// Notes the object in the request, or the patch.
    pub(crate) fn sent(&self, bytes: &[u8], media: MediaType) {
        let mut noted = self.noted();
        if noted.wants_request()
            && let Ok(object) = parse(bytes, media)
        {
            let object = noted.shown(object);
            noted.event["requestObject"] = object;
        }
    }

    /// Notes the answer, now or when it ends.
    pub(crate) async fn answered(self: Arc<Self>, reply: Reply, lasts: Lasts) -> Reply {
        if self.noted().decision.is_none() {
            // Nobody found out who asks, or for what.
            let action = Action { verb: &self.method, object: Object::Path(&self.path) };
            self.asked(&Identity::default(), &action, None).await;
        }
        let mut reply = self.with_id(reply);
        let code = reply.status();
        if !self.noted().wants(Level::Metadata) {
            return reply;
        }
        let is_switched = code == StatusCode::SWITCHING_PROTOCOLS;
        if is_switched || (lasts == Lasts::AsLongAsWanted && code.is_success()) {
            let event = self.noted().with_status(code, None).at(Stage::ResponseStarted);
            if let Some(event) = event {
                self.audit.write(event).await;
            }
            return reply.map(|body| ReplyBody::new(Watched { body, record: Some(self) }));
        }
        let mut object = None;
        if self.noted().wants_answer() || !code.is_success() {
            let (parts, body) = reply.into_parts();
            // It is whole already, but for lists, which are wanted whole.
            let bytes = match body.collect().await {
                Ok(collected) => collected.to_bytes(),
                Err(error) => {
                    tracing::debug!(%error, "an answer broke off");
                    Bytes::new()
                }
            };
            object = serde_json::from_slice::<Value>(&bytes).ok();
            let body = Full::new(bytes).map_err(|never| match never {}).boxed_unsync();
            reply = Reply::from_parts(parts, body);
        }
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

impl Noted {
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
        if let Some(object) = object.filter(|_| self.wants_answer()) {
            self.event["responseObject"] = self.shown(object);
        }
        self
    }

    /// The event of a stage, if the policy wants it.
    fn at(&mut self, stage: Stage) -> Option<Bytes> {
        let decision = self.decision.as_ref()?;
        if decision.level == Level::None || decision.omitted.contains(&stage) {
            return None;
        }
        self.event["stage"] = json!(stage);
        self.event["stageTimestamp"] = json!(time(Timestamp::now()));
        Some(format!("{}\n", self.event).into())
    }
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

/// A body whose end is noted, however it comes.
struct Watched {
    body: ReplyBody,
    record: Option<Arc<Record>>,
}

impl Watched {
    fn ended(&mut self) {
        if let Some(record) = self.record.take()
            && let Some(event) = record.noted().at(Stage::ResponseComplete)
        {
            record.audit.write_now(event);
        }
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if frame.is_none() {
            self.ended();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.ended();
    }
}
