//! Rule by rule. Scenarios run two scripted ends, A (who opens) and B, through one conn.
#![allow(clippy::needless_pass_by_value)] // Segments are written where they are sent.

use super::*;
use crate::l4::{L4, open, update};
use pinhole_wire::{Packet, TcpFlags, Time};
use proptest::prelude::*;

/// What a segment carries besides numbers.
#[derive(Clone, Debug, Default)]
struct Cut {
    sequence: u32,
    acknowledgement: u32,
    window: u16,
    flags: u8,
    options: Vec<u8>,
    payload: u16,
}

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

fn cut(flags: u8, sequence: u32, acknowledgement: u32) -> Cut {
    Cut { sequence, acknowledgement, window: 1000, flags, ..Cut::default() }
}

impl Cut {
    fn payload(self, payload: u16) -> Self {
        Self { payload, ..self }
    }

    fn window(self, window: u16) -> Self {
        Self { window, ..self }
    }

    fn options(self, options: &[u8]) -> Self {
        Self { options: options.to_vec(), ..self }
    }

    /// As an IPv4 datagram; addresses and ports do not matter here.
    fn bytes(&self) -> Vec<u8> {
        let mut options = self.options.clone();
        options.resize(self.options.len().next_multiple_of(4).min(40), 1);
        let header = 20 + options.len();
        let total = 20 + header + usize::from(self.payload);
        let mut bytes = vec![0x45, 0];
        bytes.extend((total as u16).to_be_bytes());
        bytes.extend([0, 0, 0, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
        bytes.extend([0x80, 0, 0, 80]);
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(self.acknowledgement.to_be_bytes());
        bytes.extend([(header as u8 / 4) << 4, self.flags]);
        bytes.extend(self.window.to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(options);
        bytes.resize(total, b'x');
        bytes
    }
}

/// One conn and its status, as a tracker would keep it.
struct Conn {
    l4: L4,
    status: Status,
    settings: L4Settings,
    /// Timeout last set.
    timeout: u32,
}

impl Conn {
    fn start(first: Cut) -> Self {
        Self::start_with(first, L4Settings::default()).unwrap()
    }

    fn start_with(first: Cut, settings: L4Settings) -> Result<Self, Invalid> {
        let bytes = first.bytes();
        let packet = Packet::parse(&bytes, 0).unwrap();
        let l4 = open(View { packet: &packet, bytes: &bytes, now: Time::default() }, &settings)?;
        let mut conn = Self { l4, status: Status::empty(), settings, timeout: 0 };
        conn.a(first);
        Ok(conn)
    }

    /// SYN 100, SYN-ACK 500, ACK: established, assured, next bytes 101 and 501.
    fn established() -> Self {
        let mut conn = Self::start(cut(SYN, 100, 0));
        conn.b(cut(SYN | ACK, 500, 101));
        conn.a(cut(ACK, 101, 501));
        assert_eq!(conn.state(), TcpState::Established);
        conn
    }

    fn a(&mut self, cut: Cut) -> Step {
        self.pass(Direction::Original, &cut)
    }

    fn b(&mut self, cut: Cut) -> Step {
        self.pass(Direction::Reply, &cut)
    }

    fn pass(&mut self, direction: Direction, cut: &Cut) -> Step {
        let bytes = cut.bytes();
        let packet = Packet::parse(&bytes, 0).unwrap();
        let view = View { packet: &packet, bytes: &bytes, now: Time::default() };
        let timeouts = Timeouts::default();
        let before = self.l4;
        let step = update(&mut self.l4, view, direction, self.status, &self.settings, &timeouts);
        self.check_short_way(before, step, direction, &bytes);
        if let Step::Accept { timeout, assure, .. } = step {
            self.timeout = timeout;
            self.status.set(Status::ASSURED, assure || self.status.contains(Status::ASSURED));
        }
        let passes = !matches!(step, Step::Invalid(_) | Step::InvalidClose { .. });
        self.status.set(
            Status::SEEN_REPLY,
            self.status.contains(Status::SEEN_REPLY) || (passes && direction == Direction::Reply),
        );
        step
    }

    /// What [`Tcp::go_on`] accepts is accepted with the same result, and what it does not accept leaves no trace.
    fn check_short_way(&self, before: L4, step: Step, direction: Direction, bytes: &[u8]) {
        let plain = pinhole_wire::Plain::read(pinhole_wire::IpVersion::V4, bytes, 0);
        let (L4::Tcp(before), L4::Tcp(after), Some(plain)) = (before, &self.l4, plain) else { return };
        if !self.status.contains(Status::SEEN_REPLY) {
            return;
        }
        let mut tcp = before;
        match tcp.go_on(&plain.bounds, bytes, direction, &self.settings, &Timeouts::default()) {
            Some(timeout) => {
                let (old, new) = (before.state(), tcp.state());
                let assure = !self.status.contains(Status::ASSURED) && establishes(old, new);
                assert_eq!(step, Step::Accept { timeout, assure, changed: old != new });
                assert_eq!(format!("{tcp:?}"), format!("{after:?}"));
            }
            None => assert_eq!(format!("{tcp:?}"), format!("{before:?}")),
        }
    }

    fn state(&self) -> TcpState {
        match &self.l4 {
            L4::Tcp(tcp) => tcp.state(),
            other => panic!("{other:?} is not TCP"),
        }
    }
}

fn accepted(step: Step) -> bool {
    matches!(step, Step::Accept { .. })
}

#[test]
fn handshake_states_timeouts_and_assurance() {
    let mut conn = Conn::start(cut(SYN, 100, 0));
    assert_eq!((conn.state(), conn.timeout), (TcpState::SynSent, 120));
    conn.b(cut(SYN | ACK, 500, 101));
    assert_eq!((conn.state(), conn.timeout), (TcpState::SynRecv, 60));
    assert!(!conn.status.contains(Status::ASSURED));
    let step = conn.a(cut(ACK, 101, 501));
    assert_eq!(step, Step::Accept { timeout: 432_000, assure: true, changed: true });
    assert_eq!(conn.state(), TcpState::Established);
}

#[test]
fn acks_and_fins_that_fit_take_the_short_way() {
    let mut conn = Conn::established();
    for (direction, cut) in [
        (Direction::Original, cut(ACK, 101, 501).payload(100)),
        (Direction::Reply, cut(ACK, 501, 201)),
        (Direction::Reply, cut(FIN | ACK, 501, 201)),
        (Direction::Original, cut(FIN | ACK, 201, 502)),
        (Direction::Reply, cut(ACK, 502, 202)),
    ] {
        let L4::Tcp(mut tcp) = conn.l4 else { panic!("not TCP") };
        let bytes = cut.bytes();
        let plain = pinhole_wire::Plain::read(pinhole_wire::IpVersion::V4, &bytes, 0).unwrap();
        let gone = tcp.go_on(&plain.bounds, &bytes, direction, &conn.settings, &Timeouts::default());
        assert!(accepted(conn.pass(direction, &cut)));
        assert_eq!(gone, Some(conn.timeout));
    }
    assert_eq!(conn.state(), TcpState::TimeWait);
}

#[test]
fn illegal_flags_are_invalid() {
    for flags in [0, FIN, SYN | FIN, SYN | RST, FIN | RST | ACK, 0x29, SYN | FIN | ACK, 0x20] {
        assert_eq!(
            Conn::established().a(cut(flags, 101, 501)),
            Step::Invalid(Invalid::TcpFlags),
            "{flags:#x}"
        );
    }
    for flags in [ACK | 0x08, ACK | 0x20, ACK | 0xc0] {
        assert!(accepted(Conn::established().a(cut(flags, 101, 501))), "{flags:#x}");
    }
}

#[test]
fn only_a_syn_or_with_loose_an_ack_opens() {
    let strict = L4Settings { tcp_loose: false, ..L4Settings::default() };
    let refused = |cut: Cut, settings| Conn::start_with(cut, settings).err();
    assert_eq!(refused(cut(ACK, 1, 1), strict), Some(Invalid::TcpStrictPickup));
    assert_eq!(refused(cut(ACK, 1, 1), L4Settings::default()), None);
    for (flags, kind) in [(SYN | ACK, TcpKind::SynAck), (FIN | ACK, TcpKind::Fin), (RST, TcpKind::Rst)] {
        assert_eq!(refused(cut(flags, 1, 1), L4Settings::default()), Some(Invalid::TcpOpen(kind)));
    }
    assert_eq!(refused(cut(SYN, 1, 0), strict), None);
}

#[test]
fn closing_in_either_order_ends_in_time_wait() {
    let mut conn = Conn::established();
    conn.a(cut(FIN | ACK, 101, 501));
    assert_eq!((conn.state(), conn.timeout), (TcpState::FinWait, 120));
    conn.b(cut(ACK, 501, 102));
    assert_eq!((conn.state(), conn.timeout), (TcpState::CloseWait, 60));
    conn.b(cut(FIN | ACK, 501, 102));
    assert_eq!((conn.state(), conn.timeout), (TcpState::LastAck, 30));
    conn.a(cut(ACK, 102, 502));
    assert_eq!((conn.state(), conn.timeout), (TcpState::TimeWait, 120));

    let mut conn = Conn::established();
    conn.b(cut(FIN | ACK, 501, 101));
    conn.a(cut(FIN | ACK, 101, 502));
    assert_eq!(conn.state(), TcpState::LastAck);
    conn.b(cut(ACK, 502, 102));
    assert_eq!(conn.state(), TcpState::TimeWait);
}

#[test]
fn a_fresh_syn_reopens_what_was_closed_in_order_or_reset_by_the_opener() {
    let mut conn = Conn::established();
    conn.a(cut(FIN | ACK, 101, 501));
    conn.b(cut(FIN | ACK, 501, 102));
    conn.a(cut(ACK, 102, 502));
    assert_eq!(conn.a(cut(SYN, 9_000, 0)), Step::Reopen);
    let mut conn = Conn::established();
    conn.a(cut(RST, 101, 0));
    assert_eq!(conn.a(cut(SYN, 9_000, 0)), Step::Reopen);
    // The other end's RST may be forged: the SYN passes, and its answer tells.
    let mut conn = Conn::established();
    conn.b(cut(RST, 501, 0));
    assert_eq!(conn.a(cut(SYN, 9_000, 0)), Step::Ignore);
}

#[test]
fn simultaneous_open() {
    let mut conn = Conn::start(cut(SYN, 100, 0));
    conn.b(cut(SYN, 500, 0));
    assert_eq!(conn.state(), TcpState::SynSent2);
    conn.a(cut(SYN | ACK, 100, 501));
    assert_eq!(conn.state(), TcpState::SynRecv);
    conn.b(cut(ACK, 501, 101));
    assert_eq!(conn.state(), TcpState::Established);
}

#[test]
fn a_repeated_syn_does_not_keep_the_conn_alive() {
    let mut conn = Conn::start(cut(SYN, 100, 0));
    assert_eq!(conn.a(cut(SYN, 100, 0)), Step::Ignore);
    assert_eq!(conn.a(cut(SYN, 7_000, 0)), Step::Ignore);
    // The last attempt is the one that counts.
    assert!(accepted(conn.b(cut(SYN | ACK, 500, 7_001))));
    assert_eq!(conn.state(), TcpState::SynRecv);
}

#[test]
fn rst_to_an_unanswered_syn_kills() {
    let mut conn = Conn::start(cut(SYN, 100, 0));
    assert_eq!(conn.b(cut(RST | ACK, 0, 101)), Step::Kill);
    let mut conn = Conn::start(cut(SYN, 100, 0));
    assert_eq!(conn.b(cut(RST | ACK, 0, 5_000_000)), Step::Invalid(Invalid::TcpAckNeverSent));
}

#[test]
fn an_exact_rst_closes_and_one_within_the_window_waits_for_the_challenge() {
    let mut conn = Conn::established();
    assert!(accepted(conn.b(cut(RST, 501, 0))));
    assert_eq!((conn.state(), conn.timeout), (TcpState::Close, 10));

    let mut conn = Conn::established();
    assert!(accepted(conn.b(cut(RST, 600, 0))));
    assert_eq!((conn.state(), conn.timeout), (TcpState::Established, 10));
    // The challenge ACK, then the exact RST. (99 bytes before the RST are taken for sent and not yet acknowledged.)
    assert!(accepted(conn.a(cut(ACK, 101, 501))));
    assert_eq!((conn.state(), conn.timeout), (TcpState::Established, 300));
    assert!(accepted(conn.b(cut(RST, 501, 0))));
    assert_eq!(conn.state(), TcpState::Close);
}

#[test]
fn an_old_rst_is_invalid_unless_told_otherwise() {
    let mut conn = Conn::established();
    assert_eq!(conn.b(cut(RST, 400, 0)), Step::Invalid(Invalid::TcpOldReset));
    assert_eq!(conn.state(), TcpState::Established);
    conn.settings.tcp_ignore_invalid_rst = true;
    assert!(!matches!(conn.b(cut(RST, 400, 0)), Step::Invalid(_)));
}

#[test]
fn a_rst_beyond_the_window_is_invalid_and_two_ends_that_insist_shorten_the_timeout() {
    let mut conn = Conn::established();
    assert_eq!(conn.b(cut(RST, 9_000_000, 0)), Step::Invalid(Invalid::TcpAboveWindow));
    let step = conn.a(cut(FIN | ACK, 9_000_000, 501));
    assert_eq!(step, Step::InvalidClose { reason: Invalid::TcpAboveWindow, timeout: 300 });
}

#[test]
fn a_syn_in_an_established_conn_changes_nothing_when_a_challenge_ack_answers_it() {
    let mut conn = Conn::established();
    assert_eq!(conn.a(cut(SYN, 70_000, 0)), Step::Ignore);
    assert!(accepted(conn.b(cut(ACK, 501, 101))));
    assert_eq!(conn.state(), TcpState::Established);
    assert!(accepted(conn.a(cut(ACK, 101, 501).payload(10))));
}

#[test]
fn a_syn_in_an_established_conn_wins_when_a_syn_ack_answers_it() {
    let mut conn = Conn::established();
    assert_eq!(conn.a(cut(SYN, 70_000, 0)), Step::Ignore);
    assert!(accepted(conn.b(cut(SYN | ACK, 990_000, 70_001))));
    assert_eq!(conn.state(), TcpState::SynRecv);
    assert!(accepted(conn.a(cut(ACK, 70_001, 990_001))));
    assert_eq!(conn.state(), TcpState::Established);
}

#[test]
fn a_rst_that_acknowledges_the_syn_let_through_closes() {
    let mut conn = Conn::established();
    conn.a(cut(SYN, 70_000, 0));
    assert!(accepted(conn.b(cut(RST | ACK, 0, 70_001))));
    assert_eq!(conn.state(), TcpState::Close);
    // The same from the SYN's own side proves nothing.
    let mut conn = Conn::established();
    conn.a(cut(SYN, 70_000, 0));
    assert_eq!(conn.a(cut(RST | ACK, 9_000_000, 70_001)), Step::Invalid(Invalid::TcpAboveWindow));
}

#[test]
fn a_challenge_ack_is_not_the_last_ack() {
    let mut conn = Conn::established();
    conn.a(cut(FIN | ACK, 101, 501));
    conn.b(cut(FIN | ACK, 501, 102));
    assert_eq!(conn.state(), TcpState::LastAck);
    assert_eq!(conn.a(cut(SYN, 70_000, 0)), Step::Ignore);
    assert_eq!(conn.b(cut(ACK, 502, 102)), Step::Ignore);
    assert_eq!(conn.state(), TcpState::LastAck);
    conn.a(cut(ACK, 102, 502));
    assert_eq!(conn.state(), TcpState::TimeWait);
}

#[test]
fn a_challenge_ack_to_a_new_syn_and_the_rst_that_answers_it() {
    // The server still holds an older conn: it answers the SYN with an ACK of that one, the client resets it, and sends its SYN again.
    let mut conn = Conn::start(cut(SYN, 100, 0));
    assert_eq!(conn.b(cut(ACK, 8_000, 4_000)), Step::Ignore);
    assert!(accepted(conn.a(cut(RST, 4_000, 0))));
    assert_eq!(conn.state(), TcpState::Close);
    assert_eq!(conn.a(cut(SYN, 100, 0)), Step::Reopen);
}

#[test]
fn an_old_syn_ack_is_refused_and_the_right_one_taken() {
    let mut conn = Conn::start(cut(SYN, 100, 0));
    assert_eq!(conn.b(cut(SYN | ACK, 800, 9_000)), Step::Invalid(Invalid::TcpAckNeverSent));
    assert_eq!(conn.state(), TcpState::SynSent);
    assert!(accepted(conn.b(cut(SYN | ACK, 500, 101))));
    assert!(accepted(conn.a(cut(ACK, 101, 501))));
    assert_eq!(conn.state(), TcpState::Established);
}

#[test]
fn segments_outside_the_windows() {
    let mut conn = Conn::established();
    assert_eq!(conn.a(cut(ACK, 9_000_000, 501)), Step::Invalid(Invalid::TcpAboveWindow));
    assert_eq!(conn.a(cut(ACK, 101, 700)), Step::Invalid(Invalid::TcpAckNeverSent));
    // Old duplicates pass, and do nothing.
    assert_eq!(conn.a(cut(ACK, 101_u32.wrapping_sub(5_000), 501)), Step::Ignore);
    assert_eq!(conn.a(cut(ACK, 101, 501_u32.wrapping_sub(window::MAX_ACK_WINDOW + 1))), Step::Ignore);
    assert!(accepted(conn.a(cut(ACK, 101, 501_u32.wrapping_sub(window::MAX_ACK_WINDOW)))));
    conn.settings.tcp_be_liberal = true;
    assert!(accepted(conn.a(cut(ACK, 9_000_000, 501))));
}

#[test]
fn a_little_more_than_was_offered_passes_and_may_be_acknowledged() {
    let mut conn = Conn::established();
    assert!(accepted(conn.a(cut(ACK, 101, 501).payload(1_000))));
    assert_eq!(conn.a(cut(ACK, 1_102, 501).payload(100)), Step::Ignore);
    assert!(accepted(conn.b(cut(ACK, 501, 1_202))));
}

#[test]
fn windows_scale_only_if_both_ends_say_so() {
    const SCALE: &[u8] = &[3, 3, 7];
    for (answer, fits) in [(SCALE, true), (&[1][..], false)] {
        let mut conn = Conn::start(cut(SYN, 100, 0).options(SCALE));
        conn.b(cut(SYN | ACK, 500, 101).options(answer));
        conn.a(cut(ACK, 101, 501).window(1_000));
        // 128,000 bytes are on offer if scaled; 1,000 otherwise.
        assert_eq!(accepted(conn.b(cut(ACK, 100_501, 101))), fits);
    }
}

#[test]
fn sack_edges_count_as_acknowledged() {
    const SACK_OK: &[u8] = &[4, 2];
    let mut conn = Conn::start(cut(SYN, 100, 0).options(SACK_OK));
    conn.b(cut(SYN | ACK, 500, 101).options(SACK_OK));
    conn.a(cut(ACK, 101, 501));
    let sack = |right: u32| {
        let mut option = vec![1, 1, 5, 10];
        option.extend(150_u32.to_be_bytes());
        option.extend(right.to_be_bytes());
        option
    };
    conn.a(cut(ACK, 101, 501).payload(100));
    assert!(accepted(conn.b(cut(ACK, 501, 101).options(&sack(201)))));
    assert_eq!(conn.b(cut(ACK, 501, 101).options(&sack(202))), Step::Invalid(Invalid::TcpAckNeverSent));
}

#[test]
fn repeated_segments_unacknowledged_data_and_zero_windows_shorten_the_timeout() {
    let mut conn = Conn::established();
    conn.a(cut(ACK, 101, 501).payload(10));
    assert_eq!(conn.timeout, 300, "data are unacknowledged");
    conn.b(cut(ACK, 501, 111));
    assert_eq!(conn.timeout, 432_000);
    conn.b(cut(ACK, 501, 111).window(0));
    assert_eq!(conn.timeout, 300, "the window is closed");
    conn.b(cut(ACK, 501, 111));
    assert_eq!(conn.timeout, 432_000);
    for _ in 0..3 {
        conn.b(cut(ACK, 501, 111));
    }
    assert_eq!(conn.timeout, 300, "nothing moves");
}

#[test]
fn a_stall_after_lost_acks_recovers() {
    // B's ACKs are lost behind the firewall; A fills the window, then goes on when it learns of them all at once.
    let mut conn = Conn::established();
    for sequence in [101, 351, 601, 851] {
        assert!(accepted(conn.a(cut(ACK, sequence, 501).payload(250))));
    }
    assert!(accepted(conn.b(cut(ACK, 501, 1_101))));
    assert!(accepted(conn.a(cut(ACK, 1_101, 501).payload(1_000))));
}

#[test]
fn a_conn_picked_up_in_mid_stream_is_assured_by_an_answer_and_not_held_to_windows() {
    let mut conn = Conn::start(cut(ACK, 5_000, 9_000).payload(100));
    assert_eq!((conn.state(), conn.timeout), (TcpState::Established, 300));
    assert!(accepted(conn.b(cut(ACK, 9_000, 5_100))));
    assert!(!conn.status.contains(Status::ASSURED));
    assert!(accepted(conn.b(cut(ACK, 9_000, 5_100).payload(1_400))));
    assert!(conn.status.contains(Status::ASSURED));
    assert!(accepted(conn.a(cut(ACK, 9_000_000, 9_000))));
}

#[test]
fn half_of_sequence_space_is_before_and_half_after() {
    assert!(before(u32::MAX, 0) && after(0, u32::MAX));
    assert!(!before(5, 5) && !after(5, 5));
}

fn arbitrary_cut() -> impl Strategy<Value = Cut> {
    let near = prop_oneof![Just(0_u32), any::<u32>(), (0..5_000_u32), (500..600_u32)];
    let options = prop::collection::vec(any::<u8>(), 0..40);
    (near.clone(), near, any::<u16>(), any::<u8>(), options, 0..3_000_u16).prop_map(
        |(sequence, acknowledgement, window, flags, options, payload)| Cut {
            sequence,
            acknowledgement,
            window,
            flags,
            options,
            payload,
        },
    )
}

/// One end of a conversation without loss.
#[derive(Clone, Copy)]
struct Talker {
    next: u32,
    /// Acknowledged by the peer, and how much more it takes.
    acknowledged: u32,
    offered: u32,
    scale: u8,
}

proptest! {
    #[test]
    fn arbitrary_segments_never_panic(cuts in prop::collection::vec((any::<bool>(), arbitrary_cut()), 1..60)) {
        let mut conn = Conn::established();
        for (from_a, cut) in cuts {
            let _ = if from_a { conn.a(cut) } else { conn.b(cut) };
        }
    }

    #[test]
    fn a_lossless_conversation_is_never_invalid(
        starts in any::<[u32; 2]>(),
        scales in prop::option::of(prop::array::uniform2(0..=14_u8)),
        turns in prop::collection::vec((any::<bool>(), 0..60_000_u32, any::<u16>()), 1..80),
    ) {
        let option = |end: usize| scales.map_or(vec![], |scales| vec![3, 3, scales[end]]);
        let scale = |end: usize| scales.map_or(0, |scales| scales[end]);
        let mut ends = [0, 1].map(|end| Talker {
            next: starts[end].wrapping_add(1),
            acknowledged: starts[end].wrapping_add(1),
            offered: 65_535,
            scale: scale(end),
        });
        let mut conn = Conn::start(cut(SYN, starts[0], 0).window(65_535).options(&option(0)));
        let step = conn.b(cut(SYN | ACK, starts[1], ends[0].next).window(65_535).options(&option(1)));
        prop_assert!(accepted(step));
        prop_assert!(accepted(conn.a(cut(ACK, ends[0].next, ends[1].next).window(65_535))));
        ends[1].offered = 65_535 << ends[0].scale;
        for (from_a, wanted, window) in turns {
            let (me, you) = if from_a { (0, 1) } else { (1, 0) };
            let in_flight = ends[me].next.wrapping_sub(ends[me].acknowledged);
            let length = wanted.min(ends[me].offered.saturating_sub(in_flight)).min(60_000);
            // An end does not take back what it has offered (RFC 9293 §3.8.6).
            let unread = ends[you].offered.saturating_sub(ends[you].next.wrapping_sub(ends[you].acknowledged));
            let window = window.max(u16::try_from(unread.div_ceil(1 << ends[me].scale)).unwrap_or(u16::MAX));
            let segment = cut(ACK, ends[me].next, ends[you].next).window(window).payload(length as u16);
            let step = if from_a { conn.a(segment) } else { conn.b(segment) };
            prop_assert!(accepted(step), "{step:?}");
            ends[me].next = ends[me].next.wrapping_add(length);
            ends[you].acknowledged = ends[you].next;
            ends[you].offered = u32::from(window) << ends[me].scale;
        }
    }
}

#[test]
fn acks_are_told_apart_as_all_kinds_are() {
    for flags in (0..=u8::MAX).map(TcpFlags::from_bits_retain) {
        assert_eq!(TcpKind::is_ack(flags), TcpKind::of(flags) == Some(TcpKind::Ack), "{flags:?}");
    }
}
