//! OSCAR: AIM, and ICQ from 2000b on (TCP 5190; no official specification, AOL published parts of it in 2008).
//!
//! The conn's originator is the client. Everything is framed twice: FLAP frames (`0x2a`, channel, sequence number, length) carry SNACs
//! (family, subtype, flags, request). Two of these announce connections:
//!
//! *Rendezvous* (ICBM, family 4, channel 2): two users, through the server, agree on a connection of their own, for a file, a direct
//! conversation, a voice. A rendezvous is known by its cookie.
//!
//! | message | what is expected |
//! |---|---|
//! | the client proposes (sequence number 1) | the other user connects to the client's address and port: from anywhere, for it is not known where that user is |
//! | the client proposes in its turn (2, a redirect: it could not connect) | the other user connects to the client, from the address that the server verified in the first proposal |
//! | a proposal from the server, first or redirect, at the server's own address | the client connects there |
//! | the same, anywhere else | nothing: a third party (unless the policy allows it; then the client connects there) |
//! | a redirect from the server | the client's own proposal ends |
//! | a proposal through AOL's proxy (3, or the proxy's mark) | nothing: both ends connect to the proxy; the client's own proposal ends |
//! | cancel, or another refusal, from either | the client's proposal ends |
//!
//! A proposal may carry address and port a second time, with all bits inverted: clients check these, to find out that somebody on the
//! way changed the others only. A proposal whose copies differ is refused; the NAT half changes both.
//!
//! *Direct connections of ICQ*: the client tells where it listens, in its status (family 1, subtype 0x1e, TLV 0x0c), and is told of others
//! likewise when they come online (family 3, subtype 0x0b).
//!
//! Every direction must begin with a frame of channel 1 and protocol version 1. Chat invitations lead to a room of the server's, and
//! open nothing.

mod nat;
mod parse;
mod rendezvous;
mod session;
#[cfg(test)]
mod tests;

pub use nat::OscarNat;
pub use parse::MESSAGE_LIMIT;

use pinhole_helper::{Class, Helper, Master, Name, Policy, Session, Spec, Texts, saved};
use pinhole_wire::Protocol;
use std::borrow::Cow;

/// Notations of located fields, for the NAT half.
pub mod notation {
    use pinhole_helper::Field;

    /// An IPv4 address, four bytes in network order.
    pub const ADDRESS: Field = Field::Address(0);
    /// The same, all bits inverted.
    pub const ADDRESS_INVERTED: Field = Field::Address(1);
    /// A port, two bytes in network order.
    pub const PORT: Field = Field::Port(0);
    /// The same, all bits inverted.
    pub const PORT_INVERTED: Field = Field::Port(1);
    /// An IPv4 address and a port of four bytes, in network order.
    pub const DIRECT: Field = Field::Endpoint(0);
}

/// Expectation classes, as indices.
mod class {
    pub(super) const RENDEZVOUS: u8 = 0;
    pub(super) const DIRECT: u8 = 1;
    pub(super) const CONTACT: u8 = 2;
}

/// The OSCAR helper.
#[derive(Clone, Copy, Debug, Default)]
pub struct Oscar;

static SPEC: Spec = Spec {
    name: Name::new("oscar"),
    aliases: Texts::Built(&["aim", "ip_conntrack_oscar", "nf_conntrack_oscar"]),
    protocols: Cow::Borrowed(&[Protocol::TCP]),
    ports: Cow::Borrowed(&[5190]),
    classes: Cow::Borrowed(&[
        Class { name: Name::new("rendezvous"), max: 8, timeout: 300 },
        Class { name: Name::new("direct"), max: 1, timeout: session::SILENCE },
        Class { name: Name::new("contact"), max: 64, timeout: session::SILENCE },
    ]),
    summary: Cow::Borrowed(
        "AIM and ICQ from 2000b on: opens the connections that users propose to each other",
    ),
    reads: Texts::Built(&[
        "FLAP frames and SNACs of both directions",
        "ICBM of channel 2 (rendezvous): propose, accept, cancel, refuse; redirects (sequence number 2) and the proxy (3)",
        "file transfer, file list, direct conversation, voice, video, icons, games; chat invitations",
        "the address that the server verified; inverted copies of address and port",
        "ICQ's direct connections: where the client listens, and where its contacts do",
    ]),
    creates: Texts::Built(&[
        "proposal of the client: TCP from anyone to its announced port",
        "redirect of the client: TCP from the address that the server verified to the announced port",
        "proposal at the server's own address (elsewhere by policy only): TCP from the client to the announced port",
        "ICQ status: TCP from anyone to the port at which the client listens, many connections",
        "ICQ contact at the server's own address (elsewhere by policy only): TCP from the client to its port",
    ]),
    refuses: Texts::Built(&[
        "addresses that are not the sender's own: most proposals and contacts that the server relays",
        "ports below 1024, port 0, ports above 65535",
        "proposals whose inverted copies differ",
        "proposals for purposes that are not known",
        "rendezvous in the wrong direction (a client's that comes from the server)",
        "connections that do not open as OSCAR (HTTP, TLS), for ever",
    ]),
    limits: Texts::Built(&[
        "messages of 8192 bytes (OSCAR's own limit is 8000); longer ones announce nothing",
        "16 rendezvous are remembered, 8 proposals expected, 300 s each, one connection each",
        "1 port for direct connections, while the client sends, 600 s after it last did",
    ]),
    nat: Cow::Borrowed(
        "address and port of proposals, their inverted copies, and of direct connections are rewritten in place; address lists (TLV 0x18) are not",
    ),
    ipv6: Cow::Borrowed(
        "none: the protocol has no room for such addresses; over IPv6 announcements are refused",
    ),
    references: Texts::Built(&[
        "Open AIM developer documents, OSCAR (AOL 2008)",
        "OSCAR (ICQ v7/v8/v9) protocol (A. Shutko)",
        "Wireshark packet-aim*",
    ]),
};

impl Helper for Oscar {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn attach(&self, _master: &Master, _policy: &Policy) -> Box<dyn Session> {
        Box::new(session::OscarSession::default())
    }

    fn restore(&self, saved: &[u8]) -> Option<Box<dyn Session>> {
        saved::session::<session::OscarSession>(saved)
    }
}
