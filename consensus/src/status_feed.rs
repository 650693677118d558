//! Keeps the status current.

use openraft::async_runtime::WatchReceiver;
use tokio::{
    sync::watch,
    time::{Duration, Instant, MissedTickBehavior, interval},
};

use crate::{
    RaftStatus, limits,
    parts::Parts,
    status::{Patience, Sight, status_of},
};

/// How often the status is looked at when nothing reports anything new.
const INTERVAL: Duration = Duration::from_millis(100);

/// The status as of now, of a node that has led for `led_for`.
pub(crate) fn look(parts: &Parts, led_for: Duration) -> RaftStatus {
    let silence = parts.measured.timeouts().silence;
    let sight = Sight {
        epoch: parts.epochs.own(),
        outdated: parts.epochs.heard().borrow().newer,
        heard: parts.measured.silent_for(),
        up_for: parts.measured.up_for(),
        led_for,
        peers: &parts.peers.borrow(),
        last_log: parts.raft.data_metrics().borrow_watched().last_log,
        patience: Patience {
            voter: parts.voter_patience(),
            leader: silence,
            following: limits::LEADER_SILENCE,
        },
    };
    let metrics = parts.raft.metrics();
    let status = status_of(&metrics.borrow_watched(), &sight);
    match &parts.damage {
        Some(damage) => RaftStatus { failure: Some(damage.to_string()), ..status },
        None if status.failure.is_none() && parts.is_full() => {
            let failure = Some("the disk is full: no entries are taken".to_owned());
            RaftStatus { failure, disk_full: true, ..status }
        }
        None => status,
    }
}

/// Tells every change until cancelled.
pub(crate) async fn run(mut parts: Parts, status: watch::Sender<RaftStatus>) {
    let mut metrics = parts.raft.metrics();
    let mut heard = parts.epochs.heard();
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut leading_since = None;
    loop {
        let now = look(&parts, leading_since.map_or(Duration::ZERO, |at: Instant| at.elapsed()));
        leading_since = now.is_leader().then(|| leading_since.unwrap_or_else(Instant::now));
        status.send_if_modified(|before| {
            let changed = *before != now;
            *before = now;
            changed
        });
        tokio::select! {
            () = parts.cancel.cancelled() => return,
            changed = metrics.changed() => if changed.is_err() { return },
            changed = parts.peers.changed() => if changed.is_err() { return },
            changed = parts.space.changed() => if changed.is_err() { return },
            changed = heard.changed() => if changed.is_err() { return },
            _ = ticks.tick() => {}
        }
    }
}
