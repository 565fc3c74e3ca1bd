//! What two ends of a control conn send.
//!
//! An input is text with marks in it. A mark is [`MARK`] and a byte that says which end sends what follows, and how it reaches the reader;
//! without a mark the client sends. [`MARK`] twice is the byte itself.

use pinhole_wire::Direction;

/// Begins a mark. Not a byte of UTF-8 text, so that protocols' own bytes seldom need it twice.
pub const MARK: u8 = 0xf8;

/// How a piece of text reaches the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// Where the sender's stream ends.
    InOrder,
    /// This many bytes too early: the bytes before it come later, or never.
    Ahead(u32),
    /// Over bytes that were sent before, whatever they were.
    Over(u32),
    /// At any sequence number.
    Stray(u32),
}

/// A piece of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Who sends it.
    pub from: Direction,
    /// How it arrives.
    pub passage: Passage,
    /// Whether it comes with a FIN.
    pub fin: bool,
    /// The text.
    pub bytes: Vec<u8>,
}

/// The pieces of an input.
pub fn pieces(input: &[u8]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut piece = started(0);
    let mut bytes = input.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            MARK => match bytes.next() {
                Some(&MARK) => piece.bytes.push(MARK),
                Some(&mark) => pieces.push(std::mem::replace(&mut piece, started(mark))),
                None => break,
            },
            _ => piece.bytes.push(byte),
        }
    }
    pieces.push(piece);
    pieces
}

/// Appends a piece in order.
pub fn append(input: &mut Vec<u8>, from: Direction, bytes: &[u8]) {
    input.extend([MARK, from.index() as u8]);
    for &byte in bytes {
        input.extend(std::iter::repeat_n(byte, 1 + usize::from(byte == MARK)));
    }
}

/// Bit 0: who; bit 1: FIN; bits 2 and 3: the passage; the others: how far.
fn started(mark: u8) -> Piece {
    let from = if mark & 1 == 0 { Direction::Original } else { Direction::Reply };
    let far = u32::from(mark >> 4);
    let passage = match mark >> 2 & 3 {
        0 => Passage::InOrder,
        1 => Passage::Ahead(1 + far * far),
        2 => Passage::Over(1 + far * far),
        _ => Passage::Stray(far << 28),
    };
    Piece { from, passage, fin: mark & 2 != 0, bytes: Vec::new() }
}
