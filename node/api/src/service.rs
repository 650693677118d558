//! The chain every request goes through: route, authenticate, authorize, then the verb, which
//! admits and stores. Bounds how much is under way at once.

mod objects;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use http::{HeaderMap, Method, Request, StatusCode};
use serde_json::json;
use skein_objects::{Reason, StatusError, selector::FieldSelector};
use skein_storage::{Kinds, Storage};
use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    ApiConfig, Audit, ClusterView, HostProxy,
    access::{self, Action, Object},
    audit::Record,
    body::RequestBody,
    call::Call,
    conversion::{SharedConversions, WebhookConverter},
    discovery::Discovery,
    endpoints,
    identity::{ANONYMOUS, Identity, refuse_impersonation},
    limits,
    load::Load,
    media,
    metrics::{Asked, Gauge, Metrics},
    query::Query,
    reply::{self, Reply},
    route::{Route, Target, canonical_path, route, verb},
    tokens::{Doubt, ISSUER, Tokens, bearer},
    webhook::Webhooks,
};

/// How long an answer goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lasts {
    /// Until all is said.
    Once,
    /// As long as both sides want.
    AsLongAsWanted,
}

/// What all requests share.
pub(crate) struct Service {
    pub(crate) storage: Storage,
    pub(crate) hosts: Arc<dyn HostProxy>,
    pub(crate) cluster: Arc<dyn ClusterView>,
    pub(crate) kinds: Kinds,
    pub(crate) tokens: Tokens,
    /// What watchers see in versions that webhooks make.
    pub(crate) conversions: Arc<SharedConversions>,
    /// The discovery documents of the kinds there were last.
    discovery: Mutex<Option<Arc<Discovery>>>,
    metrics: Metrics,
    load: Load,
    audit: Option<Arc<Audit>>,
    pub(crate) cancel: CancellationToken,
    /// What goes on beside requests, such as connections that belong to a process's conversation;
    /// it ends with `cancel`.
    pub(crate) tasks: TaskTracker,
}

impl Service {
    pub(crate) fn new(
        storage: Storage,
        hosts: Arc<dyn HostProxy>,
        cluster: Arc<dyn ClusterView>,
        config: ApiConfig,
        cancel: CancellationToken,
    ) -> Self {
        let tasks = TaskTracker::new();
        tasks.close();
        let kinds = Kinds::start(&storage, &tasks, cancel.clone());
        let webhooks = Webhooks::new(storage.clone(), hosts.clone());
        let converter = WebhookConverter::new(webhooks, kinds.clone());
        let storage = storage.converting(Arc::new(converter));
        Self {
            tokens: Tokens::default(),
            kinds,
            conversions: Arc::new(SharedConversions::new(storage.clone())),
            storage,
            hosts,
            cluster,
            discovery: Mutex::default(),
            metrics: Metrics::new(),
            load: Load::new(config.load),
            audit: config.audit,
            cancel,
            tasks,
        }
    }

    /// Answers a request; what fails becomes a `Status`.
    pub(crate) async fn handle(
        &self,
        request: Request<RequestBody>,
        identity: Option<Arc<Identity>>,
    ) -> Reply {
        let is_head = request.method() == Method::HEAD;
        let takes_gzip = media::accepts_gzip(request.headers());
        let known = identity.as_deref();
        let record = self.audit.as_ref().map(|audit| Record::begin(audit, &request, known));
        let answer = self.respond(request, identity, record.clone()).await;
        let (mut reply, goes_on) =
            answer.unwrap_or_else(|error| (reply::error(&error), Lasts::Once));
        if let Some(record) = record {
            reply = record.answered(reply, goes_on).await;
        }
        if goes_on == Lasts::Once && takes_gzip {
            reply = reply::compressed(reply);
        }
        if is_head { reply::without_body(reply) } else { reply }
    }

