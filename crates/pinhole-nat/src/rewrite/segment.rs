//! TCP segments: numbers of both directions, replaced bytes, further segments.

use super::edits::EditedStream;
use super::length::{longest_payload, write_length};
use super::{Edit, RewriteError};
use crate::ChecksumField;
use crate::adjust::{LedgerError, translate_sack, translate_sack_to_edited};
use crate::checksum::update_field;
use pinhole_wire::checksum::{Delta, Sum};
use pinhole_wire::{Direction, Packet, Tcp, TcpFlags, Transport};
use serde::{Deserialize, Serialize};

/// Largest TCP header (RFC 9293 §3.1).
const LARGEST_HEADER: usize = 60;
const FIXED_HEADER: usize = 20;
const SEQUENCE: usize = 4;
const ACKNOWLEDGEMENT: usize = 8;
const FLAGS: usize = 13;
const CHECKSUM: usize = 16;
const URGENT: usize = 18;

/// Both directions of one TCP conn whose payload may be edited.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Conversation {
    streams: [EditedStream; 2],
    /// Edited payload of the segment at hand.
    #[serde(skip)]
    scratch: Vec<u8>,
}

/// What [`Conversation::translate`] made of a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Emitted {
    /// Its headers or payload were changed: offsets and fields that were parsed before are out of date.
    pub changed: bool,
    /// Length of each further frame but the last; zero if there is none. They stand one after the other in `further`, so
    /// `further.chunks(further_length)` takes them apart.
    pub further_length: usize,
}

impl Conversation {
    /// One direction.
    pub const fn stream(&self, from: Direction) -> &EditedStream {
        &self.streams[from.index()]
    }

    /// Whether a conversation can come to be like this, of one that was read from a file.
    pub fn is_sound(&self) -> bool {
        self.streams.iter().all(EditedStream::is_sound)
    }

    /// A direction whose SYN was not seen is picked up: its stream's offset 0 is `next`. [`translate`](Self::translate) does this
    /// for the first SYN. Ignored once an edit was entered.
    pub fn open(&mut self, from: Direction, next: u32) {
        self.streams[from.index()].open(next);
    }

