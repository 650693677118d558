//! The accepting side: who may connect, and the streams they open.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use quinn::{Connection, Incoming, RecvStream, SendStream, crypto::rustls::HandshakeData};
use rustls_pki_types::CertificateDer;
use tokio::{sync::Semaphore, time::timeout};

use super::{
    Shared, settings,
    wire::{self, Answer, Head, Kind, WireError},
};
use crate::{
    CertificateInfo, JoinRefusal, JoinRequest, NodeId, Protocol, codec,
    limits::{
        CONNECT_TIMEOUT, HANDSHAKES_BEFORE_RETRY, JOINER_TIMEOUT, MAX_HANDSHAKES, MAX_HEADER_BYTES,
        MAX_JOIN_BYTES, MAX_MESSAGE_BYTES, MAX_RUNNING_PER_PROTOCOL, RECEIVE_TIMEOUT,
    },
};

/// A peer that has proven who it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Proven {
    pub(super) id: NodeId,
    pub(super) not_after: SystemTime,
}

/// Reads the other side's id from the certificate that TLS has verified.
pub(super) fn proven(connection: &Connection) -> Option<Proven> {
    let identity = connection.peer_identity()?;
    let chain = identity.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    let info = CertificateInfo::parse(chain.first()?).ok()?;
    Some(Proven { id: info.id, not_after: info.not_after })
}

/// Accepts connections until the endpoint is closed.
pub(super) async fn accept(shared: Arc<Shared>) {
    let handshakes = Arc::new(Semaphore::new(MAX_HANDSHAKES));
    while let Some(incoming) = shared.endpoint.accept().await {
        let under_way = MAX_HANDSHAKES - handshakes.available_permits();
        if under_way >= HANDSHAKES_BEFORE_RETRY && incoming.may_retry() {
            // It may retry, so this cannot fail.
            incoming.retry().ok();
            continue;
        }
        let Ok(permit) = Arc::clone(&handshakes).try_acquire_owned() else {
            incoming.refuse();
            continue;
        };
        let accepted = Arc::clone(&shared);
        shared.run(async move {
            let remote = incoming.remote_address();
            match handshake(incoming).await {
                Ok(connection) => {
                    drop(permit);
                    admit(accepted, connection).await;
                }
                Err(reason) => tracing::debug!(%remote, reason, "connection refused"),
            }
        });
    }
}

async fn handshake(incoming: Incoming) -> Result<Connection, String> {
    let connecting = incoming.accept().map_err(|error| error.to_string())?;
    match timeout(CONNECT_TIMEOUT, connecting).await {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err("the handshake took too long".into()),
    }
}

/// Lets a new connection do what its ALPN name and certificate allow.
async fn admit(shared: Arc<Shared>, connection: Connection) {
    let alpn = connection
        .handshake_data()
        .and_then(|data| data.downcast::<HandshakeData>().ok())
        .and_then(|data| data.protocol);
    match (alpn.as_deref(), proven(&connection)) {
        (Some(settings::PEER_ALPN), Some(peer)) => {
            settings::trust(&connection);
            shared.adopt(peer, connection.clone(), peer.id);
            serve_peer(shared, connection, peer).await;
        }
        (Some(settings::JOIN_ALPN), _) => serve_joiner(&shared, &connection).await,
        _ => connection.close(settings::FORBIDDEN, b"a node's certificate is required"),
    }
}

/// Serves every stream a peer opens, until the connection ends or the peer's certificate does.
pub(super) async fn serve_peer(shared: Arc<Shared>, connection: Connection, peer: Proven) {
    let places: Arc<[Semaphore; Protocol::ALL.len()]> =
        Arc::new(std::array::from_fn(|_| Semaphore::new(MAX_RUNNING_PER_PROTOCOL)));
    let valid = peer.not_after.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO);
    let expired = tokio::time::sleep(valid);
    tokio::pin!(expired);
    loop {
        tokio::select! {
            biased;
            () = &mut expired => {
                connection.close(settings::EXPIRED, b"the certificate has expired");
                break;
            }
            stream = connection.accept_bi() => match stream {
                Ok((send, receive)) => {
                    let (serving, places) = (Arc::clone(&shared), Arc::clone(&places));
                    shared.run(async move {
                        let served = serve_stream(&serving, peer.id, &places, send, receive).await;
                        if let Err(error) = served {
                            tracing::debug!(peer = %peer.id, %error, "stream ended");
                        }
                    });
                }
                Err(error) => {
                    tracing::debug!(peer = %peer.id, %error, "connection ended");
                    break;
                }
            },
        }
    }
    shared.pool.forget(peer.id, &connection);
}

