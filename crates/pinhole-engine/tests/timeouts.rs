//! Timeouts, told by the times of the packets: nobody calls the engine in between, so a conn whose time is up must be gone for the packet that
//! comes too late, whether or not anyone has removed it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap is the test's message")]

mod support;

use pinhole_engine::{Event, Settings, Verdict};
use pinhole_track::{DestroyCause, EndCause, State, Status};
use pinhole_wire::{Direction, TcpFlags};
use support::conversation::{Conversation, Segment, ping, syn, tcp, udp};
use support::lab::{Lab, address};

const C: Direction = Direction::Original;
const S: Direction = Direction::Reply;

const CLIENT: &str = "10.0.0.1:40000";
const SERVER: &str = "192.0.2.1:80";

/// Sends a packet, and an equal one of the same conn `seconds` later, to a fresh engine each: what `before` left must still be known just
/// before the timeout and unknown just after it.
fn assert_lives(seconds: u64, before: &[Vec<u8>], probe: &[u8]) {
    for (wait, known) in [(seconds - 1, true), (seconds + 1, false)] {
        for look in [false, true] {
            let mut lab = Lab::with_restarts(Settings::default(), None);
            lab.send_all(before);
            let conn = lab.engine.tracker().conns().next().unwrap();
            lab.pass(wait, look);
            if look {
                assert_eq!(lab.engine.tracker().len(), usize::from(known), "{seconds} s");
            }
            let outcome = lab.send(probe);
            assert_eq!(outcome.conn == Some(conn), known, "{seconds} s, after {wait}: {outcome:?}");
            let ended =
                |event: &Event| matches!(event, Event::ConnDestroy { cause: DestroyCause::Timeout, .. });
            assert_eq!(lab.events.iter().any(ended), !known, "{seconds} s, after {wait}");
        }
    }
}

fn seconds_left(lab: &Lab) -> u32 {
    let conn = lab.engine.tracker().conns().next().unwrap();
    // Rounded up: packets are a fraction of a second apart.
    lab.engine.tracker().timeout_left(conn, lab.now).unwrap()
}

#[test]
fn udp_and_icmp() {
    let question = udp(address(CLIENT), address("192.0.2.1:53"), b"?");
    let answer = udp(address("192.0.2.1:53"), address(CLIENT), b"!");
    assert_lives(30, std::slice::from_ref(&question), &question);
    // An answer alone does not make it a stream; going on for more than two seconds does.
    assert_lives(30, &[question.clone(), answer.clone()], &answer);
    for (wait, known) in [(119, true), (121, false)] {
        let mut lab = Lab::with_restarts(Settings::default(), None);
        lab.send_all([&question, &answer]);
        lab.jump(3);
        lab.send_all([&answer]);
        assert!(
            lab.engine
                .tracker()
                .status(lab.engine.tracker().conns().next().unwrap())
                .unwrap()
                .contains(Status::ASSURED)
        );
        lab.jump(wait);
        let state = lab.send(&question).state;
        assert_eq!(state, Some(if known { State::Established } else { State::New }));
    }
    let echo = ping("10.0.0.1".parse().unwrap(), "192.0.2.1".parse().unwrap(), 7);
    assert_lives(30, std::slice::from_ref(&echo), &echo);
}

#[test]
fn tcp_states() {
    let mut conn = Conversation::new(address(CLIENT), address(SERVER));
    let [first, second, third] = conn.handshake();
    let ack = conn.acknowledge(S);
    assert_lives(120, std::slice::from_ref(&first), &first);
    assert_lives(60, &[first.clone(), second.clone()], &third);
    let open = [first, second, third];
    assert_lives(432_000, &open, &ack);
    // Data that nobody acknowledges.
    let mut asks = open.to_vec();
    asks.push(conn.at(C, 0, b"GET /\r\n"));
    assert_lives(300, &asks, &ack);
    let [fin, other_fin, last] = conn.close();
    let mut closing = open.to_vec();
    closing.push(fin.clone());
    assert_lives(120, &closing, &fin);
    let mut half_closed = closing.clone();
    let mut acknowledged = Conversation::new(address(CLIENT), address(SERVER));
    acknowledged.deliver(C, 1);
    half_closed.push(acknowledged.acknowledge(S));
    assert_lives(60, &half_closed, &fin);
    closing.push(other_fin.clone());
    assert_lives(30, &closing, &other_fin);
    closing.push(last.clone());
    assert_lives(120, &closing, &last);
    let mut reset = open.to_vec();
    let fresh = Conversation::new(address(CLIENT), address(SERVER));
    reset.push(fresh.reset(S));
    assert_lives(10, &reset, &fresh.reset(S));
}

