//! What `--explain` is asked about.

use pinhole_helper::{AddressMatch, Expect, PortMatch};
use pinhole_track::Tuple;
use pinhole_wire::Protocol;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// What to explain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Whatever is expected, related, refused, unreadable or dropped.
    Everything,
    /// One frame, by its number in its capture.
    Frame(u64),
    /// One conn, by its number in the report.
    Conn(u32),
    /// All packets of a flow.
    Flow(Flow),
}

/// A text that is no target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is neither a frame (12), a connection (conn 5), a flow (10.0.0.1:1234 > 10.0.0.2:21, or a part of one) nor a file"
)]
pub struct TargetError(pub String);

/// One or both ends of a flow, in either direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    protocol: Option<Protocol>,
    one: Endpoint,
    other: Endpoint,
}

/// An address, a port, both, or neither.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// The address; `None`: any.
    pub address: Option<IpAddr>,
    /// The port; `None`: any.
    pub port: Option<u16>,
}

impl Flow {
    /// Whether a tuple is of this flow, one way or the other.
    pub fn matches(&self, tuple: &Tuple) -> bool {
        let source = (tuple.source.ip(tuple.version), tuple.source_port);
        let destination = (tuple.destination.ip(tuple.version), tuple.destination_port);
        self.matches_ends(tuple.protocol, source, destination)
    }

    /// Whether a packet between two ends is of this flow, one way or the other.
    pub fn matches_ends(
        &self,
        protocol: Protocol,
        source: (IpAddr, u16),
        destination: (IpAddr, u16),
    ) -> bool {
        self.protocol.is_none_or(|p| p == protocol)
            && (self.one.matches(source) && self.other.matches(destination)
                || self.one.matches(destination) && self.other.matches(source))
    }
}

impl Flow {
    /// Whether a conn that is expected may be of this flow, one way or the other.
    pub fn may_be(&self, expect: &Expect) -> bool {
        let source = match expect.source {
            AddressMatch::Exact(address) => Some(address),
            AddressMatch::Prefix(..) | AddressMatch::Any => None,
        };
        let port = |port| match port {
            PortMatch::Exact(port) => Some(port),
            PortMatch::Range(..) | PortMatch::Any => None,
        };
        let (source, destination) =
            ((source, port(expect.source_port)), (Some(expect.destination), port(expect.destination_port)));
        self.protocol.is_none_or(|protocol| protocol == expect.protocol)
            && (self.one.may_be(source) && self.other.may_be(destination)
                || self.one.may_be(destination) && self.other.may_be(source))
    }
}

impl Endpoint {
    /// `None`: not known.
    fn may_be(&self, (address, port): (Option<IpAddr>, Option<u16>)) -> bool {
        self.address.is_none_or(|own| address.is_none_or(|other| own == other))
            && self.port.is_none_or(|own| port.is_none_or(|other| own == other))
    }

    fn matches(&self, (address, port): (IpAddr, u16)) -> bool {
        self.address.is_none_or(|a| a == address) && self.port.is_none_or(|p| p == port)
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let error = || TargetError(text.to_owned());
        let trimmed = text.trim();
        if trimmed.eq_ignore_ascii_case("all") {
            return Ok(Self::Everything);
        }
        if let Some(number) = after_word(trimmed, "frame").or(Some(trimmed)).and_then(|n| n.parse().ok()) {
            return Ok(Self::Frame(number));
        }
        let conn = after_word(trimmed, "conn").or_else(|| trimmed.strip_prefix('#'));
        if let Some(number) = conn.and_then(|n| n.parse().ok()) {
            return Ok(Self::Conn(number));
        }
        trimmed.parse().map(Self::Flow).map_err(|()| error())
    }
}

fn after_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let rest = text.strip_prefix(word)?;
    rest.starts_with([' ', '=', '#']).then(|| rest.trim_start_matches([' ', '=', '#']))
}

