//! A helper reads a [`script`](crate::script), and whatever it asks for is held against the security rules.

use crate::script::{Passage, Piece, pieces};
use pinhole_helper::{
    Action, AddressMatch, BlindReason, Expect, Helper, Master, Pickup, Policy, PortMatch, Reader,
};
use pinhole_wire::{Direction, IpVersion, Protocol, Tcp, TcpFlags, Time};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Bits of the byte of options.
const IPV6: u8 = 1;
const LENIENT: u8 = 2;
const THIRD_PARTY: u8 = 4;
const NO_HANDSHAKE: u8 = 8;
/// For helpers that read both.
const DATAGRAMS: u8 = 16;
/// Who was called may lead the caller to a third host.
const INTRODUCTIONS: u8 = 32;
/// Most memory that a reader may hold, in bytes: its two reorder buffers, histories and messages, with room for growth.
const MEMORY: usize = 256 * 1024;
/// Widest range of ports that one expectation may ask for.
const WIDEST_RANGE: u16 = 64;
/// Longest piece that one segment carries.
const SEGMENT: usize = 1460;

/// Lets a helper read an input: one byte of options, then the script. To a helper of datagrams, each piece is one.
///
/// To a helper of streams the same script is shown twice, once in whole segments and once, where every piece arrives in order, byte by byte with the bytes of
/// each piece in reverse order: how a stream is cut must not matter.
pub fn converse(helper: &dyn Helper, input: &[u8]) {
    let Some((&options, script)) = input.split_first() else { return };
    let pieces = pieces(script);
    let whole = Conversation::new(helper, options).play(&pieces, SEGMENT);
    let in_order = |piece: &Piece| piece.passage == Passage::InOrder && piece.bytes.len() <= SEGMENT;
    if !is_stream(helper, options) {
        return;
    }
    // Where the beginning was not seen, the first segment is the beginning, and it matters which that is.
    if options & NO_HANDSHAKE != 0 || !pieces.iter().all(in_order) {
        return;
    }
    let cut = Conversation::new(helper, options).play(&pieces, 1);
    let limited = |blind| matches!(blind, Some(BlindReason::MessageTooLong | BlindReason::BufferFull));
    if !limited(whole.blind) && !limited(cut.blind) {
        assert_eq!(whole.actions, cut.actions, "segmentation matters");
        assert_eq!(whole.blind, cut.blind, "segmentation matters");
    }
}

fn is_stream(helper: &dyn Helper, options: u8) -> bool {
    let reads = |protocol| helper.spec().protocols.contains(&protocol);
    reads(Protocol::TCP) && !(reads(Protocol::UDP) && options & DATAGRAMS != 0)
}

/// What came of it.
struct Report {
    actions: Vec<Action>,
    blind: Option<BlindReason>,
}

struct Conversation {
    reader: Reader,
    master: Master,
    policy: Policy,
    classes: usize,
    /// Classes whose expectations may lead the receiver to a third host.
    introductions: Vec<bool>,
    /// Next sequence number of each direction.
    next: [u32; 2],
    actions: Vec<Action>,
}

impl Conversation {
    fn new(helper: &dyn Helper, options: u8) -> Self {
        let six = options & IPV6 != 0;
        let pickup = if options & LENIENT != 0 { Pickup::Lenient } else { Pickup::Strict };
        let policy = helper.bound(Policy {
            third_party: options & THIRD_PARTY != 0,
            introductions: options & INTRODUCTIONS != 0,
            ..Policy::default()
        });
        let port = helper.spec().ports.first().copied().unwrap_or(1024);
        let client = SocketAddr::new(host(six, 1), 40_000);
        let server = SocketAddr::new(host(six, 2), port);
        let master = Master {
            version: if six { IpVersion::V6 } else { IpVersion::V4 },
            protocol: if is_stream(helper, options) { Protocol::TCP } else { Protocol::UDP },
            original: (client, server),
            reply: (server, client),
        };
        let mut conversation = Self {
            reader: Reader::new(helper, master, policy, pickup),
            master,
            policy,
            classes: helper.spec().classes.len(),
            introductions: (0..4).map(|class| helper.introduces(class)).collect(),
            next: [u32::MAX - 100, 7],
            actions: Vec::new(),
        };
        if options & NO_HANDSHAKE == 0 && is_stream(helper, options) {
            conversation.handshake();
        }
        conversation
    }

    fn handshake(&mut self) {
        for from in [Direction::Original, Direction::Reply] {
            let sequence = self.next[from.index()].wrapping_sub(1);
            self.segment(from, sequence, TcpFlags::SYN, &[]);
        }
    }

