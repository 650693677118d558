//! Pod ranges of nodes.

use std::{collections::HashMap, net::Ipv4Addr};

use k8s_openapi::api::core::v1::Node;

use crate::context::PodCidr;

/// A node's range as it stands in its spec.
pub(super) fn of_node(node: &Node) -> Option<String> {
    node.spec.as_ref()?.pod_cidr.clone().filter(|cidr| !cidr.is_empty())
}

/// The first range that no node has; `None` when all are taken.
pub(super) fn free<V>(pool: &PodCidr, taken: &HashMap<String, V>) -> Option<String> {
    ranges(pool).find(|range| !taken.contains_key(range))
}

fn ranges(pool: &PodCidr) -> impl Iterator<Item = String> {
    let PodCidr { network, prefix, node_prefix } = *pool;
    let bits = node_prefix.checked_sub(prefix).filter(|_| (1..=32).contains(&node_prefix));
    let count = bits.map_or(0, |bits| 1u64 << bits);
    let size = 1u64 << (32 - node_prefix.min(32));
    let base = u64::from(u32::from(network));
    (0..count).map_while(move |index| {
        let start = u32::try_from(base + index * size).ok()?;
        Some(format!("{}/{node_prefix}", Ipv4Addr::from(start)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(ranges: &[&str]) -> HashMap<String, ()> {
        ranges.iter().map(|range| ((*range).to_owned(), ())).collect()
    }

    #[test]
    fn the_first_free_range_is_given_also_one_that_was_given_back() {
        let pool = PodCidr::default();
        let cases = [
            (taken(&[]), "10.42.0.0/24"),
            (taken(&["10.42.0.0/24"]), "10.42.1.0/24"),
            (taken(&["10.42.0.0/24", "10.42.2.0/24"]), "10.42.1.0/24"),
        ];
        for (taken, expected) in cases {
            assert_eq!(free(&pool, &taken).as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_full_pool_gives_nothing() {
        let pool = PodCidr { network: Ipv4Addr::new(10, 0, 0, 0), prefix: 23, node_prefix: 24 };
        assert_eq!(free(&pool, &taken(&["10.0.0.0/24", "10.0.1.0/24"])), None);
        let inverted = PodCidr { node_prefix: 16, prefix: 24, ..pool };
        assert_eq!(free(&inverted, &taken(&[])), None);
    }
}
