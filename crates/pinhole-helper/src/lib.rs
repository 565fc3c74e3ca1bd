//! The helper contract.
//!
//! A **helper** reads the control connection of one protocol and announces the connections that its two ends agree on. It knows
//! nothing of tables, rules or sockets: what it may know of its conn (the *master*) is handed to it, what it wants is put into a list
//! of [`Action`]s, and its host (pinhole's engine, the kernel assistant, a sandbox) checks and carries them out.
//!
//! ```text
//! segments ─► Reader ─► Stream (in order, once) ─► Session::read(bytes) ─► Context ─► Vec<Action> ─► host
//! ```
//!
//! * [`Helper`] is the protocol: a static description and a factory. [`Session`] is one conn being read.
//! * [`Reader`] owns a session and one [`Stream`] a direction; it is what a host drives.
//! * [`NatHelper`] is the other half of a helper, and a unit of its own: it writes a translated endpoint where an announcement stood.
//! * [`saved`]: what of a session outlives a restart.
//! * [`Expect`] describes an expected conn; [`Span`] the bytes that announced it.
//!
//! The crate does without the standard library, so that helpers can be compiled as modules of a sandbox.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod action;
pub mod endpoint;
pub mod expect;
pub mod name;
pub mod nat;
pub mod reader;
pub mod saved;
pub mod session;
pub mod spec;
pub mod stream;

pub use action::{Action, Condition, End, Field, Handle, Refusal, Span};
pub use expect::{AddressMatch, Expect, GroupRule, Lifetime, PortMatch};
pub use name::{BadName, Name};
pub use nat::{NatHelper, Unencodable};
pub use reader::{Arrival, Pickup, Reader};
pub use saved::SavedReader;
pub use session::{BlindReason, Context, Fault, Helper, Master, MediaSource, Policy, Progress, Session};
pub use spec::{Class, Registry, Spec, Texts};
pub use stream::{Readable, Stream};
