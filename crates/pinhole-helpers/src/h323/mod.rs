//! H.323: registration with a gatekeeper (RAS), call signalling (Q.931, H.225.0), media control (H.245).
//!
//! Three helpers, one a channel, with the names that the Linux kernel gives them. RAS expects call signalling conns and attaches `Q.931`
//! to them; call signalling expects control conns and attaches `H.245`; both of the latter expect media.
//!
//! | module | holds |
//! |---|---|
//! | `per` | the encoding: a decoder that follows tables |
//! | `schema` | the tables: the messages' ASN.1, written by hand from the Recommendations |
//! | `tpkt`, `q931` | packets in a stream; the message around the ASN.1 |
//! | `ras`, `signalling`, `h245`, `control` | the dialogues |
//! | `announce`, `address` | what an announcement asks for, and what the rules say of it |
//! | `nat` | the NAT half |
//!
//! *Trust.* An address is the announcer's own, or its policy's affair, with one exception: a gatekeeper that admits a call says where to
//! call, and that is another host if it does not route the call itself. The asker alone may then call there. Answers count only if
//! they answer: an acknowledgement a channel that was asked for, a confirm a request, `fastStart` of the called end a proposal.

mod address;
mod announce;
mod control;
mod errors;
mod few;
mod h245;
mod nat;
mod per;
mod q931;
mod ras;
mod schema;
mod signalling;
#[cfg(test)]
mod tests;
mod tpkt;

pub use nat::H323Nat;

use announce::Opening;
use pinhole_helper::{Class, Helper, Lifetime, Master, Name, Policy, Session, Spec, Texts, saved};
use pinhole_wire::Protocol;
use std::borrow::Cow;

const RAS_NAME: &str = "RAS";
const Q931_NAME: &str = "Q.931";
const H245_NAME: &str = "H.245";

/// Notations of located fields, for the NAT half.
pub mod notation {
    use pinhole_helper::Field;

    /// IPv4 address and port, six octets.
    pub const IPV4: Field = Field::Endpoint(0);
    /// IPv6 address and port, eighteen octets.
    pub const IPV6: Field = Field::Endpoint(1);
    /// IPv4 address alone, four octets.
    pub const IPV4_ADDRESS: Field = Field::Address(0);
    /// IPv6 address alone, sixteen octets.
    pub const IPV6_ADDRESS: Field = Field::Address(1);
}

/// Media and data conns; both call signalling and control ask for them, under the same numbers.
const MEDIA_CLASS: Class = Class { name: Name::new("media"), max: 24, timeout: 240 };
const T120_CLASS: Class = Class { name: Name::new("t120"), max: 2, timeout: 240 };

/// RTP, RTCP, T.38 over UDP and the like.
const MEDIA: Opening =
    Opening { class: 0, protocol: Protocol::UDP, lifetime: Lifetime::OneShot, helper: None };
/// T.120 and other data over TCP.
const T120: Opening =
    Opening { class: 1, protocol: Protocol::TCP, lifetime: Lifetime::Permanent, helper: None };
/// A control conn.
const CONTROL: Opening = Opening {
    class: 2,
    protocol: Protocol::TCP,
    lifetime: Lifetime::OneShot,
    helper: Some(Name::new(H245_NAME)),
};
/// A call to where the called party sent the caller.
const CALL: Opening = Opening {
    class: 3,
    protocol: Protocol::TCP,
    lifetime: Lifetime::OneShot,
    helper: Some(Name::new(Q931_NAME)),
};
/// Calls to a registered endpoint.
const REGISTERED: Opening = Opening {
    class: 0,
    protocol: Protocol::TCP,
    lifetime: Lifetime::Permanent,
    helper: Some(Name::new(Q931_NAME)),
};
/// A call that was admitted.
const CALLED: Opening = Opening {
    class: INTRODUCTIONS,
    protocol: Protocol::TCP,
    lifetime: Lifetime::Permanent,
    helper: Some(Name::new(Q931_NAME)),
};
/// The RAS conn to a gatekeeper that was found.
const DISCOVERED: Opening = Opening {
    class: 2,
    protocol: Protocol::UDP,
    lifetime: Lifetime::Permanent,
    helper: Some(Name::new(RAS_NAME)),
};
/// Class of the expectations that may lead to a third host.
const INTRODUCTIONS: u8 = 1;

