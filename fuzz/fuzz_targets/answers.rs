//! A module that answers whatever the input has: the host takes nothing from it that breaks the security rules.
//!
//! An input is a conversation ([`pinhole_fuzz::script`]); each datagram is an answer (`pinhole_fuzz::module`).
#![no_main]

use libfuzzer_sys::fuzz_target;
use pinhole_fuzz::module::{overhear, parrot};
use pinhole_modules::{LoadSettings, Module};
use std::sync::LazyLock;

static PARROT: LazyLock<Vec<u8>> = LazyLock::new(parrot);

fuzz_target!(|input: &[u8]| {
    // Anew each time: a module that has made too many faults is quarantined.
    let module = Module::load(&PARROT, &LoadSettings::default()).expect("a module that loads");
    overhear(&module, input);
});
