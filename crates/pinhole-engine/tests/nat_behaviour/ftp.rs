//! Control conns through NAT: what is announced is rewritten, and the announced conn follows its master.

use super::support::conversation::Conversation;
use super::support::lab::{Lab, address};
use super::{ends, from_to, lab, leaves};
use pinhole_engine::{Reason, Verdict};
use pinhole_track::State;
use pinhole_wire::{Direction, Packet, Transport};

pub(crate) const C: Direction = Direction::Original;
pub(crate) const S: Direction = Direction::Reply;

/// A TCP conn as each of its ends knows it.
pub(crate) struct Session {
    as_client: Conversation,
    as_server: Conversation,
}

impl Session {
    /// Opens a conn from `client` to `server`, as the client calls them; the server answers whom it sees.
    pub(crate) fn open(lab: &mut Lab, client: &str, server: &str) -> Self {
        let as_client = Conversation::new(address(client), address(server));
        let [first, _, _] = as_client.handshake();
        let (seen_client, seen_server) = leaves(lab, &first);
        let as_server = Conversation::new(seen_client, seen_server);
        let [_, answer, _] = as_server.handshake();
        assert_eq!(leaves(lab, &answer), (address(server), address(client)));
        let session = Self { as_client, as_server };
        let [_, _, last] = session.as_client.handshake();
        leaves(lab, &last);
        session
    }

    /// One end says something; returns what the other end gets, as text.
    pub(crate) fn say(&mut self, lab: &mut Lab, from: Direction, bytes: &[u8]) -> String {
        let (own, other) = self.sides(from);
        let datagram = own.say(from, bytes);
        let outcome = lab.send(&datagram);
        assert!(matches!(outcome.verdict, Verdict::Accept | Verdict::Held), "{outcome:?}");
        let mut text = String::new();
        let towards = if from == C { other.server } else { other.client };
        // What else leaves goes back: an acknowledgement of bytes that are held.
        for left in lab.left.iter().filter(|left| ends(left).1 == towards) {
            let packet = Packet::parse(left, 0).unwrap();
            let Transport::Tcp(tcp) = &packet.transport else { panic!("{packet:?}") };
            let payload = packet.payload_bytes(left);
            // In order, without a gap: the numbers are those that the receiver waits for.
            let template = other.at(from, other.sent(from), payload);
            let Transport::Tcp(wanted) = Packet::parse(&template, 0).unwrap().transport else { panic!() };
            assert_eq!(tcp.sequence, wanted.sequence, "{}", payload.escape_ascii());
            assert_eq!(tcp.acknowledgement, wanted.acknowledgement, "{}", payload.escape_ascii());
            other.deliver(from, other.sent(from) + payload.len() as u32);
            text.push_str(&payload.escape_ascii().to_string());
        }
        text
    }

    /// Bytes that an end has sent, as it counts.
    pub(crate) fn sent(&mut self, from: Direction) -> u32 {
        self.sides(from).0.sent(from)
    }

    /// A segment of an end at an offset of its stream.
    pub(crate) fn at(&mut self, from: Direction, offset: u32, bytes: &[u8]) -> Vec<u8> {
        self.sides(from).0.at(from, offset, bytes)
    }

    /// An RST.
    pub(crate) fn reset(&mut self, from: Direction) -> Vec<u8> {
        self.sides(from).0.reset(from)
    }

    fn sides(&mut self, from: Direction) -> (&mut Conversation, &mut Conversation) {
        match from {
            Direction::Original => (&mut self.as_client, &mut self.as_server),
            Direction::Reply => (&mut self.as_server, &mut self.as_client),
        }
    }
}

/// A session up to its log-in.
fn ftp(lab: &mut Lab, client: &str, server: &str) -> Session {
    let mut session = Session::open(lab, client, server);
    session.say(lab, S, b"220 ready\r\n");
    session.say(lab, C, b"USER ftp\r\n");
    session.say(lab, S, b"230 in\r\n");
    session
}

/// The first packet of an announced conn: related, and translated.
fn related(lab: &mut Lab, source: &str, destination: &str) -> (std::net::SocketAddr, std::net::SocketAddr) {
    let outcome = lab.syn(source, destination);
    assert_eq!((outcome.verdict, outcome.state), (Verdict::Accept, Some(State::Related)), "{outcome:?}");
    ends(&lab.left[0])
}

