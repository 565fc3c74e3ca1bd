//! What the formats show of a packet's headers.

use pinhole_wire::link::{self, NetworkKind};
use pinhole_wire::{LinkType, Packet, Protocol, TcpFlags, Transport};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// Addresses, ports and the little else that identifies a packet to a reader.
#[derive(Clone, Copy, Debug)]
pub struct Headers {
    /// Layer-4 protocol.
    pub protocol: Protocol,
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Source port, if the protocol has ports and the packet holds them.
    pub source_port: Option<u16>,
    /// Destination port.
    pub destination_port: Option<u16>,
    /// What kind of packet it is.
    pub kind: Kind,
    /// Bytes after the transport header.
    pub payload: u32,
}

/// What distinguishes packets of one flow.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// TCP flags.
    Tcp(TcpFlags),
    /// ICMP type and code.
    Icmp(u8, u8),
    /// A fragment.
    Fragment,
    /// Nothing that is shown.
    Other,
}

impl Headers {
    /// Reads a frame; `None` for what is not IP or cannot be parsed.
    pub fn read(link: LinkType, bytes: &[u8]) -> Option<Self> {
        let network = link::strip(link, bytes).ok()?;
        if let NetworkKind::Other(_) = network.kind {
            return None;
        }
        let packet = Packet::parse(bytes, network.offset)
            .or_else(|_| Packet::parse_network(bytes, network.offset))
            .ok()?;
        let kind = match &packet.transport {
            _ if packet.fragment.is_some_and(|f| !f.is_atomic()) => Kind::Fragment,
            Transport::Tcp(tcp) => Kind::Tcp(tcp.flags),
            Transport::Icmp(icmp) => Kind::Icmp(icmp.kind, icmp.code),
            _ => Kind::Other,
        };
        let ports = !matches!(packet.transport, Transport::Icmp(_));
        Some(Self {
            protocol: packet.protocol,
            source: packet.source.ip(packet.version),
            destination: packet.destination.ip(packet.version),
            source_port: packet.source_port().filter(|_| ports),
            destination_port: packet.destination_port().filter(|_| ports),
            kind,
            payload: packet.end - packet.payload,
        })
    }
}

/// `tcp 10.0.0.1:1234 > 10.0.0.2:21`
impl fmt::Display for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = End(self.source, self.source_port);
        let destination = End(self.destination, self.destination_port);
        write!(f, "{} {source} > {destination}", self.protocol)
    }
}

/// `SYN ACK`, `type 8 code 0`, `fragment`, or nothing.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(flags) => {
                for (index, (name, _)) in flags.iter_names().enumerate() {
                    write!(f, "{}{name}", if index == 0 { "" } else { " " })?;
                }
                Ok(())
            }
            Self::Icmp(kind, code) => write!(f, "type {kind} code {code}"),
            Self::Fragment => f.write_str("fragment"),
            Self::Other => Ok(()),
        }
    }
}

/// An address, with its port if there is one; IPv6 in brackets only then.
#[derive(Clone, Copy, Debug)]
pub struct End(pub IpAddr, pub Option<u16>);

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            Some(port) => SocketAddr::new(self.0, port).fmt(f),
            None => self.0.fmt(f),
        }
    }
}