#[test]
fn every_packet_renews() {
    let mut lab = Lab::with_restarts(Settings::default(), None);
    let conn = Conversation::new(address(CLIENT), address(SERVER));
    lab.send_all(&conn.handshake());
    for from in [C, S, C, S, C] {
        lab.jump(431_000);
        assert_eq!(lab.send(&conn.acknowledge(from)).state, Some(State::Established));
        assert!((431_999..=432_000).contains(&seconds_left(&lab)), "{}", seconds_left(&lab));
    }
    // One that does not belong renews nothing.
    lab.jump(400_000);
    assert_eq!(lab.send(&conn.at(C, 1_000_000, b"far off")).state, Some(State::Invalid));
    assert!(seconds_left(&lab) <= 32_000);
}

const FTP: &str = r#"table inet firewall {
    ct helper ftp-reader { type "ftp" protocol tcp; }
    chain forward {
        type filter hook forward priority filter; policy drop;
        ct state established,related accept
        ct state new tcp dport 21 ct helper set "ftp-reader" accept
    }
}
"#;

#[test]
fn expectations_wait_five_minutes() {
    for (wait, state) in [(299, State::Related), (301, State::New)] {
        for look in [false, true] {
            let mut lab = Lab::with_restarts(Settings::default(), Some(FTP));
            let mut control = lab.connect(CLIENT, "192.0.2.1:21");
            lab.say(&mut control, S, b"220 ready\r\n");
            lab.say(&mut control, C, b"PORT 10,0,0,1,195,81\r\n");
            lab.pass(wait, look);
            let outcome = lab.syn("192.0.2.1:20", "10.0.0.1:50001");
            assert_eq!(outcome.state, Some(state));
            assert_eq!(outcome.verdict == Verdict::Accept, state == State::Related);
            let causes: Vec<_> = lab
                .events
                .iter()
                .filter_map(|event| match event {
                    Event::ExpectationEnd { cause, .. } => Some(*cause),
                    _ => None,
                })
                .collect();
            let cause = if state == State::Related { EndCause::Fulfilled } else { EndCause::Timeout };
            assert_eq!(causes, [cause]);
        }
    }
}

#[test]
fn the_data_conn_outlives_its_expectation_and_its_master() {
    let mut lab = Lab::with_restarts(Settings::default(), Some(FTP));
    let mut control = lab.connect(CLIENT, "192.0.2.1:21");
    lab.say(&mut control, S, b"220 ready\r\n");
    lab.say(&mut control, C, b"PORT 10,0,0,1,195,81\r\n");
    let data = Conversation::new(address("192.0.2.1:20"), address("10.0.0.1:50001"));
    lab.send_all(&data.handshake());
    let id = lab.expected().next().unwrap().expectation.id;
    lab.send_all(&control.close());
    lab.wait(1000);
    let outcome = lab.send(&data.acknowledge(S));
    assert_eq!((outcome.verdict, outcome.state), (Verdict::Accept, Some(State::Established)));
    assert_eq!(lab.engine.tracker().len(), 1);
    // It can still be told where it came from.
    assert_eq!(&*lab.engine.host().provenance(id).unwrap().bytes, b"PORT 10,0,0,1,195,81");
    lab.send_all([&data.reset(C)]);
    lab.wait(11);
    assert!(lab.engine.host().provenance(id).is_none());
}

