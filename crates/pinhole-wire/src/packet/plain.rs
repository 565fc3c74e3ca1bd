//! The packets that nearly all traffic consists of, read at once: IPv4 without options (RFC 791 §3.1), whole, with TCP (RFC 9293 §3.1) or
//! UDP (RFC 768) inside.
//!
//! Whatever is the least unusual or wrong is left to the general readers; a property test holds the two to the same result.

use super::{Packet, datagram_at};
use crate::transport::{Tcp, TcpFlags, Udp};
use crate::{Address, IpVersion, Protocol, Transport};

const IP_HEADER: u32 = 20;
const TCP_HEADER: u32 = 20;
const UDP_HEADER: u32 = 8;
/// Version 4, header of five words.
const VERSION_AND_LENGTH: u8 = 0x45;
/// More-fragments flag and fragment offset.
const FRAGMENT: u16 = 0x3fff;

#[inline(always)]
fn number(bytes: [u8; 2]) -> u16 {
    u16::from_be_bytes(bytes)
}

impl Packet {
    /// `None`: it is not such a packet, and nothing was changed.
    #[inline(always)]
    pub(super) fn read_plain(&mut self, bytes: &[u8], network: u32) -> Option<()> {
        let datagram = datagram_at(bytes, network).ok()?;
        let h = datagram.first_chunk::<{ (IP_HEADER + UDP_HEADER) as usize }>()?;
        let total = u32::from(number([h[2], h[3]]));
        if h[0] != VERSION_AND_LENGTH
            || number([h[6], h[7]]) & FRAGMENT != 0
            || total as usize > datagram.len()
            || total < IP_HEADER + UDP_HEADER
        {
            return None;
        }
        let header_length = match Protocol(h[9]) {
            Protocol::UDP => {
                let length = number([h[24], h[25]]);
                if u32::from(length) < UDP_HEADER || u32::from(length) > total - IP_HEADER {
                    return None;
                }
                let udp = Udp {
                    source_port: number([h[20], h[21]]),
                    destination_port: number([h[22], h[23]]),
                    length,
                    checksum: number([h[26], h[27]]),
                };
                self.transport = Transport::Udp(udp);
                UDP_HEADER
            }
            Protocol::TCP => {
                let h = datagram.first_chunk::<{ (IP_HEADER + TCP_HEADER) as usize }>()?;
                let header_length = h[32] >> 4 << 2;
                let length = u32::from(header_length);
                if length < TCP_HEADER || length > total - IP_HEADER {
                    return None;
                }
                let tcp = Tcp {
                    source_port: number([h[20], h[21]]),
                    destination_port: number([h[22], h[23]]),
                    sequence: u32::from_be_bytes([h[24], h[25], h[26], h[27]]),
                    acknowledgement: u32::from_be_bytes([h[28], h[29], h[30], h[31]]),
                    window: number([h[34], h[35]]),
                    flags: TcpFlags::from_bits_retain(h[33]),
                    header_length,
                    checksum: number([h[36], h[37]]),
                    urgent: number([h[38], h[39]]),
                    payload_length: total - IP_HEADER - length,
                };
                self.transport = Transport::Tcp(tcp);
                length
            }
            _ => return None,
        };
        self.version = IpVersion::V4;
        self.protocol = Protocol(h[9]);
        self.source = Address::v4([h[12], h[13], h[14], h[15]]);
        self.destination = Address::v4([h[16], h[17], h[18], h[19]]);
        self.hop_limit = h[8];
        self.traffic_class = h[1];
        self.network = network;
        self.transport_offset = network + IP_HEADER;
        self.payload = network + IP_HEADER + header_length;
        self.end = network + total;
        self.missing = 0;
        self.fragment = None;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A datagram in a frame: right, and then perhaps changed in some bytes, cut or padded.
    fn frame() -> impl Strategy<Value = Vec<u8>> {
        let protocol = prop_oneof![Just(6_u8), Just(17), Just(136), any::<u8>()];
        let changes = prop::collection::vec((0..48_usize, any::<u8>()), 0..3);
        (protocol, 0..40_u8, changes, 0..12_usize, 0..12_usize).prop_map(
            |(protocol, payload, changes, cut, padding)| {
                let header = if protocol == 6 { 20 } else { 8 };
                let mut bytes = vec![0; usize::from(20 + header + payload)];
                bytes[0] = 0x45;
                bytes[3] = 20 + header + payload;
                bytes[9] = protocol;
                if protocol == 6 {
                    bytes[32] = 0x50;
                } else {
                    bytes[25] = header + payload;
                }
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
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

        #[test]
        fn reads_what_the_general_readers_read(frame in frame()) {
            let mut plain = Packet::default();
            let read = plain.parse_into(&frame, 14).map(|()| plain);
            prop_assert_eq!(format!("{read:?}"), format!("{:?}", Packet::parse(&frame, 14)));
        }
    }

    #[test]
    fn reads_the_usual_itself() {
        let mut tcp = [0; 40];
        (tcp[0], tcp[3], tcp[9], tcp[32]) = (0x45, 40, 6, 0x50);
        assert!(Packet::default().read_plain(&tcp, 0).is_some());
        let mut udp = [0; 28];
        (udp[0], udp[3], udp[9], udp[25]) = (0x45, 28, 17, 8);
        assert!(Packet::default().read_plain(&udp, 0).is_some());
    }
}
