//! What becomes of one message: a pure decision over the seeded generator.

use std::collections::BTreeSet;

use rand::{Rng, rngs::StdRng};
use skein_net::NodeId;

/// How messages travel. Times in whole steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Weather {
    /// The least time a message takes; at least one step.
    pub(crate) min_ms: u64,
    /// The most it usually takes. A spread makes messages overtake each other.
    pub(crate) max_ms: u64,
    /// How many of a thousand messages are lost.
    pub(crate) lost: u32,
    /// How many of a thousand requests arrive twice.
    pub(crate) doubled: u32,
    /// How many of a thousand messages take ten times as long.
    pub(crate) late: u32,
}

impl Default for Weather {
    fn default() -> Self {
        Self { min_ms: 1, max_ms: 2, lost: 0, doubled: 0, late: 0 }
    }
}

/// The fate of one message.
pub(super) struct Passage {
    pub(super) delay_ms: u64,
    pub(super) lost: bool,
    pub(super) doubled: bool,
}

pub(super) struct Faults {
    luck: StdRng,
    pub(super) weather: Weather,
    pub(super) cut: BTreeSet<(NodeId, NodeId)>,
}

impl Faults {
    pub(super) fn new(luck: StdRng) -> Self {
        Self { luck, weather: Weather::default(), cut: BTreeSet::new() }
    }

    pub(super) fn passes(&self, from: NodeId, to: NodeId) -> bool {
        from == to || !self.cut.contains(&(from, to))
    }

    /// Draws the fate of one message; a host's messages to itself are not harmed.
    pub(super) fn draw(&mut self, from: NodeId, to: NodeId) -> Passage {
        if from == to {
            return Passage { delay_ms: 1, lost: false, doubled: false };
        }
        let Weather { min_ms, max_ms, lost, doubled, late } = self.weather;
        let mut happens = |of_a_thousand: u32| self.luck.random_range(0..1_000) < of_a_thousand;
        let (lost, doubled, late) = (happens(lost), happens(doubled), happens(late));
        let usual = self.luck.random_range(min_ms.max(1)..=max_ms.max(min_ms).max(1));
        Passage { delay_ms: if late { usual * 10 } else { usual }, lost, doubled }
    }
}
