//! `--nat`: address translation without a ruleset, as rules.
//!
//! A mapping becomes the rules of the nftables language that say the same, so that there is one way for translations to be decided, and
//! `--explain` shows the reader what to write into a ruleset.

use pinhole_engine::{Cidr, NatRule};
use pinhole_helper::NatHelper;
use pinhole_nat::prefix::{Nptv6, Prefix};
use pinhole_wire::IpVersion;
use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// One `--nat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NatMapping {
    /// `snat:10.0.0.0/8=203.0.113.7`: conns from these addresses to others come from that address.
    Source {
        /// The inside addresses.
        from: Cidr,
        /// The public address.
        to: IpAddr,
    },
    /// `nptv6:fd01:203:405::/48=2001:db8:1::/48`: each address of the first prefix is one of the second, and the other way round (RFC 6296).
    Prefix {
        /// The inside prefix.
        inside: Cidr,
        /// The outside prefix.
        outside: Cidr,
        /// Address by address.
        translation: Nptv6,
    },
    /// `dnat:203.0.113.7=10.0.0.5`, `dnat:203.0.113.7:2121=10.0.0.5:21`: conns to the first end go to the second.
    Destination {
        /// The public end; without a port, all ports.
        from: NatEnd,
        /// The inside end; without a port, the one that was asked for.
        to: NatEnd,
    },
}

/// An address, with or without a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NatEnd {
    /// The address.
    pub address: IpAddr,
    /// The port; never zero.
    pub port: Option<u16>,
}

impl FromStr for NatMapping {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        let (from, to) = match kind {
            "snat" | "dnat" | "nptv6" => rest.split_once('=').ok_or_else(|| missing(kind))?,
            _ => {
                return Err(format!(
                    "`{kind}` is no kind of translation: expected snat:…, dnat:… or nptv6:…"
                ));
            }
        };
        let mapping = match kind {
            "snat" => Self::Source { from: cidr(from)?, to: address(to)? },
            "nptv6" => Self::prefix(cidr(from)?, cidr(to)?)?,
            _ => Self::Destination { from: from.parse()?, to: to.parse()? },
        };
        mapping.check()?;
        Ok(mapping)
    }
}

fn missing(kind: &str) -> String {
    let example = match kind {
        "snat" => "snat:10.0.0.0/8=203.0.113.7",
        "dnat" => "dnat:203.0.113.7=10.0.0.5",
        _ => "nptv6:fd01:203:405::/48=2001:db8:1::/48",
    };
    format!("there is no `=`: expected {kind}:FROM=TO, as in {example}")
}

fn cidr(text: &str) -> Result<Cidr, String> {
    text.parse().map_err(|error: pinhole_engine::topology::CidrError| error.to_string())
}

fn address(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| match text.parse::<SocketAddr>() {
        Ok(end) => format!(
            "`{text}` names a port: snat chooses ports itself; expected an address, as in {}",
            end.ip()
        ),
        Err(_) => format!("`{text}` is not an IP address"),
    })
}

impl FromStr for NatEnd {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse() {
            return Ok(Self { address, port: None });
        }
        match text.parse::<SocketAddr>() {
            Ok(end) if end.port() == 0 => Err(format!("`{text}`: a port is 1 to 65535")),
            Ok(end) => Ok(Self { address: end.ip(), port: Some(end.port()) }),
            Err(_) => Err(format!("`{text}` is neither ADDRESS nor ADDRESS:PORT (IPv6: [ADDRESS]:PORT)")),
        }
    }
}

impl fmt::Display for NatEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => SocketAddr::new(self.address, port).fmt(f),
            None => self.address.fmt(f),
        }
    }
}

impl NatMapping {
    fn check(&self) -> Result<(), String> {
        let families = "both sides of `=` must be of one address family";
        match self {
            Self::Source { from, to } if from.is_ipv4() != to.is_ipv4() => Err(families.to_owned()),
            Self::Destination { from, to } if from.address.is_ipv4() != to.address.is_ipv4() => {
                Err(families.to_owned())
            }
            Self::Destination { from: NatEnd { port: None, .. }, to: NatEnd { port: Some(port), .. } } => {
                Err(format!("all ports would become {port}: name the port on the left side too"))
            }
            _ => Ok(()),
        }
    }

    fn prefix(inside: Cidr, outside: Cidr) -> Result<Self, String> {
        if inside.is_ipv4() || outside.is_ipv4() {
            return Err(
                "nptv6 is for IPv6 prefixes; for IPv4 see `snat ip prefix to` in docs/ruleset.md".to_owned()
            );
        }
        let prefix = |range: Cidr| Prefix::new(IpVersion::V6, range.first(), range.prefix_length());
        let translation = prefix(inside).and_then(|inside| Nptv6::new(inside, prefix(outside)?));
        let translation = translation.map_err(|error| format!("nptv6:{inside}={outside}: {error}"))?;
        Ok(Self::Prefix { inside, outside, translation })
    }

