//! The packets that nearly all traffic consists of, read at once: whole datagrams, IPv4 without options (RFC 791 §3.1) or IPv6 without
//! extension headers (RFC 8200 §3), with TCP (RFC 9293 §3.1) or UDP (RFC 768) inside.
//!
//! [`Plain`] is what a firewall needs first of such a packet: its addresses and ports. It is meant to live in registers, and is read in
//! two instances, one for each IP version. What else the headers hold is read when it is wanted, from where [`Bounds`] say: a
//! [`Tcp`] header for the state machine, or all of a [`Packet`].
//!
//! Whatever is the least unusual or wrong is left to the general readers; a property test holds the two to the same result.

use super::{Packet, ParseError};
use crate::transport::{Tcp, TcpFlags, TcpOptions, Udp};
use crate::{Address, IpVersion, Protocol, Transport};

const IPV4_HEADER: u32 = 20;
const IPV6_HEADER: u32 = 40;
const TCP_HEADER: u32 = 20;
const UDP_HEADER: u32 = 8;
/// Version 4, header of five words.
const VERSION_AND_LENGTH: u8 = 0x45;
/// More-fragments flag and fragment offset.
const FRAGMENT: u16 = 0x3fff;

#[inline(always)]
const fn number(bytes: [u8; 2]) -> u16 {
    u16::from_be_bytes(bytes)
}

/// The ends of a plain packet: a whole datagram of TCP or UDP without IP options or extension headers, all lengths in order.
#[derive(Clone, Copy, Debug)]
pub struct Plain {
    /// IPv4 or IPv6.
    pub version: IpVersion,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// Source address.
    pub source: Address,
    /// Destination address.
    pub destination: Address,
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// Where it lies.
    pub bounds: Bounds,
}

/// Where a plain packet lies in the bytes that were read. Invariant: `network < transport < end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Offset of the IP header.
    pub network: u32,
    /// Offset of the upper-layer header.
    pub transport: u32,
    /// End of the datagram.
    pub end: u32,
}

impl Bounds {
    /// Length of the datagram in bytes, headers included. What accounting counts.
    #[inline]
    pub const fn length(&self) -> u32 {
        self.end.wrapping_sub(self.network)
    }

    /// The TCP header of the plain packet that lies here in `bytes`, and its options. `None` for other bytes.
    #[inline(always)]
    pub fn tcp<'a>(&self, bytes: &'a [u8]) -> Option<(Tcp, TcpOptions<'a>)> {
        let segment = bytes.get(self.transport as usize..self.end as usize)?;
        let (h, rest) = segment.split_first_chunk::<{ TCP_HEADER as usize }>()?;
        let header_length = h[12] >> 4 << 2;
        let options = rest.get(..usize::from(header_length).checked_sub(TCP_HEADER as usize)?)?;
        let tcp = Tcp {
            source_port: number([h[0], h[1]]),
            destination_port: number([h[2], h[3]]),
            sequence: u32::from_be_bytes([h[4], h[5], h[6], h[7]]),
            acknowledgement: u32::from_be_bytes([h[8], h[9], h[10], h[11]]),
            window: number([h[14], h[15]]),
            flags: TcpFlags::from_bits_retain(h[13]),
            header_length,
            checksum: number([h[16], h[17]]),
            urgent: number([h[18], h[19]]),
            payload_length: (rest.len() - options.len()) as u32,
        };
        Some((tcp, TcpOptions::new(options)))
    }

    /// The UDP header of the plain packet that lies here in `bytes`.
    #[inline(always)]
    fn udp(&self, bytes: &[u8]) -> Option<Udp> {
        let h = bytes.get(self.transport as usize..)?.first_chunk::<{ UDP_HEADER as usize }>()?;
        Some(Udp {
            source_port: number([h[0], h[1]]),
            destination_port: number([h[2], h[3]]),
            length: number([h[4], h[5]]),
            checksum: number([h[6], h[7]]),
        })
    }
}

impl Plain {
    /// Reads the datagram of this version that starts where `datagram` does, and at offset `network` of the bytes that offsets are to count
    /// in. `None`: it is not plain, or not such a datagram.
    #[inline(always)]
    pub fn read(version: IpVersion, datagram: &[u8], network: u32) -> Option<Self> {
        match version {
            IpVersion::V4 => Self::ipv4(datagram, network),
            IpVersion::V6 => Self::ipv6(datagram, network),
        }
    }

