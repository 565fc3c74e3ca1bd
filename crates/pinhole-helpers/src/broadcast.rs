//! Queries to everyone on a subnet: who may answer them, and where.
//!
//! An answer comes from an address that was not asked. It must come from the port that was asked, to the very port that asked, from the subnet
//! that was asked, within seconds. What that subnet is only its hosts know; the widest one whose broadcast address was asked is
//! taken, so that nobody outside it can answer, and no honest answer is missed.

use core::net::{IpAddr, Ipv4Addr};
use pinhole_helper::{AddressMatch, Context, Expect, Handle, Lifetime, PortMatch, Span};
use pinhole_wire::{Direction, Protocol, Time};
use serde::{Deserialize, Serialize};

/// A subnet of less than this many host bits has broadcast addresses that look like any host's.
const FEWEST_HOST_BITS: u32 = 8;
/// No subnet is wider than this many host bits.
const MOST_HOST_BITS: u32 = 24;

/// Length of the prefix of the widest subnet that has `asked` as its broadcast address and `asker` as a host. `None`: there is none (a
/// unicast address), or it cannot be told (255.255.255.255).
fn subnet(asker: Ipv4Addr, asked: Ipv4Addr) -> Option<u8> {
    let (asker, asked) = (asker.to_bits(), asked.to_bits());
    let host_bits = asked.trailing_ones();
    if !(FEWEST_HOST_BITS..u32::BITS).contains(&host_bits) || asker == asked {
        return None;
    }
    let length = u32::BITS - host_bits.min(MOST_HOST_BITS);
    ((asker ^ asked).leading_zeros() >= length).then_some(length as u8)
}

/// The expectation of the answers to one asker's queries.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Answers {
    awaited: Option<(Handle, Time)>,
}

impl Answers {
    /// The originator has sent a query: if it went to its subnet, answers are expected for so many seconds.
    pub(crate) fn expect(&mut self, cx: &mut Context<'_>, seconds: u32, span: Span) {
        let master = cx.master;
        let asker = master.sender(Direction::Original);
        let (IpAddr::V4(own), asked) = (asker.ip(), master.peer(Direction::Original)) else { return };
        let IpAddr::V4(everyone) = asked.ip() else { return };
        let Some(length) = subnet(own, everyone) else { return };
        let until = cx.now.plus_seconds(u64::from(seconds));
        if let Some((handle, deadline)) = self.awaited
            && cx.now < deadline
        {
            cx.extend(handle, seconds);
            self.awaited = Some((handle, until));
            return;
        }
        let seen = master.sender_seen_by_peer(Direction::Original);
        let handle = cx.expect(Expect {
            source_port: PortMatch::Exact(asked.port()),
            lifetime: Lifetime::Permanent,
            timeout: Some(seconds),
            ..Expect::to(Protocol::UDP, AddressMatch::Prefix(asked.ip(), length), seen, span)
        });
        self.awaited = Some((handle, until));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(asker: &str, asked: &str) -> Option<u8> {
        subnet(asker.parse().expect("an address"), asked.parse().expect("an address"))
    }

    #[test]
    fn the_widest_subnet_that_fits() {
        assert_eq!(length("192.168.1.34", "192.168.1.255"), Some(23));
        assert_eq!(length("192.168.2.34", "192.168.2.255"), Some(24));
        assert_eq!(length("10.0.4.131", "10.0.5.255"), Some(23));
        assert_eq!(length("10.9.8.7", "10.255.255.255"), Some(8));
        assert_eq!(length("15.1.1.1", "15.255.255.255"), Some(8));
    }

    #[test]
    fn what_is_no_broadcast_of_the_askers_own_subnet() {
        assert_eq!(length("10.0.0.1", "10.0.0.7"), None, "it looks like a host");
        assert_eq!(length("10.0.0.1", "10.0.2.255"), None, "another subnet");
        assert_eq!(length("10.0.2.255", "10.0.2.255"), None);
        assert_eq!(length("10.0.0.1", "255.255.255.255"), None, "the subnet cannot be told");
    }
}
