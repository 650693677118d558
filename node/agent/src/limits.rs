//! The bounds of the agent, each with its reason.

use std::time::Duration;

use jiff::SignedDuration;

/// Pods started at once. More only queue inside one Docker engine.
pub const CONCURRENT_STARTS: usize = 4;
/// Pods a host takes unless configured otherwise; the kubelet's default.
pub const MAX_PODS: u32 = 110;
/// First delay before a crashed container is started again; the first restart has none.
pub(crate) const RESTART_DELAY: SignedDuration = SignedDuration::from_secs(10);
/// Longest delay before a crashed container or a failed pull is tried again.
pub(crate) const RESTART_DELAY_MAX: SignedDuration = SignedDuration::from_mins(5);
/// A container that ran this long starts over without delay.
pub(crate) const RESTART_RESET: SignedDuration = SignedDuration::from_mins(10);
/// First delay after a step failed for a reason that may pass by itself.
pub(crate) const STEP_DELAY: SignedDuration = SignedDuration::from_secs(1);
/// Longest delay after such a step.
pub(crate) const STEP_DELAY_MAX: SignedDuration = SignedDuration::from_secs(10);
/// How long a failed pull is shown as such before it is shown as backing off.
pub(crate) const PULL_ERROR_SHOWN: SignedDuration = SignedDuration::from_secs(5);
/// A worker looks at its pod this often even if nothing was heard.
pub(crate) const RESYNC: Duration = Duration::from_secs(60);
/// The pods' source is compared with the workers this often even if nothing was heard.
pub(crate) const PODS_RESYNC: Duration = Duration::from_secs(15);
/// How often the runtime is asked whether it is well.
pub(crate) const HEALTH_INTERVAL: Duration = Duration::from_secs(5);
/// How often a runtime that is not well is asked again.
pub(crate) const HEALTH_RETRY: Duration = Duration::from_secs(1);
/// A runtime that takes longer to tell its version is not well.
pub(crate) const HEALTH_TIMEOUT: Duration = Duration::from_secs(10);
/// First delay after the store refused a write.
pub(crate) const STORE_DELAY: Duration = Duration::from_millis(200);
/// Longest delay between tries to write to the store.
pub(crate) const STORE_DELAY_MAX: Duration = Duration::from_secs(5);
/// Least time between two writes of the node's conditions at first; it doubles while somebody else
/// keeps taking back that the node is ready.
pub(crate) const NODE_WRITE_GAP: Duration = Duration::from_millis(250);
/// Longest such time, and how long the node must have stayed ready for it to start over.
pub(crate) const NODE_WRITE_GAP_MAX: Duration = Duration::from_secs(10);
/// Grace given to the containers of a pod that is gone from the store.
pub(crate) const ORPHAN_GRACE_MAX: Duration = Duration::from_secs(30);
/// Longest message kept of an error, in characters.
pub(crate) const MESSAGE_CHARS: usize = 1024;
/// Bytes of a configuration source the agent reads or writes; Kubernetes allows 1 MiB objects.
pub(crate) const CHECKPOINT_BYTES: u64 = 4 << 20;
/// Bytes read of the answer to an HTTP probe.
pub(crate) const PROBE_ANSWER_BYTES: usize = 4096;
/// Images pulled at once.
pub(crate) const CONCURRENT_PULLS: usize = 3;
/// A ConfigMap or Secret that takes longer to read is taken from what was kept of it.
pub(crate) const SOURCE_TIMEOUT: Duration = Duration::from_secs(2);
/// A pod that starts within this time is reported once, when it runs.
pub(crate) const FIRST_REPORT: SignedDuration = SignedDuration::from_millis(400);
/// How long the pods of an earlier run wait for the host's range before they are looked after
/// without it. The range kept on disk is there at once.
pub(crate) const RANGE_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of a conversation within this host that one side may be ahead of the other.
pub(crate) const CONVERSATION_BYTES: usize = 64 << 10;

/// The most bytes of one frame of a conversation: many times what clients send.
pub const FRAME_BYTES: usize = 1 << 20;

/// Longest silence of a conversation; then an empty frame shows whether anybody is still there.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(10);
