//! What becomes of conns whose helper, a module, did what it must not.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap is the test's message")]

mod support;

use pinhole_engine::{OnFault, Settings, Verdict};
use pinhole_helper::{BlindReason, Context, Fault, Helper, Master, Policy, Progress, Session, Spec};
use pinhole_helpers::ftp::Ftp;
use pinhole_wire::Direction;
use support::conversation::Conversation;
use support::lab::Lab;

const RULES: &str = r#"table inet firewall {
    ct helper reader { type "ftp" protocol tcp; }
    chain forward {
        type filter hook forward priority filter; policy drop;
        ct state established,related accept
        ct state new tcp dport 21 ct helper set "reader" accept
        ct state new tcp dport 80 accept
    }
}
table ip nat {
    chain post {
        type nat hook postrouting priority srcnat;
        ip saddr 10.9.0.0/16 snat to 203.0.113.7
    }
}
"#;

const C: Direction = Direction::Original;
const S: Direction = Direction::Reply;

/// FTP's place is taken by a helper that faults when it reads `PORT`.
struct Faulty;

struct FaultySession;

impl Helper for Faulty {
    fn spec(&self) -> &Spec {
        Ftp.spec()
    }

    fn attach(&self, _: &Master, _: &Policy) -> Box<dyn Session> {
        Box::new(FaultySession)
    }
}

impl Session for FaultySession {
    fn read(&mut self, _: &mut Context<'_>, _: Direction, bytes: &[u8]) -> Progress {
        match bytes.starts_with(b"PORT") {
            true => Progress::Blind(BlindReason::Quarantined(Fault::Trap)),
            false => Progress::Consumed(bytes.len()),
        }
    }

    fn longest_message(&self) -> usize {
        4096
    }
}

fn lab(on_fault: OnFault) -> Lab {
    let mut lab = Lab::new(Settings { on_fault, ..Settings::default() }, Some(RULES));
    lab.engine.load(Faulty).unwrap();
    lab
}

/// A session between a client and a server, which knows the client by `outer`: for each packet its verdict, the reason, and how many packets
/// left changed.
fn verdicts(lab: &mut Lab, client: &str, outer: &str) -> Vec<(Verdict, Option<&'static str>, usize)> {
    let conversation = |client: &str| {
        let ends = [client, "198.51.100.7:21"].map(|end| end.parse().unwrap());
        Conversation::new(ends[0], ends[1])
    };
    let (mut inside, mut outside) = (conversation(client), conversation(outer));
    let (hello, answer) = (inside.handshake(), outside.handshake());
    lab.send_all([&hello[0], &answer[1], &hello[2]]);
    let mut say = |from, text: &[u8]| {
        let (inner, outer) = (inside.say(from, text), outside.say(from, text));
        let outcome = lab.send(if from == C { &inner } else { &outer });
        (outcome.verdict, outcome.reason.map(|reason| reason.name()), lab.engine.output().count())
    };
    let mut all = vec![say(S, b"220 ready\r\n"), say(C, b"PORT 10,0,0,1,200,10\r\n")];
    all.extend([say(S, b"200 ok\r\n"), say(C, b"LIST\r\n")]);
    all
}

#[test]
fn a_conn_goes_on_unread_or_its_packets_are_dropped() {
    for (client, outer, changed) in
        [("10.0.0.1:40000", "10.0.0.1:40000", 0), ("10.9.0.1:40000", "203.0.113.7:40000", 1)]
    {
        let passed = (Verdict::Accept, None, changed);
        let dropped = (Verdict::Drop, Some("helper-quarantined"), 0);
        assert_eq!(verdicts(&mut lab(OnFault::Pass), client, outer), [passed; 4], "{client}");
        let guarded = verdicts(&mut lab(OnFault::Drop), client, outer);
        assert_eq!(guarded, [passed, dropped, dropped, dropped], "{client}");
    }
}

#[test]
fn other_conns_are_not_concerned() {
    let mut lab = lab(OnFault::Drop);
    verdicts(&mut lab, "10.0.0.1:40000", "10.0.0.1:40000");
    let mut web = lab.connect("10.0.0.1:40001", "198.51.100.7:80");
    assert_eq!(lab.say(&mut web, C, b"GET / HTTP/1.0\r\n\r\n").verdict, Verdict::Accept);
    let mut control = lab.connect("10.0.0.2:40000", "198.51.100.7:21");
    assert_eq!(lab.say(&mut control, S, b"220 ready\r\n").verdict, Verdict::Accept);
}
