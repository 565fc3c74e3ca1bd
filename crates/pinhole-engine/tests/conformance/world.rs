//! Two hosts with a firewall between them, as each of the two sees the other.

use crate::support::conversation::{Conversation, Dice, syn, udp};
use crate::support::lab::Lab;
use pinhole_engine::{Attachment, NatHelpers, NatRule, Reason, Settings, Verdict};
use pinhole_track::State;
use pinhole_wire::checksum::{self, Checksum};
use pinhole_wire::{Direction, Packet, Protocol, Transport};
use std::net::{IpAddr, SocketAddr};

/// Who takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    Client,
    /// Another host behind the client's address, or beside the client.
    Neighbour,
    Server,
    /// Somebody outside.
    Stranger,
}

/// Which of the two ends the other one knows by another address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Translation {
    None,
    Client,
    Server,
    Both,
}

/// How a stream is cut into segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    Whole,
    Bytes,
    Shuffled,
    Twice,
}

/// One way to hold a conversation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) translation: Translation,
    pub(crate) cut: Cut,
    pub(crate) over_ipv6: bool,
}

/// How one end sees a conn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) client: SocketAddr,
    pub(crate) server: SocketAddr,
}

/// A conn of a [`World`].
#[derive(Clone, Copy)]
pub(crate) struct Conn(usize);

/// The ends of a conn, each with its view, and what each has received.
struct Ends {
    protocol: Protocol,
    conversations: [Conversation; 2],
    received: [Received; 2],
}

/// A stream as it arrives: bytes by their offset.
#[derive(Default)]
struct Received {
    bytes: Vec<Option<u8>>,
}

impl Received {
    fn put(&mut self, at: usize, bytes: &[u8]) {
        if self.bytes.len() < at + bytes.len() {
            self.bytes.resize(at + bytes.len(), None);
        }
        for (place, &byte) in self.bytes[at..].iter_mut().zip(bytes) {
            // Whatever is sent again must be as it was.
            assert_eq!(*place.get_or_insert(byte), byte, "a copy differs");
        }
    }

    fn complete(&self) -> Vec<u8> {
        self.bytes.iter().map_while(|byte| *byte).collect()
    }
}

/// Hosts, firewall and conns.
pub(crate) struct World {
    pub(crate) lab: Lab,
    pub(crate) way: Way,
    dice: Dice,
    conns: Vec<Ends>,
}

/// Longest that a message is sent again before it counts as lost.
const ROUNDS: usize = 12;

/// Holds a conversation over TCP in every way.
pub(crate) fn streams(helpers: &[(&str, &[u16])], versions: &[bool], script: impl Fn(&mut World)) {
    every_way(helpers, versions, &[Cut::Whole, Cut::Bytes, Cut::Shuffled, Cut::Twice], script);
}

/// The same over UDP.
pub(crate) fn datagrams(helpers: &[(&str, &[u16])], versions: &[bool], script: impl Fn(&mut World)) {
    every_way(helpers, versions, &[Cut::Whole], script);
}

fn every_way(helpers: &[(&str, &[u16])], versions: &[bool], cuts: &[Cut], script: impl Fn(&mut World)) {
    for &over_ipv6 in versions {
        for translation in [Translation::None, Translation::Client, Translation::Server, Translation::Both] {
            for &cut in cuts {
                let way = Way { translation, cut, over_ipv6 };
                // Shown if the test fails.
                eprintln!("{way:?}");
                script(&mut World::new(helpers, way));
            }
        }
    }
}

pub(crate) const IPV4: &[bool] = &[false];
pub(crate) const BOTH: &[bool] = &[false, true];

impl World {
    pub(crate) fn new(helpers: &[(&str, &[u16])], way: Way) -> Self {
        let mut settings = Settings {
            attachments: helpers
                .iter()
                .map(|(helper, ports)| Attachment { helper: (*helper).to_owned(), ports: ports.to_vec() })
                .collect(),
            ..Settings::default()
        };
        settings.nat.helpers = NatHelpers::new(pinhole_helpers::nat_helpers());
        let pick = |four: &str, six: &str| if way.over_ipv6 { six.to_owned() } else { four.to_owned() };
        if way.hides(Host::Client) {
            let from = pick("10.0.0.0/16", "fd00::/32").parse().unwrap();
            settings.nat.rules.push(NatRule::Snat { from, to: way.public(Host::Client) });
        }
        if way.hides(Host::Server) {
            let to = pick("203.0.113.208/32", "2001:db8:ff::208/128").parse().unwrap();
            settings.nat.rules.push(NatRule::Dnat { to, target: way.real(Host::Server) });
        }
        Self { lab: Lab::new(settings, None), way, dice: Dice(7), conns: Vec::new() }
    }

