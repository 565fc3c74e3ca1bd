//! FTP behind every kind of translation: what is announced is rewritten, and what was announced arrives.

use crate::support::conversation::{Conversation, syn};
use crate::support::lab::{Lab, address};
use crate::{OUTER, ends, hidden, with};
use pinhole_engine::{
    Attachment, EmissionKind, Event, NatHelpers, NatRule, Outcome, Reason, Settings, Verdict,
};
use pinhole_track::{State, Status};
use pinhole_wire::{Direction, Packet, Transport};
use std::net::SocketAddr;

const SERVER: &str = "192.0.2.21:21";

pub(crate) fn ftp(mut settings: Settings, ports: &[u16]) -> Settings {
    settings.attachments = vec![Attachment { helper: "ftp".to_owned(), ports: ports.to_vec() }];
    settings.nat.helpers = NatHelpers::new(pinhole_helpers::nat_helpers());
    settings
}

fn inner_server() -> Settings {
    let rule = NatRule::Dnat { to: "203.0.113.7/32".parse().unwrap(), target: "10.0.0.21".parse().unwrap() };
    with(&[rule])
}

/// A control conn through a translation. Each side is told what it would see: its own numbers, its own view of the peer.
pub(crate) struct Session {
    pub(crate) lab: Lab,
    /// What each end sends: addresses as it knows them.
    pub(crate) ends: [Conversation; 2],
    /// Bytes that each side's receiver has got.
    pub(crate) received: [Vec<u8>; 2],
}

impl Session {
    pub(crate) fn open(settings: Settings, client: &str, server: &str) -> Self {
        Self::with(Lab::with_restarts(settings, None), client, server)
    }

    fn with(mut lab: Lab, client: &str, server: &str) -> Self {
        let own = Conversation::new(address(client), address(server));
        let out = lab.forward(&own.handshake()[0]).unwrap();
        let (outer_client, real_server) = ends(&out);
        let peer = Conversation::new(outer_client, real_server);
        lab.forward(&peer.handshake()[1]).unwrap();
        lab.forward(&own.handshake()[2]).unwrap();
        Self { lab, ends: [own, peer], received: [Vec::new(), Vec::new()] }
    }

    /// Sends a segment of an end; whatever leaves is received.
    pub(crate) fn transmit(&mut self, from: Direction, segment: &[u8]) -> Outcome {
        let outcome = self.lab.send(segment);
        let made: Vec<Vec<u8>> = self.lab.engine.output().map(|made| made.packet(segment)).collect();
        for packet in made {
            self.receive(from, &packet);
        }
        outcome
    }

    fn receive(&mut self, from: Direction, packet: &[u8]) {
        ends(packet);
        let parsed = Packet::parse(packet, 0).unwrap();
        let Transport::Tcp(tcp) = &parsed.transport else { panic!() };
        let far = &self.ends[from.opposite().index()];
        let first = far.at(from, 0, &[]);
        let Transport::Tcp(first) = Packet::parse(&first, 0).unwrap().transport else { panic!() };
        let at = tcp.sequence.wrapping_sub(first.sequence) as usize;
        let stream = &mut self.received[from.index()];
        assert!(at <= stream.len(), "a gap: {at} after {}", stream.len());
        let payload = parsed.payload_bytes(packet);
        stream.truncate(at.max(stream.len().min(at + payload.len())));
        if at + payload.len() > stream.len() {
            stream.truncate(at);
            stream.extend_from_slice(payload);
        }
        let length = self.received[from.index()].len() as u32;
        self.ends[from.opposite().index()].deliver(from, length);
    }

    /// Says a line; what the other end reads of it.
    pub(crate) fn say(&mut self, from: Direction, line: &str) -> String {
        let before = self.received[from.index()].len();
        let segment = self.ends[from.index()].say(from, line.as_bytes());
        let outcome = self.transmit(from, &segment);
        assert_eq!(outcome.verdict, Verdict::Accept, "{line}: {outcome:?}");
        let answer = self.ends[from.opposite().index()].acknowledge(from.opposite());
        let acknowledged = self.transmit(from.opposite(), &answer);
        assert_eq!(acknowledged.verdict, Verdict::Accept, "{acknowledged:?}");
        assert_ne!(acknowledged.state, Some(State::Invalid), "{line}");
        String::from_utf8(self.received[from.index()][before..].to_vec()).unwrap()
    }

    pub(crate) fn greet(&mut self) {
        self.say(Direction::Reply, "220 ready\r\n");
        self.say(Direction::Original, "USER anonymous\r\n");
        self.say(Direction::Reply, "230 welcome\r\n");
    }
}

