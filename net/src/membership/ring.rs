//! Who watches whom: everybody everybody in a small cluster, else each node the next few on the
//! ring of ids. Ids are random, so neighbours seldom share a rack, and everybody has as many
//! watchers as it watches.

use std::collections::BTreeSet;

use crate::{
    NodeId,
    limits::{EVERYBODY_WATCHES, WATCHED},
};

/// The nodes that `own` watches, of those that are `present`.
pub(super) fn watched(own: NodeId, present: &BTreeSet<NodeId>) -> BTreeSet<NodeId> {
    let after = present.range(own..).filter(|id| **id != own);
    let around = after.chain(present.range(..own)).copied();
    if present.len() <= EVERYBODY_WATCHES {
        around.collect()
    } else {
        around.take(WATCHED).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(ids: impl IntoIterator<Item = u64>) -> BTreeSet<NodeId> {
        ids.into_iter().map(NodeId).collect()
    }

    #[test]
    fn a_small_cluster_watches_itself() {
        let present = nodes(1..=EVERYBODY_WATCHES as u64);
        let others = nodes(2..=EVERYBODY_WATCHES as u64);
        assert_eq!(watched(NodeId(1), &present), others);
        assert_eq!(watched(NodeId(1), &nodes([1])), nodes([]));
    }

    #[test]
    fn in_a_large_cluster_everybody_is_watched_by_the_same_few() {
        let present = nodes(0..100);
        assert_eq!(watched(NodeId(50), &present), nodes([51, 52, 53, 54]));
        assert_eq!(watched(NodeId(98), &present), nodes([99, 0, 1, 2]));
        for id in &present {
            let watchers = present.iter().filter(|own| watched(**own, &present).contains(id));
            assert_eq!(watchers.count(), WATCHED);
        }
    }
}
