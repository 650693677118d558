//! Every bound of this crate, with its reason.

use std::time::Duration;

/// Operations in one transaction: a namespace's worth of objects bound or removed together.
pub const TRANSACTION_OPERATIONS: usize = 4_096;

/// Bytes of keys and values in one transaction; above the 3 MiB that the API takes as one body.
pub const TRANSACTION_BYTES: usize = 4 << 20;

/// Request ids remembered in any case so that a retry applies once: 6 MB of them.
pub const REMEMBERED_REQUESTS: usize = 65_536;

/// How long request ids are remembered beyond that: a client gives a write up after ten seconds,
/// and clocks of two leaders may differ by a few.
pub const REQUEST_WINDOW: Duration = Duration::from_secs(15);

/// Request ids remembered at most: the window of 17,000 writes a second, in 25 MB or so.
pub const REMEMBERED_REQUESTS_MOST: usize = 262_144;

/// Changes of one resource kept for watchers that connect or catch up, and for lists of the past.
pub const HISTORY_EVENTS: usize = 8_192;

/// Bytes of changes of one resource kept for the same.
pub const HISTORY_BYTES: usize = 8 << 20;

/// Events in one batch to a watcher: enough to amortise a wake-up, small enough to send at once.
pub const WATCH_BATCH_EVENTS: usize = 512;

/// Bytes of events after which a batch to a watcher ends.
pub const WATCH_BATCH_BYTES: usize = 1 << 20;

/// How often a watcher without events hears how far it has been served, be it no further.
pub const WATCH_PROGRESS: Duration = Duration::from_secs(5);

/// Bytes of pages the state's database keeps in memory. The state is read from the index, so
/// pages matter only for writing.
pub const DATABASE_CACHE_BYTES: usize = 4 << 20;

/// Bytes of the newest log entries kept in memory for followers and for applying. A follower
/// further behind than this is served from disk.
pub const LOG_TAIL_BYTES: usize = 4 << 20;

/// Appends, votes and truncations waiting for the disk before the Raft core waits too.
pub const LOG_QUEUE: usize = 1_024;

/// Bytes of entries in one message to a follower, if more than one entry: a few milliseconds of
/// a gigabit link, so that it never delays a heartbeat noticeably.
pub const APPEND_BYTES: usize = 1 << 20;

/// Applied entries after which the state is written to disk. Bounds the replay at a restart.
pub const CHECKPOINT_ENTRIES: u64 = 2_048;

/// Bytes of a segment of the log on a real disk: the unit in which room is reserved ahead and
/// purged entries give theirs back. A node keeps one in reserve, which lets it vote and hand over
/// when the disk is full.
pub const SEGMENT_BYTES: u64 = 8 << 20;

/// Bytes of a segment of the log in memory.
pub const MEMORY_SEGMENT_BYTES: u64 = 128 << 10;

/// Free bytes below which a disk counts as full: what the state needs to be written once more in
/// the usual case, and other programs of the host leave alone for a while.
pub const FREE_BYTES_LOW: u64 = 32 << 20;

/// Free bytes from which a disk that was full counts as usable again; more than
/// [`FREE_BYTES_LOW`], so that it does not change its mind with every file.
pub const FREE_BYTES_ENOUGH: u64 = 64 << 20;

/// Bytes of one group of log changes, if more than one change: enough to amortise an fsync many
/// times over.
pub const GROUP_BYTES: usize = 4 << 20;

/// Bytes of the log read from disk at once.
pub const LOG_READ_BYTES: usize = 4 << 20;
