//! The asking side: connections on demand, requests and streams.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use quinn::{Connection, RecvStream, SendStream};
use tokio::time::timeout;

use super::{
    Shared,
    pool::Lookup,
    serve::{self, Proven},
    settings,
    wire::{self, Answer, Head, WireError},
};
use crate::{
    BoxedStream, NodeId, Protocol, RpcError,
    limits::{CONNECT_TIMEOUT, MAX_HEADER_BYTES, MAX_MESSAGE_BYTES, MEMORY_STREAM_BUFFER_BYTES},
};

/// Asks who is at `address` by connecting; the connection stays in use.
pub(super) async fn identify(shared: &Arc<Shared>, address: SocketAddr) -> Result<NodeId, String> {
    let (connection, peer) = dial(shared, address).await?;
    if peer.id == shared.local {
        connection.close(settings::CLOSED, b"this node itself");
        return Ok(peer.id);
    }
    shared.pool.set_address(peer.id, address);
    take_into_use(shared, connection, peer);
    Ok(peer.id)
}

async fn dial(shared: &Shared, address: SocketAddr) -> Result<(Connection, Proven), String> {
    let connecting = shared
        .endpoint
        .connect_with(shared.client.clone(), address, settings::SERVER_NAME)
        .map_err(|error| error.to_string())?;
    let connection = match timeout(CONNECT_TIMEOUT, connecting).await {
        Err(_) => return Err(format!("no answer within {CONNECT_TIMEOUT:?}")),
        Ok(Err(error)) => return Err(error.to_string()),
        Ok(Ok(connection)) => connection,
    };
    let peer = serve::proven(&connection).ok_or("it showed no certificate")?;
    Ok((connection, peer))
}

fn take_into_use(shared: &Arc<Shared>, connection: Connection, peer: Proven) {
    shared.adopt(peer, connection.clone(), shared.local);
    shared.run(serve::serve_peer(Arc::clone(shared), connection, peer));
}

/// The connection to a peer: the one in use, or a new one that all who wait for it share.
async fn connection(shared: &Arc<Shared>, to: NodeId) -> Result<Connection, RpcError> {
    let unreachable = |reason: String| RpcError::Unreachable { peer: to, reason };
    let mut dialled = match shared.pool.lookup(to) {
        Lookup::Ready(connection) => return Ok(connection),
        Lookup::Unknown => return Err(RpcError::UnknownPeer(to)),
        Lookup::Pending(dialled) => dialled,
        Lookup::Dial(address, dialled) => {
            if shared.stopped.is_cancelled() {
                shared.pool.settle_failed(to, "this node stops".into());
            } else {
                let dialling = Arc::clone(shared);
                // Its own task: the one who asked first may give up before the others.
                shared.run(async move { dial_peer(&dialling, to, address).await });
            }
            dialled
        }
    };
    let settled = dialled.wait_for(Option::is_some).await;
    match settled.ok().and_then(|settled| settled.clone()) {
        Some(Ok(connection)) => Ok(connection),
        Some(Err(reason)) => Err(unreachable(reason)),
        None => Err(unreachable("this node stops".into())),
    }
}

async fn dial_peer(shared: &Arc<Shared>, to: NodeId, address: SocketAddr) {
    match dial(shared, address).await {
        Ok((connection, peer)) if peer.id == to => take_into_use(shared, connection, peer),
        Ok((connection, peer)) => {
            connection.close(settings::CLOSED, b"another node was meant");
            let reason = format!("{address} is now node {}'s", peer.id);
            shared.pool.settle_failed(to, reason);
        }
        Err(reason) => shared.pool.settle_failed(to, format!("{address}: {reason}")),
    }
}

/// Opens a stream on the peer's connection. A connection that turns out to be broken before
/// anything was sent is replaced once.
async fn open_stream(
    shared: &Arc<Shared>,
    to: NodeId,
    protocol: Protocol,
) -> Result<(SendStream, RecvStream), RpcError> {
    let first = connection(shared, to).await?;
    let opened = match first.open_bi().await {
        Err(_) => connection(shared, to).await?.open_bi().await,
        opened => opened,
    };
    let (send, receive) =
        opened.map_err(|error| RpcError::Unreachable { peer: to, reason: error.to_string() })?;
    super::prioritise(&send, protocol);
    Ok((send, receive))
}

fn within_limit(bytes: &Bytes, limit: usize) -> Result<(), RpcError> {
    if bytes.len() > limit {
        return Err(RpcError::TooLarge { size: bytes.len(), limit });
    }
    Ok(())
}

/// What the peer's answer means to the caller.
fn interpret(
    answer: Result<Answer, WireError>,
    peer: NodeId,
    protocol: Protocol,
    limit: usize,
) -> Result<Bytes, RpcError> {
    match answer {
        Ok(Answer::Done(bytes)) => Ok(bytes),
        Ok(Answer::Failed(message)) => Err(RpcError::Remote { peer, message }),
        Ok(Answer::NotServed) => Err(RpcError::NotServed { peer, protocol }),
        Ok(Answer::Overloaded) => Err(RpcError::Overloaded { peer }),
        Ok(Answer::TooLarge { size }) | Err(WireError::TooLarge { size, .. }) => {
            Err(RpcError::TooLarge { size: size as usize, limit })
        }
        Err(error) => Err(RpcError::Unreachable { peer, reason: error.to_string() }),
    }
}

/// Sends one request and waits for its answer; the caller sets the deadline.
pub(super) async fn request(
    shared: &Arc<Shared>,
    to: NodeId,
    protocol: Protocol,
    body: Bytes,
) -> Result<Bytes, RpcError> {
    within_limit(&body, MAX_MESSAGE_BYTES)?;
    if to == shared.local {
        let handler = shared.handlers.get(protocol);
        let handler = handler.ok_or(RpcError::NotServed { peer: to, protocol })?;
        let answered = handler.request(to, body).await;
        return answered.map_err(|message| RpcError::Remote { peer: to, message });
    }
    let (mut send, mut receive) = open_stream(shared, to, protocol).await?;
    let answer = async {
        wire::write(&mut send, Head::request(protocol, body.len()), body).await?;
        let answer = wire::read_answer(&mut receive, MAX_MESSAGE_BYTES).await?;
        wire::take_end(&mut receive);
        Ok(answer)
    }
    .await;
    interpret(answer, to, protocol, MAX_MESSAGE_BYTES)
}

/// Opens a stream; the caller sets the deadline.
pub(super) async fn open(
    shared: &Arc<Shared>,
    to: NodeId,
    protocol: Protocol,
    header: Bytes,
) -> Result<BoxedStream, RpcError> {
    within_limit(&header, MAX_HEADER_BYTES)?;
    if to == shared.local {
        let handler = shared.handlers.get(protocol);
        let handler = handler.ok_or(RpcError::NotServed { peer: to, protocol })?;
        let (near, far) = tokio::io::duplex(MEMORY_STREAM_BUFFER_BYTES);
        shared.run(async move { handler.stream(to, header, Box::new(far)).await });
        return Ok(Box::new(near));
    }
    let (mut send, mut receive) = open_stream(shared, to, protocol).await?;
    let answer = async {
        wire::write(&mut send, Head::stream(protocol, header.len()), header).await?;
        wire::read_answer(&mut receive, MAX_HEADER_BYTES).await
    }
    .await;
    interpret(answer, to, protocol, MAX_HEADER_BYTES)?;
    Ok(Box::new(tokio::io::join(receive, send)))
}
