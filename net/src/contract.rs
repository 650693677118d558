//! What every [`Transport`] does, run against both of them.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    BoxedStream, Handler, NodeId, Protocol, RpcError, Transport,
    limits::{MAX_HEADER_BYTES, MAX_MESSAGE_BYTES},
};

const SOON: Duration = Duration::from_secs(5);
const SHORT: Duration = Duration::from_millis(300);

/// Nodes over one kind of transport.
#[async_trait]
pub(crate) trait Nodes: Send {
    /// Starts this many nodes that do not know of each other.
    async fn start(count: usize) -> Self;
    fn id(&self, node: usize) -> NodeId;
    fn transport(&self, node: usize) -> Arc<dyn Transport>;
    fn address(&self, node: usize) -> SocketAddr;
    /// Ends a node without a word to the others.
    async fn kill(&mut self, node: usize);
    /// Starts a killed node again at its address.
    async fn restart(&mut self, node: usize);
}

/// Answers `who:body`, fails on `fail`, never answers on `hang`; echoes streams after their
/// header, until their end.
pub(crate) struct Echo;

#[async_trait]
impl Handler for Echo {
    async fn request(&self, from: NodeId, body: Bytes) -> Result<Bytes, String> {
        match body.as_ref() {
            b"fail" => Err("it failed".into()),
            b"hang" => std::future::pending().await,
            body => Ok([from.to_string().as_bytes(), b":", body].concat().into()),
        }
    }

    async fn stream(&self, _from: NodeId, header: Bytes, mut stream: BoxedStream) {
        let echoed = async {
            stream.write_all(&header).await?;
            let mut buffer = [0; 1024];
            loop {
                match stream.read(&mut buffer).await? {
                    0 => return stream.shutdown().await,
                    read => stream.write_all(&buffer[..read]).await?,
                }
            }
        };
        // A caller that went away ends the echo.
        echoed.await.ok();
    }
}

/// Two nodes that know each other; the second echoes.
async fn pair<N: Nodes>() -> N {
    let nodes = N::start(2).await;
    introduce(&nodes, 0, 1);
    introduce(&nodes, 1, 0);
    nodes.transport(1).register(Protocol::Store, Arc::new(Echo));
    nodes
}

fn introduce<N: Nodes>(nodes: &N, node: usize, to: usize) {
    nodes.transport(node).set_address(nodes.id(to), nodes.address(to));
}

async fn ask<N: Nodes>(nodes: &N, body: impl Into<Bytes>, deadline: Duration) -> Answer {
    nodes.transport(0).request(nodes.id(1), Protocol::Store, body.into(), deadline).await
}

type Answer = Result<Bytes, RpcError>;

pub(crate) async fn a_request_is_answered_and_its_sender_is_known<N: Nodes>() {
    let nodes = pair::<N>().await;
    let answer = ask(&nodes, "hello", SOON).await.unwrap();
    assert_eq!(answer, format!("{}:hello", nodes.id(0)));
}

pub(crate) async fn an_empty_request_is_answered<N: Nodes>() {
    let nodes = pair::<N>().await;
    assert_eq!(ask(&nodes, "", SOON).await.unwrap(), format!("{}:", nodes.id(0)));
}

pub(crate) async fn large_requests_and_answers_arrive_whole<N: Nodes>() {
    let nodes = pair::<N>().await;
    let body = Bytes::from(vec![7; 3_000_000]);
    let answer = ask(&nodes, body.clone(), 4 * SOON).await.unwrap();
    assert!(answer.ends_with(&body));
}

pub(crate) async fn requests_at_once_each_get_their_own_answer<N: Nodes>() {
    let nodes = pair::<N>().await;
    let answers = join_all((0..200).map(|n| ask(&nodes, n.to_string(), 4 * SOON))).await;
    for (n, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer.unwrap(), format!("{}:{n}", nodes.id(0)));
    }
}

pub(crate) async fn a_node_asks_itself<N: Nodes>() {
    let nodes = pair::<N>().await;
    let node = nodes.transport(1);
    let answer = node.request(nodes.id(1), Protocol::Store, "me".into(), SOON).await.unwrap();
    assert_eq!(answer, format!("{}:me", nodes.id(1)));
    let mut stream = node.open(nodes.id(1), Protocol::Store, "me".into(), SOON).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut echoed = String::new();
    stream.read_to_string(&mut echoed).await.unwrap();
    assert_eq!(echoed, "me");
}

