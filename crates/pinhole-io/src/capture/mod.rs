//! Capture files.
//!
//! [`CaptureReader`] yields the [`Frame`]s of one file, [`Merge`] those of several in the order of their time stamps, and
//! [`PcapngWriter`] writes a file that Wireshark opens.
//!
//! A capture is hostile input: every length is checked against the bytes that are there, memory is bounded by one
//! window of [`WINDOW`] bytes per open file (plus at most [`INTERFACES`] interface descriptions), and whatever is wrong is a
//! [`CaptureError`] that tells the file, the packet, the offset and what was expected there.
//!
//! ```
//! use pinhole_io::capture::{CaptureReader, PcapngWriter, Record};
//! use pinhole_wire::{LinkType, Time};
//!
//! let mut writer = PcapngWriter::new(Vec::new(), "example")?;
//! let interface = writer.add_interface(LinkType(101), "lan")?;
//! writer.write(&Record::new(interface, Time::from_seconds(1), &[0x45, 0, 0, 20]))?;
//!
//! let bytes = std::io::Cursor::new(writer.finish()?);
//! let mut capture = CaptureReader::new("memory", bytes)?;
//! while let Some(frame) = capture.next()? {
//!     println!("{} {:?} {} bytes", frame.number, frame.time, frame.bytes.len());
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod interface;
mod merge;
mod order;
mod pcap;
mod pcapng;
mod reader;
mod snoop;
mod source;
mod window;
mod writer;

#[cfg(test)]
mod tests;

use pinhole_wire::{LinkType, Time};

pub use error::{CaptureError, Problem};
pub use merge::{Merge, MergedFrame};
pub use reader::{CaptureReader, Format};
pub use writer::{PacketDirection, PcapngWriter, Record};

/// Most captured bytes of one packet that are accepted: the limit of libpcap and Wireshark. A record that claims more is damage, not a packet.
pub const CAPTURED_LIMIT: u32 = 262_144;

/// Size in bytes of the buffer that each open capture reads through.
pub const WINDOW: usize = 1 << 20;

/// Most interfaces that one pcapng file may describe, over all its sections.
pub const INTERFACES: usize = 65_536;

/// One captured packet, borrowed from the reader until the next one is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Number within its file, from 1, as Wireshark counts.
    pub number: u64,
    /// When it was captured. A pcapng simple packet has no time of its own and takes that of the frame before it.
    pub time: Time,
    /// What `bytes` starts with.
    pub link: LinkType,
    /// The captured bytes, link header first; at most [`CAPTURED_LIMIT`].
    pub bytes: &'a [u8],
    /// Length of the packet on the wire; more than `bytes.len()` where the capture cut it.
    pub original_length: u32,
    /// Index into [`CaptureReader::interfaces`].
    pub interface: u32,
}

/// A place where packets were captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// What its frames start with.
    pub link: LinkType,
    /// Its name, where the file tells one (pcapng `if_name`); at most 255 bytes of it.
    pub name: Option<String>,
}
