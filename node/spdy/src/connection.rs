//! Many streams over one connection: a table of who reads what, one reader, one writer.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
};

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
};
use tokio_util::codec::Framed;

use crate::{Codec, Frame, Headers, SpdyError, Stream, limits, stream::End};

/// The status of streams that are not wanted.
const REFUSED_STREAM: u32 = 3;

/// Which side of the connection this process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Opens streams with odd ids.
    Client,
    /// Opens streams with even ids.
    Server,
}

/// A frame to send, and what is free again once it is sent.
type Outgoing = (Frame, Held);

/// Places that a frame keeps while it waits to be sent.
#[expect(dead_code, reason = "they are given back when they are dropped")]
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// Of its stream: one that is gone still counts while there is something to send of it.
    pub(crate) stream: Option<Arc<OwnedSemaphorePermit>>,
    /// Among the chunks of its stream, or the answers of the connection.
    pub(crate) room: Option<OwnedSemaphorePermit>,
}

/// What the streams of a connection share with it.
pub(crate) struct Shared {
    /// Bounded by what the frames hold.
    outgoing: mpsc::UnboundedSender<Outgoing>,
    places: Arc<Semaphore>,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    streams: HashMap<u32, Entry>,
    /// The next id of this side, and the last of the other.
    next: u32,
    last: u32,
    /// The other side takes no more streams.
    going_away: bool,
    ended: bool,
}

struct Entry {
    end: Arc<End>,
    /// Until the other side has closed its direction.
    chunks: Option<mpsc::Sender<Bytes>>,
    closed_here: bool,
}

impl Shared {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn send(&self, frame: Frame, held: Held) -> io::Result<()> {
        let ended = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the connection has ended");
        self.outgoing.send((frame, held)).map_err(ended)
    }

    /// Notes that this side has closed its direction of a stream.
    pub(crate) fn closed_here(&self, id: u32) {
        let mut table = self.table();
        if let Some(entry) = table.streams.get_mut(&id) {
            entry.closed_here = true;
            if entry.chunks.is_none() {
                table.streams.remove(&id);
            }
        }
    }

    /// Takes a stream out; true if one of its directions was still open.
    pub(crate) fn forget(&self, id: u32) -> bool {
        self.table().streams.remove(&id).is_some()
    }

    /// Makes a stream, unless there are too many.
    fn add(self: &Arc<Self>, table: &mut Table, id: u32, headers: Headers) -> Option<Stream> {
        if table.ended {
            return None;
        }
        let place = Arc::new(Arc::clone(&self.places).try_acquire_owned().ok()?);
        let (chunks, receiver) = mpsc::channel(limits::STREAM_CHUNKS);
        let end = Arc::new(End::default());
        let chunks = Some(chunks);
        table.streams.insert(id, Entry { end: Arc::clone(&end), chunks, closed_here: false });
        Some(Stream::new((id, headers), Arc::clone(self), place, end, receiver))
    }
}

/// A connection, by which streams come and are opened.
pub struct Connection {
    shared: Arc<Shared>,
    incoming: mpsc::Receiver<Stream>,
}

impl Connection {
    /// The next stream that the other side has opened; `None` once the connection has ended.
    pub async fn accept(&mut self) -> Option<Stream> {
        self.incoming.recv().await
    }

    /// Opens a stream.
    ///
    /// # Errors
    /// Where the connection has ended, the other side takes no more, or too many are open.
    pub fn open(&self, headers: Headers) -> io::Result<Stream> {
        let mut table = self.shared.table();
        if table.going_away {
            return Err(io::Error::other("the other side takes no more streams"));
        }
        let id = table.next;
        let stream = self.shared.add(&mut table, id, headers.clone());
        let stream = stream.ok_or_else(|| io::Error::other("no further stream can be opened"))?;
        table.next += 2;
        // Under the lock: streams must be told of in the order of their ids.
        let sent = self.shared.send(Frame::SynStream { id, fin: false, headers }, stream.held());
        // A stream that is dropped takes the lock.
        drop(table);
        sent?;
        Ok(stream)
    }
}

/// Puts streams on `io`. They live as long as the future that is returned: whoever awaits it serves
/// the connection, and it ends when the other side hangs up or breaks the protocol.
///
/// # Errors
/// Where zlib does not take the dictionary; the future's are what ended the connection.
pub fn connect<IO>(
    io: IO,
    role: Role,
) -> Result<(Connection, impl Future<Output = Result<(), SpdyError>> + Send), SpdyError>
where
    IO: AsyncRead + AsyncWrite + Send + Unpin,
{
    let framed = Framed::new(io, Codec::new()?);
    let (outgoing, queue) = mpsc::unbounded_channel();
    let next = if role == Role::Client { 1 } else { 2 };
    let table = Mutex::new(Table { next, ..Table::default() });
    let places = Arc::new(Semaphore::new(limits::STREAMS));
    let shared = Arc::new(Shared { outgoing, places, table });
    let (accepted, incoming) = mpsc::channel(limits::INCOMING);
    let answers = Arc::new(Semaphore::new(limits::ANSWERS));
    let reader = Reader { shared: Arc::clone(&shared), accepted, answers, role };
    let end = EndOnDrop(Arc::clone(&shared));
    let serve = serve(framed, queue, reader, end);
    Ok((Connection { shared, incoming }, serve))
}

