//! How NAT is set up besides the ruleset: addresses of interfaces, rules of one line, options, NAT helpers.

use super::behaviour::NatBehaviour;
use crate::{Cidr, InterfaceId};
use pinhole_helper::NatHelper;
use pinhole_nat::prefix::Nptv6;
use pinhole_nat::rewrite::HoldPolicy;
use pinhole_wire::{Address, IpVersion};
use std::fmt;
use std::net::IpAddr;

/// NAT, besides what the ruleset says.
#[derive(Clone, Debug)]
pub struct NatSettings {
    /// The firewall's own address on each interface; the first of a version counts. `masquerade` takes that of the way out, `redirect`
    /// that of the way in.
    pub addresses: Vec<(InterfaceId, IpAddr)>,
    /// Rules that are asked after the ruleset's NAT chains, in order; the first that fits translates that end of the conn.
    pub rules: Vec<NatRule>,
    /// How outer ports are given.
    pub behaviour: NatBehaviour,
    /// The NAT halves of helpers. A conn whose helper has none is tracked and translated, and its payload is left alone.
    pub helpers: NatHelpers,
    /// How long a line that may have to be rewritten is held when its end is missing.
    pub hold: HoldPolicy,
    /// Most payload bytes of a TCP segment that grew by rewriting; what is more goes on in a further segment.
    pub longest_segment: u16,
}

impl Default for NatSettings {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            rules: Vec::new(),
            behaviour: NatBehaviour::default(),
            helpers: NatHelpers::default(),
            hold: HoldPolicy::default(),
            longest_segment: 1460,
        }
    }
}

impl NatSettings {
    /// The firewall's own address on an interface.
    pub(super) fn address(&self, interface: Option<InterfaceId>, version: IpVersion) -> Option<Address> {
        let interface = interface?;
        let fits = |(id, ip): &&(InterfaceId, IpAddr)| {
            *id == interface && ip.is_ipv4() == (version == IpVersion::V4)
        };
        self.addresses.iter().find(fits).map(|(_, ip)| (*ip).into())
    }
}

/// A translation without a ruleset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NatRule {
    /// Sources in `from` become `to`; the port is kept if it is free.
    Snat {
        /// Hosts that are hidden.
        from: Cidr,
        /// What they are known as.
        to: IpAddr,
    },
    /// Destinations in `to` become `target`; the port is kept.
    Dnat {
        /// The address that is known outside.
        to: Cidr,
        /// The host that answers.
        target: IpAddr,
    },
    /// RFC 6296: sources in the inner prefix become ones in the outer, and destinations the other way round.
    Nptv6 {
        /// Sources that are translated.
        inside: Cidr,
        /// Destinations that are translated.
        outside: Cidr,
        /// How.
        mapping: Nptv6,
    },
}

/// The NAT halves of helpers that an engine begins with; more can be [loaded](crate::Engine::load_nat).
#[derive(Clone, Default)]
pub struct NatHelpers(Vec<&'static dyn NatHelper>);

impl NatHelpers {
    /// These NAT helpers (`pinhole_helpers::nat_helpers()` has all that a build contains).
    pub fn new(helpers: &[&'static dyn NatHelper]) -> Self {
        Self(helpers.to_vec())
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &'static dyn NatHelper> {
        self.0.iter().copied()
    }
}

impl fmt::Debug for NatHelpers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(NatHelper::name)).finish()
    }
}
