//! The NAT half of Parcel as a module.
#![no_std]

use pinhole_helper_sdk::{Grants, Module, nat};

nat!(
    parcel::ParcelNat,
    "parcel",
    "Writes translated endpoints into offers of parcels",
    Module { version: env!("CARGO_PKG_VERSION"), license: env!("CARGO_PKG_LICENSE"), grants: Grants::NONE },
);
