//! The bounds of this crate.

use std::time::Duration;

/// How often a read-modify-write is tried before the caller hears of the conflict. Contention on
/// one object among a handful of controllers resolves within two or three rounds.
pub(crate) const WRITE_ATTEMPTS: usize = 10;

/// How many generated names are tried before giving up; five random letters of 27 collide once in
/// 14 million, so a second collision means the namespace is full.
pub(crate) const GENERATED_NAME_ATTEMPTS: usize = 8;

/// How many active namespaces are remembered; beyond, the memory starts afresh.
pub(crate) const REMEMBERED_NAMESPACES: usize = 4096;

/// Changes an informer keeps for a slow subscriber before telling it to look at everything again.
pub(crate) const INFORMER_CHANGES: usize = 1024;

/// First and longest pause of an informer between two attempts to reach the store.
pub(crate) const INFORMER_BACKOFF: (Duration, Duration) =
    (Duration::from_millis(50), Duration::from_secs(2));

/// Events waiting to be written; further ones are dropped and counted.
pub(crate) const RECORDER_BACKLOG: usize = 1024;

/// Distinct events whose repetition is counted rather than written anew.
pub(crate) const RECORDER_MEMORY: usize = 4096;

/// How long one event may take to be written before it is given up: events are best effort.
pub(crate) const RECORDER_DEADLINE: Duration = Duration::from_secs(5);

/// Bytes of an event's message, as in Kubernetes.
pub(crate) const EVENT_MESSAGE_BYTES: usize = 1024;

/// After how many seconds to try again what a definition that has just changed refused: what a host
/// knows of definitions is behind by milliseconds.
pub(crate) const DEFINITION_RETRY_SECONDS: u32 = 1;
