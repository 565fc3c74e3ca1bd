//! SIP and RTSP through the whole engine, behind a ruleset that drops what nobody announced: calls, registrations and streams as they should
//! be, and the ways to make a firewall open what it must not (numbers as in `shared/reference/helpers.md` §4.3). Each of those opens nothing.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap is the test's message")]

mod support;

use pinhole_engine::{Outcome, Settings, Verdict};
use pinhole_helper::{BlindReason, Policy, Refusal};
use pinhole_track::State;
use pinhole_wire::Direction;
use support::conversation::{Conversation, fragment, udp};
use support::lab::{Lab, address};

const RULES: &str = r#"table inet firewall {
    ct helper sip-udp { type "sip" protocol udp; }
    ct helper sip-tcp { type "sip" protocol tcp; }
    ct helper rtsp-reader { type "rtsp" protocol tcp; }
    chain forward {
        type filter hook forward priority filter; policy drop;
        ct state invalid drop
        ct state established,related accept
        ip saddr 10.0.0.0/8 ct state new udp dport 5060 ct helper set "sip-udp" accept
        ip saddr 10.0.0.0/8 ct state new tcp dport 5060 ct helper set "sip-tcp" accept
        ip saddr 10.0.0.0/8 ct state new tcp dport 554 ct helper set "rtsp-reader" accept
    }
}
"#;

const C: Direction = Direction::Original;
const S: Direction = Direction::Reply;

const PHONE: &str = "10.0.0.1:5060";
const PROXY: &str = "192.0.2.1:5060";
const VICTIM: &str = "10.0.0.9:5060";

fn lab() -> Lab {
    Lab::with_restarts(Settings::default(), Some(RULES))
}

/// A datagram from one end to another.
fn send(lab: &mut Lab, source: &str, destination: &str, text: &str) -> Outcome {
    lab.send(&udp(address(source), address(destination), text.as_bytes()))
}

/// A datagram that must be accepted.
fn say(lab: &mut Lab, source: &str, destination: &str, text: &str) {
    let outcome = send(lab, source, destination, text);
    assert_eq!(outcome.verdict, Verdict::Accept, "{source} > {destination}: {outcome:?}");
}

/// A datagram of the media or of a new call.
fn comes_in(lab: &mut Lab, source: &str, destination: &str) -> bool {
    let outcome = send(lab, source, destination, "OPTIONS sip:a SIP/2.0\r\n\r\n");
    assert!(matches!(outcome.state, Some(State::New | State::Related | State::Established)), "{outcome:?}");
    outcome.verdict == Verdict::Accept
}

fn message(start: &str, number: u32, method: &str, fields: &str, body: &str) -> String {
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "{start}\r\nVia: SIP/2.0/UDP 10.0.0.1\r\nFrom: <sip:a@x>;tag=a\r\nTo: <sip:b@x>;tag=b\r\nCall-ID: 1\r\n\
         CSeq: {number} {method}\r\n{fields}{kind}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn audio(host: &str, port: u16) -> String {
    format!("v=0\r\ns=-\r\nc=IN IP4 {host}\r\nm=audio {port} RTP/AVP 0\r\n")
}

fn invite(body: &str) -> String {
    message("INVITE sip:b@x SIP/2.0", 1, "INVITE", "", body)
}

fn register(number: u32, contact: &str) -> String {
    message("REGISTER sip:x SIP/2.0", number, "REGISTER", &format!("Contact: <sip:{contact}>\r\n"), "")
}

fn granted(number: u32, seconds: u32) -> String {
    message("SIP/2.0 200 OK", number, "REGISTER", &format!("Expires: {seconds}\r\n"), "")
}

