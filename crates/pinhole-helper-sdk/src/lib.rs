//! Turns a helper into a loadable module: the guest's side of docs/helper-abi.md.
//!
//! A crate of type `cdylib` that is compiled for `wasm32-unknown-unknown` calls one of two macros, with a helper that implements
//! the same traits as a built-in one (`pinhole helper new NAME --lang rust` makes all of it):
//!
//! ```ignore
//! #![no_std]
//! pinhole_helper_sdk::conntrack!(my_helper::MyHelper, my_helper::SPEC, pinhole_helper_sdk::Module {
//!     version: "1.0.0",
//!     license: "MIT",
//!     grants: pinhole_helper_sdk::Grants::NONE,
//! });
//! ```
//!
//! The module has its manifest inside then. Nothing else is to be done: `pinhole load ./conntrack_my.wasm`.
//!
//! *Memory.* A session and all that it allocates lie in the state area ([`arena`]), which the host keeps for it between two calls. What the
//! glue itself needs for one call lies in a scratch area.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod arena;
#[cfg(target_arch = "wasm32")]
pub mod guest;
#[cfg(target_arch = "wasm32")]
mod heap;
pub mod manifest;

pub use manifest::{Grants, Module};
/// The contract: what a helper implements. A module needs no other dependency than this crate.
pub use pinhole_helper as helper;
/// Directions, protocols and tuples, of which the contract speaks.
pub use pinhole_wire as wire;

/// Makes a conntrack module of a helper, its description (a `const`) and what the module itself is.
#[macro_export]
macro_rules! conntrack {
    ($helper:expr, $spec:path, $module:expr $(,)?) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            const MODULE: $crate::Module = $module;
            const LENGTH: usize = $crate::manifest::conntrack::<0>(&$spec, &MODULE).1;
            #[unsafe(link_section = "pinhole.helper")]
            static MANIFEST: [u8; LENGTH] = $crate::manifest::conntrack::<LENGTH>(&$spec, &MODULE).0;

            #[unsafe(no_mangle)]
            extern "C" fn pinhole_exchange() -> i32 {
                $crate::guest::exchange()
            }
            #[unsafe(no_mangle)]
            extern "C" fn pinhole_attach() -> i32 {
                $crate::guest::attach(&$helper)
            }
            #[unsafe(no_mangle)]
            extern "C" fn pinhole_read(from: i32, length: i32) -> i64 {
                $crate::guest::read(from, length)
            }
            #[unsafe(no_mangle)]
            extern "C" fn pinhole_pick_up(from: i32) -> i32 {
                $crate::guest::pick_up(from)
            }
            #[unsafe(no_mangle)]
            extern "C" fn pinhole_resynchronise(from: i32) -> i32 {
                $crate::guest::resynchronise(from)
            }
            #[unsafe(no_mangle)]
            extern "C" fn pinhole_may_announce(from: i32, length: i32) -> i32 {
                $crate::guest::may_announce(from, length)
            }
            #[unsafe(no_mangle)]
            extern "C" fn pinhole_restore() -> i32 {
                $crate::guest::restore()
            }
        };
    };
}

/// Makes a NAT module of a NAT half, the name of its helper, a line about it, and what the module itself is.
#[macro_export]
macro_rules! nat {
    ($half:expr, $name:expr, $summary:expr, $module:expr $(,)?) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            const MODULE: $crate::Module = $module;
            const LENGTH: usize = $crate::manifest::nat::<0>($name, $summary, &MODULE).1;
            #[unsafe(link_section = "pinhole.helper")]
            static MANIFEST: [u8; LENGTH] = $crate::manifest::nat::<LENGTH>($name, $summary, &MODULE).0;

            #[unsafe(no_mangle)]
            extern "C" fn pinhole_exchange() -> i32 {
                $crate::guest::exchange()
            }
            #[unsafe(no_mangle)]
            extern "C" fn pinhole_encode(kind: i32, notation: i32, length: i32) -> i32 {
                $crate::guest::encode(&$half, kind, notation, length)
            }
        };
    };
}
