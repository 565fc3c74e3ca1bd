//! Bytes to upper-layer headers.

use super::{Dccp, Gre, Icmp, Sctp, Tcp, TcpFlags, Transport, Udp};
use crate::{ParseError, Protocol};

/// How much of the datagram can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All of it, but for a tail that the capture cut off.
    Whole,
    /// The start of it: lengths inside the header may reach beyond.
    FirstFragment,
    /// A quotation in an ICMP error: the first eight bytes, and lengths that routers on the way may have garbled.
    Quoted,
}

/// A decoded header and its length in bytes as far as present.
type Decoded = Result<(Transport, u32), ParseError>;

/// Decodes the header at the start of `data`, which is all that is present of the upper layer; `missing` more bytes are claimed.
#[inline(always)]
pub(crate) fn decode(protocol: Protocol, data: &[u8], missing: u32, scope: Scope) -> Decoded {
    let claimed = (data.len() as u32).saturating_add(missing);
    match protocol {
        Protocol::TCP => tcp(data, claimed, scope),
        Protocol::UDP => udp(data, claimed, scope),
        Protocol::ICMP | Protocol::ICMPV6 => icmp(data),
        Protocol::UDPLITE => udplite(data, claimed, scope),
        Protocol::SCTP => sctp(data, scope),
        Protocol::DCCP => dccp(data, claimed, scope),
        Protocol::GRE => gre(data, scope),
        _ => Ok((Transport::Other, 0)),
    }
}

/// RFC 9293 §3.1.
#[inline(always)]
fn tcp(data: &[u8], claimed: u32, scope: Scope) -> Decoded {
    const FIXED_HEADER: u32 = 20;
    let Some(h) = data.first_chunk::<{ FIXED_HEADER as usize }>() else {
        return tcp_start(data, scope);
    };
    let header_length = h[12] >> 4 << 2;
    let length = u32::from(header_length);
    if scope != Scope::Quoted && (length < FIXED_HEADER || length > claimed) {
        return Err(ParseError::Transport);
    }
    let tcp = Tcp {
        source_port: u16::from_be_bytes([h[0], h[1]]),
        destination_port: u16::from_be_bytes([h[2], h[3]]),
        sequence: u32::from_be_bytes([h[4], h[5], h[6], h[7]]),
        acknowledgement: u32::from_be_bytes([h[8], h[9], h[10], h[11]]),
        window: u16::from_be_bytes([h[14], h[15]]),
        flags: TcpFlags::from_bits_retain(h[13]),
        header_length,
        checksum: u16::from_be_bytes([h[16], h[17]]),
        urgent: u16::from_be_bytes([h[18], h[19]]),
        payload_length: claimed.saturating_sub(length),
    };
    Ok((Transport::Tcp(tcp), length.clamp(FIXED_HEADER, data.len() as u32)))
}

/// The first eight bytes of a TCP header, which is what every ICMP error must quote.
#[cold]
fn tcp_start(data: &[u8], scope: Scope) -> Decoded {
    let (Scope::Quoted, Some(h)) = (scope, data.first_chunk::<8>()) else {
        return Err(ParseError::TransportCut);
    };
    let tcp = Tcp {
        source_port: u16::from_be_bytes([h[0], h[1]]),
        destination_port: u16::from_be_bytes([h[2], h[3]]),
        sequence: u32::from_be_bytes([h[4], h[5], h[6], h[7]]),
        acknowledgement: 0,
        window: 0,
        flags: TcpFlags::empty(),
        header_length: 0,
        checksum: 0,
        urgent: 0,
        payload_length: 0,
    };
    Ok((Transport::Tcp(tcp), data.len() as u32))
}

/// RFC 768; RFC 3828 §3.1 has the same fields. A length of zero, for jumbograms (RFC 2675 §4), is refused.
#[inline(always)]
fn udp(data: &[u8], claimed: u32, scope: Scope) -> Decoded {
    let udp = udp_fields(data)?;
    match scope {
        Scope::Whole if udp.length < UDP_HEADER as u16 || u32::from(udp.length) > claimed => {
            Err(ParseError::Transport)
        }
        Scope::FirstFragment if udp.length < UDP_HEADER as u16 => Err(ParseError::Transport),
        _ => Ok((Transport::Udp(udp), UDP_HEADER)),
    }
}

