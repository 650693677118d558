//! The exec and attach subresources of pods: a WebSocket between the client and a process, whose
//! messages go to the pod's host and back as they are.

use futures::{SinkExt, StreamExt};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use skein_objects::{Reason, StatusError};
use tokio::sync::OwnedSemaphorePermit;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message, Utf8Bytes,
        handshake::derive_accept_key,
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
    },
};
use tokio_util::{
    codec::{Framed, LengthDelimitedCodec},
    sync::CancellationToken,
};

use super::log::container;
use crate::{
    call::Call,
    hosts::{Conversation, ExecRequest},
    limits,
    query::Version,
    reply::Reply,
    service::Service,
    subresource::Subresource,
};

/// The protocols spoken, the best first: they differ in that the first can close the input.
const PROTOCOLS: [&str; 2] = ["v5.channel.k8s.io", "v4.channel.k8s.io"];

/// The channel of the `Status` that ends a conversation.
const ERROR_CHANNEL: u8 = 3;

/// A node, and which of its processes.
type Asked = (String, ExecRequest);

const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");

/// Starts a process or attaches to one, and hands the connection to the conversation with it.
pub(super) async fn exec(
    service: &Service,
    call: &Call,
    permit: OwnedSemaphorePermit,
) -> Result<Reply, StatusError> {
    let handshake = Handshake::read(&call.headers)?;
    let ((node, request), _) = asked(service, call).await?;
    let upgrade = call.take_upgrade().ok_or_else(|| {
        StatusError::bad_request("this connection cannot be upgraded: use HTTP/1.1")
    })?;
    let conversation = service.hosts.exec(&node, request).await?;
    let cancel = service.cancel.clone();
    service.tasks.spawn(async move {
        carry(upgrade, conversation, cancel).await;
        drop(permit);
    });
    handshake.accept()
}

/// The process that is asked for with its node, and what is said of its pod.
async fn asked(service: &Service, call: &Call) -> Result<(Asked, PodStatus), StatusError> {
    let (target, consistency) = (&call.target, call.consistency(Version::Latest));
    let object =
        service.storage.get(&target.kind, target.namespace(), target.name(), consistency).await?;
    let pod: Pod = object.decode()?;
    let status = pod.status.clone().unwrap_or_default();
    Ok((request(call, pod)?, status))
}

/// Answers a request for the protocol of older clients. Newer ones come here, too, when a WebSocket
/// was refused, and show only this answer: what is wrong with the request itself comes first.
pub(super) async fn refuse(service: &Service, call: &Call) -> Result<Reply, StatusError> {
    let ((_, request), status) = asked(service, call).await?;
    if !may_run(&status, &request.container) {
        let (container, pod) = (&request.container, call.target.name());
        let why = format!("container {container:?} in pod {pod:?} is not running");
        return Err(StatusError::bad_request(why));
    }
    let asked = call.headers.get(header::UPGRADE).and_then(|value| value.to_str().ok());
    let asked = asked.unwrap_or("no protocol");
    Err(StatusError::bad_request(format!(
        "the request asks for {asked}, but exec and attach are served over WebSocket (GET): use \
         kubectl 1.31 or newer, or set KUBECTL_REMOTE_COMMAND_WEBSOCKETS=true"
    )))
}

/// What a client's half of the handshake says.
#[derive(Debug)]
struct Handshake {
    accept: String,
    protocol: &'static str,
}

impl Handshake {
    fn read(headers: &HeaderMap) -> Result<Self, StatusError> {
        let has = |name, wanted: &str| {
            let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
            let mut words = values.flat_map(|value| value.split(',')).map(str::trim);
            words.any(|word| word.eq_ignore_ascii_case(wanted))
        };
        if !has(header::UPGRADE, "websocket") || !has(header::CONNECTION, "upgrade") {
            return Err(StatusError::bad_request("Upgrade request required: a WebSocket"));
        }
        if !has(header::SEC_WEBSOCKET_VERSION, "13") {
            return Err(StatusError::bad_request("Sec-WebSocket-Version must be 13"));
        }
        let key = headers.get(header::SEC_WEBSOCKET_KEY);
        let key = key.ok_or_else(|| StatusError::bad_request("Sec-WebSocket-Key is missing"))?;
        let spoken = |protocol: &&&str| has(header::SEC_WEBSOCKET_PROTOCOL, protocol);
        let Some(protocol) = PROTOCOLS.iter().find(spoken) else {
            let known = PROTOCOLS.join(", ");
            return Err(StatusError::bad_request(format!(
                "Sec-WebSocket-Protocol names none of: {known}"
            )));
        };
        Ok(Self { accept: derive_accept_key(key.as_bytes()), protocol })
    }

    fn accept(self) -> Result<Reply, StatusError> {
        let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
        Response::builder()
            .status(StatusCode::SWITCHING_PROTOCOLS)
            .header(header::UPGRADE, WEBSOCKET)
            .header(header::CONNECTION, header::UPGRADE.as_str())
            .header(header::SEC_WEBSOCKET_ACCEPT, self.accept)
            .header(header::SEC_WEBSOCKET_PROTOCOL, self.protocol)
            .body(body)
            .map_err(StatusError::internal)
    }
}

