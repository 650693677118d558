//! Every bound of this crate, with its reason.

use std::time::Duration;

/// Operations in one transaction: a namespace's worth of objects bound or removed together.
pub(crate) const TRANSACTION_OPERATIONS: usize = 4_096;

/// Bytes of keys and values in one transaction; above the 3 MiB that the API takes as one body.
pub(crate) const TRANSACTION_BYTES: usize = 4 << 20;

/// Request ids remembered so that a retry applies once. A client gives a write up after
/// seconds; at the 5,000 writes a second one group sustains this is 13 s of them, in 5 MB.
pub(crate) const REMEMBERED_REQUESTS: usize = 65_536;

/// Changes of one resource kept for watchers that connect or catch up.
pub(crate) const HISTORY_EVENTS: usize = 8_192;

/// Bytes of changes of one resource kept for watchers.
pub(crate) const HISTORY_BYTES: usize = 8 << 20;

/// Events in one batch to a watcher: enough to amortise a wake-up, small enough to send at once.
pub(crate) const WATCH_BATCH_EVENTS: usize = 512;

/// Bytes of events after which a batch to a watcher ends.
pub(crate) const WATCH_BATCH_BYTES: usize = 1 << 20;

/// How often a watcher without events hears how far it has been served.
pub(crate) const WATCH_PROGRESS: Duration = Duration::from_secs(5);

/// How long a read waits for the replica to reach what it must see.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_secs(5);