#[test]
fn media_of_a_call_come_in() {
    let mut lab = lab();
    assert!(!comes_in(&mut lab, "192.0.2.1:40000", "10.0.0.1:30000"));
    say(&mut lab, PHONE, PROXY, &invite(&audio("10.0.0.1", 30000)));
    say(&mut lab, PROXY, PHONE, &message("SIP/2.0 200 OK", 1, "INVITE", "", &audio("192.0.2.1", 40000)));
    for destination in ["10.0.0.1:30002", "10.0.0.2:30000"] {
        assert!(!comes_in(&mut lab, "192.0.2.1:40000", destination));
    }
    assert!(!comes_in(&mut lab, "192.0.2.2:40000", "10.0.0.1:30000"));
    assert!(comes_in(&mut lab, "192.0.2.1:40000", "10.0.0.1:30000"));
    assert!(comes_in(&mut lab, "192.0.2.1:40001", "10.0.0.1:30001"));
    // Outside, too: to where the other end listens, and nowhere else.
    assert!(comes_in(&mut lab, "10.0.0.1:30000", "192.0.2.1:40000"));
    assert!(!comes_in(&mut lab, "10.0.0.1:30000", "192.0.2.1:40002"));
}

/// What the proxy passes on for one of the phones that it rings.
fn answer_of(phone: &str, code: u16, body: &str) -> String {
    let answer = message(&format!("SIP/2.0 {code} Whatever"), 1, "INVITE", "", body);
    answer.replace("tag=b", &format!("tag={phone}"))
}

#[test]
fn media_of_a_call_through_a_proxy_come_from_the_phone_that_answers() {
    let mut lab = lab();
    say(&mut lab, PHONE, PROXY, &invite(&audio("10.0.0.1", 30000)));
    say(&mut lab, PROXY, PHONE, &answer_of("one", 183, &audio("198.51.100.1", 40000)));
    // Not from the proxy any more, nor from anybody else.
    for source in ["192.0.2.1:40000", "198.51.100.2:40000"] {
        assert!(!comes_in(&mut lab, source, "10.0.0.1:30000"));
    }
    assert!(comes_in(&mut lab, "198.51.100.1:40000", "10.0.0.1:30000"));
    // Another phone takes the call: its media come in, too.
    say(&mut lab, PROXY, PHONE, &answer_of("two", 200, &audio("198.51.100.2", 50000)));
    say(&mut lab, PROXY, PHONE, &answer_of("two", 200, &audio("198.51.100.2", 50000)));
    assert!(!comes_in(&mut lab, "198.51.100.1:40001", "10.0.0.1:30001"));
    assert!(comes_in(&mut lab, "198.51.100.2:50000", "10.0.0.1:30000"));
    assert!(comes_in(&mut lab, "198.51.100.2:50001", "10.0.0.1:30001"));
    // The caller answers whom it hears, and may call nobody else.
    assert!(comes_in(&mut lab, "10.0.0.1:30000", "198.51.100.2:50000"));
    assert!(!comes_in(&mut lab, "10.0.0.1:30002", "198.51.100.2:50000"));
    // Each is entered once.
    assert!(!comes_in(&mut lab, "198.51.100.2:50002", "10.0.0.1:30000"));
}

#[test]
fn a_call_on_hold_is_expected_from_the_signalling_end() {
    let mut lab = lab();
    say(&mut lab, PHONE, PROXY, &invite(&audio("10.0.0.1", 30000)));
    say(&mut lab, PROXY, PHONE, &answer_of("one", 183, &audio("198.51.100.1", 40000)));
    say(&mut lab, PROXY, PHONE, &answer_of("one", 200, &audio("0.0.0.0", 40000)));
    assert!(!comes_in(&mut lab, "198.51.100.1:40000", "10.0.0.1:30000"));
    assert!(comes_in(&mut lab, "192.0.2.1:40000", "10.0.0.1:30000"));
}