    /// The same as a setting of the engine's, where the language has no words for it.
    pub fn setting(&self) -> Option<NatRule> {
        match *self {
            Self::Prefix { inside, outside, translation: mapping } => {
                Some(NatRule::Nptv6 { inside, outside, mapping })
            }
            _ => None,
        }
    }

    fn is_ipv4(&self) -> bool {
        match self {
            Self::Prefix { .. } => false,
            Self::Source { to, .. } => to.is_ipv4(),
            Self::Destination { to, .. } => to.address.is_ipv4(),
        }
    }

    /// The rules of chain prerouting.
    fn before_routing(&self) -> Option<String> {
        let Self::Destination { from, to } = self else { return None };
        let ip = if from.address.is_ipv4() { "ip" } else { "ip6" };
        let ports = from.port.map_or_else(String::new, |port| {
            format!(" meta l4proto {{ tcp, udp, sctp, dccp }} th dport {port}")
        });
        Some(format!("{ip} daddr {}{ports} dnat to {to}", from.address))
    }

    /// The rules of chain postrouting. What stays inside is not translated, unless it went to a public address and came back.
    fn after_routing(&self) -> Option<String> {
        let Self::Source { from, to } = self else { return None };
        let ip = if to.is_ipv4() { "ip" } else { "ip6" };
        Some(format!(
            "{ip} saddr {from} {ip} daddr != {from} snat to {to}\n{ip} saddr {from} ct status dnat snat to {to}"
        ))
    }

    /// The end of the inside that a public end stands for, and the other way round, as this mapping says: for captures that show
    /// only the inside.
    pub fn public_end_of(&self, inside: SocketAddr) -> Option<SocketAddr> {
        if let Self::Prefix { translation, .. } = self {
            let outside = translation.outward(inside.ip().into()).ok()?;
            return Some(SocketAddr::new(outside.ip(IpVersion::V6), inside.port()));
        }
        let Self::Destination { from, to } = self else { return None };
        let is_meant = to.address == inside.ip() && to.port.is_none_or(|port| port == inside.port());
        is_meant.then(|| SocketAddr::new(from.address, from.port.unwrap_or(inside.port())))
    }
}

/// `snat:10.0.0.0/8=203.0.113.7`
impl fmt::Display for NatMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source { from, to } => write!(f, "snat:{from}={to}"),
            Self::Destination { from, to } => write!(f, "dnat:{from}={to}"),
            Self::Prefix { inside, outside, .. } => write!(f, "nptv6:{inside}={outside}"),
        }
    }
}

/// `--nat-helpers`: which announcements are rewritten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum NatHalves {
    /// Those of all NAT helpers that there are.
    #[default]
    All,
    /// Those of these NAT helpers; none, if there are none.
    Only(Vec<String>),
}

impl NatHalves {
    /// Those of them that are built in.
    pub fn built_in(&self) -> Vec<&'static dyn NatHelper> {
        pinhole_helpers::nat_helpers().iter().copied().filter(|half| self.wants(half.name())).collect()
    }

    /// Whether this one is wanted.
    pub fn wants(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.iter().any(|wanted| wanted == name),
        }
    }

    /// Whether all that are named are built in or among these.
    ///
    /// # Errors
    /// One is not; which there are.
    pub fn check<'a>(&self, loaded: impl Iterator<Item = &'a str>) -> Result<(), String> {
        let known: Vec<&str> =
            pinhole_helpers::nat_helpers().iter().map(NatHelper::name).chain(loaded).collect();
        let Self::Only(names) = self else { return Ok(()) };
        match names.iter().find(|name| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => Err(format!(
                "no NAT helper is called `{name}`; there are: {}, or all, or none",
                known.join(", ")
            )),
        }
    }
}

impl FromStr for NatHalves {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "all" => Self::All,
            "none" => Self::Only(Vec::new()),
            list => Self::Only(list.split(',').map(|name| name.trim().to_owned()).collect()),
        })
    }
}

impl fmt::Display for NatHalves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Only(names) if names.is_empty() => f.write_str("none"),
            Self::Only(names) => f.write_str(&names.join(",")),
        }
    }
}

