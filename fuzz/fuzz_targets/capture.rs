//! Any bytes as a capture file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pinhole_io::capture::{CAPTURED_LIMIT, CaptureReader};
use std::io::Cursor;

fuzz_target!(|input: &[u8]| {
    let Ok(mut reader) = CaptureReader::new("input", Cursor::new(input.to_vec())) else { return };
    let mut number = 0;
    while let Ok(Some(frame)) = reader.next() {
        // Some blocks without a packet count as well.
        assert!(frame.number > number);
        number = frame.number;
        assert!(frame.bytes.len() <= CAPTURED_LIMIT as usize);
        let interface = frame.interface as usize;
        assert!(interface < reader.interfaces().len());
    }
});
