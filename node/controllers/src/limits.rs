//! The bounds of this crate.

use std::time::Duration;

/// Keys of one controller that are worked on at once. They mostly wait for the store, whose
/// writes share a log entry; more would only add conflicts.
pub(crate) const CONCURRENT_KEYS: usize = 16;

/// Writes of one plan that are under way at once.
pub(crate) const CONCURRENT_WRITES: usize = 64;

/// The first batch of pods that a replica set makes; each further batch is twice as large. A quota
/// or a broken template thus costs few refused writes, and a healthy set is complete in a few
/// round trips.
pub(crate) const FIRST_BATCH: usize = 16;

/// The most pods that one pass makes or deletes for one replica set, as in Kubernetes.
pub(crate) const BURST: usize = 500;

/// First and longest pause of a key whose reconciliation failed, or of a pod whose scheduling
/// decision could not be written. The first is about one round trip
/// of a conflicting writer, the longest short enough for a person to wait for.
pub(crate) const BACKOFF: (Duration, Duration) =
    (Duration::from_millis(20), Duration::from_secs(15));

/// How often everything is looked at again although nothing happened.
pub(crate) const RESYNC: Duration = Duration::from_secs(60);

/// How long a reconciliation may take before it is tried afresh: longer than any write is waited
/// for.
pub(crate) const RECONCILE_DEADLINE: Duration = Duration::from_secs(30);

/// How long a controller waits until its informer shows what it wrote itself.
pub(crate) const OWN_WRITES_DEADLINE: Duration = Duration::from_secs(5);

/// Pause between two attempts to take over leadership in the store.
pub(crate) const TAKE_OVER_PAUSE: Duration = Duration::from_millis(100);

/// How long the scheduler gathers further pods before it decides, so that the pods of one
/// deployment are placed together.
pub(crate) const GATHER: Duration = Duration::from_millis(3);

/// How long a node that the membership does not know of may stay so before it counts as dead: a
/// host that has just started hears of all others within a few gossip rounds.
pub(crate) const UNKNOWN_NODE_GRACE: Duration = Duration::from_secs(10);

/// Pause between two looks at a namespace or a definition whose objects are still ending; pods that
/// end bring a namespace back earlier.
pub(crate) const EMPTYING_RECHECK: Duration = Duration::from_secs(1);

/// How long an event is kept after it was last seen, as in Kubernetes.
pub(crate) const EVENT_TTL: jiff::SignedDuration = jiff::SignedDuration::from_hours(1);

/// How many events are kept at most, whatever their age: a cluster in trouble makes a few a second,
/// and at some hundred bytes each they stay below the megabytes.
pub(crate) const MAX_EVENTS: usize = 10_000;

/// How often expired events are looked for.
pub(crate) const EVENT_SWEEP: Duration = Duration::from_secs(60);

/// How many shared values a pool holds before it looks for those that nobody uses: so few that it
/// does not matter, so many that it seldom looks.
pub(crate) const POOL_SWEEP: usize = 1024;

/// How long a pod whose eviction was allowed counts as gone although nobody has deleted it, as in
/// Kubernetes.
pub(crate) const EVICTION_PATIENCE: jiff::SignedDuration = jiff::SignedDuration::from_mins(2);
