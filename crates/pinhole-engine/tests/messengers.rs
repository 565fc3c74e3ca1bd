//! talk, ICQ and OSCAR against the whole engine behind a default-drop ruleset: what is agreed on comes in, and attacks open nothing.
//!
//! Frames are built here from the specifications, by nothing that the helpers are made of; `witness.rs` has them judged by tshark.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap is the test's message")]

#[path = "messengers/frames.rs"]
mod frames;
mod support;

use frames::{Ntalk, flap, icq, oscar};
use pinhole_engine::{Outcome, Settings, Verdict};
use pinhole_helper::Refusal;
use pinhole_track::State;
use pinhole_wire::Direction::{Original as C, Reply as S};
use support::conversation::{Conversation, udp};
use support::lab::{Lab, address};

/// Nothing comes in but what a helper announced.
const RULES: &str = r#"table inet firewall {
    ct helper talk-reader { type "talk" protocol udp; }
    ct helper icq-reader { type "icq" protocol udp; }
    ct helper oscar-reader { type "oscar" protocol tcp; }
    chain forward {
        type filter hook forward priority filter; policy drop;
        ct state invalid drop
        ct state established,related accept
        ip saddr 10.1.0.0/16 ct state new udp dport { 517, 518 } ct helper set "talk-reader" accept
        ip saddr 10.1.0.0/16 ct state new udp dport 4000 ct helper set "icq-reader" accept
        ip saddr 10.1.0.0/16 ct state new tcp dport 5190 ct helper set "oscar-reader" accept
    }
}
"#;

const CALLER: &str = "10.1.0.2:42155";
const CALLER_DAEMON: &str = "10.1.0.2:518";
const CALLEE: &str = "10.2.0.2:37347";
const CALLEE_DAEMON: &str = "10.2.0.2:518";
const LISTENS: u16 = 43031;
const CONVERSATION: &str = "10.1.0.2:43031";

fn lab() -> Lab {
    Lab::with_restarts(Settings::default(), Some(RULES))
}

trait Datagrams {
    fn datagram(&mut self, source: &str, destination: &str, payload: &[u8]) -> Outcome;
    fn assert_passes(&mut self, source: &str, destination: &str, payload: &[u8]) -> Outcome;
    fn assert_dropped(&mut self, source: &str, destination: &str, payload: &[u8]);
    fn assert_related(&mut self, source: &str, destination: &str);
}

impl Datagrams for Lab {
    fn datagram(&mut self, source: &str, destination: &str, payload: &[u8]) -> Outcome {
        self.send(&udp(address(source), address(destination), payload))
    }

    fn assert_passes(&mut self, source: &str, destination: &str, payload: &[u8]) -> Outcome {
        let outcome = self.datagram(source, destination, payload);
        assert_eq!(outcome.verdict, Verdict::Accept, "{source} > {destination}: {outcome:?}");
        outcome
    }

    fn assert_dropped(&mut self, source: &str, destination: &str, payload: &[u8]) {
        let outcome = self.datagram(source, destination, payload);
        assert_eq!(outcome.verdict, Verdict::Drop, "{source} > {destination}: {outcome:?}");
    }

    fn assert_related(&mut self, source: &str, destination: &str) {
        let outcome = self.syn(source, destination);
        let state = (outcome.verdict, outcome.state);
        assert_eq!(state, (Verdict::Accept, Some(State::Related)), "{source} > {destination}");
    }
}

/// An announcement that the callee's daemon has taken.
fn announced() -> Lab {
    let mut lab = lab();
    lab.assert_passes(CALLER, CALLEE_DAEMON, &Ntalk::LookUp.request([10, 1, 0, 2], 0, 42155));
    lab.assert_passes(CALLEE_DAEMON, CALLER, &Ntalk::LookUp.answer(1, [0; 4], 0));
    lab.assert_passes(CALLER, CALLEE_DAEMON, &Ntalk::Announce.request([10, 1, 0, 2], LISTENS, 42155));
    lab.assert_passes(CALLEE_DAEMON, CALLER, &Ntalk::Announce.answer(0, [0; 4], 0));
    lab
}

#[test]
fn a_call_comes_in() {
    let mut lab = announced();
    let ask = Ntalk::LookUp.request([10, 2, 0, 2], 0, 37347);
    lab.assert_dropped("10.2.0.9:37347", CALLER_DAEMON, &ask);
    lab.assert_dropped("10.2.0.2:37347", "10.1.0.3:518", &ask);
    let outcome = lab.assert_passes(CALLEE, CALLER_DAEMON, &ask);
    assert_eq!(outcome.state, Some(State::Related));
    lab.assert_passes(CALLER_DAEMON, CALLEE, &Ntalk::LookUp.answer(0, [10, 1, 0, 2], LISTENS));
    // The look-up has taken over what the announcement had begun; nothing was refused.
    assert_eq!(lab.refusals(), []);
    lab.assert_shut("10.2.0.9:50000", CONVERSATION);
    lab.assert_shut("10.2.0.2:50000", "10.1.0.2:43032");
    lab.assert_related("10.2.0.2:50000", CONVERSATION);
    lab.assert_shut("10.2.0.2:50001", CONVERSATION);
}

