//! Any SIP conversation, in any segments or datagrams.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pinhole_fuzz::conversation::converse;
use pinhole_helpers::sip::Sip;

fuzz_target!(|input: &[u8]| converse(&Sip, input));
