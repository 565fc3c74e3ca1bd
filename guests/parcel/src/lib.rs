//! Parcel: two programs hand each other parcels, over connections of their own. (Invented for docs/write-a-helper.md, where it is built in.)
//!
//! ```text
//! either   PARCEL 1                        the first line of both sides
//! either   OFFER tea 10.0.0.1 50000        I have a parcel called tea; fetch it there
//! other    FETCH tea                       I am on my way
//! other    LEAVE tea                       keep it
//! offerer  RECALL tea                      too late
//! ```
//!
//! | announcement | what is expected |
//! |---|---|
//! | OFFER, once the other side has said FETCH | TCP from the other side to the address and port |
#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

mod nat;
mod parse;
mod session;

pub use nat::ParcelNat;

use alloc::borrow::Cow;
use alloc::boxed::Box;
use pinhole_helper_sdk::helper::{Class, Helper, Master, Name, Policy, Session, Spec, Texts};
use pinhole_helper_sdk::wire::Protocol;

/// How located fields are written.
mod notation {
    use pinhole_helper_sdk::helper::Field;

    /// `address port`, both as text.
    pub(crate) const TEXT: Field = Field::Endpoint(0);
}

/// What people should know of it.
pub const SPEC: Spec = Spec {
    name: Name::new("parcel"),
    aliases: Texts::Built(&[]),
    protocols: Cow::Borrowed(&[Protocol::TCP]),
    ports: Cow::Borrowed(&[7777]),
    classes: Cow::Borrowed(&[Class { name: Name::new("parcel"), max: 8, timeout: 300 }]),
    summary: Cow::Borrowed("Parcel: opens the connections over which parcels are fetched"),
    reads: Texts::Built(&["OFFER, FETCH, LEAVE and RECALL of both sides"]),
    creates: Texts::Built(&[
        "OFFER, once answered FETCH: TCP from the other side to the announced address and port",
    ]),
    refuses: Texts::Built(&[
        "addresses that are not the sender's own",
        "ports below 1024, port 0, numbers out of range, junk",
        "FETCH, LEAVE and RECALL of what was not offered",
        "connections that do not open with PARCEL 1, for ever",
    ]),
    limits: Texts::Built(&["lines of 512 bytes", "8 offers of each side", "8 expectations, 300 s each"]),
    nat: Cow::Borrowed("address and port of OFFER are rewritten"),
    ipv6: Cow::Borrowed("textual addresses"),
    references: Texts::Built(&["docs/write-a-helper.md"]),
};

/// The helper.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parcel;

impl Helper for Parcel {
    fn spec(&self) -> &'static Spec {
        static DESCRIPTION: Spec = SPEC;
        &DESCRIPTION
    }

    fn attach(&self, _master: &Master, _policy: &Policy) -> Box<dyn Session> {
        Box::new(session::ParcelSession::default())
    }
}
