//! What can be wrong with a capture, and where.

use std::fmt;
use std::io;

/// A capture that cannot be read further: which file, where in it, and why.
#[derive(Debug)]
pub struct CaptureError {
    /// The capture's name, as it was given to the reader.
    pub capture: String,
    /// The packet that was being read, from 1; none in a file's header or between packets.
    pub frame: Option<u64>,
    /// Offset in the (uncompressed) file of the structure that is wrong.
    pub offset: u64,
    /// What is wrong with it.
    pub problem: Problem,
}

impl CaptureError {
    /// The file ends in the middle of something: the packets before are good, so a caller may choose to only warn.
    pub const fn is_truncation(&self) -> bool {
        matches!(self.problem, Problem::Truncated { .. } | Problem::GzipTruncated)
    }
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.capture)?;
        match self.problem {
            Problem::Open(_) | Problem::Empty | Problem::UnknownFormat { .. } => {}
            _ => match self.frame {
                Some(frame) => write!(f, "packet {frame} at offset {:#x}: ", self.offset)?,
                None => write!(f, "offset {:#x}: ", self.offset)?,
            },
        }
        self.problem.fmt(f)
    }
}

impl std::error::Error for CaptureError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.problem)
    }
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The file cannot be opened.
    #[error("cannot open: {0}")]
    Open(#[source] io::Error),
    /// The system could not deliver the file's bytes.
    #[error("cannot read: {0}")]
    Read(#[source] io::Error),
    /// The compressed stream is damaged.
    #[error("corrupt gzip stream: {0}")]
    Gzip(#[source] io::Error),
    /// The compressed stream stops before its end.
    #[error("gzip stream ends early")]
    GzipTruncated,
    /// Not a single byte.
    #[error("the file is empty")]
    Empty,
    /// The first bytes belong to no format that is read here.
    #[error(
        "not a capture: expected a pcap, pcapng or snoop file (or one of them in gzip), but it starts with {}{}",
        HexBytes(.magic), hint(.magic)
    )]
    UnknownFormat {
        /// The first bytes, up to four.
        magic: Vec<u8>,
    },
    /// A version of the format that is not read here.
    #[error("unsupported {format} version {major}.{minor}, expected {expected}")]
    Version {
        /// The format's name.
        format: &'static str,
        /// Major version seen.
        major: u32,
        /// Minor version seen.
        minor: u32,
        /// What would have been accepted.
        expected: &'static str,
    },
    /// A link type outside the pcap registry's sixteen bits, or a snoop one without a counterpart there.
    #[error("unsupported link type {0}")]
    LinkType(u32),
    /// The file ends within a structure.
    #[error("the file ends within {what}: expected {expected} bytes, found {found}")]
    Truncated {
        /// Name of the structure.
        what: &'static str,
        /// Bytes that it needs.
        expected: u64,
        /// Bytes that are left.
        found: u64,
    },
    /// The record claims more captured bytes than any packet may have.
    #[error("captured length {length} exceeds the limit {limit}")]
    CapturedLength {
        /// What the record claims.
        length: u32,
        /// What is accepted at most.
        limit: u32,
    },
    /// The captured bytes do not fit into the record or block that holds them.
    #[error("captured length {length} does not fit into its record, which has room for {room}")]
    Room {
        /// What the record claims.
        length: u32,
        /// Bytes that the record has for them.
        room: u32,
    },
    /// A pcapng block whose length is below its kind's minimum, above what is accepted or not a multiple of four.
    #[error("{what} of {length} bytes: expected a multiple of 4 between {minimum} and {maximum}")]
    BlockLength {
        /// Name of the block.
        what: &'static str,
        /// Length that the block claims.
        length: u32,
        /// Least length of such a block.
        minimum: u32,
        /// Greatest length that is accepted.
        maximum: u32,
    },
    /// A pcapng block whose two lengths differ.
    #[error("block length is {leading} at the block's start but {trailing} at its end")]
    TrailingLength {
        /// Length at the start.
        leading: u32,
        /// Length at the end.
        trailing: u32,
    },
    /// A pcapng section that does not tell its byte order.
    #[error("section header has byte-order magic {0:#010x}, expected 0x1a2b3c4d")]
    ByteOrder(u32),
    /// A packet of an interface that its section did not describe.
    #[error("interface {interface} is not described; the section has {described} so far")]
    UnknownInterface {
        /// The interface's number within the section.
        interface: u32,
        /// Interfaces that the section described before.
        described: u32,
    },
    /// More interface descriptions than [`super::INTERFACES`].
    #[error("more than {0} interfaces")]
    TooManyInterfaces(usize),
    /// An option of an interface description that runs past its block.
    #[error("option {code} of {length} bytes runs past the end of its block")]
    Option {
        /// The option's code.
        code: u16,
        /// Its length.
        length: u16,
    },
}

/// Bytes as `d4 c3 b2 a1`.
struct HexBytes<'a>(&'a [u8]);

impl fmt::Display for HexBytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let gap = if index == 0 { "" } else { " " };
            write!(f, "{gap}{byte:02x}")?;
        }
        Ok(())
    }
}

/// What a file with this beginning most likely is.
fn hint(magic: &[u8]) -> &'static str {
    match magic {
        [0x28, 0xb5, 0x2f, 0xfd] => " (zstd: decompress it first)",
        [0xfd, b'7', b'z', b'X'] => " (xz: decompress it first)",
        [b'B', b'Z', b'h', _] => " (bzip2: decompress it first)",
        [0x04, 0x22, 0x4d, 0x18] => " (lz4: decompress it first)",
        [b'P', b'K', 0x03, 0x04] => " (zip: unpack it first)",
        _ => "",
    }
}
