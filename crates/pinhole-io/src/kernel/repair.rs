//! Makes a captured datagram fit to be sent once more.
//!
//! A capture may hold datagrams that are cut (snap length), that a network card would have completed (checksums, the total
//! length of a segmentation offload), or that were near the end of their hops. A router drops these before conntrack
//! has a say.

use pinhole_wire::checksum::Sum;
use pinhole_wire::{Address, IpVersion, Protocol};

/// Hop limit of a repaired datagram.
const HOPS: u8 = 64;

/// What to repair beside lengths and hop limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repair {
    /// The checksums of the IPv4 header and of whole TCP and UDP datagrams.
    Checksums,
    /// Only that of the IPv4 header: what conntrack makes of a bad checksum above it is to be seen.
    HeaderChecksum,
}

/// A datagram as long as its header says (cut off, or filled with zeros), with 64 hops to go and right checksums.
/// None if it is neither IPv4 nor IPv6. Where the header contradicts itself the rest stays as it is, for the kernel to judge.
pub fn repair(datagram: &[u8], what: Repair) -> Option<Vec<u8>> {
    let mut bytes = datagram.to_vec();
    let _ = match datagram.first()? >> 4 {
        4 => repair_v4(&mut bytes, what),
        6 => repair_v6(&mut bytes, what),
        _ => return None,
    };
    Some(bytes)
}

/// RFC 791 §3.1.
fn repair_v4(bytes: &mut Vec<u8>, what: Repair) -> Option<()> {
    let header_length = usize::from(bytes.first()? & 0x0f) * 4;
    // Zero where a network card was to cut the datagram into segments.
    if u16_at(bytes, 2)? == 0 {
        let length = u16::try_from(bytes.len()).ok()?;
        put(bytes, 2, length)?;
    }
    let length = usize::from(u16_at(bytes, 2)?);
    bytes.resize(length.max(20), 0);
    *bytes.get_mut(8)? = HOPS;
    put(bytes, 10, 0)?;
    let checksum = Sum::of(bytes.get(..header_length)?).checksum();
    put(bytes, 10, checksum)?;
    // A fragment's checksum is that of the datagram it belongs to.
    let is_fragment = u16_at(bytes, 6)? & 0x3fff != 0;
    if what == Repair::Checksums && !is_fragment {
        let protocol = Protocol(*bytes.get(9)?);
        let source = Address::v4(*bytes.get(12..)?.first_chunk()?);
        let destination = Address::v4(*bytes.get(16..)?.first_chunk()?);
        let ends = (IpVersion::V4, source, destination);
        // What has no room for its header keeps what it has.
        let _ = repair_transport(bytes.get_mut(header_length..)?, ends, protocol);
    }
    Some(())
}

/// RFC 8200 §3.
fn repair_v6(bytes: &mut Vec<u8>, what: Repair) -> Option<()> {
    const HEADER: usize = 40;
    let length = usize::from(u16_at(bytes, 4)?);
    bytes.resize(HEADER + length, 0);
    *bytes.get_mut(7)? = HOPS;
    if what == Repair::Checksums {
        let protocol = Protocol(*bytes.get(6)?);
        let source = Address::v6(*bytes.get(8..)?.first_chunk()?);
        let destination = Address::v6(*bytes.get(24..)?.first_chunk()?);
        let ends = (IpVersion::V6, source, destination);
        let _ = repair_transport(bytes.get_mut(HEADER..)?, ends, protocol);
    }
    Some(())
}

/// Puts the right checksum into a TCP (RFC 9293 §3.1) or UDP (RFC 768) header.
fn repair_transport(
    segment: &mut [u8],
    (version, source, destination): (IpVersion, Address, Address),
    protocol: Protocol,
) -> Option<()> {
    let (minimum, field) = match protocol {
        Protocol::TCP => (20, 16),
        Protocol::UDP => (8, 6),
        _ => return None,
    };
    // A UDP length that contradicts the datagram's is for conntrack to find.
    if segment.len() < minimum
        || (protocol == Protocol::UDP && usize::from(u16_at(segment, 4)?) != segment.len())
    {
        return None;
    }
    put(segment, field, 0)?;
    let length = u32::try_from(segment.len()).ok()?;
    let sum = Sum::pseudo_header(version, source, destination, protocol, length).add_bytes(segment);
    put(segment, field, if protocol == Protocol::UDP { sum.udp_checksum() } else { sum.checksum() })
}

fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    bytes.get(offset..)?.first_chunk().map(|field| u16::from_be_bytes(*field))
}

fn put(bytes: &mut [u8], offset: usize, value: u16) -> Option<()> {
    *bytes.get_mut(offset..)?.first_chunk_mut()? = value.to_be_bytes();
    Some(())
}
