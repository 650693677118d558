//! What services, endpoints, ingresses and network policies speak of alike: ports and addresses.

use std::net::IpAddr;

use crate::field::{Errors, Field};
use crate::names;
use crate::podspec::validate_port_number;

const IP_RULE: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
const CIDR_RULE: &str = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";

/// Checks a port by number or by name.
pub(super) fn validate_port(port: &Field<'_>, errors: &mut Errors) {
    if !port.value.is_string() {
        validate_port_number(port, errors);
    } else if let Err(rule) = names::port(port.text()) {
        errors.invalid(port, rule);
    }
}

/// Checks what a port speaks on top of its protocol, where it says so.
pub(super) fn validate_app_protocol(port: &Field<'_>, errors: &mut Errors) {
    let protocol = port.get("appProtocol");
    if let Err(rule) = names::qualified(protocol.text())
        && protocol.is_set()
    {
        errors.invalid(&protocol, rule);
    }
}

/// Checks an address.
pub(super) fn validate_address(at: &Field<'_>, errors: &mut Errors) -> Option<IpAddr> {
    let address: Option<IpAddr> = at.text().parse().ok();
    if address.is_none() {
        errors.invalid(at, IP_RULE);
    }
    address
}

/// Checks an address that leads from one host to another.
pub(super) fn validate_routed_address(at: &Field<'_>, errors: &mut Errors) {
    let Some(address) = validate_address(at, errors) else { return };
    let (of_link, to_link) = match address {
        IpAddr::V4(four) => (four.is_link_local(), four.octets().starts_with(&[224, 0, 0])),
        IpAddr::V6(six) => (six.is_unicast_link_local(), six.octets().starts_with(&[0xff, 0x02])),
    };
    if address.is_unspecified() {
        errors.invalid(at, format!("may not be unspecified ({address})"));
    } else if address.is_loopback() {
        errors.invalid(at, "may not be in the loopback range (127.0.0.0/8, ::1/128)");
    } else if of_link {
        errors.invalid(at, "may not be in the link-local range (169.254.0.0/16, fe80::/10)");
    } else if to_link {
        let rule = "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)";
        errors.invalid(at, rule);
    }
}

/// A range of addresses.
#[derive(Clone, Copy)]
pub(super) struct Cidr {
    address: IpAddr,
    length: u8,
}

impl Cidr {
    /// Whether another range is a part of this one, and not all of it.
    pub(super) fn exceeds(self, other: Self) -> bool {
        let bits = |address| match address {
            IpAddr::V4(four) => u128::from(four.to_bits()) << 96,
            IpAddr::V6(six) => six.to_bits(),
        };
        let differing = bits(self.address) ^ bits(other.address);
        self.address.is_ipv4() == other.address.is_ipv4()
            && self.length < other.length
            && differing.leading_zeros() >= u32::from(self.length)
    }
}

/// Checks a range of addresses.
pub(super) fn validate_cidr(at: &Field<'_>, errors: &mut Errors) -> Option<Cidr> {
    let cidr = read_cidr(at.text().trim());
    if cidr.is_none() {
        errors.invalid(at, CIDR_RULE);
    }
    cidr
}

fn read_cidr(text: &str) -> Option<Cidr> {
    let (address, length) = text.split_once('/')?;
    let (address, length) = (address.parse::<IpAddr>().ok()?, length.parse::<u8>().ok()?);
    let most = if address.is_ipv4() { 32 } else { 128 };
    (length <= most).then_some(Cidr { address, length })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_exceeds_its_parts_alone() {
        for (whole, part, exceeds) in [
            ("10.0.0.0/8", "10.1.0.0/16", true),
            ("0.0.0.0/0", "10.1.0.0/16", true),
            ("10.0.0.0/8", "10.0.0.0/8", false),
            ("10.0.0.0/8", "11.0.0.0/16", false),
            ("10.1.0.0/16", "10.0.0.0/8", false),
            ("2001:db8::/32", "2001:db8:1::/48", true),
            ("0.0.0.0/0", "2001:db8::/32", false),
        ] {
            let (one, other) = (read_cidr(whole).unwrap(), read_cidr(part).unwrap());
            assert_eq!(one.exceeds(other), exceeds, "{whole} {part}");
        }
        for text in ["", "10.0.0.0", "10.0.0.0/33", "10.0.0/8", "::/129", "x/8"] {
            assert!(read_cidr(text).is_none(), "{text}");
        }
    }
}
