//! Any bytes as a helper module, and any conversation read by what is accepted: the host is unharmed and bounded, whatever a guest does.
//!
//! An input is the length of the conversation (two bytes), the conversation, and the module.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pinhole_fuzz::module::overhear;
use pinhole_modules::{Grant, Limits, LoadSettings, Module};

fuzz_target!(|input: &[u8]| {
    let Some((length, rest)) = input.split_first_chunk::<2>() else { return };
    let Some((conversation, module)) = rest.split_at_checked(u16::from_le_bytes(*length).into()) else {
        return;
    };
    let limits = Limits { fuel: 20_000, fuel_per_byte: 10, memory: 1 << 20, ..Limits::default() };
    let settings = LoadSettings { limits, allowed: [Grant::Attach; 0].into_iter().collect() };
    match Module::load(module, &settings) {
        Ok(module) => overhear(&module, conversation),
        Err(why) => assert!(!why.to_string().is_empty()),
    }
});
