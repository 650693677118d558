//! Going on after the majority of the voters is lost for good.
//!
//! Any survivor asks every host it reaches what its replica holds ([`Survey`]), and picks the
//! freshest to go on alone ([`plan()`]); the others forget what they have and follow it. The new
//! epoch fences the old one: a host that comes back later is told and rejoins by order.

pub(crate) mod ask;
pub(crate) mod damage;
mod plan;
mod rejoin;
pub(crate) mod repair;
pub(crate) mod respond;

use serde::{Deserialize, Serialize};
use skein_net::NodeId;
use skein_store::Epoch;

pub use plan::{Plan, RecoveryError, plan};

/// What a replica holds and sees.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaReport {
    /// The epoch of its data.
    pub epoch: Epoch,
    /// The newer epoch it was left behind by, if any.
    pub outdated: Option<Epoch>,
    /// Its current term.
    pub term: u64,
    /// Term of its last log entry.
    pub last_log_term: u64,
    /// Index of its last log entry.
    pub last_log_index: u64,
    /// Index of the last entry it has applied.
    pub applied: u64,
    /// Who votes, as far as it knows; nobody if it is empty.
    pub voters: Vec<NodeId>,
    /// The sets of voters each of which decides by a majority: two while they are changing.
    pub configurations: Vec<Vec<NodeId>>,
    /// The leader it hears from, which has a majority behind it.
    pub hears_leader: Option<NodeId>,
    /// Why it takes part in nothing, if it does not: a full or broken disk, damaged files.
    pub failure: Option<String>,
}

/// What one host answered to a survey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// The host.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// Its answer, or why there is none.
    pub outcome: Result<ReplicaReport, String>,
}

/// What became of the order to one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ordered {
    /// The host.
    pub node: NodeId,
    /// Whether it has written the order down, or why not.
    pub outcome: Result<(), String>,
}
