//! Any SNMP messages.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pinhole_fuzz::conversation::converse;
use pinhole_helpers::snmp::Snmp;

fuzz_target!(|input: &[u8]| converse(&Snmp, input));
