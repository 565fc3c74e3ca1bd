//! What a message looks like: text with fields in it.
//!
//! ```text
//! 'OFFER {key:word} {address}:{port}'
//! '\xff\xff\xff\xffgetserversResponse{items}'
//! ```
//!
//! A template fits a whole message, from its first byte to its last. It is matched from left to right in one pass: each field takes as many
//! bytes as have its shape, and what follows must then be there; nothing is tried a second time. That is enough for the announcements of real
//! protocols, and a reader can tell at a glance what fits.
//!
//! | field | takes |
//! |---|---|
//! | `{address}`, `{port}`, `{address:comma}`, … | an address or port, see [`notation`](crate::notation) |
//! | `{key:KIND}` | what an announcement and its answer have in common; up to [`LONGEST_KEY`] bytes |
//! | `{_:KIND}` | something that does not matter |
//! | `{items}` | the rest of the message: a list |
//!
//! | kind | is |
//! |---|---|
//! | `word` | one or more bytes that are neither blanks nor control characters, up to what follows in the template |
//! | `number` | one or more decimal digits |
//! | `blanks` | blanks and tabs, or nothing |
//! | `text` | anything, also nothing, up to what follows in the template, or to the end |
//! | `4` | so many bytes |
//!
//! Outside of fields, `\r`, `\n`, `\t`, `\0`, `\\`, `\{`, `\}` and `\xNN` stand for bytes. (Files write templates in single quotes, in which
//! TOML leaves backslashes alone.)

mod matching;
mod parse;
#[cfg(test)]
mod tests;

pub(crate) use matching::{Fit, Found};
pub use parse::Mistake;

use crate::notation::{AddressNotation, PortNotation};

/// Longest template, in bytes as written.
pub const LONGEST_TEMPLATE: usize = 256;
/// Longest key; a longer one in a message makes an announcement malformed.
pub const LONGEST_KEY: usize = 32;

/// A template, ready to be matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
    /// Letters of either case fit.
    ignores_case: bool,
    /// As it was written.
    source: String,
}

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// These very bytes.
    Literal(Vec<u8>),
    Address(AddressNotation),
    Port(PortNotation),
    Key(Kind),
    Skip(Kind),
    Items,
}

/// What a field without a meaning of its own takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Word,
    Number,
    Blanks,
    Text,
    Bytes(u16),
}

impl Template {
    /// As it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it has a field for the address.
    pub(crate) fn has_address(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Address(_)))
    }

    /// Whether it has a field for the port.
    pub(crate) fn has_port(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Port(_)))
    }

    pub(crate) fn has_key(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Key(_)))
    }

    pub(crate) fn has_items(&self) -> bool {
        self.pieces.contains(&Piece::Items)
    }

    /// Whether addresses of IPv6 can be announced by it.
    pub(crate) fn has_room_for_six(&self) -> bool {
        let six =
            |piece: &Piece| matches!(piece, Piece::Address(AddressNotation::Text | AddressNotation::Six));
        !self.has_address() || self.pieces.iter().any(six)
    }

    /// Whether it takes nothing from some message.
    pub(crate) fn may_be_empty(&self) -> bool {
        self.pieces.iter().all(|piece| {
            matches!(
                piece,
                Piece::Items | Piece::Key(Kind::Blanks | Kind::Text) | Piece::Skip(Kind::Blanks | Kind::Text)
            )
        })
    }

    /// Whether there is nothing by which it could be told from another protocol's message.
    pub(crate) fn takes_anything(&self) -> bool {
        let fits_all = |kind: Kind| matches!(kind, Kind::Text | Kind::Word | Kind::Blanks | Kind::Bytes(_));
        !self.pieces.is_empty()
            && self.pieces.iter().all(|piece| match piece {
                Piece::Key(kind) | Piece::Skip(kind) => fits_all(*kind),
                Piece::Items => true,
                Piece::Literal(_) | Piece::Address(_) | Piece::Port(_) => false,
            })
    }

    /// The bytes with which it begins, whatever the fields hold.
    pub(crate) fn beginning(&self) -> &[u8] {
        match self.pieces.first() {
            Some(Piece::Literal(bytes)) => bytes,
            _ => &[],
        }
    }
}
