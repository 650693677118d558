//! Which pod has which address of the host's range. Pure.
//!
//! The first address is the bridge's, the last one is the broadcast address. Addresses are given
//! out in turn, so that one that was freed stays unused for as long as possible: peers may still
//! hold connections to it.

use std::{collections::BTreeMap, net::Ipv4Addr};

use crate::Ipv4Cidr;

/// Why a pod cannot have an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Every address is taken.
    #[error("no free address in {0}: {1} pods have one")]
    Exhausted(Ipv4Cidr, usize),
    /// A pod that was there before has an address that is not of this host's range.
    #[error("{0} is not a pod address of {1}")]
    OutOfRange(Ipv4Addr, Ipv4Cidr),
    /// Two pods claim one address.
    #[error("{address} belongs to pod {owner}")]
    Taken {
        /// The address.
        address: Ipv4Addr,
        /// Uid of the pod that has it.
        owner: String,
    },
    /// The range is too small for a bridge and a pod.
    #[error("{0} is too small: a host needs at least a /30")]
    TooSmall(Ipv4Cidr),
}

/// The range of one host and its pods' addresses.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    range: Ipv4Cidr,
    by_pod: BTreeMap<String, Ipv4Addr>,
    /// Index within the range that was given out last.
    last: u32,
}

/// Index of the bridge's address.
const BRIDGE: u32 = 1;

impl Addresses {
    pub(crate) fn new(range: Ipv4Cidr) -> Result<Self, AddressError> {
        if range.size() < 4 {
            return Err(AddressError::TooSmall(range));
        }
        Ok(Self { range, by_pod: BTreeMap::new(), last: BRIDGE })
    }

    pub(crate) fn range(&self) -> Ipv4Cidr {
        self.range
    }

    pub(crate) fn bridge(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.range.network().to_bits() | BRIDGE)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_pod.is_empty()
    }

    /// The pod's address; the same one whenever it is asked for again.
    pub(crate) fn allocate(&mut self, pod_uid: &str) -> Result<Ipv4Addr, AddressError> {
        if let Some(&address) = self.by_pod.get(pod_uid) {
            return Ok(address);
        }
        let (first, end) = (BRIDGE + 1, self.end());
        let turn = (self.last + 1..end).chain(first..=self.last);
        let taken = |address: &Ipv4Addr| self.by_pod.values().any(|owned| owned == address);
        let free = turn
            .filter_map(|index| Some((index, self.range.nth(index)?)))
            .find(|(_, address)| !taken(address));
        let (index, address) =
            free.ok_or(AddressError::Exhausted(self.range, self.by_pod.len()))?;
        self.last = index;
        self.by_pod.insert(pod_uid.to_owned(), address);
        Ok(address)
    }

    /// Takes over a pod that already has an address.
    pub(crate) fn adopt(&mut self, pod_uid: &str, address: Ipv4Addr) -> Result<(), AddressError> {
        let index = address.to_bits().wrapping_sub(self.range.network().to_bits());
        if !self.range.contains(address) || !(BRIDGE + 1..self.end()).contains(&index) {
            return Err(AddressError::OutOfRange(address, self.range));
        }
        if let Some((owner, _)) =
            self.by_pod.iter().find(|(uid, owned)| **owned == address && *uid != pod_uid)
        {
            return Err(AddressError::Taken { address, owner: owner.clone() });
        }
        self.by_pod.insert(pod_uid.to_owned(), address);
        self.last = self.last.max(index);
        Ok(())
    }

    /// The pod's address, if it has one.
    pub(crate) fn of(&self, pod_uid: &str) -> Option<Ipv4Addr> {
        self.by_pod.get(pod_uid).copied()
    }

    pub(crate) fn release(&mut self, pod_uid: &str) {
        self.by_pod.remove(pod_uid);
    }

    /// Index of the broadcast address.
    fn end(&self) -> u32 {
        u32::try_from(self.range.size() - 1).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(range: &str) -> Addresses {
        Addresses::new(range.parse().unwrap()).unwrap()
    }

    fn ip(last: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 42, 1, last)
    }

    #[test]
    fn a_pod_keeps_its_address_and_pods_share_none() {
        let mut addresses = addresses("10.42.1.0/24");
        assert_eq!(addresses.bridge(), ip(1));
        assert_eq!(addresses.allocate("a"), Ok(ip(2)));
        assert_eq!(addresses.allocate("b"), Ok(ip(3)));
        assert_eq!(addresses.allocate("a"), Ok(ip(2)));
    }

    #[test]
    fn a_freed_address_comes_again_last() {
        let mut addresses = addresses("10.42.1.0/29");
        for (pod, last) in [("a", 2), ("b", 3)] {
            assert_eq!(addresses.allocate(pod), Ok(ip(last)));
        }
        addresses.release("a");
        for (pod, last) in [("c", 4), ("d", 5), ("e", 6), ("f", 2)] {
            assert_eq!(addresses.allocate(pod), Ok(ip(last)));
        }
        let full = AddressError::Exhausted(addresses.range(), 5);
        assert_eq!(addresses.allocate("g"), Err(full));
    }

    #[test]
    fn a_whole_range_of_253_pods_can_be_given_out() {
        let mut addresses = addresses("10.42.1.0/24");
        for pod in 0..253 {
            addresses.allocate(&format!("p{pod}")).unwrap();
        }
        addresses.allocate("one-too-many").unwrap_err();
    }

    #[test]
    fn adopted_pods_keep_their_addresses_and_new_ones_come_after() {
        let mut addresses = addresses("10.42.1.0/24");
        addresses.adopt("old", ip(9)).unwrap();
        addresses.adopt("old", ip(9)).unwrap();
        assert_eq!(addresses.allocate("new"), Ok(ip(10)));
        let taken = AddressError::Taken { address: ip(9), owner: "old".to_owned() };
        assert_eq!(addresses.adopt("thief", ip(9)), Err(taken));
        for address in [ip(0), ip(1), ip(255), Ipv4Addr::new(10, 42, 2, 2)] {
            let refused = AddressError::OutOfRange(address, addresses.range());
            assert_eq!(addresses.adopt("strange", address), Err(refused));
        }
    }

    #[test]
    fn a_range_without_room_for_a_pod_is_refused() {
        Addresses::new("10.42.1.0/31".parse().unwrap()).unwrap_err();
        assert_eq!(addresses("10.42.1.0/30").allocate("only"), Ok(ip(2)));
    }
}
