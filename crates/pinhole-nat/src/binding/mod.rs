//! A binding: what NAT makes of the headers of a conn's packets.
//!
//! A [`Binding`] is made of the two tuples of a conn. What arrives in the original direction bears the original tuple and leaves
//! bearing the inverse of the reply tuple, so that answers to it bear the reply tuple; what arrives in the reply direction bears
//! the reply tuple and leaves bearing the inverse of the original one. A binding is immutable and pure: the same packet gives the
//! same bytes.
//!
//! # What is changed
//! Addresses; ports of TCP, UDP, UDP-Lite, SCTP and DCCP; identifiers of ICMP queries; call ids of PPTP's GRE. IPv4 header
//! checksums and transport checksums follow incrementally (RFC 1624), so that a wrong one stays wrong; a UDP checksum of zero stays
//! zero; of a partial checksum only the pseudo-header's sum changes; SCTP's CRC32c is changed by its difference. Fragments beyond
//! the first have only addresses, and nothing else of theirs is touched: the checksum in the first one covers them.
//!
//! # ICMP errors
//! An error travels against the packet that it quotes (RFC 5508 §4). The quotation gets back the tuple with which that packet
//! arrived here, with its checksums as far as it holds them, and the ICMP checksum follows. Of the outer addresses those are
//! changed that NAT changes for this direction: the destination always becomes whoever sent the quoted packet; a source, which may
//! be any router on the way, is replaced only if its end of the conn is hidden, as netfilter does.

mod patch;
#[cfg(test)]
mod tests;
mod writer;

pub use patch::Patch;

use crate::ChecksumField;
use pinhole_track::Tuple;
use pinhole_wire::checksum::Delta;
use pinhole_wire::{Address, Direction, IpVersion, Packet, Protocol, Transport, checksum::crc32c};
use writer::Writer;

/// The header translation of one conn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    version: IpVersion,
    protocol: Protocol,
    /// What packets of each direction bear when they come and when they leave.
    arrives: [Ends; 2],
    leaves: [Ends; 2],
}

/// Addresses and ports of a packet; for ICMP queries `source_port` is the identifier, for GRE `destination_port` is the call id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Source address.
    pub source: Address,
    /// Destination address.
    pub destination: Address,
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
}

/// Why a packet cannot be translated. It must not be forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum BindingError {
    /// The two tuples cannot be of one conn: IP version or protocol differ.
    #[error("the tuples are not of one kind")]
    Unequal,
    /// The packet's addresses, version or protocol are not those of this binding and direction.
    #[error("the packet is not of this binding")]
    Foreign,
    /// The packet that an ICMP error quotes cannot be read, or is not of this binding.
    #[error("the quoted packet is not of this binding")]
    Quote,
    /// Headers are missing from the frame.
    #[error("the frame lacks headers of the packet")]
    Missing,
}

/// Offsets in transport headers.
const SOURCE_PORT: u32 = 0;
const DESTINATION_PORT: u32 = 2;
const UDP_CHECKSUM: u32 = 6;
const TCP_CHECKSUM: u32 = 16;
const DCCP_CHECKSUM: u32 = 6;
const ICMP_CHECKSUM: u32 = 2;
const ICMP_IDENTIFIER: u32 = 4;
const GRE_CALL_ID: u32 = 6;

impl Binding {
    /// The translation between a conn's tuples as [`pinhole_track`] keeps them.
    ///
    /// # Errors
    /// [`BindingError::Unequal`].
    pub fn new(original: &Tuple, reply: &Tuple) -> Result<Self, BindingError> {
        if (original.version, original.protocol) != (reply.version, reply.protocol) {
            return Err(BindingError::Unequal);
        }
        let arrives = [Ends::of(original), Ends::of(reply)];
        let is_query = matches!(original.protocol, Protocol::ICMP | Protocol::ICMPV6);
        let leaves = [arrives[1].inverse(is_query), arrives[0].inverse(is_query)];
        Ok(Self { version: original.version, protocol: original.protocol, arrives, leaves })
    }

    /// Whether packets leave as they come.
    pub fn is_identity(&self) -> bool {
        self.arrives == self.leaves
    }

    /// What packets of a direction bear when they come.
    pub const fn arrives(&self, direction: Direction) -> &Ends {
        &self.arrives[direction.index()]
    }

