//! Any H.245 conversation, in any segments.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pinhole_fuzz::conversation::converse;
use pinhole_helpers::h323::H245;

fuzz_target!(|input: &[u8]| converse(&H245, input));
