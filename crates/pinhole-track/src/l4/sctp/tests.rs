//! Associations by chunk: opening, closing, tags, bundling.

use super::*;
use crate::l4::tests::{datagram, opened, updated};
use crate::l4::{L4, Step};
use Direction::{Original, Reply};
use pinhole_wire::{Protocol, Time};
use proptest::prelude::*;

const NOW: Time = Time(0);
/// Tags that A and B demand.
const A: u32 = 0xa;
const B: u32 = 0xb;

fn chunk(kind: u8, value: &[u8]) -> Vec<u8> {
    let mut chunk = vec![kind, 0];
    chunk.extend((4 + value.len() as u16).to_be_bytes());
    chunk.extend(value);
    chunk.resize(chunk.len().next_multiple_of(4), 0);
    chunk
}

/// INIT (1) or INIT ACK (2).
fn init(kind: u8, initiate_tag: u32) -> Vec<u8> {
    let mut value = initiate_tag.to_be_bytes().to_vec();
    value.resize(16, 1);
    chunk(kind, &value)
}

fn packet(tag: u32, chunks: &[u8]) -> Vec<u8> {
    let mut payload = vec![0, 7, 0, 9];
    payload.extend(tag.to_be_bytes());
    payload.extend([0; 4]);
    payload.extend(chunks);
    datagram(Protocol::SCTP, &payload)
}

struct Conn {
    l4: L4,
    status: Status,
}

impl Conn {
    fn start(tag: u32, chunks: &[u8]) -> Result<Self, Invalid> {
        let mut conn = Self { l4: opened(NOW, &packet(tag, chunks))?, status: Status::empty() };
        conn.pass(Original, tag, chunks);
        Ok(conn)
    }

    fn established() -> Self {
        let mut conn = Self::start(0, &init(1, A)).unwrap();
        conn.pass(Reply, A, &init(2, B));
        conn.pass(Original, B, &chunk(10, b"cookie"));
        conn.pass(Reply, A, &chunk(11, &[]));
        assert_eq!(conn.state(), "ESTABLISHED");
        conn
    }

    fn pass(&mut self, direction: Direction, tag: u32, chunks: &[u8]) -> Step {
        let step = updated(&mut self.l4, NOW, &packet(tag, chunks), direction, self.status);
        if let Step::Accept { assure, .. } = step {
            self.status.set(Status::ASSURED, assure || self.status.contains(Status::ASSURED));
        }
        step
    }

    fn state(&self) -> &'static str {
        self.l4.state_name().unwrap()
    }
}

#[test]
fn opens_in_four_steps_and_is_assured_by_the_last() {
    let mut conn = Conn::start(0, &init(1, A)).unwrap();
    assert_eq!(conn.state(), "CLOSED");
    conn.pass(Reply, A, &init(2, B));
    assert_eq!(conn.state(), "COOKIE_WAIT");
    conn.pass(Original, B, &chunk(10, b"cookie"));
    assert_eq!(conn.state(), "COOKIE_ECHOED");
    assert!(!conn.status.contains(Status::ASSURED));
    let step = conn.pass(Reply, A, &chunk(11, &[]));
    assert_eq!(step, Step::Accept { timeout: 210, assure: true, changed: true });
}

#[test]
fn closes_from_either_side() {
    for (first, second, tags, state) in
        [(Original, Reply, [B, A], "SHUTDOWN_SENT"), (Reply, Original, [A, B], "SHUTDOWN_RECD")]
    {
        let mut conn = Conn::established();
        conn.pass(first, tags[0], &chunk(7, &[0; 4]));
        assert_eq!(conn.state(), state);
        conn.pass(second, tags[1], &chunk(8, &[]));
        assert_eq!(conn.state(), "SHUTDOWN_ACK_SENT");
        conn.pass(first, tags[0], &chunk(14, &[]));
        assert_eq!(conn.state(), "CLOSED");
    }
}

#[test]
fn tags_are_checked() {
    let mut conn = Conn::established();
    let data = chunk(0, b"some data");
    assert!(matches!(conn.pass(Original, B, &data), Step::Accept { .. }));
    assert_eq!(conn.pass(Original, A, &data), Step::Invalid(Invalid::SctpTag));
    assert_eq!(conn.pass(Reply, A, &init(1, 5)), Step::Invalid(Invalid::SctpInitTag));
    // ABORT bears the receiver's tag, or with the T bit its sender's own.
    assert_eq!(conn.pass(Original, A, &chunk(6, &[])), Step::Invalid(Invalid::SctpTag));
    assert!(matches!(conn.pass(Original, A, &[6, 1, 0, 4]), Step::Accept { .. }));
    assert_eq!(conn.state(), "CLOSED");
}

#[test]
fn chunks_out_of_the_blue_open_nothing() {
    for kind in [0, 3, 6, 11, 14] {
        assert_eq!(Conn::start(B, &chunk(kind, &[0; 4])).err(), Some(Invalid::SctpOpen), "{kind}");
    }
    assert_eq!(Conn::start(7, &init(1, A)).err(), Some(Invalid::SctpInitTag));
}

#[test]
fn bundling_rules_and_bad_lengths() {
    let two = [init(1, A), chunk(0, &[])].concat();
    for bad in [&two[..], &[], &[1, 0, 0, 0], &[1, 0]] {
        assert_eq!(Conn::start(0, bad).err(), Some(Invalid::SctpChunks));
    }
    // The fixed part of INIT is cut.
    assert_eq!(Conn::start(0, &chunk(1, &[0; 8])).err(), Some(Invalid::SctpChunks));
}

#[test]
fn a_second_path_opens_with_a_heartbeat() {
    let mut conn = Conn::start(B, &chunk(4, &[0; 8])).unwrap();
    assert_eq!(conn.state(), "HEARTBEAT_SENT");
    assert_eq!(conn.pass(Reply, A, &chunk(7, &[0; 4])), Step::Invalid(Invalid::SctpTag));
    let step = conn.pass(Reply, A, &chunk(5, &[0; 8]));
    assert_eq!(step, Step::Accept { timeout: 210, assure: true, changed: true });
}

#[test]
fn a_repeated_init_does_not_keep_the_conn_alive() {
    let mut conn = Conn::start(0, &init(1, A)).unwrap();
    assert_eq!(conn.pass(Original, 0, &init(1, A)), Step::Ignore);
}

proptest! {
    #[test]
    fn arbitrary_chunks_never_panic(
        packets in prop::collection::vec((any::<bool>(), 0..12_u32, prop::collection::vec(0..16_u8, 0..64)), 1..20),
    ) {
        let mut conn = Conn::established();
        for (from_a, tag, chunks) in packets {
            conn.pass(if from_a { Original } else { Reply }, tag, &chunks);
        }
    }
}
