//! One end of the conn: a small TCP, and an FTP client or server on top of it.

use crate::OUTER;
use crate::support::conversation::Dice;
use etherparse::{PacketBuilder, TcpHeader, TcpOptionElement};
use pinhole_wire::checksum::{Checksum, verify_transport};
use pinhole_wire::{Packet, TcpFlags, Transport};
use std::net::{IpAddr, SocketAddr};

/// Segments that an end sends before it looks what came of them.
const BURST: usize = 2;

/// A TCP segment.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) sequence: u32,
    acknowledgement: u32,
    flags: TcpFlags,
    sack: Option<(u32, u32)>,
    payload: Vec<u8>,
}

impl Segment {
    pub(crate) fn datagram(&self, source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
        let mut header = TcpHeader::new(source.port(), destination.port(), self.sequence, 5000);
        header.acknowledgment_number = self.acknowledgement;
        header.syn = self.flags.contains(TcpFlags::SYN);
        header.ack = self.flags.contains(TcpFlags::ACK);
        header.rst = self.flags.contains(TcpFlags::RST);
        if header.syn {
            header.set_options(&[TcpOptionElement::SelectiveAcknowledgementPermitted]).unwrap();
        }
        if let Some(block) = self.sack {
            header.set_options(&[TcpOptionElement::SelectiveAcknowledgement(block, [None; 3])]).unwrap();
        }
        let (IpAddr::V4(from), IpAddr::V4(to)) = (source.ip(), destination.ip()) else { panic!() };
        let mut bytes = Vec::new();
        let builder = PacketBuilder::ipv4(from.octets(), to.octets(), 64).tcp_header(header);
        builder.write(&mut bytes, &self.payload).unwrap();
        bytes
    }

    /// Whose it is now, and what it holds. Its checksums are right.
    pub(crate) fn read(bytes: &[u8], own: &[SocketAddr; 2]) -> (usize, Self) {
        let packet = Packet::parse(bytes, 0).unwrap();
        assert_eq!(verify_transport(&packet, bytes), Checksum::Good);
        assert_eq!(packet.end as usize, bytes.len());
        let Transport::Tcp(tcp) = &packet.transport else { panic!() };
        let to = SocketAddr::new(packet.destination.ip(packet.version), tcp.destination_port);
        let sack =
            tcp.options(bytes, &packet).flat_map(|option| option.sack_blocks().collect::<Vec<_>>()).next();
        let segment = Self {
            sequence: tcp.sequence,
            acknowledgement: tcp.acknowledgement,
            flags: tcp.flags,
            sack,
            payload: packet.payload_bytes(bytes).to_vec(),
        };
        (own.iter().position(|end| *end == to).unwrap(), segment)
    }
}

/// The segments that open a conn, and who sends them.
pub(crate) fn handshake(initial: [u32; 2]) -> [(usize, Segment); 3] {
    let next = initial.map(|number| number.wrapping_add(1));
    let segment = |sequence, acknowledgement, flags| Segment {
        sequence,
        acknowledgement,
        flags,
        sack: None,
        payload: Vec::new(),
    };
    [
        (0, segment(initial[0], 0, TcpFlags::SYN)),
        (1, segment(initial[1], next[0], TcpFlags::SYN | TcpFlags::ACK)),
        (0, segment(next[0], next[1], TcpFlags::ACK)),
    ]
}

#[derive(Debug)]
pub(crate) struct End {
    /// Number of the first byte of each stream, as this end counts.
    first: u32,
    peer_first: u32,
    /// Its address as it writes it into announcements.
    address: String,
    /// What it says, and what its peer is to read of that.
    said: Vec<u8>,
    meant: Vec<u8>,
    /// Where texts were replaced: first and last offset in `said`, and how much longer they got.
    edits: Vec<(usize, usize, isize)>,
    acknowledged: usize,
    sent: usize,
    /// Of the peer's stream: what has come, by offset.
    received: Vec<Option<u8>>,
    /// Lines that were answered.
    answered: usize,
    pub(crate) lost_oldest: bool,
}

