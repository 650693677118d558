//! A client and a server at the ends of one pipe.

use std::time::Duration;

use bytes::Bytes;
use futures::{FutureExt, SinkExt, StreamExt};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    task::JoinSet,
    time::timeout,
};
use tokio_util::codec::Framed;

use crate::{Codec, Connection, Frame, Headers, Role, SpdyError, Stream, connect, limits};

const PATIENCE: Duration = Duration::from_secs(20);

/// A connection that is served in the background.
struct Served {
    connection: Connection,
    tasks: JoinSet<Result<(), SpdyError>>,
}

impl Served {
    fn new(io: DuplexStream, role: Role) -> Self {
        let (connection, serve) = connect(io, role).unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve);
        Self { connection, tasks }
    }

    async fn accept(&mut self) -> Stream {
        let accepted = timeout(PATIENCE, self.connection.accept()).await;
        accepted.expect("a stream comes in time").expect("the connection goes on")
    }

    async fn ended(mut self) -> Result<(), SpdyError> {
        timeout(PATIENCE, self.tasks.join_next()).await.expect("in time").unwrap().unwrap()
    }
}

fn pair() -> (Served, Served) {
    let (near, far) = tokio::io::duplex(4096);
    (Served::new(near, Role::Client), Served::new(far, Role::Server))
}

/// A server and a client that says frames as it likes.
fn raw() -> (Served, Framed<DuplexStream, Codec>) {
    let (near, far) = tokio::io::duplex(1 << 16);
    (Served::new(near, Role::Server), Framed::new(far, Codec::new().unwrap()))
}

fn named(name: &str) -> Headers {
    [("streamType", name)].into_iter().collect()
}

async fn read_to_end(stream: &mut Stream) -> std::io::Result<Vec<u8>> {
    let mut all = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut all)).await.expect("in time")?;
    Ok(all)
}

#[tokio::test]
async fn streams_carry_bytes_both_ways_and_close_each_way_on_its_own() {
    let (client, mut server) = pair();
    let mut names = Vec::new();
    let mut pairs = Vec::new();
    for name in ["error", "data", "more"] {
        let near = client.connection.open(named(name)).unwrap();
        let far = server.accept().await;
        far.reply().unwrap();
        names.push((far.id(), far.headers().get("streamtype").unwrap().to_owned()));
        pairs.push((near, far));
    }
    let expected = [(1, "error"), (3, "data"), (5, "more")];
    assert_eq!(names, expected.map(|(id, name)| (id, name.to_owned())));
    let work = pairs.into_iter().map(|(mut near, mut far)| async move {
        let said = vec![u8::try_from(near.id()).unwrap(); 3 * limits::CHUNK_BYTES];
        let (heard, ()) = tokio::join!(read_to_end(&mut far), async {
            near.write_all(&said).await.unwrap();
            near.shutdown().await.unwrap();
        });
        assert!(heard.unwrap() == said);
        far.write_all(b"answer").await.unwrap();
        far.shutdown().await.unwrap();
        assert_eq!(read_to_end(&mut near).await.unwrap(), b"answer");
        assert!(near.write_all(b"late").await.is_err());
    });
    futures::future::join_all(work).await;
}

#[tokio::test]
async fn a_stream_that_is_dropped_is_reset_and_hinders_no_other() {
    let (client, mut server) = pair();
    let mut stuck = client.connection.open(named("stuck")).unwrap();
    let unread = server.accept().await;
    let write = async {
        let more = vec![0; limits::CHUNK_BYTES];
        loop {
            if let Err(error) = stuck.write_all(&more).await {
                return error;
            }
        }
    };
    let mut other = client.connection.open(named("other")).unwrap();
    let others = async {
        // Until nothing moves any more, because nobody reads.
        let mut behind = server.accept().boxed();
        let held = timeout(Duration::from_millis(50), &mut behind).await;
        drop(unread);
        let mut far = match held {
            Ok(far) => far,
            Err(_) => behind.await,
        };
        far.write_all(b"hello").await.unwrap();
        far.shutdown().await.unwrap();
        read_to_end(&mut other).await.unwrap()
    };
    let (error, heard) = timeout(PATIENCE, async { tokio::join!(write, others) }).await.unwrap();
    assert_eq!((error.kind(), &heard[..]), (std::io::ErrorKind::BrokenPipe, &b"hello"[..]));
    assert_eq!(
        read_to_end(&mut stuck).await.unwrap_err().kind(),
        std::io::ErrorKind::ConnectionReset
    );
}

