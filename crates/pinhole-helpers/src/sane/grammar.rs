//! The structures of requests and answers, as a stack of what is still to come.
//!
//! Each part that is taken may put others in its place: a count puts its elements, a pointer that is not null its target. Elements are
//! counted, not listed, so the stack stays as small as the structures are deep.

use serde::{Deserialize, Serialize};

/// Longest string, array or value: longer ones no scanner has.
pub const VALUE_LIMIT: u32 = 1 << 20;
/// The action that has no value.
const SET_AUTO: u32 = 2;

/// A part of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Part {
    /// So many words that mean nothing here.
    Words(u32),
    /// A word that the session wants to see, for this reason.
    Told(Told),
    /// A count and as many bytes.
    Bytes,
    /// The same; the session wants to know whether there are any.
    Resource,
    /// A count and as many words.
    Array,
    /// A count and as many strings.
    Strings,
    /// A count and as many pointers.
    List(Listed),
    /// A pointer: null, or what it leads to.
    Pointer(Listed),
    /// So many of them.
    Each(u32, Item),
    /// So many bytes that mean nothing here.
    Skip(u32),
    /// The kind of an option's constraint, and the constraint.
    Constraint,
    /// A pointer to a range of three words.
    Range,
    /// An option's action, its value's type and size, and the value.
    Action,
    /// The type of an option's value, its size, and the value.
    Value,
}

/// What a list's pointers lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Listed {
    Device,
    Option,
}

/// One of many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Item {
    String,
    Pointer(Listed),
}

/// Which word it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Told {
    /// The code of a request.
    Request,
    /// The version that the front end has.
    Version,
    /// The status of an answer.
    Status,
    /// The port in the answer to START.
    Port,
}

/// What the session is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A word, and the offset of its first byte.
    Word(Told, u32, usize),
    /// The resource that an answer wants authorization for is not empty.
    Resource,
}

/// A number is larger than any can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Excess;

/// What is still to come, the next part last.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Expected {
    parts: Vec<Part>,
}

impl Expected {
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Expects parts, in the order that they come in.
    pub(super) fn extend(&mut self, parts: &[Part]) {
        self.parts.extend(parts.iter().rev());
    }

    /// Bytes held.
    pub(super) fn memory(&self) -> usize {
        self.parts.capacity() * size_of::<Part>()
    }

    /// Takes as much as there is, up to the next thing to tell. Returns how far it came.
    pub(super) fn take(&mut self, bytes: &[u8], from: usize) -> Result<(usize, Option<Event>), Excess> {
        let mut at = from;
        while let Some(part) = self.parts.pop() {
            let rest = bytes.get(at..).unwrap_or_default();
            match part {
                Part::Skip(0) | Part::Words(0) | Part::Each(0, _) => {}
                Part::Skip(left) => {
                    let taken = u32::try_from(rest.len()).unwrap_or(u32::MAX).min(left);
                    at += taken as usize;
                    if taken < left {
                        self.parts.push(Part::Skip(left - taken));
                        return Ok((at, None));
                    }
                }
                Part::Words(count) => self.parts.push(Part::Skip(count.checked_mul(4).ok_or(Excess)?)),
                Part::Each(count, item) => {
                    self.parts.push(Part::Each(count - 1, item));
                    self.parts.push(match item {
                        Item::String => Part::Bytes,
                        Item::Pointer(listed) => Part::Pointer(listed),
                    });
                }
                _ => {
                    let Some(word) = rest.first_chunk().map(|word| u32::from_be_bytes(*word)) else {
                        self.parts.push(part);
                        return Ok((at, None));
                    };
                    at += 4;
                    if let Some(event) = self.word(part, word, at - 4)? {
                        return Ok((at, Some(event)));
                    }
                }
            }
        }
        Ok((at, None))
    }

    /// A part that begins with a word: what follows depends on it.
    fn word(&mut self, part: Part, word: u32, offset: usize) -> Result<Option<Event>, Excess> {
        let count = || if word <= VALUE_LIMIT { Ok(word) } else { Err(Excess) };
        match part {
            Part::Told(told) => return Ok(Some(Event::Word(told, word, offset))),
            Part::Bytes => self.parts.push(Part::Skip(count()?)),
            Part::Resource => {
                self.parts.push(Part::Skip(count()?));
                // An empty string is written with or without its NUL.
                return Ok((word > 1).then_some(Event::Resource));
            }
            Part::Array => self.parts.push(Part::Words(count()?)),
            Part::Strings => self.parts.push(Part::Each(count()?, Item::String)),
            Part::List(listed) => self.parts.push(Part::Each(count()?, Item::Pointer(listed))),
            // A word that is not zero says that the pointer is null.
            Part::Pointer(_) | Part::Range if word != 0 => {}
            Part::Pointer(Listed::Device) => self.extend(&[Part::Bytes; 4]),
            Part::Pointer(Listed::Option) => self.extend(&[
                // Name, title, description; type, unit, size, capabilities.
                Part::Bytes,
                Part::Bytes,
                Part::Bytes,
                Part::Words(4),
                Part::Constraint,
            ]),
            Part::Range => self.parts.push(Part::Words(3)),
            Part::Constraint => match word {
                0 => {}
                1 => self.parts.push(Part::Range),
                2 => self.parts.push(Part::Array),
                3 => self.parts.push(Part::Strings),
                _ => return Err(Excess),
            },
            Part::Action if word == SET_AUTO => {}
            Part::Action => self.parts.push(Part::Value),
            Part::Value => match word {
                // Booleans, integers, fixed-point numbers: the size in bytes, then an array of words.
                0..=2 => self.extend(&[Part::Words(1), Part::Array]),
                // Strings; buttons and groups, whose array is empty.
                3..=5 => self.extend(&[Part::Words(1), Part::Bytes]),
                _ => return Err(Excess),
            },
            Part::Words(_) | Part::Each(..) | Part::Skip(_) => {}
        }
        Ok(None)
    }
}
