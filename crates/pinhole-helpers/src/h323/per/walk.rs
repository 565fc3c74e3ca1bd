//! Follows a table through a message.

use super::cursor::Cursor;
use super::{Component, Fault, Size, Type};
use crate::h323::schema::Mark;
use std::ops::Range;

/// Most levels of types within types.
const DEEPEST: u8 = 28;
/// Steps that a message may take: so many for each of its octets (a BOOLEAN takes a bit), and some to begin with.
const STEPS_PER_OCTET: usize = 10;
const FIRST_STEPS: usize = 64;

/// A marked value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// What the table calls it.
    pub(crate) mark: Mark,
    /// Its bits, from the start of the message.
    pub(crate) bits: Range<usize>,
    /// The octets of a string without its length; otherwise all octets that hold some of its bits.
    pub(crate) octets: Range<usize>,
    /// The value of an INTEGER (its low 32 bits) or BOOLEAN, the number of an alternative (those behind the extension marker go on
    /// counting), the length of a string or list; otherwise zero.
    pub(crate) number: u32,
}

/// What looks on.
pub(crate) trait Visitor {
    /// A marked value has been read, and so has all within it.
    fn found(&mut self, found: Found);

    /// A value is about to be read that stands in an open type, whose octets these are; their count stands ahead of them.
    fn open_type(&mut self, octets: Range<usize>) {
        let _ = octets;
    }
}

/// Reads one value from the first bit of a message on; says how many octets it takes.
pub(crate) fn walk(
    message: &[u8],
    table: &'static Component,
    visitor: &mut impl Visitor,
) -> Result<usize, Fault> {
    let steps = message.len().saturating_mul(STEPS_PER_OCTET) + FIRST_STEPS;
    let mut walk = Walk { cursor: Cursor::new(message), visitor, steps, depth: 0, string: None };
    walk.component(table)?;
    // A complete encoding takes at least one octet (§11.1).
    Ok(walk.cursor.octets().max(1))
}

struct Walk<'m, 'v, V> {
    cursor: Cursor<'m>,
    visitor: &'v mut V,
    steps: usize,
    depth: u8,
    /// Where the octets of the latest string stand.
    string: Option<Range<usize>>,
}

impl<V: Visitor> Walk<'_, '_, V> {
    #[inline]
    fn component(&mut self, component: &'static Component) -> Result<(), Fault> {
        match component.mark {
            None => self.value(component.kind).map(drop),
            Some(mark) => self.marked(component.kind, mark),
        }
    }

    fn marked(&mut self, kind: &'static Type, mark: Mark) -> Result<(), Fault> {
        let first = self.cursor.position();
        self.string = None;
        let number = self.value(kind)?;
        let bits = first..self.cursor.position();
        let string = self.string.take().filter(|_| !kind.is_compound());
        let octets = string.unwrap_or(bits.start / 8..self.cursor.octets());
        self.visitor.found(Found { mark, bits, octets, number });
        Ok(())
    }

    /// Reads a value; its number, as [`Found`] has it. Those that most messages are made of stand here, to be read without a call.
    #[inline]
    fn value(&mut self, kind: &'static Type) -> Result<u32, Fault> {
        self.steps = self.steps.checked_sub(1).ok_or(Fault::Long)?;
        match *kind {
            Type::Null | Type::Any => Ok(0),
            Type::Flags(count) => self.cursor.bits(count.into()),
            Type::Integer(low, range) => self.integer(low, range),
            Type::List(..) | Type::Sequence { .. } | Type::Choice { .. } => self.compound(kind),
            _ => self.string_or_rare(kind),
        }
    }

    fn string_or_rare(&mut self, kind: &'static Type) -> Result<u32, Fault> {
        match *kind {
            Type::ExtensibleInteger(low, range) => {
                if self.cursor.bit()? {
                    self.opaque()
                } else {
                    self.integer(low, range)
                }
            }
            Type::Unbounded | Type::Opaque => self.opaque(),
            Type::Octets(size) => self.octets(size),
            Type::Bits(size) => self.bits(size),
            Type::Text(width, size) => self.text(width, size),
            Type::Alternatives { count, extensible } => {
                if extensible && self.cursor.bit()? {
                    let index = self.cursor.normally_small()?;
                    self.cursor.open_type()?;
                    return Ok(u32::from(count).saturating_add(index));
                }
                self.cursor.constrained(u32::from(count).saturating_sub(1))
            }
            _ => Ok(0),
        }
    }

