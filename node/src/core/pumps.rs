//! Membership and liveness in the words of those who use them.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    sync::Arc,
};

use skein_consensus::{PeerState, Peers, RaftStatus};
use skein_controllers::NodeLiveness;
use skein_net::{Member, Membership, NodeId};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{WITNESS_KEY, timestamp};
use crate::{
    division::{self, EPOCH_KEY, Side, gossiped_epoch},
    liveness::{Liveness, Verdicts},
    registration::Roster,
    standing::{ROLE_KEY, gossiped_role},
};

/// Under which key members gossip their failure zone.
pub(super) const ZONE_KEY: &str = "zone";

/// Where a node is that nobody has heard of.
const NOWHERE: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));

/// What the view of the peers is made of.
pub(super) struct Sources {
    pub(super) members: watch::Receiver<Arc<Vec<Member>>>,
    pub(super) roster: watch::Receiver<Arc<Roster>>,
    pub(super) raft: watch::Receiver<RaftStatus>,
}

/// Keeps the autopilot's and the store's view of the peers current.
pub(super) fn peers(
    mut from: Sources,
    peers: watch::Sender<Peers>,
    tasks: &TaskTracker,
    cancel: CancellationToken,
) {
    let pumping = async move {
        loop {
            let now = peers_of(
                &from.members.borrow_and_update(),
                &from.roster.borrow_and_update(),
                &from.raft.borrow_and_update(),
            );
            peers.send_if_modified(|before| {
                let changed = **before != now;
                *before = Arc::new(now);
                changed
            });
            // All end with the node.
            let changed = tokio::select! {
                changed = from.members.changed() => changed,
                changed = from.roster.changed() => changed,
                changed = from.raft.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
        }
    };
    tasks.spawn(cancel.run_until_cancelled_owned(pumping));
}

/// The members, and those that were removed but are of the Raft group still, even if nobody has
/// heard of them for long.
fn peers_of(members: &[Member], roster: &Roster, raft: &RaftStatus) -> Vec<PeerState> {
    let mut peers: Vec<PeerState> = members
        .iter()
        .map(|member| PeerState {
            id: member.id,
            name: member.name.clone(),
            addr: member.addr,
            alive: member.alive,
            zone: member.values.get(ZONE_KEY).cloned().unwrap_or_default(),
            witness: member.values.contains_key(WITNESS_KEY),
            removed: roster.removed.contains(&member.id),
        })
        .collect();
    let unheard = |id: &&NodeId| members.iter().all(|member| member.id != **id);
    let of_group = raft.voters.iter().chain(&raft.learners);
    for id in of_group.filter(|id| roster.removed.contains(id)).filter(unheard) {
        peers.push(PeerState {
            id: *id,
            name: id.to_string(),
            addr: NOWHERE,
            alive: false,
            zone: String::new(),
            witness: false,
            removed: true,
        });
    }
    peers
}

/// Tells the others what this node is in the Raft group, and of which epoch.
pub(super) fn role(
    membership: Membership,
    mut raft: watch::Receiver<RaftStatus>,
    tasks: &TaskTracker,
    cancel: CancellationToken,
) {
    let telling = async move {
        let mut told = [String::new(), String::new()];
        loop {
            let now = {
                let raft = raft.borrow_and_update();
                [gossiped_role(&raft), gossiped_epoch(&raft)]
            };
            for ((key, now), told) in [ROLE_KEY, EPOCH_KEY].into_iter().zip(now).zip(&mut told) {
                if now == *told {
                    continue;
                }
                match membership.set(key, &now).await {
                    Ok(()) => *told = now,
                    Err(error) => tracing::warn!(key, %error, "the others are not told"),
                }
            }
            // Ends with the node.
            if raft.changed().await.is_err() {
                return;
            }
        }
    };
    tasks.spawn(cancel.run_until_cancelled_owned(telling));
}

/// Keeps an eye on whether the cluster was recovered twice.
pub(super) fn sides(
    mut members: watch::Receiver<Arc<Vec<Member>>>,
    tasks: &TaskTracker,
    cancel: CancellationToken,
) -> watch::Receiver<Vec<Side>> {
    let (sender, receiver) = watch::channel(Vec::new());
    let watching = async move {
        loop {
            let now = division::sides(&members.borrow_and_update());
            sender.send_if_modified(|before| {
                let changed = *before != now;
                if changed && !now.is_empty() {
                    tracing::error!(sides = ?now, "the cluster was recovered more than once");
                }
                *before = now;
                changed
            });
            // Ends with the node.
            if members.changed().await.is_err() {
                return;
            }
        }
    };
    tasks.spawn(cancel.run_until_cancelled_owned(watching));
    receiver
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