    async fn respond(
        &self,
        request: Request<RequestBody>,
        identity: Option<Arc<Identity>>,
        record: Option<Arc<Record>>,
    ) -> Result<(Reply, Lasts), StatusError> {
        let mut routed = route(request.uri().path(), &self.kinds.current());
        if let Ok(route) = &routed
            && route.is_public()
        {
            let reply = self.respond_publicly(route, request.method(), request.uri().query());
            return Ok((reply?, Lasts::Once));
        }
        let identity = self.authenticate(identity, request.headers()).await?;
        if let Some(record) = &record {
            record.is_by(&identity);
        }
        refuse_impersonation(request.headers())?;
        // A kind that this host does not know may just have been defined through another one.
        let is_about_kinds = routed.as_ref().map_or_else(is_no_resource, Route::is_discovery);
        if is_about_kinds && self.cluster.impairment().is_none() {
            let place = self.load.request(&identity.user).await?;
            let fresh = tokio::time::timeout(limits::REQUEST, self.kinds.fresh()).await;
            drop(place);
            let registry = fresh.unwrap_or_else(|_| self.kinds.current());
            routed = route(request.uri().path(), &registry);
        }
        let query = Query::parse(request.uri().query());
        match routed? {
            Route::Objects(target) => {
                // The query of what is passed on to a pod is the pod's.
                let is_watch = target.subresource.is_none() && query.flag("watch")?;
                let verb = verb(request.method(), &target, is_watch)
                    .ok_or_else(|| StatusError::method_not_allowed(request.method()))?;
                let selected = selected_name(&target, &query);
                let name = selected.as_deref().unwrap_or(target.name());
                let action = Action::on(verb, &target, name);
                if let Some(record) = &record {
                    record.asked(&identity, &action, Some(&target)).await;
                }
                self.authorize(&identity, &action, record.as_deref()).await?;
                let call = Call::new(identity, target, verb, query, request, record);
                let lasts = if call.is_stream() { Lasts::AsLongAsWanted } else { Lasts::Once };
                Ok((self.respond_and_note(call).await?, lasts))
            }
            route => {
                let (parts, body) = request.into_parts();
                let method = parts.method.as_str().to_ascii_lowercase();
                let path = canonical_path(parts.uri.path());
                let action = match &route {
                    Route::Review { review, namespace } => review.action(namespace),
                    _ => Action { verb: &method, object: Object::Path(&path) },
                };
                if let Some(record) = &record {
                    record.asked(&identity, &action, None).await;
                }
                self.authorize(&identity, &action, record.as_deref()).await?;
                if matches!(route, Route::Images) {
                    let _place = self.load.stream(record)?;
                    let reply = endpoints::respond(self, route, &identity, &parts, body).await?;
                    return Ok((reply, Lasts::Once));
                }
                let _place = self.load.request(&identity.user).await?;
                let reply = endpoints::respond(self, route, &identity, &parts, body);
                Ok((within_deadline(reply).await?, Lasts::Once))
            }
        }
    }

    /// The first stage of every request: a certificate or a token, or no service.
    async fn authenticate(
        &self,
        certificate: Option<Arc<Identity>>,
        headers: &HeaderMap,
    ) -> Result<Arc<Identity>, StatusError> {
        if let Some(identity) = certificate {
            return Ok(identity);
        }
        let token = bearer(headers).ok_or_else(StatusError::unauthorized)?;
        let audience = [ISSUER.to_owned()];
        let judging = self.tokens.judge(&self.storage, self.cluster.as_ref(), token, &audience);
        // Whoever it may be: all who have yet to prove it share the turns of one user.
        let place = self.load.request(ANONYMOUS).await?;
        let proof = tokio::time::timeout(limits::REQUEST, judging).await;
        drop(place);
        match proof.unwrap_or_else(|_| Err(Doubt::Unknown(too_slow()))) {
            Ok(proof) => Ok(Arc::new(proof.identity)),
            Err(Doubt::Rejected(why)) => {
                tracing::debug!(why, "a token was rejected");
                Err(StatusError::unauthorized())
            }
            Err(Doubt::Unknown(error)) => Err(error),
        }
    }

    /// The second stage: refuses what the client may not do.
    async fn authorize(
        &self,
        identity: &Identity,
        action: &Action<'_>,
        record: Option<&Record>,
    ) -> Result<(), StatusError> {
        let decided = if access::may_do_everything(identity) {
            Ok(())
        } else {
            let _place = self.load.request(&identity.user).await?;
            let deciding = access::authorize(&self.storage, identity, action);
            tokio::time::timeout(limits::REQUEST, deciding)
                .await
                .unwrap_or_else(|_| Err(too_slow()))
        };
        if let Some(record) = record {
            record.is_decided(decided.is_ok());
        }
        decided
    }

    /// Serves a request for objects and notes how that went.
    async fn respond_and_note(&self, call: Call) -> Result<Reply, StatusError> {
        let asked = Asked::of(call.verb, &call.target);
        let goes_on = call.is_stream();
        let begun = Instant::now();
        let answer = self.respond_about_objects(call).await;
        let code = match &answer {
            Ok(reply) => reply.status().as_u16(),
            Err(error) => error.code,
        };
        self.metrics.served(&asked, code, (!goes_on).then(|| begun.elapsed()));
        answer
    }

