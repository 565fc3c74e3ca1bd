//! What becomes of frames that rules have no words for, and of neighbour discovery, without which IPv6 does not work.

use pinhole_wire::link::{self, NetworkKind};
use pinhole_wire::{LinkType, Protocol};

/// What becomes of a kind of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// They pass.
    Pass,
    /// They do not.
    Drop,
    /// The rules decide; for neighbour discovery only.
    Rules,
}

/// The treatment of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkPolicy {
    /// ARP (RFC 826).
    pub arp: Treatment,
    /// Neighbour discovery (RFC 4861): ICMPv6 types 133 to 137, sent on the link itself (hop limit 255).
    pub neighbour_discovery: Treatment,
    /// Spanning tree and the other protocols between bridges: groups 01:80:c2:00:00:00 to 0f (IEEE 802.1Q §8.6.3).
    pub bridge_protocols: Treatment,
    /// Every other protocol that is not IP.
    pub other: Treatment,
}

impl Default for LinkPolicy {
    /// What IP needs on a link passes, and spanning tree, so that no loop goes unseen; all else does not.
    fn default() -> Self {
        Self {
            arp: Treatment::Pass,
            neighbour_discovery: Treatment::Pass,
            bridge_protocols: Treatment::Pass,
            other: Treatment::Drop,
        }
    }
}

const ARP: u16 = 0x0806;
const IPV6: [u8; 2] = [0x86, 0xdd];
const TAGS: [[u8; 2]; 3] = [[0x81, 0x00], [0x88, 0xa8], [0x91, 0x00]];

impl LinkPolicy {
    /// What becomes of a frame before rules see it; `None`: rules decide.
    #[inline]
    pub(crate) fn before_rules(&self, frame: &[u8]) -> Option<Treatment> {
        // The usual frame is IPv4, without tags.
        match frame.get(12..14) {
            Some(kind) if kind == IPV6 || TAGS.iter().any(|tag| kind == tag) => self.neighbour(frame),
            _ => None,
        }
    }

    fn neighbour(&self, frame: &[u8]) -> Option<Treatment> {
        let treatment = self.neighbour_discovery;
        (treatment != Treatment::Rules && is_neighbour_discovery(frame)).then_some(treatment)
    }

    /// What becomes of a frame that is not IP.
    pub(crate) fn not_ip(&self, frame: &[u8]) -> Treatment {
        if matches!(frame, [0x01, 0x80, 0xc2, 0x00, 0x00, 0x00..=0x0f, ..]) {
            return self.bridge_protocols;
        }
        match link::strip(LinkType::ETHERNET, frame).map(|network| network.kind) {
            Ok(NetworkKind::Other(ARP)) => self.arp,
            _ => self.other,
        }
    }
}

/// RFC 4861 §4 and §7.1: the hop limit of 255 shows that it was sent on this link. Nothing may stand between the headers.
pub(crate) fn is_neighbour_discovery(frame: &[u8]) -> bool {
    const HEADER: usize = 40;
    let Ok(network) = link::strip(LinkType::ETHERNET, frame) else { return false };
    let datagram = frame.get(network.offset as usize..).unwrap_or_default();
    let Some((header, message)) = datagram.split_first_chunk::<HEADER>() else { return false };
    network.kind == NetworkKind::Ipv6
        && header[6] == Protocol::ICMPV6.0
        && header[7] == u8::MAX
        && matches!(message, [133..=137, 0, ..])
}