#[test]
fn a_proxy_introduces_the_caller_and_nobody_else_if_that_is_allowed() {
    let policy = Policy { introductions: true, ..Policy::default() };
    let mut lab = Lab::with_restarts(Settings { policy, ..Settings::default() }, Some(RULES));
    say(&mut lab, PHONE, PROXY, &invite(&audio("10.0.0.1", 30000)));
    say(&mut lab, PROXY, PHONE, &answer_of("one", 200, &audio("198.51.100.1", 40000)));
    for source in ["10.0.0.2:30000", "192.0.2.1:30000"] {
        assert!(!comes_in(&mut lab, source, "198.51.100.1:40000"));
    }
    assert!(comes_in(&mut lab, "10.0.0.1:30000", "198.51.100.1:40000"));
    assert!(comes_in(&mut lab, "198.51.100.1:40001", "10.0.0.1:30001"));
    // Whoever opened the conn leads to itself only (slipstreaming), whatever the other one says next.
    say(&mut lab, PHONE, PROXY, &invite(&audio("10.0.0.9", 5060)).replace("CSeq: 1", "CSeq: 2"));
    say(
        &mut lab,
        PROXY,
        PHONE,
        &answer_of("one", 200, &audio("10.0.0.9", 5062)).replace("CSeq: 1", "CSeq: 2"),
    );
    for source in ["192.0.2.1:40000", "198.51.100.1:40000"] {
        for victim in [VICTIM, "10.0.0.9:5062"] {
            assert!(!comes_in(&mut lab, source, victim), "{source} > {victim}");
        }
    }
    // Nor is what the caller was led to aimed at somebody else by what the caller says.
    say(&mut lab, PROXY, PHONE, &answer_of("one", 200, &audio("198.51.100.7", 40000)));
    say(&mut lab, PHONE, PROXY, &invite(&audio("203.0.113.66", 5060)).replace("CSeq: 1", "CSeq: 3"));
    assert!(!comes_in(&mut lab, "203.0.113.66:40000", "198.51.100.7:40000"));
    assert!(comes_in(&mut lab, "10.0.0.1:30004", "198.51.100.7:40000"));
}

#[test]
fn the_end_of_a_call_closes_what_was_not_used() {
    let mut lab = lab();
    say(&mut lab, PHONE, PROXY, &invite(&audio("10.0.0.1", 30000)));
    say(&mut lab, PHONE, PROXY, &message("BYE sip:b SIP/2.0", 2, "BYE", "", ""));
    assert!(!comes_in(&mut lab, "192.0.2.1:40000", "10.0.0.1:30000"));
    say(&mut lab, PHONE, PROXY, &invite(&audio("10.0.0.1", 30000)));
    lab.wait(181);
    assert!(!comes_in(&mut lab, "192.0.2.1:40000", "10.0.0.1:30000"));
}

#[test]
fn a_registered_phone_is_called_for_as_long_as_granted() {
    let mut lab = lab();
    say(&mut lab, "10.0.0.1:40000", PROXY, &register(1, "a@10.0.0.1:5070"));
    assert!(!comes_in(&mut lab, "192.0.2.1:5061", "10.0.0.1:5070"));
    say(&mut lab, PROXY, "10.0.0.1:40000", &granted(1, 1000));
    // Longer than an idle UDP conn lives.
    lab.wait(900);
    assert!(!comes_in(&mut lab, "192.0.2.2:5061", "10.0.0.1:5070"));
    // The call is read: its answer opens the phone's media.
    let call = invite(&audio("192.0.2.1", 40000)).replace("Call-ID: 1", "Call-ID: 2");
    say(&mut lab, "192.0.2.1:5061", "10.0.0.1:5070", &call);
    let answer = message("SIP/2.0 200 OK", 1, "INVITE", "", &audio("10.0.0.1", 30000));
    say(&mut lab, "10.0.0.1:5070", "192.0.2.1:5061", &answer.replace("Call-ID: 1", "Call-ID: 2"));
    assert!(comes_in(&mut lab, "192.0.2.1:40000", "10.0.0.1:30000"));
    // Another caller of the same proxy.
    assert!(comes_in(&mut lab, "192.0.2.1:5062", "10.0.0.1:5070"));
    lab.wait(101);
    assert!(!comes_in(&mut lab, "192.0.2.1:5063", "10.0.0.1:5070"));
}

