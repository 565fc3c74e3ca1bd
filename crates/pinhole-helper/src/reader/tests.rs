use super::*;
use crate::{Name, Refusal, Spec, Texts};
use pinhole_wire::{IpVersion, Protocol};
use std::borrow::Cow;

/// Reads lines: `x` is refused, `stop`, `blind` and `dark` do what they say.
struct Toy;

struct ToySession {
    can_resume: bool,
}

static SPEC: Spec = Spec {
    name: Name::new("toy"),
    aliases: Texts::Built(&[]),
    protocols: Cow::Borrowed(&[Protocol::TCP]),
    ports: Cow::Borrowed(&[]),
    classes: Cow::Borrowed(&[]),
    summary: Cow::Borrowed(""),
    reads: Texts::Built(&[]),
    creates: Texts::Built(&[]),
    refuses: Texts::Built(&[]),
    limits: Texts::Built(&[]),
    nat: Cow::Borrowed(""),
    ipv6: Cow::Borrowed(""),
    references: Texts::Built(&[]),
};

impl Helper for Toy {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn attach(&self, _master: &Master, policy: &Policy) -> Box<dyn Session> {
        Box::new(ToySession { can_resume: policy.third_party })
    }
}

impl Session for ToySession {
    fn read(&mut self, cx: &mut Context<'_>, _from: Direction, bytes: &[u8]) -> Progress {
        let mut at = 0;
        while let Some(length) = bytes[at..].iter().position(|&b| b == b'\n') {
            match &bytes[at..at + length] {
                b"stop" => return Progress::Done,
                b"blind" => return Progress::Blind(BlindReason::NotThisProtocol),
                b"dark" => cx.condition(Condition::Encrypted),
                [b'x', ..] => cx.refuse(Refusal::Malformed, cx.span(at, at + length)),
                _ => {}
            }
            at += length + 1;
        }
        Progress::Consumed(at)
    }

    fn longest_message(&self) -> usize {
        100
    }

    fn pick_up(&mut self, _from: Direction) -> bool {
        self.can_resume
    }

    fn resynchronise(&mut self, _from: Direction) -> bool {
        self.can_resume
    }
}

