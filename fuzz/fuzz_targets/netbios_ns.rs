//! Any NetBIOS name questions and answers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pinhole_fuzz::conversation::converse;
use pinhole_helpers::netbios_ns::NetbiosNs;

fuzz_target!(|input: &[u8]| converse(&NetbiosNs, input));
