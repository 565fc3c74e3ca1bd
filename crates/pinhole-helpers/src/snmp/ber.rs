//! BER as SNMP uses it (RFC 3417 §8): tags of one byte, definite lengths.

/// Tags (ITU-T X.690; RFC 2578 §7.1).
pub(super) const INTEGER: u8 = 0x02;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const IP_ADDRESS: u8 = 0x40;
pub(super) const TIME_TICKS: u8 = 0x43;

/// What is left of a container, and where in the datagram it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Elements<'a> {
    bytes: &'a [u8],
    offset: usize,
}

/// One element.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) content: Elements<'a>,
}

impl<'a> Elements<'a> {
    /// The elements of a whole datagram.
    pub(super) const fn of(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Where in the datagram they begin.
    pub(super) const fn offset(&self) -> usize {
        self.offset
    }

    /// Takes the next element. `None`: there is none, or it does not fit into what is left.
    pub(super) fn next(&mut self) -> Option<Element<'a>> {
        const LONG_TAG: u8 = 0x1f;
        let (&[tag, first], rest) = self.bytes.split_first_chunk()?;
        if tag & LONG_TAG == LONG_TAG {
            return None;
        }
        let (length, rest) = length(first, rest)?;
        let (content, after) = rest.split_at_checked(length)?;
        let offset = self.offset + self.bytes.len() - rest.len();
        *self = Self { bytes: after, offset: offset + length };
        Some(Element { tag, content: Self { bytes: content, offset } })
    }

    /// Takes the next element if it has this tag.
    pub(super) fn expect(&mut self, tag: u8) -> Option<Self> {
        self.next().filter(|element| element.tag == tag).map(|element| element.content)
    }

    /// Takes an integer of at most four bytes.
    pub(super) fn integer(&mut self) -> Option<i32> {
        let content = self.expect(INTEGER)?.bytes;
        let (&first, rest) = content.split_first()?;
        let sign = i32::from(first as i8);
        (rest.len() < 4).then(|| rest.iter().fold(sign, |value, &byte| value << 8 | i32::from(byte)))
    }
}

/// The number of content bytes, and what follows the length. The indefinite form (0x80) is none that SNMP has.
fn length(first: u8, rest: &[u8]) -> Option<(usize, &[u8])> {
    let count = usize::from(first & 0x7f);
    if first < 0x80 {
        return Some((count, rest));
    }
    // Four bytes of length hold more than any datagram has.
    if !(1..=4).contains(&count) {
        return None;
    }
    let (digits, rest) = rest.split_at_checked(count)?;
    let value = digits.iter().fold(0u32, |value, &byte| value << 8 | u32::from(byte));
    Some((usize::try_from(value).ok()?, rest))
}
