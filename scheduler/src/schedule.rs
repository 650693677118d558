//! The pass over all pending pods.

use std::{
    borrow::Borrow,
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
};

use rand::{Rng, SeedableRng, rngs::SmallRng};

use crate::{
    BoundPod, NodeView, PodView, Strategy, Unschedulable,
    class::{Classes, Verdict},
    ledger::Ledger,
    strategy::Candidate,
};

/// The cluster at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Every node, in any order; ties go to the earlier one.
    pub nodes: Vec<NodeView>,
    /// Every pod that has a node and is not finished.
    pub bound: Vec<BoundPod>,
}

/// What became of a pending pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It goes to the node with this index in the snapshot.
    Place(usize),
    /// No node can take it now.
    Refuse(Unschedulable),
}

/// Decides for every pod of `pending`, in order of priority and then of the slice, and answers in
/// the order of the slice. Each decision takes its share before the next one is made.
///
/// Pure and deterministic: equal input gives equal output.
pub fn schedule(
    snapshot: &Snapshot,
    pending: &[impl Borrow<PodView>],
    strategy: Strategy,
) -> Vec<Decision> {
    let pending: Vec<&PodView> = pending.iter().map(Borrow::borrow).collect();
    let mut order: Vec<usize> = (0..pending.len()).collect();
    order.sort_by_key(|&index| Reverse(pending[index].priority));
    let mut pass = Pass::new(snapshot, &pending, strategy);
    let mut decisions = vec![Decision::Refuse(Unschedulable::default()); pending.len()];
    for index in order {
        decisions[index] = pass.decide(pending[index]);
    }
    decisions
}

struct Pass<'a> {
    nodes: &'a [NodeView],
    ledgers: Vec<Ledger>,
    /// How many pods of each owner that has a pending pod are on each node.
    siblings: HashMap<&'a str, Vec<u32>>,
    classes: Classes,
    strategy: Strategy,
    rng: SmallRng,
}

impl<'a> Pass<'a> {
    fn new(snapshot: &'a Snapshot, pending: &[&'a PodView], strategy: Strategy) -> Self {
        let nodes = snapshot.nodes.as_slice();
        let index_of: HashMap<&str, usize> =
            nodes.iter().enumerate().map(|(index, node)| (node.name.as_str(), index)).collect();
        let mut siblings: HashMap<&str, Vec<u32>> = pending
            .iter()
            .filter_map(|pod| pod.owner.as_deref())
            .map(|owner| (owner, Vec::new()))
            .collect();
        for counts in siblings.values_mut() {
            counts.resize(nodes.len(), 0);
        }
        let mut ledgers = vec![Ledger::default(); nodes.len()];
        for BoundPod { node, requests, host_ports, owner } in &snapshot.bound {
            let Some(&index) = index_of.get(&**node) else { continue };
            ledgers[index].book(requests, host_ports);
            if let Some(counts) = owner.as_deref().and_then(|owner| siblings.get_mut(owner)) {
                counts[index] += 1;
            }
        }
        let seed = match strategy {
            Strategy::Random { seed } => seed,
            Strategy::Spread | Strategy::Binpack => 0,
        };
        let (classes, rng) = (Classes::default(), SmallRng::seed_from_u64(seed));
        Self { nodes, ledgers, siblings, classes, strategy, rng }
    }

    fn decide(&mut self, pod: &'a PodView) -> Decision {
        let verdicts = self.classes.verdicts(pod, self.nodes);
        let counts = pod.owner.as_deref().and_then(|owner| self.siblings.get(owner));
        let mut best = None;
        for (index, verdict) in verdicts.iter().enumerate() {
            let Verdict::Open { reluctance } = *verdict else { continue };
            let (node, ledger) = (&self.nodes[index], &self.ledgers[index]);
            if !ledger.fits(node, pod) {
                continue;
            }
            let rank = self.strategy.rank(&Candidate {
                reluctance,
                siblings: counts.map_or(0, |counts| counts[index]),
                share: ledger.share_with(node, &pod.requests),
                pods: ledger.pods(),
                draw: self.rng.random(),
            });
            if best.is_none_or(|(least, _)| rank < least) {
                best = Some((rank, index));
            }
        }
        let Some((_, index)) = best else { return Decision::Refuse(self.explain(pod, &verdicts)) };
        self.ledgers[index].book(&pod.requests, &pod.host_ports);
        if let Some(counts) = pod.owner.as_deref().and_then(|owner| self.siblings.get_mut(owner)) {
            counts[index] += 1;
        }
        Decision::Place(index)
    }

    fn explain(&self, pod: &PodView, verdicts: &[Verdict]) -> Unschedulable {
        let mut reasons = BTreeMap::new();
        for (index, verdict) in verdicts.iter().enumerate() {
            let refusals = match verdict {
                Verdict::Closed(refusal) => vec![refusal.clone()],
                Verdict::Open { .. } => self.ledgers[index].refusals(&self.nodes[index], pod),
            };
            for refusal in refusals {
                *reasons.entry(refusal).or_default() += 1;
            }
        }
        Unschedulable { nodes: self.nodes.len(), reasons }
    }
}

#[cfg(test)]
mod tests;
