//! What ctnetlink tells about expectations (`linux/netfilter/nfnetlink_conntrack.h`).

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pinhole_wire::Protocol;

use super::netlink::{Attributes, Message, Socket};

/// `NFNL_SUBSYS_CTNETLINK_EXP` with `IPCTNL_MSG_EXP_NEW` and `IPCTNL_MSG_EXP_DELETE`.
const NEW: u16 = 2 << 8;
const DELETE: u16 = 2 << 8 | 2;

/// `NFNLGRP_CONNTRACK_EXP_NEW` (4) and `NFNLGRP_CONNTRACK_EXP_DESTROY` (6) as a mask.
const GROUPS: u32 = 1 << 3 | 1 << 5;

/// `enum ctattr_expect`.
const MASTER: u16 = 1;
const TUPLE: u16 = 2;
const MASK: u16 = 3;
const TIMEOUT: u16 = 4;
const HELPER_NAME: u16 = 6;
const FLAGS: u16 = 8;
const CLASS: u16 = 9;

/// `enum ctattr_tuple`, `enum ctattr_ip`, `enum ctattr_l4proto`.
const TUPLE_IP: u16 = 1;
const TUPLE_PROTOCOL: u16 = 2;
const IPV4_SOURCE: u16 = 1;
const IPV4_DESTINATION: u16 = 2;
const IPV6_SOURCE: u16 = 3;
const IPV6_DESTINATION: u16 = 4;
const PROTOCOL_NUMBER: u16 = 1;
const SOURCE_PORT: u16 = 2;
const DESTINATION_PORT: u16 = 3;

/// What happened to an expectation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpectationEventKind {
    /// It was entered.
    New,
    /// It is gone: fulfilled, timed out, or its master is gone.
    Destroy,
}

/// An event about an expectation of the kernel's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectationEvent {
    /// What happened.
    pub kind: ExpectationEventKind,
    /// Name of the helper that entered it; empty if the kernel does not say.
    pub helper: String,
    /// What is expected.
    pub tuple: KernelTuple,
    /// Which bits of the source of `tuple` matter.
    pub mask: KernelTuple,
    /// The master's original tuple.
    pub master: KernelTuple,
    /// Seconds that are left.
    pub timeout: u32,
    /// `NF_CT_EXPECT_*`: 1 permanent, 2 inactive, 4 from user space.
    pub flags: u32,
    /// The helper's class of expectations.
    pub class: u32,
}

/// A tuple as ctnetlink tells it. What it leaves out is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelTuple {
    /// Protocol.
    pub protocol: Protocol,
    /// Source address.
    pub source: Option<IpAddr>,
    /// Source port.
    pub source_port: Option<u16>,
    /// Destination address.
    pub destination: Option<IpAddr>,
    /// Destination port.
    pub destination_port: Option<u16>,
}

impl fmt::Display for KernelTuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = |f: &mut fmt::Formatter<'_>, address: Option<IpAddr>, port: Option<u16>| {
            match address {
                Some(address) => write!(f, "{address}:")?,
                None => f.write_str("?:")?,
            }
            match port {
                Some(port) => write!(f, "{port}"),
                None => f.write_str("-"),
            }
        };
        write!(f, "{}:", self.protocol)?;
        end(f, self.source, self.source_port)?;
        f.write_str(">")?;
        end(f, self.destination, self.destination_port)
    }
}

/// A listener for expectation events.
#[derive(Debug)]
pub(super) struct ExpectationEvents {
    socket: Socket,
}

impl ExpectationEvents {
    pub(super) fn open() -> io::Result<Self> {
        Ok(Self { socket: Socket::open(GROUPS)? })
    }

    /// The events since the last call.
    pub(super) fn drain(&mut self) -> io::Result<Vec<ExpectationEvent>> {
        let mut events = Vec::new();
        self.socket.receive(|message| events.extend(event(message)))?;
        Ok(events)
    }
}

fn event(message: Message<'_>) -> Option<ExpectationEvent> {
    let kind = match message.kind {
        NEW => ExpectationEventKind::New,
        DELETE => ExpectationEventKind::Destroy,
        _ => return None,
    };
    let attributes = message.attributes;
    Some(ExpectationEvent {
        kind,
        helper: attributes.text(HELPER_NAME).unwrap_or_default().to_owned(),
        tuple: tuple(attributes.nested(TUPLE)),
        mask: tuple(attributes.nested(MASK)),
        master: tuple(attributes.nested(MASTER)),
        timeout: attributes.u32(TIMEOUT).unwrap_or_default(),
        flags: attributes.u32(FLAGS).unwrap_or_default(),
        class: attributes.u32(CLASS).unwrap_or_default(),
    })
}

fn tuple(attributes: Attributes<'_>) -> KernelTuple {
    let ip = attributes.nested(TUPLE_IP);
    let address = |v4: u16, v6: u16| {
        let four = || Some(IpAddr::V4(Ipv4Addr::from(*ip.value(v4)?.first_chunk::<4>()?)));
        let six = || Some(IpAddr::V6(Ipv6Addr::from(*ip.value(v6)?.first_chunk::<16>()?)));
        four().or_else(six)
    };
    let protocol = attributes.nested(TUPLE_PROTOCOL);
    let number = protocol.value(PROTOCOL_NUMBER).and_then(<[u8]>::first);
    KernelTuple {
        protocol: Protocol(number.copied().unwrap_or_default()),
        source: address(IPV4_SOURCE, IPV6_SOURCE),
        source_port: protocol.u16(SOURCE_PORT),
        destination: address(IPV4_DESTINATION, IPV6_DESTINATION),
        destination_port: protocol.u16(DESTINATION_PORT),
    }
}
