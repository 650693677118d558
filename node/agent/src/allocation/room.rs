//! The ledger as the workers of this host share it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::{
    Amounts,
    ledger::{Answer, Ledger},
};

/// The room of this host.
#[derive(Debug)]
pub(crate) struct Room {
    ledger: Mutex<Ledger>,
    freed: watch::Sender<()>,
}

impl Room {
    /// The room of a host of which nothing is known yet.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { ledger: Mutex::default(), freed: watch::Sender::new(()) })
    }

    /// Notes what there is.
    pub(crate) fn set_allocatable(&self, amounts: Amounts) {
        if self.ledger().set_allocatable(amounts) {
            self.freed.send_replace(());
        }
    }

    /// A place for a pod that holds this, whatever room there is.
    pub(crate) fn place(self: &Arc<Self>, uid: &str, amounts: Amounts) -> Place {
        self.ledger().hold(uid, amounts);
        Place { room: Arc::clone(self), uid: uid.to_owned() }
    }

    /// Changes whenever there is more room.
    pub(crate) fn freed(&self) -> watch::Receiver<()> {
        self.freed.subscribe()
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one pod holds; it is taken back when its worker ends.
#[derive(Debug)]
pub(crate) struct Place {
    room: Arc<Room>,
    uid: String,
}

impl Place {
    /// Holds this instead, if there is room.
    pub(crate) fn claim(&self, amounts: Amounts) -> Answer {
        let answer = self.room.ledger().claim(&self.uid, amounts);
        if answer == (Answer::Given { frees: true }) {
            self.room.freed.send_replace(());
        }
        answer
    }

    /// Holds nothing: the pod has ended.
    pub(crate) fn clear(&self) {
        if self.room.ledger().release(&self.uid) {
            self.room.freed.send_replace(());
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.clear();
    }
}
