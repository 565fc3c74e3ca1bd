//! NAME: what is it, and what does it open?
//!
//! ```text
//! client   HELLO …        the first line
//! client   PORT 50000     connect to me there
//! ```
//!
//! The same source can be a built-in helper: the traits are the same, only the macros at the end make a module of it.
#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

mod nat;
mod parse;
mod session;

pub use nat::Nat;

use alloc::borrow::Cow;
use alloc::boxed::Box;
use pinhole_helper_sdk::helper::{Class, Helper, Master, Name, Policy, Session, Spec, Texts};
use pinhole_helper_sdk::wire::Protocol;

/// How located fields are written, for the NAT half.
mod notation {
    use pinhole_helper_sdk::helper::Field;

    /// A port, in decimal digits.
    pub(crate) const DIGITS: Field = Field::Port(0);
}

/// What people should know of the helper: `pinhole helpers NAME` shows it.
pub const SPEC: Spec = Spec {
    name: Name::new("NAME"),
    aliases: Texts::Built(&[]),
    protocols: Cow::Borrowed(&[Protocol::TCP]),
    ports: Cow::Borrowed(&[7000]),
    classes: Cow::Borrowed(&[Class { name: Name::new("data"), max: 1, timeout: 300 }]),
    summary: Cow::Borrowed("NAME: opens the port that a client announces"),
    reads: Texts::Built(&["PORT of the client"]),
    creates: Texts::Built(&["PORT: TCP from the server to the client's port"]),
    refuses: Texts::Built(&[
        "ports below 1024, port 0, numbers out of range, junk",
        "connections that do not open with HELLO, for ever",
    ]),
    limits: Texts::Built(&["lines of 512 bytes", "one expectation a connection, 300 s, one connection"]),
    nat: Cow::Borrowed("the port is rewritten"),
    ipv6: Cow::Borrowed("no address is written"),
    references: Texts::Built(&["say where it is specified"]),
};

/// The helper.
#[derive(Clone, Copy, Debug, Default)]
pub struct Conntrack;

impl Helper for Conntrack {
    fn spec(&self) -> &'static Spec {
        static DESCRIPTION: Spec = SPEC;
        &DESCRIPTION
    }

    fn attach(&self, _master: &Master, _policy: &Policy) -> Box<dyn Session> {
        Box::new(session::Lines::default())
    }
}

// `Grants` says what the helper asks for beyond its own connection: each has to be allowed by whoever loads it.
#[cfg(feature = "conntrack")]
pinhole_helper_sdk::conntrack!(
    Conntrack,
    SPEC,
    pinhole_helper_sdk::Module {
        version: env!("CARGO_PKG_VERSION"),
        license: env!("CARGO_PKG_LICENSE"),
        grants: pinhole_helper_sdk::Grants::NONE,
    },
);

#[cfg(feature = "nat")]
pinhole_helper_sdk::nat!(
    Nat,
    "NAME",
    "The NAT half of NAME",
    pinhole_helper_sdk::Module {
        version: env!("CARGO_PKG_VERSION"),
        license: env!("CARGO_PKG_LICENSE"),
        grants: pinhole_helper_sdk::Grants::NONE,
    },
);
