//! How outer ports are given, beyond netfilter's way.

use std::num::NonZeroU16;

/// Options of source NAT beyond netfilter's ways; the default is netfilter's. They hold for conns of protocols with ports or identifiers whose
/// source a rule, a setting or their master's translation hides behind another address; translation of whole prefixes needs none of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct NatBehaviour {
    /// What conns share an outer port.
    pub mapping: PortMapping,
    /// Even ports become even ones and odd ones odd, if such a port is free; an odd port that follows a mapped even one gets the port that
    /// follows, if it is free (RTP and RTCP: RFC 4787 §4.2.2, §4.2.3). UDP and UDP-Lite.
    pub parity: bool,
    /// Each inner host has a block of so many outer ports of its own, and never another (RFC 6888 §2 REQ-4, RFC 7422): who it was can be told
    /// from the port alone, and no host can use up the ports of others. A range that a rule names is divided if it is larger.
    pub ports_per_host: Option<NonZeroU16>,
    /// A conn that leaves by the interface by which it came, to another destination than the one it asked for, comes from the address that it
    /// asked for, so that its answers come back here (RFC 4787 REQ-9, RFC 5382 REQ-8).
    pub hairpin: bool,
}

/// Which conns of an inner end are known outside under one end (RFC 4787 §4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PortMapping {
    /// Those to one remote end: a port serves many inner hosts, each with other remote ends. Netfilter's way.
    #[default]
    AddressAndPortDependent,
    /// All of them, as long as one lasts. No two inner ends share a port.
    EndpointIndependent(Filtering),
}

/// Who may open a conn to the outer end of an inner one (RFC 4787 §5). The ruleset has the last word: to it such a conn is `new`, and has
/// `ct status dnat`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Filtering {
    /// Nobody: only answers come in.
    #[default]
    AddressAndPortDependent,
    /// Addresses to which the inner end has a conn, from any port.
    AddressDependent,
    /// Anybody.
    EndpointIndependent,
}

impl NatBehaviour {
    /// Whether ports are given in another way than netfilter's.
    pub(super) const fn allots(&self) -> bool {
        !matches!(self.mapping, PortMapping::AddressAndPortDependent)
            || self.parity
            || self.ports_per_host.is_some()
    }
}
