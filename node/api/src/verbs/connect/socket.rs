//! WebSockets: of messages, and as streams of bytes.

use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use futures::{SinkExt, StreamExt, future};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message, Utf8Bytes,
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
    },
};
use tokio_util::io::{CopyToBytes, SinkWriter, StreamReader};

use crate::limits;

/// A WebSocket of the server's side.
pub(super) type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// A connection as a WebSocket.
pub(super) async fn socket(upgraded: TokioIo<Upgraded>) -> Socket {
    let mut config = WebSocketConfig::default();
    config.max_message_size = Some(limits::EXEC_MESSAGE_BYTES);
    config.max_frame_size = Some(limits::EXEC_MESSAGE_BYTES);
    WebSocketStream::from_raw_socket(upgraded, Role::Server, Some(config)).await
}

/// A WebSocket as a stream of bytes, which its messages carry without meaning.
pub(super) fn tunnel(socket: Socket) -> impl AsyncRead + AsyncWrite + Send + Unpin {
    let (to_client, from_client) = socket.split();
    let bytes = from_client
        .take_while(|message| future::ready(!matches!(message, Ok(Message::Close(_)))))
        .filter_map(|message| {
            future::ready(match message {
                Ok(Message::Binary(bytes)) => Some(Ok(bytes)),
                Ok(_) => None,
                Err(error) => Some(Err(io::Error::other(error))),
            })
        });
    let messages = to_client
        .sink_map_err(io::Error::other)
        .with(|bytes: Bytes| future::ready(Ok::<_, io::Error>(Message::Binary(bytes))));
    tokio::io::join(StreamReader::new(bytes), SinkWriter::new(CopyToBytes::new(messages)))
}

/// What is said on a channel, after the channel's number.
pub(super) fn frame(channel: u8, bytes: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(1 + bytes.len());
    frame.put_u8(channel);
    frame.put_slice(bytes);
    frame.freeze()
}

/// The end of a WebSocket.
pub(super) fn close(code: CloseCode, reason: &'static str) -> Message {
    Message::Close(Some(CloseFrame { code, reason: Utf8Bytes::from_static(reason) }))
}

/// Reads what a client still says, so that what it was told last is not lost: a connection that is
/// closed with something unread is reset.
pub(super) async fn drain(
    mut from_client: impl StreamExt<Item = Result<Message, impl Sized>> + Unpin,
) {
    let rest = async { while let Some(Ok(_)) = from_client.next().await {} };
    if tokio::time::timeout(limits::DRAIN, rest).await.is_err() {
        tracing::debug!("a client did not close its end of a conversation");
    }
}