#[tokio::test]
async fn streams_above_the_bound_are_refused_until_others_end() {
    let (mut server, mut client) = raw();
    let open = |id| Frame::SynStream { id, fin: false, headers: Headers::default() };
    let mut streams = Vec::new();
    let mut ids = (1..).step_by(2);
    for id in ids.by_ref().take(limits::STREAMS) {
        client.send(open(id)).await.unwrap();
        streams.push(server.accept().await);
    }
    let refused = ids.next().unwrap();
    client.send(open(refused)).await.unwrap();
    let answer = timeout(PATIENCE, client.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(answer, Frame::RstStream { id: refused, status: 3 });
    drop(streams.pop());
    let answer = timeout(PATIENCE, client.next()).await.unwrap().unwrap().unwrap();
    assert!(matches!(answer, Frame::RstStream { status: 5, .. }), "{answer:?}");
    client.send(open(ids.next().unwrap())).await.unwrap();
    server.accept().await;
}

#[tokio::test]
async fn pings_are_answered_and_other_control_frames_are_taken() {
    let (server, mut client) = raw();
    for frame in [Frame::Settings, Frame::Ping { id: 2 }, Frame::WindowUpdate { id: 1, delta: 1 }] {
        client.send(frame).await.unwrap();
    }
    client.send(Frame::GoAway { last_good: 0, status: 0 }).await.unwrap();
    client.send(Frame::Data { id: 9, fin: true, data: Bytes::from_static(b"?") }).await.unwrap();
    client.send(Frame::Ping { id: 1 }).await.unwrap();
    let answer = timeout(PATIENCE, client.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(answer, Frame::Ping { id: 1 });
    assert!(server.connection.open(Headers::default()).is_err(), "it said that it goes away");
}

#[tokio::test]
async fn a_client_that_breaks_the_protocol_is_left() {
    for id in [2, 0] {
        let (server, mut client) = raw();
        client
            .send(Frame::SynStream { id, fin: false, headers: Headers::default() })
            .await
            .unwrap();
        assert!(matches!(server.ended().await, Err(SpdyError::StreamId(_))), "{id}");
    }
    let (server, mut client) = raw();
    client.get_mut().write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    client.get_mut().write_all(&[0x80, 9, 0, 1, 0, 0, 0, 0]).await.unwrap();
    client.get_mut().shutdown().await.unwrap();
    let _whatever = server.ended().await;
}

#[tokio::test]
async fn a_connection_that_is_cut_within_a_frame_breaks() {
    let (server, mut client) = raw();
    client.get_mut().write_all(&[0, 0, 0, 1, 0, 0, 0, 10, 1, 2, 3]).await.unwrap();
    drop(client);
    assert!(server.ended().await.is_err());
}

#[test]
fn nothing_is_opened_on_a_connection_that_was_never_served() {
    let (near, _far) = tokio::io::duplex(64);
    let (connection, serve) = connect(near, Role::Client).unwrap();
    drop(serve);
    assert!(connection.open(Headers::default()).is_err());
}

#[tokio::test]
async fn a_reset_ends_reads_and_says_so() {
    let (client, mut server) = pair();
    let near = client.connection.open(named("data")).unwrap();
    let mut far = server.accept().await;
    far.write_all(b"all").await.unwrap();
    far.shutdown().await.unwrap();
    drop(near);
    let error = read_to_end(&mut far).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert!(far.was_reset());
}

#[tokio::test]
async fn streams_end_with_their_connection() {
    let (client, mut server) = pair();
    let mut near = client.connection.open(named("data")).unwrap();
    let mut far = server.accept().await;
    drop(client);
    let ended = server.ended().await;
    assert!(ended.is_ok(), "{ended:?}");
    let aborted = std::io::ErrorKind::ConnectionAborted;
    assert_eq!(read_to_end(&mut far).await.unwrap_err().kind(), aborted);
    assert_eq!(read_to_end(&mut near).await.unwrap_err().kind(), aborted);
    assert!(far.write_all(b"late").await.is_err());
}
