//! Every bound of this crate, each with its reason.

use std::time::Duration;

/// Largest encoded message, and so the largest request or answer body.
///
/// A page of a thousand objects of the largest allowed size would be more; pages are cut by bytes
/// well below this. Raft snapshots travel in chunks or as streams.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024 * 1024;

/// Largest header of a stream: it names what is asked for, the bytes come after it.
pub const MAX_HEADER_BYTES: usize = 64 * 1024;

/// Bytes an in-memory stream holds for a slow reader before its writer waits.
pub(crate) const MEMORY_STREAM_BUFFER_BYTES: usize = 64 * 1024;

/// Longest time an in-memory request stays with a peer that never answers, whatever its deadline.
pub(crate) const MEMORY_REQUEST_MAX: Duration = Duration::from_secs(600);

/// Longest name of a node, as Kubernetes allows.
pub const MAX_NAME_BYTES: usize = 253;

/// How long a cluster's authority is valid.
pub const CA_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// How long a node's certificate is valid unless configured otherwise: a node off for less keeps
/// its place without being let in anew, a stolen key is of use no longer.
pub const NODE_CERTIFICATE_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// How far the clocks of two hosts may differ before a new certificate is not valid yet.
pub(crate) const CLOCK_SKEW: Duration = Duration::from_secs(300);
