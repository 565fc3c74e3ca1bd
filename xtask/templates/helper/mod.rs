//! Newcomer: say here what the protocol is for, and where it is specified.
//!
//! Either side may ask the other one to connect to it. The other one says whether it will:
//!
//! ```text
//! either  NEWCOMER 1               the first line of both sides
//! either  LISTEN 10.0.0.1 50000    I listen there
//! other   YES, or NO
//! ```
//!
//! | announcement | what is expected |
//! |---|---|
//! | LISTEN, once the other side has said YES | TCP from the other side to the address and port |
//!
//! Say what ends an expectation before its time, and what is not understood.

mod nat;
mod parse;
mod session;
#[cfg(test)]
mod tests;

pub use nat::NewcomerNat;
pub use parse::LINE_LIMIT;

use pinhole_helper::{Class, Helper, Master, Name, Policy, Session, Spec, Texts};
use pinhole_wire::Protocol;
use std::borrow::Cow;

/// Notations of located fields, for the NAT half.
pub mod notation {
    use pinhole_helper::Field;

    /// `address port`, both as text.
    pub const TEXT: Field = Field::Endpoint(0);
}

/// The Newcomer helper.
#[derive(Clone, Copy, Debug, Default)]
pub struct Newcomer;

static SPEC: Spec = Spec {
    name: Name::new("newcomer"),
    aliases: Texts::Built(&[]),
    protocols: Cow::Borrowed(&[Protocol::TCP]),
    ports: Cow::Borrowed(&[7777]),
    classes: Cow::Borrowed(&[Class { name: Name::new("listener"), max: 4, timeout: 300 }]),
    summary: Cow::Borrowed("Newcomer: opens the port at which a side listens"),
    reads: Texts::Built(&["LISTEN of both sides, and its answers YES and NO"]),
    creates: Texts::Built(&["LISTEN, once answered YES: TCP from the other side to the announced address and port"]),
    refuses: Texts::Built(&[
        "addresses that are not the sender's own",
        "ports below 1024, port 0, numbers out of range, junk",
        "answers to what was not asked",
        "connections that do not open with NEWCOMER 1, for ever",
    ]),
    limits: Texts::Built(&["lines of 512 bytes", "4 expectations a connection, 300 s each, one connection each"]),
    nat: Cow::Borrowed("address and port of LISTEN are rewritten"),
    ipv6: Cow::Borrowed("textual addresses"),
    references: Texts::Built(&["say where it is specified"]),
};

impl Helper for Newcomer {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn attach(&self, _master: &Master, _policy: &Policy) -> Box<dyn Session> {
        Box::new(session::NewcomerSession::default())
    }
}