/// The helper of RAS.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ras;

/// The helper of call signalling.
#[derive(Clone, Copy, Debug, Default)]
pub struct Q931;

/// The helper of media control.
#[derive(Clone, Copy, Debug, Default)]
pub struct H245;

static RAS_SPEC: Spec = Spec {
    name: Name::new(RAS_NAME),
    aliases: Texts::Built(&["h323-ras", "ip_conntrack_h323_ras", "nf_conntrack_h323_ras"]),
    protocols: Cow::Borrowed(&[Protocol::UDP]),
    ports: Cow::Borrowed(&[1719, 1718]),
    classes: Cow::Borrowed(&[
        Class { name: Name::new("registration"), max: 16, timeout: 240 },
        Class { name: Name::new("admission"), max: 16, timeout: 240 },
        Class { name: Name::new("discovery"), max: 2, timeout: 240 },
    ]),
    summary: Cow::Borrowed(
        "H.323 registration, admission and status: opens the calls that a gatekeeper admits",
    ),
    reads: Texts::Built(&[
        "all messages of H.225.0 RAS, a message a datagram; what later versions add is stepped over",
        "timeToLive of registrations, keep-alives",
    ]),
    creates: Texts::Built(&[
        "registrationRequest: TCP from the gatekeeper to the registered addresses, many conns, with helper Q.931, as long as registered",
        "admissionConfirm, locationConfirm: TCP from the asker to the address named, with helper Q.931",
        "gatekeeperConfirm: UDP from the endpoint to the gatekeeper's other RAS port, with helper RAS",
    ]),
    refuses: Texts::Built(&[
        "registered addresses that are not the sender's own",
        "confirms that answer no request",
        "ports below 1024, port 0; addresses of hosts that are none (multicast, loopback)",
        "malformed messages; a conn whose first one is malformed, for ever",
    ]),
    limits: Texts::Built(&[
        "16 requests and 16 registrations remembered, 8 addresses of a kind a message",
        "240 s for an expectation; a confirmed registration as long as granted (300 s if nobody says), at most a day",
        "types nested 28 deep, ten steps an octet",
    ]),
    nat: Cow::Borrowed("rewrites the ends' own addresses in place, in all messages"),
    ipv6: Cow::Borrowed("ip6Address, in place"),
    references: Texts::Built(&[
        "ITU-T H.225.0 (2022) §7.7 to §7.19",
        "ITU-T X.691 (2021)",
        "ITU-T H.323 (2022) §7.2",
    ]),
};

static Q931_SPEC: Spec = Spec {
    name: Name::new(Q931_NAME),
    aliases: Texts::Built(&["h323", "q931", "h225", "ip_conntrack_h323", "nf_conntrack_h323"]),
    protocols: Cow::Borrowed(&[Protocol::TCP]),
    ports: Cow::Borrowed(&[1720]),
    classes: Cow::Borrowed(&[
        MEDIA_CLASS,
        T120_CLASS,
        Class { name: Name::new("control"), max: 4, timeout: 240 },
        Class { name: Name::new("call"), max: 2, timeout: 240 },
    ]),
    summary: Cow::Borrowed("H.323 call signalling: opens control and media channels of calls"),
    reads: Texts::Built(&[
        "TPKT packets however they are cut, Q.931 messages, their H.225.0 user information; several calls on one conn",
        "h245Address of Setup, CallProceeding, Alerting, Connect, Progress, Facility",
        "fastStart; H.245 messages in h245Control and parallelH245Control",
        "Facility with routeCallToGatekeeper, callForwarded, routeCallToMC; ReleaseComplete",
    ]),
    creates: Texts::Built(&[
        "h245Address: TCP from the other end to the announced address, with helper H.245",
        "fastStart and tunnelled H.245: as helper H.245",
        "call forwarding: TCP from the caller to the alternative address, with helper Q.931",
    ]),
    refuses: Texts::Built(&[
        "addresses that are not the sender's own: third parties only by policy, call forwarding too",
        "fastStart of the called end that answers no proposal, openLogicalChannelAck that answers no openLogicalChannel",
        "ports below 1024, port 0",
        "conns that do not open as TPKT and Q.931 (HTTP, STUN, TLS), for ever",
    ]),
    limits: Texts::Built(&[
        "packets of 16 KiB; 32 contained messages each of fastStart and h245Control",
        "24 expectations for media, 4 for control, 2 for T.120, 2 for forwarded calls; 240 s each",
        "what a call announced is cancelled by its ReleaseComplete",
        "types nested 28 deep, ten steps an octet",
    ]),
    nat: Cow::Borrowed("rewrites the ends' own addresses and all announced ones in place"),
    ipv6: Cow::Borrowed("ip6Address and iP6Address, in place"),
    references: Texts::Built(&[
        "ITU-T H.225.0 (2022) §7.1 to §7.6",
        "ITU-T Q.931 (1998)",
        "ITU-T H.323 (2022) §8",
        "RFC 1006 §6",
        "ITU-T X.691 (2021)",
    ]),
};

