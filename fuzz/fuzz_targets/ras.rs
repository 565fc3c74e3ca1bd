//! Any RAS datagrams.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pinhole_fuzz::conversation::converse;
use pinhole_helpers::h323::Ras;

fuzz_target!(|input: &[u8]| converse(&Ras, input));
