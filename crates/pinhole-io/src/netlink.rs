//! What all families of netlink have in common: messages and attributes in a buffer (`linux/netlink.h`).

/// Length of `struct nlmsghdr`.
const HEADER: usize = 16;

/// Attribute flags above the type: nested, network byte order.
const TYPE_MASK: u16 = 0x3fff;

/// The messages of one datagram: the kind of each, and what follows its header. A message that is cut short ends them.
pub(crate) struct Messages<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (&[l0, l1, l2, l3, k0, k1, ..], _) = self.0.split_first_chunk::<HEADER>()?;
        let length = u32::from_ne_bytes([l0, l1, l2, l3]) as usize;
        let body = self.0.get(HEADER..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes([k0, k1]), body))
    }
}

/// Attributes: a type and a value each.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Attributes<'a>(pub(crate) &'a [u8]);

impl<'a> Attributes<'a> {
    /// The value of the first attribute of this type.
    pub(crate) fn value(mut self, kind: u16) -> Option<&'a [u8]> {
        self.find(|(found, _)| *found == kind).map(|(_, value)| value)
    }

    /// The attributes within the first attribute of this type; none if there is no such attribute.
    pub(crate) fn nested(self, kind: u16) -> Self {
        Self(self.value(kind).unwrap_or_default())
    }

    /// A string, without the zero at its end.
    pub(crate) fn text(self, kind: u16) -> Option<&'a str> {
        let value = self.value(kind)?;
        let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
        std::str::from_utf8(value.get(..end)?).ok()
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (&[l0, l1, k0, k1], _) = self.0.split_first_chunk()?;
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        let value = self.0.get(4..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes([k0, k1]) & TYPE_MASK, value))
    }
}
