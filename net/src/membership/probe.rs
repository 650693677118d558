//! Is a node there? Asked directly, and through others whose way to it may be better.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt};

use crate::{
    Handler, NodeId, Protocol, Transport, codec,
    limits::{PROBE_DEADLINE, PROBE_HELPERS},
};

/// Whether `node` answers within `deadline`.
pub async fn probe(transport: &dyn Transport, node: NodeId, deadline: Duration) -> bool {
    transport.request(node, Protocol::Probe, Bytes::new(), deadline).await.is_ok()
}

/// Whether `suspect` answers neither this node nor any of a few `helpers` within `deadline`.
pub async fn confirm_dead(
    transport: &dyn Transport,
    suspect: NodeId,
    helpers: &[NodeId],
    deadline: Duration,
) -> bool {
    let asked = helpers.iter().filter(|helper| **helper != suspect).take(PROBE_HELPERS);
    let mut answers: FuturesUnordered<_> = std::iter::once(None)
        .chain(asked.copied().map(Some))
        .map(|helper| async move {
            match helper {
                None => probe(transport, suspect, deadline).await,
                Some(helper) => probe_through(transport, helper, suspect, deadline).await,
            }
        })
        .collect();
    while let Some(answered) = answers.next().await {
        if answered {
            return false;
        }
    }
    true
}

async fn probe_through(
    transport: &dyn Transport,
    helper: NodeId,
    suspect: NodeId,
    deadline: Duration,
) -> bool {
    let Ok(question) = codec::encode(&suspect) else { return false };
    let answer = transport.request(helper, Protocol::Probe, question, deadline).await;
    answer.is_ok_and(|answer| codec::decode::<bool>(&answer).unwrap_or(false))
}

/// Answers probes, and probes others for those who ask.
pub fn serve_probes(transport: &Arc<dyn Transport>) {
    // Weak: the transport holds this handler.
    let handler = Prober { transport: Arc::downgrade(transport) };
    transport.register(Protocol::Probe, Arc::new(handler));
}

struct Prober {
    transport: Weak<dyn Transport>,
}

#[async_trait]
impl Handler for Prober {
    async fn request(&self, _from: NodeId, body: Bytes) -> Result<Bytes, String> {
        if body.is_empty() {
            return Ok(Bytes::new());
        }
        let suspect: NodeId = codec::decode(&body).map_err(|error| error.to_string())?;
        let transport = self.transport.upgrade().ok_or("this node stops")?;
        // Less than the asker waits, so that it hears a no as well.
        let answered = probe(transport.as_ref(), suspect, PROBE_DEADLINE * 2 / 3).await;
        codec::encode(&answered).map_err(|error| error.to_string())
    }
}
