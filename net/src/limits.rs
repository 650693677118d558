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

/// Bytes of a gossip message that is taken in: twice what chitchat puts into one. They wait, and a
/// few of them unpack to thousands of times as many.
pub(crate) const GOSSIP_BYTES: usize = 128 * 1024;

/// Gossip messages under way at once, so that dead peers hold up nobody else.
pub(crate) const MAX_GOSSIP_IN_FLIGHT: usize = 64;

/// Time for one gossip message to arrive.
pub(crate) const GOSSIP_DEADLINE: Duration = Duration::from_secs(1);

/// Refusals waiting to be looked at; more are dropped, a peer that is gone refuses again.
pub(crate) const REFUSAL_QUEUE: usize = 64;

/// Sent datagrams of each address that a refusal may quote. Packets of one connection look alike
/// here, so few distinct ones are under way at once.
pub(crate) const REMEMBERED_MARKS: usize = 8;

/// Addresses whose sent datagrams are remembered; beyond, all are forgotten and a refusal or two
/// with them.
pub(crate) const MAX_MARKED_ADDRESSES: usize = 4096;

/// How often peers are looked at: what must be noticed within a fifth of a second takes two looks.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How much later than due a look may be before this node counts as stalled itself and nobody's
/// silence meanwhile counts.
pub(crate) const LATE_LOOK: Duration = Duration::from_millis(100);

/// Hearing nobody at all for so long makes this node doubt itself: it passes no verdict.
pub(crate) const DOUBTFUL: Duration = Duration::from_millis(250);

/// After hearing nobody at all for so long, nobody's silence meanwhile counts.
pub(crate) const LONELY: Duration = Duration::from_millis(500);

/// Hearing nobody for so long means being cut off. No longer than an ordinary verdict takes, so two
/// hosts are not slower than five.
pub(crate) const MAX_LONELY: Duration = Duration::from_millis(1500);

/// Members up to which everybody watches everybody.
pub(crate) const EVERYBODY_WATCHES: usize = 10;

/// Nodes watched by each node in a larger cluster: it takes five at once to make a death unwatched,
/// and then the next ones on the ring take over.
pub(crate) const WATCHED: usize = 4;

/// How often something is wanted from each watched peer; if nothing comes by itself, it is asked.
/// In larger clusters little comes by itself.
pub(crate) const HEAR_EVERY_SMALL: Duration = Duration::from_millis(200);
/// See [`HEAR_EVERY_SMALL`].
pub(crate) const HEAR_EVERY_LARGE: Duration = Duration::from_millis(300);

/// Between two questions to a watched peer that has not answered yet.
pub(crate) const ASK_AGAIN: Duration = Duration::from_millis(100);

/// The φ that makes a watched peer a suspect. One silence in ten is as long, because a suspicion
/// costs a few probes and nothing else.
pub(crate) const WATCHED_PHI: f64 = 1.0;

/// The φ that makes any other peer a suspect, by its heartbeats in gossip. These arrive by many
/// ways of different lengths, so more is asked; watchers are quicker anyway.
pub(crate) const GOSSIP_PHI: f64 = 4.0;

/// How long a suspect may leave all probes unanswered. Over a second, so that whoever stalls for a
/// second, suspect or suspecting, still gets to answer.
pub(crate) const SILENCE_CONFIRM: Duration = Duration::from_millis(1150);

/// The same for a suspect that another node has found dead by [`SILENCE_CONFIRM`] already.
pub(crate) const TOLD_CONFIRM: Duration = Duration::from_millis(400);

/// The same, apart from a few round trips, for a suspect whose host says that nobody listens.
pub(crate) const REFUSED_CONFIRM: Duration = Duration::from_millis(60);

/// Round trips added to [`REFUSED_CONFIRM`]: as many as a helper's probe takes.
pub(crate) const REFUSED_ROUND_TRIPS: u32 = 2;

/// Pause after the first round of probes, and the longest; each is half as long again as the one
/// before.
pub(crate) const FIRST_PROBE_PAUSE: Duration = Duration::from_millis(50);
/// See [`FIRST_PROBE_PAUSE`].
pub(crate) const MAX_PROBE_PAUSE: Duration = Duration::from_millis(200);

/// How long a probe waits for its answer. As long as the longest trial: a late answer counts.
pub(crate) const PROBE_DEADLINE: Duration = SILENCE_CONFIRM;

