//! Any SANE conversation, in any segments.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pinhole_fuzz::conversation::converse;
use pinhole_helpers::sane::Sane;

fuzz_target!(|input: &[u8]| converse(&Sane, input));