impl End {
    pub(crate) fn new(initial: u32, peer_initial: u32, address: &str) -> Self {
        Self {
            first: initial.wrapping_add(1),
            peer_first: peer_initial.wrapping_add(1),
            address: address.replace('.', ","),
            said: Vec::new(),
            meant: Vec::new(),
            edits: Vec::new(),
            acknowledged: 0,
            sent: 0,
            received: Vec::new(),
            answered: 0,
            lost_oldest: false,
        }
    }

    /// The client's next line.
    pub(crate) fn command(&mut self, dice: &mut Dice, number: u8) {
        match dice.below(4) {
            0 | 1 => self.announce("PORT ", &format!(",100,{number}"), "\r\n"),
            2 => self.say("PASV\r\n"),
            _ => self.say(&format!("NOOP {}\r\n", "x".repeat(dice.below(40)))),
        }
    }

    /// The server answers what it has read.
    pub(crate) fn answer(&mut self, dice: &mut Dice) {
        let text: Vec<u8> = self.received.iter().map_while(|byte| *byte).collect();
        if self.said.is_empty() {
            self.say("220 ready\r\n");
        }
        let lines: Vec<&[u8]> =
            text.split_inclusive(|byte| *byte == b'\n').filter(|l| l.ends_with(b"\n")).collect();
        for (number, line) in lines.iter().enumerate().skip(self.answered) {
            if dice.one_in(3) {
                return;
            }
            self.answered += 1;
            match line {
                [b'P', b'A', ..] => self.announce("227 Passive (", &format!(",200,{number}"), ").\r\n"),
                _ => self.say("200 ok\r\n"),
            }
        }
    }

    /// The server's greeting is here.
    pub(crate) fn is_greeted(&self) -> bool {
        self.received.iter().map_while(|byte| *byte).any(|byte| byte == b'\n')
    }

    fn say(&mut self, text: &str) {
        self.said.extend(text.as_bytes());
        self.meant.extend(text.as_bytes());
    }

    fn announce(&mut self, before: &str, port: &str, after: &str) {
        self.say(before);
        let outer = OUTER.replace('.', ",");
        let start = self.said.len();
        self.said.extend(format!("{}{port}", self.address).as_bytes());
        self.meant.extend(format!("{outer}{port}").as_bytes());
        self.edits.push((start, self.said.len(), outer.len() as isize - self.address.len() as isize));
        self.say(after);
    }

    /// The next segments: what is not acknowledged, cut anew, or a bare acknowledgement.
    pub(crate) fn burst(&mut self, dice: &mut Dice, longest: usize, nagle: bool) -> Vec<Segment> {
        let mut segments = Vec::new();
        let mut at = self.acknowledged;
        while segments.len() < BURST && at < self.said.len() {
            let rest = self.said.len() - at;
            let is_new = at >= self.sent;
            let length = if nagle { rest.min(longest) } else { rest.min(1 + dice.below(longest)) };
            // Nagle: less than a whole segment waits until all is acknowledged. What is written comes in two pieces.
            let length = if nagle && is_new && length < longest {
                if self.acknowledged < self.sent || !segments.is_empty() {
                    break;
                }
                1 + dice.below(length)
            } else if nagle && !is_new {
                length.min(self.sent - at)
            } else {
                length
            };
            let payload = self.said[at..at + length].to_vec();
            segments.push(self.segment(at, TcpFlags::ACK | TcpFlags::PSH, payload));
            at += length;
            self.sent = self.sent.max(at);
        }
        if segments.is_empty() && dice.one_in(2) {
            // An acknowledgement, or a keep-alive: the number before the next (RFC 9293 §3.8.4).
            let mut segment = self.segment(self.sent, TcpFlags::ACK, Vec::new());
            if self.acknowledged == self.sent && self.sent > 0 && dice.one_in(3) {
                segment.sequence = segment.sequence.wrapping_sub(1);
            }
            segments.push(segment);
        }
        segments
    }

