//! What rewriting a line costs: the edit is entered, and the segment that holds it is translated.
//!
//! A `PORT` command of 25 bytes becomes one of 23 in a conn whose sequence numbers are adjusted already, as in a session with many
//! transfers; its answer is translated, and acknowledges it, so that the ledger stays as it is. Prints nanoseconds for the pair and for
//! the answer alone.

#![allow(missing_docs)]
#![allow(clippy::expect_used, reason = "a benchmark that cannot start has nothing to measure")]

use pinhole_helper::Span;
use pinhole_nat::ChecksumField;
use pinhole_nat::rewrite::{Conversation, Edit};
use pinhole_wire::{Direction, Packet};
use std::hint::black_box;
use std::time::Instant;

const ROUNDS: u32 = 500_000;
const COMMAND: &[u8] = b"PORT 10,10,0,5,131,46\r\n";
const REWRITTEN: &[u8] = b"203,0,113,7,131,46";
const ANSWER: &[u8] = b"200 PORT command successful.\r\n";
/// Offset of the endpoint in the command.
const ENDPOINT: u64 = 5;

fn main() {
    let mut session = Session::new();
    let both = nanoseconds(|| session.command());
    let mut session = Session::new();
    session.command();
    let answer = nanoseconds(|| session.answer());
    println!("PORT line rewritten, and its answer: {both:.1} ns");
    println!("answer alone: {answer:.1} ns");
}

fn nanoseconds(mut round: impl FnMut()) -> f64 {
    let started = Instant::now();
    for _ in 0..ROUNDS {
        round();
    }
    started.elapsed().as_nanos() as f64 / f64::from(ROUNDS)
}

/// A control conn between two commands.
struct Session {
    conversation: Conversation,
    /// Bytes that the client has sent, as it counts and as the server counts; and those of the server.
    sent: u64,
    received: u32,
    answered: u32,
    frame: Vec<u8>,
    further: Vec<u8>,
}

impl Session {
    fn new() -> Self {
        let mut conversation = Conversation::default();
        conversation.open(Direction::Original, 1);
        conversation.open(Direction::Reply, 1);
        let frame = Vec::with_capacity(256);
        Self { conversation, sent: 0, received: 0, answered: 0, frame, further: Vec::new() }
    }

    fn command(&mut self) {
        let start = self.sent + ENDPOINT;
        let end = self.sent + COMMAND.len() as u64 - 2;
        let edit = Edit { span: Span { start, end }, replacement: REWRITTEN, owed: false };
        self.conversation.edit(Direction::Original, &edit).expect("the edit fits");
        self.pass(
            Direction::Original,
            (self.sent as u32).wrapping_add(1),
            self.answered.wrapping_add(1),
            COMMAND,
        );
        self.sent += COMMAND.len() as u64;
        self.received = self.received.wrapping_add(ENDPOINT as u32 + REWRITTEN.len() as u32 + 2);
        self.answer();
    }

    fn answer(&mut self) {
        let (sequence, acknowledgement) = (self.answered.wrapping_add(1), self.received.wrapping_add(1));
        self.pass(Direction::Reply, sequence, acknowledgement, ANSWER);
        self.answered = self.answered.wrapping_add(ANSWER.len() as u32);
    }

    fn pass(&mut self, from: Direction, sequence: u32, acknowledgement: u32, payload: &[u8]) {
        self.frame.clear();
        self.frame.extend_from_slice(&[0x45, 0]);
        self.frame.extend_from_slice(&(40 + payload.len() as u16).to_be_bytes());
        self.frame
            .extend_from_slice(&[0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 5, 192, 0, 2, 1, 0x9c, 0x40, 0, 21]);
        self.frame.extend_from_slice(&sequence.to_be_bytes());
        self.frame.extend_from_slice(&acknowledgement.to_be_bytes());
        self.frame.extend_from_slice(&[0x50, 0x18, 0x20, 0, 0, 0, 0, 0]);
        self.frame.extend_from_slice(payload);
        let packet = Packet::parse(&self.frame, 0).expect("a packet");
        let emitted = self.conversation.translate(
            from,
            &mut self.frame,
            &packet,
            ChecksumField::Full,
            1460,
            &mut self.further,
        );
        let _ = black_box(emitted.expect("a whole segment"));
    }
}
