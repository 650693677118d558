//! Carries out the autopilot's plan while this node leads, and tells what it does.

use std::collections::{BTreeMap, BTreeSet};

use openraft::{ChangeMembers, EmptyNode, async_runtime::WatchReceiver};
use skein_net::NodeId;
use tokio::{
    sync::broadcast,
    time::{Duration, Instant, MissedTickBehavior, interval, timeout},
};

use super::{
    Change, Planned,
    observe::{Memory, observe},
    plan, relief, warning,
};
use crate::{Decision, handover, parts::Parts};
use skein_store::Raft;

/// How often the plan is made anew when nothing asks for it.
const INTERVAL: Duration = Duration::from_millis(500);

/// How long a change may take before the next is considered.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(10);

/// The autopilot of one node.
pub(crate) struct Driver {
    parts: Parts,
    decisions: broadcast::Sender<Decision>,
    memory: Memory,
    /// Whether the operator was warned since this node leads, and what was warned of is not over.
    warned: bool,
    /// What was told last: what does not succeed is tried again, not told again.
    told: Option<Planned>,
}

impl Driver {
    pub(crate) fn new(parts: Parts, decisions: broadcast::Sender<Decision>) -> Self {
        Self { parts, decisions, memory: Memory::default(), warned: false, told: None }
    }

    /// Watches and acts until cancelled.
    pub(crate) async fn run(mut self) {
        let cancel = self.parts.cancel.clone();
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Ends with the replica or with the membership, whichever goes first.
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = ticks.tick() => {}
                changed = self.parts.peers.changed() => if changed.is_err() { return },
            }
            if cancel.run_until_cancelled(self.turn()).await.is_none() {
                return;
            }
        }
    }

    async fn turn(&mut self) {
        let now = Instant::now();
        let leads = self.parts.leads();
        let peers = self.parts.peers.borrow_and_update().clone();
        let Some(since) = self.memory.note(leads, &peers, now) else {
            (self.warned, self.told) = (false, None);
            return;
        };
        if let Some(voters) = unfinished(&self.parts.raft) {
            return self.carry_out(Change::SetVoters(voters)).await;
        }
        let members = observe(&self.parts, &self.memory, now);
        let news = if self.warned { relief(&members) } else { warning(&members) };
        if let Some(news) = news {
            self.warned = !self.warned;
            self.tell(&news);
        }
        let planned = plan(&members, now.duration_since(since));
        if let Some(planned) = &planned {
            let told = self.told.as_ref();
            if told.is_none_or(|told| told.change != planned.change) {
                self.tell(planned);
            }
            self.carry_out(planned.change.clone()).await;
        }
        self.told = planned;
    }

    fn tell(&self, planned: &Planned) {
        let Planned { about, reason, message, .. } = planned;
        tracing::info!(%about, %reason, %message, "the autopilot decided");
        let decision = Decision { node: *about, reason, message: message.clone() };
        // Nobody may be listening.
        drop(self.decisions.send(decision));
    }

    async fn carry_out(&self, change: Change) {
        let acting = async {
            match members(change) {
                Some((members, retain)) => {
                    let changed = self.parts.raft.change_membership(members, retain).await;
                    changed.map(drop).map_err(|error| error.to_string())
                }
                None => {
                    handover::hand_over(&self.parts).await;
                    Ok(())
                }
            }
        };
        match timeout(CHANGE_TIMEOUT, acting).await {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => tracing::warn!(%reason, "the members did not change"),
            Err(_) => tracing::warn!("the change of the members is taking long"),
        }
    }
}

/// The voters of a change that a former leader began: until it is finished both the old and the
/// new majority are needed for everything.
fn unfinished(raft: &Raft) -> Option<BTreeSet<NodeId>> {
    let metrics = raft.server_metrics();
    let metrics = metrics.borrow_watched();
    match metrics.membership_config.membership().get_joint_config().as_slice() {
        [_, .., last] => Some(last.iter().copied().map(NodeId).collect()),
        _ => None,
    }
}

/// The change as openraft takes it; none if it is no change of members.
fn members(change: Change) -> Option<(ChangeMembers<u64, EmptyNode>, bool)> {
    let members = match change {
        Change::AddStandby(id) => {
            ChangeMembers::AddNodes(BTreeMap::from([(id.0, EmptyNode::default())]))
        }
        Change::RemoveStandby(id) => ChangeMembers::RemoveNodes(BTreeSet::from([id.0])),
        Change::SetVoters(ids) => {
            ChangeMembers::ReplaceAllVoters(ids.into_iter().map(|id| id.0).collect())
        }
        Change::HandOver => return None,
    };
    // Former voters stay as standbys until they are removed as such.
    Some((members, true))
}