/// RFC 3828 §3.1: a coverage of zero means the whole datagram; otherwise it covers at least the header.
#[inline(never)]
fn udplite(data: &[u8], claimed: u32, scope: Scope) -> Decoded {
    match udp_fields(data)? {
        udp if udp.length == 0 => Ok((Transport::Udp(udp), UDP_HEADER)),
        _ => udp(data, claimed, scope),
    }
}

const UDP_HEADER: u32 = 8;

#[inline(always)]
fn udp_fields(data: &[u8]) -> Result<Udp, ParseError> {
    let h = data.first_chunk::<8>().ok_or(ParseError::TransportCut)?;
    Ok(Udp {
        source_port: u16::from_be_bytes([h[0], h[1]]),
        destination_port: u16::from_be_bytes([h[2], h[3]]),
        length: u16::from_be_bytes([h[4], h[5]]),
        checksum: u16::from_be_bytes([h[6], h[7]]),
    })
}

/// RFC 792; RFC 4443 §2.1. Every message that is tracked has at least eight bytes.
#[inline(always)]
fn icmp(data: &[u8]) -> Decoded {
    let h = data.first_chunk::<8>().ok_or(ParseError::TransportCut)?;
    let icmp = Icmp {
        kind: h[0],
        code: h[1],
        checksum: u16::from_be_bytes([h[2], h[3]]),
        identifier: u16::from_be_bytes([h[4], h[5]]),
    };
    Ok((Transport::Icmp(icmp), 8))
}

/// RFC 9260 §3.1.
#[inline(never)]
fn sctp(data: &[u8], scope: Scope) -> Decoded {
    const COMMON_HEADER: usize = 12;
    if data.len() < COMMON_HEADER && scope != Scope::Quoted {
        return Err(ParseError::TransportCut);
    }
    let h = data.first_chunk::<8>().ok_or(ParseError::TransportCut)?;
    let sctp = Sctp {
        source_port: u16::from_be_bytes([h[0], h[1]]),
        destination_port: u16::from_be_bytes([h[2], h[3]]),
        verification_tag: u32::from_be_bytes([h[4], h[5], h[6], h[7]]),
    };
    Ok((Transport::Sctp(sctp), data.len().min(COMMON_HEADER) as u32))
}

/// RFC 4340 §5.1 and §5.2, with the checks of §8.5 step 1.
#[inline(never)]
fn dccp(data: &[u8], claimed: u32, scope: Scope) -> Decoded {
    let quoted = scope == Scope::Quoted;
    let h = data.first_chunk::<8>().ok_or(ParseError::TransportCut)?;
    let mut dccp = Dccp {
        source_port: u16::from_be_bytes([h[0], h[1]]),
        destination_port: u16::from_be_bytes([h[2], h[3]]),
        kind: 0,
        sequence: 0,
        acknowledgement: None,
    };
    let Some(h) = data.first_chunk::<12>() else {
        return if quoted {
            Ok((Transport::Dccp(dccp), data.len() as u32))
        } else {
            Err(ParseError::TransportCut)
        };
    };
    let header_length = u32::from(h[4]) * 4;
    let extended = h[8] & 1 != 0;
    dccp.kind = h[8] >> 1 & 0x0f;
    let Some(layout) = DccpLayout::of(dccp.kind, extended) else {
        return if quoted { Ok((Transport::Dccp(dccp), 12)) } else { Err(ParseError::Transport) };
    };
    if !quoted && (header_length < layout.length() || header_length > claimed) {
        return Err(ParseError::Transport);
    }
    match layout.read_numbers(data) {
        Some((sequence, acknowledgement)) => {
            dccp.sequence = sequence;
            dccp.acknowledgement = acknowledgement;
        }
        None if quoted => {}
        None => return Err(ParseError::TransportCut),
    }
    Ok((Transport::Dccp(dccp), header_length.clamp(12, data.len() as u32)))
}

/// Which numbers a DCCP header of some type holds.
struct DccpLayout {
    extended: bool,
    acknowledges: bool,
    /// Bytes after the numbers: service code, or reset code and data.
    trailer: u32,
}

impl DccpLayout {
    /// `None` for reserved types, and for short sequence numbers in a type that must not have them.
    const fn of(kind: u8, extended: bool) -> Option<Self> {
        let (acknowledges, trailer, may_be_short) = match kind {
            0 => (false, 4, false),            // Request
            1 | 7 => (true, 4, false),         // Response, Reset
            2 => (false, 0, true),             // Data
            3 | 4 => (true, 0, true),          // Ack, DataAck
            5 | 6 | 8 | 9 => (true, 0, false), // CloseReq, Close, Sync, SyncAck
            _ => return None,
        };
        if extended || may_be_short { Some(Self { extended, acknowledges, trailer }) } else { None }
    }

