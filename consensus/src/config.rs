//! What a replica is told when it starts.

use openraft::{Config, SnapshotPolicy};
use tokio::time::Duration;

use crate::limits;
use skein_store::{Disk, StartError};

/// The bounds of the election timing; what lies between them follows from what is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Between two heartbeats of the leader where round trips are short.
    pub heartbeat: Duration,
    /// A leader is never given up earlier than this after it was last heard of, unless
    /// membership knows that it is dead.
    pub election_min: Duration,
    /// A leader is given up at the latest this long after it was last heard of, however slow
    /// everything is.
    pub election_max: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(50),
            // Four heartbeats and a little.
            election_min: Duration::from_millis(230),
            election_max: Duration::from_secs(2),
        }
    }
}

/// How much of the log is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Entries between two snapshots.
    pub snapshot_entries: u64,
    /// Entries kept behind a snapshot for followers that lag.
    pub keep_entries: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self { snapshot_entries: limits::SNAPSHOT_ENTRIES, keep_entries: limits::LOG_KEEP_ENTRIES }
    }
}

/// What a replica needs to know.
#[derive(Clone, Debug)]
pub struct ReplicaConfig {
    /// Where its files are.
    pub disk: Disk,
    /// The cluster; data of another is refused.
    pub cluster_id: String,
    /// Election timing.
    pub timing: Timing,
    /// Log retention.
    pub retention: Retention,
}

impl ReplicaConfig {
    /// A replica of `cluster_id` on `disk` with the usual timing and retention.
    pub fn new(disk: Disk, cluster_id: impl Into<String>) -> Self {
        let (timing, retention) = (Timing::default(), Retention::default());
        Self { disk, cluster_id: cluster_id.into(), timing, retention }
    }
}

/// openraft's part of it. Elections are held by [`crate::elections`]: openraft's own timeouts
/// are fixed for good, so here they are only the lease within which it grants nobody a vote.
pub(crate) fn raft_config(config: &ReplicaConfig) -> Result<Config, StartError> {
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    // Also how long the answer to a heartbeat may take.
    let heartbeat = millis(limits::LEASE).saturating_sub(2);
    let raft = Config {
        cluster_name: config.cluster_id.clone(),
        heartbeat_interval: heartbeat,
        election_timeout_min: heartbeat + 1,
        election_timeout_max: heartbeat + 2,
        install_snapshot_timeout: millis(limits::SNAPSHOT_INSTALL),
        max_payload_entries: limits::APPEND_ENTRIES,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(config.retention.snapshot_entries),
        max_in_snapshot_log_to_keep: config.retention.keep_entries,
        purge_batch_size: config.retention.snapshot_entries / 4,
        enable_elect: false,
        enable_pre_vote: Some(true),
        // A restarted leader is elected like anybody else: its state may be older than its term.
        enable_leader_restore: Some(false),
        backoff: "50ms 100ms 200ms ...500ms".to_owned(),
        ..Config::default()
    };
    raft.validate().map_err(|error| StartError::Raft(error.to_string()))
}
