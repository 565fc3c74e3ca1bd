//! IPv4 datagrams as the recorder saw them: read, changed and repaired byte by byte, without pinhole's own notion of a header.

use std::net::Ipv4Addr;

pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const GRE: u8 = 47;

/// What is read of a whole datagram.
#[derive(Clone, Copy)]
pub(crate) struct Header {
    pub(crate) protocol: u8,
    pub(crate) source: Ipv4Addr,
    pub(crate) destination: Ipv4Addr,
    /// Zero for protocols without ports.
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
    /// TCP only.
    pub(crate) sequence: u32,
    /// TCP with ACK only.
    pub(crate) acknowledgement: Option<u32>,
    /// Offset of the transport header.
    pub(crate) transport: usize,
    /// Offset of the payload, and its end.
    pub(crate) payload: (usize, usize),
}

/// Reads an IPv4 datagram that is whole, or a first fragment.
pub(crate) fn read(bytes: &[u8]) -> Option<Header> {
    if bytes.first()? >> 4 != 4 {
        return None;
    }
    let transport = usize::from(bytes[0] & 15) * 4;
    let end = usize::from(word(bytes, 2)?);
    let (protocol, source, destination) = (*bytes.get(9)?, address(bytes, 12)?, address(bytes, 16)?);
    let mut header = Header {
        protocol,
        source,
        destination,
        source_port: 0,
        destination_port: 0,
        sequence: 0,
        acknowledgement: None,
        transport,
        payload: (transport, end),
    };
    if word(bytes, 6)? & 0x1fff != 0 {
        return Some(header);
    }
    let upper = bytes.get(transport..end)?;
    match protocol {
        TCP if upper.len() >= 20 => {
            header.payload.0 += usize::from(upper[12] >> 4) * 4;
            header.sequence = double(upper, 4)?;
            header.acknowledgement = (upper[13] & 0x10 != 0).then(|| double(upper, 8)).flatten();
        }
        UDP if upper.len() >= 8 => header.payload.0 += 8,
        _ => return Some(header),
    }
    header.source_port = word(upper, 0)?;
    header.destination_port = word(upper, 2)?;
    Some(header)
}

/// Makes a datagram of what a capture holds, as the recorder did: missing bytes are zero, what is behind the datagram is cut off, the
/// time to live is 64, and checksums are right.
pub(crate) fn complete(bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.first()? >> 4 != 4 {
        return None;
    }
    let length = match word(bytes, 2)? {
        0 => bytes.len(),
        length => usize::from(length),
    };
    let mut datagram = bytes.to_vec();
    datagram.resize(length, 0);
    datagram[2..4].copy_from_slice(&(length as u16).to_be_bytes());
    set_time_to_live(&mut datagram, 64)?;
    repair(&mut datagram)?;
    Some(datagram)
}

/// Sets the time to live, header checksum included.
pub(crate) fn set_time_to_live(datagram: &mut [u8], value: u8) -> Option<()> {
    *datagram.get_mut(8)? = value;
    let header = usize::from(datagram[0] & 15) * 4;
    datagram.get_mut(10..12)?.fill(0);
    let sum = checksum(datagram.get(..header)?, 0);
    datagram.get_mut(10..12)?.copy_from_slice(&sum.to_be_bytes());
    Some(())
}

/// Computes the checksum of the header, and that of TCP and UDP, anew.
pub(crate) fn repair(datagram: &mut [u8]) -> Option<()> {
    let time_to_live = *datagram.get(8)?;
    set_time_to_live(datagram, time_to_live)?;
    let start = usize::from(datagram[0] & 15) * 4;
    let (protocol, length) = (datagram[9], datagram.len().checked_sub(start)?);
    if word(datagram, 6)? & 0x3fff != 0 {
        return Some(());
    }
    let pseudo = datagram[12..20].chunks(2).map(|pair| u32::from(word(pair, 0).unwrap_or(0))).sum::<u32>();
    let pseudo = pseudo + u32::from(protocol) + length as u32;
    let field = match protocol {
        TCP if length >= 20 => 16,
        UDP if length >= 8 && usize::from(word(datagram, start + 4)?) == length => 6,
        _ => return Some(()),
    };
    datagram.get_mut(start + field..start + field + 2)?.fill(0);
    let sum = match checksum(datagram.get(start..)?, pseudo) {
        0 if protocol == UDP => 0xffff,
        sum => sum,
    };
    datagram.get_mut(start + field..start + field + 2)?.copy_from_slice(&sum.to_be_bytes());
    Some(())
}

fn checksum(bytes: &[u8], start: u32) -> u16 {
    let sum = bytes.chunks(2).fold(u64::from(start), |sum, pair| {
        sum + u64::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]))
    });
    let folded = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
    !((folded & 0xffff) + (folded >> 16)) as u16
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn double(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn address(bytes: &[u8], at: usize) -> Option<Ipv4Addr> {
    Some(Ipv4Addr::from(double(bytes, at)?))
}
