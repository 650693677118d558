//! One end of an in-memory stream, which breaks when its link does.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::limits::MEMORY_STREAM_BUFFER_BYTES;

pub(super) struct MemoryStream {
    pipe: DuplexStream,
    broken: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl MemoryStream {
    /// Both ends of a stream that fails once `broken` is cancelled.
    pub(super) fn pair(broken: &CancellationToken) -> (Self, Self) {
        let (a, b) = tokio::io::duplex(MEMORY_STREAM_BUFFER_BYTES);
        let end = |pipe| Self { pipe, broken: Box::pin(broken.clone().cancelled_owned()) };
        (end(a), end(b))
    }

    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.broken.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionReset.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for MemoryStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.pipe).poll_read(context, buffer)
    }
}

impl AsyncWrite for MemoryStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.pipe).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.pipe).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.pipe).poll_shutdown(context)
    }
}
