//! Any bytes as what the kernel tells of the network.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pinhole_io::live::rtnetlink::read::{Change, changes};

fuzz_target!(|input: &[u8]| {
    for change in changes(input) {
        if let Change::Route(route) = change {
            // Each next hop takes eight bytes at least.
            assert!(route.hops.len() <= input.len() / 8);
        }
    }
});
