//! What nodes ask and tell each other about life and death: are you there, do you reach that one,
//! that one is dead, I leave.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{self, error::TrySendError};

use crate::{
    Handler, NodeId, Protocol, Transport, codec,
    limits::{MAX_HELP, PROBE_DEADLINE, TELL_DEADLINE},
};

/// A request of the probe protocol; an empty one asks for a sign of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Message {
    /// Does `suspect` answer you within so long? Answered with a bool.
    Reach { suspect: NodeId, within_ms: u32 },
    /// This run of the node was found dead, or has said goodbye.
    Dead { node: NodeId, run: u64 },
    /// The sender's run ends.
    Goodbye { run: u64 },
    /// The host of this run of the node says that nobody listens: knock there.
    Refused { node: NodeId, run: u64 },
}

/// What another node told this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tidings {
    Dead {
        node: NodeId,
        run: u64,
    },
    /// From the node itself.
    Goodbye {
        node: NodeId,
        run: u64,
    },
    /// Its host says that nobody listens: a hint, and a request to knock.
    Refused {
        node: NodeId,
        run: u64,
    },
}

/// Whether `node` answers this node.
pub(super) async fn reach(transport: &dyn Transport, node: NodeId, within: Duration) -> bool {
    transport.request(node, Protocol::Probe, Bytes::new(), within).await.is_ok()
}

/// Whether `helper` says that `suspect` answers it.
pub(super) async fn reach_through(
    transport: &dyn Transport,
    helper: NodeId,
    suspect: NodeId,
) -> bool {
    let within_ms = u32::try_from(PROBE_DEADLINE.as_millis()).unwrap_or(u32::MAX);
    let answer = send(transport, helper, Message::Reach { suspect, within_ms }, PROBE_DEADLINE);
    answer.await.is_some_and(|answer| codec::decode::<bool>(&answer).unwrap_or(false))
}

/// Tells `to`; a goodbye is this node's own.
pub(super) async fn tell(transport: &dyn Transport, to: NodeId, tidings: Tidings) {
    let message = match tidings {
        Tidings::Dead { node, run } => Message::Dead { node, run },
        Tidings::Goodbye { run, .. } => Message::Goodbye { run },
        Tidings::Refused { node, run } => Message::Refused { node, run },
    };
    send(transport, to, message, TELL_DEADLINE).await;
}

async fn send(
    transport: &dyn Transport,
    to: NodeId,
    message: Message,
    deadline: Duration,
) -> Option<Bytes> {
    let sent = async {
        let body = codec::encode(&message).map_err(|error| error.to_string())?;
        let answer = transport.request(to, Protocol::Probe, body, deadline).await;
        answer.map_err(|error| error.to_string())
    };
    sent.await.inspect_err(|error| tracing::trace!(%to, error, "no answer about a probe")).ok()
}

/// Answers probes, probes others for those who ask, and passes tidings on.
pub(super) fn serve(transport: &Arc<dyn Transport>, tidings: mpsc::Sender<Tidings>) {
    // Weak: the transport holds this handler.
    let handler = Prober { transport: Arc::downgrade(transport), tidings };
    transport.register(Protocol::Probe, Arc::new(handler));
}

struct Prober {
    transport: Weak<dyn Transport>,
    tidings: mpsc::Sender<Tidings>,
}

#[async_trait]
impl Handler for Prober {
    async fn request(&self, from: NodeId, body: Bytes) -> Result<Bytes, String> {
        if body.is_empty() {
            return Ok(Bytes::new());
        }
        let tidings = match codec::decode(&body).map_err(|error| error.to_string())? {
            Message::Reach { suspect, within_ms } => {
                let transport = self.transport.upgrade().ok_or("this node stops")?;
                let within = Duration::from_millis(within_ms.into()).min(MAX_HELP);
                let reached = reach(transport.as_ref(), suspect, within).await;
                return codec::encode(&reached).map_err(|error| error.to_string());
            }
            Message::Dead { node, run } => Tidings::Dead { node, run },
            Message::Goodbye { run } => Tidings::Goodbye { node: from, run },
            Message::Refused { node, run } => Tidings::Refused { node, run },
        };
        match self.tidings.try_send(tidings) {
            Ok(()) => Ok(Bytes::new()),
            Err(TrySendError::Full(_)) => Err("too many tidings".into()),
            Err(TrySendError::Closed(_)) => Err("this node stops".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::MemoryNetwork;

    const SOON: Duration = Duration::from_secs(1);

    fn three_nodes() -> (MemoryNetwork, Vec<Arc<dyn Transport>>, Vec<mpsc::Receiver<Tidings>>) {
        let network = MemoryNetwork::new(1);
        let start = |id| {
            let transport: Arc<dyn Transport> = network.transport(NodeId(id));
            let (sender, tidings) = mpsc::channel(1);
            serve(&transport, sender);
            (transport, tidings)
        };
        let (transports, tidings) = (1..=3).map(start).unzip();
        (network, transports, tidings)
    }

    #[tokio::test(start_paused = true)]
    async fn probes_go_directly_or_through_a_helper() {
        let (network, transports, _tidings) = three_nodes();
        let asker = transports[0].as_ref();
        assert!(reach(asker, NodeId(3), SOON).await);
        network.cut(NodeId(1), NodeId(3));
        assert!(!reach(asker, NodeId(3), SOON).await);
        assert!(reach_through(asker, NodeId(2), NodeId(3)).await);
        network.cut(NodeId(2), NodeId(3));
        assert!(!reach_through(asker, NodeId(2), NodeId(3)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn tidings_arrive_and_a_goodbye_is_its_senders() {
        let (_network, transports, mut tidings) = three_nodes();
        let dead = Tidings::Dead { node: NodeId(3), run: 7 };
        tell(transports[0].as_ref(), NodeId(2), dead).await;
        assert_eq!(tidings[1].recv().await, Some(dead));
        let forged = Tidings::Goodbye { node: NodeId(3), run: 5 };
        tell(transports[0].as_ref(), NodeId(2), forged).await;
        let own = Tidings::Goodbye { node: NodeId(1), run: 5 };
        assert_eq!(tidings[1].recv().await, Some(own));
    }

    #[tokio::test(start_paused = true)]
    async fn tidings_beyond_the_queue_are_refused() {
        let (_network, transports, _tidings) = three_nodes();
        let message = Message::Goodbye { run: 1 };
        let tell = || send(transports[0].as_ref(), NodeId(2), message, SOON);
        assert!(tell().await.is_some());
        assert!(tell().await.is_none());
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_message_or_an_error(bytes in any::<Vec<u8>>()) {
            if let Ok(message) = codec::decode::<Message>(&bytes) {
                prop_assert_eq!(codec::decode::<Message>(&codec::encode(&message)?)?, message);
            }
        }
    }
}
