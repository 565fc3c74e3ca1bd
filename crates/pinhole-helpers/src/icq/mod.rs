//! ICQ of 1996 to 2000 (protocol versions 2 to 5, UDP 4000; no official specification).
//!
//! The conn's originator is the client. It logs in with the TCP port at which it listens for other users, and keeps the conn alive
//! every two minutes. The server tells it the addresses of users who are online; from then on users talk directly.
//!
//! | announcement | what is expected |
//! |---|---|
//! | login of the client, once the server has replied to it | anyone connects to the client's port: other users' servers tell them, not this one |
//! | a user is online, at the server's own address | the client connects there |
//! | a user is online, anywhere else | nothing: a third party (unless the policy allows it; then the client connects there) |
//!
//! The expectation of a login lives as long as the client keeps alive, and no longer than five minutes after it last did; logging
//! out, a wrong password and "not connected" end it.
//!
//! *Scrambling.* What clients of versions 4 and 5 send is scrambled with a key made of its length and a check code that it carries;
//! see `scramble`. What servers send is plain. Check codes guard nothing (servers did not verify them), so a wrong one is no reason to
//! refuse; but where the NAT half changes a byte that the check code covers, it makes the code anew.

mod nat;
mod parse;
mod scramble;
mod session;
#[cfg(test)]
mod tests;

pub use nat::IcqNat;

use pinhole_helper::{Class, Helper, Master, Name, Policy, Session, Spec, Texts, saved};
use pinhole_wire::Protocol;
use std::borrow::Cow;

/// Notations of located fields, for the NAT half.
pub mod notation {
    use pinhole_helper::Field;

    /// A whole login, as it is sent: the listening port, and the client's own address, are to be replaced in it.
    pub const LOGIN: Field = Field::Endpoint(0);
    /// IPv4 address (network order) and port (32 bits, little-endian), eight bytes.
    pub const USER: Field = Field::Endpoint(1);
}

/// Expectation classes, as indices.
mod class {
    pub(super) const LISTENING: u8 = 0;
    pub(super) const CONTACT: u8 = 1;
}

/// The ICQ helper.
#[derive(Clone, Copy, Debug, Default)]
pub struct Icq;

static SPEC: Spec = Spec {
    name: Name::new("icq"),
    aliases: Texts::Built(&["ip_conntrack_icq", "nf_conntrack_icq", "ip_masq_icq"]),
    protocols: Cow::Borrowed(&[Protocol::UDP]),
    ports: Cow::Borrowed(&[4000]),
    classes: Cow::Borrowed(&[
        Class { name: Name::new("listening"), max: 1, timeout: session::SILENCE },
        Class { name: Name::new("contact"), max: 64, timeout: session::SILENCE },
    ]),
    summary: Cow::Borrowed("ICQ versions 2 to 5: opens the port at which a client listens for other users"),
    reads: Texts::Built(&[
        "logins of versions 2, 3, 4 and 5; what clients of 4 and 5 scramble is unscrambled",
        "the server's replies to them: login reply, wrong password, try again, go away, not connected",
        "keep-alives and logging out",
        "users online (SRV_USER_ONLINE, SRV_RAND_USER), also several in one datagram (SRV_MULTI)",
    ]),
    creates: Texts::Built(&[
        "login, once replied to: TCP from anyone to the client's listening port, many connections",
        "user online at the server's own address (elsewhere by policy only): TCP from the client to the announced port",
    ]),
    refuses: Texts::Built(&[
        "addresses that are not the sender's own: most users who are online",
        "ports below 1024, port 0, ports above 65535",
        "datagrams that are not ICQ; if the first one is not, the connection for ever",
    ]),
    limits: Texts::Built(&[
        "1 listening port a connection, while the client keeps alive (every 120 s), 300 s after it last did",
        "64 contacts a connection, 300 s each",
        "logins of 512 bytes",
        "SRV_MULTI: 255 packets, not nested",
        "the control connection lives at least 300 s after a login and each keep-alive",
    ]),
    nat: Cow::Borrowed(
        "port and address of a login are rewritten: unscrambled, edited, the check code made anew where it covers them, scrambled again",
    ),
    ipv6: Cow::Borrowed(
        "none: the protocol has no room for such addresses; over IPv6 announcements are refused",
    ),
    references: Texts::Built(&[
        "ICQ protocol V2 (M. Ihse), V3 and V5 (H. Isaksson), V4 encryption (S. Dault): unofficial specifications",
    ]),
};

impl Helper for Icq {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn attach(&self, _master: &Master, _policy: &Policy) -> Box<dyn Session> {
        Box::new(session::IcqSession::default())
    }

    fn restore(&self, saved: &[u8]) -> Option<Box<dyn Session>> {
        saved::session::<session::IcqSession>(saved)
    }
}
