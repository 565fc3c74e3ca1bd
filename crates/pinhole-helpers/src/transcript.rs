//! A small harness: runs a transcript of two directions through a [`Reader`], cut into segments in many ways.

use pinhole_helper::{Action, Helper, Master, Pickup, Policy, Reader, Refusal};
use pinhole_helper::{Handle, PortMatch};
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
    /// Most memory that the reader ever held.
    pub(crate) peak: usize,
    /// Bytes that each direction has delivered in order: what its receiver acknowledges.
    delivered: [u32; 2],
    clock: u64,
}

const INITIAL: [u32; 2] = [u32::MAX - 20, u32::MAX - 300];

impl Wire {
    /// A conn whose handshake was seen.
    pub(crate) fn open(helper: &dyn Helper, client: &str, server: &str) -> Self {
        let mut wire = Self::mid_stream(helper, client, server, Pickup::Strict);
        wire.handshake();
        wire
    }

    /// A conn that is picked up in mid-stream.
    pub(crate) fn mid_stream(helper: &dyn Helper, client: &str, server: &str, pickup: Pickup) -> Self {
        Self::with(Reader::new(helper, master(client, server), Policy::default(), pickup))
    }

    /// A conn of datagrams.
    pub(crate) fn datagrams(helper: &dyn Helper, client: &str, server: &str) -> Self {
        Self::datagrams_of(
            helper,
            Master { protocol: Protocol::UDP, ..master(client, server) },
            Policy::default(),
        )
    }

    /// The same, where the two ends may know each other by other addresses than their own.
    pub(crate) fn datagrams_of(helper: &dyn Helper, master: Master, policy: Policy) -> Self {
        Self::with(Reader::new(helper, master, policy, Pickup::Strict))
    }

    /// Sends one datagram.
    pub(crate) fn datagram(&mut self, from: Direction, bytes: &[u8]) -> Vec<Noted> {
        self.clock += 1;
        let mut actions = Vec::new();
        self.reader.datagram(Time(self.clock), from, bytes, &mut actions);
        self.note(from, actions)
    }

    /// Lets time pass.
    pub(crate) fn wait(&mut self, seconds: u64) {
        self.clock += seconds * 1_000_000_000;
    }

    pub(crate) fn with(reader: Reader) -> Self {
        Self { reader, noted: Vec::new(), peak: 0, delivered: [0; 2], clock: 0 }
    }

    pub(crate) fn handshake(&mut self) {
        self.segment(Direction::Original, INITIAL[0], TcpFlags::SYN, &[], 0);
        self.segment(Direction::Reply, INITIAL[1], TcpFlags::SYN | TcpFlags::ACK, &[], 0);
    }

    /// Sends the next bytes of a direction in one segment that acknowledges all that the other side has sent.
    pub(crate) fn say(&mut self, from: Direction, bytes: &[u8]) -> Vec<Noted> {
        let at = self.delivered[from.index()];
        let noted = self.at(from, at, bytes);
        self.deliver(from, at + bytes.len() as u32);
        noted
    }

    /// Notes that everything before this offset has reached the receiver, who acknowledges it with its next segment.
    pub(crate) fn deliver(&mut self, from: Direction, end: u32) {
        self.delivered[from.index()] = end;
    }

    /// Sends bytes at a stream offset.
    pub(crate) fn at(&mut self, from: Direction, offset: u32, bytes: &[u8]) -> Vec<Noted> {
        self.cut(from, offset, bytes, 0)
    }

    /// Sends bytes at a stream offset, of which the capture lacks the last `missing`.
    pub(crate) fn cut(&mut self, from: Direction, offset: u32, bytes: &[u8], missing: u32) -> Vec<Noted> {
        let sequence = INITIAL[from.index()].wrapping_add(1).wrapping_add(offset);
        self.segment(from, sequence, TcpFlags::ACK | TcpFlags::PSH, bytes, missing)
    }

    fn segment(
        &mut self,
        from: Direction,
        sequence: u32,
        flags: TcpFlags,
        bytes: &[u8],
        missing: u32,
    ) -> Vec<Noted> {
        let peer = from.opposite().index();
        let tcp = Tcp {
            source_port: 0,
            destination_port: 0,
            sequence,
            acknowledgement: INITIAL[peer].wrapping_add(1).wrapping_add(self.delivered[peer]),
            window: 65535,
            flags,
            header_length: 20,
            checksum: 0,
            urgent: 0,
            payload_length: bytes.len() as u32 + missing,
        };
        self.clock += 1;
        let mut actions = Vec::new();
        self.reader.segment(Time(self.clock), from, &tcp, bytes, missing, &mut actions);
        self.note(from, actions)
    }

    fn note(&mut self, from: Direction, actions: Vec<Action>) -> Vec<Noted> {
        self.peak = self.peak.max(self.reader.memory());
        let note = |action: Action| {
            let span = match &action {
                Action::Expect(_, expect) => expect.span,
                Action::Refuse(_, span) | Action::Locate(_, span, _) | Action::Renumber(span, ..) => *span,
                _ => return Noted { from, action, quote: Vec::new() },
            };
            Noted { from, quote: self.reader.quote(from, span).to_vec(), action }
        };
        let noted: Vec<Noted> = actions.into_iter().map(note).collect();
        self.noted.extend(noted.iter().cloned());
        noted
    }

