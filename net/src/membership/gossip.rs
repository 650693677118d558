//! chitchat's messages over our transport.
//!
//! chitchat addresses nodes by socket address; ours go by id. So every id has a virtual address
//! that chitchat passes around and nobody ever dials: who a message is from is what the transport
//! has proven, and a node keeps its place in gossip when its real address changes.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use chitchat::{
    ChitchatId, ChitchatMessage, Deserializable, Serializable,
    transport::{Socket, Transport as ChitchatTransport},
};
use tokio::{
    sync::mpsc::{self, error::TrySendError},
    task::JoinSet,
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::arrivals::Arrivals;
use crate::{
    Handler, NodeId, Protocol, Transport,
    limits::{GOSSIP_BYTES, GOSSIP_DEADLINE, GOSSIP_QUEUE, MAX_GOSSIP_IN_FLIGHT},
};

/// First half of every virtual address, from the range for private use (RFC 4193).
const VIRTUAL_PREFIX: u64 = 0xfd73_6b65_696e_0000;

/// The address by which chitchat knows a node.
pub(super) fn virtual_address(id: NodeId) -> SocketAddr {
    let bits = (u128::from(VIRTUAL_PREFIX) << 64) | u128::from(id.0);
    SocketAddr::new(Ipv6Addr::from_bits(bits).into(), 0)
}

/// The node behind a virtual address.
pub(super) fn node_at(address: SocketAddr) -> Option<NodeId> {
    let IpAddr::V6(ip) = address.ip() else { return None };
    let bits = ip.to_bits();
    ((bits >> 64) as u64 == VIRTUAL_PREFIX).then_some(NodeId(bits as u64))
}

/// How chitchat names a run of a node. The virtual address tells nodes apart; the name in it is
/// for chitchat's logs and short, because every digest carries it.
pub(super) fn chitchat_id(id: NodeId, generation: u64) -> ChitchatId {
    let name: String = id.to_string().chars().take(4).collect();
    ChitchatId::new(name, generation, virtual_address(id))
}

type Outgoing = (NodeId, Bytes);
type Incoming = (NodeId, Bytes);

/// Gives chitchat its one socket.
pub(super) struct GossipTransport {
    socket: Mutex<Option<GossipSocket>>,
}

impl GossipTransport {
    /// Registers the gossip protocol and starts the sending side. Whoever gossips or takes gossip in
    /// is noted in `arrivals`.
    pub(super) fn start(
        transport: &Arc<dyn Transport>,
        arrivals: Arc<Arrivals>,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Self {
        let (received, incoming) = mpsc::channel(GOSSIP_QUEUE);
        let (outgoing, to_send) = mpsc::channel(GOSSIP_QUEUE);
        transport.register(
            Protocol::Gossip,
            Arc::new(Receiver { received, arrivals: Arc::clone(&arrivals) }),
        );
        let sending = send_all(Arc::clone(transport), arrivals, to_send);
        tasks.spawn(stop.clone().run_until_cancelled_owned(sending));
        let local = virtual_address(transport.local_id());
        Self { socket: Mutex::new(Some(GossipSocket { local, incoming, outgoing })) }
    }
}

#[async_trait]
impl ChitchatTransport for GossipTransport {
    async fn open(&self, _listen: SocketAddr) -> anyhow::Result<Box<dyn Socket>> {
        match self.socket.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(socket) => Ok(Box::new(socket)),
            None => Err(anyhow::anyhow!("the gossip socket of {} is open already", _listen)),
        }
    }
}

struct GossipSocket {
    local: SocketAddr,
    incoming: mpsc::Receiver<Incoming>,
    outgoing: mpsc::Sender<Outgoing>,
}

#[async_trait]
impl Socket for GossipSocket {
    /// Only enqueues: chitchat waits for this inside its loop.
    async fn send(&mut self, to: SocketAddr, message: ChitchatMessage) -> anyhow::Result<()> {
        let Some(to) = node_at(to) else { return Ok(()) };
        match self.outgoing.try_send((to, message.serialize_to_vec().into())) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_)) => {
                tracing::debug!(%to, "too much gossip to send");
                Ok(())
            }
            Err(TrySendError::Closed(_)) => Err(anyhow::anyhow!("this node stops")),
        }
    }

    async fn recv(&mut self) -> anyhow::Result<(SocketAddr, ChitchatMessage)> {
        loop {
            let Some((from, bytes)) = self.incoming.recv().await else {
                return Err(anyhow::anyhow!("gossip at {} was replaced", self.local));
            };
            match ChitchatMessage::deserialize(&mut bytes.as_ref()) {
                Ok(message) => return Ok((virtual_address(from), message)),
                Err(error) => tracing::warn!(%from, %error, "unreadable gossip"),
            }
        }
    }
}

/// Takes gossip in for chitchat to read when it can.
struct Receiver {
    received: mpsc::Sender<Incoming>,
    arrivals: Arc<Arrivals>,
}

#[async_trait]
impl Handler for Receiver {
    async fn request(&self, from: NodeId, body: Bytes) -> Result<Bytes, String> {
        self.arrivals.note(from);
        if body.len() > GOSSIP_BYTES {
            return Err(format!("{} bytes are no gossip", body.len()));
        }
        match self.received.try_send((from, body)) {
            Ok(()) => Ok(Bytes::new()),
            Err(TrySendError::Full(_)) => Err("too much gossip".into()),
            Err(TrySendError::Closed(_)) => Err("this node stops".into()),
        }
    }
}

/// Sends what chitchat has enqueued, several messages at a time.
async fn send_all(
    transport: Arc<dyn Transport>,
    arrivals: Arc<Arrivals>,
    mut queue: mpsc::Receiver<Outgoing>,
) {
    let mut under_way = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            Some(_) = under_way.join_next() => {}
            next = queue.recv(), if under_way.len() < MAX_GOSSIP_IN_FLIGHT => {
                let Some((to, bytes)) = next else { return };
                let (transport, arrivals) = (Arc::clone(&transport), Arc::clone(&arrivals));
                under_way.spawn(async move {
                    let start = Instant::now();
                    let sent =
                        transport.request(to, Protocol::Gossip, bytes, GOSSIP_DEADLINE).await;
                    match sent {
                        Ok(_taken_in) => arrivals.note_answer(to, start),
                        Err(error) => tracing::trace!(%to, %error, "gossip did not arrive"),
                    }
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_virtual_address_is_one_nodes(id in any::<u64>()) {
            prop_assert_eq!(node_at(virtual_address(NodeId(id))), Some(NodeId(id)));
        }
    }

    #[tokio::test]
    async fn what_is_too_long_for_gossip_does_not_wait_to_be_read() {
        let (received, mut incoming) = mpsc::channel(2);
        let receiver = Receiver { received, arrivals: Arc::default() };
        let send = |bytes| receiver.request(NodeId(1), Bytes::from(vec![0; bytes]));
        assert!(send(GOSSIP_BYTES + 1).await.is_err());
        assert!(send(GOSSIP_BYTES).await.is_ok());
        assert_eq!(incoming.recv().await.unwrap().1.len(), GOSSIP_BYTES);
    }

    #[test]
    fn a_real_address_is_no_nodes() {
        assert_eq!(node_at(([10, 77, 0, 1], 7600).into()), None);
        assert_eq!(node_at((Ipv6Addr::LOCALHOST, 7600).into()), None);
    }
}