    #[inline(always)]
    fn ipv4(datagram: &[u8], network: u32) -> Option<Self> {
        let (h, upper) = datagram.split_first_chunk::<{ IPV4_HEADER as usize }>()?;
        if h[0] != VERSION_AND_LENGTH || number([h[6], h[7]]) & FRAGMENT != 0 {
            return None;
        }
        let length = u32::from(number([h[2], h[3]])).checked_sub(IPV4_HEADER)?;
        let transport = network.checked_add(IPV4_HEADER)?;
        let protocol = Protocol(h[9]);
        let (source_port, destination_port) = ports(protocol, upper, length)?;
        Some(Self {
            version: IpVersion::V4,
            protocol,
            source: Address::v4([h[12], h[13], h[14], h[15]]),
            destination: Address::v4([h[16], h[17], h[18], h[19]]),
            source_port,
            destination_port,
            bounds: Bounds { network, transport, end: transport.checked_add(length)? },
        })
    }

    #[inline(always)]
    fn ipv6(datagram: &[u8], network: u32) -> Option<Self> {
        let (h, upper) = datagram.split_first_chunk::<{ IPV6_HEADER as usize }>()?;
        if h[0] >> 4 != IpVersion::V6 as u8 {
            return None;
        }
        let length = u32::from(number([h[4], h[5]]));
        let transport = network.checked_add(IPV6_HEADER)?;
        let protocol = Protocol(h[6]);
        let (source_port, destination_port) = ports(protocol, upper, length)?;
        let address = |from: usize| Some(Address::v6(*h.get(from..)?.first_chunk()?));
        Some(Self {
            version: IpVersion::V6,
            protocol,
            source: address(8)?,
            destination: address(24)?,
            source_port,
            destination_port,
            bounds: Bounds { network, transport, end: transport.checked_add(length)? },
        })
    }
}

/// The ports, if the upper layer, of which `length` bytes are claimed, is all there and no length in it contradicts another.
#[inline(always)]
fn ports(protocol: Protocol, upper: &[u8], length: u32) -> Option<(u16, u16)> {
    if length as usize > upper.len() {
        return None;
    }
    let h = upper.first_chunk::<{ UDP_HEADER as usize }>()?;
    let (least, own) = match protocol {
        Protocol::UDP => (UDP_HEADER, u32::from(number([h[4], h[5]]))),
        Protocol::TCP => {
            (TCP_HEADER, u32::from(upper.first_chunk::<{ TCP_HEADER as usize }>()?[12] >> 4 << 2))
        }
        _ => return None,
    };
    (least <= own && own <= length).then_some((number([h[0], h[1]]), number([h[2], h[3]])))
}

impl Packet {
    /// `None`: it is not such a packet, and nothing was changed.
    #[inline(always)]
    pub(super) fn read_plain(&mut self, bytes: &[u8], network: u32) -> Option<()> {
        let datagram = bytes.get(network as usize..)?;
        let version = match datagram.first()? >> 4 {
            4 => IpVersion::V4,
            6 => IpVersion::V6,
            _ => return None,
        };
        let plain = Plain::read(version, datagram, network)?;
        self.read_known(bytes, version, &plain.bounds)
    }

    /// Reads the plain packet that lies in `bytes` at `bounds`, in place of what this packet was; after an error it means nothing.
    ///
    /// # Errors
    /// There is no plain packet in these bytes.
    #[inline]
    pub fn parse_plain(&mut self, bytes: &[u8], bounds: &Bounds) -> Result<(), ParseError> {
        let version = if bounds.transport.wrapping_sub(bounds.network) == IPV4_HEADER {
            IpVersion::V4
        } else {
            IpVersion::V6
        };
        self.read_known(bytes, version, bounds).ok_or(ParseError::HeaderCut)
    }