/// Which process on which node the query asks for.
fn request(call: &Call, pod: Pod) -> Result<Asked, StatusError> {
    let (query, name) = (&call.query, call.target.name());
    let spec = pod.spec.unwrap_or_default();
    let phase = pod.status.and_then(|status| status.phase).unwrap_or_default();
    if matches!(phase.as_str(), "Succeeded" | "Failed") {
        return Err(StatusError::bad_request(format!(
            "cannot exec into a container in a completed pod; current phase is {phase}"
        )));
    }
    let container = container(&spec, name, query.get("container"))?;
    let node = spec.node_name.filter(|node| !node.is_empty()).ok_or_else(|| {
        StatusError::bad_request(format!("pod {name} does not have a host assigned"))
    })?;
    let tty = query.flag("tty")?;
    let request = ExecRequest {
        pod_uid: pod.metadata.uid.unwrap_or_default(),
        container,
        command: query.all("command").map(str::to_owned).collect(),
        stdin: query.flag("stdin")?,
        stdout: query.flag("stdout")?,
        // A terminal has one output.
        stderr: query.flag("stderr")? && !tty,
        tty,
    };
    let is_exec = call.target.subresource == Some(Subresource::Exec);
    if is_exec == request.command.is_empty() {
        let rule = if is_exec {
            "command: Required value: you must specify a command to run"
        } else {
            "command: Forbidden: an attach runs none"
        };
        return Err(StatusError::new(Reason::Invalid, rule));
    }
    if !(request.stdin || request.stdout || request.stderr) {
        let rule = "you must specify at least 1 of stdin, stdout, stderr";
        return Err(StatusError::bad_request(rule));
    }
    Ok((node, request))
}

/// Whether the host of the pod has not said that the container does not run. Only for an error to
/// show: the host knows better, most of all while nothing can be written.
fn may_run(status: &PodStatus, container: &str) -> bool {
    let lists = [&status.container_statuses, &status.init_container_statuses];
    let said = lists.into_iter().flatten().flatten().find(|one| one.name == container);
    said.and_then(|one| one.state.as_ref()).is_none_or(|state| state.running.is_some())
}

/// Carries messages both ways until one side ends.
async fn carry(upgrade: OnUpgrade, conversation: Conversation, cancel: CancellationToken) {
    let upgraded = match upgrade.await {
        Ok(upgraded) => upgraded,
        Err(error) => {
            tracing::debug!(%error, "a client left before its connection was upgraded");
            return;
        }
    };
    let mut config = WebSocketConfig::default();
    config.max_message_size = Some(limits::EXEC_MESSAGE_BYTES);
    config.max_frame_size = Some(limits::EXEC_MESSAGE_BYTES);
    let socket: WebSocketStream<TokioIo<Upgraded>> =
        WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
    let (mut to_client, mut from_client) = socket.split();
    let frames =
        LengthDelimitedCodec::builder().max_frame_length(limits::EXEC_MESSAGE_BYTES).new_codec();
    let (mut to_host, mut from_host) = Framed::new(conversation, frames).split();
    // A host that takes no more may still have something to say: only the client ends this.
    let up = async {
        let mut open = true;
        while let Some(Ok(message)) = from_client.next().await {
            let sent = match message {
                Message::Close(_) => break,
                Message::Binary(bytes) if open => to_host.send(bytes).await,
                Message::Text(text) if open => to_host.send(text.into()).await,
                _ => Ok(()),
            };
            open &= sent.is_ok();
        }
    };
    let down = async {
        let mut told = false;
        while let Some(Ok(frame)) = from_host.next().await {
            told |= frame.first() == Some(&ERROR_CHANNEL);
            if to_client.send(Message::Binary(frame.freeze())).await.is_err() {
                return false;
            }
        }
        // Clients take any other code, also none, for a connection that broke; after a normal one
        // without a status they would take the process for a success.
        let end = if told {
            CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::default() }
        } else {
            let reason = Utf8Bytes::from_static("the host of the pod hung up");
            CloseFrame { code: CloseCode::Error, reason }
        };
        to_client.send(Message::Close(Some(end))).await.is_ok()
    };
    let said_all = tokio::select! {
        () = up => false,
        said_all = down => said_all,
        () = cancel.cancelled() => false,
    };
    if said_all {
        // A connection that is closed with something unread loses what was sent last.
        let rest = async { while let Some(Ok(_)) = from_client.next().await {} };
        if tokio::time::timeout(limits::DRAIN, rest).await.is_err() {
            tracing::debug!("a client did not close its end of a conversation");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(protocol: &'static str) -> HeaderMap {
        let pairs = [
            (header::UPGRADE, "websocket"),
            (header::CONNECTION, "keep-alive, Upgrade"),
            (header::SEC_WEBSOCKET_VERSION, "13"),
            (header::SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ=="),
            (header::SEC_WEBSOCKET_PROTOCOL, protocol),
        ];
        pairs.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_handshake_is_accepted_as_the_rfc_has_it_with_the_best_protocol() {
        let read = Handshake::read(&headers("v4.channel.k8s.io, v5.channel.k8s.io")).unwrap();
        assert_eq!(read.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(read.protocol, "v5.channel.k8s.io");
        assert_eq!(Handshake::read(&headers("v4.channel.k8s.io")).unwrap().protocol, PROTOCOLS[1]);
    }

    #[test]
    fn what_is_no_handshake_is_told_what_is_missing() {
        assert_eq!(Handshake::read(&HeaderMap::new()).unwrap_err().code, 400);
        let other = Handshake::read(&headers("base64.channel.k8s.io")).unwrap_err();
        assert!(other.message.contains("v5.channel.k8s.io"), "{}", other.message);
        for missing in [header::SEC_WEBSOCKET_KEY, header::SEC_WEBSOCKET_VERSION] {
            let mut headers = headers("v4.channel.k8s.io");
            headers.remove(&missing);
            assert!(Handshake::read(&headers).is_err(), "{missing}");
        }
    }
}