#[test]
fn a_passive_transfer_of_a_server_behind_a_public_address_and_another_port() {
    let mut lab = lab("tcp dport 2121 ip daddr 203.0.113.7 dnat ip to 10.0.0.5:21", "");
    let mut session = ftp(&mut lab, "192.0.2.9:4000", "203.0.113.7:2121");
    session.say(&mut lab, C, b"PASV\r\n");
    let answer = session.say(&mut lab, S, b"227 Entering Passive Mode (10,0,0,5,195,81).\r\n");
    assert_eq!(answer, "227 Entering Passive Mode (203,0,113,7,195,81).\\r\\n");
    session.say(&mut lab, C, b"RETR x\r\n");
    let ends = related(&mut lab, "192.0.2.9:4001", "203.0.113.7:50001");
    assert_eq!(ends, from_to("192.0.2.9:4001", "10.0.0.5:50001"));
}

#[test]
fn an_extended_passive_answer_names_a_port_alone() {
    let mut lab = lab("ip daddr 203.0.113.7 dnat ip to 10.0.0.5", "");
    let mut session = ftp(&mut lab, "192.0.2.9:4000", "203.0.113.7:21");
    session.say(&mut lab, C, b"EPSV\r\n");
    let answer = session.say(&mut lab, S, b"229 Extended Passive Mode (|||50001|)\r\n");
    assert_eq!(answer, "229 Extended Passive Mode (|||50001|)\\r\\n");
    assert_eq!(related(&mut lab, "192.0.2.9:4001", "203.0.113.7:50001").1, address("10.0.0.5:50001"));
}

#[test]
fn both_ends_behind_nat_and_a_hairpin() {
    let mut lab = lab(
        "ip daddr 203.0.113.7 dnat ip to 10.0.0.5",
        "ip saddr 10.0.0.0/8 ct status dnat snat ip to 203.0.113.7",
    );
    let mut session = ftp(&mut lab, "10.0.0.6:4000", "203.0.113.7:21");
    assert_eq!(session.say(&mut lab, C, b"PORT 10,0,0,6,195,81\r\n"), "PORT 203,0,113,7,195,81\\r\\n");
    session.say(&mut lab, S, b"200 ok\r\n");
    let ends = related(&mut lab, "10.0.0.5:20", "203.0.113.7:50001");
    assert_eq!(ends, from_to("203.0.113.7:20", "10.0.0.6:50001"));
    session.say(&mut lab, C, b"PASV\r\n");
    let answer = session.say(&mut lab, S, b"227 Entering Passive Mode (10,0,0,5,195,90)\r\n");
    assert_eq!(answer, "227 Entering Passive Mode (203,0,113,7,195,90)\\r\\n");
    let ends = related(&mut lab, "10.0.0.6:4001", "203.0.113.7:50010");
    assert_eq!(ends, from_to("203.0.113.7:4001", "10.0.0.5:50010"));
}

/// The port in `PORT 203,0,113,7,195,81\r\n`, escaped.
pub(crate) fn announced_port(command: &str) -> u16 {
    let numbers: Vec<u16> = command
        .trim_start_matches("PORT ")
        .trim_end_matches("\\r\\n")
        .split(',')
        .map(|number| number.parse().unwrap())
        .collect();
    assert_eq!(numbers[..4], [203, 0, 113, 7]);
    numbers[4] * 256 + numbers[5]
}

/// Every port that could be announced is another's: the command is refused, and stays so however often it is sent.
#[test]
fn a_refused_announcement_stays_refused() {
    let mut settings = super::settings();
    settings.track.max_expectations_per_source = 1;
    let rules = super::rules("", "ip saddr 10.0.0.0/8 snat ip to 203.0.113.7");
    let mut lab = Lab::new(settings, Some(&rules));
    let mut first = ftp(&mut lab, "10.0.0.5:4000", "192.0.2.1:21");
    first.say(&mut lab, C, b"PORT 10,0,0,5,195,81\r\n");
    let mut session = ftp(&mut lab, "10.0.0.5:4001", "192.0.2.1:21");
    let before = session.sent(C);
    let refused = |lab: &mut Lab, segment: &[u8]| {
        let outcome = lab.send(segment);
        assert_eq!((outcome.verdict, outcome.reason), (Verdict::Drop, Some(Reason::AnnouncementRefused)));
        assert!(lab.left.is_empty());
    };
    let command = b"PORT 10,0,0,5,195,91\r\n";
    refused(&mut lab, &session.at(C, before, command));
    assert_eq!(lab.refusals().last().unwrap().0, pinhole_helper::Refusal::Limit);
    // Sent again: whole, in parts, with what was before it, with what is behind it; when there is room again, too.
    refused(&mut lab, &session.at(C, before, command));
    refused(&mut lab, &session.at(C, before, b"PORT 10,0,"));
    refused(&mut lab, &session.at(C, before + 10, b"0,5,195,91\r\n"));
    refused(&mut lab, &session.at(C, before - 10, b"USER ftp\r\nPORT 10,0,0,5,195,91\r\n"));
    refused(&mut lab, &session.at(C, before + command.len() as u32, b"LIST\r\n"));
    leaves(&mut lab, &first.reset(C));
    refused(&mut lab, &session.at(C, before, command));
    // What went before it may be repeated; the server is heard, and either end may end the conn.
    leaves(&mut lab, &session.at(C, before - 10, b"USER ftp\r\n"));
    assert_eq!(session.say(&mut lab, S, b"421 timeout\r\n"), "421 timeout\\r\\n");
    leaves(&mut lab, &session.reset(C));
}