/// Mappings as a ruleset of the nftables language: a table for each address family that occurs.
pub fn rules(mappings: &[NatMapping]) -> String {
    let mut text = String::new();
    for (family, is_ipv4) in [("ip", true), ("ip6", false)] {
        let of_family = || mappings.iter().filter(move |mapping| mapping.is_ipv4() == is_ipv4);
        if of_family().next().is_none() {
            continue;
        }
        let chain = |hook: &str, priority: &str, rules: Vec<String>| {
            let rules = rules.join("\n");
            format!("chain {hook} {{ type nat hook {hook} priority {priority};\n{rules}\n}}\n")
        };
        text.push_str(&format!("table {family} nat-of-the-command-line {{\n"));
        let before = of_family().filter_map(NatMapping::before_routing).collect();
        let after = of_family().filter_map(NatMapping::after_routing).collect();
        text.push_str(&chain("prerouting", "dstnat", before));
        text.push_str(&chain("postrouting", "srcnat", after));
        text.push_str("}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<NatMapping, String> {
        text.parse()
    }

    #[test]
    fn every_form_becomes_rules_that_compile() {
        let texts = [
            "snat:10.0.0.0/8=203.0.113.7",
            "snat:10.0.0.5=203.0.113.7",
            "dnat:203.0.113.7=10.0.0.5",
            "dnat:203.0.113.7:2121=10.0.0.5:21",
            "dnat:203.0.113.7:80=10.0.0.5",
            "snat:fd00::/64=2001:db8::7",
            "dnat:[2001:db8::7]:2121=[fd00::5]:21",
            "dnat:2001:db8::7=fd00::5",
            "nptv6:fd01:203:405::/48=2001:db8:1::/48",
        ];
        let mappings: Vec<NatMapping> = texts.iter().map(|text| parse(text).unwrap()).collect();
        let text = rules(&mappings);
        let compiled = pinhole_ruleset::compile_text("--nat", &text);
        assert!(compiled.is_ok(), "{text}\n{:?}", compiled.err());
        assert!(text.contains("ip daddr 203.0.113.7 dnat to 10.0.0.5\n"), "{text}");
        assert!(text.contains("dnat to [fd00::5]:21"), "{text}");
    }

    #[test]
    fn errors_name_the_mistake() {
        for (text, message) in [
            ("", "`` is no kind of translation"),
            ("masquerade:10.0.0.0/8", "`masquerade` is no kind of translation"),
            ("snat:10.0.0.0/8", "there is no `=`: expected snat:FROM=TO, as in snat:10.0.0.0/8=203.0.113.7"),
            ("snat:10.0.0.1/8=203.0.113.7", "bits set beyond its prefix; did you mean 10.0.0.0/8?"),
            ("snat:10.0.0.0/8=wan", "`wan` is not an IP address"),
            ("snat:10.0.0.0/8=203.0.113.7:21", "names a port"),
            ("snat:10.0.0.0/8=2001:db8::7", "one address family"),
            ("dnat:203.0.113.7=fd00::5", "one address family"),
            ("dnat:203.0.113.7=10.0.0.5:21", "all ports would become 21"),
            ("dnat:203.0.113.7:0=10.0.0.5", "a port is 1 to 65535"),
            ("dnat:203.0.113.7:70000=10.0.0.5", "neither ADDRESS nor ADDRESS:PORT"),
            ("nptv6:fd01::/48", "as in nptv6:fd01:203:405::/48=2001:db8:1::/48"),
            ("nptv6:10.0.0.0/8=192.168.0.0/16", "for IPv6 prefixes"),
            ("nptv6:fd01::/48=2001:db8::/56", "not of one kind"),
            ("nptv6:fd01::/80=2001:db8::/80", "too long"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(message), "{text}: {error}");
        }
    }

    #[test]
    fn mappings_and_nat_helpers_are_written_as_they_are_read() {
        for text in [
            "snat:10.0.0.0/8=203.0.113.7",
            "dnat:203.0.113.7:2121=10.0.0.5:21",
            "nptv6:fd01::/48=2001:db8::/48",
        ] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
        for text in ["all", "none", "ftp", "ftp,irc"] {
            assert_eq!(text.parse::<NatHalves>().unwrap().to_string(), text);
        }
        let error = "ftp,smtp".parse::<NatHalves>().unwrap().check(["relay"].into_iter()).unwrap_err();
        assert!(error.starts_with("no NAT helper is called `smtp`; there are: "), "{error}");
        assert_eq!("ftp,relay".parse::<NatHalves>().unwrap().check(["relay"].into_iter()), Ok(()));
    }

    #[test]
    fn the_public_end_of_an_inside_end() {
        let public = |text: &str, end: &str| {
            parse(text).unwrap().public_end_of(end.parse().unwrap()).map(|end| end.to_string())
        };
        assert_eq!(public("dnat:203.0.113.7=10.0.0.5", "10.0.0.5:21").as_deref(), Some("203.0.113.7:21"));
        let forwarded = "dnat:203.0.113.7:2121=10.0.0.5:21";
        assert_eq!(public(forwarded, "10.0.0.5:21").as_deref(), Some("203.0.113.7:2121"));
        assert_eq!(public(forwarded, "10.0.0.5:22"), None);
        assert_eq!(public("snat:10.0.0.0/8=203.0.113.7", "10.0.0.5:21"), None);
        // The example of RFC 6296 §3.2.
        let prefix = "nptv6:fd01:203:405::/48=2001:db8:1::/48";
        assert_eq!(
            public(prefix, "[fd01:203:405:1::1234]:21").as_deref(),
            Some("[2001:db8:1:d550::1234]:21")
        );
        assert_eq!(public(prefix, "[fd02::1]:21"), None);
    }
}
