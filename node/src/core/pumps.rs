//! Membership and liveness in the words of those who use them.

use std::{collections::BTreeMap, sync::Arc};

use skein_consensus::{PeerState, Peers};
use skein_controllers::NodeLiveness;
use skein_net::Member;
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::timestamp;
use crate::liveness::{Liveness, Verdicts};

/// Under which key members gossip their failure zone.
pub(super) const ZONE_KEY: &str = "zone";

/// Keeps the autopilot's and the store's view of the peers current.
pub(super) fn peers(
    mut members: watch::Receiver<Arc<Vec<Member>>>,
    peers: watch::Sender<Peers>,
    tasks: &TaskTracker,
    cancel: CancellationToken,
) {
    tasks.spawn(async move {
        loop {
            let now: Vec<PeerState> = members.borrow_and_update().iter().map(peer).collect();
            peers.send_if_modified(|before| {
                let changed = **before != now;
                *before = Arc::new(now);
                changed
            });
            tokio::select! {
                () = cancel.cancelled() => return,
                changed = members.changed() => if changed.is_err() { return },
            }
        }
    });
}

fn peer(member: &Member) -> PeerState {
    PeerState {
        id: member.id,
        name: member.name.clone(),
        addr: member.addr,
        alive: member.alive,
        zone: member.values.get(ZONE_KEY).cloned().unwrap_or_default(),
        witness: false,
        removed: false,
    }
}

/// The controllers' view of which nodes are alive.
pub(super) fn node_liveness(
    liveness: &Liveness,
    tasks: &TaskTracker,
    cancel: CancellationToken,
) -> watch::Receiver<skein_controllers::Liveness> {
    let mut verdicts = liveness.subscribe();
    let (sender, receiver) = watch::channel(by_name(&liveness.verdicts()));
    tasks.spawn(async move {
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                changed = verdicts.changed() => if changed.is_err() { return },
            }
            sender.send_replace(by_name(&verdicts.borrow_and_update()));
        }
    });
    receiver
}

/// What membership has heard. A node in its grace is left out: whether it lives is not known, and
/// the cluster may have found it dead long before this process started.
fn by_name(verdicts: &Verdicts) -> skein_controllers::Liveness {
    let named: BTreeMap<String, NodeLiveness> = verdicts
        .values()
        .filter(|verdict| verdict.heard || !verdict.alive)
        .map(|verdict| {
            (
                verdict.name.clone(),
                NodeLiveness { alive: verdict.alive, since: timestamp(verdict.since) },
            )
        })
        .collect();
    Arc::new(named)
}
