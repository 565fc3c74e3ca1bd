//! The NAT half of FTP as a module: the built-in helper's own source.
#![no_std]

use pinhole_helper_sdk::{Grants, Module, nat};
use pinhole_helpers::ftp;

nat!(
    ftp::FtpNat,
    "ftp",
    "Writes translated endpoints into FTP control connections",
    Module { version: env!("CARGO_PKG_VERSION"), license: env!("CARGO_PKG_LICENSE"), grants: Grants::NONE },
);