/// As above, of a command whose first half is held.
#[test]
fn what_is_held_of_a_refused_announcement_never_leaves() {
    let mut settings = super::settings();
    settings.track.max_expectations_per_source = 1;
    let rules = super::rules("", "ip saddr 10.0.0.0/8 snat ip to 203.0.113.7");
    let mut lab = Lab::new(settings, Some(&rules));
    let mut first = ftp(&mut lab, "10.0.0.5:4000", "192.0.2.1:21");
    first.say(&mut lab, C, b"PORT 10,0,0,5,195,81\r\n");
    let mut session = ftp(&mut lab, "10.0.0.5:4001", "192.0.2.1:21");
    let before = session.sent(C);
    assert_eq!(session.say(&mut lab, C, b"PORT 10,0,"), "");
    let rest = lab.send(&session.at(C, before + 10, b"0,5,195,91\r\n"));
    assert_eq!(rest.reason, Some(Reason::AnnouncementRefused));
    lab.now = lab.now.plus_seconds(3);
    lab.engine.advance(lab.now, 100);
    assert_eq!(lab.engine.output().count(), 0);
    assert_eq!(lab.send(&session.at(C, before, b"PORT 10,0,")).verdict, Verdict::Drop);
}

/// Limits are each host's own, though all are known by one address.
#[test]
fn a_host_s_announcements_do_not_use_up_those_of_others() {
    let mut settings = super::settings();
    settings.track.max_expectations_per_source = 2;
    let rules = super::rules("", "ip saddr 10.0.0.0/8 snat ip to 203.0.113.7");
    let mut lab = Lab::new(settings, Some(&rules));
    let mut greedy: Vec<Session> =
        (0..3).map(|i| ftp(&mut lab, &format!("10.0.0.5:{}", 4000 + i), "192.0.2.1:21")).collect();
    for (i, session) in greedy.iter_mut().take(2).enumerate() {
        let command = format!("PORT 10,0,0,5,195,{i}\r\n");
        assert_eq!(announced_port(&session.say(&mut lab, C, command.as_bytes())), 49_920 + i as u16);
    }
    let third = greedy[2].sent(C);
    let refused = lab.send(&greedy[2].at(C, third, b"PORT 10,0,0,5,195,9\r\n"));
    assert_eq!(refused.reason, Some(Reason::AnnouncementRefused));
    let mut other = ftp(&mut lab, "10.0.0.6:4000", "192.0.2.1:21");
    assert_eq!(announced_port(&other.say(&mut lab, C, b"PORT 10,0,0,6,195,81\r\n")), 50_001);
}

#[test]
fn texts_grow_and_shrink_in_one_stream() {
    let mut lab = lab("", "ip saddr 10.0.0.0/8 snat ip to 203.0.113.7");
    let mut session = ftp(&mut lab, "10.200.100.200:4000", "192.0.2.1:21");
    for round in 0..20u8 {
        let port = format!("PORT 10,200,100,200,{},{round}\r\n", 195 + round % 2);
        let wanted = format!("PORT 203,0,113,7,{},{round}\\r\\n", 195 + round % 2);
        assert_eq!(session.say(&mut lab, C, port.as_bytes()), wanted);
        assert_eq!(session.say(&mut lab, S, b"200 ok\r\n"), "200 ok\\r\\n");
        assert_eq!(session.say(&mut lab, C, b"NOOP\r\n"), "NOOP\\r\\n");
    }
}
