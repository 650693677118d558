//! exec and attach: between a client and a process. What is said goes to the pod's host and back in
//! frames that name the channel, as a WebSocket's messages do; over SPDY each channel is a stream.

use std::io;

use bytes::{Bytes, BytesMut};
use futures::{FutureExt, Sink, SinkExt, Stream, StreamExt, TryStreamExt, future, stream};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;
use skein_objects::{Reason, StatusError};
use skein_spdy::{self as spdy, Role};
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::{Message, protocol::frame::coding::CloseCode};
use tokio_util::{
    codec::{Framed, FramedRead, LengthDelimitedCodec, LinesCodec},
    io::ReaderStream,
};

use super::{
    Conversation, Handshake,
    handshake::Spoken,
    socket::{close, drain, frame, socket},
    streams::{Streams, end},
    upgrade, upgraded,
};
use crate::{
    call::Call,
    hosts::{self, ExecRequest},
    limits,
    reply::Reply,
    service::Service,
    subresource::Subresource,
    verbs::pod::{container, node_of, pod},
};

/// The first WebSocket protocol differs from the second in that it can close the input; over SPDY
/// any stream can be closed. Older protocols end without a `Status`.
const SPOKEN: Spoken =
    Spoken { websocket: &["v5.channel.k8s.io", "v4.channel.k8s.io"], spdy: &["v4.channel.k8s.io"] };

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
/// The channel of the `Status` that ends a conversation.
const ERROR: u8 = 3;
const RESIZE: u8 = 4;
/// There is no more of the channel whose number follows.
const CLOSE: u8 = 255;

/// Why a conversation ended that has no `Status`.
const HUNG_UP: &str = "the host of the pod hung up";

/// The host's end of a conversation.
type Host = Framed<hosts::Conversation, LengthDelimitedCodec>;

/// Starts a process or attaches to one.
pub(super) async fn begin(
    service: &Service,
    call: &Call,
) -> Result<(Conversation, Reply), StatusError> {
    let handshake = Handshake::read(&call.headers, SPOKEN)?;
    let (node, request) = request(call, pod(service, call, call.target.name()).await?)?;
    let upgrade = upgrade(call)?;
    let reply = handshake.accept()?;
    let conversation = service.hosts.exec(&node, request.clone()).await?;
    let frames =
        LengthDelimitedCodec::builder().max_frame_length(limits::EXEC_MESSAGE_BYTES).new_codec();
    let host = Framed::new(conversation, frames);
    let conversation = async move {
        let Some(upgraded) = upgraded(upgrade).await else { return };
        match handshake {
            Handshake::WebSocket { .. } => over_websocket(upgraded, host).await,
            Handshake::Spdy { .. } => over_spdy(upgraded, &request, host).await,
        }
    };
    Ok((conversation.boxed(), reply))
}

/// Which process on which node the query asks for.
fn request(call: &Call, pod: Pod) -> Result<(String, ExecRequest), StatusError> {
    let (query, name) = (&call.query, call.target.name());
    let node = node_of(&pod);
    let spec = pod.spec.unwrap_or_default();
    let phase = pod.status.and_then(|status| status.phase).unwrap_or_default();
    if matches!(phase.as_str(), "Succeeded" | "Failed") {
        return Err(StatusError::bad_request(format!(
            "cannot exec into a container in a completed pod; current phase is {phase}"
        )));
    }
    let container = container(&spec, name, query.get("container"))?;
    let node = node?;
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

/// Carries messages both ways until one side ends.
async fn over_websocket(upgraded: TokioIo<Upgraded>, host: Host) {
    let (mut to_client, mut from_client) = socket(upgraded).await.split();
    let (mut to_host, mut from_host) = host.split();
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
            told |= frame.first() == Some(&ERROR);
            if to_client.send(Message::Binary(frame.freeze())).await.is_err() {
                return false;
            }
        }
        // Clients take any other code, also none, for a connection that broke; after a normal one
        // without a status they would take the process for a success.
        let end =
            if told { close(CloseCode::Normal, "") } else { close(CloseCode::Error, HUNG_UP) };
        to_client.send(end).await.is_ok()
    };
    let said_all = tokio::select! {
        () = up => false,
        said_all = down => said_all,
    };
    if said_all {
        drain(from_client).await;
    }
}

