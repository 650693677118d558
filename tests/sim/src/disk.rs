//! How the disk of a simulated host misbehaves.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use skein_store::{DiskAction, DiskOperation, Fault, MemoryDisk};

use crate::power::Power;

/// Of a thousand writes and syncs, how many fail. Shared with the disk's fault.
#[derive(Clone, Debug, Default)]
pub(crate) struct ErrorRate(Arc<AtomicU32>);

impl ErrorRate {
    pub(crate) fn set(&self, of_a_thousand: u32) {
        self.0.store(of_a_thousand, Ordering::Relaxed);
    }
}

/// Connects `disk` to the process that starts now: its changes are effects that a power cut ends,
/// and they fail at this rate.
pub(crate) fn attach(disk: &MemoryDisk, power: &Power, rate: &ErrorRate, seed: u64) {
    let (power, rate) = (power.clone(), rate.clone());
    let luck = Mutex::new(StdRng::seed_from_u64(seed));
    let fault: Fault = Arc::new(move |operation: &DiskOperation<'_>| {
        if matches!(operation.action, DiskAction::Read { .. }) {
            return power.is_off().then_some(io::ErrorKind::Other);
        }
        if !power.spend() {
            return Some(io::ErrorKind::Other);
        }
        let of_a_thousand = rate.0.load(Ordering::Relaxed);
        let mut luck = luck.lock().unwrap_or_else(PoisonError::into_inner);
        (luck.random_range(0..1_000) < of_a_thousand).then_some(io::ErrorKind::Other)
    });
    disk.set_fault(Some(fault));
}

/// How much of an unsynced write of `length` bytes is on the disk after a power cut: all, nothing,
/// or the beginning.
pub(crate) fn torn(luck: &mut impl Rng, length: usize) -> usize {
    match luck.random_range(0..3) {
        0 => 0,
        1 => length,
        _ => luck.random_range(0..=length),
    }
}
