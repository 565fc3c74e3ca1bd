//! Primitive fields against X.691's own examples and a bit-by-bit model; bounds.

use super::cursor::Cursor;
use super::*;
use crate::h323::schema::{CONTROL_MESSAGE, RAS_MESSAGE, USER_INFORMATION};
use proptest::prelude::*;

struct Nobody;

impl Visitor for Nobody {
    fn found(&mut self, _: Found) {}
}

/// Everything found.
#[derive(Default)]
struct Everything(Vec<Found>);

impl Visitor for Everything {
    fn found(&mut self, found: Found) {
        self.0.push(found);
    }
}

#[test]
fn constrained_numbers() {
    // §11.5: no bits, a bit field, an octet, two octets, and a length with as many octets.
    let read = |bytes: &[u8], range: u32| {
        let mut cursor = Cursor::new(bytes);
        cursor.bit().unwrap();
        (cursor.constrained(range), cursor.octets())
    };
    assert_eq!(read(&[0xff], 0), (Ok(0), 1));
    assert_eq!(read(&[0b0101_0000], 4), (Ok(5), 1).map_range(4));
    assert_eq!(read(&[0b0100_0000], 4), (Ok(4), 1));
    assert_eq!(read(&[0, 200], 255), (Ok(200), 2));
    assert_eq!(read(&[0, 1, 2], 256), (Ok(0x102), 3).map_range(256));
    assert_eq!(read(&[0, 1, 0], 256), (Ok(0x100), 3));
    assert_eq!(read(&[0b0100_0000, 1, 2, 3], 0xff_ffff), (Ok(0x1_0203), 4));
    assert_eq!(read(&[0b0110_0000, 1, 2, 3, 4], u32::MAX), (Ok(0x102_0304), 5));
    assert_eq!(read(&[0b0110_0000, 1, 2, 3, 4], 0xff_ffff).0, Err(Fault::Range));
}

trait MapRange {
    fn map_range(self, range: u32) -> Self;
}

impl MapRange for (Result<u32, Fault>, usize) {
    /// A number beyond its range is a fault.
    fn map_range(self, range: u32) -> Self {
        (self.0.and_then(|value| if value > range { Err(Fault::Range) } else { Ok(value) }), self.1)
    }
}

#[test]
fn lengths() {
    let read = |bytes: &[u8]| Cursor::new(bytes).length();
    assert_eq!(read(&[0x7f]), Ok(127));
    assert_eq!(read(&[0x80, 0x80]), Ok(128));
    assert_eq!(read(&[0xbf, 0xff]), Ok(16383));
    assert_eq!(read(&[0xc1, 0]), Err(Fault::Fragmented));
    assert_eq!(read(&[0x80]), Err(Fault::Short));
    assert_eq!(read(&[]), Err(Fault::Short));
}

#[test]
fn strings_of_no_length_take_no_padding() {
    let mut cursor = Cursor::new(&[0b1000_0000, 7]);
    cursor.bit().unwrap();
    assert_eq!(cursor.aligned(0), Ok(1..1));
    assert_eq!(cursor.position(), 1);
    assert_eq!(cursor.aligned(1), Ok(1..2));
}

static LIST: Type = Type::List(&ELEMENT, Size::Any);
static ELEMENT: Component = required("element", &Type::Null);
static NULLS: Component = required("list", &LIST);
static LOOP: Component = required("loop", &LOOPED);
static LOOPED: Type = sequence(&[optional("loop", &LOOPED)], false, &[]);

#[test]
fn values_that_take_no_bits_are_counted() {
    assert_eq!(walk(&[50], &NULLS, &mut Nobody), Ok(1));
    assert_eq!(walk(&[0xbf, 0xff], &NULLS, &mut Nobody), Err(Fault::Long));
}

#[test]
fn nesting_is_counted() {
    assert_eq!(walk(&[0xff, 0], &LOOP, &mut Nobody), Ok(2));
    assert_eq!(walk(&[0xff; 100], &LOOP, &mut Nobody), Err(Fault::Deep));
}

static KNOWN: Component = required("sequence", &SEQUENCE);
static SEQUENCE: Type = sequence(
    &[],
    true,
    &[optional("any", &Type::Any), optional("port", &PORT).marked(crate::h323::schema::Mark::Port)],
);
static PORT: Type = Type::Integer(0, 65535);

#[test]
fn additions_are_read_if_known_and_stepped_over_if_not() {
    // Extended; three additions, all there; open types of 1, 3 and 2 octets. The second has an octet that the table does not know.
    let message = [0b1000_0010, 0b1110_0000, 1, 9, 3, 0x13, 0x89, 77, 2, 1, 1];
    let mut everything = Everything::default();
    assert_eq!(walk(&message, &KNOWN, &mut everything), Ok(message.len()));
    let [port] = &everything.0[..] else { panic!("{:?}", everything.0) };
    assert_eq!((port.number, port.octets.clone()), (5001, 5..7));
    // An addition that says less than it must.
    let short = [0b1000_0010, 0b0100_0000, 1, 0x13, 0x89];
    assert_eq!(walk(&short, &KNOWN, &mut Nobody), Err(Fault::Short));
}

/// Looks at a table and all that it leads to.
fn sound(table: &'static Type, seen: &mut Vec<*const Type>) {
    if seen.contains(&std::ptr::from_ref(table)) {
        return;
    }
    seen.push(table);
    let components: Vec<&'static Component> = match table {
        Type::Sequence { root, extensible, additions, .. } | Type::Choice { root, extensible, additions } => {
            assert!(*extensible || additions.is_empty(), "additions without a marker: {table:?}");
            root.iter().chain(additions.iter()).collect()
        }
        Type::List(element, _) => vec![element],
        _ => vec![],
    };
    let mut names: Vec<&str> = components.iter().map(|component| component.name).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "a name twice: {names:?}");
    if let Type::Choice { root, additions, .. } = table {
        let mut alternatives = root.iter().chain(additions.iter());
        assert!(!root.is_empty() && alternatives.all(|alternative| !alternative.optional), "{names:?}");
    }
    components.iter().for_each(|component| sound(component.kind, seen));
}

#[test]
fn tables_are_sound() {
    let mut seen = Vec::new();
    for table in [&RAS_MESSAGE, &USER_INFORMATION, &CONTROL_MESSAGE] {
        sound(table.kind, &mut seen);
    }
    assert!(seen.len() > 150, "{}", seen.len());
}

proptest! {
    /// Bit fields equal those read bit by bit.
    #[test]
    fn bit_fields(bytes in prop::collection::vec(any::<u8>(), 5..9), first in 0usize..8, count in 0u32..=32) {
        let mut cursor = Cursor::new(&bytes);
        cursor.skip(first).unwrap();
        let one_by_one = (first..first + count as usize)
            .fold(0u64, |value, bit| value << 1 | u64::from(bytes[bit / 8] >> (7 - bit % 8) & 1));
        prop_assert_eq!(cursor.bits(count), Ok(one_by_one as u32));
    }

    /// No message makes the walk panic, read beyond the end or stand still.
    #[test]
    fn any_message(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for table in [&RAS_MESSAGE, &USER_INFORMATION, &CONTROL_MESSAGE] {
            let mut everything = Everything::default();
            if let Ok(length) = walk(&bytes, table, &mut everything) {
                prop_assert!(length >= 1 && length <= bytes.len());
            }
            for found in everything.0 {
                prop_assert!(found.octets.start <= found.octets.end && found.octets.end <= bytes.len());
            }
        }
    }
}