async fn serve_stream(
    shared: &Shared,
    peer: NodeId,
    places: &[Semaphore; Protocol::ALL.len()],
    mut send: SendStream,
    mut receive: RecvStream,
) -> Result<(), WireError> {
    let Ok(head) = timeout(RECEIVE_TIMEOUT, wire::read_head(&mut receive)).await else {
        return Ok(());
    };
    let head = head?;
    let served = Protocol::from_tag(head.tag)
        .and_then(|protocol| Some((protocol, shared.handlers.get(protocol)?)));
    let Some((protocol, handler)) = served else {
        return wire::write_answer(&mut send, Answer::NotServed).await;
    };
    let Ok(_place) = places[usize::from(protocol.tag()) - 1].try_acquire() else {
        return wire::write_answer(&mut send, Answer::Overloaded).await;
    };
    super::prioritise(&send, protocol);
    let limit = match head.kind {
        Kind::Request => MAX_MESSAGE_BYTES,
        Kind::Stream => MAX_HEADER_BYTES,
    };
    let bytes = match read(&mut receive, head, limit).await {
        Err(WireError::TooLarge { size, .. }) => {
            return wire::write_answer(&mut send, Answer::TooLarge { size }).await;
        }
        other => other?,
    };
    match head.kind {
        Kind::Request => {
            wire::take_end(&mut receive);
            let answer = match handler.request(peer, bytes).await {
                Ok(answer) if answer.len() > MAX_MESSAGE_BYTES => {
                    Answer::TooLarge { size: u32::try_from(answer.len()).unwrap_or(u32::MAX) }
                }
                Ok(answer) => Answer::Done(answer),
                Err(message) => Answer::Failed(message),
            };
            wire::write_answer(&mut send, answer).await?;
            send.finish().ok();
            Ok(())
        }
        Kind::Stream => {
            wire::write_answer(&mut send, Answer::Done(bytes::Bytes::new())).await?;
            handler.stream(peer, bytes, Box::new(tokio::io::join(receive, send))).await;
            Ok(())
        }
    }
}

async fn read(
    receive: &mut RecvStream,
    head: Head,
    limit: usize,
) -> Result<bytes::Bytes, WireError> {
    match timeout(RECEIVE_TIMEOUT, wire::read_bytes(receive, head.length, limit)).await {
        Ok(result) => result,
        Err(_) => Err(quinn::ReadExactError::FinishedEarly(0).into()),
    }
}

/// Answers one join request and nothing else.
async fn serve_joiner(shared: &Shared, connection: &Connection) {
    let Ok(_place) = shared.joiners.try_acquire() else {
        return connection.close(settings::CLOSED, b"too many hosts are joining at once");
    };
    let remote = connection.remote_address();
    let served = timeout(JOINER_TIMEOUT, async {
        let Ok((mut send, mut receive)) = connection.accept_bi().await else {
            return Ok::<_, WireError>(());
        };
        let head = wire::read_head(&mut receive).await?;
        let answer = if (head.tag, head.kind) == (Protocol::Join.tag(), Kind::Request) {
            let body = wire::read_bytes(&mut receive, head.length, MAX_JOIN_BYTES).await?;
            match codec::encode(&judge_joiner(shared, &body, remote).await) {
                Ok(answer) => Answer::Done(answer),
                Err(error) => Answer::Failed(error.to_string()),
            }
        } else {
            Answer::NotServed
        };
        wire::write_answer(&mut send, answer).await?;
        send.finish().ok();
        // The joiner closes when it has the answer; closing here could overtake it.
        connection.closed().await;
        Ok(())
    })
    .await;
    if let Ok(Err(error)) = served {
        tracing::debug!(%remote, %error, "join request broke off");
    }
    connection.close(settings::CLOSED, b"done");
}

async fn judge_joiner(
    shared: &Shared,
    body: &[u8],
    remote: SocketAddr,
) -> Result<crate::JoinResponse, JoinRefusal> {
    let not_ready = |reason: &str| JoinRefusal::NotReady {
        reason: reason.to_owned(),
        retry_after: Duration::from_secs(1),
    };
    if !shared.admit_joiner(Instant::now()) {
        return Err(not_ready("too many hosts are joining at once"));
    }
    let request: JoinRequest = codec::decode(body).map_err(|_| {
        JoinRefusal::Invalid("it cannot be read; is this host's version of Skein newer?".into())
    })?;
    match shared.join_handler() {
        Some(handler) => handler.join(request, remote).await,
        None => Err(not_ready("this node is still starting")),
    }
}
