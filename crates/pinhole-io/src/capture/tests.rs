//! Captures built byte by byte, read back.

mod build;
mod damage;
mod formats;
mod merge;
mod properties;
mod writer;

use std::io::{Cursor, Read};

use super::{CaptureError, CaptureReader};

/// A frame with its bytes, to compare.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Owned {
    number: u64,
    nanos: u64,
    link: u16,
    bytes: Vec<u8>,
    original_length: u32,
    interface: u32,
}

fn reader(bytes: impl Into<Vec<u8>>) -> Result<CaptureReader, CaptureError> {
    CaptureReader::new("test.pcap", Cursor::new(bytes.into()))
}

/// All frames, and the error that ended them if one did.
fn drain(mut reader: CaptureReader) -> (Vec<Owned>, Option<CaptureError>) {
    let mut frames = Vec::new();
    loop {
        match reader.next() {
            Ok(Some(frame)) => frames.push(Owned {
                number: frame.number,
                nanos: frame.time.0,
                link: frame.link.0,
                bytes: frame.bytes.to_vec(),
                original_length: frame.original_length,
                interface: frame.interface,
            }),
            Ok(None) => return (frames, None),
            Err(error) => {
                assert!(matches!(reader.next(), Ok(None)), "an error ends the capture");
                return (frames, Some(error));
            }
        }
    }
}

fn frames(bytes: impl Into<Vec<u8>>) -> Vec<Owned> {
    let (frames, error) = drain(reader(bytes).unwrap());
    assert!(error.is_none(), "{error:?}");
    frames
}

/// The error that reading ends with, as text.
fn message(bytes: impl Into<Vec<u8>>) -> String {
    match reader(bytes) {
        Err(error) => error.to_string(),
        Ok(reader) => drain(reader).1.expect("an error").to_string(),
    }
}

/// A source that hands out a few bytes at a time.
struct Trickle(Cursor<Vec<u8>>, usize);

impl Read for Trickle {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let most = into.len().min(self.1);
        self.0.read(&mut into[..most])
    }
}
