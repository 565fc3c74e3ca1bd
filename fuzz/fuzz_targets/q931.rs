//! Any call signalling, in any segments.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pinhole_fuzz::conversation::converse;
use pinhole_helpers::h323::Q931;

fuzz_target!(|input: &[u8]| converse(&Q931, input));
