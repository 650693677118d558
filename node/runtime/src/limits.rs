//! Every bound of this crate, with its reason.

use std::time::Duration;

/// Starts of sandboxes and containers under way at once on one engine. Measured on two cores:
/// more of them only queue inside the engine and make each one slower.
pub(crate) const CONCURRENT_STARTS: usize = 4;

/// Undelivered events kept for one listener; one that falls further behind gets a `Resync`, which
/// costs it one listing.
pub(crate) const EVENT_BACKLOG: usize = 1024;

/// Calls that only read or change the engine's own records.
pub(crate) const CALL_DEADLINE: Duration = Duration::from_secs(20);

/// Calls that make or start something: an engine under load was seen to need seconds.
pub(crate) const START_DEADLINE: Duration = Duration::from_secs(60);

/// How long a stop may take beyond its grace period, and a removal altogether.
pub(crate) const STOP_MARGIN: Duration = Duration::from_secs(30);

/// How long a pull or load may go without a sign of progress before it is given up.
pub(crate) const TRANSFER_STALL: Duration = Duration::from_secs(120);

/// How long a pull may take altogether; one that drips must end some time.
pub(crate) const PULL_DEADLINE: Duration = Duration::from_secs(1800);

/// First pause before the event stream is opened again; doubles up to [`EVENT_RETRY_MAX`].
pub(crate) const EVENT_RETRY_MIN: Duration = Duration::from_millis(100);

/// Longest pause before the event stream is opened again.
pub(crate) const EVENT_RETRY_MAX: Duration = Duration::from_secs(5);

/// Size of one log file of a container; with [`LOG_FILES`] this bounds its share of the disk.
pub(crate) const LOG_FILE_SIZE: &str = "10m";

/// Log files kept per container.
pub(crate) const LOG_FILES: &str = "3";

/// Largest image archive the simulated runtime takes; it is held in memory.
pub(crate) const SIMULATED_ARCHIVE_BYTES: usize = 64 << 20;

/// Log lines one simulated program may have.
pub(crate) const SIMULATED_LOG_LINES: usize = 10_000;

/// Inspections and removals under way at once for one listing or one pod.
pub(crate) const CONCURRENT_INSPECTIONS: usize = 8;

/// How long a started pause may take to make its namespaces.
pub(crate) const READY_DEADLINE: Duration = Duration::from_secs(10);

/// Pause between two looks at a starting pause.
pub(crate) const READY_POLL: Duration = Duration::from_millis(1);

/// First and longest pause between two looks at whether a process that has closed its outputs has
/// ended, too; most have.
pub(crate) const END_LOOKS: (Duration, Duration) =
    (Duration::from_millis(5), Duration::from_secs(1));