pub(crate) async fn a_handlers_error_reaches_the_caller<N: Nodes>() {
    let nodes = pair::<N>().await;
    let error = ask(&nodes, "fail", SOON).await.unwrap_err();
    assert!(
        matches!(&error, RpcError::Remote { message, .. } if message == "it failed"),
        "{error}"
    );
}

pub(crate) async fn an_unserved_protocol_says_so<N: Nodes>() {
    let nodes = pair::<N>().await;
    let (node, peer) = (nodes.transport(0), nodes.id(1));
    let error = node.request(peer, Protocol::Raft, "x".into(), SOON).await.unwrap_err();
    assert!(matches!(error, RpcError::NotServed { protocol: Protocol::Raft, .. }), "{error}");
    let error = node.open(peer, Protocol::Raft, "x".into(), SOON).await.err().unwrap();
    assert!(matches!(error, RpcError::NotServed { protocol: Protocol::Raft, .. }), "{error}");
}

pub(crate) async fn an_unknown_peer_fails_at_once<N: Nodes>() {
    let nodes = pair::<N>().await;
    let stranger = NodeId(4711);
    let answer = nodes.transport(0).request(stranger, Protocol::Store, "x".into(), SOON).await;
    assert!(matches!(answer, Err(RpcError::UnknownPeer(id)) if id == stranger));
}

pub(crate) async fn the_deadline_ends_a_request_without_an_answer<N: Nodes>() {
    let nodes = pair::<N>().await;
    let error = ask(&nodes, "hang", SHORT).await.unwrap_err();
    assert!(matches!(error, RpcError::DeadlineExceeded { .. }), "{error}");
    ask(&nodes, "still here", SOON).await.unwrap();
}

pub(crate) async fn a_message_over_the_limit_is_not_sent<N: Nodes>() {
    let nodes = pair::<N>().await;
    let error = ask(&nodes, vec![0; MAX_MESSAGE_BYTES + 1], SOON).await.unwrap_err();
    assert!(matches!(error, RpcError::TooLarge { .. }), "{error}");
    let header = Bytes::from(vec![0; MAX_HEADER_BYTES + 1]);
    let opened = nodes.transport(0).open(nodes.id(1), Protocol::Store, header, SOON).await;
    assert!(matches!(opened.err().unwrap(), RpcError::TooLarge { .. }));
}

pub(crate) async fn a_stream_carries_bytes_both_ways_and_ends_half_by_half<N: Nodes>() {
    let nodes = pair::<N>().await;
    let opened = nodes.transport(0).open(nodes.id(1), Protocol::Store, "head ".into(), SOON).await;
    let (mut read, mut write) = tokio::io::split(opened.unwrap());
    let sent: Vec<u8> = (0..500_000u32).map(|n| n as u8).collect();
    let sending = async {
        write.write_all(&sent).await.unwrap();
        write.shutdown().await.unwrap();
    };
    let mut received = Vec::new();
    let (_, read) = tokio::join!(sending, read.read_to_end(&mut received));
    read.unwrap();
    assert_eq!(received, [b"head ".as_slice(), &sent].concat());
}

pub(crate) async fn a_node_is_identified_by_its_address<N: Nodes>() {
    let nodes = N::start(2).await;
    let (node, address) = (nodes.transport(0), nodes.address(1));
    assert_eq!(node.identify(address, SOON).await.unwrap(), nodes.id(1));
    assert_eq!(node.address(nodes.id(1)), Some(address));
    assert_eq!(node.identify(nodes.address(0), SOON).await.unwrap(), nodes.id(0));
}

pub(crate) async fn nobody_at_an_address_is_an_error<N: Nodes>() {
    let nodes = N::start(1).await;
    let error = nodes.transport(0).identify(([127, 0, 0, 1], 9).into(), SHORT).await.unwrap_err();
    assert!(matches!(error, RpcError::NoPeerAt { .. }), "{error}");
}

