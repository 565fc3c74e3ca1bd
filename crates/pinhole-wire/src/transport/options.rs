//! TCP options (RFC 9293 §3.2).

const END_OF_LIST: u8 = 0;
const NO_OPERATION: u8 = 1;
const MAXIMUM_SEGMENT_SIZE: u8 = 2;
const WINDOW_SCALE: u8 = 3;
const SACK_PERMITTED: u8 = 4;
const SACK: u8 = 5;
const TIMESTAMPS: u8 = 8;

/// The options of one TCP header, in order, no-operations left out. Ends at the end-of-list option, and at the first option whose
/// length is impossible.
#[derive(Clone, Debug)]
pub struct TcpOptions<'a> {
    rest: &'a [u8],
}

impl<'a> TcpOptions<'a> {
    /// Reads the bytes that follow the fixed header.
    #[inline]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The timestamps, if the only option is two no-operations and them: what nearly every segment of an established connection
    /// looks like (RFC 7323 appendix A).
    #[inline]
    pub fn only_timestamps(&self) -> Option<(u32, u32)> {
        let [NO_OPERATION, NO_OPERATION, TIMESTAMPS, 10, values @ ..] = self.rest else { return None };
        if values.len() != 8 {
            return None;
        }
        TcpOption { kind: TIMESTAMPS, data: values }.timestamps()
    }
}

impl<'a> Iterator for TcpOptions<'a> {
    type Item = TcpOption<'a>;

    #[inline]
    fn next(&mut self) -> Option<TcpOption<'a>> {
        while let [NO_OPERATION, rest @ ..] = self.rest {
            self.rest = rest;
        }
        let option = match self.rest {
            [] | [END_OF_LIST, ..] => None,
            [kind, length, ..] => self
                .rest
                .split_at_checked(usize::from(*length))
                .and_then(|(option, rest)| Some((*kind, option.get(2..)?, rest))),
            [_] => None,
        };
        let Some((kind, data, rest)) = option else {
            self.rest = &[];
            return None;
        };
        self.rest = rest;
        Some(TcpOption { kind, data })
    }
}

impl core::iter::FusedIterator for TcpOptions<'_> {}

/// One TCP option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpOption<'a> {
    /// Kind (IANA "TCP Option Kind Numbers").
    pub kind: u8,
    /// What follows kind and length.
    pub data: &'a [u8],
}

impl<'a> TcpOption<'a> {
    /// Maximum segment size in bytes.
    #[inline]
    pub fn maximum_segment_size(&self) -> Option<u16> {
        match (self.kind, self.data) {
            (MAXIMUM_SEGMENT_SIZE, &[high, low]) => Some(u16::from_be_bytes([high, low])),
            _ => None,
        }
    }

    /// Window scale shift as it stands: RFC 7323 §2.3 has the reader take values above 14 as 14.
    #[inline]
    pub fn window_scale(&self) -> Option<u8> {
        match (self.kind, self.data) {
            (WINDOW_SCALE, &[shift]) => Some(shift),
            _ => None,
        }
    }

    /// Whether this is SACK-permitted (RFC 2018 §2).
    #[inline]
    pub const fn is_sack_permitted(&self) -> bool {
        self.kind == SACK_PERMITTED && self.data.is_empty()
    }

    /// The blocks of a SACK option (RFC 2018 §3) as left and right edges; none for other options. A partial block at the end is
    /// left out.
    #[inline]
    pub fn sack_blocks(&self) -> impl Iterator<Item = (u32, u32)> + use<'a> {
        let blocks = if self.kind == SACK { self.data } else { &[] };
        let (blocks, _) = blocks.as_chunks::<8>();
        blocks.iter().map(|b| {
            (u32::from_be_bytes([b[0], b[1], b[2], b[3]]), u32::from_be_bytes([b[4], b[5], b[6], b[7]]))
        })
    }

    /// Timestamp value and echo reply (RFC 7323 §3.2).
    #[inline]
    pub fn timestamps(&self) -> Option<(u32, u32)> {
        match (self.kind, self.data) {
            (TIMESTAMPS, &[a, b, c, d, e, f, g, h]) => {
                Some((u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h])))
            }
            _ => None,
        }
    }
}