#[test]
fn a_call_goes_out() {
    // The caller is outside; its announcement was let in by an expectation's own helper, or by somebody else's rule.
    let mut lab = lab();
    lab.assert_passes("10.1.0.2:37347", CALLEE_DAEMON, &Ntalk::LookUp.request([10, 1, 0, 2], 0, 37347));
    lab.assert_passes(CALLEE_DAEMON, "10.1.0.2:37347", &Ntalk::LookUp.answer(0, [10, 2, 0, 2], LISTENS));
    lab.assert_shut("10.1.0.3:50000", "10.2.0.2:43031");
    lab.assert_related("10.1.0.2:50000", "10.2.0.2:43031");
}

#[test]
fn nothing_of_a_call_comes_in_before_the_daemon_has_taken_it() {
    let mut lab = lab();
    lab.assert_passes(CALLER, CALLEE_DAEMON, &Ntalk::Announce.request([10, 1, 0, 2], LISTENS, 42155));
    lab.assert_dropped(CALLEE, CALLER_DAEMON, &Ntalk::LookUp.request([10, 2, 0, 2], 0, 37347));
    lab.assert_shut("10.2.0.2:50000", CONVERSATION);
    lab.assert_passes(CALLEE_DAEMON, CALLER, &Ntalk::Announce.answer(4, [0; 4], 0));
    lab.assert_nothing_open();
}

#[test]
fn a_call_may_ring_for_minutes() {
    let mut lab = announced();
    lab.wait(200);
    lab.assert_passes(CALLEE, CALLER_DAEMON, &Ntalk::LookUp.request([10, 2, 0, 2], 0, 37347));
    lab.assert_related("10.2.0.2:50000", CONVERSATION);
    let mut late = announced();
    late.wait(241);
    late.assert_shut("10.2.0.2:50000", CONVERSATION);
    late.assert_nothing_open();
}

#[test]
fn attacks_by_talk_open_nothing() {
    for (host, port, why) in [
        ([10, 1, 0, 9], LISTENS, Refusal::ForeignAddress),
        ([10, 2, 0, 2], LISTENS, Refusal::ForeignAddress),
        ([10, 1, 0, 2], 22, Refusal::PrivilegedPort),
        ([10, 1, 0, 2], 0, Refusal::PortZero),
    ] {
        let mut lab = lab();
        let mut announcement = Ntalk::Announce.request(host, port, 42155);
        // The control address is its own.
        announcement[28..32].copy_from_slice(&[10, 1, 0, 2]);
        lab.assert_passes(CALLER, CALLEE_DAEMON, &announcement);
        lab.assert_passes(CALLEE_DAEMON, CALLER, &Ntalk::Announce.answer(0, [0; 4], 0));
        assert_eq!(lab.refusals().iter().map(|(why, _)| *why).collect::<Vec<_>>(), [why]);
        lab.assert_nothing_open();
    }
    // A spoofed answer without a request.
    let mut lab = lab();
    lab.assert_passes(CALLER, CALLEE_DAEMON, &Ntalk::Announce.request([10, 1, 0, 2], LISTENS, 42155));
    lab.assert_passes(CALLEE_DAEMON, CALLER, &Ntalk::LookUp.answer(0, [10, 2, 0, 2], LISTENS));
    assert_eq!(lab.refusals()[0].0, Refusal::Unsolicited);
    lab.assert_nothing_open();
}

#[test]
fn an_icq_client_is_reached_after_its_login() {
    const CLIENT: &str = "10.1.0.2:1027";
    const SERVER: &str = "192.0.2.1:4000";
    let mut lab = lab();
    lab.assert_passes(CLIENT, SERVER, &icq::login([10, 1, 0, 2], 50123));
    lab.assert_shut("198.51.100.7:2000", "10.1.0.2:50123");
    lab.assert_passes(SERVER, CLIENT, &icq::login_reply());
    lab.assert_related("198.51.100.7:2000", "10.1.0.2:50123");
    lab.assert_related("198.51.100.8:2000", "10.1.0.2:50123");
    lab.assert_shut("198.51.100.7:2000", "10.1.0.2:50124");
    // Two minutes between keep-alives, and then silence.
    for _ in 0..4 {
        lab.wait(120);
        lab.assert_passes(CLIENT, SERVER, &icq::keep_alive());
    }
    lab.assert_related("198.51.100.9:2000", "10.1.0.2:50123");
    lab.wait(301);
    lab.assert_shut("198.51.100.10:2000", "10.1.0.2:50123");
}

