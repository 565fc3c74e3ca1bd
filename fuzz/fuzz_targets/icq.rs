//! Any datagrams of an ICQ client and its server.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pinhole_fuzz::conversation::converse;
use pinhole_helpers::icq::Icq;

fuzz_target!(|input: &[u8]| converse(&Icq, input));
