//! Leadership handed to another voter before this node stops, or while its disk stalls.

use openraft::{Instant as _, async_runtime::WatchReceiver};
use skein_net::NodeId;
use tokio::time::{Duration, Instant, MissedTickBehavior, interval, timeout_at};

use crate::{limits, parts::Parts};
use skein_store::LogStore;

/// A voter that answered no heartbeat for this long is not worth handing over to.
const HEIR_SILENCE: Duration = Duration::from_millis(500);

/// How long an heir may take: it has the log, so two rounds of messages and a vote on disk.
const HEIR_PATIENCE: Duration = Duration::from_millis(300);

/// How often a leader looks whether its disk still takes entries.
const DISK_INTERVAL: Duration = Duration::from_millis(250);

/// A leader whose own disk has taken nothing for this long, while entries wait, hands over.
const DISK_PATIENCE: Duration = Duration::from_millis(1_500);

/// Between two looks for room on a full disk.
const SPACE_INTERVAL: Duration = Duration::from_secs(1);

/// A leader does not hand over for its disk more often than this: where all disks are full,
/// leadership would only go round.
const HANDOVER_INTERVAL: Duration = Duration::from_secs(10);

/// A voter that could take over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Heir {
    id: u64,
    /// The last entry it is known to have.
    matched: Option<u64>,
    /// Since when it has not answered.
    silent_for: Option<Duration>,
    witness: bool,
}

/// Who may take over, the best first: those that answer, witnesses last, the fullest log first.
fn order(mut heirs: Vec<Heir>) -> Vec<u64> {
    heirs.retain(|heir| heir.silent_for.is_some_and(|silence| silence < HEIR_SILENCE));
    heirs.sort_by_key(|heir| (heir.witness, std::cmp::Reverse(heir.matched), heir.id));
    heirs.into_iter().map(|heir| heir.id).collect()
}

fn heirs(parts: &Parts) -> Vec<u64> {
    let metrics = parts.raft.metrics();
    let metrics = metrics.borrow_watched();
    let peers = parts.peers.borrow();
    let witness = |id| peers.iter().any(|peer| peer.id == NodeId(id) && peer.witness);
    let heir = |id: u64| Heir {
        id,
        matched: metrics
            .replication
            .as_ref()
            .and_then(|all| all.get(&id)?.as_ref().map(|last| last.index)),
        silent_for: metrics
            .heartbeat
            .as_ref()
            .and_then(|all| Some(all.get(&id)?.as_ref()?.elapsed())),
        witness: witness(id),
    };
    let voters = metrics.membership_config.membership().voter_ids();
    order(voters.filter(|id| *id != metrics.id).map(heir).collect())
}

/// Hands leadership over, if this node leads; returns when another leads or nobody can.
///
/// A leader that has tried to hand over proposes nothing and sends no heartbeats any more (openraft
/// stops both for good), so when no heir took over the others elect one.
pub(crate) async fn hand_over(parts: &Parts) {
    if !parts.leads() {
        return;
    }
    let deadline = Instant::now() + limits::HANDOVER_TIMEOUT;
    finish_change(parts, deadline).await;
    let heirs = heirs(parts);
    if heirs.is_empty() {
        tracing::info!("no other voter can take over");
        return;
    }
    for heir in heirs {
        tracing::info!(to = %NodeId(heir), "handing leadership over");
        if let Err(error) = parts.raft.trigger().transfer_leader(heir).await {
            tracing::warn!(%error, "leadership was not handed over");
            return;
        }
        let patience = deadline.min(Instant::now() + HEIR_PATIENCE);
        if another_leads(parts, patience).await {
            return;
        }
        if Instant::now() >= deadline {
            break;
        }
    }
    if !another_leads(parts, Instant::now() + limits::HANDOVER_TIMEOUT).await {
        tracing::warn!("leadership was not taken over in time");
    }
}

/// Waits for a change of members under way: in the middle of one the group may depend on this
/// node.
async fn finish_change(parts: &Parts, deadline: Instant) {
    let mut metrics = parts.raft.server_metrics();
    let finished = async {
        while metrics.borrow_watched().membership_config.get_joint_config().len() > 1 {
            if metrics.changed().await.is_err() {
                return;
            }
        }
    };
    if timeout_at(deadline, finished).await.is_err() {
        tracing::warn!("the members of the raft group are still changing");
    }
}

async fn another_leads(parts: &Parts, deadline: Instant) -> bool {
    let mut metrics = parts.raft.server_metrics();
    let changed = async {
        loop {
            let leader = metrics.borrow_watched().current_leader;
            if leader.is_some_and(|leader| NodeId(leader) != parts.own()) {
                return true;
            }
            if metrics.changed().await.is_err() {
                return true;
            }
        }
    };
    timeout_at(deadline, changed).await.unwrap_or(false)
}

/// Hands over while this node leads with a disk that takes nothing any more, and looks for room
/// on one that is full.
pub(crate) async fn watch_disk(parts: Parts, log: LogStore) {
    let mut ticks = interval(DISK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let progress = parts.raft.watch_log_progress();
    let mut stalled: Option<(Option<u64>, Instant)> = None;
    let mut looked_at = Instant::now();
    let mut handed_over: Option<Instant> = None;
    let watching = async {
        loop {
            ticks.tick().await;
            let flushed = progress.get().and_then(|point| point.last_log_id).map(|id| id.index);
            let last = parts.raft.data_metrics().borrow_watched().last_log.map(|id| id.index);
            let behind = parts.leads() && flushed < last;
            stalled = match stalled {
                Some((at, since)) if behind && at == flushed => Some((at, since)),
                _ => behind.then(|| (flushed, Instant::now())),
            };
            let stands = stalled.is_some_and(|(_, since)| since.elapsed() >= DISK_PATIENCE);
            let lately = handed_over.is_some_and(|at| at.elapsed() < HANDOVER_INTERVAL);
            if parts.leads() && (stands || parts.is_full()) && !lately {
                tracing::warn!("the disk takes no entries: another is to lead");
                hand_over(&parts).await;
                (stalled, handed_over) = (None, Some(Instant::now()));
            }
            if parts.is_full() && looked_at.elapsed() >= SPACE_INTERVAL {
                looked_at = Instant::now();
                if let Err(error) = log.look_for_space().await {
                    tracing::warn!(%error, "the disk cannot be looked at");
                }
            }
        }
    };
    parts.cancel.run_until_cancelled(watching).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fullest_log_that_answers_inherits_and_a_witness_last() {
        let heir = |id, matched, silent: u64, witness| Heir {
            id,
            matched: Some(matched),
            silent_for: Some(Duration::from_millis(silent)),
            witness,
        };
        let never = Heir { id: 9, matched: Some(99), silent_for: None, witness: false };
        let heirs =
            vec![heir(2, 10, 50, false), heir(3, 12, 90, false), heir(4, 12, 10, true), never];
        assert_eq!(order(heirs), [3, 2, 4]);
        assert_eq!(order(vec![heir(2, 10, 900, false)]), [0; 0]);
    }
}
