//! The protocols whose state machines are small, and what all have in common.

use super::*;

/// An IPv4 datagram of `protocol`.
pub(super) fn datagram(protocol: Protocol, payload: &[u8]) -> Vec<u8> {
    let total = 20 + payload.len() as u16;
    let mut bytes = vec![0x45, 0];
    bytes.extend(total.to_be_bytes());
    bytes.extend([0, 0, 0, 0, 64, protocol.0, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
    bytes.extend(payload);
    bytes
}

fn at<T>(now: Time, bytes: &[u8], judge: impl FnOnce(View<'_>) -> T) -> T {
    let packet = Packet::parse(bytes, 0).unwrap();
    judge(View { packet: &packet, bytes, now })
}

pub(super) fn opened(now: Time, bytes: &[u8]) -> Result<L4, Invalid> {
    at(now, bytes, |view| open(view, &L4Settings::default()))
}

pub(super) fn updated(l4: &mut L4, now: Time, bytes: &[u8], direction: Direction, status: Status) -> Step {
    at(now, bytes, |view| update(l4, view, direction, status, &L4Settings::default(), &Timeouts::default()))
}

const START: Time = Time::from_seconds(1_000);

const fn accept(timeout: u32, assure: bool) -> Step {
    Step::Accept { timeout, assure, changed: false }
}

#[test]
fn udp_becomes_a_stream_after_two_seconds_both_ways() {
    let bytes = datagram(Protocol::UDP, &[0, 7, 0, 9, 0, 8, 0, 0]);
    let mut udp = opened(START, &bytes).unwrap();
    let later = START.plus_seconds(2).plus_nanos(1);
    let mut pass = |now, status| updated(&mut udp, now, &bytes, Direction::Original, status);
    assert_eq!(pass(START, Status::empty()), accept(30, false));
    assert_eq!(pass(later, Status::empty()), accept(30, false));
    assert_eq!(pass(START.plus_seconds(2), Status::SEEN_REPLY), accept(30, false));
    assert_eq!(pass(later, Status::SEEN_REPLY), accept(120, true));
    assert_eq!(pass(later, Status::SEEN_REPLY | Status::ASSURED), accept(120, false));
}

#[test]
fn udplite_and_gre_are_assured_by_an_answer() {
    let udplite = datagram(Protocol::UDPLITE, &[0, 7, 0, 9, 0, 8, 1, 1]);
    let gre = datagram(Protocol::GRE, &[0, 0, 8, 0]);
    for (bytes, replied) in [(udplite, 120), (gre, 180)] {
        let mut l4 = opened(START, &bytes).unwrap();
        let mut pass = |status| updated(&mut l4, START, &bytes, Direction::Original, status);
        assert_eq!(pass(Status::empty()), accept(30, false));
        assert_eq!(pass(Status::SEEN_REPLY), accept(replied, true));
    }
}

#[test]
fn only_icmp_requests_open() {
    let query = |protocol, kind: u8| opened(START, &datagram(protocol, &[kind, 0, 0, 0, 0, 1, 0, 1]));
    for kind in 0..=u8::MAX {
        let v4 = query(Protocol::ICMP, kind);
        assert_eq!(v4.is_ok(), [8, 13, 15, 17].contains(&kind), "{kind}");
        assert_eq!(query(Protocol::ICMPV6, kind).is_ok(), [128, 139].contains(&kind), "{kind}");
    }
    assert_eq!(query(Protocol::ICMP, 0).err(), Some(Invalid::IcmpNotRequest));
    let reply = datagram(Protocol::ICMP, &[0, 0, 0, 0, 0, 1, 0, 1]);
    let mut echo = query(Protocol::ICMP, 8).unwrap();
    assert_eq!(updated(&mut echo, START, &reply, Direction::Reply, Status::empty()), accept(30, false));
}

#[test]
fn other_protocols_live_ten_minutes() {
    let bytes = datagram(Protocol(89), &[1, 2, 3]);
    let mut l4 = opened(START, &bytes).unwrap();
    assert_eq!(updated(&mut l4, START, &bytes, Direction::Reply, Status::SEEN_REPLY), accept(600, false));
    assert_eq!(l4.state_name(), None);
}

/// A DCCP packet with 48-bit numbers.
fn dccp(kind: u8, sequence: u64, acknowledgement: u64) -> Vec<u8> {
    let mut payload = vec![0, 7, 0, 9, 7, 0, 0, 0, kind << 1 | 1, 0];
    payload.extend(&sequence.to_be_bytes()[2..]);
    payload.extend(&acknowledgement.to_be_bytes());
    payload.resize(28, 0);
    datagram(Protocol::DCCP, &payload)
}

#[test]
fn dccp_from_request_to_timewait() {
    use Direction::{Original, Reply};
    let mut l4 = opened(START, &dccp(0, 1, 0)).unwrap();
    let mut status = Status::empty();
    let mut pass = |direction, kind, sequence, acknowledgement| {
        let bytes = dccp(kind, sequence, acknowledgement);
        let step = updated(&mut l4, START, &bytes, direction, status);
        status.set(Status::SEEN_REPLY, status.contains(Status::SEEN_REPLY) || direction == Reply);
        let assured = matches!(step, Step::Accept { assure: true, .. });
        (l4.state_name().unwrap(), matches!(step, Step::Accept { .. }), assured)
    };
    assert_eq!(pass(Original, 0, 1, 0), ("REQUEST", true, false));
    assert_eq!(pass(Reply, 1, 70, 1), ("RESPOND", true, false));
    assert_eq!(pass(Original, 2, 2, 0), ("RESPOND", false, false));
    assert_eq!(pass(Original, 3, 2, 70), ("PARTOPEN", true, true));
    assert_eq!(pass(Reply, 4, 71, 2), ("OPEN", true, false));
    assert_eq!(pass(Original, 0, 9, 0), ("OPEN", false, false));
    assert_eq!(pass(Reply, 5, 72, 2), ("CLOSEREQ", true, false));
    assert_eq!(pass(Original, 6, 3, 72), ("CLOSING", true, false));
    assert_eq!(pass(Reply, 7, 73, 3), ("TIMEWAIT", true, false));
    // Opened anew by the former server.
    assert_eq!(pass(Reply, 0, 400, 0), ("REQUEST", true, false));
    assert_eq!(pass(Original, 1, 500, 400), ("RESPOND", true, false));
}

#[test]
fn dccp_is_picked_up_only_if_loose_and_killed_by_a_first_reset() {
    let strict = L4Settings { dccp_loose: false, ..L4Settings::default() };
    let ack = dccp(3, 5, 6);
    assert!(opened(START, &ack).is_ok());
    assert_eq!(at(START, &ack, |view| open(view, &strict)).err(), Some(Invalid::DccpOpen));
    let mut l4 = opened(START, &dccp(0, 1, 0)).unwrap();
    updated(&mut l4, START, &dccp(0, 1, 0), Direction::Original, Status::empty());
    assert_eq!(updated(&mut l4, START, &dccp(7, 1, 1), Direction::Reply, Status::empty()), Step::Kill);
}
