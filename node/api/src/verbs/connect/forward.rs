//! portforward: connections of a client to ports of a pod.
//!
//! `kubectl` opens two SPDY streams for each connection, one of data and one for the error that
//! ended it, and pairs them by an id; newer ones put SPDY in the messages of a WebSocket. Other
//! clients have one connection to each port, on two channels of a WebSocket.

use std::collections::HashMap;

use bytes::{Bytes, BytesMut};
use futures::{FutureExt, SinkExt, StreamExt, channel::mpsc, stream::FuturesUnordered};
use k8s_openapi::api::core::v1::Pod;
use skein_objects::StatusError;
use skein_spdy::{Role, Stream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::tungstenite::{Message, protocol::frame::coding::CloseCode};

use super::{
    Conversation, Handshake,
    handshake::Spoken,
    socket::{Socket, close, drain, frame, socket, tunnel},
    streams::end,
    upgrade, upgraded,
};
use crate::{
    call::Call,
    hosts::{ConnectRequest, Duplex, HostProxy},
    limits,
    reply::Reply,
    service::Service,
    verbs::pod::{node_of, pod},
};

const TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";
const CHANNELS: &str = "v4.channel.k8s.io";

const SPOKEN: Spoken = Spoken { websocket: &[TUNNEL, CHANNELS], spdy: &["portforward.k8s.io"] };

/// The pod that connections go to.
#[derive(Clone)]
struct Destination {
    hosts: std::sync::Arc<dyn HostProxy>,
    node: String,
    pod_uid: String,
    /// Namespace and name, for errors.
    name: String,
}

impl Destination {
    async fn connect(&self, port: u16) -> Result<Box<dyn Duplex>, String> {
        let request = ConnectRequest { pod_uid: self.pod_uid.clone(), port };
        let connected = self.hosts.connect(&self.node, request).await;
        connected.map_err(|error| self.failed(port, &error.message))
    }

    fn failed(&self, port: u16, why: &str) -> String {
        format!("error forwarding port {port} to pod {}, uid {} : {why}", self.name, self.pod_uid)
    }
}

/// Takes connections to a pod's ports.
pub(super) async fn begin(
    service: &Service,
    call: &Call,
) -> Result<(Conversation, Reply), StatusError> {
    let handshake = Handshake::read(&call.headers, SPOKEN)?;
    let destination = destination(service, call, pod(service, call, call.target.name()).await?)?;
    let ports = match handshake {
        Handshake::WebSocket { protocol: CHANNELS, .. } => ports(call)?,
        _ => Vec::new(),
    };
    let upgrade = upgrade(call)?;
    let reply = handshake.accept()?;
    let conversation = async move {
        let Some(upgraded) = upgraded(upgrade).await else { return };
        match handshake {
            Handshake::Spdy { .. } => over_spdy(upgraded, destination).await,
            Handshake::WebSocket { protocol: TUNNEL, .. } => {
                over_spdy(tunnel(socket(upgraded).await), destination).await;
            }
            Handshake::WebSocket { .. } => {
                over_channels(socket(upgraded).await, &ports, &destination).await;
            }
        }
    };
    Ok((conversation.boxed(), reply))
}

fn destination(service: &Service, call: &Call, pod: Pod) -> Result<Destination, StatusError> {
    let name = call.target.name();
    let node = node_of(&pod)?;
    let phase = pod.status.and_then(|status| status.phase).unwrap_or_default();
    if phase != "Running" {
        return Err(StatusError::bad_request(format!(
            "unable to forward port because pod is not running. Current status={phase}"
        )));
    }
    Ok(Destination {
        hosts: service.hosts.clone(),
        node,
        pod_uid: pod.metadata.uid.unwrap_or_default(),
        name: format!("{}/{name}", call.target.namespace()),
    })
}

/// The ports of a client that speaks of channels: all that are asked for, one after the other or
/// with commas between.
fn ports(call: &Call) -> Result<Vec<u16>, StatusError> {
    let asked: Vec<&str> = call.query.all("ports").flat_map(|value| value.split(',')).collect();
    if asked.is_empty() {
        return Err(StatusError::bad_request("query parameter \"ports\" is required"));
    }
    if asked.len() > limits::FORWARDED_PORTS {
        let most = limits::FORWARDED_PORTS;
        return Err(StatusError::bad_request(format!("at most {most} ports can be asked for")));
    }
    asked.into_iter().map(port).collect()
}

fn port(text: &str) -> Result<u16, StatusError> {
    let port = text.trim().parse().ok().filter(|port| *port != 0);
    port.ok_or_else(|| {
        StatusError::bad_request(format!("port {text:?} is not one from 1 to 65535"))
    })
}

/// The two streams of one connection, until both are there.
#[derive(Default)]
struct Pair {
    error: Option<Stream>,
    data: Option<Stream>,
}

/// Takes connections until the client leaves.
async fn over_spdy(
    io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    destination: Destination,
) {
    let (mut connection, serve) = match skein_spdy::connect(io, Role::Server) {
        Ok(parts) => parts,
        Err(error) => {
            tracing::warn!(%error, "ports cannot be forwarded over SPDY");
            return;
        }
    };
    let take = async {
        let mut pairs: HashMap<String, Pair> = HashMap::new();
        let mut connections = FuturesUnordered::new();
        loop {
            let stream = tokio::select! {
                Some(()) = connections.next() => continue,
                stream = connection.accept() => stream,
            };
            let Some(stream) = stream else { return };
            if let Some((port, error, data)) = pair(&mut pairs, stream) {
                connections.push(forward(&destination, port, data, error));
            }
        }
    };
    tokio::select! {
        result = serve => if let Err(error) = result {
            tracing::debug!(%error, "a connection for forwarded ports broke");
        },
        () = take => {}
    }
}

/// Puts a stream to its other half; both, with the port, once they are there. One that belongs
/// nowhere is refused.
fn pair(pairs: &mut HashMap<String, Pair>, stream: Stream) -> Option<(u16, Stream, Stream)> {
    let header = |name: &str| stream.headers().get(name).unwrap_or_default();
    let (id, kind, port) = (header("requestID"), header("streamType"), port(header("port")));
    let (Ok(port), "error" | "data") = (port, kind) else {
        stream.refuse();
        return None;
    };
    let (id, is_error) = (id.to_owned(), kind == "error");
    let pair = pairs.entry(id.clone()).or_default();
    let place = if is_error { &mut pair.error } else { &mut pair.data };
    if place.is_some() {
        stream.refuse();
        return None;
    }
    stream.reply().ok()?;
    *place = Some(stream);
    if pair.error.is_none() || pair.data.is_none() {
        return None;
    }
    let Pair { error, data } = pairs.remove(&id)?;
    Some((port, error?, data?))
}

/// Carries one connection, and says on the other stream why it failed.
async fn forward(destination: &Destination, port: u16, mut data: Stream, error: Stream) {
    let carried = match destination.connect(port).await {
        Ok(mut connection) => {
            let carried = tokio::io::copy_bidirectional(&mut data, &mut connection).await;
            match carried {
                // A client that has heard all resets the stream instead of closing it.
                Err(error) if !data.was_reset() => {
                    Err(destination.failed(port, &error.to_string()))
                }
                _ => Ok(()),
            }
        }
        Err(why) => Err(why),
    };
    let why = carried.err().unwrap_or_default();
    let told = async {
        end(Some(error), why.as_bytes()).await?;
        data.shutdown().await
    };
    if let Err(error) = told.await {
        tracing::debug!(%error, "a client left before its connection had ended");
    }
}

/// Carries one connection to each port: the channel of its data has twice the port's place, the one
/// of its error comes after it, and each begins with the port in two bytes, the lower one first.
async fn over_channels(socket: Socket, ports: &[u16], destination: &Destination) {
    let (mut to_client, mut from_client) = socket.split();
    let (says, mut said) = mpsc::channel::<Bytes>(0);
    let mut connections = FuturesUnordered::new();
    let mut inputs = Vec::new();
    for (place, port) in (0_u8..).step_by(2).zip(ports) {
        let (input, heard) = mpsc::channel::<Bytes>(0);
        inputs.push(input);
        connections.push(channel(destination, *port, place, heard, says.clone()));
    }
    drop(says);
    let work = async { while connections.next().await.is_some() {} };
    let down = async {
        while let Some(bytes) = said.next().await {
            if to_client.send(Message::Binary(bytes)).await.is_err() {
                return false;
            }
        }
        to_client.send(close(CloseCode::Normal, "")).await.is_ok()
    };
    let up = async {
        while let Some(Ok(message)) = from_client.next().await {
            let Message::Binary(bytes) = message else {
                if matches!(message, Message::Close(_)) { break } else { continue }
            };
            let Some(&channel) = bytes.first() else { continue };
            let Some(input) = inputs.get_mut(usize::from(channel / 2)) else { continue };
            // What comes for a connection that has ended has nowhere to go.
            if channel % 2 == 0 && input.send(bytes.slice(1..)).await.is_err() {
                continue;
            }
        }
    };
    let said_all = tokio::select! {
        () = up => false,
        (_, said_all) = async { tokio::join!(work, down) } => said_all,
    };
    if said_all {
        drain(from_client).await;
    }
}

/// Carries one connection on its channels.
async fn channel(
    destination: &Destination,
    port: u16,
    place: u8,
    mut heard: mpsc::Receiver<Bytes>,
    mut says: mpsc::Sender<Bytes>,
) {
    let carry = async {
        for channel in [place, place + 1] {
            says.send(frame(channel, &port.to_le_bytes())).await?;
        }
        let connection = match destination.connect(port).await {
            Ok(connection) => connection,
            Err(why) => return says.send(frame(place + 1, why.as_bytes())).await,
        };
        let (mut reads, mut writes) = tokio::io::split(connection);
        // Ends what it hears with itself: more of it is then dropped, not waited for.
        let up = async move {
            while let Some(bytes) = heard.next().await {
                if let Err(error) = writes.write_all(&bytes).await {
                    tracing::debug!(%error, "a forwarded connection takes no more");
                    return;
                }
            }
        };
        let down = async {
            let mut buffer = BytesMut::zeroed(limits::FORWARD_BUFFER_BYTES);
            loop {
                match reads.read(&mut buffer).await {
                    Ok(0) => return Ok(()),
                    Ok(count) => {
                        let bytes = buffer.get(..count).unwrap_or_default();
                        says.send(frame(place, bytes)).await?;
                    }
                    Err(error) => {
                        let why = destination.failed(port, &error.to_string());
                        return says.send(frame(place + 1, why.as_bytes())).await;
                    }
                }
            }
        };
        // The protocol cannot close one direction, so the pod's end is the end.
        tokio::select! {
            result = down => result,
            () = async { up.await; std::future::pending().await } => Ok(()),
        }
    };
    if carry.await.is_err() {
        tracing::debug!(port, "a client left its forwarded connection");
    }
}
