//! The bounds of this crate.

use std::time::Duration;

/// Largest request body in bytes, as in Kubernetes.
pub const BODY_BYTES: usize = 3 * 1024 * 1024;

/// Connections open at once; further ones are closed as they come. A connection costs some 50 KB.
/// One that has become a conversation with a process counts among the streams instead.
pub const CONNECTIONS: usize = 4096;

/// Requests served at once, those that go on aside; further ones wait. So many are enough to fill
/// the group commits of the store, and few enough that the next of another user comes soon.
pub const REQUESTS: usize = 512;

/// Requests of one user that wait for a place; further ones are answered with 429. With those under
/// way it is as many as there are connections.
pub const WAITING: usize = CONNECTIONS - REQUESTS;

/// How long a request waits for a place before it is answered with 429: half of what clients commonly
/// give the whole of it.
pub(crate) const QUEUE_WAIT: Duration = Duration::from_secs(15);

/// Watches, logs and conversations with processes served at once; further ones are answered with
/// 429.
pub const STREAMS: usize = 8192;

/// Streams one HTTP/2 connection may have open, as in Kubernetes.
pub const HTTP2_STREAMS: u32 = 100;

/// Bytes of the headers of one request.
pub const HEADER_BYTES: u32 = 64 * 1024;

/// How long a TLS handshake may take.
pub const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long a client may take to send the headers of a request, and how long a connection may be
/// idle between two.
pub const HEADERS: Duration = Duration::from_secs(90);

/// How often a silent HTTP/2 connection is pinged, and how long the answer may take.
pub const HTTP2_PING: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(15));

/// How long a request that is no stream may take, as in Kubernetes.
pub const REQUEST: Duration = Duration::from_secs(60);

/// How long open requests get to end when the server stops.
pub const DRAIN: Duration = Duration::from_secs(5);

/// How long a watch without `timeoutSeconds` lasts at least; up to as much again is added, so
/// that watches begun together do not all come back together.
pub const WATCH: Duration = Duration::from_secs(30 * 60);

/// How often a quiet watch gets a bookmark.
pub const BOOKMARK: Duration = Duration::from_secs(60);

/// Pause of a watch whose replica went away before it looks for another.
pub const RESUME_PAUSE: Duration = Duration::from_millis(100);

/// Records read from the store at once when a selector filters a limited list.
pub const PAGE: usize = 500;

/// Deletions of one deletecollection under way at once.
pub const COLLECTION_DELETES: usize = 16;

/// Bytes of a list put into one chunk of the response.
pub const CHUNK_BYTES: usize = 64 * 1024;

/// Bytes from which on an answer is compressed for clients that ask for it, as in Kubernetes: less
/// costs more time than it saves.
pub(crate) const COMPRESSED_FROM_BYTES: u64 = 128 * 1024;

/// Seconds after which a client that met an overloaded server should come back.
pub const RETRY_AFTER_SECONDS: u32 = 1;

/// Longest life of a user certificate made through the API.
pub const USER_CERTIFICATE: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Largest image archive in bytes.
pub const IMAGE_ARCHIVE_BYTES: u64 = 20 * 1024 * 1024 * 1024;

/// The most bytes of one message of an exec or attach, either way: many times what clients send.
pub const EXEC_MESSAGE_BYTES: usize = 1 << 20;

/// Most ports that one WebSocket without SPDY inside may forward: a channel's number is a byte, and
/// a port takes two.
pub(crate) const FORWARDED_PORTS: usize = 127;

/// Bytes of a forwarded connection put into one message at most.
pub(crate) const FORWARD_BUFFER_BYTES: usize = 32 * 1024;

/// How long a client may take to open the streams of a conversation over SPDY, as in Kubernetes.
pub(crate) const SPDY_STREAMS: Duration = Duration::from_secs(30);

/// Longest line about the size of a terminal.
pub(crate) const SIZE_BYTES: usize = 1024;

/// Longest name of a field manager, in bytes, as in Kubernetes.
pub(crate) const MANAGER_BYTES: usize = 128;

/// Seconds after which an eviction may be tried again whose budget is not counted yet, as in
/// Kubernetes. Where it forbids, nobody knows when it will not.
pub(crate) const EVICTION_RETRY_SECONDS: u32 = 10;

/// How often an eviction looks again at a pod that changes meanwhile.
pub(crate) const EVICTION_ATTEMPTS: usize = 5;

/// Most pods that a budget names as evicted, as in Kubernetes: more means that its controller is
/// not at work.
pub(crate) const DISRUPTED_PODS: usize = 2000;

/// How long a token of a service account holds that does not say so, and how long it may, as in
/// Kubernetes.
pub(crate) const TOKEN_SECONDS: i64 = 3600;
pub(crate) const TOKEN_LEAST_SECONDS: i64 = 600;
pub(crate) const TOKEN_MOST_SECONDS: i64 = 1 << 32;

/// Audit events that wait to be written; requests wait while there are as many.
pub(crate) const AUDIT_QUEUE: usize = 1024;

/// Largest object that is noted, in bytes, as Kubernetes truncates events.
pub(crate) const AUDIT_OBJECT_BYTES: usize = 100 * 1024;

/// Longest name of a request that is taken over from the client, in bytes.
pub(crate) const AUDIT_ID_BYTES: usize = 64;

/// How far the clocks of the host that issued a token and of the one that judges it may differ.
pub(crate) const TOKEN_LEEWAY_SECONDS: i64 = 60;

/// How long a webhook that converts may take for one batch, as in Kubernetes.
pub(crate) const WEBHOOK: Duration = Duration::from_secs(30);

/// Most bytes of a webhook's answer: several times what is sent at once.
pub(crate) const WEBHOOK_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// How much of an answer that is no success is repeated in the error, in characters.
pub(crate) const WEBHOOK_SAID: usize = 256;

/// Calls of one webhook under way at once; further ones wait, within their time. A webhook is a small
/// program, and calls carry many objects.
pub(crate) const WEBHOOK_CALLS: usize = 16;

/// Connections to one webhook that are kept for the next call.
pub(crate) const WEBHOOK_CONNECTIONS: usize = 4;

/// Webhooks that connections are kept to; beyond, the memory starts afresh.
pub(crate) const WEBHOOKS: usize = 64;

/// Pods of a Service that a call of a webhook tries.
pub(crate) const WEBHOOK_ENDPOINTS: usize = 3;

/// Most objects, and most bytes of them, that are sent to a webhook at once. An object that is larger
/// goes alone.
pub(crate) const CONVERSION_OBJECTS: usize = 500;
pub(crate) const CONVERSION_BYTES: usize = 3 * 1024 * 1024;

/// Batches of one list that are converted at once.
pub(crate) const CONVERSION_BATCHES: usize = 4;

/// Most conversions, and most bytes of what they were made of, that are remembered for watchers who
/// see the same a moment later; beyond, the memory starts afresh.
pub(crate) const SHARED_CONVERSIONS: usize = 4096;
pub(crate) const SHARED_CONVERSION_BYTES: usize = 16 * 1024 * 1024;