    /// The first datagram of a control conn, or its handshake.
    pub(crate) fn open(&mut self, protocol: Protocol, client: (Host, u16), server: (Host, u16)) -> Conn {
        self.enter(protocol, client, server, State::New)
    }

    /// The same for a conn that was announced.
    pub(crate) fn open_related(
        &mut self,
        protocol: Protocol,
        client: (Host, u16),
        server: (Host, u16),
    ) -> Conn {
        self.enter(protocol, client, server, State::Related)
    }

    fn enter(&mut self, protocol: Protocol, client: (Host, u16), server: (Host, u16), state: State) -> Conn {
        let (real_client, real_server) = (self.at(client, client.0), self.at(server, server.0));
        let near = Conversation::new(real_client, self.at(server, client.0));
        let far = Conversation::new(self.at(client, server.0), real_server);
        if protocol == Protocol::TCP {
            let [first, _, last] = near.handshake();
            let outcome = self.lab.send(&first);
            assert_eq!(outcome.state, Some(state), "{client:?} > {server:?}");
            assert_eq!(ends(&self.lab.left[0]), (far.client, far.server), "{client:?} > {server:?}");
            let [_, answer, _] = far.handshake();
            assert_eq!(self.lab.send(&answer).verdict, Verdict::Accept);
            assert_eq!(ends(&self.lab.left[0]), (near.server, near.client));
            assert_eq!(self.lab.send(&last).verdict, Verdict::Accept);
        }
        self.conns.push(Ends { protocol, conversations: [near, far], received: Default::default() });
        Conn(self.conns.len() - 1)
    }

    /// One end says something; the other must read what it is meant to read.
    pub(crate) fn say(&mut self, conn: Conn, from: Direction, words: impl Fn(&View) -> Vec<u8>) {
        let (said, heard) = (words(&self.view(conn, from)), words(&self.view(conn, from.opposite())));
        let read = self.carry(conn, from, &said, heard.len());
        assert_words(&read, &heard);
    }

    /// One end says where it is found, at a port that somebody else has announced before; the other reads another port, which is
    /// returned.
    pub(crate) fn say_elsewhere(
        &mut self,
        conn: Conn,
        from: Direction,
        port: u16,
        words: impl Fn(&View, u16) -> Vec<u8>,
    ) -> u16 {
        let said = words(&self.view(conn, from), port);
        let read = self.carry(conn, from, &said, 1);
        let view = self.view(conn, from.opposite());
        let moved = (1024..=u16::MAX).find(|&other| other != port && words(&view, other) == read);
        moved.unwrap_or_else(|| panic!("no port fits: {}", read.escape_ascii()))
    }

    /// Sends what is said; what arrives, at least `length` bytes of it.
    fn carry(&mut self, conn: Conn, from: Direction, said: &[u8], length: usize) -> Vec<u8> {
        match self.conns[conn.0].protocol {
            Protocol::TCP => self.transmit(conn, from, said, length),
            _ => self.post(conn, from, said),
        }
    }

    fn view(&self, conn: Conn, end: Direction) -> View {
        let own = &self.conns[conn.0].conversations[end.index()];
        View { client: own.client, server: own.server }
    }

    /// Sends a datagram; what arrives.
    fn post(&mut self, conn: Conn, from: Direction, said: &[u8]) -> Vec<u8> {
        let [near, far] = &self.conns[conn.0].conversations;
        let (sent, arrives) = match from {
            Direction::Original => ((near.client, near.server), (far.client, far.server)),
            Direction::Reply => ((far.server, far.client), (near.server, near.client)),
        };
        let outcome = self.lab.send(&udp(sent.0, sent.1, said));
        assert_eq!(outcome.verdict, Verdict::Accept, "{outcome:?}: {}", said.escape_ascii());
        let [left] = &self.lab.left[..] else { panic!("{} datagrams left", self.lab.left.len()) };
        assert_eq!(ends(left), arrives);
        Packet::parse(left, 0).unwrap().payload_bytes(left).to_vec()
    }

