//! When this node gives its leader up and stands for election.
//!
//! Pure. openraft keeps what makes an election safe: terms, votes, pre-vote; this decides only
//! when one begins, from what was measured lately: how far apart the leader's messages came, how
//! long round trips and fsyncs take. Nobody draws lots: the voters take their turns in the order
//! of their ids, each one's turn long enough to win, so that two seldom stand at the same time.

pub(crate) mod elector;
pub(crate) mod measured;
#[cfg(test)]
mod tests;

use skein_net::NodeId;
use tokio::time::{Duration, Instant};

use crate::{PeerState, config::Timing, limits};

/// What was measured lately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Observed {
    /// The longest time between two messages of the same leader.
    pub(crate) gap: Duration,
    /// The usual round trip.
    pub(crate) round_trip: Duration,
    /// The usual time until a follower had entries on disk.
    pub(crate) sync: Duration,
}

/// What follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timeouts {
    /// Between two heartbeats of this node, if it leads.
    pub(crate) heartbeat: Duration,
    /// A leader that was silent for this long is given up.
    pub(crate) silence: Duration,
    /// How long a candidate's turn is: enough for two rounds and for the votes to reach disks.
    pub(crate) turn: Duration,
}

/// The least of a turn: what scheduling alone may cost.
const TURN_MIN: Duration = Duration::from_millis(20);

/// A turn is never longer: a disk that slow does not win elections.
const TURN_MAX: Duration = Duration::from_millis(250);

/// Heartbeats in a time of silence, of which all but one may be lost or late.
const HEARTBEATS: u32 = 4;

/// The longest pause between two attempts, as a multiple of the first.
const BACK_OFF: u32 = 8;

/// The timeouts for what was measured.
pub(crate) fn timeouts(observed: &Observed, timing: &Timing) -> Timeouts {
    let heartbeat =
        (observed.round_trip * 2).clamp(timing.heartbeat, timing.heartbeat.max(limits::LEASE) * 2);
    let wanted = (heartbeat * HEARTBEATS).max(observed.gap * 2 + observed.round_trip);
    let silence = wanted.clamp(timing.election_min, timing.election_max.max(timing.election_min));
    let turn = ((observed.round_trip + observed.sync) * 2).clamp(TURN_MIN, TURN_MAX);
    Timeouts { heartbeat, silence, turn }
}

/// What a voter without a leader knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Situation {
    /// When the leader was last heard of, or when this node started.
    pub(crate) heard_at: Instant,
    /// Since when the leader is known to be dead.
    pub(crate) leader_dead_since: Option<Instant>,
    /// The place of this node among the voters that may stand.
    pub(crate) place: u32,
    /// How many may stand.
    pub(crate) candidates: u32,
    /// The attempts since the leader was last heard of, and when the last was.
    pub(crate) attempts: u32,
    pub(crate) attempted_at: Option<Instant>,
}

/// When to stand for election.
pub(crate) fn due_at(situation: &Situation, timeouts: &Timeouts) -> Instant {
    let given_up = match situation.leader_dead_since {
        // Within the lease openraft would refuse.
        Some(since) => since.max(situation.heard_at + limits::LEASE),
        None => situation.heard_at + timeouts.silence,
    };
    let first = given_up + timeouts.turn * situation.place;
    let Some(attempted_at) = situation.attempted_at else { return first };
    // Everybody else has a turn before this node's next one.
    let round = timeouts.turn * (situation.candidates + 1);
    let back_off = (1 << situation.attempts.saturating_sub(1).min(BACK_OFF.ilog2())).min(BACK_OFF);
    first.max(attempted_at + round * back_off)
}

/// The place of `own` among the voters that may stand, and how many there are: not the former
/// leader, not the dead, witnesses last.
pub(crate) fn place(
    own: NodeId,
    voters: &[NodeId],
    former: Option<NodeId>,
    peers: &[PeerState],
) -> (u32, u32) {
    let peer = |id: NodeId| peers.iter().find(|peer| peer.id == id);
    let mut standing: Vec<_> = voters
        .iter()
        .copied()
        .filter(|id| *id == own || Some(*id) != former)
        .filter(|id| *id == own || peer(*id).is_none_or(|peer| peer.alive))
        .map(|id| (peer(id).is_some_and(|peer| peer.witness), id))
        .collect();
    standing.sort_unstable();
    let place = standing.iter().position(|(_, id)| *id == own).unwrap_or(standing.len());
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    (count(place), count(standing.len()))
}