    #[inline(always)]
    fn read_known(&mut self, bytes: &[u8], version: IpVersion, bounds: &Bounds) -> Option<()> {
        let Bounds { network, transport, end } = *bounds;
        let datagram = bytes.get(network as usize..)?;
        let protocol;
        match version {
            IpVersion::V4 => {
                let h = datagram.first_chunk::<{ IPV4_HEADER as usize }>()?;
                protocol = Protocol(h[9]);
                (self.traffic_class, self.hop_limit) = (h[1], h[8]);
                self.source = Address::v4([h[12], h[13], h[14], h[15]]);
                self.destination = Address::v4([h[16], h[17], h[18], h[19]]);
            }
            IpVersion::V6 => {
                let h = datagram.first_chunk::<{ IPV6_HEADER as usize }>()?;
                protocol = Protocol(h[6]);
                (self.traffic_class, self.hop_limit) = (h[0] << 4 | h[1] >> 4, h[7]);
                self.source = Address::v6(*h[8..].first_chunk()?);
                self.destination = Address::v6(*h[24..].first_chunk()?);
            }
        }
        let header_length = if protocol == Protocol::TCP {
            let (tcp, _) = bounds.tcp(bytes)?;
            self.transport = Transport::Tcp(tcp);
            u32::from(tcp.header_length)
        } else {
            self.transport = Transport::Udp(bounds.udp(bytes)?);
            UDP_HEADER
        };
        self.version = version;
        self.protocol = protocol;
        self.network = network;
        self.transport_offset = transport;
        self.payload = transport + header_length;
        self.end = end;
        self.missing = 0;
        self.fragment = None;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A datagram of this version, right, with zeros for addresses and ports.
    fn datagram(version: IpVersion, protocol: u8, payload: u8) -> Vec<u8> {
        let upper = payload + if protocol == 6 { 20 } else { 8 };
        let header = match version {
            IpVersion::V4 => IPV4_HEADER as usize,
            IpVersion::V6 => IPV6_HEADER as usize,
        };
        let mut bytes = vec![0; header + usize::from(upper)];
        match version {
            IpVersion::V4 => (bytes[0], bytes[3], bytes[9]) = (0x45, 20 + upper, protocol),
            IpVersion::V6 => (bytes[0], bytes[5], bytes[6]) = (0x60, upper, protocol),
        }
        if protocol == 6 {
            bytes[header + 12] = 0x50;
        } else {
            bytes[header + 5] = upper;
        }
        bytes
    }

    /// A datagram in a frame: right, and then perhaps changed in some bytes, cut or padded.
    fn frame() -> impl Strategy<Value = Vec<u8>> {
        let version = prop_oneof![Just(IpVersion::V4), Just(IpVersion::V6)];
        let protocol = prop_oneof![Just(6_u8), Just(17), Just(136), any::<u8>()];
        let changes = prop::collection::vec((0..68_usize, any::<u8>()), 0..3);
        (version, protocol, 0..40_u8, changes, 0..12_usize, 0..12_usize).prop_map(
            |(version, protocol, payload, changes, cut, padding)| {
                let mut bytes = datagram(version, protocol, payload);
                for (at, byte) in changes {
                    if let Some(place) = bytes.get_mut(at) {
                        *place = byte;
                    }
                }
                bytes.truncate(bytes.len() - cut);
                bytes.resize(bytes.len() + padding, 0xee);
                bytes.splice(..0, [0; 14]);
                bytes
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

        #[test]
        fn reads_what_the_general_readers_read(frame in frame()) {
            let mut plain = Packet::default();
            let read = plain.parse_into(&frame, 14).map(|()| plain);
            prop_assert_eq!(format!("{read:?}"), format!("{:?}", Packet::parse(&frame, 14)));
            let bounds = [IpVersion::V4, IpVersion::V6].map(|version| Some(Plain::read(version, &frame[14..], 14)?.bounds));
            if let Some(bounds) = bounds.into_iter().flatten().next() {
                let mut again = Packet::default();
                prop_assert_eq!(again.parse_plain(&frame, &bounds), Ok(()));
                prop_assert_eq!(format!("{again:?}"), format!("{:?}", read.unwrap()));
                prop_assert_eq!(bounds.length(), again.datagram_length());
            }
        }
    }

    #[test]
    fn reads_the_usual_itself() {
        for version in [IpVersion::V4, IpVersion::V6] {
            for protocol in [6, 17] {
                let bytes = datagram(version, protocol, 3);
                assert!(Packet::default().read_plain(&bytes, 0).is_some(), "{version:?} {protocol}");
                let other = if version == IpVersion::V4 { IpVersion::V6 } else { IpVersion::V4 };
                assert!(Plain::read(other, &bytes, 0).is_none());
            }
        }
    }
}
