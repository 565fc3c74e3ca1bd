//! Any datagrams of talk and its daemons.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pinhole_fuzz::conversation::converse;
use pinhole_helpers::talk::Talk;

fuzz_target!(|input: &[u8]| converse(&Talk, input));
