//! A replica whose files are damaged leaves the group and starts empty.
//!
//! It may have voted and acknowledged, and cannot know what. So it must not come back as a member
//! before every majority of the group can do without it: it waits for a committed membership
//! that it is not in, and only then begins anew, to be filled and added like any new host.

use skein_net::NodeId;
use skein_store::{Epoch, recovery::Order};
use tokio::time::{Duration, sleep};

use super::respond::Responder;
use crate::{
    limits,
    store_protocol::{self, StoreReply, StoreRequest},
};

/// Between two rounds of asking.
const INTERVAL: Duration = Duration::from_millis(500);

/// Asks until this node is let go, then orders it to begin anew.
pub(crate) async fn run(responder: Responder) {
    let repairing = async {
        loop {
            if let Some(epoch) = ask(&responder).await {
                match responder.write(Order::Follow { epoch }).await {
                    Ok(()) => return responder.restart_soon(),
                    Err(error) => tracing::error!(%error, "the damaged files cannot be replaced"),
                }
            }
            sleep(INTERVAL).await;
        }
    };
    responder.parts.cancel.run_until_cancelled(repairing).await;
}

/// The group's epoch, if a leader says that this node is no member.
async fn ask(responder: &Responder) -> Option<Epoch> {
    let parts = &responder.parts;
    let peers: Vec<NodeId> = parts
        .peers
        .borrow()
        .iter()
        .filter(|peer| peer.alive && peer.id != parts.own())
        .map(|peer| peer.id)
        .collect();
    for node in peers {
        let (transport, request) = (parts.transport.as_ref(), &StoreRequest::Leave);
        let asked =
            store_protocol::ask(transport, None, node, request, limits::RECOVERY_TIMEOUT).await;
        match asked {
            Ok(StoreReply::Left { left: true, epoch }) => return Some(epoch),
            Ok(_) => tracing::info!(leader = %node, "waiting to be let go by the group"),
            Err(reason) => tracing::debug!(%node, %reason, "no leader"),
        }
    }
    None
}
