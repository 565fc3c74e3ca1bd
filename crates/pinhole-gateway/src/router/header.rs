//! What a router reads and changes of an IP header (RFC 791 §3.1; RFC 8200 §3).

use pinhole_wire::checksum::Delta;
use pinhole_wire::link::ETHERNET_HEADER;
use pinhole_wire::{Address, IpVersion, ipv4_header_checksum_ok};

const HEADER_V4: usize = 20;
const HEADER_V6: usize = 40;

/// The header of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) version: IpVersion,
    pub(super) source: Address,
    pub(super) destination: Address,
    pub(super) hop_limit: u8,
    /// Length of the datagram.
    pub(super) length: usize,
    /// Length of the IP header, without extension headers.
    pub(super) header_length: usize,
    /// A router may cut it into fragments: IPv4, and its sender did not forbid it.
    pub(super) may_be_cut: bool,
}

impl Header {
    /// A header with nothing in it, for a look-up.
    pub(super) fn of_version(version: IpVersion) -> Self {
        Self {
            version,
            source: Address::default(),
            destination: Address::default(),
            hop_limit: 0,
            length: 0,
            header_length: 0,
            may_be_cut: false,
        }
    }

    /// Reads the header of a datagram. `None`: it is cut short, of no version that is known, or its checksum is wrong (RFC 1812 §5.2.2).
    pub(super) fn read(datagram: &[u8]) -> Option<Self> {
        match datagram.first()? >> 4 {
            4 => Self::read_v4(datagram),
            6 => Self::read_v6(datagram),
            _ => None,
        }
    }

    fn read_v4(datagram: &[u8]) -> Option<Self> {
        const DO_NOT_FRAGMENT: u8 = 0x40;
        let h = datagram.first_chunk::<HEADER_V4>()?;
        let header_length = usize::from(h[0] & 0x0f) * 4;
        if header_length < HEADER_V4 || !ipv4_header_checksum_ok(datagram) {
            return None;
        }
        Some(Self {
            version: IpVersion::V4,
            source: Address::v4([h[12], h[13], h[14], h[15]]),
            destination: Address::v4([h[16], h[17], h[18], h[19]]),
            hop_limit: h[8],
            length: claimed(u16::from_be_bytes([h[2], h[3]]).into(), datagram),
            header_length,
            may_be_cut: h[6] & DO_NOT_FRAGMENT == 0,
        })
    }

    fn read_v6(datagram: &[u8]) -> Option<Self> {
        let h = datagram.first_chunk::<HEADER_V6>()?;
        let payload = usize::from(u16::from_be_bytes([h[4], h[5]]));
        let length = if payload == 0 { 0 } else { HEADER_V6 + payload };
        Some(Self {
            version: IpVersion::V6,
            source: Address::v6(*h.get(8..)?.first_chunk()?),
            destination: Address::v6(*h.get(24..)?.first_chunk()?),
            hop_limit: h[7],
            length: claimed(length, datagram),
            header_length: HEADER_V6,
            may_be_cut: false,
        })
    }
}

/// Length of a frame without what follows its datagram: padding of short frames, or whatever a sender puts there, is of its own link only.
pub(super) fn length_without_trailer(frame: &[u8]) -> usize {
    const BOTH: usize = ETHERNET_HEADER + 6;
    let claimed = match frame.first_chunk::<BOTH>() {
        Some(&[.., 0x08, 0x00, _, _, l0, l1, _, _]) => usize::from(u16::from_be_bytes([l0, l1])),
        Some(&[.., 0x86, 0xdd, _, _, _, _, l0, l1]) => match u16::from_be_bytes([l0, l1]) {
            0 => 0,
            payload => HEADER_V6 + usize::from(payload),
        },
        _ => 0,
    };
    if claimed == 0 { frame.len() } else { frame.len().min(ETHERNET_HEADER + claimed) }
}

/// What a datagram says of its own length. Of a superframe of more than 64 kB it says zero.
fn claimed(length: usize, datagram: &[u8]) -> usize {
    if length == 0 { datagram.len() } else { length.min(datagram.len()) }
}

/// Takes one from the hop limit, and changes IPv4's header checksum accordingly (RFC 1141, RFC 1624).
pub(super) fn decrement_hop_limit(datagram: &mut [u8]) {
    match datagram.first().map(|first| first >> 4) {
        Some(4) => {
            if let Some([ttl, protocol, c0, c1]) = datagram.get_mut(8..12) {
                let before = u16::from_be_bytes([*ttl, *protocol]);
                *ttl = ttl.saturating_sub(1);
                let after = u16::from_be_bytes([*ttl, *protocol]);
                let delta = Delta::NONE.replace_u16(before, after);
                [*c0, *c1] = delta.apply(u16::from_be_bytes([*c0, *c1])).to_be_bytes();
            }
        }
        Some(6) => {
            if let Some(hops) = datagram.get_mut(7) {
                *hops = hops.saturating_sub(1);
            }
        }
        _ => {}
    }
}
