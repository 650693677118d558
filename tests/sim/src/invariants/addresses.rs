//! No pod address is given twice: no two pods that run at the same time have the same one, on
//! whatever hosts they are.

use std::{collections::BTreeMap, net::IpAddr};

use super::Violation;

/// Judges the addresses of all pods that run now, each given with its host and its uid.
pub(crate) fn judge<'a>(
    running: impl Iterator<Item = (&'a str, &'a str, IpAddr)>,
) -> Option<Violation> {
    let mut taken = BTreeMap::new();
    for (host, uid, address) in running {
        if let Some((other_host, other)) = taken.insert(address, (host, uid))
            && other != uid
        {
            let detail = format!("{address} is {other}'s on {other_host} and {uid}'s on {host}");
            return Some(Violation::new("no pod address is given twice", detail));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_pods_with_one_address_are_noticed() {
        let address = |last| IpAddr::from([10, 42, 0, last]);
        let judged = |a, b| judge([("h1", "a", address(a)), ("h2", "b", address(b))].into_iter());
        assert_eq!(judged(2, 3), None);
        assert!(judged(2, 2).is_some());
    }
}