#[test]
fn attacks_by_icq_open_nothing() {
    const CLIENT: &str = "10.1.0.2:1027";
    const SERVER: &str = "192.0.2.1:4000";
    for (host, port) in
        [([10, 1, 0, 9], 50123), ([10, 1, 0, 2], 445), ([10, 1, 0, 2], 0), ([10, 1, 0, 2], 115_659)]
    {
        let mut lab = lab();
        lab.assert_passes(CLIENT, SERVER, &icq::login(host, port));
        lab.assert_passes(SERVER, CLIENT, &icq::login_reply());
        assert_eq!(lab.refusals().len(), 1);
        lab.assert_nothing_open();
    }
    // Who is online elsewhere is a third party.
    let mut lab = lab();
    lab.assert_passes(CLIENT, SERVER, &icq::keep_alive());
    lab.assert_passes(SERVER, CLIENT, &icq::user_online([198, 51, 100, 7], 4099));
    assert_eq!(lab.refusals()[0].0, Refusal::ForeignAddress);
    lab.assert_nothing_open();
}

const AIM: &str = "10.1.0.2:40000";
const AIM_SERVER: &str = "192.0.2.1:5190";

fn signed_on(lab: &mut Lab) -> Conversation {
    let mut control = lab.connect(AIM, AIM_SERVER);
    lab.say(&mut control, S, &flap(1, &[0, 0, 0, 1]));
    lab.say(&mut control, C, &flap(1, &[0, 0, 0, 1]));
    control
}

#[test]
fn a_file_is_sent() {
    let mut lab = lab();
    let mut control = signed_on(&mut lab);
    lab.say(&mut control, C, &oscar::proposal(1, 1, [10, 1, 0, 2], 50123));
    lab.assert_shut("198.51.100.7:2000", "10.1.0.2:50124");
    lab.assert_related("198.51.100.7:2000", "10.1.0.2:50123");
    lab.assert_shut("198.51.100.7:2001", "10.1.0.2:50123");
    // A redirect: only from where the server has seen the proposer.
    lab.say(&mut control, S, &oscar::relayed(2, 1, [192, 168, 1, 2], 4443, [198, 51, 100, 7]));
    lab.say(&mut control, C, &oscar::proposal(2, 2, [10, 1, 0, 2], 50125));
    lab.assert_shut("198.51.100.9:2000", "10.1.0.2:50125");
    lab.assert_related("198.51.100.7:2000", "10.1.0.2:50125");
    // Cancelled.
    lab.say(&mut control, C, &oscar::proposal(3, 1, [10, 1, 0, 2], 50127));
    lab.say(&mut control, C, &oscar::cancel(3));
    lab.assert_shut("198.51.100.7:2000", "10.1.0.2:50127");
}

#[test]
fn attacks_by_oscar_open_nothing() {
    for (host, port) in [([10, 1, 0, 9], 50123), ([10, 1, 0, 2], 22), ([192, 0, 2, 1], 50123)] {
        let mut lab = lab();
        let mut control = signed_on(&mut lab);
        lab.say(&mut control, C, &oscar::proposal(1, 1, host, port));
        assert_eq!(lab.refusals().len(), 1);
        lab.assert_nothing_open();
    }
    // NAT slipstreaming: a form that a browser posts, whose body begins a segment.
    let mut lab = lab();
    let mut control = lab.connect(AIM, AIM_SERVER);
    lab.say(&mut control, C, b"POST / HTTP/1.1\r\nHost: a\r\n\r\n");
    lab.say(&mut control, C, &flap(1, &[0, 0, 0, 1]));
    lab.say(&mut control, C, &oscar::proposal(1, 1, [10, 1, 0, 2], 50123));
    assert_eq!(lab.blind().len(), 1);
    lab.assert_nothing_open();
}

/// However many are announced, a conn keeps as many as its class allows, and the oldest of its own give way.
#[test]
fn exhaustion() {
    let mut lab = lab();
    let mut control = signed_on(&mut lab);
    for number in 0..100 {
        lab.say(&mut control, C, &oscar::proposal(number, 1, [10, 1, 0, 2], 50000 + u16::from(number)));
    }
    assert_eq!(lab.engine.tracker().expectations().count(), 8);
    lab.assert_shut("198.51.100.7:2000", "10.1.0.2:50000");
    lab.assert_related("198.51.100.7:2000", "10.1.0.2:50099");
    for port in 0..100 {
        lab.assert_passes(
            CALLER,
            CALLEE_DAEMON,
            &Ntalk::Announce.request([10, 1, 0, 2], LISTENS + port, 42155),
        );
        lab.assert_passes(CALLEE_DAEMON, CALLER, &Ntalk::Announce.answer(0, [0; 4], 0));
    }
    assert_eq!(lab.engine.tracker().expectations().count(), 7 + 5);
}
