//! Parcel as a module, written for it: an invented protocol.
#![no_std]

use pinhole_helper_sdk::{Grants, Module, conntrack};

conntrack!(
    parcel::Parcel,
    parcel::SPEC,
    Module { version: env!("CARGO_PKG_VERSION"), license: env!("CARGO_PKG_LICENSE"), grants: Grants::NONE },
);
