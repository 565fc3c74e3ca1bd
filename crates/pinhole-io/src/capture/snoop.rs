//! Snoop (RFC 1761): Solaris' capture format, always big-endian.

use pinhole_wire::{LinkType, Time};

use super::error::Problem;
use super::order::ByteOrder;
use super::reader::Located;
use super::window::Window;
use super::{CAPTURED_LIMIT, Interface};

/// Identification pattern at the start of the file.
pub(super) const MAGIC: [u8; 8] = *b"snoop\0\0\0";

/// Length of the file header and of a record header.
const HEADER: usize = 16;
const RECORD: u32 = 24;

/// Reads the records of a snoop file.
pub(super) struct Snoop {
    link: LinkType,
}

impl Snoop {
    /// Reads the file header (RFC 1761 "File Format").
    pub(super) fn open(window: &mut Window) -> Result<(Self, Interface), Problem> {
        let [_, _, version, datalink] =
            ByteOrder::Big.words(window.peek_array::<HEADER>("the snoop file header")?);
        if version != 2 {
            return Err(Problem::Version { format: "snoop", major: version, minor: 0, expected: "2" });
        }
        let link = match datalink {
            // IEEE 802.3 and Ethernet.
            0 | 4 => LinkType(1),
            // IEEE 802.5 token ring.
            2 => LinkType(6),
            // FDDI.
            8 => LinkType(10),
            _ => return Err(Problem::LinkType(datalink)),
        };
        window.take(HEADER);
        Ok((Self { link }, Interface { link, name: None }))
    }

    /// Reads one record (RFC 1761 "Packet Record Format"); none at the end of the file.
    pub(super) fn advance(&self, window: &mut Window) -> Result<Option<Located>, Problem> {
        window.set_mark();
        if window.is_at_end()? {
            return Ok(None);
        }
        let [original, captured, record, _drops, seconds, micros] =
            ByteOrder::Big.words(window.peek_array::<{ RECORD as usize }>("a snoop record header")?);
        if captured > CAPTURED_LIMIT {
            return Err(Problem::CapturedLength { length: captured, limit: CAPTURED_LIMIT });
        }
        let room = record.saturating_sub(RECORD);
        if captured > room {
            return Err(Problem::Room { length: captured, room });
        }
        // Padding rounds the record up to four bytes; more than that is taken for damage.
        if room - captured > CAPTURED_LIMIT {
            return Err(Problem::CapturedLength { length: room, limit: CAPTURED_LIMIT });
        }
        window.require(RECORD as usize + room as usize, "a snoop record")?;
        window.take(RECORD as usize);
        let data = window.take(room as usize);
        Ok(Some(Located {
            time: Time::from_seconds(u64::from(seconds)).plus_nanos(u64::from(micros) * 1_000),
            link: self.link,
            data: data.start..data.start + captured as usize,
            original_length: original.max(captured),
            interface: 0,
        }))
    }
}