    /// Sends bytes in segments, again and again until the other end has `length` of them; what it has received.
    fn transmit(&mut self, conn: Conn, from: Direction, said: &[u8], length: usize) -> Vec<u8> {
        let start = self.conns[conn.0].conversations[from.index()].sent(from);
        let before = self.conns[conn.0].received[from.index()].complete().len();
        for (first, last) in self.segments(said.len()) {
            self.segment(conn, from, start + first as u32, &said[first..last]);
        }
        for _ in 0..ROUNDS {
            if self.conns[conn.0].received[from.index()].complete().len() >= before + length {
                break;
            }
            for (at, part) in said.chunks(1200).enumerate() {
                self.segment(conn, from, start + (at * 1200) as u32, part);
            }
        }
        let received = self.conns[conn.0].received[from.index()].complete();
        let ends = &mut self.conns[conn.0].conversations;
        ends[from.index()].deliver(from, start + said.len() as u32);
        let peer = from.opposite();
        ends[peer.index()].deliver(from, received.len() as u32);
        let answer = ends[peer.index()].acknowledge(peer);
        let outcome = self.lab.send(&answer);
        assert_eq!(outcome.verdict, Verdict::Accept, "{outcome:?}");
        // It acknowledges all that was said, in the numbers of who said it.
        let near = &self.conns[conn.0].conversations[from.index()];
        let (sequence, _) = numbers(&near.at(from, near.sent(from), &[]));
        assert_eq!(numbers(&self.lab.left[0]).1, sequence, "the acknowledgement");
        received[before..].to_vec()
    }

    fn segment(&mut self, conn: Conn, from: Direction, at: u32, bytes: &[u8]) {
        let sent = self.conns[conn.0].conversations[from.index()].at(from, at, bytes);
        let outcome = self.lab.send(&sent);
        assert_ne!(outcome.state, Some(State::Invalid), "{outcome:?}");
        let waits = outcome.reason == Some(Reason::SegmentAhead) && self.way.translation != Translation::None;
        assert!(outcome.verdict != Verdict::Drop || waits, "{outcome:?}: {}", bytes.escape_ascii());
        for packet in std::mem::take(&mut self.lab.left) {
            self.arrive(conn, from, &packet);
        }
    }

    /// A segment that has left arrives at one of the ends.
    fn arrive(&mut self, conn: Conn, from: Direction, packet: &[u8]) {
        let Ends { conversations, received, .. } = &mut self.conns[conn.0];
        let far = &conversations[from.opposite().index()];
        let to_far = match from {
            Direction::Original => (far.client, far.server),
            Direction::Reply => (far.server, far.client),
        };
        if ends(packet) != to_far {
            // An acknowledgement in the receiver's name, for the sender of what is held.
            assert_eq!(ends(packet), {
                let near = &conversations[from.index()];
                match from {
                    Direction::Original => (near.server, near.client),
                    Direction::Reply => (near.client, near.server),
                }
            });
            return;
        }
        let (first, _) = numbers(&far.at(from, 0, &[]));
        let at = numbers(packet).0.wrapping_sub(first) as usize;
        received[from.index()].put(at, Packet::parse(packet, 0).unwrap().payload_bytes(packet));
    }

    /// Where segments begin and end, in the order of their sending.
    fn segments(&mut self, length: usize) -> Vec<(usize, usize)> {
        let longest = match self.way.cut {
            Cut::Whole => 1400,
            Cut::Bytes => 1,
            Cut::Shuffled | Cut::Twice => 1 + length / 5,
        };
        let mut segments: Vec<_> =
            (0..length).step_by(longest).map(|at| (at, length.min(at + longest))).collect();
        match self.way.cut {
            Cut::Whole | Cut::Bytes => {}
            Cut::Shuffled => {
                for index in (1..segments.len()).rev() {
                    segments.swap(index, self.dice.below(index + 1));
                }
            }
            Cut::Twice => {
                segments = segments
                    .iter()
                    .flat_map(|&(first, last)| [(first, last), (first.saturating_sub(3), last)])
                    .collect();
            }
        }
        segments
    }

    /// The first packet from one host to another's announced port comes in and is led there.
    pub(crate) fn comes(&mut self, protocol: Protocol, from: (Host, u16), to: (Host, u16)) {
        self.comes_by(protocol, from, to, to.1);
    }

