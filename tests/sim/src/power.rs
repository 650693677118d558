//! The power of one process: after a crash nothing it does has an effect any more.
//!
//! What a process does can be seen from outside only in the messages it sends and in what it does
//! to its disk. A crash is therefore placed before any one of these effects: wherever its tasks
//! are then, between any two awaits, is where they stop for ever.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use tokio_util::sync::CancellationToken;

/// Shared by whatever has effects in the name of one process.
#[derive(Clone, Debug)]
pub(crate) struct Power {
    /// Effects left; negative while nothing is to happen.
    left: Arc<AtomicI64>,
    off: CancellationToken,
}

impl Power {
    /// On, until told otherwise.
    pub(crate) fn new() -> Self {
        Self { left: Arc::new(AtomicI64::new(-1)), off: CancellationToken::new() }
    }

    /// Lets `effects` more happen and then none.
    pub(crate) fn fail_after(&self, effects: u32) {
        if effects == 0 {
            self.off.cancel();
        } else if !self.off.is_cancelled() {
            self.left.store(effects.into(), Ordering::Relaxed);
        }
    }

    /// Takes back a failure that has not come yet.
    pub(crate) fn hold(&self) {
        self.left.store(-1, Ordering::Relaxed);
    }

    /// Whether one more effect happens.
    pub(crate) fn spend(&self) -> bool {
        if self.off.is_cancelled() {
            return false;
        }
        match self.left.load(Ordering::Relaxed) {
            0 => {
                self.off.cancel();
                false
            }
            left if left > 0 => {
                self.left.store(left - 1, Ordering::Relaxed);
                true
            }
            _ => true,
        }
    }

    /// Whether nothing happens any more.
    pub(crate) fn is_off(&self) -> bool {
        self.off.is_cancelled()
    }

    /// Returns once nothing happens any more.
    pub(crate) async fn failed(&self) {
        self.off.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_fails_before_the_effect_told() {
        let power = Power::new();
        assert!(power.spend());
        power.fail_after(2);
        assert_eq!([power.spend(), power.spend(), power.spend()], [true, true, false]);
        assert!(power.is_off());
        power.fail_after(1);
        assert!(!power.spend());
        let held = Power::new();
        held.fail_after(1);
        held.hold();
        assert!(held.spend() && held.spend());
    }
}
