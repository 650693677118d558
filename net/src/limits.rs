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

/// Requests and streams of one protocol that one peer may have running here. Counted apart, so
/// that a flood of one protocol never takes the places of another.
pub const MAX_RUNNING_PER_PROTOCOL: usize = 512;

/// Streams a peer may have open on one connection, over all protocols.
pub(crate) const MAX_OPEN_STREAMS: u32 = 4096;

/// Handshakes under way at once; more are refused and their callers try again.
pub(crate) const MAX_HANDSHAKES: usize = 256;

/// Handshakes under way from which on a caller must prove its address first.
pub(crate) const HANDSHAKES_BEFORE_RETRY: usize = 32;

/// Time for a handshake in either direction; a peer in the same network needs milliseconds.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Silence after which a connection is broken. Short, so that a killed peer is noticed; several
/// keep-alives long, so that a starved machine is not taken for a dead one.
pub(crate) const IDLE_TIMEOUT: Duration = Duration::from_millis(2000);

/// Silence after which a connection says that it is alive.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_millis(300);

/// Assumed round trip before one is measured: the first lost packet is sent again after about
/// three times this.
pub(crate) const INITIAL_RTT: Duration = Duration::from_millis(50);

/// Bytes in flight before the first acknowledgement: a request of this size takes one round trip.
pub(crate) const INITIAL_WINDOW_BYTES: u64 = 256 * 1024;

/// Unread bytes a peer may have here on one stream, and on all of them.
pub(crate) const STREAM_WINDOW_BYTES: u32 = 8 * 1024 * 1024;
/// See [`STREAM_WINDOW_BYTES`].
pub(crate) const CONNECTION_WINDOW_BYTES: u32 = 64 * 1024 * 1024;

/// Two connections between the same nodes that are both younger than this were dialled at once;
/// an older one is replaced because the peer has started again.
pub(crate) const SIMULTANEOUS_DIAL: Duration = Duration::from_secs(3);

/// How long a replaced connection stays open for what is still under way on it.
pub(crate) const RETIRE_AFTER: Duration = Duration::from_secs(10);

/// Time for a peer to send the head of a stream it opened, or the rest of a request.
pub(crate) const RECEIVE_TIMEOUT: Duration = Duration::from_secs(60);

/// Time for peers to learn that this node stops.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Largest join request or answer.
pub(crate) const MAX_JOIN_BYTES: usize = 256 * 1024;

/// Join requests answered in a burst, and each second after it: far more than hosts are added,
/// far less than would keep a node busy.
pub(crate) const JOIN_BURST: u32 = 50;
/// See [`JOIN_BURST`].
pub(crate) const JOINS_PER_SECOND: u32 = 20;

/// Joiners connected at once. Anybody may connect as one, so they get few places and little time.
pub(crate) const MAX_JOINERS: usize = 64;

/// Unread bytes a caller may have here before it has proven to be a peer: a join request, and
/// whatever a peer sends while it is being admitted.
pub(crate) const UNPROVEN_WINDOW_BYTES: u32 = 512 * 1024;

/// Streams a caller may have open before it has proven to be a peer; a joiner needs one.
pub(crate) const UNPROVEN_STREAMS: u32 = 4;

/// Time for a joiner to ask and to be answered.
pub(crate) const JOINER_TIMEOUT: Duration = Duration::from_secs(20);

/// Time for one seed to answer a join request; issuing a certificate may wait for an election.
pub(crate) const JOIN_ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// Gossip messages waiting to be sent or to be read; more are dropped, gossip repeats itself.
pub(crate) const GOSSIP_QUEUE: usize = 1024;

/// Gossip messages under way at once, so that dead peers hold up nobody else.
pub(crate) const MAX_GOSSIP_IN_FLIGHT: usize = 64;

/// Time for one gossip message to arrive.
pub(crate) const GOSSIP_DEADLINE: Duration = Duration::from_secs(1);

/// Time for a suspect to answer, to this node or to one that asks for it.
pub(crate) const PROBE_DEADLINE: Duration = Duration::from_millis(600);

/// How long a peer whose gossip is late but who answers probes is left before it is probed again.
pub(crate) const PROBE_AGAIN: Duration = Duration::from_secs(1);

/// Nodes asked to probe a suspect.
pub(crate) const PROBE_HELPERS: usize = 3;

/// Silence, in mean intervals between heartbeats, that makes a suspect. Low, because a suspicion
/// costs a probe and nothing else: probes confirm it before anybody hears of it.
pub(crate) const SUSPICION_PHI: f64 = 5.0;

/// Heartbeats remembered of each peer: half a minute of them, so that the mean follows the load.
pub(crate) const HEARTBEAT_WINDOW: usize = 300;

/// How long a dead node is remembered by gossip; its address is remembered on disk beyond that.
pub(crate) const DEAD_NODE_GRACE: Duration = Duration::from_secs(10 * 60);

/// How long gossip remembers that a key was deleted.
pub(crate) const DELETED_KEY_GRACE: Duration = Duration::from_secs(5 * 60);

/// How long a node just heard of may take until its second heartbeat before it counts as dead.
pub(crate) const UNPROVEN_GRACE: Duration = Duration::from_secs(5);

/// Peers remembered on disk.
pub(crate) const MAX_REMEMBERED_PEERS: usize = 1024;

/// Addresses tried in one round of looking for lost members.
pub(crate) const MAX_SEEDS_PER_ROUND: usize = 16;

/// Time for a seed to say who it is.
pub(crate) const SEED_DEADLINE: Duration = Duration::from_secs(2);

/// How often seeds are asked while this node is alone, and while it is not.
pub(crate) const SEEDS_WHILE_ALONE: Duration = Duration::from_millis(500);
/// See [`SEEDS_WHILE_ALONE`].
pub(crate) const SEEDS_WHILE_JOINED: Duration = Duration::from_secs(10);

/// Largest key and value a node publishes about itself, together: gossip is for hints.
pub const MAX_PUBLISHED_BYTES: usize = 2048;