    /// Enters an edit of bytes from direction `from` that were not forwarded yet.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub fn edit(&mut self, from: Direction, edit: &Edit<'_>) -> Result<(), LedgerError> {
        self.streams[from.index()].enter(edit)
    }

    /// Whether a segment's data lies beyond a gap in what was forwarded.
    pub fn is_ahead(&self, from: Direction, tcp: &Tcp) -> bool {
        tcp.payload_length > 0 && self.streams[from.index()].is_ahead(data_start(tcp))
    }

    /// Puts the acknowledgement and the SACK blocks of a segment from `from` into the numbers of who they are for, in `bytes` and in the
    /// `packet` that was parsed from them: for those who judge a segment by what its receiver has sent. Checksums do not follow.
    pub fn receive(&self, from: Direction, bytes: &mut [u8], packet: &mut Packet) {
        let other = self.streams[from.opposite().index()].ledger();
        let (start, end) = (packet.transport_offset as usize, packet.payload as usize);
        let Transport::Tcp(tcp) = &mut packet.transport else { return };
        if !tcp.flags.contains(TcpFlags::ACK) || other.is_identity() {
            return;
        }
        tcp.acknowledgement = other.original(tcp.acknowledgement);
        let header = bytes.get_mut(start..end).unwrap_or_default();
        if let Some(field) = header.get_mut(ACKNOWLEDGEMENT..).and_then(<[u8]>::first_chunk_mut) {
            *field = tcp.acknowledgement.to_be_bytes();
        }
        translate_sack(header.get_mut(FIXED_HEADER..).unwrap_or_default(), other);
    }

    /// As [`receive`](Self::receive) undone: a segment from `from` whose numbers are those of its receiver gets the ones with which it came. For
    /// captures of one side. The TCP checksum follows.
    pub fn restore(&self, from: Direction, bytes: &mut [u8], packet: &Packet) {
        let Transport::Tcp(tcp) = &packet.transport else { return };
        let own = self.streams[from.index()].ledger();
        let other = self.streams[from.opposite().index()].ledger();
        let Some(mut headers) = Headers::read(bytes, packet) else { return };
        headers.put_u32(SEQUENCE, own.original(tcp.sequence));
        if tcp.flags.contains(TcpFlags::ACK) {
            headers.put_u32(ACKNOWLEDGEMENT, other.edited(tcp.acknowledgement));
            let options = headers.new.get_mut(FIXED_HEADER..headers.length).unwrap_or_default();
            translate_sack_to_edited(options, other);
        }
        headers.write_alone(bytes, packet, ChecksumField::Full);
    }

    /// Gives the sequence number of the segment that the ICMP error `packet` quotes, which travelled in direction `from`, back to its
    /// sender's count. The ICMP checksum follows; the quoted one does not, for the rest of what it covers need not be there.
    pub fn restore_quoted(&self, from: Direction, bytes: &mut [u8], packet: &Packet, quoted: &Packet) {
        const ICMP_CHECKSUM: usize = 2;
        let Transport::Tcp(tcp) = &quoted.transport else { return };
        let number = self.streams[from.index()].ledger().original(tcp.sequence);
        let header = bytes.get_mut(quoted.transport_offset as usize..).unwrap_or_default();
        let delta = write_number(header, SEQUENCE, number, Delta::NONE);
        let message = bytes.get_mut(packet.transport_offset as usize..).unwrap_or_default();
        update_field(message, ICMP_CHECKSUM, |field| delta.apply(field));
    }

    /// Changes one segment, which `packet` was parsed from, into what the receiver is to get, and takes note of what it sends and
    /// acknowledges. `frame` keeps the first `longest` bytes of payload at most (the conn's maximum segment size, or what a
    /// superframe may carry; at least one), further segments are put into `further`, which is cleared first.
    ///
    /// The segment must have passed whatever checks the caller makes (window, checksum). Nothing but its TCP header is changed as
    /// long as no byte that was edited is concerned.
    ///
    /// # Errors
    /// See [`RewriteError`]; the frame is unchanged then.
    pub fn translate(
        &mut self,
        from: Direction,
        frame: &mut Vec<u8>,
        packet: &Packet,
        checksum: ChecksumField,
        longest: usize,
        further: &mut Vec<u8>,
    ) -> Result<Emitted, RewriteError> {
        further.clear();
        let Transport::Tcp(tcp) = &packet.transport else { return Err(RewriteError::NotWhole) };
        if packet.fragment.is_some_and(|fragment| !fragment.is_atomic()) {
            return Err(RewriteError::NotWhole);
        }
        let [original, reply] = &mut self.streams;
        let (own, other) = match from {
            Direction::Original => (original, reply),
            Direction::Reply => (reply, original),
        };
        let start = data_start(tcp);
        // Trackers let a SYN pass in the middle of a conn, for its receiver to challenge (RFC 5961 §4): it moves nothing.
        if tcp.flags.contains(TcpFlags::SYN) && !own.ledger().is_open() {
            own.open(start);
        }
        let data_end = start.wrapping_add(tcp.payload_length);
        let end = data_end.wrapping_add(u32::from(tcp.flags.contains(TcpFlags::FIN)));

        let touched = own.touches(start, end);
        if touched && (packet.missing != 0 || frame.len() < packet.end as usize) {
            return Err(RewriteError::Missing);
        }
        let mut numbers = Numbers::of(tcp, own, other);
        if touched {
            self.scratch.clear();
            let payload = packet.payload_bytes(frame);
            numbers.sequence = own.assemble(start, end, payload, &mut self.scratch);
        }
        if tcp.flags.contains(TcpFlags::ACK) {
            other.ledger_mut().acknowledge(tcp.acknowledgement);
        }
        // A pure acknowledgement brings nothing, wherever its number may lie.
        if start != end {
            own.ledger_mut().forwarded(end);
        }
        if !touched && own.ledger().is_identity() && other.ledger().is_identity() {
            return Ok(Emitted::default());
        }

        let Some(mut headers) = Headers::read(frame, packet) else { return Err(RewriteError::Missing) };
        headers.write_numbers(tcp, &numbers, other);
        if !touched {
            let changed = headers.write_alone(frame, packet, checksum);
            return Ok(Emitted { changed, further_length: 0 });
        }
        let longest = longest.clamp(1, longest_payload(packet).max(1));
        let further_length = headers.emit(frame, packet, checksum, longest, &self.scratch, further);
        Ok(Emitted { changed: true, further_length })
    }
}

