//! The conntrack half of FTP as a module: the built-in helper's own source.
#![no_std]

use pinhole_helper_sdk::{Grants, Module, conntrack};
use pinhole_helpers::ftp;

conntrack!(
    ftp::Ftp,
    ftp::SPEC,
    Module { version: env!("CARGO_PKG_VERSION"), license: env!("CARGO_PKG_LICENSE"), grants: Grants::NONE },
);
