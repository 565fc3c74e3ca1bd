//! The binary interface of helper modules (docs/helper-abi.md), both sides of it: what a module writes its host reads with the code beside
//! it.
//!
//! * [`exchange`]: the block through which the two talk, and the names of the functions.
//! * [`master`]: what a session may know of its conn, and endpoints.
//! * [`record`] and [`number`]: requests, and the numbers of reasons.
//!
//! Nothing here trusts the other side, and nothing panics. The crate does without the standard library, as modules do.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), no_std)]

extern crate alloc;

mod bytes;
pub mod exchange;
pub mod master;
pub mod number;
pub mod record;

/// The version of the interface, and of the contract that it mirrors.
pub const VERSION: u32 = 1;

/// The custom section that holds a module's manifest.
pub const MANIFEST_SECTION: &str = "pinhole.helper";
