//! Attacks on helpers that need NAT. The numbers are those of `shared/reference/helpers.md` §4.3.

use super::ftp::{C, S, Session, announced_port};
use super::support::conversation::syn;
use super::support::lab::{Lab, address};
use super::{masquerading, stopped};
use pinhole_engine::Verdict;
use pinhole_wire::Packet;

fn ftp(lab: &mut Lab, client: &str) -> Session {
    let mut session = Session::open(lab, client, "192.0.2.1:21");
    session.say(lab, S, b"220 ready\r\n");
    session
}

/// 19: the port of an expectation is given to another host; the old announcement must not lead there.
#[test]
fn a_port_that_was_announced_and_given_to_another_leads_to_the_other_only() {
    let mut lab = masquerading();
    let mut first = ftp(&mut lab, "10.0.0.5:4000");
    first.say(&mut lab, C, b"PORT 10,0,0,5,195,81\r\n");
    first.say(&mut lab, S, b"200 ok\r\n");
    // The announcement lapses.
    lab.wait(400);
    let mut second = ftp(&mut lab, "10.0.0.6:4001");
    let port = announced_port(&second.say(&mut lab, C, b"PORT 10,0,0,6,195,81\r\n"));
    assert_eq!(port, 50_001, "the port is free again");
    let outcome = lab.syn("192.0.2.1:20", "203.0.113.7:50001");
    assert_eq!(outcome.verdict, Verdict::Accept);
    assert_eq!(super::ends(&lab.left[0]).1, address("10.0.0.6:50001"));
    stopped(&mut lab, &syn(address("192.0.2.1:21"), address("203.0.113.7:50001")));
}

/// 23: two hosts claim one port, to the same server: each keeps its own.
#[test]
fn a_host_cannot_take_the_announced_port_of_another() {
    let mut lab = masquerading();
    let mut victim = ftp(&mut lab, "10.0.0.5:4000");
    let mut thief = ftp(&mut lab, "10.0.0.6:4000");
    assert_eq!(announced_port(&victim.say(&mut lab, C, b"PORT 10,0,0,5,195,81\r\n")), 50_001);
    for _ in 0..3 {
        assert_ne!(announced_port(&thief.say(&mut lab, C, b"PORT 10,0,0,6,195,81\r\n")), 50_001);
    }
    let outcome = lab.syn("192.0.2.1:20", "203.0.113.7:50001");
    assert_eq!(outcome.verdict, Verdict::Accept);
    assert_eq!(super::ends(&lab.left[0]).1, address("10.0.0.5:50001"));
}

/// 1: through NAT, too, a client announces its own address only.
#[test]
fn a_third_host_s_address_is_not_rewritten_into_a_hole() {
    let mut lab = masquerading();
    let mut session = ftp(&mut lab, "10.0.0.5:4000");
    let command = session.say(&mut lab, C, b"PORT 10,0,0,99,195,81\r\n");
    assert_eq!(command, "PORT 10,0,0,99,195,81\\r\\n");
    lab.assert_nothing_open();
}

/// Copies of a rewritten command, whole or in part, carry what was sent first: no overlap makes the server read another.
#[test]
fn an_overlap_with_other_data_cannot_change_what_was_rewritten() {
    let mut lab = masquerading();
    let mut session = ftp(&mut lab, "10.0.0.5:4000");
    let before = session.sent(C);
    session.say(&mut lab, C, b"PORT 10,0,0,5,195,81\r\n");
    for forged in [&b"PORT 10,0,0,5,195,99\r\n"[..], b"PORT 10,0,0,9,", b"DELE everything      \r\n"] {
        let outcome = lab.send(&session.at(C, before, forged));
        if outcome.verdict == Verdict::Accept {
            let packet = Packet::parse(&lab.left[0], 0).unwrap();
            let text = packet.payload_bytes(&lab.left[0]).escape_ascii().to_string();
            assert!(!text.contains("195,99") && !text.contains("10,0,0"), "{text}");
        }
    }
    stopped(&mut lab, &syn(address("192.0.2.1:20"), address("203.0.113.7:50019")));
}

/// 15: unfinished commands on many conns: what is held is bounded, and other conns go on.
#[test]
fn held_lines_are_bounded() {
    let mut lab = masquerading();
    for host in 1..=200u8 {
        let mut session = ftp(&mut lab, &format!("10.0.0.{host}:4000"));
        for piece in [&b"PORT "[..], b"10,0", b",0", b",5,"] {
            session.say(&mut lab, C, piece);
        }
    }
    let held = lab.engine.host().memory();
    assert!(held < 4 << 20, "{held} bytes for 200 conns");
    let mut honest = ftp(&mut lab, "10.0.1.1:4000");
    assert_eq!(announced_port(&honest.say(&mut lab, C, b"PORT 10,0,1,1,195,81\r\n")), 50_001);
}

/// 15: what one host holds back does not keep the lines of others from being held.
#[test]
fn a_host_cannot_use_up_what_may_be_held() {
    let mut lab = masquerading();
    for port in 4000..4200 {
        let mut session = ftp(&mut lab, &format!("10.0.0.5:{port}"));
        session.say(&mut lab, C, b"PORT 10,0");
    }
    let mut honest = ftp(&mut lab, "10.0.0.6:4000");
    assert_eq!(honest.say(&mut lab, C, b"PORT 10,0,0"), "");
    assert_eq!(announced_port(&honest.say(&mut lab, C, b",6,195,81\r\n")), 50_001);
}

/// The sum of differences passes 2^15, where the kernel's was once 16 bits wide, and goes on beyond.
#[test]
fn differences_add_up_without_end() {
    let mut lab = masquerading();
    let mut session = ftp(&mut lab, "10.0.0.5:4000");
    let before = u64::from(session.sent(C));
    let mut received = before;
    const ROUNDS: u64 = 40_000;
    for round in 0..ROUNDS {
        let port = 195 + (round & 1);
        let command = format!("PORT 10,0,0,5,{port},81\r\n");
        // Three bytes longer each time.
        let text = session.say(&mut lab, C, command.as_bytes());
        received += text.len() as u64 - 2;
        session.say(&mut lab, S, b"200 ok\r\n");
    }
    let grown = received - u64::from(session.sent(C));
    assert_eq!(grown, 3 * ROUNDS);
    assert_eq!(session.say(&mut lab, C, b"NOOP\r\n"), "NOOP\\r\\n");
}