    /// Ports of the expectations asked for, in order.
    pub(crate) fn ports(&self) -> Vec<u16> {
        let port = |noted: &Noted| match &noted.action {
            Action::Expect(_, expect) => match expect.destination_port {
                PortMatch::Exact(port) => Some(port),
                _ => None,
            },
            _ => None,
        };
        self.noted.iter().filter_map(port).collect()
    }

    /// Ports of the expectations that may match: active from the start, or activated and not cancelled.
    pub(crate) fn open_ports(&self) -> Vec<u16> {
        let handles = |pick: fn(&Action) -> Option<Handle>| -> Vec<Handle> {
            self.noted.iter().filter_map(|noted| pick(&noted.action)).collect()
        };
        let activated = handles(|action| match action {
            Action::Activate(handle) => Some(*handle),
            Action::Expect(handle, expect) if expect.active => Some(*handle),
            _ => None,
        });
        let cancelled = handles(|action| match action {
            Action::Cancel(handle) => Some(*handle),
            _ => None,
        });
        let port = |noted: &Noted| match &noted.action {
            Action::Expect(handle, expect) if activated.contains(handle) && !cancelled.contains(handle) => {
                match expect.destination_port {
                    PortMatch::Exact(port) => Some(port),
                    _ => None,
                }
            }
            _ => None,
        };
        self.noted.iter().filter_map(port).collect()
    }

    /// Reasons of the refusals, in order.
    pub(crate) fn refusals(&self) -> Vec<Refusal> {
        let refusal = |noted: &Noted| match &noted.action {
            Action::Refuse(reason, _) => Some(*reason),
            _ => None,
        };
        self.noted.iter().filter_map(refusal).collect()
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

/// Runs a transcript cut in many ways; each must come to the same actions and quotes as whole utterances. Returns the latter.
pub(crate) fn run_every_way(helper: &dyn Helper, client: &str, server: &str, said: &[Said<'_>]) -> Wire {
    let whole = run(helper, client, server, said);
    for seed in 0..150 {
        let mut dice = Dice(seed);
        let way = Way {
            longest: if seed < 5 { 1 } else { 1 + dice.below(40) },
            reorder: seed % 2 == 1,
            duplicate: seed % 3 == 1,
            overlap: seed % 5 == 1,
            lose: seed % 7 == 1,
            acknowledge: seed % 4 < 2,
        };
        let mut wire = Wire::open(helper, client, server);
        for turn in said.chunk_by(|a, b| a.0 == b.0) {
            let from = turn[0].0;
            let bytes: Vec<u8> = turn.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect();
            way.deliver(&mut wire, &mut dice, from, &bytes);
        }
        assert_eq!(wire.noted, whole.noted, "seed {seed}: {way:?}");
        assert_eq!(wire.reader.blind(), whole.reader.blind(), "seed {seed}: {way:?}");
    }
    whole
}

/// How a turn is cut and delivered.
#[derive(Debug)]
struct Way {
    longest: usize,
    reorder: bool,
    duplicate: bool,
    overlap: bool,
    lose: bool,
    acknowledge: bool,
}

impl Way {
    fn deliver(&self, wire: &mut Wire, dice: &mut Dice, from: Direction, bytes: &[u8]) {
        let base = wire.delivered[from.index()];
        let mut segments = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let end = (at + 1 + dice.below(self.longest)).min(bytes.len());
            let start = if self.overlap && dice.below(3) == 0 { dice.below(at + 1) } else { at };
            segments.push(start..end);
            if self.duplicate && dice.below(3) == 0 {
                segments.push(start..end);
            }
            at = end;
        }
        if self.reorder {
            for index in 1..segments.len() {
                // Never so far that the bounds on out-of-order data are reached.
                let other = index.saturating_sub(dice.below(12));
                segments.swap(index, other);
            }
        }
        if self.lose {
            // Lost on the way here, and sent again after up to a window of later ones.
            let window = |window: &[std::ops::Range<usize>]| {
                let (lost, kept): (Vec<_>, Vec<_>) = window.iter().cloned().partition(|_| dice.below(4) == 0);
                kept.into_iter().chain(lost)
            };
            segments = segments.chunks(200).flat_map(window).collect();
        }
        let mut seen = vec![false; bytes.len()];
        let mut in_order = 0;
        for segment in segments {
            wire.at(from, base + segment.start as u32, &bytes[segment.clone()]);
            seen[segment].fill(true);
            in_order += seen[in_order..].iter().take_while(|seen| **seen).count();
            if self.acknowledge && dice.below(2) == 0 {
                wire.deliver(from, base + in_order as u32);
                let peer = from.opposite();
                wire.at(peer, wire.delivered[peer.index()], &[]);
            }
        }
        wire.deliver(from, base + bytes.len() as u32);
    }
}

/// SplitMix64: a seeded source of numbers that are random enough here.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound.max(1) as u64) as usize
    }
}