    #[inline(never)]
    fn compound(&mut self, kind: &'static Type) -> Result<u32, Fault> {
        if self.depth == DEEPEST {
            return Err(Fault::Deep);
        }
        self.depth += 1;
        let number = match *kind {
            Type::List(element, size) => {
                let count = self.cursor.count(size)?;
                for _ in 0..count {
                    self.component(element)?;
                }
                count as u32
            }
            Type::Sequence { optional, root, extensible, additions } => {
                self.sequence(optional, root, extensible, additions)?;
                0
            }
            Type::Choice { root, extensible, additions } => self.choice(root, extensible, additions)?,
            _ => 0,
        };
        self.depth -= 1;
        Ok(number)
    }

    /// §19: an extension bit, a bit for each optional component, the components; then the additions that are there, as open types.
    #[inline]
    fn sequence(
        &mut self,
        optional: usize,
        root: &'static [Component],
        extensible: bool,
        additions: &'static [Component],
    ) -> Result<(), Fault> {
        let extended = extensible && self.cursor.bit()?;
        let mut present = self.cursor.presence(optional)?;
        for component in root {
            if !component.optional || present.next() {
                self.component(component)?;
            }
        }
        if extended { self.additions(additions) } else { Ok(()) }
    }

    fn additions(&mut self, additions: &'static [Component]) -> Result<(), Fault> {
        let count = self.cursor.normally_small_length()?;
        self.steps = self.steps.checked_sub(count).ok_or(Fault::Long)?;
        let mut present = self.cursor.presence(count)?;
        for index in 0..count {
            if present.next() {
                self.addition(additions.get(index))?;
            }
        }
        Ok(())
    }

    /// §23: an extension bit, the number of the alternative, the alternative; one of the additions is an open type.
    #[inline]
    fn choice(
        &mut self,
        root: &'static [Component],
        extensible: bool,
        additions: &'static [Component],
    ) -> Result<u32, Fault> {
        let roots = u32::try_from(root.len()).unwrap_or(u32::MAX);
        if extensible && self.cursor.bit()? {
            let index = self.cursor.normally_small()?;
            self.addition(additions.get(index as usize))?;
            return roots.checked_add(index).ok_or(Fault::Range);
        }
        let index = self.cursor.constrained(roots.saturating_sub(1))?;
        self.component(root.get(index as usize).ok_or(Fault::Range)?)?;
        Ok(index)
    }

    /// An open type: what the table does not know is stepped over.
    fn addition(&mut self, known: Option<&'static Component>) -> Result<(), Fault> {
        let octets = self.cursor.open_type()?;
        let Some(component) = known.filter(|component| !matches!(component.kind, Type::Any)) else {
            return Ok(());
        };
        let behind = self.cursor;
        self.cursor.enter(&octets);
        self.visitor.open_type(octets);
        self.component(component)?;
        self.cursor = behind;
        Ok(())
    }

    #[inline]
    fn integer(&mut self, low: i32, range: u32) -> Result<u32, Fault> {
        Ok(self.cursor.constrained(range)?.wrapping_add_signed(low))
    }

    /// So many octets, aligned.
    #[inline]
    fn string(&mut self, count: usize) -> Result<u32, Fault> {
        self.string = Some(self.cursor.aligned(count)?);
        Ok(count as u32)
    }

    /// A length and as many octets.
    fn opaque(&mut self) -> Result<u32, Fault> {
        let length = self.cursor.length()?;
        self.string(length)
    }

    /// §17: one or two octets of a fixed size are not aligned, all others are.
    fn octets(&mut self, size: Size) -> Result<u32, Fault> {
        let count = self.cursor.count(size)?;
        if let Size::Exactly(1 | 2) = size {
            self.cursor.skip(count * 8)?;
            return Ok(0);
        }
        self.string(count)
    }

    /// §16: up to 16 bits of a fixed size are not aligned, all others are.
    fn bits(&mut self, size: Size) -> Result<u32, Fault> {
        let count = self.cursor.count(size)?;
        if !matches!(size, Size::Exactly(..=16)) && count > 0 {
            self.cursor.align();
        }
        self.cursor.skip(count)?;
        Ok(count as u32)
    }

    /// §30.5: characters are aligned unless the longest string takes less than 16 bits, or always 16.
    fn text(&mut self, width: u8, size: Size) -> Result<u32, Fault> {
        let count = self.cursor.count(size)?;
        let width = usize::from(width);
        let aligned = match size {
            Size::Exactly(count) => usize::from(count) * width > 16,
            Size::Between(_, most) => usize::from(most) * width >= 16,
            Size::Any => true,
        };
        if aligned && count > 0 {
            self.cursor.align();
        }
        self.cursor.skip(count.checked_mul(width).ok_or(Fault::Short)?)?;
        Ok(count as u32)
    }
}
