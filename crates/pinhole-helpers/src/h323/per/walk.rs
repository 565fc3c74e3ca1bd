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
    let mut cursor = Cursor::new(message);
    let steps = message.len().saturating_mul(STEPS_PER_OCTET) + FIRST_STEPS;
    Walk { visitor, steps, depth: 0 }.component(&mut cursor, table)?;
    // A complete encoding takes at least one octet (§11.1).
    Ok(cursor.octets().max(1))
}

struct Walk<'v, V> {
    visitor: &'v mut V,
    steps: usize,
    depth: u8,
}

/// What is known of a value besides its bits.
#[derive(Default)]
struct Value {
    number: u32,
    octets: Option<Range<usize>>,
}

impl Value {
    fn number(number: u32) -> Self {
        Self { number, octets: None }
    }

    fn string(octets: Range<usize>) -> Self {
        Self { number: octets.len() as u32, octets: Some(octets) }
    }
}

impl<V: Visitor> Walk<'_, V> {
    fn component(&mut self, cursor: &mut Cursor<'_>, component: &'static Component) -> Result<(), Fault> {
        let first = cursor.position();
        let value = self.value(cursor, component.kind)?;
        if let Some(mark) = component.mark {
            let bits = first..cursor.position();
            let octets = value.octets.unwrap_or(bits.start / 8..cursor.octets());
            self.visitor.found(Found { mark, bits, octets, number: value.number });
        }
        Ok(())
    }

    fn value(&mut self, cursor: &mut Cursor<'_>, kind: &'static Type) -> Result<Value, Fault> {
        self.steps = self.steps.checked_sub(1).ok_or(Fault::Long)?;
        Ok(match *kind {
            Type::Null | Type::Any => Value::default(),
            Type::Flags(count) => Value::number(cursor.bits(count.into())?),
            Type::Integer(low, range) => Value::number(integer(cursor, low, range)?),
            Type::ExtensibleInteger(low, range) => {
                if cursor.bit()? {
                    opaque(cursor)?
                } else {
                    Value::number(integer(cursor, low, range)?)
                }
            }
            Type::Unbounded | Type::Opaque => opaque(cursor)?,
            Type::Octets(size) => octets(cursor, size)?,
            Type::Bits(size) => bits(cursor, size)?,
            Type::Text(width, size) => text(cursor, width, size)?,
            Type::Alternatives { count, extensible } => {
                if extensible && cursor.bit()? {
                    let index = cursor.normally_small()?;
                    cursor.open_type()?;
                    Value::number(u32::from(count) + index)
                } else {
                    Value::number(cursor.constrained(u32::from(count).saturating_sub(1))?)
                }
            }
            Type::List(..) | Type::Sequence { .. } | Type::Choice { .. } => {
                if self.depth == DEEPEST {
                    return Err(Fault::Deep);
                }
                self.depth += 1;
                let value = self.compound(cursor, kind)?;
                self.depth -= 1;
                value
            }
        })
    }

    fn compound(&mut self, cursor: &mut Cursor<'_>, kind: &'static Type) -> Result<Value, Fault> {
        match *kind {
            Type::List(element, size) => {
                let count = cursor.count(size)?;
                for _ in 0..count {
                    self.component(cursor, element)?;
                }
                Ok(Value::number(count as u32))
            }
            Type::Sequence { root, extensible, additions } => {
                self.sequence(cursor, root, extensible, additions)?;
                Ok(Value::default())
            }
            Type::Choice { root, extensible, additions } => {
                self.choice(cursor, root, extensible, additions).map(Value::number)
            }
            _ => Ok(Value::default()),
        }
    }

    /// §19: an extension bit, a bit for each optional component, the components; then the additions that are there, as open types.
    fn sequence(
        &mut self,
        cursor: &mut Cursor<'_>,
        root: &'static [Component],
        extensible: bool,
        additions: &'static [Component],
    ) -> Result<(), Fault> {
        let extended = extensible && cursor.bit()?;
        let mut present = Presence(*cursor);
        cursor.skip(root.iter().filter(|component| component.optional).count())?;
        for component in root {
            if !component.optional || present.next()? {
                self.component(cursor, component)?;
            }
        }
        if !extended {
            return Ok(());
        }
        let count = cursor.normally_small_length()?;
        let mut present = Presence(*cursor);
        cursor.skip(count)?;
        for index in 0..count {
            self.steps = self.steps.checked_sub(1).ok_or(Fault::Long)?;
            if present.next()? {
                self.addition(cursor, additions.get(index))?;
            }
        }
        Ok(())
    }

    /// §23: an extension bit, the number of the alternative, the alternative; one of the additions is an open type.
    fn choice(
        &mut self,
        cursor: &mut Cursor<'_>,
        root: &'static [Component],
        extensible: bool,
        additions: &'static [Component],
    ) -> Result<u32, Fault> {
        let roots = u32::try_from(root.len()).unwrap_or(u32::MAX);
        if extensible && cursor.bit()? {
            let index = cursor.normally_small()?;
            self.addition(cursor, additions.get(index as usize))?;
            return roots.checked_add(index).ok_or(Fault::Range);
        }
        let index = cursor.constrained(roots.saturating_sub(1))?;
        self.component(cursor, root.get(index as usize).ok_or(Fault::Range)?)?;
        Ok(index)
    }

    /// An open type: what the table does not know is stepped over.
    fn addition(&mut self, cursor: &mut Cursor<'_>, known: Option<&'static Component>) -> Result<(), Fault> {
        let mut inside = cursor.open_type()?;
        match known {
            Some(component) if !matches!(component.kind, Type::Any) => {
                self.visitor.open_type(inside.remaining());
                self.component(&mut inside, component)
            }
            _ => Ok(()),
        }
    }
}