/// The endpoint that a PORT or a 227 announces.
fn announced(line: &str) -> SocketAddr {
    let digits = line.trim_start_matches(|c: char| !c.is_ascii_digit());
    let digits = digits.strip_prefix("227 Entering Passive Mode (").unwrap_or(digits);
    let numbers: Vec<u8> =
        digits.split(|c: char| !c.is_ascii_digit()).take(6).map(|n| n.parse().unwrap()).collect();
    let [a, b, c, d, high, low] = numbers[..] else { panic!("{line}") };
    SocketAddr::new([a, b, c, d].into(), u16::from_be_bytes([high, low]))
}

#[test]
fn a_hidden_client_announces_the_outer_address() {
    let mut session = Session::open(ftp(hidden(), &[]), "10.0.0.5:4000", SERVER);
    session.greet();
    let line = session.say(Direction::Original, "PORT 10,0,0,5,19,137\r\n");
    assert_eq!(line, "PORT 203,0,113,7,19,137\r\n");
    session.say(Direction::Reply, "200 PORT command successful\r\n");
    session.say(Direction::Original, "LIST\r\n");
    // The server connects to what it was told, and comes out at the client.
    let data = session.lab.send(&syn(address("192.0.2.21:20"), address("203.0.113.7:5001")));
    assert_eq!(data.state, Some(State::Related));
    let made = session.lab.left[0].clone();
    assert_eq!(ends(&made), (address("192.0.2.21:20"), address("10.0.0.5:5001")));
    let control = session.lab.engine.tracker().conns().next().unwrap();
    assert!(session.lab.engine.tracker().status(control).unwrap().contains(Status::SEQ_ADJUST));
}

#[test]
fn extended_commands_are_rewritten_too() {
    let mut session = Session::open(ftp(hidden(), &[]), "10.0.0.5:4000", SERVER);
    session.greet();
    let line = session.say(Direction::Original, "EPRT |1|10.0.0.5|5001|\r\n");
    assert_eq!(line, "EPRT |1|203.0.113.7|5001|\r\n");
    session.say(Direction::Reply, "200 EPRT command successful\r\n");
    // Text that shrinks after text that grew.
    let line = session.say(Direction::Original, "PORT 10,0,0,5,200,200\r\n");
    assert_eq!(line, "PORT 203,0,113,7,200,200\r\n");
}

#[test]
fn a_hidden_clients_data_conns_leave_by_the_same_address() {
    let mut session = Session::open(ftp(hidden(), &[]), "10.0.0.5:4000", SERVER);
    session.greet();
    session.say(Direction::Original, "PASV\r\n");
    let line = session.say(Direction::Reply, "227 Entering Passive Mode (192,0,2,21,117,49)\r\n");
    assert_eq!(line, "227 Entering Passive Mode (192,0,2,21,117,49)\r\n");
    let data = session.lab.send(&syn(address("10.0.0.5:4001"), address("192.0.2.21:30001")));
    assert_eq!(data.state, Some(State::Related));
    let made = session.lab.left[0].clone();
    assert_eq!(ends(&made), (address("203.0.113.7:4001"), address("192.0.2.21:30001")));
}

#[test]
fn a_server_behind_the_outer_address_announces_it() {
    let mut session = Session::open(ftp(inner_server(), &[]), "192.0.2.9:4000", "203.0.113.7:21");
    session.greet();
    session.say(Direction::Original, "PASV\r\n");
    let line = session.say(Direction::Reply, "227 Entering Passive Mode (10,0,0,21,117,49).\r\n");
    assert_eq!(line, "227 Entering Passive Mode (203,0,113,7,117,49).\r\n");
    let data = session.lab.send(&syn(address("192.0.2.9:4001"), address("203.0.113.7:30001")));
    assert_eq!(data.state, Some(State::Related));
    let made = session.lab.left[0].clone();
    assert_eq!(ends(&made), (address("192.0.2.9:4001"), address("10.0.0.21:30001")));
    session.say(Direction::Original, "EPSV\r\n");
    let line = session.say(Direction::Reply, "229 Entering Extended Passive Mode (|||30002|)\r\n");
    assert_eq!(line, "229 Entering Extended Passive Mode (|||30002|)\r\n");
}

#[test]
fn hairpin_both_ends_are_translated() {
    let mut settings = inner_server();
    let from = "10.0.0.0/8".parse().unwrap();
    settings.nat.rules.push(NatRule::Snat { from, to: OUTER.parse().unwrap() });
    let mut session = Session::open(ftp(settings, &[]), "10.0.0.5:4000", "203.0.113.7:21");
    session.greet();
    let line = session.say(Direction::Original, "PORT 10,0,0,5,19,137\r\n");
    assert_eq!(line, "PORT 203,0,113,7,19,137\r\n");
    session.say(Direction::Reply, "200 ok\r\n");
    let data = session.lab.send(&syn(address("10.0.0.21:20"), address("203.0.113.7:5001")));
    assert_eq!(data.state, Some(State::Related));
    let made = session.lab.left[0].clone();
    assert_eq!(ends(&made), (address("203.0.113.7:20"), address("10.0.0.5:5001")));
}