/// Writes a sequence number and collects the change.
fn write_number(header: &mut [u8], at: usize, new: u32, delta: Delta) -> Delta {
    let Some(field) = header.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<4>) else { return delta };
    let old = u32::from_be_bytes(*field);
    *field = new.to_be_bytes();
    delta.replace_u32(old, new)
}

/// Number of the first byte of data: a SYN has one of its own.
const fn data_start(tcp: &Tcp) -> u32 {
    tcp.sequence.wrapping_add(tcp.flags.contains(TcpFlags::SYN) as u32)
}

/// The numbers that a translated segment has.
struct Numbers {
    sequence: u32,
    acknowledgement: u32,
    urgent: u16,
}

impl Numbers {
    fn of(tcp: &Tcp, own: &EditedStream, other: &EditedStream) -> Self {
        let sequence = own.ledger().edited(tcp.sequence);
        let acknowledgement = match tcp.flags.contains(TcpFlags::ACK) {
            true => other.ledger().original(tcp.acknowledgement),
            false => tcp.acknowledgement,
        };
        let urgent = match tcp.flags.contains(TcpFlags::URG) {
            true => {
                let place = own.ledger().edited_ceiling(tcp.sequence.wrapping_add(u32::from(tcp.urgent)));
                u16::try_from(place.wrapping_sub(sequence)).unwrap_or(u16::MAX)
            }
            false => tcp.urgent,
        };
        Self { sequence, acknowledgement, urgent }
    }
}

/// The TCP header as it came and as it shall be.
struct Headers {
    old: [u8; LARGEST_HEADER],
    new: [u8; LARGEST_HEADER],
    length: usize,
}

impl Headers {
    fn read(frame: &[u8], packet: &Packet) -> Option<Self> {
        let header = frame.get(packet.transport_offset as usize..packet.payload as usize)?;
        let mut old = [0; LARGEST_HEADER];
        old.get_mut(..header.len())?.copy_from_slice(header);
        (header.len() >= FIXED_HEADER).then_some(Self { old, new: old, length: header.len() })
    }

    fn write_numbers(&mut self, tcp: &Tcp, numbers: &Numbers, other: &EditedStream) {
        self.put_u32(SEQUENCE, numbers.sequence);
        self.put_u32(ACKNOWLEDGEMENT, numbers.acknowledgement);
        self.put_u16(URGENT, numbers.urgent);
        if tcp.flags.contains(TcpFlags::ACK) && !other.ledger().is_identity() {
            let options = self.new.get_mut(FIXED_HEADER..self.length).unwrap_or_default();
            translate_sack(options, other.ledger());
        }
    }

