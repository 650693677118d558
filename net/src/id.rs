//! The identity of a node.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Identifies a node: the first eight bytes of the SHA-256 of its public key.
///
/// A data directory makes its key once, so a wiped disk is a new node and an id is never reused.
/// Printed and parsed as sixteen lower-case hexadecimal digits.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct NodeId(pub u64);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A text that is not sixteen hexadecimal digits.
#[derive(Clone, Debug, thiserror::Error)]
#[error("a node id is sixteen hexadecimal digits, not {0:?}")]
pub struct ParseNodeIdError(String);

impl FromStr for NodeId {
    type Err = ParseNodeIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // A sign would pass for a digit below.
        if text.len() != 16 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(ParseNodeIdError(text.to_owned()));
        }
        u64::from_str_radix(text, 16).map(NodeId).map_err(|_| ParseNodeIdError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sixteen_hexadecimal_digits_are_an_id() {
        assert_eq!("00000000000000ff".parse::<NodeId>().unwrap(), NodeId(255));
        for text in ["", "ff", "+0000000000000ff", "00000000000000fg", "000000000000000ff"] {
            assert!(text.parse::<NodeId>().is_err(), "{text:?}");
        }
    }
}