    /// What packets of a direction bear when they leave.
    pub const fn leaves(&self, direction: Direction) -> &Ends {
        &self.leaves[direction.index()]
    }

    /// The binding that makes of a packet that leaves the one that came.
    #[must_use]
    pub const fn undone(&self) -> Self {
        Self { arrives: self.leaves, leaves: self.arrives, ..*self }
    }

    /// Translates a packet that travels in `direction` and was parsed from `bytes`: one of the conn's own, or an ICMP error about
    /// one. Fields that were parsed are out of date afterwards; offsets and lengths are not.
    ///
    /// # Errors
    /// See [`BindingError`]; nothing was changed then.
    pub fn translate(
        &self,
        direction: Direction,
        bytes: &mut [u8],
        packet: &Packet,
        checksum: ChecksumField,
    ) -> Result<(), BindingError> {
        if bytes.len() < packet.payload as usize || packet.version != self.version {
            return Err(if packet.version == self.version {
                BindingError::Missing
            } else {
                BindingError::Foreign
            });
        }
        match packet.quoted(bytes) {
            None => self.translate_own(direction, bytes, packet, checksum),
            Some(Ok(quoted)) => self.translate_error(direction, bytes, packet, &quoted, checksum),
            Some(Err(_)) => Err(BindingError::Quote),
        }
    }

    fn translate_own(
        &self,
        direction: Direction,
        bytes: &mut [u8],
        packet: &Packet,
        checksum: ChecksumField,
    ) -> Result<(), BindingError> {
        let arrives = &self.arrives[direction.index()];
        let is_ours = (packet.source, packet.destination) == (arrives.source, arrives.destination);
        if packet.protocol != self.protocol || !is_ours {
            return Err(BindingError::Foreign);
        }
        let mut writer = Writer::new(bytes, packet);
        write_packet(&mut writer, packet, &self.leaves[direction.index()], checksum);
        Ok(())
    }

    fn translate_error(
        &self,
        direction: Direction,
        bytes: &mut [u8],
        packet: &Packet,
        quoted: &Packet,
        checksum: ChecksumField,
    ) -> Result<(), BindingError> {
        let (left, came) =
            (&self.leaves[direction.opposite().index()], &self.arrives[direction.opposite().index()]);
        let is_ours = (quoted.source, quoted.destination) == (left.source, left.destination);
        if (quoted.version, quoted.protocol) != (self.version, self.protocol) || !is_ours {
            return Err(BindingError::Quote);
        }
        let mut writer = Writer::new(bytes, packet);
        // What is quoted was on the wire, so its checksum was complete.
        write_packet(&mut writer, quoted, came, ChecksumField::Full);
        let quotation = std::mem::take(&mut writer.written);

        let index = direction.index();
        let (arrives, leaves) = (&self.arrives[index], &self.leaves[index]);
        let hides_source = arrives.source != leaves.source;
        let source = if hides_source { leaves.source } else { packet.source };
        let pseudo = write_addresses(&mut writer, packet, source, leaves.destination);
        let pseudo = if self.version == IpVersion::V6 { pseudo } else { Delta::NONE };
        match checksum {
            ChecksumField::Full => writer.change(packet.transport_offset + ICMP_CHECKSUM, |field| {
                pseudo.apply(quotation.apply(field))
            }),
            ChecksumField::Partial if self.version == IpVersion::V6 => {
                writer.change(packet.transport_offset + ICMP_CHECKSUM, |field| pseudo.apply_partial(field));
            }
            ChecksumField::Partial => {}
        }
        Ok(())
    }
}

impl Ends {
    const fn of(tuple: &Tuple) -> Self {
        Self {
            source: tuple.source,
            destination: tuple.destination,
            source_port: tuple.source_port,
            destination_port: tuple.destination_port,
        }
    }

    /// As the answer bears it: an ICMP query's identifier stays where it is.
    const fn inverse(&self, is_query: bool) -> Self {
        let (source_port, destination_port) = match is_query {
            true => (self.source_port, self.destination_port),
            false => (self.destination_port, self.source_port),
        };
        Self { source: self.destination, destination: self.source, source_port, destination_port }
    }
}

