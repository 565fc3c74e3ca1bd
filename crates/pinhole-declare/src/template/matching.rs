//! Whether a message fits a template, and where its fields stand.

use super::{Kind, LONGEST_KEY, Piece, Template};
use crate::notation::{AddressNotation, PortNotation, run};
use std::ops::Range;

/// Whether a message fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    /// It is another message.
    No,
    /// It begins as the template does, and does not go on so.
    Begun,
    /// It fits.
    Whole(Found),
}

/// Where the fields of a message stand in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) address: Option<(Range<usize>, AddressNotation)>,
    pub(crate) port: Option<(Range<usize>, PortNotation)>,
    pub(crate) key: Option<Range<usize>>,
    /// Where the list begins.
    pub(crate) items: Option<usize>,
}

impl Template {
    /// Matches a whole message.
    pub(crate) fn fit(&self, message: &[u8]) -> Fit {
        match self.take(message, 0) {
            Some((found, end)) if end == message.len() || found.items.is_some() => Fit::Whole(found),
            _ if !self.beginning().is_empty() && self.literal(self.beginning(), message) => Fit::Begun,
            _ => Fit::No,
        }
    }

    /// Matches what stands at `start` of a message, as far as the template goes; also tells where that ends.
    pub(crate) fn take(&self, message: &[u8], start: usize) -> Option<(Found, usize)> {
        let mut found = Found::default();
        let mut at = start;
        for (index, piece) in self.pieces.iter().enumerate() {
            let rest = message.get(at..)?;
            let next = self.pieces.get(index + 1);
            let length = match piece {
                Piece::Literal(bytes) => self.literal(bytes, rest).then_some(bytes.len())?,
                Piece::Address(notation) => {
                    let length = notation.extent(rest, first_byte(next))?;
                    found.address = Some((at..at + length, *notation));
                    length
                }
                Piece::Port(notation) => {
                    let length = notation.extent(rest)?;
                    found.port = Some((at..at + length, *notation));
                    length
                }
                Piece::Key(kind) => {
                    let length = self.extent(*kind, rest, next).filter(|&length| length <= LONGEST_KEY)?;
                    found.key = Some(at..at + length);
                    length
                }
                Piece::Skip(kind) => self.extent(*kind, rest, next)?,
                Piece::Items => {
                    found.items = Some(at);
                    0
                }
            };
            at += length;
        }
        Some((found, at))
    }

    /// Whether a message of which this is the beginning may still fit.
    pub(crate) fn may_begin(&self, bytes: &[u8]) -> bool {
        let beginning = self.beginning();
        let known = beginning.len().min(bytes.len());
        let (Some(beginning), Some(bytes)) = (beginning.get(..known), bytes.get(..known)) else {
            return false;
        };
        self.literal(beginning, bytes)
    }

    /// Whether bytes begin with a literal.
    pub(crate) fn literal(&self, literal: &[u8], bytes: &[u8]) -> bool {
        let Some(bytes) = bytes.get(..literal.len()) else { return false };
        if self.ignores_case { bytes.eq_ignore_ascii_case(literal) } else { bytes == literal }
    }

    /// How much a field takes of the rest of a message.
    fn extent(&self, kind: Kind, rest: &[u8], next: Option<&Piece>) -> Option<usize> {
        match kind {
            Kind::Word => {
                let stop = first_byte(next);
                let stops = |byte: u8| match stop {
                    Some(stop) if self.ignores_case => byte.eq_ignore_ascii_case(&stop),
                    stop => Some(byte) == stop,
                };
                let length = run(rest, |byte| byte > b' ' && byte != 0x7f && !stops(byte));
                (length > 0).then_some(length)
            }
            Kind::Number => {
                let length = run(rest, |byte| byte.is_ascii_digit());
                (length > 0).then_some(length)
            }
            Kind::Blanks => Some(run(rest, |byte| matches!(byte, b' ' | b'\t'))),
            Kind::Text => match next {
                Some(Piece::Literal(literal)) => {
                    rest.windows(literal.len()).position(|window| self.literal(literal, window))
                }
                _ => Some(rest.len()),
            },
            Kind::Bytes(count) => (rest.len() >= usize::from(count)).then_some(usize::from(count)),
        }
    }
}

/// The byte that follows a field, if it is known.
fn first_byte(next: Option<&Piece>) -> Option<u8> {
    match next {
        Some(Piece::Literal(bytes)) => bytes.first().copied(),
        _ => None,
    }
}
