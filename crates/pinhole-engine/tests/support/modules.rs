//! FTP by its modules, where the environment asks for it (`cargo xtask test`, stage `modules`): every test that reads FTP is a test of the
//! modules then.

use pinhole_engine::Engine;
use pinhole_modules::{LoadSettings, Module};
use std::path::PathBuf;

const FOLDER: &str = "PINHOLE_FTP_MODULE";

/// Whether FTP is read by its modules.
pub(crate) fn are_asked_for() -> bool {
    std::env::var_os(FOLDER).is_some()
}

/// Puts FTP's modules into an engine in place of the built-in helper, if `PINHOLE_FTP_MODULE` names their folder.
pub(crate) fn put_in(engine: &mut Engine) {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let load = |name: &str| {
        let bytes = std::fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        Module::load(&bytes, &LoadSettings::default()).unwrap()
    };
    engine.load(load("conntrack_ftp.wasm").helper().unwrap()).unwrap();
    if engine.nat_helpers().any(|name| name == "ftp") {
        engine.load_nat(load("nat_ftp.wasm").nat().unwrap());
    }
}
