//! proxy: requests that a pod answers, itself or for a Service, whatever their method, and those that
//! a node answers.
//!
//! The request goes on through the pod's host to the pod's loopback address; nothing is read of its
//! body or of the answer's. Other than Kubernetes' proxy it does not rewrite links in HTML.

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty};
use hyper::{body::Incoming, client::conn::http1, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;
use k8s_openapi::{
    Resource as _,
    api::core::v1::{ContainerPort, Node, Pod, Service as CoreService, ServicePort},
    apimachinery::pkg::util::intstr::IntOrString,
};
use skein_consensus::Consistency;
use skein_objects::{StatusError, registry, selector::LabelSelector};
use skein_storage::Storage;

use super::{kubelet, pod::node_of};
use crate::{
    body,
    body::RequestBody,
    call::Call,
    hosts::{ConnectRequest, Duplex},
    load::StreamPlace,
    query::Version,
    reply::Reply,
    service::Service,
};

/// What concerns one connection and is not passed on, as of RFC 9110, 7.6.1.
const HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// The port at which kubelet answers, and with which clients may name a node's own answers.
const KUBELET_PORT: &str = "10250";

/// A name in the path: `[http:]NAME[:PORT]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Asked<'a> {
    name: &'a str,
    port: Option<&'a str>,
}

impl<'a> Asked<'a> {
    fn parse(text: &'a str) -> Result<Self, StatusError> {
        let parts: Vec<&str> = text.split(':').collect();
        let (scheme, name, port) = match parts.as_slice() {
            [name] => ("", *name, ""),
            [name, port] => ("", *name, *port),
            [scheme, name, port] => (*scheme, *name, *port),
            _ => ("?", "", ""),
        };
        match scheme {
            "" | "http" => Ok(Self { name, port: Some(port).filter(|port| !port.is_empty()) }),
            "https" => Err(StatusError::bad_request("the proxy speaks http to pods, not https")),
            _ => Err(StatusError::bad_request(format!(
                "invalid request {text:?}: it must be NAME, NAME:PORT or http:NAME:PORT"
            ))),
        }
    }
}

/// Passes a request on to a pod or a node, and its answer back.
pub(super) async fn proxy(
    service: &Service,
    call: &Call,
    permit: StreamPlace,
) -> Result<Reply, StatusError> {
    let asked = Asked::parse(call.target.name())?;
    let Some(path) = path(call) else { return redirect_to_root(call) };
    if call.target.kind.kind == Node::KIND {
        return node(service, call, asked, path, permit).await;
    }
    let (pod, port) = if call.target.kind.kind == Pod::KIND {
        pod(service, call, asked).await?
    } else {
        endpoint(service, call, asked).await?
    };
    let node = node_of(&pod)?;
    let request = ConnectRequest { pod_uid: pod.metadata.uid.unwrap_or_default(), port };
    let connection = service.hosts.connect(&node, request).await;
    let connection = connection.map_err(|error| unreachable_pod(&error.message))?;
    let client = call.take_upgrade().filter(|_| call.headers.contains_key(header::UPGRADE));
    let request = outgoing(call, path, client.is_some())?;
    let mut answer = send(service, connection, request, permit).await?;
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS
        && let Some(client) = client
    {
        let (pod, cancel) = (hyper::upgrade::on(&mut answer), service.cancel.clone());
        service.tasks.spawn(cancel.run_until_cancelled_owned(join(client, pod)));
    } else {
        strip(answer.headers_mut());
    }
    relocate(call, answer.headers_mut());
    Ok(answer.map(|body| body.map_err(std::io::Error::other).boxed_unsync()))
}

/// Lets a node answer for itself.
async fn node(
    service: &Service,
    call: &Call,
    asked: Asked<'_>,
    path: String,
    permit: StreamPlace,
) -> Result<Reply, StatusError> {
    if asked.port.is_some_and(|port| port != KUBELET_PORT) {
        return Err(StatusError::bad_request(format!(
            "the proxy of a node leads to the node itself, not to its ports: name it without one, \
             or with {KUBELET_PORT}"
        )));
    }
    let consistency = call.consistency(Version::Latest);
    service.storage.get(&call.target.kind, "", asked.name, consistency).await?;
    let request = outgoing(call, path, false)?;
    if asked.name == service.cluster.node_name() {
        let (method, uri) = (request.method(), request.uri());
        return kubelet::respond(service, method, uri.path(), uri.query()).await;
    }
    let connection = service.hosts.node(asked.name).await?;
    let mut answer = send(service, connection, request, permit).await?;
    strip(answer.headers_mut());
    Ok(answer.map(|body| body.map_err(std::io::Error::other).boxed_unsync()))
}

/// The path behind `/proxy` with its query; `None` where not even a slash is.
fn path(call: &Call) -> Option<String> {
    let path = call.uri.path().get(prefix(call).len()..).filter(|rest| !rest.is_empty())?;
    Some(match call.uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    })
}

