//! Carries out the autopilot's plan while this node leads.

use std::collections::{BTreeMap, BTreeSet};

use openraft::{ChangeMembers, EmptyNode, async_runtime::WatchReceiver};
use skein_net::NodeId;
use tokio::{
    sync::watch,
    time::{Duration, Instant, MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{Change, Member, MemberRole, plan};
use crate::{Peers, RaftStatus};
use skein_store::Raft;

/// How often the plan is made anew when nothing asks for it.
const INTERVAL: Duration = Duration::from_millis(500);

/// How long a change may take before the next is considered.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(10);

/// A node this many entries behind has caught up: it gets the rest with the next message.
const CAUGHT_UP_ENTRIES: u64 = 64;

/// What the driver remembers between two looks.
#[derive(Default)]
struct Memory {
    leading_since: Option<Instant>,
    dead_since: BTreeMap<NodeId, Instant>,
}

/// Watches and acts until cancelled.
pub(crate) async fn run(
    raft: Raft,
    mut status: watch::Receiver<RaftStatus>,
    mut peers: watch::Receiver<Peers>,
    cancel: CancellationToken,
) {
    let mut memory = Memory::default();
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Ends with the replica or with the membership, whichever goes first.
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = ticks.tick() => {}
            changed = peers.changed() => if changed.is_err() { return },
        }
        let now = Instant::now();
        let leads = status.borrow_and_update().is_leader();
        let Some(since) = memory.note(leads, &peers.borrow_and_update(), now) else { continue };
        let planned = || {
            let members = observe(&raft, &peers.borrow(), &memory, now);
            plan(&members, now.duration_since(since))
        };
        let Some(change) = unfinished(&raft).or_else(planned) else { continue };
        tracing::info!(?change, "changing the members of the raft group");
        let acting = timeout(CHANGE_TIMEOUT, act(&raft, change));
        match cancel.run_until_cancelled(acting).await {
            Some(Ok(Ok(()))) => {}
            Some(Ok(Err(reason))) => tracing::warn!(%reason, "the members did not change"),
            Some(Err(_)) => tracing::warn!("the change of the members is taking long"),
            None => return,
        }
    }
}

impl Memory {
    /// Updates since when this node leads and the others are dead; since when it leads.
    fn note(&mut self, leads: bool, peers: &Peers, now: Instant) -> Option<Instant> {
        if !leads {
            *self = Self::default();
            return None;
        }
        self.dead_since.retain(|id, _| peers.iter().any(|peer| peer.id == *id && !peer.alive));
        for peer in peers.iter().filter(|peer| !peer.alive) {
            self.dead_since.entry(peer.id).or_insert(now);
        }
        Some(*self.leading_since.get_or_insert(now))
    }
}

/// The change that a former leader began: until it is finished both the old and the new majority
/// are needed for everything.
fn unfinished(raft: &Raft) -> Option<Change> {
    let metrics = raft.metrics();
    let metrics = metrics.borrow_watched();
    match metrics.membership_config.membership().get_joint_config().as_slice() {
        [_, .., last] => Some(Change::SetVoters(last.iter().copied().map(NodeId).collect())),
        _ => None,
    }
}

/// Every node the group or the membership knows.
fn observe(raft: &Raft, peers: &Peers, memory: &Memory, now: Instant) -> Vec<Member> {
    let metrics = raft.metrics();
    let metrics = metrics.borrow_watched();
    let membership = metrics.membership_config.membership();
    let voters: BTreeSet<u64> = membership.voter_ids().collect();
    let standbys: BTreeSet<u64> = membership.learner_ids().collect();
    let last = metrics.last_log_index.unwrap_or(0);
    let matched = |id: u64| {
        let replication = metrics.replication.as_ref()?;
        replication.get(&id)?.as_ref().map(|log_id| log_id.index)
    };
    let known = peers.iter().map(|peer| peer.id.0);
    let ids: BTreeSet<u64> = voters.iter().chain(&standbys).copied().chain(known).collect();
    let member = |id: u64| {
        let peer = peers.iter().find(|peer| peer.id.0 == id);
        let own = id == metrics.id;
        let dead_for = match peer {
            _ if own => None,
            Some(peer) if peer.alive => None,
            // A member that nobody has heard of since this node leads.
            None => memory.leading_since.map(|since| now.duration_since(since)),
            Some(_) => memory.dead_since.get(&NodeId(id)).map(|since| now.duration_since(*since)),
        };
        Member {
            id: NodeId(id),
            zone: peer.map(|peer| peer.zone.clone()).unwrap_or_default(),
            role: if voters.contains(&id) {
                MemberRole::Voter
            } else if standbys.contains(&id) {
                MemberRole::Standby
            } else {
                MemberRole::Outside
            },
            dead_for,
            caught_up: own || matched(id).is_some_and(|index| index + CAUGHT_UP_ENTRIES >= last),
        }
    };
    ids.into_iter().map(member).collect()
}

async fn act(raft: &Raft, change: Change) -> Result<(), String> {
    let members = match change {
        Change::AddStandby(id) => {
            ChangeMembers::AddNodes(BTreeMap::from([(id.0, EmptyNode::default())]))
        }
        Change::RemoveStandby(id) => ChangeMembers::RemoveNodes(BTreeSet::from([id.0])),
        Change::SetVoters(ids) => {
            ChangeMembers::ReplaceAllVoters(ids.into_iter().map(|id| id.0).collect())
        }
    };
    // Former voters stay as standbys until they are removed as such.
    raft.change_membership(members, true).await.map(drop).map_err(|error| error.to_string())
}