    pub(crate) fn reset(&self) -> Segment {
        self.segment(self.sent, TcpFlags::RST | TcpFlags::ACK, Vec::new())
    }

    fn segment(&self, at: usize, flags: TcpFlags, payload: Vec<u8>) -> Segment {
        let number = |offset: usize| self.peer_first.wrapping_add(offset as u32);
        let next = self.next();
        let beyond = (next..self.received.len()).find(|at| self.received[*at].is_some());
        let sack = beyond.map(|start| {
            let end = (start..self.received.len()).find(|at| self.received[*at].is_none());
            (number(start), number(end.unwrap_or(self.received.len())))
        });
        Segment {
            sequence: self.first.wrapping_add(at as u32),
            acknowledgement: number(next),
            flags,
            sack,
            payload,
        }
    }

    /// Bytes of the peer's stream that are here without a gap.
    fn next(&self) -> usize {
        self.received.iter().position(Option::is_none).unwrap_or(self.received.len())
    }

    /// Number of the next byte that it waits for.
    pub(crate) fn waits_for(&self) -> u32 {
        self.peer_first.wrapping_add(self.next() as u32)
    }

    /// All that it said was acknowledged, and is what its peer has read.
    pub(crate) fn is_done(&self, peer: &Self) -> bool {
        let is_answered =
            peer.answered == 0 || peer.answered == self.said.iter().filter(|b| **b == b'\n').count();
        self.acknowledged == self.said.len() && peer.next() == self.meant.len() && is_answered
    }

    /// Takes a segment of its peer that the engine let through.
    pub(crate) fn receive(&mut self, seed: u64, segment: &Segment, peer: &Self) {
        let offset = segment.sequence.wrapping_sub(self.peer_first).cast_signed();
        for (index, byte) in segment.payload.iter().enumerate() {
            let at = usize::try_from(offset).unwrap() + index;
            let meant = peer.meant.get(at);
            assert_eq!(meant, Some(byte), "seed {seed}: byte {at} of {}", peer.meant.escape_ascii());
            if self.received.len() <= at {
                self.received.resize(at + 1, None);
            }
            self.received[at] = Some(*byte);
        }
        let acknowledged = self.offset(segment.acknowledgement);
        assert!(acknowledged <= self.sent, "seed {seed}: {acknowledged} of {} sent", self.sent);
        if acknowledged > self.acknowledged {
            assert!(self.needed(acknowledged) <= peer.next(), "seed {seed}: acknowledged, and not there");
            self.acknowledged = acknowledged;
        }
        if let Some((left, right)) = segment.sack {
            let (left, right) = (self.offset(left), self.offset(right));
            assert!(left < right && right <= self.sent, "seed {seed}: {left} to {right} of {}", self.sent);
        }
    }

    /// The engine acknowledged what it holds.
    pub(crate) fn acknowledged_by_engine(&mut self, segment: &Segment) {
        let acknowledged = self.offset(segment.acknowledgement);
        assert!(acknowledged <= self.sent);
        self.acknowledged = self.acknowledged.max(acknowledged);
    }

    fn offset(&self, number: u32) -> usize {
        usize::try_from(number.wrapping_sub(self.first).cast_signed()).unwrap()
    }

    /// How much of what is meant stands for all before this offset of what was said.
    fn needed(&self, offset: usize) -> usize {
        let grown: isize = self.edits.iter().filter(|edit| edit.1 <= offset).map(|edit| edit.2).sum();
        let within = self.edits.iter().find(|edit| edit.0 < offset && offset < edit.1);
        assert!(within.is_none(), "{offset} lies within a text that was replaced: {within:?}");
        offset.checked_add_signed(grown).unwrap()
    }
}