    /// The same to an announced port that leads to another one.
    pub(crate) fn comes_by(&mut self, protocol: Protocol, from: (Host, u16), to: (Host, u16), outer: u16) {
        let state = self.first(protocol, from, (to.0, outer));
        assert_eq!(state, State::Related, "{from:?} > {to:?} by {outer}");
        let arrives = (self.at(from, to.0), self.at(to, to.0));
        assert_eq!(ends(&self.lab.left[0]), arrives, "{from:?} > {to:?} by {outer}");
    }

    /// The first packet from one host to another is nobody's.
    pub(crate) fn is_strange(&mut self, protocol: Protocol, from: (Host, u16), to: (Host, u16)) {
        let state = self.first(protocol, from, to);
        assert_eq!(state, State::New, "{from:?} > {to:?}");
    }

    fn first(&mut self, protocol: Protocol, from: (Host, u16), to: (Host, u16)) -> State {
        let (source, destination) = (self.at(from, from.0), self.at(to, from.0));
        let packet = match protocol {
            Protocol::TCP => syn(source, destination),
            _ => udp(source, destination, &[0x80, 0, 0, 1]),
        };
        self.lab.send(&packet).state.unwrap()
    }

    /// Nothing was refused.
    pub(crate) fn assert_no_refusals(&self) {
        assert_eq!(self.lab.refusals(), []);
        assert_eq!(self.lab.blind(), []);
    }

    /// A host's endpoint, as another one knows it.
    pub(crate) fn at(&self, (host, port): (Host, u16), seen_by: Host) -> SocketAddr {
        let address =
            if host != seen_by && self.way.hides(host) { self.way.public(host) } else { self.way.real(host) };
        SocketAddr::new(address, port)
    }
}

impl Way {
    fn hides(self, host: Host) -> bool {
        match host {
            Host::Client | Host::Neighbour => {
                matches!(self.translation, Translation::Client | Translation::Both)
            }
            Host::Server => matches!(self.translation, Translation::Server | Translation::Both),
            Host::Stranger => false,
        }
    }

    fn public(self, host: Host) -> IpAddr {
        let (four, six) = match host {
            Host::Client | Host::Neighbour => ("203.0.113.107", "2001:db8:ff::107"),
            Host::Server | Host::Stranger => ("203.0.113.208", "2001:db8:ff::208"),
        };
        self.pick(four, six)
    }

    pub(crate) fn real(self, host: Host) -> IpAddr {
        let inside = !matches!(self.translation, Translation::Server);
        match host {
            Host::Client if inside => self.pick("10.0.0.5", "fd00::5"),
            Host::Client => self.pick("192.0.2.9", "2001:db8:9::9"),
            Host::Neighbour if inside => self.pick("10.0.0.6", "fd00::6"),
            Host::Neighbour => self.pick("192.0.2.10", "2001:db8:9::10"),
            Host::Server if self.hides(Host::Server) => self.pick("10.1.0.21", "fd00:1::21"),
            Host::Server => self.pick("192.0.2.21", "2001:db8:21::21"),
            Host::Stranger => self.pick("198.51.100.77", "2001:db8:77::77"),
        }
    }

    fn pick(self, four: &str, six: &str) -> IpAddr {
        if self.over_ipv6 { six.parse().unwrap() } else { four.parse().unwrap() }
    }
}

/// Compares what was read with what was meant, as text.
fn assert_words(read: &[u8], meant: &[u8]) {
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string().replace("\\n", "\\n\n");
    assert!(read == meant, "\nread:\n{}\nmeant:\n{}", text(read), text(meant));
}

/// Source and destination of a datagram whose checksum must be right.
fn ends(datagram: &[u8]) -> (SocketAddr, SocketAddr) {
    let packet = Packet::parse(datagram, 0).unwrap();
    assert_eq!(checksum::verify_transport(&packet, datagram), Checksum::Good);
    let end = |address: pinhole_wire::Address, port| SocketAddr::new(address.ip(packet.version), port);
    (
        end(packet.source, packet.source_port().unwrap()),
        end(packet.destination, packet.destination_port().unwrap()),
    )
}

/// Sequence number and acknowledgement.
fn numbers(segment: &[u8]) -> (u32, u32) {
    let Transport::Tcp(tcp) = Packet::parse(segment, 0).unwrap().transport else { panic!("no segment") };
    (tcp.sequence, tcp.acknowledgement)
}