#[test]
fn timeout_policies_of_the_ruleset() {
    const RULES: &str = r#"table ip firewall {
    ct timeout quick { protocol udp; policy = { unreplied : 5, replied : 10 }; }
    ct timeout patient { protocol tcp; policy = { syn_sent : 300, established : 100, close : 2 }; }
    chain prerouting {
        type filter hook prerouting priority mangle; policy accept;
        udp dport 53 ct timeout set "quick"
        tcp dport 80 ct timeout set "patient"
    }
    chain forward {
        type filter hook forward priority filter; policy drop;
        ct state established,related accept
        ct state new accept
    }
}
"#;
    let question = udp(address(CLIENT), address("192.0.2.1:53"), b"?");
    let answer = udp(address("192.0.2.1:53"), address(CLIENT), b"!");
    for (wait, state) in [(4, State::Established), (6, State::New)] {
        let mut lab = Lab::with_restarts(Settings::default(), Some(RULES));
        lab.send_all([&question]);
        lab.jump(wait);
        assert_eq!(lab.send(&answer).state, Some(state));
    }
    for (wait, state) in [(9, State::Established), (11, State::New)] {
        let mut lab = Lab::with_restarts(Settings::default(), Some(RULES));
        lab.send_all([&question, &answer]);
        lab.jump(3);
        lab.send_all([&answer]);
        lab.jump(wait);
        assert_eq!(lab.send(&answer).state, Some(state));
    }
    // Other ports keep the defaults.
    let mut lab = Lab::with_restarts(Settings::default(), Some(RULES));
    lab.send_all([&udp(address(CLIENT), address("192.0.2.1:54"), b"?")]);
    assert!((29..=30).contains(&seconds_left(&lab)));

    let mut lab = Lab::with_restarts(Settings::default(), Some(RULES));
    let conn = Conversation::new(address(CLIENT), address(SERVER));
    lab.send_all([&conn.handshake()[0]]);
    assert!((299..=300).contains(&seconds_left(&lab)));
    lab.send_all(&conn.handshake()[1..]);
    assert!((99..=100).contains(&seconds_left(&lab)));
    // A timeout that the policy does not name keeps its default.
    let mut closing = conn.clone();
    lab.send_all([&closing.close()[0]]);
    assert!((119..=120).contains(&seconds_left(&lab)));
    lab.send_all([&conn.reset(S)]);
    assert!(seconds_left(&lab) <= 2);
}

#[test]
fn expectation_objects_of_the_ruleset() {
    const RULES: &str = r#"table ip firewall {
    ct expectation callback { protocol tcp; dport 9876; timeout 2m; size 1; l3proto ip; }
    chain forward {
        type filter hook forward priority filter; policy drop;
        ct state established,related accept
        ct state new tcp dport 8888 ct expectation set "callback" accept
    }
}
"#;
    let announce = || {
        let mut lab = Lab::with_restarts(Settings::default(), Some(RULES));
        lab.connect(CLIENT, "192.0.2.1:8888");
        lab
    };
    let mut lab = announce();
    lab.jump(119);
    // From the server only, to that port only, once only.
    for (source, destination) in [
        ("192.0.2.2:5000", "10.0.0.1:9876"),
        ("192.0.2.1:5000", "10.0.0.1:9877"),
        ("192.0.2.1:5000", "10.0.0.2:9876"),
    ] {
        lab.assert_shut(source, destination);
    }
    let packet = tcp(
        address("192.0.2.1:5000"),
        address("10.0.0.1:9876"),
        &Segment { flags: TcpFlags::SYN, ..Segment::default() },
    );
    let outcome = lab.send(&packet);
    assert_eq!((outcome.verdict, outcome.state), (Verdict::Accept, Some(State::Related)));
    lab.assert_shut("192.0.2.1:5001", "10.0.0.1:9876");

    let mut lab = announce();
    lab.jump(121);
    let outcome = lab.send(&syn(address("192.0.2.1:5000"), address("10.0.0.1:9876")));
    assert_eq!((outcome.verdict, outcome.state), (Verdict::Drop, Some(State::New)));
}
