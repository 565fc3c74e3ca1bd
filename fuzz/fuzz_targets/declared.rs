//! Any conversation, read by one of the declarations of `helpers/`: the first byte says which.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pinhole_declare::{Declaration, Declared};
use pinhole_fuzz::conversation::converse;
use std::sync::LazyLock;

static HELPERS: LazyLock<Vec<Declared>> = LazyLock::new(|| {
    [
        include_str!("../../helpers/relay.toml"),
        include_str!("../../helpers/rsh.toml"),
        include_str!("../../helpers/quake3.toml"),
        include_str!("../../helpers/portmap.toml"),
    ]
    .into_iter()
    .filter_map(|text| Declaration::read(text).ok().map(Declared::new))
    .collect()
});

fuzz_target!(|input: &[u8]| {
    assert_eq!(HELPERS.len(), 4);
    let Some((which, conversation)) = input.split_first() else { return };
    converse(&HELPERS[usize::from(*which) % HELPERS.len()], conversation);
});
