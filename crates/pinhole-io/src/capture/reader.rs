//! One capture file, frame by frame.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

use pinhole_wire::{LinkType, Time};

use super::error::{CaptureError, Problem};
use super::pcap::{Pcap, Variant};
use super::pcapng::{self, Pcapng};
use super::snoop::{self, Snoop};
use super::source::Source;
use super::window::Window;
use super::{Frame, Interface};

/// Reads the frames of one capture, in the order of the file.
///
/// Nothing is allocated per frame: a [`Frame`] borrows the reader's window. After the end of the file or an error the
/// reader stays at the end.
pub struct CaptureReader {
    name: String,
    window: Window,
    decoder: Decoder,
    interfaces: Vec<Interface>,
    /// Number of the next frame.
    next_number: u64,
    current: Option<(u64, Located)>,
    finished: bool,
    total_bytes: Option<u64>,
}

/// Where in the window a frame lies, and what its record says.
pub(super) struct Located {
    pub(super) time: Time,
    pub(super) link: LinkType,
    pub(super) data: Range<usize>,
    pub(super) original_length: u32,
    pub(super) interface: u32,
}

enum Decoder {
    Pcap(Pcap),
    Pcapng(Pcapng),
    Snoop(Snoop),
}

/// The format of a capture file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// Classic pcap, of whichever time resolution and byte order.
    Pcap,
    /// pcapng.
    Pcapng,
    /// Snoop (RFC 1761).
    Snoop,
}

impl CaptureReader {
    /// Opens a file. The path is the capture's name in errors.
    ///
    /// # Errors
    /// The file cannot be opened, is empty, is not a capture, or its header is damaged.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CaptureError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let file = File::open(path).map_err(|error| before_packets(&name, 0, Problem::Open(error)))?;
        // Pipes have no length.
        let length = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|data| data.len());
        let mut reader = Self::new(name, file)?;
        reader.total_bytes = length;
        Ok(reader)
    }

    /// Reads standard input, which errors call `-`.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn stdin() -> Result<Self, CaptureError> {
        Self::new("-", io::stdin())
    }

    /// Reads any stream of bytes, plain or gzip; `name` stands for it in errors.
    ///
    /// # Errors
    /// The stream is empty, is not a capture, or its header is damaged.
    pub fn new(name: impl Into<String>, source: impl Read + Send + 'static) -> Result<Self, CaptureError> {
        let name = name.into();
        let source =
            Source::new(Box::new(source)).map_err(|error| before_packets(&name, 0, Problem::Read(error)))?;
        let mut window = Window::new(source);
        let mut interfaces = Vec::new();
        let decoder = Decoder::open(&mut window, &mut interfaces)
            .map_err(|problem| before_packets(&name, window.mark(), problem))?;
        Ok(Self {
            name,
            window,
            decoder,
            interfaces,
            next_number: 1,
            current: None,
            finished: false,
            total_bytes: None,
        })
    }

    /// The next frame; none at the end.
    ///
    /// # Errors
    /// The file is damaged here or ends within a record ([`CaptureError::is_truncation`]); all frames before were delivered.
    #[expect(
        clippy::should_implement_trait,
        reason = "a frame borrows the reader, which Iterator cannot say"
    )]
    #[inline]
    pub fn next(&mut self) -> Result<Option<Frame<'_>>, CaptureError> {
        self.advance()?;
        Ok(self.current())
    }

    /// Moves to the next frame, which [`Self::current`] then shows; false at the end.
    ///
    /// # Errors
    /// As [`Self::next`].
    #[inline]
    pub fn advance(&mut self) -> Result<bool, CaptureError> {
        self.current = None;
        if self.finished {
            return Ok(false);
        }
        let located = match &mut self.decoder {
            Decoder::Pcap(pcap) => pcap.advance(&mut self.window),
            Decoder::Snoop(snoop) => snoop.advance(&mut self.window),
            Decoder::Pcapng(pcapng) => {
                pcapng.advance(&mut self.window, &mut self.interfaces, &mut self.next_number)
            }
        };
        match located {
            Ok(Some(located)) => {
                self.current = Some((self.next_number, located));
                self.next_number += 1;
                Ok(true)
            }
            Ok(None) => {
                self.finished = true;
                Ok(false)
            }
            Err(problem) => Err(self.fail(problem)),
        }
    }

    /// The frame that the last call of [`Self::advance`] or [`Self::next`] moved to.
    #[inline]
    pub fn current(&self) -> Option<Frame<'_>> {
        let (number, located) = self.current.as_ref()?;
        Some(Frame {
            number: *number,
            time: located.time,
            link: located.link,
            bytes: self.window.slice(located.data.clone()),
            original_length: located.original_length,
            interface: located.interface,
        })
    }

    /// The capture's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The capture's format.
    pub fn format(&self) -> Format {
        match self.decoder {
            Decoder::Pcap(_) => Format::Pcap,
            Decoder::Pcapng(_) => Format::Pcapng,
            Decoder::Snoop(_) => Format::Snoop,
        }
    }

    /// The interfaces described so far. pcapng may describe more as reading goes on; the other formats have exactly one.
    pub fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    /// Bytes read from the file so far (compressed ones, if it is), for a progress bar next to [`Self::total_bytes`].
    pub fn bytes_read(&self) -> u64 {
        self.window.consumed()
    }

    /// Length of the file in bytes, where it is known.
    pub fn total_bytes(&self) -> Option<u64> {
        self.total_bytes
    }

    #[cold]
    fn fail(&mut self, problem: Problem) -> CaptureError {
        self.finished = true;
        CaptureError {
            capture: self.name.clone(),
            frame: Some(self.next_number),
            offset: self.window.mark(),
            problem,
        }
    }
}

impl std::fmt::Debug for CaptureReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CaptureReader")
            .field("name", &self.name)
            .field("format", &self.format())
            .field("next_number", &self.next_number)
            .finish_non_exhaustive()
    }
}

impl Decoder {
    /// Recognises the format and reads the file header.
    fn open(window: &mut Window, interfaces: &mut Vec<Interface>) -> Result<Self, Problem> {
        let start = window.peek(snoop::MAGIC.len())?;
        if start.starts_with(&snoop::MAGIC) {
            let (snoop, interface) = Snoop::open(window)?;
            interfaces.push(interface);
            return Ok(Self::Snoop(snoop));
        }
        let Some(&magic) = start.first_chunk() else {
            return Err(if start.is_empty() {
                Problem::Empty
            } else {
                Problem::UnknownFormat { magic: start.to_vec() }
            });
        };
        if magic == pcapng::MAGIC {
            return Ok(Self::Pcapng(Pcapng::open(window)?));
        }
        let Some(variant) = Variant::recognise(magic) else {
            return Err(Problem::UnknownFormat { magic: magic.to_vec() });
        };
        let (pcap, interface) = Pcap::open(variant, window)?;
        interfaces.push(interface);
        Ok(Self::Pcap(pcap))
    }
}

#[cold]
fn before_packets(name: &str, offset: u64, problem: Problem) -> CaptureError {
    CaptureError { capture: name.to_owned(), frame: None, offset, problem }
}
