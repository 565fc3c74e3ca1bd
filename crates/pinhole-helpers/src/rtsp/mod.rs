//! RTSP 1.0 (RFC 2326) and 2.0 (RFC 7826): the media streams that a client sets up with a server.
//!
//! | dialogue | what is expected |
//! |---|---|
//! | SETUP with client ports (`client_port`, `dest_addr`), then 200 | the server sends to the client's ports |
//! | the 200 with server ports (`server_port`, `src_addr`) | the client sends to the server's ports (RTCP, recording, hole punching) |
//! | interleaved or multicast transport | nothing: there is no other connection, or none through here |
//! | TEARDOWN | what its session or stream had is cancelled |
//!
//! The expectations of a SETUP are entered with it, so that its NAT half can act on it, but match nothing before the 200 that chooses the
//! transport; any other answer, and the choice of another transport, cancels them. They bring in conns until they time out, because a paused
//! stream outlives an idle UDP conn; PLAY and RECORD give them another term.
//!
//! *Framing.* As for SIP on TCP; between messages there may be interleaved frames (RFC 2326 §10.12), which are passed over. A conn that opens
//! with HTTP (RTSP tunnelled through it carries its media interleaved) or TLS is blind.

mod nat;
mod parse;
mod session;
#[cfg(test)]
mod tests;
mod transport;

pub use nat::RtspNat;

use pinhole_helper::{Class, Helper, Master, Name, Policy, Session, Spec, Texts, saved};
use pinhole_wire::Protocol;
use std::borrow::Cow;

/// Notations of located fields, for the NAT half.
pub mod notation {
    use pinhole_helper::Field;

    /// `address:port` or `:port` inside the quotes of `dest_addr` and `src_addr`, IPv6 in brackets.
    pub const ENDPOINT: Field = Field::Endpoint(0);
    /// An address alone (`destination`, `source`).
    pub const ADDRESS: Field = Field::Address(0);
    /// Decimal digits of one port (`client_port`, `server_port`).
    pub const PORT: Field = Field::Port(0);
}

/// The RTSP helper.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rtsp;

static SPEC: Spec = Spec {
    name: Name::new("rtsp"),
    aliases: Texts::Built(&["ip_conntrack_rtsp", "nf_conntrack_rtsp"]),
    protocols: Cow::Borrowed(&[Protocol::TCP]),
    ports: Cow::Borrowed(&[554, 8554]),
    classes: Cow::Borrowed(&[Class { name: Name::new("media"), max: 32, timeout: 300 }]),
    summary: Cow::Borrowed("Real Time Streaming Protocol: opens the media streams that SETUP agrees on"),
    reads: Texts::Built(&[
        "SETUP and its answers: Transport with lists of specifications, CSeq, Session",
        "client_port, server_port, destination, source, mode, interleaved (1.0); dest_addr, src_addr (2.0)",
        "PLAY, RECORD, TEARDOWN; interleaved frames between messages",
    ]),
    creates: Texts::Built(&[
        "SETUP, after its 200: UDP from the server, any port, to each of the client's ports, many times",
        "the 200: UDP from the client, any port, to each of the server's ports, many times",
    ]),
    refuses: Texts::Built(&[
        "addresses that are not the sender's own (destination, dest_addr, source, src_addr); host names",
        "ports below 1024, port 0, ranges of more than 4 ports, ranges that run backwards",
        "answers that choose a transport that was not offered, or that answer no SETUP",
        "connections that do not open as RTSP (HTTP, TLS, SIP), for ever",
    ]),
    limits: Texts::Built(&[
        "heads of 16 KiB, 8 transports a SETUP, 32 streams a connection",
        "32 ports a connection, 300 s each, and again with each PLAY or RECORD",
    ]),
    nat: Cow::Borrowed("client_port, server_port, destination, source, dest_addr, src_addr"),
    ipv6: Cow::Borrowed("yes"),
    references: Texts::Built(&["RFC 2326", "RFC 7826"]),
};

impl Helper for Rtsp {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn attach(&self, _master: &Master, _policy: &Policy) -> Box<dyn Session> {
        Box::new(session::RtspSession::default())
    }

    fn restore(&self, saved: &[u8]) -> Option<Box<dyn Session>> {
        saved::session::<session::RtspSession>(saved)
    }
}
