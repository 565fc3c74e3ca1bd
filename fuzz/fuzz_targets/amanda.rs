//! Any datagrams of an Amanda server and its client.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pinhole_fuzz::conversation::converse;
use pinhole_helpers::amanda::Amanda;

fuzz_target!(|input: &[u8]| converse(&Amanda, input));
