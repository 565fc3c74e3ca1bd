//! Any OSCAR conversation, in any segments.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pinhole_fuzz::conversation::converse;
use pinhole_helpers::oscar::Oscar;

fuzz_target!(|input: &[u8]| converse(&Oscar, input));