    fn put_u32(&mut self, at: usize, value: u32) {
        if let Some(field) = self.new.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
            *field = value.to_be_bytes();
        }
    }

    fn put_u16(&mut self, at: usize, value: u16) {
        if let Some(field) = self.new.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
            *field = value.to_be_bytes();
        }
    }

    fn new_bytes(&self) -> &[u8] {
        self.new.get(..self.length).unwrap_or_default()
    }

    /// The change from the old header to the new one, whose checksum fields are the same.
    fn delta(&self) -> Delta {
        Delta::NONE.replace_bytes(0, self.old.get(..self.length).unwrap_or_default(), self.new_bytes())
    }

    /// Writes the header over a payload that does not change; returns whether anything did.
    fn write_alone(&self, frame: &mut [u8], packet: &Packet, checksum: ChecksumField) -> bool {
        if self.old == self.new {
            return false;
        }
        let place = packet.transport_offset as usize;
        if let Some(header) = frame.get_mut(place..place + self.length) {
            header.copy_from_slice(self.new_bytes());
            if checksum == ChecksumField::Full {
                let delta = self.delta();
                update_field(header, CHECKSUM, |field| delta.apply(field));
            }
        }
        true
    }

    /// Puts headers and `payload` into `frame` and, beyond `longest` bytes, into `further`. Returns the length of each further
    /// frame but the last, or zero.
    fn emit(
        mut self,
        frame: &mut Vec<u8>,
        packet: &Packet,
        checksum: ChecksumField,
        longest: usize,
        payload: &[u8],
        further: &mut Vec<u8>,
    ) -> usize {
        let whole = Message { old_payload: Sum::of(packet.payload_bytes(frame)), packet, checksum };
        let headers = packet.payload as usize;
        let flags = TcpFlags::from_bits_retain(self.new[FLAGS]);
        let sequence = u32::from_be_bytes([self.new[4], self.new[5], self.new[6], self.new[7]]);
        let urgent = u16::from_be_bytes([self.new[URGENT], self.new[URGENT + 1]]);
        let (first, rest) = payload.split_at_checked(longest).unwrap_or((payload, &[]));

        for (index, part) in rest.chunks(longest).enumerate() {
            let before = longest * (index + 1);
            let mut part_flags = flags.difference(TcpFlags::CWR);
            if before + part.len() < payload.len() {
                part_flags.remove(TcpFlags::FIN | TcpFlags::PSH);
            }
            let part_urgent = usize::from(urgent).checked_sub(before).filter(|&left| left > 0);
            if part_urgent.is_none() {
                part_flags.remove(TcpFlags::URG);
            }
            self.put_u32(SEQUENCE, sequence.wrapping_add(before as u32));
            self.put_u16(URGENT, part_urgent.unwrap_or_default() as u16);
            self.new[FLAGS] = part_flags.bits();
            let begins = further.len();
            further.extend_from_slice(frame.get(..headers).unwrap_or_default());
            further.extend_from_slice(part);
            let made = further.get_mut(begins..).unwrap_or_default();
            whole.finish(made, &self, index as u16 + 1);
        }

        self.put_u32(SEQUENCE, sequence);
        self.put_u16(URGENT, urgent);
        let last = if rest.is_empty() { TcpFlags::empty() } else { TcpFlags::FIN | TcpFlags::PSH };
        self.new[FLAGS] = flags.difference(last).bits();
        frame.truncate(headers);
        frame.extend_from_slice(first);
        whole.finish(frame, &self, 0);
        if rest.is_empty() { 0 } else { headers + longest.min(rest.len()) }
    }
}

/// The segment as it came.
struct Message<'a> {
    old_payload: Sum,
    packet: &'a Packet,
    checksum: ChecksumField,
}

impl Message<'_> {
    /// Completes a frame that consists of the old headers and a new payload.
    fn finish(&self, frame: &mut [u8], headers: &Headers, number: u16) {
        let packet = self.packet;
        write_length(frame, packet, number);
        let Some(message) = frame.get_mut(packet.transport_offset as usize..) else { return };
        let old_length = packet.transport_length();
        let new_length = message.len() as u32;
        let Some((header, payload)) = message.split_at_mut_checked(headers.length) else { return };
        header.copy_from_slice(headers.new_bytes());
        let pseudo = Delta::NONE.replace_u32(old_length, new_length);
        match self.checksum {
            ChecksumField::Full => {
                let payload = Delta::NONE.replace_u16(self.old_payload.fold(), Sum::of(payload).fold());
                update_field(header, CHECKSUM, |field| {
                    headers.delta().apply(payload.apply(pseudo.apply(field)))
                });
            }
            ChecksumField::Partial => {
                // Some systems leave the length of a superframe out of the sum.
                let sum = |length| {
                    Sum::pseudo_header(
                        packet.version,
                        packet.source,
                        packet.destination,
                        packet.protocol,
                        length,
                    )
                };
                let without_length = sum(0).fold();
                update_field(header, CHECKSUM, |field| {
                    if field == without_length { field } else { pseudo.apply_partial(field) }
                });
            }
        }
    }
}
