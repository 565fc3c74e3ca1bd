//! Helpers that are loaded while the firewall runs: WebAssembly modules in a sandbox (docs/helper-abi.md).
//!
//! ```text
//! file ─► section ─► manifest ─► sandbox (compile) ─► guest (instance, areas) ─► Module ─┬─ ModuleHelper: Helper
//!                                                                                        └─ ModuleNat: NatHelper
//! ```
//!
//! *Trust.* A module is trusted with nothing. It imports nothing, so all it can do is answer; each answer is read by [`pinhole_abi`], judged
//! here, and then by the host that carries it out, like a built-in helper's. A fault ends the session, and too many of them the
//! module.
//!
//! *One instance serves all sessions* of a module, because an instance costs hundreds of kilobytes. Sessions are isolated all the same: what one
//! remembers is kept with it and put into the instance's memory for the time of a call. A trap in one session costs the others
//! nothing: the instance is thrown away, and theirs go on in a fresh one.
//!
//! *Sharing.* A module is reached from its sessions, its helper and its status at once, and the contract wants all of them to be `Send`: an
//! `Arc` and a lock that is never contended, outside the core, taken only when a helper reads. A session keeps what it began with when the
//! module is loaded anew.
#![forbid(unsafe_code)]

mod grants;
mod guest;
mod judge;
mod limits;
mod manifest;
mod module;
mod nat;
mod sandbox;
mod section;
mod session;

pub use grants::{Allowed, Grant, Grants, UnknownGrant};
pub use limits::Limits;
pub use manifest::{Half, Manifest, ManifestError};
pub use module::{LoadSettings, Module, ModuleError, ModuleHelper, Status};
pub use nat::ModuleNat;
pub use section::{SectionError, manifest_section, seal};
