//! What a helper expects: one future connection, in the words of its protocol.

use crate::{Name, Span};
use core::net::{IpAddr, SocketAddr};
use pinhole_wire::Protocol;
use serde::{Deserialize, Serialize};

/// Which source addresses an expectation admits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AddressMatch {
    /// This address only.
    Exact(IpAddr),
    /// Any address that shares this many leading bits.
    Prefix(IpAddr, u8),
    /// Any address of the master's IP version.
    Any,
}

/// Which ports (or GRE keys) an expectation admits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PortMatch {
    /// This port only.
    Exact(u16),
    /// First to last, both included.
    Range(u16, u16),
    /// Any port.
    Any,
}

/// How many conns an expectation may bring in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Lifetime {
    /// Gone with its first hit.
    OneShot,
    /// Stays until its timeout, its cancellation or its master's end.
    Permanent,
}

/// What the first hit does to the other members of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum GroupRule {
    /// Members live and die on their own (RTP with RTCP).
    Independent,
    /// The first hit cancels the others (PPTP's two directions).
    FirstHitCancels,
}

/// One expected connection, as the helper asks for it. The host adds zone, master, deadline and provenance, and may refuse.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Expect {
    /// Index into [`crate::Spec::classes`].
    pub class: u8,
    /// Layer-4 protocol of the expected conn.
    pub protocol: Protocol,
    /// Who may open it.
    pub source: AddressMatch,
    /// From which ports.
    pub source_port: PortMatch,
    /// Where it must go: always exact.
    pub destination: IpAddr,
    /// To which port, or small range.
    pub destination_port: PortMatch,
    /// One hit or many.
    pub lifetime: Lifetime,
    /// `false`: entered, but matches nothing until [`crate::Action::Activate`] (FTP's PORT before its 200, SIP's REGISTER before its 2xx).
    pub active: bool,
    /// Members of one group are admitted together or not at all; the number is the session's own.
    pub group: Option<(u32, GroupRule)>,
    /// Seconds to live; `None` takes the class's.
    pub timeout: Option<u32>,
    /// Name of a helper to attach to the expected conn.
    pub helper: Option<Name>,
    /// The bytes that announced it.
    pub span: Span,
}

impl Expect {
    /// One conn of the first class from any port of `source` to this very endpoint: it may come at once, and as late as its class allows.
    /// What is different is set over it: `Expect { active: false, ..Expect::to(…) }`.
    pub fn to(protocol: Protocol, source: AddressMatch, destination: SocketAddr, span: Span) -> Self {
        Self {
            class: 0,
            protocol,
            source,
            source_port: PortMatch::Any,
            destination: destination.ip(),
            destination_port: PortMatch::Exact(destination.port()),
            lifetime: Lifetime::OneShot,
            active: true,
            group: None,
            timeout: None,
            helper: None,
            span,
        }
    }
}
