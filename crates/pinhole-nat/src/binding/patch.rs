//! The headers of plain packets, at once: see [`pinhole_wire::Plain`].

use crate::ChecksumField;
use pinhole_track::{EndsV4, Tuple};
use pinhole_wire::checksum::Delta;
use pinhole_wire::{Bounds, IpVersion, Protocol};

/// Lengths of the headers, and where in them what is changed begins.
const IPV4_HEADER: usize = 20;
const IPV4_CHANGED: usize = 10;
const IPV6_HEADER: usize = 40;
const IPV6_CHANGED: usize = 8;
const PORTS: usize = 4;
const CHECKSUM: usize = 2;

/// What of a plain packet's bytes becomes another when it is translated: its ends and its checksums, not its length. So a frame is
/// translated where it lies, however long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patch {
    /// Where in the frame the changed part of the IP header begins. The ports follow it: there are no options or extension headers.
    at: u32,
    /// How far behind the ports the transport checksum stands.
    checksum_behind: u8,
    checksum: [u8; CHECKSUM],
    changed: Changed,
}

/// The changed part of the IP header, and the ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Changed {
    /// With the header's checksum in front (RFC 791 §3.1).
    V4([u8; IPV4_HEADER - IPV4_CHANGED + PORTS]),
    /// RFC 8200 §3.
    V6([u8; IPV6_HEADER - IPV6_CHANGED + PORTS]),
}

impl Patch {
    /// For the plain packet that lies in `bytes` at `bounds`: makes it bear `leaves`, a tuple of its own protocol and IP version, as
    /// [`Binding::translate`](super::Binding::translate) does. `None`: there is no such packet.
    #[inline]
    pub fn new(bytes: &[u8], bounds: &Bounds, leaves: &Tuple, checksum: ChecksumField) -> Option<Self> {
        if leaves.version == IpVersion::V4 {
            return Self::v4(bytes, bounds, leaves.protocol, &EndsV4::of(leaves), checksum);
        }
        let (header, transport) = bytes.get(bounds.network as usize..)?.split_first_chunk::<IPV6_HEADER>()?;
        let (behind, field) = checksum_field(transport, leaves.protocol)?;
        let mut changed = [0; IPV6_HEADER - IPV6_CHANGED + PORTS];
        let (addresses, ports) = changed.split_last_chunk_mut::<PORTS>()?;
        let (addresses, _) = addresses.as_chunks_mut::<16>();
        let mut pseudo = Delta::NONE;
        let (old, _) = header[IPV6_CHANGED..].as_chunks::<16>();
        for ((new, old), address) in addresses.iter_mut().zip(old).zip([leaves.source, leaves.destination]) {
            *new = address.0;
            pseudo = pseudo.replace_bytes(0, old, new);
        }
        let [source, destination] = [leaves.source_port, leaves.destination_port].map(u16::to_be_bytes);
        *ports = [source[0], source[1], destination[0], destination[1]];
        let all = pseudo.replace_bytes(0, transport.first_chunk::<PORTS>()?, ports);
        let sum = changed_sum(u16::from_be_bytes(field), leaves.protocol, all, pseudo, checksum);
        Some(Self {
            at: bounds.network + IPV6_CHANGED as u32,
            checksum_behind: behind,
            checksum: sum.to_be_bytes(),
            changed: Changed::V6(changed),
        })
    }

    /// As [`new`](Self::new), for IPv4: the same sums, in the order in which the bytes lie (RFC 1071 §2(B)).
    #[inline(always)]
    pub fn v4(
        bytes: &[u8],
        bounds: &Bounds,
        protocol: Protocol,
        leaves: &EndsV4,
        checksum: ChecksumField,
    ) -> Option<Self> {
        let (h, transport) = bytes.get(bounds.network as usize..)?.split_first_chunk::<IPV4_HEADER>()?;
        let (behind, field) = checksum_field(transport, protocol)?;
        let old_ports = u32::from_le_bytes(*transport.first_chunk()?);
        let (old_source, old_destination) = (
            u32::from_le_bytes([h[12], h[13], h[14], h[15]]),
            u32::from_le_bytes([h[16], h[17], h[18], h[19]]),
        );
        let pseudo = u64::from(!old_source)
            + u64::from(leaves.source)
            + u64::from(!old_destination)
            + u64::from(leaves.destination);
        let all = Delta::of_words(pseudo + u64::from(!old_ports) + u64::from(leaves.ports));
        let pseudo = Delta::of_words(pseudo);
        let header_checksum = pseudo.apply(u16::from_le_bytes([h[10], h[11]]));
        let sum = changed_sum(u16::from_le_bytes(field), protocol, all, pseudo, checksum);
        let mut changed = [0; IPV4_HEADER - IPV4_CHANGED + PORTS];
        [changed[0], changed[1]] = header_checksum.to_le_bytes();
        [changed[2], changed[3], changed[4], changed[5]] = leaves.source.to_le_bytes();
        [changed[6], changed[7], changed[8], changed[9]] = leaves.destination.to_le_bytes();
        [changed[10], changed[11], changed[12], changed[13]] = leaves.ports.to_le_bytes();
        Some(Self {
            at: bounds.network + IPV4_CHANGED as u32,
            checksum_behind: behind,
            checksum: sum.to_le_bytes(),
            changed: Changed::V4(changed),
        })
    }

    /// Puts what it holds in place of what the frame holds there, and the other way round: done twice, nothing has changed.
    ///
    /// `false`: the frame, which is another than the one that it was made for, ends before; nothing has changed.
    #[inline]
    pub fn exchange(&mut self, frame: &mut [u8]) -> bool {
        let Self { at, checksum_behind, checksum, changed } = self;
        let rest = frame.get_mut(*at as usize..).unwrap_or_default();
        let behind = usize::from(*checksum_behind);
        match changed {
            Changed::V4(changed) => exchange(rest, changed, behind, checksum),
            Changed::V6(changed) => exchange(rest, changed, behind, checksum),
        }
        .is_some()
    }

    /// The frame that it was made for, as it leaves, at the end of `out`.
    pub fn write(mut self, frame: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(frame);
        self.exchange(out.get_mut(start..).unwrap_or_default());
    }
}

#[inline(always)]
fn exchange<const N: usize>(
    rest: &mut [u8],
    changed: &mut [u8; N],
    behind: usize,
    checksum: &mut [u8; CHECKSUM],
) -> Option<()> {
    let (place, transport) = rest.split_first_chunk_mut::<N>()?;
    let field = transport.get_mut(behind..)?.first_chunk_mut()?;
    std::mem::swap(place, changed);
    std::mem::swap(field, checksum);
    Some(())
}

/// How far behind the ports the checksum of a transport header stands, and what it is (RFC 768; RFC 9293 §3.1).
#[inline]
fn checksum_field(transport: &[u8], protocol: Protocol) -> Option<(u8, [u8; CHECKSUM])> {
    let offset = if protocol == Protocol::UDP { 6 } else { 16 };
    Some(((offset - PORTS) as u8, *transport.get(offset..)?.first_chunk()?))
}

/// The checksum of a transport header, whatever the byte order of all.
#[inline(always)]
fn changed_sum(old: u16, protocol: Protocol, all: Delta, pseudo: Delta, checksum: ChecksumField) -> u16 {
    match checksum {
        ChecksumField::Full if protocol == Protocol::UDP => all.apply_udp(old),
        ChecksumField::Full => all.apply(old),
        ChecksumField::Partial => pseudo.apply_partial(old),
    }
}