#[test]
fn attack_12_third_parties() {
    let mut lab = lab();
    say(&mut lab, PHONE, PROXY, &register(1, "a@10.0.0.9:5060"));
    say(&mut lab, PROXY, PHONE, &granted(1, 1000));
    say(&mut lab, PHONE, PROXY, &register(2, "a@10.0.0.1@10.0.0.9"));
    say(&mut lab, PROXY, PHONE, &granted(2, 1000));
    say(&mut lab, PHONE, PROXY, &invite(&audio("10.0.0.9", 5060)));
    let refusals: Vec<Refusal> = lab.refusals().into_iter().map(|(why, _)| why).collect();
    let foreign = Refusal::ForeignAddress;
    assert_eq!(refusals, [foreign, Refusal::Malformed, foreign, foreign]);
    lab.assert_nothing_open();
    assert!(!comes_in(&mut lab, PROXY, VICTIM));
    // The other end sends the phone's firewall elsewhere inside.
    say(&mut lab, PROXY, PHONE, &message("SIP/2.0 200 OK", 1, "INVITE", "", &audio("10.0.0.9", 30000)));
    say(&mut lab, PROXY, PHONE, &message("INVITE sip:a SIP/2.0", 5, "INVITE", "", &audio("10.0.0.9", 30000)));
    lab.assert_nothing_open();
    assert!(!comes_in(&mut lab, "192.0.2.1:40000", "10.0.0.9:30000"));
}

#[test]
fn attack_12_lengths_and_folds() {
    let body = audio("10.0.0.1", 30000);
    let whole = invite(&body);
    let length = format!("Content-Length: {}", body.len());
    for bad in ["Content-Length: 4294967296", "Content-Length: -1", "Content-Length: 1\r\nl: 2"] {
        let mut lab = lab();
        say(&mut lab, PHONE, PROXY, &whole.replace(&length, bad));
        assert_eq!(lab.refusals().len(), 1, "{bad}");
        lab.assert_nothing_open();

        let mut lab = self::lab();
        let mut stream = lab.connect("10.0.0.1:40000", PROXY);
        lab.say(&mut stream, C, whole.replace(&length, bad).as_bytes());
        assert_eq!(lab.blind(), [BlindReason::TooManyErrors], "{bad}");
        lab.assert_nothing_open();
    }
    // A folded line is not a field of its own.
    let mut lab = lab();
    let folded =
        register(1, "b@host.example").replace("Call-ID", "Subject: x\r\n Contact: <sip:10.0.0.1>\r\nCall-ID");
    say(&mut lab, PHONE, PROXY, &folded);
    say(&mut lab, PROXY, PHONE, &granted(1, 1000));
    lab.assert_nothing_open();
}

/// A page in the phone's browser makes it send text to port 5060, cut so that a segment or fragment begins like SIP.
#[test]
fn attack_17_slipstreaming() {
    let bait = register(1, "a@10.0.0.1:3306");
    for opening in ["POST /x HTTP/1.1\r\nHost: x\r\n\r\n", "\0\u{1}\0\u{8}!\u{12}x", "a=b&c="] {
        let mut lab = lab();
        let mut stream = lab.connect("10.0.0.1:40000", PROXY);
        lab.say(&mut stream, C, opening.as_bytes());
        lab.say(&mut stream, C, format!("{}\r\n\r\n", "x".repeat(5000)).as_bytes());
        lab.say(&mut stream, C, bait.as_bytes());
        lab.say(&mut stream, S, granted(1, 1000).as_bytes());
        assert_eq!(lab.blind().len(), 1, "{opening:?}");
        lab.assert_nothing_open();
        lab.assert_shut("192.0.2.1:5060", "10.0.0.1:3306");
    }
    // Over UDP, as the second fragment of a datagram that begins with something else. (Fragments that wait do not outlive a restart.)
    let mut lab = Lab::new(Settings::default(), Some(RULES));
    let text = format!("\0\u{1}{}\r\n{bait}", "x".repeat(1468));
    let datagram = udp(address("10.0.0.1:40000"), address(PROXY), text.as_bytes());
    let data = datagram.len() - 20;
    lab.send(&fragment(&datagram, 7, 0, 1480));
    lab.send(&fragment(&datagram, 7, 1480, data));
    assert_eq!(lab.blind(), [BlindReason::NotThisProtocol]);
    lab.assert_nothing_open();
}

