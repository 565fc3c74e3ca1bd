//! talk and ntalk: two users type to each other (4.2BSD `talk`, 4.3BSD `ntalk`, `ntalk2`; no RFC).
//!
//! There is a daemon on every host. The caller's client asks the callee's daemon to announce the call (ANNOUNCE), and leaves its own
//! address with its own daemon. The callee's client asks the caller's daemon for it (LOOK_UP), and connects:
//!
//! ```text
//! caller ──ANNOUNCE(addr, ctl_addr)──► callee's daemon      UDP, the answer goes to ctl_addr
//! callee ──LOOK_UP(ctl_addr)─────────► caller's daemon      UDP, the answer holds addr
//! callee ──────────────────────────────► addr               TCP, the conversation
//! ```
//!
//! | announcement | what is expected |
//! |---|---|
//! | ANNOUNCE | the look-up: UDP from the callee's host to the caller's daemon, read by this helper; the conversation: TCP from the callee's host to `addr`. Both match once the daemon has answered SUCCESS |
//! | SUCCESS of a LOOK_UP | the conversation: TCP from the asking host to `addr` |
//! | a request whose `ctl_addr` is not where it comes from | the answer: UDP from the daemon's host to `ctl_addr`, read by this helper |
//!
//! The daemon's port of the look-up is below 1024; it is the one that the control conn itself is addressed to, which the host allows.
//! DELETE takes an announcement back. The caller's client repeats its ANNOUNCE every half minute; each renews the expectations.
//!
//! *Weaknesses of the old Linux module that this one has not*: several talks at a time, addresses and ports checked in answers too, and
//! the garbage that daemons leave in the address of a negative answer is not looked at.

mod nat;
mod parse;
mod session;
#[cfg(test)]
mod tests;

pub use nat::TalkNat;

use pinhole_helper::{Class, Helper, Master, Name, Policy, Session, Spec, Texts, saved};
use pinhole_wire::Protocol;
use std::borrow::Cow;

/// Notations of located fields, for the NAT half.
pub mod notation {
    use pinhole_helper::Field;

    /// Port and IPv4 address of a `sockaddr`, six bytes in network order.
    pub const SOCKET: Field = Field::Endpoint(0);
    /// The IPv4 address alone.
    pub const ADDRESS: Field = Field::Address(0);
}

/// Expectation classes, as indices.
mod class {
    pub(super) const CONVERSATION: u8 = 0;
    pub(super) const LOOK_UP: u8 = 1;
    pub(super) const ANSWER: u8 = 2;
}

/// The talk helper.
#[derive(Clone, Copy, Debug, Default)]
pub struct Talk;

static SPEC: Spec = Spec {
    name: Name::new("talk"),
    aliases: Texts::Built(&["ntalk", "ntalk2", "ip_conntrack_talk", "nf_conntrack_talk"]),
    protocols: Cow::Borrowed(&[Protocol::UDP]),
    ports: Cow::Borrowed(&[517, 518]),
    classes: Cow::Borrowed(&[
        Class { name: Name::new("conversation"), max: 4, timeout: session::LIFETIME },
        Class { name: Name::new("look-up"), max: 1, timeout: session::LIFETIME },
        Class { name: Name::new("answer"), max: 1, timeout: 30 },
    ]),
    summary: Cow::Borrowed("talk and ntalk: opens the look-up and the conversation of a call"),
    reads: Texts::Built(&[
        "talk (517): requests of 76 bytes, answers of 24",
        "ntalk (518): requests of 84 bytes, answers of 24",
        "ntalk2 (518): requests of 84 bytes and extended data, answers of 24 or 36",
        "ANNOUNCE, LOOK_UP, DELETE, and the answers that they ask for",
    ]),
    creates: Texts::Built(&[
        "ANNOUNCE, once answered with success: UDP from the callee's host to the caller's daemon (many look-ups), read by this helper",
        "ANNOUNCE, once answered with success: TCP from the callee's host to the caller's address and port",
        "LOOK_UP answered with success: TCP from the asking host to the answered address and port",
        "ctl_addr with another port than the request's own: UDP from the daemon's host to ctl_addr, read by this helper",
    ]),
    refuses: Texts::Built(&[
        "addresses that are not the sender's own, ctl_addr included",
        "conversations on ports below 1024, port 0",
        "answers to requests that were not sent",
        "datagrams of other sizes or versions; if the first one is no talk, the connection for ever",
    ]),
    limits: Texts::Built(&[
        "one outstanding request of each type",
        "4 conversations a connection, 240 s each, one connection each",
        "the control connection of an announcement or an answered look-up lives at least 240 s",
    ]),
    nat: Cow::Borrowed("addr of announcements and answers, and ctl_addr, are rewritten in place (IPv4)"),
    ipv6: Cow::Borrowed(
        "none: the protocol has no room for such addresses; over IPv6 announcements are refused",
    ),
    references: Texts::Built(&["4.3BSD protocols/talkd.h", "talkd(8), ntalk", "ntalk2 (E. McRae)"]),
};

impl Helper for Talk {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn attach(&self, _master: &Master, _policy: &Policy) -> Box<dyn Session> {
        Box::new(session::TalkSession::default())
    }

    fn restore(&self, saved: &[u8]) -> Option<Box<dyn Session>> {
        saved::session::<session::TalkSession>(saved)
    }
}