#[test]
fn two_clients_that_announce_one_port_get_two() {
    let lab = Lab::with_restarts(ftp(hidden(), &[]), None);
    let mut first = Session::with(lab, "10.0.0.5:4000", SERVER);
    first.greet();
    let line = first.say(Direction::Original, "PORT 10,0,0,5,19,137\r\n");
    assert_eq!(announced(&line), address("203.0.113.7:5001"));
    let mut second = Session::with(first.lab, "10.0.0.6:4000", SERVER);
    second.greet();
    let line = second.say(Direction::Original, "PORT 10,0,0,6,19,137\r\n");
    let outer = announced(&line);
    assert_eq!(outer.ip(), address("203.0.113.7:0").ip());
    assert_ne!(outer.port(), 5001);
    let mut lab = second.lab;
    for (outer, inner) in [(outer, "10.0.0.6:5001"), (address("203.0.113.7:5001"), "10.0.0.5:5001")] {
        let data = lab.forward(&syn(address("192.0.2.21:20"), outer)).unwrap();
        assert_eq!(ends(&data).1, address(inner));
    }
}

#[test]
fn the_first_packet_of_an_expected_conn_is_seen_from_outside() {
    let mut session = Session::open(ftp(hidden(), &[]), "10.0.0.5:4000", SERVER);
    session.greet();
    session.say(Direction::Original, "PORT 10,0,0,5,19,137\r\n");
    let captured = syn(address("192.0.2.21:20"), address("10.0.0.5:5001"));
    let mut outside = Vec::new();
    let frame = session.lab.frame(&captured);
    assert!(session.lab.engine.view_from_outside(&frame, &mut outside).is_some());
    assert_eq!(ends(&outside), (address("192.0.2.21:20"), address("203.0.113.7:5001")));
    let made = session.lab.forward(&outside).unwrap();
    assert_eq!(ends(&made).1, address("10.0.0.5:5001"));
}

#[test]
fn a_port_that_is_not_ftps_own_will_do() {
    let mut session = Session::open(ftp(hidden(), &[2121]), "10.0.0.5:4000", "192.0.2.21:2121");
    session.greet();
    let line = session.say(Direction::Original, "PORT 10,0,0,5,19,137\r\n");
    assert_eq!(line, "PORT 203,0,113,7,19,137\r\n");
}

#[test]
fn without_the_nat_helper_the_payload_is_left_alone_and_told() {
    let mut settings = ftp(hidden(), &[]);
    settings.nat.helpers = NatHelpers::default();
    let mut session = Session::open(settings, "10.0.0.5:4000", SERVER);
    session.greet();
    let line = session.say(Direction::Original, "PORT 10,0,0,5,19,137\r\n");
    assert_eq!(line, "PORT 10,0,0,5,19,137\r\n");
    let missing = |event: &Event| matches!(event, Event::NatHelperMissing { helper, .. } if *helper == "ftp");
    assert_eq!(session.lab.events.iter().filter(|event| missing(event)).count(), 1);
    assert_eq!(session.lab.expected().count(), 1);
}

#[test]
fn a_line_in_two_segments_is_held_and_leaves_whole() {
    let mut session = Session::open(ftp(hidden(), &[]), "10.0.0.5:4000", SERVER);
    session.greet();
    let before = session.received[0].len();
    let first = session.ends[0].say(Direction::Original, b"PORT 10,0,0,");
    let held = session.transmit(Direction::Original, &first);
    assert_eq!((held.verdict, held.reason), (Verdict::Held, Some(Reason::LineHeld)));
    let again = session.transmit(Direction::Original, &first);
    assert_eq!(again.verdict, Verdict::Held);
    let rest = session.ends[0].say(Direction::Original, b"5,19,137\r\n");
    assert_eq!(session.transmit(Direction::Original, &rest).verdict, Verdict::Accept);
    assert_eq!(&session.received[0][before..], b"PORT 203,0,113,7,19,137\r\n");
    // Sent again, it is the same.
    let repeated = session.transmit(Direction::Original, &rest);
    assert!(repeated.rewritten);
    assert_eq!(&session.received[0][before..], b"PORT 203,0,113,7,19,137\r\n");
}