    /// Everything Prometheus reads, as text.
    pub(crate) fn metrics(&self) -> Result<String, fmt::Error> {
        let ((requests, waiting), streams) = (self.load.requests(), self.load.streams());
        let mut gauges = self.cluster.gauges();
        let mut gauge = |name, help, value: usize| {
            gauges.push(Gauge { name, help, value: value as f64 });
        };
        gauge(
            "apiserver_current_inflight_requests",
            "Requests that are being answered, streams left out",
            requests,
        );
        gauge(
            "apiserver_current_inqueue_requests",
            "Requests that wait for those before them",
            waiting,
        );
        gauge(
            "apiserver_longrunning_requests",
            "Watches, followed logs and conversations with processes",
            streams,
        );
        self.metrics.encode(&gauges, self.cluster.registry())
    }

    /// The discovery documents of the kinds there are now.
    pub(crate) fn discovery(&self) -> Arc<Discovery> {
        let registry = self.kinds.current();
        let mut known = self.discovery.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some(discovery) if Arc::ptr_eq(&discovery.registry, &registry) => discovery.clone(),
            _ => known.insert(Arc::new(Discovery::new(registry))).clone(),
        }
    }

    /// Answers for the process, whoever asks.
    pub(crate) fn respond_publicly(
        &self,
        route: &Route,
        method: &Method,
        query: Option<&str>,
    ) -> Result<Reply, StatusError> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return Err(StatusError::method_not_allowed(method));
        }
        let text = |(code, text): (_, String)| Ok(reply::bytes(code, "text/plain", text.into()));
        let verbose = Query::parse(query).has("verbose");
        match route {
            Route::Version => Ok(reply::json_value(StatusCode::OK, &version())),
            Route::Ready => text(readiness(self.cluster.ready(), verbose)),
            _ => text(alive(verbose)),
        }
    }
}

fn is_no_resource(error: &StatusError) -> bool {
    error.reason == Reason::NotFound
}

/// That the process answers, which is all there is to being alive.
fn alive(verbose: bool) -> (StatusCode, String) {
    let text = if verbose { "[+]ping ok\nlivez check passed\n" } else { "ok" };
    (StatusCode::OK, text.to_owned())
}

/// Whether a node can serve, as a probe and, if `verbose`, a person reads it.
fn readiness(cluster: Result<(), String>, verbose: bool) -> (StatusCode, String) {
    match (cluster, verbose) {
        (Ok(()), false) => (StatusCode::OK, "ok".to_owned()),
        (Ok(()), true) => {
            (StatusCode::OK, "[+]ping ok\n[+]cluster ok\nreadyz check passed\n".to_owned())
        }
        (Err(why), false) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")),
        (Err(why), true) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("[+]ping ok\n[-]cluster failed: {why}\nreadyz check failed\n"),
        ),
    }
}

/// What `kubectl version` shows: the Kubernetes API this is, and in the build the Skein it is.
fn version() -> serde_json::Value {
    json!({
        "major": "1",
        "minor": "36",
        "gitVersion": concat!("v1.36.0+skein.", env!("CARGO_PKG_VERSION")),
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "",
        "goVersion": "",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    })
}

async fn within_deadline(
    work: impl Future<Output = Result<Reply, StatusError>>,
) -> Result<Reply, StatusError> {
    tokio::time::timeout(limits::REQUEST, work).await.unwrap_or_else(|_| Err(too_slow()))
}

fn too_slow() -> StatusError {
    StatusError::timeout("Timeout: request did not complete within the allotted timeout")
}

/// The one object that a collection is asked for by its name, which roles may allow alone.
fn selected_name(target: &Target, query: &Query) -> Option<String> {
    if target.name.is_some() {
        return None;
    }
    let selector = FieldSelector::parse(&target.kind, query.get("fieldSelector")?).ok()?;
    selector.demanded_name().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_is_told_to_probes_and_to_people() {
        let why = || Err("no leader".to_owned());
        let cases = [
            (Ok(()), false, 200, "ok"),
            (Ok(()), true, 200, "[+]ping ok\n[+]cluster ok\nreadyz check passed\n"),
            (why(), false, 503, "not ready: no leader\n"),
            (why(), true, 503, "[+]ping ok\n[-]cluster failed: no leader\nreadyz check failed\n"),
        ];
        for (cluster, verbose, code, text) in cases {
            let (status, said) = readiness(cluster, verbose);
            assert_eq!((status.as_u16(), said.as_str()), (code, text));
        }
        assert_eq!(alive(false).1, "ok");
        assert_eq!(alive(true).1, "[+]ping ok\nlivez check passed\n");
    }
}
