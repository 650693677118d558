//! Messages on a stream: a length and one frame each.

use serde::{Serialize, de::DeserializeOwned};
use skein_net::{BoxedStream, codec, limits::MAX_MESSAGE_BYTES};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Duration, timeout},
};

/// Why a stream of messages broke.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    /// The peer stopped in the middle or went away.
    #[error("the stream broke")]
    Broken(#[from] std::io::Error),
    /// Nothing moved for too long.
    #[error("nothing came or went for {0:?}")]
    Idle(Duration),
    /// A message that is too large.
    #[error("a message of {0} bytes is over the limit of {MAX_MESSAGE_BYTES}")]
    TooLarge(usize),
    /// Bytes that are no message.
    #[error("a message cannot be encoded or decoded")]
    Codec(#[from] codec::CodecError),
}

/// Sends one message.
pub(crate) async fn write<T: Serialize + ?Sized>(
    stream: &mut BoxedStream,
    message: &T,
    idle: Duration,
) -> Result<(), FrameError> {
    let frame = codec::encode(message)?;
    let length = u32::try_from(frame.len()).map_err(|_| FrameError::TooLarge(frame.len()))?;
    let send = async {
        stream.write_all(&length.to_le_bytes()).await?;
        stream.write_all(&frame).await?;
        stream.flush().await
    };
    timeout(idle, send).await.map_err(|_| FrameError::Idle(idle))??;
    Ok(())
}

/// Receives one message.
pub(crate) async fn read<T: DeserializeOwned>(
    stream: &mut BoxedStream,
    idle: Duration,
) -> Result<T, FrameError> {
    let receive = async {
        let mut length = [0; 4];
        stream.read_exact(&mut length).await?;
        let length = u32::from_le_bytes(length) as usize;
        if length > MAX_MESSAGE_BYTES {
            return Err(FrameError::TooLarge(length));
        }
        let mut frame = vec![0; length];
        stream.read_exact(&mut frame).await?;
        Ok(codec::decode(&frame)?)
    };
    timeout(idle, receive).await.map_err(|_| FrameError::Idle(idle))?
}