    const fn length(&self) -> u32 {
        let (generic, acknowledgement) = if self.extended { (16, 8) } else { (12, 4) };
        generic + self.trailer + if self.acknowledges { acknowledgement } else { 0 }
    }

    /// Sequence and acknowledgement numbers: 48 bits, or 24 if short.
    fn read_numbers(&self, data: &[u8]) -> Option<(u64, Option<u64>)> {
        let number = |range: core::ops::Range<usize>| {
            data.get(range).map(|b| b.iter().fold(0, |number, &byte| number << 8 | u64::from(byte)))
        };
        let (sequence, acknowledgement) = if self.extended { (10..16, 18..24) } else { (9..12, 13..16) };
        let acknowledgement = if self.acknowledges { Some(number(acknowledgement)?) } else { None };
        Some((number(sequence)?, acknowledgement))
    }
}

const GRE_CHECKSUM: u16 = 0x8000;
const GRE_ROUTING: u16 = 0x4000;
const GRE_KEY: u16 = 0x2000;
const GRE_SEQUENCE: u16 = 0x1000;
const GRE_ACKNOWLEDGEMENT: u16 = 0x0080;
const GRE_VERSION: u16 = 0x0007;
/// EtherType of PPP in version 1.
const GRE_PPP: u16 = 0x880b;

/// Whether the header at the start of `data` is a version 0 header with a checksum (RFC 2784 §2.1).
pub(crate) fn gre_has_checksum(data: &[u8]) -> bool {
    data.first_chunk().is_some_and(|h| u16::from_be_bytes(*h) & (GRE_CHECKSUM | GRE_VERSION) == GRE_CHECKSUM)
}

#[inline(never)]
fn gre(data: &[u8], scope: Scope) -> Decoded {
    let h = data.first_chunk::<4>().ok_or(ParseError::TransportCut)?;
    let flags = u16::from_be_bytes([h[0], h[1]]);
    let protocol_type = u16::from_be_bytes([h[2], h[3]]);
    match flags & GRE_VERSION {
        0 => gre_plain(data, flags, protocol_type, scope),
        1 => gre_enhanced(data, flags, protocol_type, scope),
        _ => Ok((Transport::Other, 0)),
    }
}

/// RFC 2784 §2, RFC 2890 §2. Source routes (RFC 1701) count as payload.
fn gre_plain(data: &[u8], flags: u16, protocol_type: u16, scope: Scope) -> Decoded {
    let present = |flag: u16| if flags & flag != 0 { 4u32 } else { 0 };
    let key_at = 4 + present(GRE_CHECKSUM | GRE_ROUTING);
    let length = key_at + present(GRE_KEY) + present(GRE_SEQUENCE);
    if data.len() < length as usize && scope != Scope::Quoted {
        return Err(ParseError::TransportCut);
    }
    let key = (flags & GRE_KEY != 0)
        .then(|| data.get(key_at as usize..)?.first_chunk().map(|key| u32::from_be_bytes(*key)))
        .flatten();
    let gre = Gre { version: 0, key, call_id: 0, protocol_type };
    Ok((Transport::Gre(gre), length.min(data.len() as u32)))
}

/// RFC 2637 §4.1: the key field holds the payload length and the call id, whatever the flags say.
fn gre_enhanced(data: &[u8], flags: u16, protocol_type: u16, scope: Scope) -> Decoded {
    if protocol_type != GRE_PPP {
        return Err(ParseError::Transport);
    }
    let present = |flag: u16| if flags & flag != 0 { 4u32 } else { 0 };
    let length = 8 + present(GRE_SEQUENCE) + present(GRE_ACKNOWLEDGEMENT);
    let h = data.first_chunk::<8>().ok_or(ParseError::TransportCut)?;
    if data.len() < length as usize && scope != Scope::Quoted {
        return Err(ParseError::TransportCut);
    }
    let gre = Gre { version: 1, key: None, call_id: u16::from_be_bytes([h[6], h[7]]), protocol_type };
    Ok((Transport::Gre(gre), length.min(data.len() as u32)))
}
