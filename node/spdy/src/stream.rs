//! One stream: bytes both ways, each way closed on its own.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
};
use tokio_util::sync::PollSemaphore;

use crate::{
    Frame, Headers,
    connection::{Held, Shared},
    limits,
};

/// The stream was not wanted.
const REFUSED: u32 = 3;
/// Whoever opened or took it has no more use for it.
const CANCEL: u32 = 5;

/// How the other side ended its direction.
#[derive(Debug, Default)]
pub(crate) struct End {
    pub(crate) fin: AtomicBool,
    pub(crate) reset: AtomicBool,
}

/// One stream of a connection. Reads end where the other side has closed its direction; closing this
/// side's leaves the other's open. A stream that is dropped before both are closed is reset.
pub struct Stream {
    id: u32,
    headers: Headers,
    shared: Arc<Shared>,
    place: Arc<OwnedSemaphorePermit>,
    end: Arc<End>,
    chunks: mpsc::Receiver<Bytes>,
    chunk: Bytes,
    room: PollSemaphore,
    closed: bool,
}

impl Stream {
    pub(crate) fn new(
        (id, headers): (u32, Headers),
        shared: Arc<Shared>,
        place: Arc<OwnedSemaphorePermit>,
        end: Arc<End>,
        chunks: mpsc::Receiver<Bytes>,
    ) -> Self {
        let room = PollSemaphore::new(Arc::new(Semaphore::new(limits::SEND_CHUNKS)));
        Self { id, headers, shared, place, end, chunks, chunk: Bytes::new(), room, closed: false }
    }

    /// What a frame of it keeps.
    pub(crate) fn held(&self) -> Held {
        Held { stream: Some(Arc::clone(&self.place)), room: None }
    }

    /// Its number within the connection.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The headers it was opened with.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// Whether the other side has reset it.
    pub fn was_reset(&self) -> bool {
        self.end.reset.load(Ordering::Acquire)
    }

    /// Tells who opened it that it is taken, which some clients wait for.
    ///
    /// # Errors
    /// Where the connection has ended.
    pub fn reply(&self) -> io::Result<()> {
        let headers = Headers::default();
        self.shared.send(Frame::SynReply { id: self.id, fin: false, headers }, self.held())
    }

    /// Tells who opened it that it is not wanted.
    pub fn refuse(self) {
        self.reset(REFUSED);
    }

    fn reset(&self, status: u32) {
        // Unless both directions have ended; a connection that has ended has no streams.
        if self.shared.forget(self.id) {
            let _ended = self.shared.send(Frame::RstStream { id: self.id, status }, self.held());
        }
    }

    fn broken(&self) -> io::Error {
        if self.was_reset() {
            io::Error::new(io::ErrorKind::ConnectionReset, "the stream was reset")
        } else {
            io::Error::new(io::ErrorKind::ConnectionAborted, "the connection has ended")
        }
    }

    fn poll_send(
        &mut self,
        context: &mut Context<'_>,
        data: &[u8],
        fin: bool,
    ) -> Poll<io::Result<()>> {
        if self.closed || self.was_reset() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let permit = ready!(self.room.poll_acquire(context)).ok_or_else(|| self.broken())?;
        let frame = Frame::Data { id: self.id, fin, data: Bytes::copy_from_slice(data) };
        Poll::Ready(self.shared.send(frame, Held { room: Some(permit), ..self.held() }))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.reset(CANCEL);
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.chunk.is_empty() {
            match ready!(self.chunks.poll_recv(context)) {
                Some(chunk) => self.chunk = chunk,
                None if self.end.fin.load(Ordering::Acquire) => return Poll::Ready(Ok(())),
                None => return Poll::Ready(Err(self.broken())),
            }
        }
        let count = buffer.remaining().min(self.chunk.len());
        buffer.put_slice(self.chunk.get(..count).unwrap_or_default());
        self.chunk.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        if data.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let part = data.get(..data.len().min(limits::CHUNK_BYTES)).unwrap_or_default();
        ready!(self.poll_send(context, part, false))?;
        Poll::Ready(Ok(part.len()))
    }

    /// What is written is on its way: the connection sends it as soon as it can.
    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.closed {
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_send(context, &[], true))?;
        self.closed = true;
        self.shared.closed_here(self.id);
        Poll::Ready(Ok(()))
    }
}
