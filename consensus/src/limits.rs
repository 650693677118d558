//! Every bound of this crate, with its reason.

use std::time::Duration;

/// How long a read waits for the replica to reach what it must see.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// Log entries between two snapshots.
pub(crate) const SNAPSHOT_ENTRIES: u64 = 4_096;

/// Log entries kept behind a snapshot, so that a follower that was away for a while, or that is
/// just receiving a snapshot, still finds what comes after it.
pub(crate) const LOG_KEEP_ENTRIES: u64 = 8_192;

/// The longest time between an applied entry and its state on disk.
pub(crate) const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(10);

/// How long a heartbeat or an empty append may take; openraft passes its own, shorter ones.
/// Entries get longer: they wait for the follower's disk, which may be busy.
pub(crate) const APPEND_DEADLINE: Duration = Duration::from_secs(1);

/// How long after a heartbeat openraft itself grants nobody a vote, and how long the answer to a
/// heartbeat may take. Shorter than any time after which this node gives a leader up by silence.
pub(crate) const LEASE: Duration = Duration::from_millis(150);

/// A heartbeat is answered after this long even if the disk is busy.
pub(crate) const HEARTBEAT_PATIENCE: Duration = Duration::from_millis(20);

/// A voter that did not answer its leader for this long is counted as missing, or longer where
/// everything is slow.
pub(crate) const VOTER_SILENCE: Duration = Duration::from_millis(700);

/// Entries in one message to a follower.
pub(crate) const APPEND_ENTRIES: u64 = 512;

/// Bytes of records in one part of a snapshot or of a streamed list.
pub(crate) const PART_BYTES: usize = 1 << 20;

/// Request ids in one part of a snapshot.
pub(crate) const PART_REQUESTS: usize = 8_192;

/// How long a snapshot may stand still before it is given up.
pub(crate) const SNAPSHOT_IDLE: Duration = Duration::from_secs(10);

/// How long the receiver of a whole snapshot may take to install it.
pub(crate) const SNAPSHOT_INSTALL: Duration = Duration::from_secs(60);

/// Snapshots received at a time: a leader sends one, a deposed one may still be sending another.
pub(crate) const SNAPSHOTS_RECEIVED: usize = 2;

/// Transactions waiting to be proposed; beyond it the store says it is overloaded.
pub(crate) const WRITE_QUEUE: usize = 4_096;

/// Bytes of transactions waiting or being committed, in KiB.
pub(crate) const WRITE_QUEUE_KIB: usize = 64 << 10;

/// Transactions in one log entry.
pub(crate) const BATCH_TRANSACTIONS: usize = 512;

/// Bytes of transactions in one log entry, if more than one.
pub(crate) const BATCH_BYTES: usize = 512 << 10;

/// Log entries proposed and not yet answered. One waits for the disk and the followers while the
/// next one fills; more would only make them smaller.
pub(crate) const BATCHES_IN_FLIGHT: usize = 2;

/// Messages with writes on their way to the leader and not yet answered: what fills two log entries
/// there, and what fills the next two.
pub(crate) const FORWARDS_IN_FLIGHT: usize = 4;

/// How long a write is tried, over elections and lost messages, before the caller hears about it.
pub(crate) const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long one attempt at a peer may take.
pub(crate) const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(1_500);

/// Pause before the next attempt when nothing tells that it may go better.
pub(crate) const RETRY_PAUSE: Duration = Duration::from_millis(25);

/// Reads waiting for a read index.
pub(crate) const READ_QUEUE: usize = 16_384;

/// Requests of peers being served at a time.
pub(crate) const SERVED_REQUESTS: usize = 8_192;

/// Lists and watches of peers being served at a time: each of a thousand hosts without a replica
/// keeps about ten watches, spread over the replicas.
pub(crate) const SERVED_STREAMS: usize = 4_096;

/// How long a peer's stream may stand still; watches tell their progress more often than this.
pub(crate) const STREAM_IDLE: Duration = Duration::from_secs(15);

/// A replica that has not heard from a leader for this long leaves reading to its peers.
pub(crate) const LEADER_SILENCE: Duration = Duration::from_secs(3);

/// A replica that has not followed for this long sends its watchers away, and again each time it
/// passes: to a better replica or, where there is none, back here. Several elections long, so
/// that none of them disturbs a watch.
pub(crate) const WATCH_PATIENCE: Duration = Duration::from_secs(30);

/// Pause between two looks whether a replica follows again, so that watches of its node that a peer
/// serves come back to it.
pub(crate) const HOMECOMING: Duration = Duration::from_secs(1);

/// How long a leader tries to hand over before it stops anyway.
pub(crate) const HANDOVER_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a survey or an order waits for a replica.
pub(crate) const RECOVERY_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a replica that is to rejoin looks for somebody who went on: a few rounds of gossip, for
/// one that was started just now.
pub(crate) const REJOIN_PATIENCE: Duration = Duration::from_secs(3);

/// How long a leader remembers that a damaged replica asked to be let go; it asks every half
/// second, and must not be let in again meanwhile.
pub(crate) const LEAVE_MEMORY: Duration = Duration::from_secs(10);

/// Decisions of the autopilot kept for a listener that is slow.
pub(crate) const DECISIONS: usize = 64;

/// How long stopping waits for the files to be closed.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
