//! PPTP (RFC 2637).
//!
//! A control conn, TCP port 1723, negotiates calls between a network server (PNS, the dialling client) and an access concentrator (PAC,
//! what is commonly called the PPTP server). Each end gives a call an id; the GRE packets of the call carry the id that their
//! *receiver* gave.
//!
//! | dialogue | what is expected |
//! |---|---|
//! | Start-Control-Connection-Request, -Reply | nothing, but without it no call counts |
//! | Outgoing-Call-Request of the PNS, Outgoing-Call-Reply (connected) of the PAC | GRE of both directions |
//! | Incoming-Call-Request of the PAC, -Reply of the PNS (connect), -Connected of the PAC | the same |
//! | Call-Disconnect-Notify, Stop-Control-Connection-Request, end of the control conn | the call's expectations, keys and GRE conn end |
//!
//! Either end may speak first, so both directions are expected, and the first hit cancels the other. The two ends of a call are those of
//! the control conn, always: no message can name another address.
//!
//! *Messages* have a length, a magic cookie and a size that is fixed by their type; a stream that loses step is blind.

mod nat;
mod parse;
mod session;
#[cfg(test)]
mod tests;

pub use nat::PptpNat;
pub use session::CALL_LIMIT;

use pinhole_helper::{Class, Helper, Master, Name, Policy, Session, Spec, Texts, saved};
use pinhole_wire::Protocol;
use std::borrow::Cow;

/// Notations of located fields, for the NAT half.
pub mod notation {
    use pinhole_helper::Field;

    /// A call id: two bytes, the "port" of the expectation that leads to the end that gave it.
    pub const CALL_ID: Field = Field::Port(0);
}

/// The PPTP helper.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pptp;

static SPEC: Spec = Spec {
    name: Name::new("pptp"),
    aliases: Texts::Built(&["ip_conntrack_pptp", "nf_conntrack_pptp", "ip_conntrack_proto_gre"]),
    protocols: Cow::Borrowed(&[Protocol::TCP]),
    ports: Cow::Borrowed(&[1723]),
    classes: Cow::Borrowed(&[Class { name: Name::new("calls"), max: 2 * CALL_LIMIT as u8, timeout: 300 }]),
    summary: Cow::Borrowed("Point-to-Point Tunnelling Protocol: opens the GRE tunnels of its calls"),
    reads: Texts::Built(&[
        "the fifteen control messages of both directions, cut anywhere",
        "outgoing and incoming calls, several at a time, told apart by their ids",
    ]),
    creates: Texts::Built(&[
        "GRE version 1 between the two ends of the control connection, keyed by the call ids of both directions; the first direction that is used takes the other with it",
        "a call lives 10 min unanswered and 5 h when answered, at most as long as the control connection",
    ]),
    refuses: Texts::Built(&[
        "calls before the control connection is established",
        "answers to calls that were not asked for; connected calls beyond the limit",
        "calls whose ids are another call's between the same ends",
        "connections that do not open with Start-Control-Connection-Request, for ever; messages of a wrong size or cookie",
    ]),
    limits: Texts::Built(&[
        "16 calls a connection; the oldest unanswered one gives way",
        "messages of 1024 bytes",
    ]),
    nat: Cow::Borrowed(
        "ids of a hidden originator are replaced in every message and in GRE: by the outer port of the control connection, further calls by its neighbours",
    ),
    ipv6: Cow::Borrowed("the same as IPv4"),
    references: Texts::Built(&["RFC 2637"]),
};

impl Helper for Pptp {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn attach(&self, _master: &Master, _policy: &Policy) -> Box<dyn Session> {
        Box::new(session::PptpSession::default())
    }

    fn restore(&self, saved: &[u8]) -> Option<Box<dyn Session>> {
        saved::session::<session::PptpSession>(saved)
    }
}
