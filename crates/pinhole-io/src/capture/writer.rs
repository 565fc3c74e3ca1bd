//! Writing pcapng: one section, an interface per source, enhanced packet blocks with comments and direction.

use std::io::{self, Write};

use pinhole_wire::{LinkType, Time};

use super::CAPTURED_LIMIT;

/// Block types and option codes (draft-ietf-opsawg-pcapng §3.5, §4).
const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
const OPTION_COMMENT: u16 = 1;
const OPTION_EPB_FLAGS: u16 = 2;
const OPTION_IF_NAME: u16 = 2;
const OPTION_IF_RESOLUTION: u16 = 9;
const OPTION_SHB_APPLICATION: u16 = 4;

/// Writes a pcapng file, little-endian, with time stamps in nanoseconds.
///
/// Interfaces may be added at any time, each before its first packet. The sink is written in large pieces by
/// [`Self::finish`] and whenever the buffer is full; dropping the writer without `finish` loses what is buffered.
#[derive(Debug)]
pub struct PcapngWriter<W: Write> {
    sink: W,
    buffer: Vec<u8>,
    interfaces: u32,
}

/// A packet to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// What [`PcapngWriter::add_interface`] returned.
    pub interface: u32,
    /// When it was captured.
    pub time: Time,
    /// Its bytes, link header first; at most [`CAPTURED_LIMIT`].
    pub bytes: &'a [u8],
    /// Its length on the wire; at least that of `bytes`.
    pub original_length: u32,
    /// Which way it passed the interface, if known.
    pub direction: Option<PacketDirection>,
    /// Shown by Wireshark as the packet's comment; cut after 65 535 bytes.
    pub comment: Option<&'a str>,
}

/// Direction bits of `epb_flags` (draft-ietf-opsawg-pcapng §4.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum PacketDirection {
    /// Received by the interface.
    Inbound = 1,
    /// Sent by the interface.
    Outbound = 2,
}

impl<'a> Record<'a> {
    /// A packet that was captured whole, without direction or comment.
    pub fn new(interface: u32, time: Time, bytes: &'a [u8]) -> Self {
        let original_length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        Self { interface, time, bytes, original_length, direction: None, comment: None }
    }
}

impl<W: Write> PcapngWriter<W> {
    /// Bytes gathered before the sink is written.
    const BUFFER: usize = 1 << 16;

    /// Starts a file; `application` is named in it as its author.
    ///
    /// # Errors
    /// The sink's.
    pub fn new(sink: W, application: &str) -> io::Result<Self> {
        let mut writer = Self { sink, buffer: Vec::with_capacity(2 * Self::BUFFER), interfaces: 0 };
        writer.block(SECTION_HEADER, |block| {
            block.u32(0x1a2b_3c4d);
            block.u16(1);
            block.u16(0);
            // Section length: unknown.
            block.bytes(&[0xff; 8]);
            block.option(OPTION_SHB_APPLICATION, application.as_bytes());
            block.end_of_options();
        })?;
        Ok(writer)
    }

    /// Describes an interface and returns its number for [`Record::interface`].
    ///
    /// # Errors
    /// The sink's.
    pub fn add_interface(&mut self, link: LinkType, name: &str) -> io::Result<u32> {
        self.block(INTERFACE_DESCRIPTION, |block| {
            block.u16(link.0);
            block.u16(0);
            block.u32(CAPTURED_LIMIT);
            block.option(OPTION_IF_NAME, cut(name).as_bytes());
            block.option(OPTION_IF_RESOLUTION, &[9]);
            block.end_of_options();
        })?;
        self.interfaces += 1;
        Ok(self.interfaces - 1)
    }

    /// Writes a packet.
    ///
    /// # Errors
    /// The sink's; [`io::ErrorKind::InvalidInput`] if the interface was not added or the packet is larger than [`CAPTURED_LIMIT`].
    pub fn write(&mut self, record: &Record<'_>) -> io::Result<()> {
        let captured = u32::try_from(record.bytes.len()).unwrap_or(u32::MAX);
        if record.interface >= self.interfaces {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the packet's interface was not added"));
        }
        if captured > CAPTURED_LIMIT {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the packet is too large for a capture"));
        }
        self.block(ENHANCED_PACKET, |block| {
            block.u32(record.interface);
            block.u32((record.time.0 >> 32) as u32);
            block.u32(record.time.0 as u32);
            block.u32(captured);
            block.u32(record.original_length.max(captured));
            block.bytes(record.bytes);
            block.pad();
            if let Some(comment) = record.comment {
                block.option(OPTION_COMMENT, cut(comment).as_bytes());
            }
            if let Some(direction) = record.direction {
                block.option(OPTION_EPB_FLAGS, &u32::from(direction as u8).to_le_bytes());
            }
            if record.comment.is_some() || record.direction.is_some() {
                block.end_of_options();
            }
        })
    }

    /// Writes what is buffered, flushes and returns the sink.
    ///
    /// # Errors
    /// The sink's.
    pub fn finish(mut self) -> io::Result<W> {
        self.drain()?;
        self.sink.flush()?;
        Ok(self.sink)
    }

    /// Appends a block: type, length, body, length again.
    fn block(&mut self, kind: u32, body: impl FnOnce(&mut Block<'_>)) -> io::Result<()> {
        let start = self.buffer.len();
        let mut block = Block(&mut self.buffer);
        block.u32(kind);
        block.u32(0);
        body(&mut block);
        // Bounded: packet, comment and name all are.
        let length = (block.0.len() - start + 4) as u32;
        block.u32(length);
        if let Some(field) = self.buffer.get_mut(start + 4..start + 8) {
            field.copy_from_slice(&length.to_le_bytes());
        }
        if self.buffer.len() >= Self::BUFFER { self.drain() } else { Ok(()) }
    }

    fn drain(&mut self) -> io::Result<()> {
        let result = self.sink.write_all(&self.buffer);
        self.buffer.clear();
        result
    }
}

/// The block being written, at the end of the buffer. Blocks start at multiples of four.
struct Block<'a>(&'a mut Vec<u8>);

impl Block<'_> {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn u16(&mut self, value: u16) {
        self.bytes(&value.to_le_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.bytes(&value.to_le_bytes());
    }

    fn pad(&mut self) {
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    fn option(&mut self, code: u16, value: &[u8]) {
        self.u16(code);
        self.u16(u16::try_from(value.len()).unwrap_or(u16::MAX));
        self.bytes(value.get(..usize::from(u16::MAX)).unwrap_or(value));
        self.pad();
    }

    fn end_of_options(&mut self) {
        self.u32(0);
    }
}

/// As much of a text as an option can hold.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(usize::from(u16::MAX));
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}
