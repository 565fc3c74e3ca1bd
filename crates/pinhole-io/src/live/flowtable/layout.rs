//! What lies in the two maps, byte for byte as the programs read it.

use pinhole_wire::Direction;

/// By what a packet is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlowKey(pub(super) [u8; key::SIZE]);

/// Places in a [`FlowKey`]. Addresses of IPv4 lie at the end of their 16 bytes; all is as it stands in the packet.
pub(super) mod key {
    pub(crate) const SOURCE: usize = 0;
    pub(crate) const DESTINATION: usize = 16;
    pub(crate) const PORTS: usize = 32;
    /// Protocol, IP version.
    pub(crate) const PROTOCOL: usize = 36;
    pub(crate) const VERSION: usize = 37;
    /// Of the interface, in the machine's order.
    pub(crate) const INTERFACE: usize = 38;
    pub(crate) const SIZE: usize = 40;
}

impl FlowKey {
    /// Of packets from one end to another, with addresses of 16 bytes (IPv4: zeros, then the address) that come in by an interface.
    pub fn new(
        version: u8,
        protocol: u8,
        interface: u32,
        [source, destination]: [[u8; 16]; 2],
        [source_port, destination_port]: [u16; 2],
    ) -> Self {
        let mut bytes = [0; key::SIZE];
        let mut put = |at: usize, part: &[u8]| {
            if let Some(place) = bytes.get_mut(at..at + part.len()) {
                place.copy_from_slice(part);
            }
        };
        put(key::SOURCE, &source);
        put(key::DESTINATION, &destination);
        put(key::PORTS, &source_port.to_be_bytes());
        put(key::PORTS + 2, &destination_port.to_be_bytes());
        put(key::PROTOCOL, &[protocol, version]);
        put(key::INTERFACE, &(interface as u16).to_ne_bytes());
        Self(bytes)
    }

    /// The key of an Ethernet frame, if it is one that the programs can carry at all (IPv4 without options or IPv6 without extension headers, no
    /// fragment, TCP or UDP), and whether it is plain data: of TCP, what they carry if its numbers fit.
    pub fn of(frame: &[u8], interface: u32) -> Option<(Self, bool)> {
        let (link, datagram) = frame.split_first_chunk::<14>()?;
        let mut addresses = [[0; 16]; 2];
        let (version, protocol, transport) = match *link {
            [.., 0x08, 0x00] => {
                let header = datagram.first_chunk::<20>()?;
                let [0x45, _, _, _, _, _, fragment, offset, _, protocol, ..] = *header else { return None };
                if (fragment & !0x40) | offset != 0 {
                    return None;
                }
                for (address, from) in addresses.iter_mut().zip(header.get(12..20)?.chunks_exact(4)) {
                    address.get_mut(12..)?.copy_from_slice(from);
                }
                (4, protocol, datagram.get(20..)?)
            }
            [.., 0x86, 0xdd] => {
                let header = datagram.first_chunk::<40>()?;
                for (address, from) in addresses.iter_mut().zip(header.get(8..40)?.chunks_exact(16)) {
                    address.copy_from_slice(from);
                }
                (6, *header.get(6)?, datagram.get(40..)?)
            }
            _ => return None,
        };
        let [s0, s1, d0, d1] = *transport.first_chunk()?;
        let ports = [u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1])];
        let is_data = match i32::from(protocol) {
            libc::IPPROTO_UDP => true,
            libc::IPPROTO_TCP => is_plain_segment(transport)?,
            _ => return None,
        };
        Some((Self::new(version, protocol, interface, addresses, ports), is_data))
    }
}

/// Whether a segment has no flags but ACK and PSH.
fn is_plain_segment(segment: &[u8]) -> Option<bool> {
    let header = segment.first_chunk::<20>()?;
    let [.., offset, flags, _, _, _, _, _, _] = *header;
    Some(offset >> 4 >= 5 && flags & 0x37 == 0x10)
}

/// What becomes of a flow's packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Its conn's place among the [`FlowState`]s.
    pub slot: u32,
    /// Its direction in the conn.
    pub direction: Direction,
    /// The interface that they leave by.
    pub egress: u32,
    /// Longest datagram that may.
    pub mtu: u32,
    /// Hardware addresses that they leave with: destination, source.
    pub link: [[u8; 6]; 2],
    /// What they leave bearing, if it is something else than what they came with; IPv4 only.
    pub translation: Option<Translation>,
}

/// Addresses and ports, source then destination, before and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translation {
    /// Addresses that they come with.
    pub from: [[u8; 4]; 2],
    /// Ports that they come with.
    pub from_ports: [u16; 2],
    /// Addresses that they leave with.
    pub to: [[u8; 4]; 2],
    /// Ports that they leave with.
    pub to_ports: [u16; 2],
}

/// Places in a flow.
pub(super) mod flow {
    pub(crate) const SLOT: i16 = 0;
    pub(crate) const DIRECTION: i16 = 4;
    pub(crate) const TRANSLATES: i16 = 8;
    pub(crate) const EGRESS: i16 = 12;
    pub(crate) const MTU: i16 = 16;
    /// Destination, source: 12 bytes.
    pub(crate) const LINK: i16 = 20;
    /// Source, destination: 8 bytes.
    pub(crate) const ADDRESSES: i16 = 32;
    pub(crate) const PORTS: i16 = 40;
    /// What is to be added to the sum of the addresses, of the ports (RFC 1624), both in the machine's order.
    pub(crate) const ADDRESS_CHANGE: i16 = 44;
    pub(crate) const PORT_CHANGE: i16 = 48;
    pub(crate) const SIZE: usize = 52;
}

