//! Packed encoding rules (ITU-T X.691, the basic aligned variant), read by tables.
//!
//! A [`Type`] says what a value looks like on the wire; [`walk`] follows it through a message, without allocating and without keeping
//! the values. What a table *marks* is shown to a [`Visitor`] with the bytes where it stands. The tables are written by hand from the
//! ASN.1 of the Recommendations: all that a message may hold ahead of what is wanted must be there, for nothing in this encoding says how
//! long it is. Additions behind an extension marker are the exception: they carry their length, and those that a table does not name are
//! stepped over.
//!
//! *Bounds.* Every step reads inside the message or fails. Types nest at most `walk::DEEPEST` levels; a message is given a number of
//! steps in proportion to its length, so that a list of a thousand values that take no bits costs no more than the bytes that claim it.

mod cursor;
mod types;
mod walk;

#[cfg(test)]
mod tests;

pub(crate) use types::{Component, Size, Type, optional, required, sequence};
pub(crate) use walk::{Found, Visitor, walk};

/// Why a message cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It ends before its value does.
    Short,
    /// A number is outside of its range.
    Range,
    /// A length of 16 KiB or more, which is sent in fragments (X.691 §11.9.3.8): nothing in these protocols is that long.
    Fragmented,
    /// It nests too deeply.
    Deep,
    /// It holds more values than its length allows for.
    Long,
}
