//! Any datagrams of a TFTP client and its server.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pinhole_fuzz::conversation::converse;
use pinhole_helpers::tftp::Tftp;

fuzz_target!(|input: &[u8]| converse(&Tftp, input));