impl Flow {
    pub(super) fn bytes(&self) -> [u8; flow::SIZE] {
        let mut bytes = [0; flow::SIZE];
        let mut put = |at: i16, part: &[u8]| {
            let at = at as usize;
            if let Some(place) = bytes.get_mut(at..at + part.len()) {
                place.copy_from_slice(part);
            }
        };
        put(flow::SLOT, &self.slot.to_ne_bytes());
        put(flow::DIRECTION, &(self.direction.index() as u32).to_ne_bytes());
        put(flow::TRANSLATES, &u32::from(self.translation.is_some()).to_ne_bytes());
        put(flow::EGRESS, &self.egress.to_ne_bytes());
        put(flow::MTU, &self.mtu.to_ne_bytes());
        put(flow::LINK, self.link.as_flattened());
        if let Some(translation) = &self.translation {
            put(flow::ADDRESSES, translation.to.as_flattened());
            put(flow::PORTS, ports(translation.to_ports).as_flattened());
            let addresses = change(translation.from.as_flattened(), translation.to.as_flattened());
            put(flow::ADDRESS_CHANGE, &addresses.to_ne_bytes());
            let change = change(
                ports(translation.from_ports).as_flattened(),
                ports(translation.to_ports).as_flattened(),
            );
            put(flow::PORT_CHANGE, &change.to_ne_bytes());
        }
        bytes
    }
}

fn ports(ports: [u16; 2]) -> [[u8; 2]; 2] {
    ports.map(u16::to_be_bytes)
}

/// The one's complement sum of what words become less what they were (RFC 1624), of at most 16 bits.
fn change(from: &[u8], to: &[u8]) -> u32 {
    let words = |bytes: &[u8]| -> Vec<u16> {
        bytes.chunks_exact(2).filter_map(|pair| Some(u16::from_ne_bytes(*pair.first_chunk()?))).collect()
    };
    let sum: u32 = words(from).into_iter().map(|word| u32::from(!word)).sum::<u32>()
        + words(to).into_iter().map(u32::from).sum::<u32>();
    let sum = (sum & 0xffff) + (sum >> 16);
    (sum & 0xffff) + (sum >> 16)
}

/// What the programs keep of a conn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowState {
    /// By direction.
    pub carried: [Carried; 2],
    /// Of TCP: what is known of each end.
    pub windows: [Window; 2],
}

/// What was carried in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Packets.
    pub packets: u64,
    /// Bytes of datagrams.
    pub bytes: u64,
    /// When the last one passed: nanoseconds of the monotonic clock (`CLOCK_MONOTONIC_COARSE`); zero: none has.
    pub seen: u64,
}

/// One end of a TCP conn, as window tracking knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Highest sequence number sent, plus one.
    pub end: u32,
    /// Highest sequence number that its peer has offered to take, plus one.
    pub max_end: u32,
    /// Largest window that it has offered, scaled.
    pub max_window: u32,
    /// Shift of its windows.
    pub scale: u32,
}

/// Places in a state.
pub(super) mod state {
    pub(crate) const PACKETS: i16 = 0;
    pub(crate) const BYTES: i16 = 8;
    pub(crate) const SEEN: i16 = 16;
    /// Bytes of a direction.
    pub(crate) const CARRIED: i32 = 24;
    pub(crate) const WINDOWS: i16 = 48;
    pub(crate) const END: i16 = WINDOWS;
    pub(crate) const MAX_END: i16 = WINDOWS + 4;
    pub(crate) const MAX_WINDOW: i16 = WINDOWS + 8;
    pub(crate) const SCALE: i16 = WINDOWS + 12;
    /// Bytes of an end.
    pub(crate) const WINDOW: i32 = 16;
    pub(crate) const SIZE: usize = 80;
}

impl FlowState {
    pub(super) const fn words(&self) -> [u64; state::SIZE / 8] {
        let [original, reply] = self.carried;
        let [one, other] = self.windows;
        [
            original.packets,
            original.bytes,
            original.seen,
            reply.packets,
            reply.bytes,
            reply.seen,
            pair(one.end, one.max_end),
            pair(one.max_window, one.scale),
            pair(other.end, other.max_end),
            pair(other.max_window, other.scale),
        ]
    }

    pub(super) const fn of_words(words: [u64; state::SIZE / 8]) -> Self {
        const fn carried(packets: u64, bytes: u64, seen: u64) -> Carried {
            Carried { packets, bytes, seen }
        }
        const fn window(ends: u64, rest: u64) -> Window {
            Window {
                end: ends as u32,
                max_end: (ends >> 32) as u32,
                max_window: rest as u32,
                scale: (rest >> 32) as u32,
            }
        }
        let [p0, b0, s0, p1, b1, s1, e0, w0, e1, w1] = words;
        Self {
            carried: [carried(p0, b0, s0), carried(p1, b1, s1)],
            windows: [window(e0, w0), window(e1, w1)],
        }
    }
}

/// Two words that lie one after the other.
const fn pair(first: u32, second: u32) -> u64 {
    first as u64 | (second as u64) << 32
}