async fn serve<IO>(
    framed: Framed<IO, Codec>,
    mut queue: mpsc::UnboundedReceiver<Outgoing>,
    mut reader: Reader,
    // The caller's, so that a future that is never polled ends the streams, too.
    _end: EndOnDrop,
) -> Result<(), SpdyError>
where
    IO: AsyncRead + AsyncWrite + Send + Unpin,
{
    let (mut sink, mut frames) = framed.split();
    let write = async {
        while let Some((frame, _place)) = queue.recv().await {
            sink.feed(frame).await?;
            // What waits goes with it.
            while let Ok((frame, _place)) = queue.try_recv() {
                sink.feed(frame).await?;
            }
            sink.flush().await?;
        }
        Ok(())
    };
    let read = async {
        while let Some(frame) = frames.next().await {
            reader.take(frame?).await?;
        }
        Ok(())
    };
    tokio::select! {
        result = write => result,
        result = read => result,
    }
}

/// Ends the streams of a connection with it.
struct EndOnDrop(Arc<Shared>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        let mut table = self.0.table();
        table.ended = true;
        table.streams.clear();
    }
}

/// Hands frames to whom they are for.
struct Reader {
    shared: Arc<Shared>,
    accepted: mpsc::Sender<Stream>,
    answers: Arc<Semaphore>,
    role: Role,
}

impl Reader {
    async fn take(&mut self, frame: Frame) -> Result<(), SpdyError> {
        match frame {
            Frame::SynStream { id, fin, headers } => self.open(id, fin, headers).await,
            Frame::SynReply { id, fin, .. } | Frame::Headers { id, fin, .. } => {
                self.data(id, fin, Bytes::new()).await;
                Ok(())
            }
            Frame::Data { id, fin, data } => {
                self.data(id, fin, data).await;
                Ok(())
            }
            Frame::RstStream { id, .. } => {
                if let Some(entry) = self.shared.table().streams.remove(&id) {
                    entry.end.reset.store(true, Ordering::Release);
                }
                Ok(())
            }
            Frame::Ping { id } => self.pong(id).await,
            Frame::GoAway { .. } => {
                self.shared.table().going_away = true;
                Ok(())
            }
            Frame::Settings | Frame::WindowUpdate { .. } => Ok(()),
        }
    }

    async fn open(&mut self, id: u32, fin: bool, headers: Headers) -> Result<(), SpdyError> {
        let is_theirs = (id % 2 == 1) == (self.role == Role::Server);
        let stream = {
            let mut table = self.shared.table();
            if !is_theirs || id <= table.last {
                return Err(SpdyError::StreamId(id));
            }
            table.last = id;
            self.shared.add(&mut table, id, headers)
        };
        let Some(stream) = stream else {
            return self.answer(Frame::RstStream { id, status: REFUSED_STREAM }).await;
        };
        if fin {
            self.data(id, true, Bytes::new()).await;
        }
        if let Err(unwanted) = self.accepted.send(stream).await {
            unwanted.0.refuse();
        }
        Ok(())
    }

    /// Hands on what came for a stream, waiting for its reader. What comes for one that is gone is
    /// dropped: it was on its way.
    async fn data(&mut self, id: u32, fin: bool, data: Bytes) {
        let chunks = {
            let table = self.shared.table();
            table.streams.get(&id).and_then(|entry| entry.chunks.clone())
        };
        let Some(chunks) = chunks else { return };
        if !data.is_empty() && chunks.send(data).await.is_err() {
            return;
        }
        if fin {
            let mut table = self.shared.table();
            let Some(entry) = table.streams.get_mut(&id) else { return };
            entry.end.fin.store(true, Ordering::Release);
            entry.chunks = None;
            if entry.closed_here {
                table.streams.remove(&id);
            }
        }
    }

    async fn pong(&mut self, id: u32) -> Result<(), SpdyError> {
        let is_theirs = (id % 2 == 1) == (self.role == Role::Server);
        if is_theirs { self.answer(Frame::Ping { id }).await } else { Ok(()) }
    }

    /// Answers once few enough answers wait to be sent.
    async fn answer(&mut self, frame: Frame) -> Result<(), SpdyError> {
        let room = Arc::clone(&self.answers).acquire_owned().await.ok();
        Ok(self.shared.send(frame, Held { stream: None, room })?)
    }
}
