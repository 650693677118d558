//! IPv4 ranges. Pure.

use std::{fmt, net::Ipv4Addr, str::FromStr};

/// A range of addresses, `10.42.1.0/24`; bits beyond the prefix are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ipv4Cidr {
    network: Ipv4Addr,
    prefix: u8,
}

/// What is wrong with a range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CidrError {
    /// Not of the form `ADDRESS/BITS`.
    #[error("{0:?} is not an IPv4 range like 10.42.1.0/24")]
    Malformed(String),
    /// More than 32 bits.
    #[error("a prefix of {0} bits is longer than an IPv4 address")]
    PrefixTooLong(u8),
    /// The address has bits beyond the prefix.
    #[error("{0} has bits set beyond its prefix")]
    HostBits(String),
}

impl Ipv4Cidr {
    /// The range that begins at `network`.
    ///
    /// # Errors
    /// A prefix of more than 32 bits, or bits beyond it.
    pub fn new(network: Ipv4Addr, prefix: u8) -> Result<Self, CidrError> {
        if prefix > 32 {
            return Err(CidrError::PrefixTooLong(prefix));
        }
        let cidr = Self { network, prefix };
        if network.to_bits() & !cidr.mask() == 0 {
            Ok(cidr)
        } else {
            Err(CidrError::HostBits(format!("{network}/{prefix}")))
        }
    }

    /// The first address.
    #[must_use]
    pub const fn network(self) -> Ipv4Addr {
        self.network
    }

    /// How many leading bits all its addresses share.
    #[must_use]
    pub const fn prefix(self) -> u8 {
        self.prefix
    }

    /// Whether the address lies in it.
    #[must_use]
    pub fn contains(self, address: Ipv4Addr) -> bool {
        address.to_bits() & self.mask() == self.network.to_bits()
    }

    /// The `index`-th address, if the range is that long.
    pub(crate) fn nth(self, index: u32) -> Option<Ipv4Addr> {
        (u64::from(index) < self.size())
            .then(|| Ipv4Addr::from_bits(self.network.to_bits() | index))
    }

    /// How many addresses it has.
    pub(crate) fn size(self) -> u64 {
        1 << (32 - u32::from(self.prefix))
    }

    fn mask(self) -> u32 {
        u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0)
    }
}

impl fmt::Display for Ipv4Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

impl FromStr for Ipv4Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let malformed = || CidrError::Malformed(text.to_owned());
        let (network, prefix) = text.split_once('/').ok_or_else(malformed)?;
        let network = network.parse().map_err(|_| malformed())?;
        let prefix = prefix.parse().map_err(|_| malformed())?;
        Self::new(network, prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_strictly_and_printed_back() {
        for text in ["10.42.1.0/24", "0.0.0.0/0", "10.0.0.1/32"] {
            assert_eq!(text.parse::<Ipv4Cidr>().unwrap().to_string(), text);
        }
        for text in ["10.42.1.0", "10.42.1.1/24", "10.42.1.0/33", "x/8", "10.42.1.0/", ""] {
            text.parse::<Ipv4Cidr>().unwrap_err();
        }
    }

    #[test]
    fn a_range_knows_its_addresses() {
        let cidr: Ipv4Cidr = "10.42.1.0/30".parse().unwrap();
        assert!(cidr.contains(Ipv4Addr::new(10, 42, 1, 3)));
        assert!(!cidr.contains(Ipv4Addr::new(10, 42, 1, 4)));
        assert_eq!(cidr.nth(3), Some(Ipv4Addr::new(10, 42, 1, 3)));
        assert_eq!(cidr.nth(4), None);
        let all: Ipv4Cidr = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains(Ipv4Addr::BROADCAST));
    }
}
