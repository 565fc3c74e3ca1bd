//! A small harness: runs a transcript of two directions through a [`Reader`], cut into segments in many ways.

use pinhole_helper::{Action, Helper, Master, Pickup, Policy, Reader};
use pinhole_wire::{Direction, IpVersion, Protocol, Tcp, TcpFlags, Time};
use std::net::SocketAddr;

/// One utterance.
pub(crate) type Said<'a> = (Direction, &'a [u8]);

/// What a host would record of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Noted {
    pub(crate) from: Direction,
    pub(crate) action: Action,
    pub(crate) quote: Vec<u8>,
}

/// A conn between a client and a server, with both initial sequence numbers near the wrap.
pub(crate) struct Wire {
    pub(crate) reader: Reader,
    pub(crate) noted: Vec<Noted>,
    sent: [u32; 2],
    clock: u64,
}

const INITIAL: [u32; 2] = [u32::MAX - 20, u32::MAX - 300];

impl Wire {
    /// A conn whose handshake was seen.
    pub(crate) fn open(helper: &dyn Helper, client: &str, server: &str) -> Self {
        let mut wire = Self::mid_stream(helper, client, server, Pickup::Strict);
        wire.flags(Direction::Original, TcpFlags::SYN, 0);
        wire.flags(Direction::Reply, TcpFlags::SYN | TcpFlags::ACK, 0);
        wire
    }

    /// A conn that is picked up in mid-stream.
    pub(crate) fn mid_stream(helper: &dyn Helper, client: &str, server: &str, pickup: Pickup) -> Self {
        let reader = Reader::new(helper, master(client, server), Policy::default(), pickup);
        Self { reader, noted: Vec::new(), sent: [0; 2], clock: 0 }
    }

    /// Sends the next bytes of a direction in one segment that acknowledges all that the other side has sent.
    pub(crate) fn say(&mut self, from: Direction, bytes: &[u8]) -> Vec<Noted> {
        let at = self.sent[from.index()];
        self.sent[from.index()] += bytes.len() as u32;
        self.at(from, at, bytes)
    }

    /// Sends bytes at a stream offset.
    pub(crate) fn at(&mut self, from: Direction, offset: u32, bytes: &[u8]) -> Vec<Noted> {
        let sequence = INITIAL[from.index()].wrapping_add(1).wrapping_add(offset);
        self.segment(from, sequence, TcpFlags::ACK | TcpFlags::PSH, bytes)
    }

    fn flags(&mut self, from: Direction, flags: TcpFlags, ahead: u32) {
        let sequence = INITIAL[from.index()].wrapping_add(ahead);
        self.segment(from, sequence, flags, &[]);
    }

    fn segment(&mut self, from: Direction, sequence: u32, flags: TcpFlags, bytes: &[u8]) -> Vec<Noted> {
        let peer = from.opposite().index();
        let tcp = Tcp {
            source_port: 0,
            destination_port: 0,
            sequence,
            acknowledgement: INITIAL[peer].wrapping_add(1).wrapping_add(self.sent[peer]),
            window: 65535,
            flags,
            header_length: 20,
            checksum: 0,
            urgent: 0,
            payload_length: bytes.len() as u32,
        };
        self.clock += 1;
        let mut actions = Vec::new();
        self.reader.segment(Time(self.clock), from, &tcp, bytes, 0, &mut actions);
        let note = |action: Action| {
            let span = match &action {
                Action::Expect(_, expect) => expect.span,
                Action::Refuse(_, span) => *span,
                _ => return Noted { from, action, quote: Vec::new() },
            };
            Noted { from, quote: self.reader.quote(from, span).to_vec(), action }
        };
        let noted: Vec<Noted> = actions.into_iter().map(note).collect();
        self.noted.extend(noted.iter().cloned());
        noted
    }
}

/// A conn without NAT.
pub(crate) fn master(client: &str, server: &str) -> Master {
    let (client, server): (SocketAddr, SocketAddr) = (client.parse().unwrap(), server.parse().unwrap());
    let version = if client.is_ipv4() { IpVersion::V4 } else { IpVersion::V6 };
    Master { version, protocol: Protocol::TCP, original: (client, server), reply: (server, client) }
}

/// Runs a transcript, an utterance a segment.
pub(crate) fn run(helper: &dyn Helper, client: &str, server: &str, said: &[Said<'_>]) -> Wire {
    let mut wire = Wire::open(helper, client, server);
    for (from, bytes) in said {
        wire.say(*from, bytes);
    }
    wire
}