/// Reads the bits that say which components are there, apart from the components themselves.
struct Presence<'a>(Cursor<'a>);

impl Presence<'_> {
    fn next(&mut self) -> Result<bool, Fault> {
        self.0.bit()
    }
}

fn integer(cursor: &mut Cursor<'_>, low: i32, range: u32) -> Result<u32, Fault> {
    Ok(cursor.constrained(range)?.wrapping_add_signed(low))
}

/// A length and as many octets.
fn opaque(cursor: &mut Cursor<'_>) -> Result<Value, Fault> {
    let length = cursor.length()?;
    Ok(Value::string(cursor.aligned(length)?))
}

/// §17: one or two octets of a fixed size are not aligned, all others are.
fn octets(cursor: &mut Cursor<'_>, size: Size) -> Result<Value, Fault> {
    let count = cursor.count(size)?;
    if let Size::Exactly(1 | 2) = size {
        cursor.skip(count * 8)?;
        return Ok(Value::default());
    }
    Ok(Value::string(cursor.aligned(count)?))
}

/// §16: up to 16 bits of a fixed size are not aligned, all others are.
fn bits(cursor: &mut Cursor<'_>, size: Size) -> Result<Value, Fault> {
    let count = cursor.count(size)?;
    if !matches!(size, Size::Exactly(..=16)) && count > 0 {
        cursor.align();
    }
    cursor.skip(count)?;
    Ok(Value::number(count as u32))
}

/// §30.5: characters are aligned unless the longest string takes less than 16 bits, or always 16.
fn text(cursor: &mut Cursor<'_>, width: u8, size: Size) -> Result<Value, Fault> {
    let count = cursor.count(size)?;
    let width = usize::from(width);
    let aligned = match size {
        Size::Exactly(count) => usize::from(count) * width > 16,
        Size::Between(_, most) => usize::from(most) * width >= 16,
        Size::Any => true,
    };
    if aligned && count > 0 {
        cursor.align();
    }
    cursor.skip(count.checked_mul(width).ok_or(Fault::Short)?)?;
    Ok(Value::number(count as u32))
}