/// The path up to and with `/proxy`.
fn prefix(call: &Call) -> &str {
    let path = call.uri.path();
    // `/api/v1/namespaces/NAMESPACE/KIND/NAME/proxy` or `/api/v1/nodes/NAME/proxy`
    let segments = if call.target.namespace.is_some() { 7 } else { 5 };
    let end = path.match_indices('/').nth(segments).map_or(path.len(), |(at, _)| at);
    path.get(..end).unwrap_or(path)
}

/// Relative links of the pod's root lead to the pod only below a slash.
fn redirect_to_root(call: &Call) -> Result<Reply, StatusError> {
    let query = call.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    Response::builder()
        .status(StatusCode::MOVED_PERMANENTLY)
        .header(header::LOCATION, format!("{}/{query}", call.uri.path()))
        .body(Empty::new().map_err(|never| match never {}).boxed_unsync())
        .map_err(StatusError::internal)
}

/// The pod of that name, and its port: the one asked for, its first, or 80.
async fn pod(service: &Service, call: &Call, asked: Asked<'_>) -> Result<(Pod, u16), StatusError> {
    let pod = super::pod::pod(service, call, asked.name).await?;
    let port = match asked.port {
        Some(port) => port.parse().ok(),
        None => u16::try_from(ports(&pod).next().map_or(80, |port| port.container_port)).ok(),
    };
    let port = port.filter(|port| *port != 0).ok_or_else(|| {
        StatusError::bad_request("the port of a pod must be a number from 1 to 65535")
    })?;
    Ok((pod, port))
}

/// A ready pod of the Service of that name, and where it listens.
async fn endpoint(
    service: &Service,
    call: &Call,
    asked: Asked<'_>,
) -> Result<(Pod, u16), StatusError> {
    let (namespace, consistency) = (call.target.namespace(), call.consistency(Version::Latest));
    let all =
        ready_endpoints(&service.storage, namespace, (asked.name, asked.port), consistency).await?;
    all.into_iter().next().ok_or_else(|| StatusError::internal("no endpoint is left"))
}

/// The ready pods of a Service, of which there is one at least, and where they listen for its port of
/// that name or number, or its only one.
pub(crate) async fn ready_endpoints(
    storage: &Storage,
    namespace: &str,
    (name, port): (&str, Option<&str>),
    consistency: Consistency,
) -> Result<Vec<(Pod, u16)>, StatusError> {
    let services = registry().of::<CoreService>();
    let object = storage.get(services, namespace, name, consistency).await?;
    let spec = object.decode::<CoreService>()?.spec.unwrap_or_default();
    let none = |why: &str| {
        let why = format!("no endpoints available for service {name:?}: {why}");
        Err(StatusError::service_unavailable(why))
    };
    let ports = spec.ports.unwrap_or_default();
    let Some(port) = service_port(&ports, port) else {
        return none("it has no such port");
    };
    let Some(selector) = spec.selector.filter(|selector| !selector.is_empty()) else {
        return none("it selects no pods");
    };
    let selector = LabelSelector::from_labels(&selector);
    let kind = registry().of::<Pod>();
    let pods = storage.list(kind, Some(namespace), Default::default(), consistency).await?;
    let mut ready = Vec::new();
    for object in pods.objects() {
        let pod: Pod = object.decode()?;
        if is_ready(&pod)
            && selector.matches(&pod.metadata.labels)
            && let Some(port) = target_port(port, &pod)
        {
            ready.push((pod, port));
        }
    }
    if ready.is_empty() { none("no pod that it selects is ready") } else { Ok(ready) }
}

/// The port of that name or number, or the only one.
fn service_port<'a>(ports: &'a [ServicePort], asked: Option<&str>) -> Option<&'a ServicePort> {
    match (asked, ports) {
        (None, [port]) => Some(port),
        (None, _) => None,
        (Some(asked), _) => ports
            .iter()
            .find(|port| port.name.as_deref() == Some(asked) || asked.parse() == Ok(port.port)),
    }
}

/// Where a pod listens for a port of a Service.
fn target_port(port: &ServicePort, pod: &Pod) -> Option<u16> {
    let number = match &port.target_port {
        None => port.port,
        Some(IntOrString::Int(0)) => port.port,
        Some(IntOrString::Int(number)) => *number,
        Some(IntOrString::String(name)) => {
            ports(pod).find(|port| port.name.as_ref() == Some(name))?.container_port
        }
    };
    u16::try_from(number).ok().filter(|number| *number != 0)
}

fn is_ready(pod: &Pod) -> bool {
    let mut conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    pod.metadata.deletion_timestamp.is_none()
        && conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// The ports that a pod's containers declare.
fn ports(pod: &Pod) -> impl Iterator<Item = &ContainerPort> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    containers.flat_map(|container| container.ports.iter().flatten())
}

