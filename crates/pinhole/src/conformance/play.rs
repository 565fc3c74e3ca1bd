//! Plays a script to a helper, as it is written and in other ways.
//!
//! What one side says before the other answers is one turn. However a turn is cut into segments, in whatever order they arrive, and whatever is
//! sent twice: the helper must make the same of it.

use super::record::Recorder;
use super::script::Script;
use pinhole_helper::{Helper, NatHelper, Pickup, Reader};
use pinhole_wire::{Direction, Protocol, Tcp, TcpFlags, Time};
use std::fmt;
use std::ops::Range;

/// The first sequence number of each direction, near the wrap.
const INITIAL: [u32; 2] = [u32::MAX - 20, u32::MAX - 300];
/// How many other ways there are.
const WAYS: u64 = 24;
/// Furthest that a segment is put before another one.
const FURTHEST: usize = 12;

/// How a turn is cut and delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Every line a segment.
    AsWritten,
    /// In order, a byte a segment.
    ByteByByte,
    /// In pieces of any length, in any order, some of them twice; the number chooses.
    Mixed(u64),
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AsWritten => f.write_str("as written"),
            Self::ByteByByte => f.write_str("byte by byte"),
            Self::Mixed(number) => write!(f, "in pieces, out of order and repeated (way {number})"),
        }
    }
}

impl Way {
    /// All ways in which a script must come to the same. Datagrams are not cut.
    pub fn others(script: &Script) -> impl Iterator<Item = Self> + use<> {
        let ways = if script.master.protocol == Protocol::TCP { WAYS } else { 0 };
        let byte_by_byte = (ways > 0).then_some(Self::ByteByByte);
        byte_by_byte.into_iter().chain((1..ways).map(Self::Mixed))
    }
}

/// What a helper makes of a script: a JSON object a line.
pub fn play(helper: &dyn Helper, half: Option<&dyn NatHelper>, script: &Script, way: Way) -> Vec<String> {
    let reader = Reader::new(helper, script.master, helper.bound(script.policy), Pickup::Strict);
    let mut stage = Stage {
        reader,
        recorder: Recorder::new(helper.spec(), half, script.master),
        delivered: [0; 2],
        clock: 0,
    };
    if script.master.protocol != Protocol::TCP {
        for (number, (from, said)) in (1..).zip(&script.said) {
            stage.datagram(number, *from, said);
        }
        return stage.finish();
    }
    stage.handshake();
    let mut dice = Dice(if let Way::Mixed(number) = way { number } else { 0 });
    let mut number = 0;
    for turn in script.said.chunk_by(|(one, _), (other, _)| one == other) {
        let Some((from, _)) = turn.first() else { continue };
        let bytes = turn.concat_said();
        let segments = match way {
            Way::AsWritten => lines(turn),
            Way::ByteByByte => (0..bytes.len()).map(|at| at..at + 1).collect(),
            Way::Mixed(_) => dice.cut(bytes.len()),
        };
        number += turn.len();
        stage.turn(number, *from, &bytes, segments);
    }
    stage.finish()
}

/// Lines of a turn, one after the other.
trait Said {
    fn concat_said(&self) -> Vec<u8>;
}

impl Said for [(Direction, Vec<u8>)] {
    fn concat_said(&self) -> Vec<u8> {
        self.iter().flat_map(|(_, said)| said.iter().copied()).collect()
    }
}

/// Where each line of a turn stands.
fn lines(turn: &[(Direction, Vec<u8>)]) -> Vec<Range<usize>> {
    let mut at = 0;
    let place = |(_, said): &(Direction, Vec<u8>)| {
        let start = at;
        at += said.len();
        start..at
    };
    turn.iter().map(place).collect()
}

/// A conn that a helper reads.
struct Stage<'a> {
    reader: Reader,
    recorder: Recorder<'a>,
    /// Bytes that each direction has delivered.
    delivered: [u32; 2],
    clock: u64,
}

impl Stage<'_> {
    fn handshake(&mut self) {
        for from in [Direction::Original, Direction::Reply] {
            let flags =
                if from == Direction::Original { TcpFlags::SYN } else { TcpFlags::SYN | TcpFlags::ACK };
            self.segment(0, from, INITIAL[from.index()], flags, &[]);
        }
    }

    /// Delivers a turn, in these pieces of it.
    fn turn(&mut self, number: usize, from: Direction, bytes: &[u8], segments: Vec<Range<usize>>) {
        let first = INITIAL[from.index()].wrapping_add(1).wrapping_add(self.delivered[from.index()]);
        for piece in segments {
            let sequence = first.wrapping_add(u32::try_from(piece.start).unwrap_or(0));
            let piece = bytes.get(piece).unwrap_or_default();
            self.segment(number, from, sequence, TcpFlags::ACK | TcpFlags::PSH, piece);
        }
        let length = u32::try_from(bytes.len()).unwrap_or(0);
        self.delivered[from.index()] = self.delivered[from.index()].wrapping_add(length);
    }

    fn segment(&mut self, number: usize, from: Direction, sequence: u32, flags: TcpFlags, payload: &[u8]) {
        let peer = from.opposite().index();
        let tcp = Tcp {
            source_port: 0,
            destination_port: 0,
            sequence,
            acknowledgement: INITIAL[peer].wrapping_add(1).wrapping_add(self.delivered[peer]),
            window: u16::MAX,
            flags,
            header_length: 20,
            checksum: 0,
            urgent: 0,
            payload_length: u32::try_from(payload.len()).unwrap_or(0),
        };
        self.clock += 1;
        let mut actions = Vec::new();
        self.reader.segment(Time(self.clock), from, &tcp, payload, 0, &mut actions);
        self.recorder.note(number, from, &actions, &self.reader);
    }

    fn datagram(&mut self, number: usize, from: Direction, payload: &[u8]) {
        self.clock += 1;
        let mut actions = Vec::new();
        self.reader.datagram(Time(self.clock), from, payload, &mut actions);
        self.recorder.note(number, from, &actions, &self.reader);
    }

    fn finish(self) -> Vec<String> {
        self.recorder.finish(&self.reader)
    }
}

/// SplitMix64: numbers that are random enough here, and the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound.max(1) as u64) as usize
    }

    /// Pieces of a turn that together are all of it.
    fn cut(&mut self, length: usize) -> Vec<Range<usize>> {
        let longest = 1 + self.below(40);
        let mut pieces = Vec::new();
        let mut at = 0;
        while at < length {
            let end = (at + 1 + self.below(longest)).min(length);
            let start = if self.below(4) == 0 { at - self.below(at.min(40) + 1) } else { at };
            pieces.push(start..end);
            if self.below(4) == 0 {
                pieces.push(start..end);
            }
            at = end;
        }
        for index in 1..pieces.len() {
            let other = index.saturating_sub(self.below(FURTHEST));
            pieces.swap(index, other);
        }
        pieces
    }
}
