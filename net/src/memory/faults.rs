//! What goes wrong between which nodes: a pure decision over a seeded generator.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::time::Instant;

use super::Passage;
use crate::NodeId;

pub(super) struct Faults {
    seed: u64,
    delay: (Duration, Duration),
    loss: f64,
    duplication: f64,
    cut: BTreeSet<(NodeId, NodeId)>,
    isolated: BTreeSet<NodeId>,
    stalled: BTreeMap<NodeId, Instant>,
    /// One generator a direction: traffic elsewhere does not change the luck of a link.
    links: BTreeMap<(NodeId, NodeId), StdRng>,
}

impl Faults {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            delay: (Duration::ZERO, Duration::ZERO),
            loss: 0.0,
            duplication: 0.0,
            cut: BTreeSet::new(),
            isolated: BTreeSet::new(),
            stalled: BTreeMap::new(),
            links: BTreeMap::new(),
        }
    }

    pub(super) fn set_delay(&mut self, min: Duration, max: Duration) {
        self.delay = (min, max.max(min));
    }

    pub(super) fn set_loss(&mut self, probability: f64) {
        self.loss = probability.clamp(0.0, 1.0);
    }

    pub(super) fn set_duplication(&mut self, probability: f64) {
        self.duplication = probability.clamp(0.0, 1.0);
    }

    pub(super) fn cut(&mut self, from: NodeId, to: NodeId) {
        self.cut.insert((from, to));
    }

    pub(super) fn heal(&mut self, from: NodeId, to: NodeId) {
        self.cut.remove(&(from, to));
    }

    pub(super) fn isolate(&mut self, node: NodeId) {
        self.isolated.insert(node);
    }

    pub(super) fn heal_all(&mut self) {
        self.cut.clear();
        self.isolated.clear();
    }

    pub(super) fn stall(&mut self, node: NodeId, until: Instant) {
        self.stalled.insert(node, until);
    }

    /// How long a message to or from `node` waits because the node is stalled.
    pub(super) fn held(&mut self, node: NodeId, now: Instant) -> Duration {
        let held = self.stalled.get(&node).map_or(Duration::ZERO, |until| *until - now);
        if held.is_zero() {
            self.stalled.remove(&node);
        }
        held
    }

    pub(super) fn passes(&self, from: NodeId, to: NodeId) -> bool {
        from == to
            || !(self.cut.contains(&(from, to))
                || self.isolated.contains(&from)
                || self.isolated.contains(&to))
    }

    /// Draws the fate of one message; a node's messages to itself are never harmed.
    pub(super) fn send(&mut self, from: NodeId, to: NodeId, now: Instant) -> Option<Passage> {
        if from == to {
            return Some(Passage { delay: Duration::ZERO, copies: 1 });
        }
        if !self.passes(from, to) {
            return None;
        }
        let seed = self.seed ^ from.0.rotate_left(17) ^ to.0.rotate_left(43);
        let luck = self.links.entry((from, to)).or_insert_with(|| StdRng::seed_from_u64(seed));
        // All draws happen for each message, so one setting does not shift another's sequence.
        let lost = luck.random_bool(self.loss);
        let copies = 1 + u32::from(luck.random_bool(self.duplication));
        let delay = luck.random_range(self.delay.0..=self.delay.1) + self.held(from, now);
        (!lost).then_some(Passage { delay, copies })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: NodeId = NodeId(1);
    const B: NodeId = NodeId(2);
    const C: NodeId = NodeId(3);

    fn fates(faults: &mut Faults, to: NodeId) -> Vec<Option<Duration>> {
        (0..100).map(|_| faults.send(A, to, Instant::now()).map(|passage| passage.delay)).collect()
    }

    fn lossy(seed: u64) -> Faults {
        let mut faults = Faults::new(seed);
        faults.set_delay(Duration::from_millis(1), Duration::from_millis(50));
        faults.set_loss(0.3);
        faults
    }

    #[test]
    fn the_same_seed_gives_the_same_fates() {
        assert_eq!(fates(&mut lossy(7), B), fates(&mut lossy(7), B));
        assert_ne!(fates(&mut lossy(7), B), fates(&mut lossy(8), B));
    }

    #[test]
    fn traffic_on_one_link_does_not_change_another() {
        let mut busy = lossy(7);
        fates(&mut busy, C);
        assert_eq!(fates(&mut busy, B), fates(&mut lossy(7), B));
    }

    #[test]
    fn what_a_stalled_node_says_waits_for_the_end_of_the_stall() {
        let (mut faults, now) = (Faults::new(1), Instant::now());
        faults.stall(A, now + Duration::from_secs(1));
        let table = [(0, A, B, 1000), (400, A, B, 600), (400, B, A, 0), (1000, A, B, 0)];
        for (after_ms, from, to, waits_ms) in table {
            let passage = faults.send(from, to, now + Duration::from_millis(after_ms)).unwrap();
            assert_eq!(passage.delay, Duration::from_millis(waits_ms), "{from} to {to}");
        }
    }

    #[test]
    fn cuts_and_isolation_say_who_passes() {
        let mut faults = Faults::new(1);
        faults.cut(A, B);
        faults.isolate(C);
        let table =
            [(A, B, false), (B, A, true), (A, C, false), (C, A, false), (C, C, true), (A, A, true)];
        for (from, to, passes) in table {
            assert_eq!(faults.passes(from, to), passes, "{from} to {to}");
        }
        faults.heal_all();
        assert!(table.iter().all(|&(from, to, _)| faults.passes(from, to)));
    }
}
