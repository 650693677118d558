//! Streams of the simulated network: two pipes, each reliable and in order.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::{Buf, Bytes};
use skein_net::NodeId;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Message, Packet, line::Line};
use crate::limits::STREAM_WINDOW_BYTES;

/// One direction of a stream.
pub(super) struct Pipe {
    /// For the trace.
    pub(super) name: u64,
    state: Mutex<PipeState>,
}

#[derive(Default)]
struct PipeState {
    /// Ready to be read.
    arrived: VecDeque<Bytes>,
    /// Arrived before others that were sent earlier.
    early: BTreeMap<u64, Bytes>,
    /// The number of the next part to be read.
    next: u64,
    /// Written and not yet read.
    outstanding: usize,
    ended: bool,
    reset: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Pipe {
    pub(super) fn new(name: u64) -> Arc<Self> {
        Arc::new(Self { name, state: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, PipeState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn arrive(&self, number: u64, bytes: Bytes) {
        let mut state = self.lock();
        state.early.insert(number, bytes);
        while let next = state.next
            && let Some(bytes) = state.early.remove(&next)
        {
            state.next += 1;
            if bytes.is_empty() {
                state.ended = true;
            } else {
                state.arrived.push_back(bytes);
            }
        }
        wake(state.reader.take());
    }

    fn reset(&self) {
        let mut state = self.lock();
        state.reset = true;
        wake(state.reader.take());
        wake(state.writer.take());
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// A stream as the network sees it: which runs of which hosts it joins.
pub(super) struct Link {
    pub(super) ends: [(NodeId, u64); 2],
    pub(super) pipes: [Arc<Pipe>; 2],
    pub(super) broken_since: Option<u64>,
}

impl Link {
    /// Takes in whether its path is whole now. Returns whether it goes on: a stream whose path was
    /// broken for `patience_ms` is reset, one that both ends have dropped is over.
    pub(super) fn goes_on(&mut self, whole: bool, now_ms: u64, patience_ms: u64) -> bool {
        if whole {
            self.broken_since = None;
            return self.pipes.iter().any(|pipe| Arc::strong_count(pipe) > 1);
        }
        if now_ms - *self.broken_since.get_or_insert(now_ms) < patience_ms {
            return true;
        }
        self.pipes.iter().for_each(|pipe| pipe.reset());
        false
    }
}

/// One end of a stream.
pub(super) struct SimulatedStream {
    line: Arc<Line>,
    peer: NodeId,
    read: Arc<Pipe>,
    write: Arc<Pipe>,
    /// The number of the next part.
    next: u64,
    ended: bool,
}

impl SimulatedStream {
    /// The end of `line`, whose other end is at `peer`.
    pub(super) fn new(line: &Arc<Line>, peer: NodeId, read: &Arc<Pipe>, write: &Arc<Pipe>) -> Self {
        let (line, read, write) = (Arc::clone(line), Arc::clone(read), Arc::clone(write));
        Self { line, peer, read, write, next: 0, ended: false }
    }

    fn send(&mut self, bytes: Bytes) {
        let (pipe, number, sent_ms) = (Arc::clone(&self.write), self.next, self.line.now_ms());
        self.next += 1;
        let message = Message::Part { pipe, number, bytes, sent_ms };
        self.line.send(Packet { from: self.line.id, to: self.peer, message });
    }
}

impl AsyncRead for SimulatedStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.read.lock();
        if state.reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let Some(part) = state.arrived.front_mut() else {
            if state.ended {
                return Poll::Ready(Ok(()));
            }
            state.reader = Some(context.waker().clone());
            return Poll::Pending;
        };
        let length = part.len().min(buffer.remaining());
        buffer.put_slice(&part[..length]);
        part.advance(length);
        if part.is_empty() {
            state.arrived.pop_front();
        }
        state.outstanding -= length;
        wake(state.writer.take());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for SimulatedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.write.lock();
        if state.reset || self.ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = STREAM_WINDOW_BYTES.saturating_sub(state.outstanding);
        let length = bytes.len().min(room);
        if length == 0 && !bytes.is_empty() {
            state.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        state.outstanding += length;
        drop(state);
        if length > 0 {
            self.send(Bytes::copy_from_slice(&bytes[..length]));
        }
        Poll::Ready(Ok(length))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !std::mem::replace(&mut self.ended, true) {
            self.send(Bytes::new());
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for SimulatedStream {
    fn drop(&mut self) {
        if !self.ended {
            self.send(Bytes::new());
        }
        // Nobody reads on: the peer's writes fail from now on.
        let mut unread = self.read.lock();
        unread.reset = true;
        wake(unread.writer.take());
    }
}
