//! Which of the nodes that can take a pod gets it.

use std::cmp::Reverse;

/// How pods are laid over the nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// Pods of one owner apart, then the least loaded node.
    #[default]
    Spread,
    /// The fullest node that still has room, so that others stay empty.
    Binpack,
    /// Any node; the same seed picks the same nodes.
    Random {
        /// Where the random numbers start.
        seed: u64,
    },
}

/// What is compared of a node that can take a pod.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    /// Taints that ask pods to rather stay away.
    pub(crate) reluctance: u32,
    /// Pods of the same owner there.
    pub(crate) siblings: u32,
    /// How full it would be, in millionths.
    pub(crate) share: u64,
    /// Pods there.
    pub(crate) pods: u64,
    /// A random number.
    pub(crate) draw: u64,
}

/// A candidate's place in the order; the least wins. All strategies honour reluctance first.
pub(crate) type Rank = (u32, u32, Reverse<u64>, u64, u64);

impl Strategy {
    /// Where `candidate` stands.
    pub(crate) fn rank(self, candidate: &Candidate) -> Rank {
        let Candidate { reluctance, siblings, share, pods, draw } = *candidate;
        match self {
            Self::Spread => (reluctance, siblings, Reverse(0), share, pods),
            Self::Binpack => (reluctance, 0, Reverse(share), 0, 0),
            Self::Random { .. } => (reluctance, 0, Reverse(0), draw, 0),
        }
    }
}
