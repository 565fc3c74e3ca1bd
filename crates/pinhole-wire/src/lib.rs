//! Packet headers as borrowed bytes.
//!
//! Everything here reads `&[u8]` (or edits `&mut [u8]`) and returns offsets and decoded fields; nothing allocates,
//! nothing does I/O, nothing panics on any input.
//!
//! * [`link`]: from a captured frame to the start of its IP datagram (Ethernet, VLAN, cooked, …).
//! * [`packet`]: from an IP datagram to a [`Packet`]: where every header lies, and the fields that tracking needs.
//! * [`checksum`]: the Internet checksum: verify, compute, update incrementally (RFC 1071, RFC 1624).
#![forbid(unsafe_code)]
#![cfg_attr(not(test), no_std)]

pub mod checksum;
pub mod link;
pub mod packet;
pub mod transport;
mod types;

pub use checksum::Checksum;
pub use link::{LinkError, LinkType, Network, NetworkKind};
pub use packet::{Bounds, Fragment, Packet, ParseError, Plain, ipv4_header_checksum_ok};
pub use transport::{Dccp, Gre, Icmp, Sctp, Tcp, TcpFlags, TcpOption, TcpOptions, Transport, Udp};
pub use types::{Address, Direction, IpVersion, Protocol, Time};