/// Writes addresses and ports of a packet, its own or a quoted one, and the checksums over them.
fn write_packet(writer: &mut Writer<'_>, packet: &Packet, ends: &Ends, checksum: ChecksumField) {
    let pseudo = write_addresses(writer, packet, ends.source, ends.destination);
    let at = packet.transport_offset;
    let (source, destination) = (ends.source_port, ends.destination_port);
    let ports = |writer: &mut Writer<'_>| {
        let delta = writer.put_u16(at + SOURCE_PORT, source, Delta::NONE);
        writer.put_u16(at + DESTINATION_PORT, destination, delta)
    };
    match &packet.transport {
        Transport::Tcp(_) => {
            let header = ports(writer);
            update(writer, at + TCP_CHECKSUM, checksum, pseudo, header, Delta::apply);
        }
        Transport::Udp(_) => {
            let header = ports(writer);
            update(writer, at + UDP_CHECKSUM, checksum, pseudo, header, Delta::apply_udp);
        }
        Transport::Dccp(_) => {
            let header = ports(writer);
            update(writer, at + DCCP_CHECKSUM, checksum, pseudo, header, Delta::apply);
        }
        Transport::Sctp(_) => write_sctp(writer, packet, [source, destination]),
        Transport::Icmp(_) => {
            let header = writer.put_u16(at + ICMP_IDENTIFIER, source, Delta::NONE);
            // Only version 6 has a pseudo-header (RFC 4443 §2.3).
            let pseudo = if packet.version == IpVersion::V6 { pseudo } else { Delta::NONE };
            update(writer, at + ICMP_CHECKSUM, checksum, pseudo, header, Delta::apply);
        }
        Transport::Gre(gre) if gre.version == 1 => {
            let _ = writer.put_u16(at + GRE_CALL_ID, destination, Delta::NONE);
        }
        _ => {}
    }
}

/// Writes the addresses and the IPv4 header checksum; returns the change to the pseudo-header.
fn write_addresses(writer: &mut Writer<'_>, packet: &Packet, source: Address, destination: Address) -> Delta {
    let at = packet.network;
    match packet.version {
        IpVersion::V4 => {
            const HEADER_CHECKSUM: u32 = 10;
            let delta = writer.put_u32(at + 12, u32::from_be_bytes(source.v4_octets()), Delta::NONE);
            let delta = writer.put_u32(at + 16, u32::from_be_bytes(destination.v4_octets()), delta);
            writer.change(at + HEADER_CHECKSUM, |field| delta.apply(field));
            delta
        }
        IpVersion::V6 => {
            let delta = writer.put(at + 8, &source.0, Delta::NONE);
            writer.put(at + 24, &destination.0, delta)
        }
    }
}

fn update(
    writer: &mut Writer<'_>,
    at: u32,
    checksum: ChecksumField,
    pseudo: Delta,
    header: Delta,
    apply: fn(Delta, u16) -> u16,
) {
    writer.change(at, |field| match checksum {
        ChecksumField::Full => apply(header, apply(pseudo, field)),
        ChecksumField::Partial => pseudo.apply_partial(field),
    });
}

/// The CRC of two messages of one length differs by what differs in the messages, so a wrong one stays wrong (RFC 9260 §6.8). Of a
/// message that is not all there it cannot be had, and stays.
fn write_sctp(writer: &mut Writer<'_>, packet: &Packet, [source, destination]: [u16; 2]) {
    let at = packet.transport_offset;
    let is_whole = packet.missing == 0 && packet.fragment.is_none_or(|fragment| fragment.is_atomic());
    let sum = |writer: &Writer<'_>| {
        let (header, rest) = writer.bytes(at, packet.end)?.split_first_chunk::<8>()?;
        let (field, chunks) = rest.split_first_chunk::<4>()?;
        is_whole.then(|| (crc32c(&[header, &[0; 4], chunks]), u32::from_le_bytes(*field)))
    };
    let old = sum(writer);
    let _ = writer.put_u16(at + SOURCE_PORT, source, Delta::NONE);
    let _ = writer.put_u16(at + DESTINATION_PORT, destination, Delta::NONE);
    if let (Some((old, field)), Some((new, _))) = (old, sum(writer)) {
        let _ = writer.put(at + 8, &(field ^ old ^ new).to_le_bytes(), Delta::NONE);
    }
}
