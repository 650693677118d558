//! What the autopilot decided, for whoever wants to tell it.

use skein_net::NodeId;

/// A change of who votes, stands by or leads, or a warning about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The node it is about.
    pub node: NodeId,
    /// What happened, in one word of several: `VoterReplaced`.
    pub reason: &'static str,
    /// What happened and why, in a sentence.
    pub message: String,
}
