//! IRC (RFC 1459, 2812; message tags: IRCv3) with CTCP and DCC: direct connections between two users.
//!
//! The conn's originator is the client. A user offers a direct connection to another one in a CTCP chunk (`\x01DCC …\x01`) of a
//! PRIVMSG or NOTICE; the server relays it. The helper reads both directions:
//!
//! | offer | what is expected |
//! |---|---|
//! | client → server, the client's own address | anyone connects to the client's port: the other user's address is not known here |
//! | server → client, the server's own address (a user or service on the server's host) | the client connects to that port |
//! | server → client, any other address | nothing: a third party (unless the policy allows it; then the client connects there) |
//! | port 0 and a token (reverse DCC) | nothing: the other user's answer announces a port, and is judged as any offer |
//!
//! RESUME and ACCEPT name the port of an earlier offer and open nothing.
//!
//! *Lines* end with LF, a CR before it is dropped. Tags may take 8191 bytes, the rest of a message [`MESSAGE_LIMIT`]; longer lines
//! announce nothing, because servers cut them. A chunk that its message leaves open ends with the message, as clients take it. Verbs
//! are recognised in any case; a file name with blanks stands in double quotes. Text that reads as an offer but is no CTCP chunk is
//! refused, and so are offers to a channel.
//!
//! *Encryption.* After STARTTLS and its 670, and when the conn opens with TLS, the session is blind.

mod nat;
mod parse;
mod session;
#[cfg(test)]
mod tests;

pub use nat::IrcNat;
pub use parse::{LINE_LIMIT, MESSAGE_LIMIT};

use pinhole_helper::{Class, Helper, Master, Name, Policy, Session, Spec, Texts, saved};
use pinhole_wire::Protocol;
use std::borrow::Cow;

/// Notations of located fields, for the NAT half.
pub mod notation {
    use pinhole_helper::Field;

    /// `address port`, the IPv4 address as one decimal number.
    pub const DECIMAL: Field = Field::Endpoint(0);
    /// `address port`, the address as text (IPv6, or dotted IPv4).
    pub const TEXT: Field = Field::Endpoint(1);
}

/// The IRC helper.
#[derive(Clone, Copy, Debug, Default)]
pub struct Irc;

static SPEC: Spec = Spec {
    name: Name::new("irc"),
    aliases: Texts::Built(&["ip_conntrack_irc", "nf_conntrack_irc"]),
    protocols: Cow::Borrowed(&[Protocol::TCP]),
    ports: Cow::Borrowed(&[6667]),
    classes: Cow::Borrowed(&[Class { name: Name::new("dcc"), max: 8, timeout: 300 }]),
    summary: Cow::Borrowed("Internet Relay Chat: opens the direct connections (DCC) that users offer"),
    reads: Texts::Built(&[
        "PRIVMSG and NOTICE of both directions, with prefixes and message tags",
        "CTCP DCC SEND, TSEND, CHAT, SCHAT, MOVE, XMIT (any case, several in a message)",
        "addresses as decimal numbers, dotted IPv4 and IPv6",
        "STARTTLS and its answer 670",
    ]),
    creates: Texts::Built(&[
        "offer of the client: TCP from anyone to the client's announced port",
        "offer from the server's own address: TCP from the client to the announced port",
    ]),
    refuses: Texts::Built(&[
        "addresses that are not the sender's own",
        "ports below 1024, port 0, numbers out of range, junk",
        "reverse offers (port 0 with a token): the answer counts",
        "offers to a channel, and offers that are not CTCP",
        "connections that do not open as IRC (HTTP, TLS, SIP, SSH), for ever",
    ]),
    limits: Texts::Built(&[
        "messages of 512 bytes, and 8191 of tags; longer ones announce nothing",
        "8 expectations a connection, 300 s each, one connection each",
    ]),
    nat: Cow::Borrowed(
        "rewrites the address and port of DCC offers, in the notation they came in; reverse offers (port 0) keep their port",
    ),
    ipv6: Cow::Borrowed("textual addresses"),
    references: Texts::Built(&[
        "RFC 1459",
        "RFC 2812",
        "IRCv3 message-tags",
        "CTCP/DCC (Zeuge, Rollo, Mesander 1994)",
    ]),
};

impl Helper for Irc {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn attach(&self, _master: &Master, _policy: &Policy) -> Box<dyn Session> {
        Box::new(session::IrcSession::default())
    }

    fn restore(&self, saved: &[u8]) -> Option<Box<dyn Session>> {
        saved::session::<session::IrcSession>(saved)
    }
}