/// Commands are not always sent one by one, nor are their answers.
#[test]
fn answers_in_one_segment_are_rewritten_each() {
    let mut session = Session::open(ftp(inner_server(), &[]), "192.0.2.9:4000", "203.0.113.7:21");
    session.greet();
    session.say(Direction::Original, "PASV\r\nPASV\r\n");
    let line = session.say(Direction::Reply, "227 P (10,0,0,21,200,3).\r\n227 P (10,0,0,21,200,4).\r\n");
    assert_eq!(line, "227 P (203,0,113,7,200,3).\r\n227 P (203,0,113,7,200,4).\r\n");
}

/// A superframe is many segments: every line in it is rewritten, and what it grew by leaves behind it.
#[test]
fn several_lines_in_one_superframe_are_rewritten() {
    let mut session = Session::open(ftp(hidden(), &[]), "10.0.0.5:4000", SERVER);
    session.greet();
    let (mut said, mut wanted) = (String::new(), String::new());
    for i in 0..9 {
        let filler = format!("NOOP {}\r\n", "x".repeat(400)).repeat(9);
        said.push_str(&format!("PORT 10,0,0,5,20,{i}\r\n{filler}"));
        wanted.push_str(&format!("PORT 203,0,113,7,20,{i}\r\n{filler}"));
    }
    assert!(said.len() > 30_000);
    assert_eq!(session.say(Direction::Original, &said), wanted);
    assert_eq!(session.say(Direction::Original, "NOOP\r\n"), "NOOP\r\n");
}

/// A line that grows where its segment has no room leaves in two.
#[test]
fn a_full_segment_that_grows_goes_on_in_another() {
    let mut settings = hidden();
    settings.nat.longest_segment = 1000;
    let mut session = Session::open(ftp(settings, &[]), "10.0.0.5:4000", SERVER);
    session.greet();
    let filler = format!("NOOP {}\r\n", "x".repeat(972));
    let said = format!("{filler}PORT 10,0,0,5,20,1\r\n");
    let (before, segment) =
        (session.received[0].len(), session.ends[0].say(Direction::Original, said.as_bytes()));
    let outcome = session.transmit(Direction::Original, &segment);
    assert_eq!(outcome.verdict, Verdict::Accept);
    let kinds: Vec<_> = session.lab.engine.output().map(|made| made.kind).collect();
    assert_eq!(kinds, [EmissionKind::Translated, EmissionKind::Continued]);
    let wanted = format!("{filler}PORT 203,0,113,7,20,1\r\n");
    assert_eq!(&session.received[0][before..], wanted.as_bytes());
}

#[test]
fn a_sender_that_waits_is_acknowledged() {
    let mut session = Session::open(ftp(hidden(), &[]), "10.0.0.5:4000", SERVER);
    session.greet();
    let before = session.received[0].len();
    let first = session.ends[0].say(Direction::Original, b"PORT 10,0,0,");
    session.transmit(Direction::Original, &first);
    session.lab.now = session.lab.engine.next_deadline().unwrap().max(session.lab.now);
    session.lab.engine.advance(session.lab.now, 100);
    let made: Vec<_> = session.lab.engine.output().map(|made| (made.kind, made.packet(&[]))).collect();
    let [(EmissionKind::Acknowledgement, packet)] = &made[..] else { panic!("{made:?}") };
    assert_eq!(ends(packet), (address(SERVER), address("10.0.0.5:4000")));
    let Transport::Tcp(tcp) = Packet::parse(packet, 0).unwrap().transport else { panic!() };
    let Transport::Tcp(said) = Packet::parse(&first, 0).unwrap().transport else { panic!() };
    assert_eq!(tcp.acknowledgement, said.sequence.wrapping_add(12));
    assert_eq!(tcp.sequence, said.acknowledgement);
    let rest = session.ends[0].say(Direction::Original, b"5,19,137\r\n");
    assert_eq!(session.transmit(Direction::Original, &rest).verdict, Verdict::Accept);
    assert_eq!(&session.received[0][before..], b"PORT 203,0,113,7,19,137\r\n");
}

#[test]
fn patience_has_an_end() {
    let mut session = Session::open(ftp(hidden(), &[]), "10.0.0.5:4000", SERVER);
    session.greet();
    let before = session.received[0].len();
    let first = session.ends[0].say(Direction::Original, b"PORT 10,0,0,");
    session.transmit(Direction::Original, &first);
    session.lab.now = session.lab.now.plus_seconds(3);
    session.lab.engine.advance(session.lab.now, 100);
    let made: Vec<Vec<u8>> = session.lab.engine.output().map(|made| made.packet(&[])).collect();
    for packet in made {
        session.receive(Direction::Original, &packet);
    }
    assert_eq!(&session.received[0][before..], b"PORT 10,0,0,");
}