/// Longest a helper waits for a suspect on behalf of others.
pub(crate) const MAX_HELP: Duration = Duration::from_secs(2);

/// Nodes asked to probe a suspect in each round.
pub(crate) const PROBE_HELPERS: usize = 3;

/// Suspects probed at once; the others' turn comes later. A node cut off from a large cluster
/// suspects everybody.
pub(crate) const MAX_SUSPECTS: usize = 32;

/// How long a peer that only helpers reach is left before it is suspected again, and the least time
/// between two rounds of probes to a dead one of whom something was heard.
pub(crate) const PROBE_AGAIN: Duration = Duration::from_secs(1);

/// How long after a goodbye nothing that comes from that run of the node counts: it was under way.
pub(crate) const GOODBYE_GRACE: Duration = Duration::from_secs(5);

/// Nodes that are told of a death by each who learns of it, beside the binary logarithm of how many
/// there are. Told to ln n + c nodes by each, news misses anybody at all of n with a chance of about
/// e^-c (Kermarrec, Massoulié and Ganesh, 2003); here c is at least six. Who is missed finds out by
/// itself, by seconds later.
pub(crate) const TELL: usize = 6;

/// How long a node that was told of a death does not pass it on again.
pub(crate) const TELL_AGAIN: Duration = Duration::from_secs(5);

/// Nodes that a leaving node says goodbye to itself; they tell the others.
pub(crate) const GOODBYES: usize = 16;

/// Time for goodbyes and tidings to arrive.
pub(crate) const TELL_DEADLINE: Duration = Duration::from_millis(500);

/// Tidings waiting to be looked at; more are dropped.
pub(crate) const TIDINGS_QUEUE: usize = 256;

/// Dead nodes of whom something was heard that are probed in one look; the others' turn comes in
/// the next. All of a large cluster may come back at once.
pub(crate) const MAX_RECHECKS: usize = 16;

/// Messages of failure detection under way at once, so that nobody is condemned by probes that were
/// not sent. A probe lasts as long as a trial at most, so there are those of two generations of
/// [`MAX_SUSPECTS`] with 8 rounds to 4 nodes each, and those of [`MAX_RECHECKS`] to 4 nodes in each
/// of 23 looks: 3,520 if nobody answers. What is left is for tidings.
pub(crate) const MAX_PROBES: usize = 4096;

/// Deaths within [`FLAP_WINDOW`] that have no consequence; a host that is restarted a few times in
/// a row is no flapping one.
pub(crate) const FREE_DEATHS: usize = 4;
/// See [`FREE_DEATHS`].
pub(crate) const FLAP_WINDOW: Duration = Duration::from_secs(60);

/// How long a flapping node is held dead at first; twice as long each time, up to the limit.
pub(crate) const FIRST_FLAP_HOLD: Duration = Duration::from_secs(5);
/// See [`FIRST_FLAP_HOLD`].
pub(crate) const MAX_FLAP_HOLD: Duration = Duration::from_secs(60);
/// Doublings that lead beyond [`MAX_FLAP_HOLD`].
pub(crate) const MAX_FLAP_LEVEL: u32 = 5;
/// Time without a hold that takes one doubling back.
pub(crate) const FLAP_FORGIVEN: Duration = Duration::from_secs(300);

/// The φ, in mean intervals, from which on chitchat leaves a node out of its gossip. Nothing else
/// follows from it.
pub(crate) const GOSSIP_PAUSE_PHI: f64 = 5.0;

/// How often chitchat looks after what it remembers, with a round of gossip of its own that hardly
/// counts among this node's.
pub(crate) const GOSSIP_UPKEEP: Duration = Duration::from_secs(10);

/// The time between two heartbeats that chitchat assumes before it has seen any.
pub(crate) const EXPECTED_HEARTBEATS: Duration = Duration::from_secs(1);

/// Living nodes gossiped with in each round: as many as chitchat takes in its own.
pub(crate) const GOSSIP_PARTNERS: usize = 3;

/// How often gossip is read in the time between two rounds of it.
pub(crate) const READS_PER_INTERVAL: u32 = 4;

/// Heartbeats of each peer that chitchat remembers for that.
pub(crate) const HEARTBEAT_WINDOW: usize = 32;

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