/// The request as the pod gets it.
fn outgoing(
    call: &Call,
    path: String,
    is_upgrade: bool,
) -> Result<Request<RequestBody>, StatusError> {
    let uri: Uri = path.parse().map_err(|error| {
        StatusError::bad_request(format!("the path behind /proxy cannot be passed on: {error}"))
    })?;
    let body = call.take_body()?;
    let mut request = Request::new(body);
    *request.method_mut() = call.method.clone();
    *request.uri_mut() = uri;
    let mut headers = call.headers.clone();
    let upgrade = headers.get(header::UPGRADE).cloned().filter(|_| is_upgrade);
    strip(&mut headers);
    // What proved who the client is was for this host.
    headers.remove(header::AUTHORIZATION);
    if let Some(upgrade) = upgrade {
        headers.insert(header::UPGRADE, upgrade);
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    }
    headers.entry(header::HOST).or_insert(HeaderValue::from_static("localhost"));
    *request.headers_mut() = headers;
    Ok(request)
}

/// Sends a request over a connection of its own, which keeps its place until it ends.
async fn send(
    service: &Service,
    connection: Box<dyn Duplex>,
    request: Request<RequestBody>,
    permit: StreamPlace,
) -> Result<Response<Incoming>, StatusError> {
    let handshake = http1::handshake(TokioIo::new(connection)).await;
    let (mut sender, connection) = handshake.map_err(|error| unreachable_pod(&error))?;
    let stopped = service.cancel.clone().cancelled_owned();
    service.tasks.spawn(async move {
        tokio::select! {
            () = stopped => {}
            result = connection.with_upgrades() => if let Err(error) = result {
                tracing::debug!(%error, "a connection to a pod broke");
            }
        }
        drop(permit);
    });
    sender.send_request(request).await.map_err(|error| unreachable_pod(&error))
}

/// Carries bytes both ways once both sides speak another protocol.
async fn join(client: OnUpgrade, pod: OnUpgrade) {
    let carried = async {
        let (client, pod) = futures::try_join!(client, pod)?;
        let (mut client, mut pod) = (TokioIo::new(client), TokioIo::new(pod));
        tokio::io::copy_bidirectional(&mut client, &mut pod).await?;
        Ok::<_, body::BodyError>(())
    };
    if let Err(error) = carried.await {
        tracing::debug!(%error, "an upgraded connection to a pod ended");
    }
}

/// Takes away what concerns one connection alone.
fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in HOP_BY_HOP.iter().chain(&named) {
        headers.remove(name);
    }
}

/// Leads a redirection to a path of the pod's to where the client finds it.
fn relocate(call: &Call, headers: &mut HeaderMap) {
    let Some(location) = headers.get(header::LOCATION).and_then(|value| value.to_str().ok()) else {
        return;
    };
    if location.starts_with('/')
        && !location.starts_with("//")
        && let Ok(location) = HeaderValue::try_from(format!("{}{location}", prefix(call)))
    {
        headers.insert(header::LOCATION, location);
    }
}

fn unreachable_pod(why: &impl std::fmt::Display) -> StatusError {
    StatusError::service_unavailable(format!("error trying to reach service: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_have_a_scheme_and_a_port() {
        let parsed = |text| Asked::parse(text).map_err(|error| error.code);
        assert_eq!(parsed("web"), Ok(Asked { name: "web", port: None }));
        assert_eq!(parsed("web:80"), Ok(Asked { name: "web", port: Some("80") }));
        assert_eq!(parsed("http:web:"), Ok(Asked { name: "web", port: None }));
        for bad in ["https:web:443", "ftp:web:21", "a:b:c:d"] {
            assert_eq!(parsed(bad), Err(400), "{bad}");
        }
    }

    #[test]
    fn a_service_leads_to_its_target_port_by_number_or_name() {
        let port = |target| ServicePort { port: 80, target_port: target, ..ServicePort::default() };
        let pod: Pod = serde_json::from_value(serde_json::json!({"spec": {"containers": [
            {"name": "c", "ports": [{"name": "http", "containerPort": 8080}]},
        ]}}))
        .unwrap();
        let of = |target| target_port(&port(target), &pod);
        assert_eq!(of(None), Some(80));
        assert_eq!(of(Some(IntOrString::Int(81))), Some(81));
        assert_eq!(of(Some(IntOrString::String("http".to_owned()))), Some(8080));
        assert_eq!(of(Some(IntOrString::String("other".to_owned()))), None);
        let two = [port(None), ServicePort { name: Some("b".to_owned()), port: 81, ..port(None) }];
        assert_eq!(service_port(&two, None), None);
        assert_eq!(service_port(&two, Some("b")).map(|port| port.port), Some(81));
        assert_eq!(service_port(&two, Some("80")).map(|port| port.port), Some(80));
    }

    #[test]
    fn what_concerns_one_connection_is_not_passed_on() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "keep-alive, X-Own"),
            ("x-own", "1"),
            ("te", "trailers"),
            ("accept", "text/html"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        strip(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["accept"]);
    }
}
