//! From the text of a template to its pieces.

use super::{Kind, LONGEST_KEY, LONGEST_TEMPLATE, Piece, Template};
use crate::notation::{AddressNotation, PortNotation};
use std::ops::Range;

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The bytes of the template that are meant.
    pub range: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Mistake {
    fn new(range: Range<usize>, message: impl Into<String>) -> Self {
        Self { range, message: message.into(), hint: None }
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// A piece, and where it stands in the text.
type Placed = (Piece, Range<usize>);

impl Template {
    /// Understands the text of a template.
    ///
    /// # Errors
    /// It follows no template's grammar, or could never fit.
    pub fn parse(text: &str, ignores_case: bool) -> Result<Self, Mistake> {
        if text.len() > LONGEST_TEMPLATE {
            let message = format!("the template is longer than {LONGEST_TEMPLATE} bytes");
            return Err(Mistake::new(0..text.len(), message));
        }
        let mut pieces: Vec<Placed> = Vec::new();
        let mut at = 0;
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            if rest.starts_with('{') {
                let end = rest.find('}').ok_or_else(|| {
                    Mistake::new(at..text.len(), "the field has no end")
                        .hint("a `{` that is meant is written `\\{`")
                })?;
                let inner = rest.get(1..end).unwrap_or_default();
                let range = at..at + end + 1;
                pieces.push((field(inner, &range)?, range));
                at += end + 1;
                continue;
            }
            let (bytes, length) = literal(rest, at)?;
            match pieces.last_mut() {
                Some((Piece::Literal(literal), range)) => {
                    literal.extend(bytes);
                    range.end = at + length;
                }
                _ => pieces.push((Piece::Literal(bytes), at..at + length)),
            }
            at += length;
        }
        check(&pieces)?;
        Ok(Self {
            pieces: pieces.into_iter().map(|(piece, _)| piece).collect(),
            ignores_case,
            source: text.to_owned(),
        })
    }
}

/// The bytes that the first character or escape of a text stands for, and how long it is.
fn literal(text: &str, at: usize) -> Result<(Vec<u8>, usize), Mistake> {
    let mut characters = text.chars();
    let Some(first) = characters.next() else { return Ok((Vec::new(), 0)) };
    if first == '}' {
        return Err(
            Mistake::new(at..at + 1, "no field begins here").hint("a `}` that is meant is written `\\}`")
        );
    }
    if first.is_control() {
        let message = "control characters are written as escapes";
        return Err(Mistake::new(at..at + first.len_utf8(), message).hint("such as \\n or \\x1b"));
    }
    if first != '\\' {
        let length = first.len_utf8();
        return Ok((text.as_bytes().get(..length).unwrap_or_default().to_vec(), length));
    }
    let byte = match characters.next() {
        Some('r') => b'\r',
        Some('n') => b'\n',
        Some('t') => b'\t',
        Some('0') => 0,
        Some('\\') => b'\\',
        Some('{') => b'{',
        Some('}') => b'}',
        Some('x') => {
            let digits =
                text.get(2..4).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
            let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
            let wrong = || Mistake::new(at..at + 2, "`\\x` is followed by two hexadecimal digits");
            return Ok((vec![byte.ok_or_else(wrong)?], 4));
        }
        other => {
            let length = 1 + other.map_or(0, char::len_utf8);
            return Err(Mistake::new(at..at + length, "an unknown escape")
                .hint("there are \\r \\n \\t \\0 \\\\ \\{ \\} and \\xNN"));
        }
    };
    Ok((vec![byte], 2))
}

/// The inside of a field's braces.
fn field(inner: &str, range: &Range<usize>) -> Result<Piece, Mistake> {
    let (name, kind) = inner.split_once(':').map_or((inner, None), |(name, kind)| (name, Some(kind)));
    let unknown = |what: &str, all: &mut dyn Iterator<Item = &'static str>| {
        let all: Vec<&str> = all.collect();
        Mistake::new(range.clone(), format!("`{}` is no {what}", kind.unwrap_or_default()))
            .hint(format!("there are: {}", all.join(", ")))
    };
    match name {
        "address" => {
            let all = AddressNotation::ALL;
            let named = all.iter().find(|(name, _)| *name == kind.unwrap_or("text"));
            let (_, notation) = named
                .ok_or_else(|| unknown("notation of addresses", &mut all.iter().map(|(name, _)| *name)))?;
            Ok(Piece::Address(*notation))
        }
        "port" => {
            let all = PortNotation::ALL;
            let named = all.iter().find(|(name, _)| *name == kind.unwrap_or("decimal"));
            let (_, notation) =
                named.ok_or_else(|| unknown("notation of ports", &mut all.iter().map(|(name, _)| *name)))?;
            Ok(Piece::Port(*notation))
        }
        "items" if kind.is_none() => Ok(Piece::Items),
        "key" | "_" => {
            let kind = match kind {
                Some("word") => Kind::Word,
                Some("number") => Kind::Number,
                Some("blanks") => Kind::Blanks,
                Some("text") => Kind::Text,
                Some(count) if count.parse().is_ok_and(|count: u16| count > 0) => {
                    Kind::Bytes(count.parse().unwrap_or_default())
                }
                Some(_) => {
                    let mut kinds = ["word", "number", "blanks", "text", "a number of bytes"].into_iter();
                    return Err(unknown("kind of field", &mut kinds));
                }
                None => {
                    return Err(Mistake::new(range.clone(), "the field does not say what it takes").hint(
                        format!(
                            "as in {{{name}:word}}; there are: word, number, blanks, text, a number of bytes"
                        ),
                    ));
                }
            };
            if name == "_" {
                return Ok(Piece::Skip(kind));
            }
            if matches!(kind, Kind::Bytes(count) if usize::from(count) > LONGEST_KEY) {
                let message = format!("a key has at most {LONGEST_KEY} bytes");
                return Err(Mistake::new(range.clone(), message));
            }
            Ok(Piece::Key(kind))
        }
        _ => Err(Mistake::new(range.clone(), format!("there is no field `{name}`"))
            .hint("there are: address, port, key, items, and _ for what does not matter")),
    }
}