pub(crate) async fn a_killed_peer_fails_requests_within_their_deadline<N: Nodes>() {
    let mut nodes = pair::<N>().await;
    ask(&nodes, "before", SOON).await.unwrap();
    nodes.kill(1).await;
    let error = ask(&nodes, "after", SHORT).await.unwrap_err();
    let gone = matches!(error, RpcError::DeadlineExceeded { .. } | RpcError::Unreachable { .. });
    assert!(gone, "{error}");
}

pub(crate) async fn a_stream_to_a_killed_peer_breaks<N: Nodes>() {
    let mut nodes = pair::<N>().await;
    let opened = nodes.transport(0).open(nodes.id(1), Protocol::Store, "head".into(), SOON).await;
    let mut stream = opened.unwrap();
    stream.read_exact(&mut [0; 4]).await.unwrap();
    nodes.kill(1).await;
    let ended = tokio::time::timeout(2 * SOON, stream.read(&mut [0; 1])).await.unwrap();
    assert!(!matches!(ended, Ok(1..)), "{ended:?}");
}

pub(crate) async fn a_restarted_peer_answers_again<N: Nodes>() {
    let mut nodes = pair::<N>().await;
    ask(&nodes, "before", SOON).await.unwrap();
    nodes.kill(1).await;
    nodes.restart(1).await;
    nodes.transport(1).register(Protocol::Store, Arc::new(Echo));
    let tries = 20;
    for n in 1..=tries {
        match ask(&nodes, "after", SHORT).await {
            Ok(_) => break,
            Err(error) => assert!(n < tries, "{error}"),
        }
    }
}

/// Whether the second node refuses one of a few knocks of the first.
async fn refuses<N: Nodes>(nodes: &N) -> bool {
    let (node, peer) = (nodes.transport(0), nodes.id(1));
    let mut refusals = node.refusals();
    for _ in 0..5 {
        node.knock(peer);
        let refused = tokio::time::timeout(SHORT, refusals.recv()).await;
        if refused.is_ok_and(|refused| refused.unwrap() == peer) {
            return true;
        }
    }
    false
}

pub(crate) async fn only_a_killed_peer_refuses_knocks<N: Nodes>() {
    let mut nodes = pair::<N>().await;
    assert!(!refuses(&nodes).await);
    nodes.kill(1).await;
    assert!(refuses(&nodes).await);
    nodes.restart(1).await;
    assert!(!refuses(&nodes).await);
}

pub(crate) async fn a_handler_can_be_replaced<N: Nodes>() {
    struct Other;
    #[async_trait]
    impl Handler for Other {
        async fn request(&self, _from: NodeId, _body: Bytes) -> Result<Bytes, String> {
            Ok("other".into())
        }
    }
    let nodes = pair::<N>().await;
    ask(&nodes, "x", SOON).await.unwrap();
    nodes.transport(1).register(Protocol::Store, Arc::new(Other));
    assert_eq!(ask(&nodes, "x", SOON).await.unwrap(), "other");
}

/// Makes one test of each promise for the transport of `$nodes`, under `$runtime`.
macro_rules! contract {
    ($nodes:ty, $runtime:tt) => {
        mod contract {
            use super::*;
            $crate::contract::each_promise! { $nodes, $runtime,
                a_request_is_answered_and_its_sender_is_known
                an_empty_request_is_answered
                large_requests_and_answers_arrive_whole
                requests_at_once_each_get_their_own_answer
                a_node_asks_itself
                a_handlers_error_reaches_the_caller
                an_unserved_protocol_says_so
                an_unknown_peer_fails_at_once
                the_deadline_ends_a_request_without_an_answer
                a_message_over_the_limit_is_not_sent
                a_stream_carries_bytes_both_ways_and_ends_half_by_half
                a_node_is_identified_by_its_address
                nobody_at_an_address_is_an_error
                a_killed_peer_fails_requests_within_their_deadline
                a_stream_to_a_killed_peer_breaks
                a_restarted_peer_answers_again
                a_handler_can_be_replaced
                only_a_killed_peer_refuses_knocks
            }
        }
    };
}

macro_rules! each_promise {
    ($nodes:ty, $runtime:tt, $($promise:ident)*) => {
        $(
            #[tokio::test $runtime]
            async fn $promise() {
                $crate::contract::$promise::<$nodes>().await;
            }
        )*
    };
}

pub(crate) use {contract, each_promise};
