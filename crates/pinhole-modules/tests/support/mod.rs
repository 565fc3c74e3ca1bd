//! Modules for tests: those that `cargo xtask guests` has built, and those written as text here.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap is the test's message")]
#![allow(dead_code, reason = "each test uses its part")]

use pinhole_helper::{Master, Policy};
use pinhole_modules::{LoadSettings, Module, ModuleError};
use pinhole_wire::{IpVersion, Protocol};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The bytes of a module that was built from source; `None`, said aloud, if it was not.
pub(crate) fn guest(test: &str, name: &str) -> Option<Vec<u8>> {
    let folder = std::env::var_os("PINHOLE_GUESTS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/guests"), PathBuf::from);
    let file = folder.join(name).with_extension("wasm");
    match std::fs::read(&file) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            eprintln!("SKIPPED {test}: {}: {error} (cargo xtask guests builds it)", file.display());
            None
        }
    }
}

pub(crate) fn load(bytes: &[u8]) -> Result<Module, ModuleError> {
    Module::load(bytes, &LoadSettings::default())
}

pub(crate) fn master(client: &str, server: &str) -> Master {
    let (client, server): (SocketAddr, SocketAddr) = (client.parse().unwrap(), server.parse().unwrap());
    Master {
        version: if client.is_ipv4() { IpVersion::V4 } else { IpVersion::V6 },
        protocol: Protocol::TCP,
        original: (client, server),
        reply: (server, client),
    }
}

pub(crate) fn policies() -> [Policy; 2] {
    [Policy::default(), Policy { wait_for_answer: true, ..Policy::default() }]
}
