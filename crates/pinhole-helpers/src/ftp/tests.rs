//! Dialogues, attacks, and the grammar's corners.

use super::*;
use crate::transcript::{Said, Wire, master, run, run_every_way};
use pinhole_helper::{Action, AddressMatch, BlindReason, Condition, Pickup, Reader, Refusal as Why, Span};
use pinhole_wire::Direction::{self, Original as C, Reply as S};
use proptest::prelude::*;

const CLIENT: &str = "10.0.0.1:40000";
const SERVER: &str = "10.0.0.2:21";
const CLIENT6: &str = "[2001:db8::1]:40000";
const SERVER6: &str = "[2001:db8::2]:21";

/// A dialogue after the banner, cut in every way.
fn dialogue(said: &[Said<'_>]) -> Wire {
    let said: Vec<_> = [(S, &b"220 ready\r\n"[..])].iter().chain(said).copied().collect();
    run_every_way(&Ftp, CLIENT, SERVER, &said)
}

fn dialogue6(said: &[Said<'_>]) -> Wire {
    let said: Vec<_> = [(S, &b"220 ready\r\n"[..])].iter().chain(said).copied().collect();
    run_every_way(&Ftp, CLIENT6, SERVER6, &said)
}

/// One command that is answered with `200 ok`.
fn granted(command: &str) -> Wire {
    dialogue(&[(C, format!("{command}\r\n").as_bytes()), (S, b"200 ok\r\n")])
}

/// One passive command and its answer.
fn answered(command: &str, reply: &str) -> Wire {
    dialogue(&[(C, format!("{command}\r\n").as_bytes()), (S, format!("{reply}\r\n").as_bytes())])
}

fn conditions(wire: &Wire) -> Vec<Condition> {
    let condition = |action: &Action| match action {
        Action::Condition(condition) => Some(*condition),
        _ => None,
    };
    wire.noted.iter().filter_map(|noted| condition(&noted.action)).collect()
}

#[test]
fn passive_transfer() {
    let wire = dialogue(&[
        (C, b"USER a\r\n"),
        (S, b"331 p\r\n"),
        (C, b"PASS b\r\n"),
        (S, b"230 in\r\n"),
        (C, b"PASV\r\n"),
        (S, b"227 Entering Passive Mode (10,0,0,2,195,101).\r\n"),
    ]);
    let Action::Expect(_, expect) = &wire.noted[0].action else { panic!("{:?}", wire.noted) };
    assert_eq!(expect.source, AddressMatch::Exact("10.0.0.1".parse().unwrap()));
    assert_eq!(expect.destination, "10.0.0.2".parse::<std::net::IpAddr>().unwrap());
    assert!(expect.active);
    assert_eq!(wire.open_ports(), [50021]);
    assert_eq!(wire.noted[0].quote, b"227 Entering Passive Mode (10,0,0,2,195,101).");
    assert!(matches!(wire.noted[1].action, Action::Locate(_, _, notation::OCTETS)));
    assert_eq!(wire.noted[1].quote, b"10,0,0,2,195,101");
    assert_eq!(wire.noted.len(), 2);
}

#[test]
fn active_transfer_waits_for_its_reply_if_the_policy_says_so() {
    let said: &[Said<'_>] = &[(S, b"220 ready\r\n"), (C, b"PORT 10,0,0,1,195,102\r\n")];
    assert_eq!(run(&Ftp, CLIENT, SERVER, said).open_ports(), [50022]);

    let policy = Policy { wait_for_answer: true, ..Policy::default() };
    let mut wire = Wire::with(Reader::new(&Ftp, master(CLIENT, SERVER), policy, Pickup::Strict));
    wire.handshake();
    said.iter().for_each(|(from, bytes)| drop(wire.say(*from, bytes)));
    assert_eq!(wire.ports(), [50022]);
    assert_eq!(wire.open_ports(), []);
    assert_eq!(wire.noted[0].quote, b"PORT 10,0,0,1,195,102");
    wire.say(S, b"200 ok\r\n");
    assert_eq!(wire.open_ports(), [50022]);

    assert_eq!(granted("PORT 10,0,0,1,195,102").open_ports(), [50022]);
    let refused = dialogue(&[(C, b"PORT 10,0,0,1,195,102\r\n"), (S, b"500 no\r\n"), (S, b"200 late\r\n")]);
    assert_eq!(refused.open_ports(), []);
    assert!(matches!(refused.noted.last().unwrap().action, Action::Cancel(_)));
}

#[test]
fn extended_and_long_forms() {
    assert_eq!(granted("EPRT |1|10.0.0.1|50022|").open_ports(), [50022]);
    assert_eq!(granted("eprt !1!10.0.0.1!50022!").open_ports(), [50022]);
    assert_eq!(granted("LPRT 4,4,10,0,0,1,2,195,102").open_ports(), [50022]);
    assert_eq!(answered("EPSV", "229 Extended (|||50021|)").open_ports(), [50021]);
    assert_eq!(answered("EPSV 1", "229 Extended (!!!50021!)").open_ports(), [50021]);
    assert_eq!(answered("LPSV", "228 Long (4,4,10,0,0,2,2,195,101)").open_ports(), [50021]);
    let wire = dialogue6(&[
        (C, b"EPRT |2|2001:db8::1|50022|\r\nEPSV\r\n"),
        (S, b"200 ok\r\n229 ok (|||50021|)\r\n"),
        (C, b"LPRT 6,16,32,1,13,184,0,0,0,0,0,0,0,0,0,0,0,1,2,195,103\r\n"),
        (S, b"200 ok\r\n"),
        (C, b"LPSV\r\n"),
        (S, b"228 6,16,32,1,13,184,0,0,0,0,0,0,0,0,0,0,0,2,2,195,104\r\n"),
    ]);
    assert_eq!(wire.open_ports(), [50022, 50021, 50023, 50024]);
    assert_eq!(wire.refusals(), []);
}

#[test]
fn located_fields_are_what_the_nat_half_needs() {
    let quotes = |wire: &Wire| {
        let quote = |noted: &crate::transcript::Noted| match noted.action {
            Action::Locate(_, _, field) => Some((field, String::from_utf8(noted.quote.clone()).unwrap())),
            _ => None,
        };
        wire.noted.iter().filter_map(quote).collect::<Vec<_>>()
    };
    let one = |field, text: &str| vec![(field, text.to_owned())];
    assert_eq!(quotes(&granted("PORT  10,0,0,1,195,102 ")), one(notation::OCTETS, "10,0,0,1,195,102"));
    assert_eq!(quotes(&granted("EPRT |1|10.0.0.1|50022|")), one(notation::EXTENDED, "|1|10.0.0.1|50022|"));
    assert_eq!(quotes(&answered("EPSV", "229 Ext (|||50021|)")), one(notation::PORT, "50021"));
    let long = "4,4,10,0,0,2,2,195,101";
    assert_eq!(quotes(&answered("LPSV", &format!("228 {long}"))), one(notation::LONG, long));
}

#[test]
fn case_blanks_and_line_ends() {
    assert_eq!(granted("port 10,0,0,1,195,102").open_ports(), [50022]);
    assert_eq!(granted("PORT \t 10,0,0,1,195,102  ").open_ports(), [50022]);
    let bare = dialogue(&[(C, b"pasv\n"), (S, b"227 =10,0,0,2,195,101\n")]);
    assert_eq!(bare.open_ports(), [50021]);
    // A verb begins its line.
    let wire = granted(" PORT 10,0,0,1,195,102");
    assert_eq!((wire.ports(), wire.refusals()), (vec![], vec![]));
    assert_eq!(granted("PORT 10,0,0,1,195,102\rNOOP").refusals(), [Why::Malformed]);
}

#[test]
fn telnet_commands_inside_lines() {
    let raw = b"PO\xff\xf6RT 10,0,0,1,\xff\xfb\x0a195,102\r\n";
    let wire =
        dialogue(&[(C, b"\xff\xf4\xff\xf2ABOR\r\n"), (S, b"226 ok\r\n"), (C, raw), (S, b"200 ok\r\n")]);
    assert_eq!(wire.open_ports(), [50022]);
    assert_eq!(wire.noted[0].quote, &raw[..raw.len() - 2]);
    assert_eq!(wire.noted[1].quote, b"10,0,0,1,\xff\xfb\x0a195,102");
    // A doubled IAC is a data byte; an unfinished option negotiation hides the line.
    assert_eq!(granted("NOOP").ports(), []);
    let hidden = dialogue(&[(C, b"PORT 10,0,0,1,\xff\xff195,102\r\n"), (S, b"200 ok\r\n")]);
    assert_eq!(hidden.refusals(), [Why::Malformed]);
}

#[test]
fn multi_line_replies() {
    let banner: &[u8] =
        b"220-hello\r\n227 Entering (10,0,0,2,195,99)\r\n 220 not yet\r\n220-more\r\n220 end\r\n";
    let wire = run_every_way(
        &Ftp,
        CLIENT,
        SERVER,
        &[
            (S, banner),
            (C, b"HELP\r\nPASV\r\n"),
            (S, b"214-help\r\n227 Entering Passive Mode (10,0,0,2,195,98)\r\n214 end\r\n"),
            (S, b"227-Entering\r\n(10,0,0,2,195,97)\r\n227 Passive Mode (10,0,0,2,195,101)\r\n"),
        ],
    );
    assert_eq!(wire.open_ports(), [50021]);
    assert_eq!(wire.refusals(), []);
}

#[test]
fn pipelined_commands_are_answered_in_order() {
    let wire = dialogue(&[
        (C, b"NOOP\r\nXYZZY\r\nPASV\r\nRETR a\r\nPASV\r\nRETR b\r\nPORT 10,0,0,1,195,102\r\n"),
        (S, b"200 ok\r\n500 what\r\n227 (10,0,0,2,195,101)\r\n150 here\r\n226 done\r\n"),
        (S, b"227 (10,0,0,2,195,103)\r\n125 here\r\n226 done\r\n200 port\r\n"),
    ]);
    assert_eq!(wire.open_ports(), [50022, 50021, 50023]);
    assert_eq!(wire.refusals(), []);
}

#[test]
fn combined_answers_to_abort_do_not_shift_the_others() {
    for answers in [&b"426 gone\r\n226 aborted\r\n"[..], b"226 aborted\r\n", b"426 gone\r\n"] {
        let wire = dialogue(&[
            (C, b"RETR a\r\n"),
            (S, b"150 here\r\n"),
            (C, b"ABOR\r\n"),
            (S, answers),
            (C, b"PASV\r\n"),
            (S, b"227 (10,0,0,2,195,101)\r\n"),
        ]);
        assert_eq!(wire.open_ports(), [50021]);
    }
}

#[test]
fn extended_passive_all_forbids_the_others() {
    let wire = dialogue(&[
        (C, b"EPSV ALL\r\n"),
        (S, b"200 ok\r\n"),
        (C, b"PORT 10,0,0,1,195,102\r\n"),
        (S, b"200 ok\r\n"),
        (C, b"PASV\r\n"),
        (S, b"227 (10,0,0,2,195,101)\r\n"),
        (C, b"EPSV\r\n"),
        (S, b"229 (|||50023|)\r\n"),
    ]);
    assert_eq!(wire.open_ports(), [50023]);
    assert_eq!(wire.refusals(), [Why::OutOfSequence, Why::OutOfSequence, Why::Unsolicited]);
    let unknown = dialogue(&[
        (C, b"EPSV ALL\r\n"),
        (S, b"500 what\r\n"),
        (C, b"PASV\r\n"),
        (S, b"227 (10,0,0,2,195,101)\r\n"),
    ]);
    assert_eq!(unknown.open_ports(), [50021]);
}

// Attacks, numbered as in the reference's list of evasion classics.

#[test]
fn attack_1_bounce_to_a_third_party() {
    for command in ["PORT 10,0,0,9,195,102", "EPRT |1|10.0.0.9|50022|", "LPRT 4,4,10,0,0,9,2,195,102"] {
        let wire = granted(command);
        assert_eq!((wire.ports(), wire.refusals()), (vec![], vec![Why::ForeignAddress]));
        assert_eq!(wire.noted[0].quote, command.as_bytes());
    }
    assert_eq!(answered("PASV", "227 (10,0,0,9,195,101)").refusals(), [Why::ForeignAddress]);
    // The peer's own address is as foreign.
    assert_eq!(granted("PORT 10,0,0,2,195,102").refusals(), [Why::ForeignAddress]);
}

#[test]
fn a_policy_may_allow_third_parties() {
    let policy = Policy { third_party: true, ..Policy::default() };
    let mut wire = Wire::with(Reader::new(&Ftp, master(CLIENT, SERVER), policy, Pickup::Strict));
    wire.handshake();
    wire.say(S, b"220 ready\r\n");
    wire.say(C, b"PORT 10,0,0,9,195,102\r\nPORT 127,0,0,1,195,102\r\n");
    wire.say(S, b"200 ok\r\n500 no\r\n");
    assert_eq!(wire.open_ports(), [50022]);
    assert_eq!(wire.refusals(), [Why::ForeignAddress]);
}

#[test]
fn attack_2_low_ports() {
    assert_eq!(granted("PORT 10,0,0,1,0,22").refusals(), [Why::PrivilegedPort]);
    assert_eq!(granted("EPRT |1|10.0.0.1|1023|").refusals(), [Why::PrivilegedPort]);
    assert_eq!(granted("PORT 10,0,0,1,0,0").refusals(), [Why::PortZero]);
    assert_eq!(answered("EPSV", "229 (|||445|)").refusals(), [Why::PrivilegedPort]);
}

#[test]
fn attack_3_injected_227() {
    // Echoed in an error, as a line of its own, and without any PASV.
    let echoed = dialogue(&[
        (C, b"STAT 227 (10,0,0,2,195,101)\r\n"),
        (S, b"550 227 (10,0,0,2,195,101): no such file\r\n"),
    ]);
    assert_eq!((echoed.ports(), echoed.refusals()), (vec![], vec![]));
    let line =
        dialogue(&[(C, b"STAT x\r\n"), (S, b"213-status of\r\n227 (10,0,0,2,195,101)\r\n213 end\r\n")]);
    assert_eq!(line.ports(), []);
    let unsolicited = dialogue(&[(C, b"NOOP\r\n"), (S, b"227 (10,0,0,2,195,101)\r\n229 (|||50021|)\r\n")]);
    assert_eq!((unsolicited.ports(), unsolicited.refusals()), (vec![], vec![Why::Unsolicited; 2]));
    // In front of the PASV that is still waiting for its own answer.
    let early =
        dialogue(&[(C, b"NOOP\r\nPASV\r\n"), (S, b"227 (10,0,0,2,195,99)\r\n227 (10,0,0,2,195,101)\r\n")]);
    assert_eq!((early.ports(), early.refusals()), (vec![50021], vec![Why::Unsolicited]));
    // Where a segment starts says nothing.
    let mut wire = run(&Ftp, CLIENT, SERVER, &[(S, b"220 ready\r\n"), (C, b"PASV\r\n"), (S, b"500 x")]);
    wire.say(S, b"227 (10,0,0,2,195,101)\r\n");
    assert_eq!((wire.ports(), wire.refusals()), (vec![], vec![]));
    // An answer of the wrong kind.
    assert_eq!(answered("PASV", "229 (|||50021|)").refusals(), [Why::Unsolicited]);
    assert_eq!(answered("EPSV", "227 (10,0,0,2,195,101)").refusals(), [Why::Unsolicited]);
}

#[test]
fn attack_4_commands_in_the_body_of_another_protocol() {
    let post: &[u8] = b"POST / HTTP/1.1\r\nHost: x\r\n\r\nPORT 10,0,0,1,195,102\r\n";
    let wire = run_every_way(&Ftp, CLIENT, SERVER, &[(C, post), (S, b"200 ok\r\n")]);
    assert_eq!(wire.noted, []);
    assert_eq!(wire.reader.blind(), Some(BlindReason::NotThisProtocol));
    for opening in [
        &b"GET / HTTP/1.0\r\n"[..],
        b"SSH-2.0-x\r\n",
        b"REGISTER sip:x SIP/2.0\r\n",
        b"INVITE sip:x SIP/2.0\r\n",
        b"\x00\x01\x00\x08\x21\x12\xa4\x42",
        b"\x80\x2e\x01\x03\x01",
        b"hello world\r\n",
        b"EHLO x\r\n",
    ] {
        let wire = run_every_way(&Ftp, CLIENT, SERVER, &[(C, opening), (C, b"PORT 10,0,0,1,195,102\r\n")]);
        assert_eq!(wire.noted, []);
        assert_eq!(wire.reader.blind(), Some(BlindReason::NotThisProtocol), "{opening:?}");
        assert!(wire.reader.memory() <= size_of::<Reader>() + 64);
    }
    let tls = run(&Ftp, CLIENT, SERVER, &[(C, b"\x16\x03\x01\x00\xa5")]);
    assert_eq!(tls.reader.blind(), Some(BlindReason::Encrypted));
    let server = run(&Ftp, CLIENT, SERVER, &[(S, b"HTTP/1.1 400 Bad Request\r\n")]);
    assert_eq!(server.reader.blind(), Some(BlindReason::NotThisProtocol));
}

#[test]
fn attack_6_overlap_with_other_content() {
    let mut wire = run(&Ftp, CLIENT, SERVER, &[(S, b"220 ready\r\n")]);
    wire.at(C, 0, b"PORT 10,0,0,1,195,102\r\n");
    wire.at(C, 0, b"PORT 10,0,0,1,195,103\r\n");
    assert_eq!(wire.reader.blind(), Some(BlindReason::Conflict));
    wire.say(S, b"200 ok\r\n");
    assert_eq!(wire.open_ports(), []);
}

#[test]
fn attack_9_numbers_out_of_range() {
    for (command, why) in [
        ("PORT 10,0,0,1,256,22", Why::BadNumber),
        ("PORT 10,0,0,1,0195,102", Why::BadNumber),
        ("PORT 10,0,0,1,195,+102", Why::Malformed),
        ("PORT 10,0,0,1,195,-1", Why::Malformed),
        ("PORT 10,0,0,1,195", Why::Malformed),
        ("PORT 10,0,0,1,195,102,7", Why::Malformed),
        ("PORT 10,0,0,1,195,102x", Why::Malformed),
        ("PORT 10.0.0.1,195,102", Why::Malformed),
        ("PORT", Why::Malformed),
        ("EPRT |1|10.0.0.1|65536|", Why::BadNumber),
        ("EPRT |1|10.0.0.1|050022|", Why::BadNumber),
        ("EPRT |1|10.0.0.1|+5002|", Why::BadNumber),
        ("EPRT |1|10.0.0.1||", Why::BadNumber),
        ("EPRT |1|10.0.0.1|50022", Why::Malformed),
        ("EPRT |1|010.0.0.1|50022|", Why::Malformed),
        ("EPRT |3|10.0.0.1|50022|", Why::AddressFamily),
        ("EPRT 11110.0.0.11500221", Why::Malformed),
        ("EPRT |2|2001:db8::1|50022|", Why::AddressFamily),
        ("EPRT |1|host|50022|", Why::Malformed),
        ("LPRT 4,16,10,0,0,1,2,195,102", Why::Malformed),
        ("LPRT 5,4,10,0,0,1,2,195,102", Why::Unsupported),
    ] {
        let wire = granted(command);
        assert_eq!((wire.ports(), wire.refusals()), (vec![], vec![why]), "{command}");
    }
    for (reply, why) in [
        ("229 (|||65536|)", Why::BadNumber),
        ("229 (|||50021)", Why::Malformed),
        ("229 |||50021|", Why::Malformed),
        ("229 (|1|10.0.0.2|50021|)", Why::Malformed),
        ("229", Why::Malformed),
    ] {
        assert_eq!(answered("EPSV", reply).refusals(), [why], "{reply}");
    }
}

#[test]
fn attack_10_mapped_addresses() {
    assert_eq!(granted("EPRT |2|::ffff:10.0.0.1|50022|").refusals(), [Why::AddressFamily]);
    let wire = dialogue6(&[
        (C, b"EPRT |2|::ffff:10.0.0.1|50022|\r\nEPRT |1|10.0.0.1|50022|\r\n"),
        (S, b"200 ok\r\n200 ok\r\n"),
    ]);
    assert_eq!((wire.ports(), wire.refusals()), (vec![], vec![Why::AddressFamily; 2]));
}

#[test]
fn long_lines_are_skipped_but_counted() {
    let long = [b"RETR ", vec![b'A'; 5000].as_slice(), b"\r\n"].concat();
    let ported = [b"PORT 10,0,0,1,195,102", vec![b' '; 600].as_slice(), b"\r\n"].concat();
    let reply = [b"550 ", vec![b'B'; 2000].as_slice(), b"\r\n"].concat();
    let wire = dialogue(&[
        (C, &long),
        (C, b"PASV\r\n"),
        (S, &reply),
        (S, b"227 (10,0,0,2,195,101)\r\n"),
        (C, &ported),
        (S, b"200 ok\r\n"),
        (C, b"PASV\r\n"),
        (S, b"227 (10,0,0,2,195,103)\r\n"),
    ]);
    assert_eq!(wire.open_ports(), [50021, 50023]);
    assert_eq!(wire.refusals(), [Why::Malformed]);
}

#[test]
fn unanswered_commands_are_bounded_and_keep_their_places() {
    let mut wire = run(&Ftp, CLIENT, SERVER, &[(S, b"220 ready\r\n")]);
    for _ in 0..500 {
        wire.say(C, b"PORT 10,0,0,1,195,102\r\n");
        wire.say(C, b"NOOP\r\n");
    }
    assert_eq!(wire.refusals(), vec![Why::Limit; 500 - OUTSTANDING_LIMIT / 2]);
    assert!(wire.peak < 8 * 1024, "{}", wire.peak);
    wire.say(C, b"PASV\r\n");
    for _ in 0..1001 {
        wire.say(S, b"200 ok\r\n");
    }
    assert_eq!(wire.open_ports().len(), OUTSTANDING_LIMIT / 2);
    wire.say(C, b"PASV\r\n");
    wire.say(S, b"227 (10,0,0,2,195,101)\r\n");
    assert_eq!(wire.open_ports().last(), Some(&50021));
}

#[test]
fn encryption_and_its_end() {
    let mut record = b"\x17\x03\x03\x02\x00".to_vec();
    record.extend_from_slice(&[b'P'; 512]);
    let wire = dialogue(&[
        (C, b"AUTH TLS\r\n"),
        (S, b"234 go on\r\n"),
        (C, b"\x16\x03\x01\x00\x02ab"),
        (S, b"\x16\x03\x03\x00\x02ab\x14\x03\x03\x00\x01\x01"),
        (C, &record),
        (S, &record),
        (C, b"\x15\x03\x03\x00\x02xx"),
        (S, b"\x15\x03\x03\x00\x02xx"),
        (C, b"PASV\r\n"),
        (S, b"227 (10,0,0,2,195,101)\r\n"),
    ]);
    assert_eq!(conditions(&wire), [Condition::Encrypted, Condition::Reading]);
    assert_eq!(wire.open_ports(), [50021]);
    assert_eq!(wire.reader.condition(), Condition::Reading);

    let refused = dialogue(&[
        (C, b"AUTH SSL\r\n"),
        (S, b"534 no\r\n"),
        (C, b"PASV\r\n"),
        (S, b"227 (10,0,0,2,195,101)\r\n"),
    ]);
    assert_eq!((refused.open_ports(), conditions(&refused)), (vec![50021], vec![]));

    for answer in [&b"PASV\r\n"[..], b"\x80\x03", b"\x16\x03\x05\x00\x01", b"\x17\x03\x03\xff\xff"] {
        let wire = dialogue(&[(C, b"AUTH TLS\r\n"), (S, b"234 go on\r\n"), (C, answer)]);
        assert_eq!(wire.reader.blind(), Some(BlindReason::Encrypted), "{answer:?}");
    }
    let other = dialogue(&[
        (C, b"AUTH KERBEROS_V4\r\n"),
        (S, b"334 more\r\n"),
        (C, b"ADAT x\r\n"),
        (S, b"235 ok\r\n"),
    ]);
    assert_eq!(other.reader.blind(), Some(BlindReason::Encrypted));
}

#[test]
fn picked_up_in_mid_stream() {
    let mut strict = Wire::mid_stream(&Ftp, CLIENT, SERVER, Pickup::Strict);
    strict.say(C, b"PASV\r\n");
    assert_eq!(strict.reader.blind(), Some(BlindReason::MidStream));

    let mut lenient = Wire::mid_stream(&Ftp, CLIENT, SERVER, Pickup::Lenient);
    lenient.say(C, b"PASV\r\n");
    lenient.say(S, b"227 (10,0,0,2,195,101)\r\n");
    assert_eq!(lenient.open_ports(), [50021]);

    // Picked up with a packet of the server, whose side is the conn's original direction then.
    let mut reversed = Wire::mid_stream(&Ftp, SERVER, CLIENT, Pickup::Lenient);
    reversed.say(C, b"of a line\r\n");
    reversed.say(C, b"200 ok\r\n");
    reversed.say(S, b"PASV\r\nPORT 10,0,0,1,195,102\r\n");
    reversed.say(C, b"227 (10,0,0,2,195,101)\r\n200 ok\r\n");
    assert_eq!(reversed.open_ports(), [50022, 50021]);

    let mut http = Wire::mid_stream(&Ftp, CLIENT, SERVER, Pickup::Lenient);
    http.say(C, b"GET / HTTP/1.1\r\nPORT 10,0,0,1,195,102\r\n");
    assert_eq!(http.reader.blind(), Some(BlindReason::NotThisProtocol));
}

#[test]
fn gaps() {
    let lossy = |pickup| {
        let mut wire = Wire::with(Reader::new(&Ftp, master(CLIENT, SERVER), Policy::default(), pickup));
        wire.handshake();
        wire.say(S, b"220 ready\r\n");
        // The rest of this segment is not in the capture.
        wire.cut(C, 0, b"USER some", 20);
        wire.deliver(C, 29);
        wire.say(S, b"331 ok\r\n");
        wire.say(C, b"PASS x\r\n");
        for _ in 0..12 {
            wire.say(S, b"200 ok\r\n");
            wire.say(C, b"NOOP\r\n");
        }
        wire.say(S, b"200 ok\r\n");
        wire.say(C, b"PASV\r\n");
        wire.say(S, b"227 (10,0,0,2,195,101)\r\n");
        wire
    };
    let strict = lossy(Pickup::Strict);
    assert_eq!((strict.reader.blind(), strict.ports()), (Some(BlindReason::Gap), vec![]));
    let lenient = lossy(Pickup::Lenient);
    assert_eq!((lenient.reader.blind(), lenient.open_ports()), (None, vec![50021]));
}

#[test]
fn under_nat_the_peer_dials_the_translated_address() {
    let mut master = master(CLIENT, SERVER);
    master.reply.1 = "192.0.2.1:61000".parse().unwrap();
    let mut wire = Wire::with(Reader::new(&Ftp, master, Policy::default(), Pickup::Strict));
    wire.handshake();
    wire.say(S, b"220 ready\r\n");
    wire.say(C, b"PORT 10,0,0,1,195,102\r\nPORT 192,0,2,1,195,103\r\n");
    let destinations: Vec<_> = wire
        .noted
        .iter()
        .filter_map(|noted| match &noted.action {
            Action::Expect(_, expect) => Some(expect.destination.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(destinations, ["192.0.2.1", "192.0.2.1"]);
}

#[test]
fn nothing_named_is_quoted_as_nothing() {
    let wire = granted("NOOP");
    assert_eq!(wire.reader.quote(C, Span { start: 0, end: 4 }), b"");
}

/// Pieces of dialogue, to make random input reach deep.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let known: Vec<&[u8]> = vec![
        b"PORT 10,0,0,1,195,102",
        b"EPRT |1|10.0.0.1|50022|",
        b"PASV",
        b"EPSV",
        b"EPSV ALL",
        b"LPSV",
        b"AUTH TLS",
        b"ABOR",
        b"227 (10,0,0,2,195,101)",
        b"229 (|||50021|)",
        b"228 4,4,10,0,0,2,2,195,101",
        b"234 ok",
        b"220 ",
        b"220-",
        b"\r\n",
        b"\n",
        b"\xff",
        b"\xff\xfa",
        b"\x17\x03\x03\x00\x05",
        b" ",
        b",",
    ];
    prop_oneof![
        6 => prop::sample::select(known).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..700),
    ]
}

#[test]
fn every_beginning_that_holds_a_part_of_an_endpoint_is_held() {
    for command in ["PORT 10,0,0,1,195,81", "eprt |1|10.0.0.1|50001|", "LPRT 4,4,10,0,0,1,2,195,81"] {
        for end in 0..=command.len() {
            assert_eq!(parse::may_announce_active(&command.as_bytes()[..end]), end > 5, "{command} to {end}");
        }
    }
    for reply in ["227 (10,0,0,1,195,81)", "228 4,4,10,0,0,1,2,195,81", "229 (|||50001|)"] {
        for end in 0..=reply.len() {
            assert_eq!(parse::may_announce_passive(&reply.as_bytes()[..end]), end > 4, "{reply} to {end}");
        }
    }
    assert!(parse::may_announce_active(b"PO\xff\xf6RT 10"));
    for other in ["USER x", "PASV", "PORTAL 1", "STOR PORT 10"] {
        assert!(!parse::may_announce_active(other.as_bytes()), "{other}");
    }
    for other in ["220 ready", "    text", "230-227 (1"] {
        assert!(!parse::may_announce_passive(other.as_bytes()), "{other}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn hostile_bytes_never_panic_and_memory_is_bounded(
        lenient: bool,
        said in prop::collection::vec((any::<bool>(), 0u32..2000, any::<bool>(), piece()), 0..80),
    ) {
        let pickup = if lenient { Pickup::Lenient } else { Pickup::Strict };
        let mut wire = Wire::mid_stream(&Ftp, CLIENT, SERVER, pickup);
        wire.handshake();
        wire.say(S, b"220 ready\r\n");
        for (client, offset, in_order, bytes) in said {
            let from: Direction = if client { C } else { S };
            if in_order { wire.say(from, &bytes) } else { wire.at(from, offset, &bytes) };
        }
        prop_assert!(wire.peak < 96 * 1024, "{}", wire.peak);
        prop_assert!(!wire.ports().iter().any(|port| *port < 1024));
    }
}
