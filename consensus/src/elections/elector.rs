//! Stands for election when it is time, and beats while this node leads.

use openraft::async_runtime::WatchReceiver;
use skein_net::NodeId;
use tokio::time::{Duration, Instant, sleep, sleep_until};

use super::{Situation, due_at, place};
use crate::parts::{Parts, is_dead};

/// A timer that fires this late tells that this machine is starved: the leader's messages may
/// be waiting too, so they are waited for as long again.
const LATE: Duration = Duration::from_millis(30);

/// A machine that is starved for good has to stand some time all the same.
const GRACES: u32 = 3;

/// What it remembers between two looks.
#[derive(Default)]
struct Memory {
    dead_leader: Option<(NodeId, Instant)>,
    attempts: u32,
    attempted_at: Option<Instant>,
    /// No attempt before this: the machine was starved.
    grace_until: Option<Instant>,
    /// How often in a row that was so.
    graces: u32,
}

/// Watches and stands until cancelled.
pub(crate) async fn run(mut parts: Parts) {
    let mut memory = Memory::default();
    let mut metrics = parts.raft.server_metrics();
    loop {
        let due = memory.due(&mut parts, Instant::now());
        let waiting = async {
            match due {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = parts.cancel.cancelled() => return,
            changed = metrics.changed() => if changed.is_err() { return },
            changed = parts.peers.changed() => if changed.is_err() { return },
            () = waiting => {
                let now = Instant::now();
                let late = due.map_or(Duration::ZERO, |at| now.duration_since(at));
                if late > LATE && memory.graces < GRACES {
                    let patience = late.min(parts.measured.timeouts().silence);
                    (memory.grace_until, memory.graces) = (Some(now + patience), memory.graces + 1);
                } else if memory.due(&mut parts, now).is_some_and(|at| at <= now)
                    && !memory.stand(&parts, now).await
                {
                    return;
                }
            }
        }
    }
}

impl Memory {
    /// When this node should stand; never if it leads, has no vote or belongs to another epoch.
    fn due(&mut self, parts: &mut Parts, now: Instant) -> Option<Instant> {
        let metrics = parts.raft.server_metrics();
        let metrics = metrics.borrow_watched();
        let membership = metrics.membership_config.membership();
        let own = NodeId(metrics.id);
        let voters: Vec<NodeId> = membership.voter_ids().map(NodeId).collect();
        if metrics.state.is_leader() || !voters.contains(&own) || parts.epochs.is_outdated() {
            *self = Self::default();
            return None;
        }
        if voters == [own] {
            return Some(self.attempted_at.map_or(now, |at| at + LATE));
        }
        let leader = metrics.current_leader.map(NodeId).filter(|leader| *leader != own);
        let full = parts.is_full();
        let peers = parts.peers.borrow_and_update();
        let dead = leader.filter(|id| is_dead(&peers, *id));
        self.dead_leader = dead.map(|id| match self.dead_leader {
            Some((known, since)) if known == id => (known, since),
            _ => (id, now),
        });
        let heard_at = parts.measured.heard_at();
        if self.attempted_at.is_some_and(|at| at < heard_at) {
            (self.attempted_at, self.attempts) = (None, 0);
        }
        let (place, candidates) = place(own, &voters, leader, &peers);
        // One without room stands only if nobody else does.
        let place = if full { place + candidates } else { place };
        let situation = Situation {
            heard_at,
            leader_dead_since: self.dead_leader.map(|(_, since)| since),
            place,
            candidates,
            attempts: self.attempts,
            attempted_at: self.attempted_at,
        };
        let due = due_at(&situation, &parts.measured.timeouts());
        Some(self.grace_until.map_or(due, |grace| due.max(grace)))
    }

    /// Asks the others; whether Raft still runs.
    async fn stand(&mut self, parts: &Parts, now: Instant) -> bool {
        self.attempts = self.attempts.saturating_add(1);
        self.graces = 0;
        self.attempted_at = Some(now);
        tracing::info!(attempt = self.attempts, "standing for election");
        // Pre-vote first: the term of a leader that others still hear is left alone.
        parts.raft.trigger().elect(true).await.is_ok()
    }
}

/// Sends heartbeats while this node leads: as often as round trips ask for, which openraft's own
/// ticks, fixed for good, cannot.
pub(crate) async fn beat(parts: Parts) {
    let mut metrics = parts.raft.server_metrics();
    let beating = async {
        loop {
            if !metrics.borrow_watched().state.is_leader() {
                if metrics.changed().await.is_err() {
                    return;
                }
                continue;
            }
            if parts.raft.trigger().heartbeat().await.is_err() {
                return;
            }
            sleep(parts.measured.timeouts().heartbeat).await;
        }
    };
    parts.cancel.run_until_cancelled(beating).await;
}
