//! Traffic between a few hosts: mostly conns that follow their protocols, with whatever else the input says in between.
//!
//! An input is a sequence of steps: a byte that says what comes, and its fields. A step's low three bits choose it:
//! 0 any frame (link type, two bytes of length, the frame); 1 to 3 a TCP segment (which flow and way, flags, sequence tweak, length, payload);
//! 4 a UDP datagram (which flow and way, length, payload); 5 an ICMP message (type, code; errors quote the latest datagram);
//! 6 any upper layer (protocol, length, message); 7 a fragment (protocol, offset, length, data). Bits 3 to 7 are the pause before it.

use crate::conversation::host;
use crate::datagrams::{Part, Segment, fragment, icmp, ip, tcp, udp};
use crate::reader::Fields;
use crate::timed::link;
use pinhole_wire::{Direction, LinkType, Protocol, TcpFlags, Time};
use std::net::SocketAddr;

/// The client's and the server's port of each flow; the first and the third are IPv4, the others IPv6. Two are control conns, the others
/// the conns that they usually announce.
const FLOWS: [(u16, u16); 8] = [
    (40_000, 21),
    (40_000, 21),
    (40_001, 6667),
    (40_001, 6667),
    (40_002, 50_000),
    (40_002, 50_000),
    (50_000, 20),
    (50_000, 20),
];

/// Appends a TCP segment in order as [`Traffic`] reads it, a few milliseconds after what is before it. At most 255 bytes of payload.
pub fn append(input: &mut Vec<u8>, flow: u8, from: Direction, flags: TcpFlags, payload: &[u8]) {
    let payload = payload.get(..255).unwrap_or(payload);
    input.extend([2 << 3 | 1, flow | (from.index() as u8) << 3, flags.bits(), 0, payload.len() as u8]);
    input.extend(payload);
}

/// A frame that comes in.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// When.
    pub time: Time,
    /// What it starts with.
    pub link: LinkType,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// The steps of an input.
pub struct Traffic<'a> {
    fields: Fields<'a>,
    time: Time,
    /// Next sequence number of each flow's two ends.
    next: [[u32; 2]; FLOWS.len()],
    latest: Vec<u8>,
}

impl<'a> Traffic<'a> {
    /// Reads an input.
    pub fn new(input: &'a [u8]) -> Self {
        Self {
            fields: Fields(input),
            time: Time::from_seconds(1_000_000),
            next: [[u32::MAX - 50, 1_000]; FLOWS.len()],
            latest: Vec::new(),
        }
    }

    fn any_frame(&mut self) -> Option<(LinkType, Vec<u8>)> {
        let link = link(self.fields.byte()?);
        let length = self.fields.word()?;
        Some((link, self.fields.bytes(usize::from(length)).to_vec()))
    }

    /// The flow, its ends in the order of the packet, and which end sends.
    fn flow(&mut self) -> Option<(usize, SocketAddr, SocketAddr, usize)> {
        let select = self.fields.byte()?;
        let flow = usize::from(select & 7);
        let (client, server) = FLOWS[flow];
        let six = flow & 1 != 0;
        let client = SocketAddr::new(host(six, 1), client);
        let server = SocketAddr::new(host(six, 2), server);
        match select & 8 {
            0 => Some((flow, client, server, 0)),
            _ => Some((flow, server, client, 1)),
        }
    }

    fn tcp(&mut self) -> Option<Vec<u8>> {
        let (flow, source, destination, way) = self.flow()?;
        let flags = TcpFlags::from_bits_retain(self.fields.byte()?);
        let tweak = self.fields.byte()?.cast_signed();
        let length = usize::from(self.fields.byte()?);
        let payload = self.fields.bytes(length);
        let sequence = self.next[flow][way].wrapping_add_signed(i32::from(tweak) * i32::from(tweak).abs());
        let acknowledgement = if flags.contains(TcpFlags::ACK) { self.next[flow][1 - way] } else { 0 };
        if tweak == 0 {
            let numbered = flags.contains(TcpFlags::SYN) as u32 + flags.contains(TcpFlags::FIN) as u32;
            self.next[flow][way] = sequence.wrapping_add(payload.len() as u32 + numbered);
        }
        let segment = Segment { sequence, acknowledgement, flags, window: 8_192, payload };
        Some(tcp(source, destination, segment))
    }

    fn udp(&mut self) -> Option<Vec<u8>> {
        let (_, source, destination, _) = self.flow()?;
        let length = usize::from(self.fields.byte()?);
        Some(udp(source, destination, self.fields.bytes(length)))
    }

    fn icmp(&mut self) -> Option<Vec<u8>> {
        let six = self.latest.first().is_some_and(|first| first >> 4 == 6);
        let kind = self.fields.byte()?;
        let code = self.fields.byte()?;
        let way = code & 0x80 != 0;
        let (from, to) = if way { (host(six, 1), host(six, 2)) } else { (host(six, 2), host(six, 1)) };
        let quotation = self.latest.get(..self.latest.len().min(128)).unwrap_or_default();
        Some(icmp(from, to, kind, code & 0x7f, [0, 7, 0, 1], quotation))
    }

    fn any_protocol(&mut self) -> Option<Vec<u8>> {
        let protocol = Protocol(self.fields.byte()?);
        let length = self.fields.byte()?;
        let six = length & 1 != 0;
        let message = self.fields.bytes(usize::from(length));
        Some(ip(host(six, 1), host(six, 2), protocol, message))
    }

    fn fragment(&mut self) -> Option<Vec<u8>> {
        let protocol = Protocol(self.fields.byte()?);
        let offset = self.fields.byte()?;
        let length = self.fields.byte()?;
        let six = offset & 1 != 0;
        let part = Part { identification: 1, offset: u16::from(offset >> 2), more: offset & 2 != 0 };
        Some(fragment(host(six, 1), host(six, 2), protocol, part, self.fields.bytes(usize::from(length))))
    }
}

impl Iterator for Traffic<'_> {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        let step = self.fields.byte()?;
        self.time = self.time.plus_nanos(pause(step >> 3));
        let (link, bytes) = match step & 7 {
            0 => self.any_frame()?,
            1..=3 => (LinkType::RAW, self.tcp()?),
            4 => (LinkType::RAW, self.udp()?),
            5 => (LinkType::RAW, self.icmp()?),
            6 => (LinkType::RAW, self.any_protocol()?),
            _ => (LinkType::RAW, self.fragment()?),
        };
        if link == LinkType::RAW {
            self.latest.clone_from(&bytes);
        }
        Some(Arrival { time: self.time, link, bytes })
    }
}

/// Nothing to a day and a half, in nanoseconds.
fn pause(number: u8) -> u64 {
    match number {
        0..16 => u64::from(number) * 1_000_000,
        _ => 1_000_000_000 << (number - 15),
    }
}
