//! Which life of the cluster something belongs to.

use std::fmt;

use serde::{Deserialize, Serialize};
use skein_net::NodeId;

/// A life of the cluster: it ends when the cluster is recovered without its majority.
///
/// Replicas of different epochs take nothing from each other. The founder tells apart two
/// recoveries that went on from the same epoch, each on its own side of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch {
    /// One more with each recovery; 1 for a cluster that was never recovered.
    pub number: u64,
    /// The node the recovery was ordered to lead; 0 for the first epoch.
    pub founder: NodeId,
}

impl Epoch {
    /// The epoch of a cluster that was never recovered.
    pub const FIRST: Self = Self { number: 1, founder: NodeId(0) };

    /// The epoch that `founder` begins after this one.
    pub fn next(self, founder: NodeId) -> Self {
        Self { number: self.number + 1, founder }
    }
}

impl Default for Epoch {
    fn default() -> Self {
        Self::FIRST
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::FIRST {
            return f.write_str("1");
        }
        write!(f, "{} (founded by node {})", self.number, self.founder)
    }
}
