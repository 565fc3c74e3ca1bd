//! SANE's network protocol (SANE Standard 1.06, chapter 5): a scanner behind `saned`.
//!
//! The conn's originator is the front end. It sends requests, the daemon answers them in order. Both are structures of 32-bit words, counted
//! strings and counted arrays, without lengths of whole messages: whoever wants to find the answer to a START must follow every field
//! of every message before it. `grammar` does that, a word or a run of bytes at a time; nothing is held.
//!
//! The answer to START names the port on which the daemon waits for the front end's data conn.

mod grammar;
mod session;
#[cfg(test)]
mod tests;

pub use session::{OUTSTANDING_LIMIT, VALUE_LIMIT};

use pinhole_helper::{
    Class, Field, Helper, Master, Name, NatHelper, Policy, Session, Spec, Texts, Unencodable, saved,
};
use pinhole_wire::Protocol;
use std::borrow::Cow;
use std::net::SocketAddr;

/// Notations of located fields, for the NAT half.
pub mod notation {
    use pinhole_helper::Field;

    /// A port as a 32-bit word, most significant byte first.
    pub const PORT: Field = Field::Port(0);
}

/// The SANE helper.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sane;

static SPEC: Spec = Spec {
    name: Name::new("sane"),
    aliases: Texts::Built(&["ip_conntrack_sane", "nf_conntrack_sane"]),
    protocols: Cow::Borrowed(&[Protocol::TCP]),
    ports: Cow::Borrowed(&[6566]),
    classes: Cow::Borrowed(&[Class { name: Name::new("data"), max: 1, timeout: 300 }]),
    summary: Cow::Borrowed("SANE network scanning: opens the image data connection"),
    reads: Texts::Built(&[
        "every request and answer of the protocol, cut anywhere, requests sent ahead of their answers too",
        "the port in the answer to START; authorization in between",
    ]),
    creates: Texts::Built(&["TCP from the front end, any port, to the daemon's announced port"]),
    refuses: Texts::Built(&[
        "ports below 1024, port 0, ports above 65535",
        "answers without a request, unknown requests, strings and arrays longer than they may be: the connection is not read any more",
        "connections that do not open with INIT, for ever",
    ]),
    limits: Texts::Built(&[
        "16 requests without an answer",
        "strings, arrays and option values of 1 MiB, which are skipped, not held",
    ]),
    nat: Cow::Borrowed("writes translated ports"),
    ipv6: Cow::Borrowed("the same as IPv4"),
    references: Texts::Built(&["SANE Standard 1.06, chapter 5"]),
};

impl Helper for Sane {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn attach(&self, _master: &Master, _policy: &Policy) -> Box<dyn Session> {
        Box::new(session::SaneSession::default())
    }

    fn restore(&self, saved: &[u8]) -> Option<Box<dyn Session>> {
        saved::session::<session::SaneSession>(saved)
    }
}

/// The NAT half of [`Sane`].
#[derive(Clone, Copy, Debug, Default)]
pub struct SaneNat;

impl NatHelper for SaneNat {
    fn name(&self) -> &'static str {
        "sane"
    }

    fn encode(
        &self,
        field: Field,
        endpoint: SocketAddr,
        _old: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Unencodable> {
        if field != notation::PORT {
            return Err(Unencodable::Notation);
        }
        out.extend(u32::from(endpoint.port()).to_be_bytes());
        Ok(())
    }
}
