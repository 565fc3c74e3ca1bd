//! SIP (RFC 3261) and the sessions that it sets up (SDP offers and answers, RFC 3264): media of calls, calls of registered users.
//!
//! Either end sends requests and answers; both directions are read alike. Three things come of it:
//!
//! | dialogue | what is expected |
//! |---|---|
//! | a description in INVITE, ACK, PRACK or UPDATE, or in an answer (1xx, 2xx) to one | media to each announced port: a pair for RTP and RTCP, one port for other protocols |
//! | REGISTER, then its 2xx | calls to the contact, again and again, for as long as the registrar grants; each is read by this helper |
//! | BYE, CANCEL, an answer of 300 or more | the media that they end are cancelled |
//!
//! *Calls* (`calls`) are told apart by Call-ID and tag, so that what one call announces or ends leaves the others on the same conn
//! alone, and the branches of a forked call stand side by side. What an end announces replaces what it announced before in that
//! dialogue (re-INVITE, retransmission, 183 and then 200).
//!
//! *Answers* count only if their request was seen, unless the conn's first message was an answer: on UDP, a phone may ring for longer
//! than an idle conn lives.
//!
//! *Media come from* where the other end's description says that it has its media, from the other end itself as long as it said
//! nothing ([`MediaSource`](pinhole_helper::MediaSource)). A caller speaks first: what it announced is aimed anew when the answer, or another
//! branch's, tells where its peer's media are. That admits one host in place of another to the caller's own port, and no more.
//!
//! *Media at a third host* are what a proxy's answers name. The caller may send there before it has received anything only if the policy
//! allows [introductions](pinhole_helper::Policy::introductions).
//!
//! *Framing.* On UDP a datagram is a message; one that is no message is passed over, but the first of a side must be. On TCP messages
//! end where their Content-Length says (RFC 3261 §18.3), wherever segments do; a stream that loses its framing is not read any more.
//!
//! *Encryption.* A conn that opens with TLS or DTLS is blind.

mod calls;
mod media;
mod mentions;
mod multipart;
mod nat;
mod parse;
mod registrations;
mod sdp;
mod session;
#[cfg(test)]
mod tests;

pub use nat::SipNat;

use pinhole_helper::{Class, Helper, Master, Name, Policy, Session, Spec, Texts, saved};
use pinhole_wire::Protocol;
use std::borrow::Cow;

/// Notations of located fields, for the NAT half.
pub mod notation {
    use pinhole_helper::Field;

    /// `host` or `host:port`, IPv6 in brackets (URIs and Via). The port is always written.
    pub const HOST_PORT: Field = Field::Endpoint(0);
    /// An address alone (`c=`, `o=`, `received=`, `maddr=`), IPv6 in brackets if it was.
    pub const ADDRESS: Field = Field::Address(0);
    /// Decimal digits (`m=`, `a=rtcp:`, `rport=`).
    pub const PORT: Field = Field::Port(0);
}

/// Indices of [`Spec::classes`].
mod class {
    pub(super) const SIGNALLING: u8 = 0;
    pub(super) const AUDIO: u8 = 1;
    pub(super) const VIDEO: u8 = 2;
    pub(super) const OTHER: u8 = 3;
}

/// The SIP helper.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sip;

static SPEC: Spec = Spec {
    name: Name::new("sip"),
    aliases: Texts::Built(&["ip_conntrack_sip", "nf_conntrack_sip"]),
    protocols: Cow::Borrowed(&[Protocol::UDP, Protocol::TCP]),
    ports: Cow::Borrowed(&[5060]),
    classes: Cow::Borrowed(&[
        Class { name: Name::new("signalling"), max: 8, timeout: 180 },
        Class { name: Name::new("audio"), max: 128, timeout: 180 },
        Class { name: Name::new("video"), max: 64, timeout: 180 },
        Class { name: Name::new("image"), max: 32, timeout: 180 },
    ]),
    summary: Cow::Borrowed(
        "Session Initiation Protocol: opens the media of calls, and the way to registered users",
    ),
    reads: Texts::Built(&[
        "requests and answers of both ends; compact header names, folded lines, CRLF and LF",
        "UDP: a message a datagram; TCP: messages by their Content-Length, however they were cut",
        "session descriptions, alone and inside multipart bodies, in INVITE, ACK, PRACK, UPDATE and their answers",
        "c= of session and media, m= with counts, a=rtcp, a=rtcp-mux, BUNDLE, ICE host candidates, media over TCP (a=setup)",
        "REGISTER and its answers: Contact, Expires; BYE, CANCEL, answers of 300 and above",
    ]),
    creates: Texts::Built(&[
        "RTP: UDP to the announced port and to its RTCP port, together, from where the other end has its media, a third host behind a proxy too",
        "media of a third host that the called end names: from the caller's host alone, and only if the policy allows introductions",
        "other media (T.38, MSRP): the announced port alone, UDP or TCP",
        "registration: UDP or TCP from the registrar to the contact, many times, for the granted time; the calls are read, too",
    ]),
    refuses: Texts::Built(&[
        "addresses that are not the sender's own, in descriptions and in Contact; host names",
        "ports below 1024, port 0 in Contact, numbers out of range, junk",
        "answers without their request, unless the conn opens with an answer",
        "more than 12 media in a description, more than 8 contacts, messages over 64 KiB",
        "connections that do not open as SIP (HTTP, TLS, STUN), for ever",
    ]),
    limits: Texts::Built(&[
        "heads of 16 KiB, messages of 64 KiB, 64 calls and 128 descriptions remembered",
        "8 contacts, 128 audio, 64 video, 32 other ports a connection; 180 s, one connection each",
        "registrations live as granted, one day at most; the connection lives as long, or an hour while there are calls",
    ]),
    nat: Cow::Borrowed(
        "request URI, Via (received, rport, maddr), Contact, From, To, Route, Record-Route, Path, Service-Route, Refer-To, Referred-By, Reply-To, asserted identities, SDP, Content-Length",
    ),
    ipv6: Cow::Borrowed("yes"),
    references: Texts::Built(&[
        "RFC 3261", "RFC 3262", "RFC 3264", "RFC 3311", "RFC 3581", "RFC 3605", "RFC 4145", "RFC 5761",
        "RFC 8839", "RFC 8866", "RFC 9143",
    ]),
};

impl Helper for Sip {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn attach(&self, _master: &Master, _policy: &Policy) -> Box<dyn Session> {
        Box::new(session::SipSession::default())
    }

    fn restore(&self, saved: &[u8]) -> Option<Box<dyn Session>> {
        saved::session::<session::SipSession>(saved)
    }
}