/// Carries what each stream says until the process ends or the client leaves.
async fn over_spdy(upgraded: TokioIo<Upgraded>, request: &ExecRequest, host: Host) {
    let (mut connection, serve) = match skein_spdy::connect(upgraded, Role::Server) {
        Ok(parts) => parts,
        Err(error) => {
            tracing::warn!(%error, "a conversation over SPDY cannot begin");
            return;
        }
    };
    let talk = async {
        let Some(streams) = Streams::gather(&mut connection, request).await else { return };
        let Streams { error, stdin, stdout, stderr, resize } = streams;
        let (to_host, from_host) = host.split();
        let mut outputs = [stdout, stderr];
        let status = tokio::select! {
            status = hear(from_host, &mut outputs) => status,
            // A client that says no more still listens.
            () = async { say(stdin, resize, to_host).await; std::future::pending().await } => return,
        };
        let [stdout, stderr] = outputs;
        let told = async {
            end(stdout, b"").await?;
            end(stderr, b"").await?;
            end(error, &status).await
        };
        if let Err(error) = told.await {
            tracing::debug!(%error, "a client left before it was told how its process ended");
        }
        // It closes the connection when it has heard all.
        let left = async { while connection.accept().await.is_some() {} };
        if tokio::time::timeout(limits::DRAIN, left).await.is_err() {
            tracing::debug!("a client did not close its end of a conversation");
        }
    };
    tokio::select! {
        result = serve => if let Err(error) = result {
            tracing::debug!(%error, "a conversation over SPDY broke");
        },
        () = talk => {}
    }
}

/// Hands on what a process writes, and returns the `Status` of its end.
async fn hear(
    mut from_host: impl Stream<Item = io::Result<BytesMut>> + Unpin,
    [stdout, stderr]: &mut [Option<spdy::Stream>; 2],
) -> Bytes {
    while let Some(Ok(frame)) = from_host.next().await {
        let output = match frame.first() {
            Some(&ERROR) => return frame.freeze().slice(1..),
            Some(&STDOUT) => &mut *stdout,
            Some(&STDERR) => &mut *stderr,
            _ => continue,
        };
        // One that the client has closed hears no more; the process goes on.
        let bytes = frame.get(1..).unwrap_or_default();
        if let Some(open) = output
            && open.write_all(bytes).await.is_err()
        {
            *output = None;
        }
    }
    // Without one, clients would take the process for a success.
    let broken = json!({"metadata": {}, "status": "Failure", "reason": "InternalError",
        "message": HUNG_UP});
    broken.to_string().into()
}

/// Hands on what a client types and the sizes of its terminal.
async fn say(
    stdin: Option<spdy::Stream>,
    resize: Option<spdy::Stream>,
    mut to_host: impl Sink<Bytes, Error = io::Error> + Unpin,
) {
    let typed = stdin.map(|stdin| {
        let bytes = ReaderStream::new(stdin).map_ok(|bytes| frame(STDIN, &bytes));
        bytes.chain(stream::once(future::ready(Ok(frame(CLOSE, &[STDIN])))))
    });
    let sizes = resize.map(|resize| {
        let lines = FramedRead::new(resize, LinesCodec::new_with_max_length(limits::SIZE_BYTES));
        lines.map_ok(|line| frame(RESIZE, line.as_bytes())).map_err(io::Error::other)
    });
    let (typed, sizes) = (optional(typed), optional(sizes));
    let mut frames = stream::select(typed, sizes);
    while let Some(next) = frames.next().await {
        // A stream that was reset has no more to say, the other one may.
        let Ok(frame) = next else { continue };
        if to_host.send(frame).await.is_err() {
            return;
        }
    }
}

fn optional<S: Stream>(stream: Option<S>) -> impl Stream<Item = S::Item> {
    stream::iter(stream).flatten()
}