    fn play(mut self, pieces: &[Piece], segment: usize) -> Report {
        for piece in pieces {
            if self.master.protocol != Protocol::TCP {
                self.datagram(piece.from, &piece.bytes);
                continue;
            }
            let start = self.next[piece.from.index()];
            match piece.passage {
                Passage::InOrder => self.in_order(piece, segment),
                Passage::Ahead(far) => self.send(piece, start.wrapping_add(far), segment),
                Passage::Over(far) => self.send(piece, start.wrapping_sub(far), segment),
                Passage::Stray(sequence) => self.send(piece, sequence, segment),
            }
        }
        Report { blind: self.reader.blind(), actions: self.actions }
    }

    fn in_order(&mut self, piece: &Piece, segment: usize) {
        let start = self.next[piece.from.index()];
        if segment == 1 {
            for (index, byte) in piece.bytes.iter().enumerate().rev() {
                self.segment(piece.from, start.wrapping_add(index as u32), TcpFlags::PSH, &[*byte]);
            }
        } else {
            self.send(piece, start, segment);
        }
        self.next[piece.from.index()] = start.wrapping_add(piece.bytes.len() as u32);
        if piece.fin {
            self.segment(piece.from, self.next[piece.from.index()], TcpFlags::FIN, &[]);
        }
    }

    fn send(&mut self, piece: &Piece, start: u32, segment: usize) {
        for (index, chunk) in piece.bytes.chunks(segment).enumerate() {
            let sequence = start.wrapping_add((index * segment) as u32);
            self.segment(piece.from, sequence, TcpFlags::PSH, chunk);
        }
    }

    fn segment(&mut self, from: Direction, sequence: u32, flags: TcpFlags, payload: &[u8]) {
        let tcp = Tcp {
            source_port: self.master.sender(from).port(),
            destination_port: self.master.peer(from).port(),
            sequence,
            acknowledgement: self.next[from.opposite().index()],
            window: u16::MAX,
            flags: flags | TcpFlags::ACK,
            header_length: 20,
            checksum: 0,
            urgent: 0,
            payload_length: payload.len() as u32,
        };
        let before = self.actions.len();
        self.reader.segment(Time::from_seconds(1), from, &tcp, payload, 0, &mut self.actions);
        self.judge(from, before);
    }

    fn datagram(&mut self, from: Direction, payload: &[u8]) {
        let before = self.actions.len();
        self.reader.datagram(Time::from_seconds(1), from, payload, &mut self.actions);
        self.judge(from, before);
    }

    /// Checks the actions after the first `before`.
    fn judge(&self, from: Direction, before: usize) {
        assert!(self.reader.memory() <= MEMORY, "{} bytes held", self.reader.memory());
        for action in &self.actions[before..] {
            if let Action::Expect(_, expect) = action {
                self.check(from, expect);
                assert!(
                    self.reader.quote(from, expect.span).len() as u64 <= expect.span.end - expect.span.start
                );
            }
        }
    }

    /// Rules 4 and 7 of the helpers' security rules.
    fn check(&self, from: Direction, expect: &Expect) {
        assert!(usize::from(expect.class) < self.classes, "no such class: {expect:?}");
        let introduced = self.introductions.get(usize::from(expect.class)) == Some(&true)
            && expect.source == AddressMatch::Exact(self.master.receiver(from).ip());
        // A call may be opened by either end; its keys say which.
        let ends = [self.master.sender(from).ip(), self.master.receiver(from).ip()];
        let call = expect.protocol == Protocol::GRE
            && ends.contains(&expect.destination)
            && ends.iter().any(|&end| end != expect.destination && expect.source == AddressMatch::Exact(end));
        let own = expect.destination == self.master.sender(from).ip();
        let led = self.policy.introductions && from == Direction::Reply;
        assert!(self.policy.third_party || introduced || led || call || own, "foreign: {expect:?}");
        assert_eq!(
            expect.destination.is_ipv4(),
            self.master.version == IpVersion::V4,
            "other family: {expect:?}"
        );
        let port = match expect.destination_port {
            PortMatch::Exact(port) => port,
            PortMatch::Range(first, last) if first < last && last - first < WIDEST_RANGE => first,
            _ => panic!("neither a port nor a small range: {expect:?}"),
        };
        // Daemons of datagrams ask each other, all on the port that the conn is addressed to.
        let service = expect.protocol == Protocol::UDP && port == self.master.original.1.port();
        assert!(port >= self.policy.lowest_port || service || call, "privileged port: {expect:?}");
        assert!(expect.span.start < expect.span.end, "empty span: {expect:?}");
    }
}

/// The `number`th of our hosts: 10.0.0.x or 2001:db8::x.
pub fn host(six: bool, number: u8) -> IpAddr {
    if six {
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(number)))
    } else {
        IpAddr::V4(Ipv4Addr::new(10, 0, 0, number))
    }
}
