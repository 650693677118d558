//! What this node believes of the others, for people to see.

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};

use crate::NodeId;

/// What this node believes of one node and why. Other nodes may believe otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Belief {
    /// Its id.
    pub id: NodeId,
    /// Its name.
    pub name: String,
    /// Where it is.
    pub addr: SocketAddr,
    /// What it is taken for.
    pub state: BeliefState,
    /// Since when.
    pub since: SystemTime,
    /// How unlikely its silence is: 1 for one in ten, 3 for one in a thousand.
    pub phi: f64,
    /// How long ago anything was heard of it that proves it alive.
    pub last_heard: Option<Duration>,
    /// How long it took to answer the latest message that it answered.
    pub rtt: Option<Duration>,
    /// What came of the latest direct probe.
    pub direct: Option<ProbeOutcome>,
    /// How many of those who were asked to reach it for this node did, and how many were asked,
    /// the last time it was silent.
    pub indirect: (u32, u32),
}

/// What a node is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BeliefState {
    /// Signs of its life come.
    Alive,
    /// They do not, and probes are under way; others are still told that it is alive.
    Suspect,
    /// It answers nobody, or has said that it leaves.
    Dead,
    /// It answers, but has died so often lately that it is held dead for a while.
    Flapping,
}

/// What came of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProbeOutcome {
    /// An answer.
    Answered,
    /// Nothing. If others reach it all the same, only the way from here is broken.
    Unanswered,
    /// Its host says that nobody listens at its port.
    Refused,
}
