//! Options of address translation beyond netfilter's ways.

use clap::{Args, ValueEnum};
use pinhole_engine::{Filtering, NatBehaviour, PortMapping};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::num::NonZeroU16;

/// How outer ports are given (`docs/nat.md`).
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Address translation")]
pub struct NatOptions {
    /// Which connections of an inside end share one outside port: all of them, to whomever (RFC 4787 REQ-1). Without it, those to one remote
    /// end, as in netfilter
    #[arg(long, value_enum, value_name = "KIND")]
    pub nat_mapping: Option<MappingChoice>,
    /// Who may open connections to the outside end of an inside one, as far as the rules accept them: nobody, hosts that it talks to, or
    /// everybody
    #[arg(long, value_enum, value_name = "KIND", requires = "nat_mapping")]
    pub nat_filtering: Option<FilteringChoice>,
    /// Even UDP ports stay even and odd ones odd, and an odd one follows the even one before it, where free (RTP and RTCP)
    #[arg(long)]
    pub nat_parity: bool,
    /// Give each inside host a block of N outside ports of its own, and never more
    #[arg(long, value_name = "N")]
    pub nat_ports_per_host: Option<NonZeroU16>,
    /// Connections that leave by the interface by which they came, after their destination was translated, come from the address that
    /// they asked for
    #[arg(long, requires = "iface")]
    pub nat_hairpin: bool,
}

/// What shares an outside port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum MappingChoice {
    /// All connections of an inside end.
    EndpointIndependent,
}

/// Who gets in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum FilteringChoice {
    /// Nobody: answers only.
    #[default]
    AddressAndPortDependent,
    /// Hosts that the inside end has a connection to.
    AddressDependent,
    /// Everybody.
    EndpointIndependent,
}

impl NatOptions {
    /// As the engine takes them.
    pub fn behaviour(&self) -> NatBehaviour {
        let filtering = match self.nat_filtering.unwrap_or_default() {
            FilteringChoice::AddressAndPortDependent => Filtering::AddressAndPortDependent,
            FilteringChoice::AddressDependent => Filtering::AddressDependent,
            FilteringChoice::EndpointIndependent => Filtering::EndpointIndependent,
        };
        let mapping = self.nat_mapping.map(|MappingChoice::EndpointIndependent| filtering);
        NatBehaviour {
            mapping: mapping.map_or_else(PortMapping::default, PortMapping::EndpointIndependent),
            parity: self.nat_parity,
            ports_per_host: self.nat_ports_per_host,
            hairpin: self.nat_hairpin,
        }
    }

    /// Those that were given.
    pub fn json(&self) -> Value {
        let name =
            |choice: Option<clap::builder::PossibleValue>| choice.map(|value| value.get_name().to_owned());
        let mut given = Map::new();
        if let Some(name) = name(self.nat_mapping.and_then(|choice| choice.to_possible_value())) {
            given.insert("mapping".to_owned(), name.into());
        }
        if let Some(name) = name(self.nat_filtering.and_then(|choice| choice.to_possible_value())) {
            given.insert("filtering".to_owned(), name.into());
        }
        if self.nat_parity {
            given.insert("parity".to_owned(), true.into());
        }
        if let Some(ports) = self.nat_ports_per_host {
            given.insert("ports_per_host".to_owned(), ports.get().into());
        }
        if self.nat_hairpin {
            given.insert("hairpin".to_owned(), true.into());
        }
        given.into()
    }
}
