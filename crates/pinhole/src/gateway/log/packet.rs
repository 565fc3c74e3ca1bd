//! A packet's headers in the words of netfilter's log (`nf_log_syslog`): `IN=eth0 OUT= MAC=… SRC=… DST=… LEN=60 … PROTO=TCP SPT=…`.

use pinhole_engine::{InterfaceId, Logged, Topology};
use pinhole_wire::{IpVersion, LinkType, Packet, TcpFlags, Transport, link};
use serde_json::Value;
use std::fmt;

/// Names and values in their order; a flag has no value.
pub(super) struct Fields(Vec<(&'static str, Option<String>)>);

/// Length of an Ethernet header.
const ETHERNET: usize = 14;

/// Flags of IPv4's fragment field (RFC 791 §3.1).
const FRAGMENT_FLAGS: [(u16, &str); 3] = [(0x8000, "CE"), (0x4000, "DF"), (0x2000, "MF")];

const TCP_FLAGS: [(TcpFlags, &str); 8] = [
    (TcpFlags::CWR, "CWR"),
    (TcpFlags::ECE, "ECE"),
    (TcpFlags::URG, "URG"),
    (TcpFlags::ACK, "ACK"),
    (TcpFlags::PSH, "PSH"),
    (TcpFlags::RST, "RST"),
    (TcpFlags::SYN, "SYN"),
    (TcpFlags::FIN, "FIN"),
];

impl Fields {
    pub(super) fn of(logged: &Logged, topology: &Topology) -> Self {
        let name = |id: Option<InterfaceId>| id.and_then(|id| topology.name(id)).unwrap_or("").to_owned();
        let mut fields = Self(vec![("IN", Some(name(logged.ingress))), ("OUT", Some(name(logged.egress)))]);
        fields.link(logged);
        let offset = link::strip(logged.link, &logged.bytes).map(|network| network.offset);
        match offset.map(|offset| (offset, Packet::parse(&logged.bytes, offset))) {
            Ok((offset, Ok(packet))) => {
                fields.network(&packet, logged, offset);
                fields.transport(&packet, &logged.bytes);
            }
            Ok((offset, Err(_))) => match Packet::parse_network(&logged.bytes, offset) {
                Ok(packet) => fields.network(&packet, logged, offset),
                Err(_) => fields.add("LEN", logged.length),
            },
            Err(_) => fields.add("LEN", logged.length),
        }
        fields
    }

    /// As members of a JSON object, in lower case.
    pub(super) fn json(self) -> impl Iterator<Item = (String, Value)> {
        let mut lengths = 0;
        self.0.into_iter().map(move |(name, value)| {
            lengths += u32::from(name == "LEN");
            // That of the UDP datagram stands behind that of the IP datagram under the same name.
            let name = if name == "LEN" && lengths > 1 { "UDP_LEN" } else { name };
            let value = match value {
                None => Value::Bool(true),
                Some(text) => text.parse::<u64>().map_or(Value::String(text), Value::from),
            };
            (name.to_lowercase(), value)
        })
    }

    fn add(&mut self, name: &'static str, value: impl fmt::Display) {
        self.0.push((name, Some(value.to_string())));
    }

    fn flag(&mut self, name: &'static str) {
        self.0.push((name, None));
    }

    fn link(&mut self, logged: &Logged) {
        if logged.link == LinkType::ETHERNET
            && let Some(header) = logged.bytes.get(..ETHERNET)
        {
            let octets: Vec<String> = header.iter().map(|octet| format!("{octet:02x}")).collect();
            self.add("MAC", octets.join(":"));
        }
    }

    fn network(&mut self, packet: &Packet, logged: &Logged, offset: u32) {
        let header = logged.bytes.get(offset as usize..).unwrap_or_default();
        let word = |at: usize| {
            header.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u16::from_be_bytes(*bytes))
        };
        self.add("SRC", packet.source.ip(packet.version));
        self.add("DST", packet.destination.ip(packet.version));
        match packet.version {
            IpVersion::V4 => {
                self.add("LEN", word(2));
                self.add("TOS", format!("0x{:02X}", packet.traffic_class & 0x1e));
                self.add("PREC", format!("0x{:02X}", packet.traffic_class & 0xe0));
                self.add("TTL", packet.hop_limit);
                self.add("ID", word(4));
                for (bit, name) in FRAGMENT_FLAGS {
                    if word(6) & bit != 0 {
                        self.flag(name);
                    }
                }
                if word(6) & 0x1fff != 0 {
                    self.add("FRAG", word(6) & 0x1fff);
                }
            }
            IpVersion::V6 => {
                self.add("LEN", u32::from(word(4)) + 40);
                self.add("TC", packet.traffic_class);
                self.add("HOPLIMIT", packet.hop_limit);
                self.add("FLOWLBL", u32::from(word(0) & 0xf) << 16 | u32::from(word(2)));
            }
        }
        let name = match packet.transport {
            Transport::Icmp(_) if packet.version == IpVersion::V6 => "ICMPv6".to_owned(),
            _ => packet.protocol.to_string().to_uppercase(),
        };
        self.add("PROTO", name);
    }

    fn transport(&mut self, packet: &Packet, bytes: &[u8]) {
        let at = |offset: usize| {
            let start = packet.transport_offset as usize + offset;
            bytes.get(start..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u16::from_be_bytes(*bytes))
        };
        if let (Some(source), Some(destination)) = (packet.source_port(), packet.destination_port()) {
            self.add("SPT", source);
            self.add("DPT", destination);
        }
        match &packet.transport {
            Transport::Tcp(tcp) => {
                self.add("WINDOW", tcp.window);
                self.add("RES", format!("0x{:02x}", at(12) >> 6 & 0x3c));
                for (flag, name) in TCP_FLAGS {
                    if tcp.flags.contains(flag) {
                        self.flag(name);
                    }
                }
                self.add("URGP", tcp.urgent);
            }
            Transport::Udp(_) => self.add("LEN", at(4)),
            Transport::Icmp(icmp) => {
                self.add("TYPE", icmp.kind);
                self.add("CODE", icmp.code);
                if matches!(icmp.kind, 0 | 8 | 128 | 129) {
                    self.add("ID", icmp.identifier);
                    self.add("SEQ", at(6));
                }
            }
            _ => {}
        }
    }
}

impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, value)) in self.0.iter().enumerate() {
            let gap = if index == 0 { "" } else { " " };
            match value {
                Some(value) => write!(f, "{gap}{name}={value}")?,
                None => write!(f, "{gap}{name}")?,
            }
        }
        Ok(())
    }
}
