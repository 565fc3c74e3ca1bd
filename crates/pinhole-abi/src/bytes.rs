//! Little-endian numbers at offsets. What lies outside reads as zero and is not written: whoever reads has checked the length.

use core::net::{IpAddr, Ipv6Addr};

/// Reads a field.
pub(crate) fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}

pub(crate) fn byte(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or_default()
}

pub(crate) fn short(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(field(bytes, at))
}

pub(crate) fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(field(bytes, at))
}

/// Writes a field.
pub(crate) fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at.saturating_add(field.len())) {
        place.copy_from_slice(field);
    }
}

/// An address in sixteen bytes, IPv4 as `::ffff:a.b.c.d`.
pub(crate) fn address(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

/// The family of an address: 4 or 6.
pub(crate) const fn family(ip: IpAddr) -> u8 {
    match ip {
        IpAddr::V4(_) => 4,
        IpAddr::V6(_) => 6,
    }
}

/// An address of a family; `None` if the family is neither 4 nor 6, or an IPv4 address is not written as one.
pub(crate) fn read_address(bytes: &[u8], at: usize, family: u8) -> Option<IpAddr> {
    let address = Ipv6Addr::from(field::<16>(bytes, at));
    match family {
        4 => address.to_ipv4_mapped().map(IpAddr::V4),
        6 => Some(IpAddr::V6(address)),
        _ => None,
    }
}
