//! Bounds of the command line.

use std::time::Duration;

/// Longest DNS label (RFC 1035), and so the longest node name or label value.
pub(crate) const MAX_NAME_LENGTH: usize = 63;

/// Shortest prefix of a pod network: an /8 is the largest private range there is.
pub(crate) const MIN_POD_CIDR_BITS: u32 = 8;

/// How long one node may take to accept a connection: far above a round trip round the world.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long to wait for a node before also asking the next: a healthy one answers in milliseconds.
pub(crate) const NEXT_NODE_AFTER: Duration = Duration::from_millis(300);

/// How long a node may take to say that it is there.
pub(crate) const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a command that waits for a state looks again.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(300);

/// Objects asked for in one page of a list; the API's own clients use the same.
pub(crate) const PAGE_SIZE: u32 = 500;

/// Largest manifest read, all documents together: the API refuses bodies far below it.
pub(crate) const MAX_MANIFEST_BYTES: u64 = 64 << 20;

/// Deepest nesting of manifest directories followed.
pub(crate) const MAX_DIRECTORY_DEPTH: usize = 16;

/// Bytes of an image archive in one piece of the upload.
pub(crate) const UPLOAD_CHUNK_BYTES: usize = 256 << 10;

/// How long an ordinary request may take: the API gives up on its own before that.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Longest life of a join token: a year, so that a forgotten one does not stay a key for ever.
pub(crate) const MAX_TOKEN_SECONDS: i64 = 365 * 86_400;

/// How long a node may take to start anew by an order before a command that waits gives up.
pub(crate) const RESTART_TIMEOUT: Duration = Duration::from_secs(60);

/// How long one look at the status of such a node may take: it may leave it unanswered.
pub(crate) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// Seeds printed for a new host: enough that one is up when the line is run.
pub(crate) const SEEDS_SHOWN: usize = 3;

/// Bytes of a log printed at once: a followed line is seen when it is there.
pub(crate) const LOG_CHUNK_BYTES: usize = 64 << 10;
