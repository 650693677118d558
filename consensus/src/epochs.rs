//! Which life of the cluster this replica belongs to, and what that lets through.
//!
//! Every message between replicas names its sender's epoch, and one of another epoch changes
//! nothing. A replica that hears of a newer epoch knows that it was left behind by a recovery:
//! it writes that down and takes part in nothing until it rejoins. Two epochs of the same number
//! are two recoveries, each on its side of a partition: both refuse each other, and a human says
//! which is to rejoin.

use std::sync::{Mutex, MutexGuard, PoisonError};

use skein_net::NodeId;
use skein_store::{Disk, Epoch, recovery};
use tokio::sync::watch;

/// This replica's epoch and what it heard of others'.
#[derive(Debug)]
pub(crate) struct Epochs {
    own: Epoch,
    disk: Disk,
    heard: watch::Sender<Heard>,
    writing: Mutex<()>,
}

/// What a replica heard of other epochs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    /// A newer one: this replica is left behind.
    pub(crate) newer: Option<Epoch>,
    /// Another one of the same number.
    pub(crate) rival: Option<Epoch>,
}

/// What to make of a message of another replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Same,
    Older,
    Newer,
    Rival,
}

/// Compares a sender's epoch with the own one.
fn judge(own: Epoch, other: Epoch) -> Verdict {
    match other.number.cmp(&own.number) {
        std::cmp::Ordering::Less => Verdict::Older,
        std::cmp::Ordering::Greater => Verdict::Newer,
        std::cmp::Ordering::Equal if other == own => Verdict::Same,
        std::cmp::Ordering::Equal => Verdict::Rival,
    }
}

impl Epochs {
    pub(crate) fn new(disk: Disk, own: Epoch, outdated: Option<Epoch>) -> Self {
        let heard = Heard { newer: outdated, rival: None };
        Self { own, disk, heard: watch::Sender::new(heard), writing: Mutex::new(()) }
    }

    /// The epoch of this replica.
    pub(crate) fn own(&self) -> Epoch {
        self.own
    }

    /// What it heard of others, and changes of that.
    pub(crate) fn heard(&self) -> watch::Receiver<Heard> {
        self.heard.subscribe()
    }

    /// The newest epoch this replica knows of.
    pub(crate) fn current(&self) -> Epoch {
        self.heard.borrow().newer.unwrap_or(self.own)
    }

    /// Whether this replica was left behind.
    pub(crate) fn is_outdated(&self) -> bool {
        self.heard.borrow().newer.is_some()
    }

    /// Takes note of the epoch of `from`; whether it is also this one's, so that they may deal
    /// with each other.
    pub(crate) fn meet(&self, from: NodeId, other: Epoch) -> bool {
        match judge(self.own, other) {
            Verdict::Same => return !self.is_outdated(),
            Verdict::Older => {}
            Verdict::Newer => self.left_behind(from, other),
            Verdict::Rival => {
                let first = self.heard.send_if_modified(|heard| {
                    let first = heard.rival != Some(other);
                    heard.rival = Some(other);
                    first
                });
                if first {
                    tracing::error!(
                        own = %self.own, %other, %from,
                        "the cluster was recovered twice: one side has to rejoin the other"
                    );
                }
            }
        }
        false
    }

    /// An empty replica takes the epoch of whoever speaks to it: it has promised nothing in its
    /// own. Written down as an order; the replica is to be started again.
    pub(crate) fn adopt(&self, newer: Epoch) -> std::io::Result<()> {
        let _writing = self.lock();
        if self.is_outdated() {
            return Ok(());
        }
        recovery::order(&self.disk, &recovery::Order::Follow { epoch: newer })?;
        self.end(newer);
        Ok(())
    }

    /// This replica's life is over: it is to start empty in `next`, and until it is started again
    /// it belongs nowhere.
    pub(crate) fn end(&self, next: Epoch) {
        self.heard.send_modify(|heard| heard.newer = Some(next));
    }

    fn left_behind(&self, from: NodeId, newer: Epoch) {
        let _writing = self.lock();
        if self.heard.borrow().newer.is_some_and(|known| known.number >= newer.number) {
            return;
        }
        tracing::warn!(own = %self.own, %newer, %from, "this replica is of an epoch that is over");
        if let Err(error) = recovery::mark_outdated(&self.disk, newer) {
            // It is learnt again from the next message after a restart.
            tracing::error!(%error, "that this replica is outdated was not written down");
        }
        self.heard.send_modify(|heard| heard.newer = Some(newer));
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_founder_makes_the_same_epoch() {
        let epoch = |number, founder| Epoch { number, founder: NodeId(founder) };
        let table = [
            (Epoch::FIRST, Epoch::FIRST, Verdict::Same),
            (Epoch::FIRST, epoch(2, 7), Verdict::Newer),
            (epoch(2, 7), Epoch::FIRST, Verdict::Older),
            (epoch(2, 7), epoch(2, 7), Verdict::Same),
            (epoch(2, 7), epoch(2, 8), Verdict::Rival),
            (epoch(2, 8), epoch(3, 1), Verdict::Newer),
        ];
        for (own, other, verdict) in table {
            assert_eq!(judge(own, other), verdict, "{own} meets {other}");
        }
    }
}
