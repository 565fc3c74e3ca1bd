//! Classic pcap (draft-ietf-opsawg-pcap): a file header, then records one after the other.

use pinhole_wire::{LinkType, Time};

use super::error::Problem;
use super::order::ByteOrder;
use super::reader::Located;
use super::window::Window;
use super::{CAPTURED_LIMIT, Interface};

/// Length of the file header.
const HEADER: usize = 24;

/// Reads the records of a classic pcap file.
pub(super) struct Pcap {
    variant: Variant,
    lengths: Lengths,
    link: LinkType,
}

/// What a file's magic tells.
#[derive(Clone, Copy)]
pub(super) struct Variant {
    order: ByteOrder,
    nanos_per_fraction: u64,
    /// Bytes between the usual record header and the data: eight in the "modified" format of Alexey Kuznetsov's libpcap
    /// patches, which stores an interface index, a protocol and a packet type there.
    extra: usize,
}

/// The order of a record's two length fields, which old versions swapped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lengths {
    /// Captured length, then original length (version 2.4).
    CapturedFirst,
    /// The other way round (before version 2.3).
    OriginalFirst,
    /// Version 2.3 was written both ways: the captured length is the lesser.
    LesserIsCaptured,
}

impl Variant {
    /// The variant with this magic; none if it is not classic pcap.
    pub(super) fn recognise(magic: [u8; 4]) -> Option<Self> {
        let (order, nanos_per_fraction, extra) = match magic {
            [0xd4, 0xc3, 0xb2, 0xa1] => (ByteOrder::Little, 1_000, 0),
            [0xa1, 0xb2, 0xc3, 0xd4] => (ByteOrder::Big, 1_000, 0),
            [0x4d, 0x3c, 0xb2, 0xa1] => (ByteOrder::Little, 1, 0),
            [0xa1, 0xb2, 0x3c, 0x4d] => (ByteOrder::Big, 1, 0),
            [0x34, 0xcd, 0xb2, 0xa1] => (ByteOrder::Little, 1_000, 8),
            [0xa1, 0xb2, 0xcd, 0x34] => (ByteOrder::Big, 1_000, 8),
            _ => return None,
        };
        Some(Self { order, nanos_per_fraction, extra })
    }
}

impl Pcap {
    /// Reads the file header (draft-ietf-opsawg-pcap §4).
    pub(super) fn open(variant: Variant, window: &mut Window) -> Result<(Self, Interface), Problem> {
        let order = variant.order;
        let header: [u32; HEADER / 4] = order.words(window.peek_array::<HEADER>("the pcap file header")?);
        let [_magic, version, _zone, _accuracy, _snaplen, link] = header;
        // The version is two 16-bit fields; as a word their places depend on the byte order.
        let (major, minor) = match order {
            ByteOrder::Little => (version & 0xffff, version >> 16),
            ByteOrder::Big => (version >> 16, version & 0xffff),
        };
        let lengths = match (major, minor) {
            (2, 4..) => Lengths::CapturedFirst,
            (2, 3) => Lengths::LesserIsCaptured,
            (2, _) => Lengths::OriginalFirst,
            _ => return Err(Problem::Version { format: "pcap", major, minor, expected: "2.4" }),
        };
        // The upper six bits tell about a frame check sequence, which the datagram's own length cuts off.
        let number = link & 0x03ff_ffff;
        let link = LinkType(u16::try_from(number).map_err(|_| Problem::LinkType(number))?);
        window.take(HEADER);
        Ok((Self { variant, lengths, link }, Interface { link, name: None }))
    }

    /// Reads one record (draft-ietf-opsawg-pcap §5); none at the end of the file.
    #[inline]
    pub(super) fn advance(&self, window: &mut Window) -> Result<Option<Located>, Problem> {
        let Variant { order, nanos_per_fraction, extra } = self.variant;
        window.set_mark();
        if window.is_at_end()? {
            return Ok(None);
        }
        let [seconds, fraction, first, second] =
            order.words(window.peek_array::<16>("a pcap record header")?);
        let (captured, original) = match self.lengths {
            Lengths::CapturedFirst => (first, second),
            Lengths::OriginalFirst => (second, first),
            Lengths::LesserIsCaptured => (first.min(second), first.max(second)),
        };
        if captured > CAPTURED_LIMIT {
            return Err(Problem::CapturedLength { length: captured, limit: CAPTURED_LIMIT });
        }
        let header = 16 + extra;
        window.require(header + captured as usize, "a pcap record")?;
        window.take(header);
        Ok(Some(Located {
            time: Time::from_seconds(u64::from(seconds)).plus_nanos(u64::from(fraction) * nanos_per_fraction),
            link: self.link,
            data: window.take(captured as usize),
            original_length: original.max(captured),
            interface: 0,
        }))
    }
}