#[test]
fn attack_15_exhaustion() {
    let mut lab = lab();
    for number in 0..2000u32 {
        let port = u16::try_from(10_000 + 2 * number).unwrap();
        let call = invite(&audio("10.0.0.1", port)).replace("Call-ID: 1", &format!("Call-ID: {number}"));
        say(&mut lab, PHONE, PROXY, &call);
    }
    // The class's limit; the latest are the ones that are kept.
    assert_eq!(lab.engine.tracker().expectations().count(), 128);
    assert!(comes_in(&mut lab, "192.0.2.1:40000", "10.0.0.1:13998"));
    assert!(lab.engine.host().memory() < 256 * 1024, "{}", lab.engine.host().memory());
}

/// An RTSP conn, and one side's words on it.
struct Stream {
    lab: Lab,
    control: Conversation,
}

impl Stream {
    fn new() -> Self {
        let mut lab = lab();
        let control = lab.connect("10.0.0.1:40000", "192.0.2.1:554");
        Self { lab, control }
    }

    fn setup(&mut self, transport: &str) {
        let text = format!("SETUP rtsp://x/a RTSP/1.0\r\nCSeq: 1\r\nTransport: {transport}\r\n\r\n");
        self.lab.say(&mut self.control, C, text.as_bytes());
    }

    fn answer(&mut self, code: u16, transport: &str) {
        let text = format!("RTSP/1.0 {code} X\r\nCSeq: 1\r\nSession: 4\r\nTransport: {transport}\r\n\r\n");
        self.lab.say(&mut self.control, S, text.as_bytes());
    }
}

#[test]
fn streams_come_in_between_setup_and_teardown() {
    let mut stream = Stream::new();
    stream.setup("RTP/AVP;unicast;client_port=4588-4589");
    assert!(!comes_in(&mut stream.lab, "192.0.2.1:6256", "10.0.0.1:4588"));
    stream.answer(200, "RTP/AVP;unicast;client_port=4588-4589;server_port=6256-6257");
    assert!(comes_in(&mut stream.lab, "192.0.2.1:6256", "10.0.0.1:4588"));
    assert!(comes_in(&mut stream.lab, "10.0.0.1:4589", "192.0.2.1:6257"));
    assert!(!comes_in(&mut stream.lab, "192.0.2.2:6256", "10.0.0.1:4588"));
    // Paused for longer than the conn lives.
    stream.lab.wait(290);
    stream.lab.say(&mut stream.control, C, b"PLAY rtsp://x/a RTSP/1.0\r\nCSeq: 2\r\nSession: 4\r\n\r\n");
    stream.lab.wait(200);
    assert!(comes_in(&mut stream.lab, "192.0.2.1:6256", "10.0.0.1:4588"));
    stream.lab.say(&mut stream.control, C, b"TEARDOWN rtsp://x/a RTSP/1.0\r\nCSeq: 3\r\nSession: 4\r\n\r\n");
    assert!(!comes_in(&mut stream.lab, "192.0.2.1:7000", "10.0.0.1:4589"));
}

#[test]
fn streams_to_third_parties_and_without_consent_do_not() {
    for (offer, choice) in [
        (
            "RTP/AVP;unicast;client_port=4588-4589;destination=10.0.0.9",
            "RTP/AVP;unicast;client_port=4588-4589",
        ),
        ("RTP/AVP;unicast;dest_addr=\"10.0.0.9:4588\"", "RTP/AVP;unicast;dest_addr=\"10.0.0.9:4588\""),
        ("RTP/AVP;unicast;client_port=22-23", "RTP/AVP;unicast;client_port=22-23"),
        ("RTP/AVP/TCP;interleaved=0-1", "RTP/AVP;unicast;client_port=4588-4589;server_port=6000"),
    ] {
        let mut stream = Stream::new();
        stream.setup(offer);
        stream.answer(200, choice);
        assert!(!stream.lab.refusals().is_empty(), "{offer}");
        stream.lab.assert_nothing_open();
    }
    let mut stream = Stream::new();
    stream.setup("RTP/AVP;unicast;client_port=4588-4589");
    stream.answer(461, "");
    stream.lab.assert_nothing_open();
}