/// What could never fit, or could be understood in two ways.
fn check(pieces: &[Placed]) -> Result<(), Mistake> {
    for meaning in [
        |piece: &Piece| matches!(piece, Piece::Address(_)),
        |piece: &Piece| matches!(piece, Piece::Port(_)),
        |piece: &Piece| matches!(piece, Piece::Key(_)),
    ] {
        if let Some((_, second)) = pieces.iter().filter(|(piece, _)| meaning(piece)).nth(1) {
            return Err(Mistake::new(second.clone(), "a template has one such field at most"));
        }
    }
    for (index, (piece, range)) in pieces.iter().enumerate() {
        let next = pieces.get(index + 1);
        if *piece == Piece::Items && next.is_some() {
            return Err(Mistake::new(range.clone(), "{items} is the last field of its template"));
        }
        let (Some((next, next_range)), Some(shape)) = (next, Shape::of(piece)) else { continue };
        match next {
            Piece::Literal(bytes) => {
                let digit = bytes.first().is_some_and(u8::is_ascii_digit);
                if shape == Shape::Digits && digit {
                    return Err(Mistake::new(
                        next_range.clone(),
                        "this could never follow: the field takes all digits",
                    ));
                }
            }
            Piece::Skip(Kind::Blanks) | Piece::Items if shape != Shape::Text => {}
            _ => {
                return Err(Mistake::new(next_range.clone(), "it is not clear where this field begins")
                    .hint("put some text between the two, or give the first one a number of bytes"));
            }
        }
    }
    Ok(())
}

/// Fields that take as much as they can.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Digits,
    Word,
    Text,
}

impl Shape {
    fn of(piece: &Piece) -> Option<Self> {
        match piece {
            Piece::Address(AddressNotation::Decimal | AddressNotation::Comma)
            | Piece::Port(PortNotation::Decimal | PortNotation::Comma)
            | Piece::Key(Kind::Number)
            | Piece::Skip(Kind::Number) => Some(Self::Digits),
            Piece::Address(AddressNotation::Text) | Piece::Key(Kind::Word) | Piece::Skip(Kind::Word) => {
                Some(Self::Word)
            }
            Piece::Key(Kind::Text) | Piece::Skip(Kind::Text) => Some(Self::Text),
            // Blanks are followed by whatever is none.
            Piece::Literal(_)
            | Piece::Address(_)
            | Piece::Port(_)
            | Piece::Key(Kind::Blanks | Kind::Bytes(_))
            | Piece::Skip(Kind::Blanks | Kind::Bytes(_))
            | Piece::Items => None,
        }
    }
}