impl FromStr for Flow {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
        let protocol = protocol_named(first);
        let ends = if protocol.is_some() { rest.trim() } else { text };
        let split = ["<>", "->", "→", ">", " - "].iter().find_map(|arrow| ends.split_once(arrow));
        let (one, other) = match split {
            Some((one, other)) => (one.trim().parse()?, other.trim().parse()?),
            None => (ends.parse()?, Endpoint::default()),
        };
        if protocol.is_none() && one == Endpoint::default() && other == Endpoint::default() {
            return Err(());
        }
        Ok(Self { protocol, one, other })
    }
}

fn protocol_named(name: &str) -> Option<Protocol> {
    (0..=u8::MAX).map(Protocol).find(|p| p.name().is_some_and(|known| known.eq_ignore_ascii_case(name)))
}

impl FromStr for Endpoint {
    type Err = ();

    /// `10.0.0.1`, `10.0.0.1:21`, `:21`, `2001:db8::1`, `[2001:db8::1]:21`, `*`, or nothing.
    fn from_str(text: &str) -> Result<Self, ()> {
        if text.is_empty() || text == "*" {
            return Ok(Self::default());
        }
        if let Some(bracketed) = text.strip_prefix('[') {
            let (address, rest) = bracketed.split_once(']').ok_or(())?;
            let address: Ipv6Addr = address.parse().map_err(|_| ())?;
            let port = if rest.is_empty() { None } else { Some(port(rest.strip_prefix(':').ok_or(())?)?) };
            return Ok(Self { address: Some(address.into()), port: port.flatten() });
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self { address: Some(address), port: None });
        }
        let (address, number) = text.rsplit_once(':').ok_or(())?;
        let address = match address {
            "" | "*" => None,
            address => Some(address.parse().map_err(|_| ())?),
        };
        Ok(Self { address, port: port(number)? })
    }
}

fn port(text: &str) -> Result<Option<u16>, ()> {
    if text == "*" { Ok(None) } else { text.parse().map(Some).map_err(|_| ()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(text: &str) -> Flow {
        match text.parse() {
            Ok(Target::Flow(flow)) => flow,
            other => panic!("{text}: {other:?}"),
        }
    }

    fn end(text: &str) -> (IpAddr, u16) {
        let end: Endpoint = text.parse().unwrap();
        (end.address.unwrap(), end.port.unwrap())
    }

    #[test]
    fn frames_and_conns_are_numbers() {
        assert_eq!("12".parse(), Ok(Target::Frame(12)));
        assert_eq!("frame 12".parse(), Ok(Target::Frame(12)));
        assert_eq!("conn 5".parse(), Ok(Target::Conn(5)));
        assert_eq!("#5".parse(), Ok(Target::Conn(5)));
        assert_eq!("all".parse(), Ok(Target::Everything));
    }

    #[test]
    fn a_flow_matches_both_ways_and_in_parts() {
        let (a, b) = (end("10.0.0.1:1234"), end("10.0.0.2:21"));
        for text in [
            "10.0.0.1:1234 > 10.0.0.2:21",
            "10.0.0.2:21 -> 10.0.0.1",
            "10.0.0.1",
            ":21",
            "tcp 10.0.0.1",
            "tcp",
            "10.0.0.1 > *:21",
        ] {
            assert!(flow(text).matches_ends(Protocol::TCP, a, b), "{text}");
            assert!(flow(text).matches_ends(Protocol::TCP, b, a), "{text}");
        }
        for text in ["10.0.0.1:1235", "udp 10.0.0.1", "10.0.0.1 > 10.0.0.3", ":22"] {
            assert!(!flow(text).matches_ends(Protocol::TCP, a, b), "{text}");
        }
        let six = end("[2001:db8::1]:21");
        assert!(flow("[2001:db8::1]:21 > 2001:db8::2").matches_ends(
            Protocol::TCP,
            end("[2001:db8::2]:4000"),
            six
        ));
    }

    #[test]
    fn other_texts_are_no_targets() {
        for text in
            ["capture.pcap", "10.0.0.1:x", "", "*", "frame x", "conn", "10.0.0.1:99999", "tcp port 21"]
        {
            assert!(text.parse::<Target>().is_err(), "{text:?}");
        }
    }
}
