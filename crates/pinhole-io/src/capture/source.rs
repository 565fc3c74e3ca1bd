//! The bytes of a capture, compressed or not.

use std::io::{self, Cursor, Read};

use flate2::read::MultiGzDecoder;

use super::error::Problem;

/// First bytes of a gzip member (RFC 1952 §2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The source that a reader was given, the bytes that were taken off it for recognition put back in front.
type Raw = io::Chain<Cursor<Vec<u8>>, Counted>;

/// A stream of capture bytes, decompressed if its first bytes ask for it.
pub(super) enum Source {
    Plain(Raw),
    Gzip(Box<MultiGzDecoder<Raw>>),
}

impl Source {
    /// Looks at the first bytes of `input` to tell whether it is compressed.
    pub(super) fn new(input: Box<dyn Read + Send>) -> io::Result<Self> {
        let mut counted = Counted { input, count: 0 };
        let mut magic = Vec::with_capacity(GZIP_MAGIC.len());
        counted.by_ref().take(GZIP_MAGIC.len() as u64).read_to_end(&mut magic)?;
        let compressed = magic == GZIP_MAGIC;
        let raw = Cursor::new(magic).chain(counted);
        Ok(if compressed { Self::Gzip(Box::new(MultiGzDecoder::new(raw))) } else { Self::Plain(raw) })
    }

    /// Bytes taken from the underlying (compressed) input so far.
    pub(super) fn consumed(&self) -> u64 {
        match self {
            Self::Plain(raw) => raw.get_ref().1.count,
            Self::Gzip(decoder) => decoder.get_ref().get_ref().1.count,
        }
    }

    /// Reads some bytes; zero at the end.
    pub(super) fn read(&mut self, into: &mut [u8]) -> Result<usize, Problem> {
        loop {
            let result = match self {
                Self::Plain(raw) => raw.read(into),
                Self::Gzip(decoder) => decoder.read(into),
            };
            return match result {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(self.problem(error)),
                Ok(count) => Ok(count),
            };
        }
    }

    fn problem(&self, error: io::Error) -> Problem {
        match (self, error.kind()) {
            (Self::Gzip(_), io::ErrorKind::UnexpectedEof) => Problem::GzipTruncated,
            (Self::Gzip(_), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) => Problem::Gzip(error),
            _ => Problem::Read(error),
        }
    }
}

/// A reader that knows how many bytes went through it.
pub(super) struct Counted {
    input: Box<dyn Read + Send>,
    count: u64,
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(into)?;
        self.count += count as u64;
        Ok(count)
    }
}