fn reader(pickup: Pickup, can_resume: bool) -> Reader {
    let (client, server) = ("10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap());
    let (original, reply) = ((client, server), (server, client));
    let master = Master { version: IpVersion::V4, protocol: Protocol::TCP, original, reply };
    Reader::new(&Toy, master, Policy { third_party: can_resume, ..Policy::default() }, pickup)
}

fn send(reader: &mut Reader, flags: TcpFlags, sequence: u32, payload: &[u8]) -> Vec<Action> {
    let tcp = Tcp {
        source_port: 1,
        destination_port: 2,
        sequence,
        acknowledgement: 0,
        window: 0,
        flags,
        header_length: 20,
        checksum: 0,
        urgent: 0,
        payload_length: payload.len() as u32,
    };
    let mut actions = Vec::new();
    reader.segment(Time(0), Direction::Original, &tcp, payload, 0, &mut actions);
    actions
}

fn acknowledge(reader: &mut Reader, acknowledgement: u32) {
    let tcp = Tcp {
        source_port: 2,
        destination_port: 1,
        sequence: 0,
        acknowledgement,
        window: 0,
        flags: TcpFlags::ACK,
        header_length: 20,
        checksum: 0,
        urgent: 0,
        payload_length: 0,
    };
    reader.segment(Time(0), Direction::Reply, &tcp, &[], 0, &mut Vec::new());
}

const DATA: TcpFlags = TcpFlags::PSH;

#[test]
fn data_with_the_fin_is_read() {
    let mut reader = reader(Pickup::Strict, false);
    send(&mut reader, TcpFlags::SYN, 99, &[]);
    assert_eq!(send(&mut reader, TcpFlags::FIN, 100, b"x2\n").len(), 1);
    assert_eq!(reader.blind(), None);
}

#[test]
fn data_on_the_syn_is_read_when_it_is_sent_again() {
    let mut reader = reader(Pickup::Strict, false);
    assert_eq!(send(&mut reader, TcpFlags::SYN, 99, b"x1\n"), []);
    assert_eq!(send(&mut reader, DATA, 100, b"x1\n").len(), 1);
    assert_eq!(reader.blind(), None);
}

#[test]
fn what_is_not_of_the_stream_is_not_read() {
    let mut reader = reader(Pickup::Strict, false);
    send(&mut reader, TcpFlags::SYN, 99, &[]);
    assert_eq!(send(&mut reader, TcpFlags::RST, 100, b"x\n"), []);
    send(&mut reader, DATA, 100, b"y\n");
    assert_eq!(send(&mut reader, TcpFlags::SYN, 101, b"x\n"), []);
    assert_eq!(send(&mut reader, DATA, 102, b"x\n").len(), 1);
    assert_eq!(reader.blind(), None);
}

#[test]
fn quotes_are_those_of_the_latest_call() {
    let mut reader = reader(Pickup::Strict, false);
    send(&mut reader, TcpFlags::SYN, 99, &[]);
    let actions = send(&mut reader, DATA, 100, b"a\nxyz\nxw\n");
    let spans = [Span { start: 2, end: 5 }, Span { start: 6, end: 8 }];
    assert_eq!(actions, spans.map(|span| Action::Refuse(Refusal::Malformed, span)));
    assert_eq!(reader.quote(Direction::Original, spans[0]), b"xyz");
    assert_eq!(reader.quote(Direction::Original, spans[1]), b"xw");
    assert_eq!(reader.quote(Direction::Original, Span { start: 3, end: 5 }), b"yz");
    assert_eq!(reader.quote(Direction::Reply, spans[0]), b"");
    assert_eq!(reader.quote(Direction::Original, Span { start: 5, end: 2 }), b"");
    send(&mut reader, DATA, 109, b"\n");
    assert_eq!(reader.quote(Direction::Original, spans[0]), b"");
}

#[test]
fn the_beginning_must_be_seen() {
    let begin = |pickup, can_resume| {
        let mut reader = reader(pickup, can_resume);
        let actions = send(&mut reader, DATA, 100, b"x\n").len();
        (reader.blind(), actions)
    };
    assert_eq!(begin(Pickup::Strict, true), (Some(BlindReason::MidStream), 0));
    assert_eq!(begin(Pickup::Lenient, false), (Some(BlindReason::MidStream), 0));
    assert_eq!(begin(Pickup::Lenient, true), (None, 1));
}

#[test]
fn gaps_end_a_session_that_cannot_resynchronise() {
    for (can_resume, expected) in [(false, (Some(BlindReason::Gap), 0)), (true, (None, 1))] {
        let mut reader = reader(Pickup::Lenient, can_resume);
        send(&mut reader, TcpFlags::SYN, 99, &[]);
        send(&mut reader, DATA, 100, b"a\n");
        acknowledge(&mut reader, 110);
        let actions = send(&mut reader, DATA, 108, b"x\n").len();
        assert_eq!((reader.blind(), actions), expected);
    }
}

#[test]
fn an_ended_session_holds_nothing() {
    let ended = |line: &[u8]| {
        let mut reader = reader(Pickup::Strict, false);
        send(&mut reader, TcpFlags::SYN, 99, &[]);
        send(&mut reader, DATA, 100, line);
        let length = line.len() as u32;
        assert_eq!(send(&mut reader, DATA, 100 + length, b"x\n"), []);
        send(&mut reader, DATA, 10_000, &[b'y'; 1000]);
        assert!(!reader.is_reading());
        assert_eq!(reader.memory(), size_of::<Reader>());
        reader.blind()
    };
    assert_eq!(ended(b"stop\n"), None);
    assert_eq!(ended(b"blind\n"), Some(BlindReason::NotThisProtocol));
    assert_eq!(ended(&[b'y'; 101]), Some(BlindReason::MessageTooLong));
}

#[test]
fn the_condition_follows_the_session() {
    let mut reader = reader(Pickup::Strict, false);
    send(&mut reader, TcpFlags::SYN, 99, &[]);
    assert_eq!(reader.condition(), Condition::Reading);
    send(&mut reader, DATA, 100, b"dark\n");
    assert_eq!(reader.condition(), Condition::Encrypted);
}

#[test]
fn datagrams_are_read_one_by_one() {
    let mut reader = reader(Pickup::Strict, false);
    let mut actions = Vec::new();
    reader.datagram(Time(0), Direction::Reply, b"x\n", &mut actions);
    assert_eq!(actions.len(), 1);
    assert_eq!(reader.quote(Direction::Reply, Span { start: 0, end: 1 }), b"x");
    reader.datagram(Time(0), Direction::Reply, b"blind\n", &mut actions);
    assert_eq!(reader.blind(), Some(BlindReason::NotThisProtocol));
}

#[test]
fn an_announcement_is_dated_by_the_packet_that_brought_its_last_byte() {
    let mut reader = reader(Pickup::Strict, false);
    send(&mut reader, TcpFlags::SYN, 0, b"");
    let mut show = |packet: u64, sequence: u32, payload: &[u8]| {
        let tcp = Tcp {
            source_port: 1,
            destination_port: 2,
            sequence,
            acknowledgement: 0,
            window: 0,
            flags: DATA,
            header_length: 20,
            checksum: 0,
            urgent: 0,
            payload_length: payload.len() as u32,
        };
        let mut actions = Vec::new();
        let arrival = Arrival { time: Time(packet), packet };
        reader.segment(arrival, Direction::Original, &tcp, payload, 0, &mut actions);
        actions
            .iter()
            .map(|action| match action {
                Action::Refuse(_, span) => reader.arrival(Direction::Original, *span).unwrap().packet,
                other => panic!("{other:?}"),
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(show(7, 5, b"x2\nx3"), []);
    assert_eq!(show(8, 1, b"x11\n"), [8, 7]);
    assert_eq!(show(9, 10, b"\n"), [7], "its last byte came with packet 7, the line end with 9");
    assert_eq!(show(10, 11, b"x\n"), [10]);
}