static H245_SPEC: Spec = Spec {
    name: Name::new(H245_NAME),
    aliases: Texts::Built(&["h245", "ip_conntrack_h245", "nf_conntrack_h245"]),
    protocols: Cow::Borrowed(&[Protocol::TCP]),
    ports: Cow::Borrowed(&[]),
    classes: Cow::Borrowed(&[MEDIA_CLASS, T120_CLASS]),
    summary: Cow::Borrowed("H.323 media control: opens the logical channels of a call"),
    reads: Texts::Built(&[
        "TPKT packets however they are cut, any number of messages in each",
        "openLogicalChannel, its Ack and Reject, closeLogicalChannel; all other messages are read and open nothing",
    ]),
    creates: Texts::Built(&[
        "mediaChannel, mediaControlChannel: UDP (RTP, RTCP) from the other end to the announced addresses",
        "mediaChannel of t120 and of data over tcp, separateStack: TCP, many conns",
    ]),
    refuses: Texts::Built(&[
        "addresses that are not the sender's own",
        "openLogicalChannelAck that answers no openLogicalChannel",
        "ports below 1024, port 0, multicast",
        "conns that do not open as TPKT and H.245, for ever",
    ]),
    limits: Texts::Built(&[
        "packets of 16 KiB; 32 channels remembered",
        "24 expectations for media, 2 for T.120; 240 s each",
        "what a channel announced is cancelled when it is rejected or closed",
        "types nested 28 deep, ten steps an octet",
    ]),
    nat: Cow::Borrowed("rewrites announced addresses in place"),
    ipv6: Cow::Borrowed("iP6Address, in place"),
    references: Texts::Built(&["ITU-T H.245 (2022)", "RFC 1006 §6", "ITU-T X.691 (2021)"]),
};

impl Helper for Ras {
    fn spec(&self) -> &'static Spec {
        &RAS_SPEC
    }

    fn attach(&self, _master: &Master, _policy: &Policy) -> Box<dyn Session> {
        Box::new(ras::RasSession::default())
    }

    fn restore(&self, saved: &[u8]) -> Option<Box<dyn Session>> {
        saved::session::<ras::RasSession>(saved)
    }

    fn introduces(&self, class: u8) -> bool {
        class == INTRODUCTIONS
    }
}

impl Helper for Q931 {
    fn spec(&self) -> &'static Spec {
        &Q931_SPEC
    }

    fn attach(&self, _master: &Master, _policy: &Policy) -> Box<dyn Session> {
        Box::new(tpkt::PacketSession::<signalling::SignallingReader>::default())
    }

    fn restore(&self, saved: &[u8]) -> Option<Box<dyn Session>> {
        saved::session::<tpkt::PacketSession<signalling::SignallingReader>>(saved)
    }
}

impl Helper for H245 {
    fn spec(&self) -> &'static Spec {
        &H245_SPEC
    }

    fn attach(&self, _master: &Master, _policy: &Policy) -> Box<dyn Session> {
        Box::new(tpkt::PacketSession::<h245::ControlReader>::default())
    }

    fn restore(&self, saved: &[u8]) -> Option<Box<dyn Session>> {
        saved::session::<tpkt::PacketSession<h245::ControlReader>>(saved)
    }
}
