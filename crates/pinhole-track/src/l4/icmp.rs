//! ICMP and ICMPv6 queries. Errors are not judged here: they are about the conn that they quote.

use super::{Invalid, Step};
use crate::Timeouts;
use crate::timeouts::Timeout;
use pinhole_wire::{Icmp as Header, Protocol};

/// Judges a conn's first packet.
///
/// # Errors
/// It is no request.
pub(super) fn open(header: &Header, protocol: Protocol) -> Result<(), Invalid> {
    let is_request = match protocol {
        // Echo, Timestamp (RFC 792), Information (RFC 792), Address Mask (RFC 950).
        Protocol::ICMP => matches!(header.kind, 8 | 13 | 15 | 17),
        // Echo (RFC 4443 §4.1), Node Information (RFC 4620).
        _ => matches!(header.kind, 128 | 139),
    };
    if is_request { Ok(()) } else { Err(Invalid::IcmpNotRequest) }
}

/// Requests and replies, duplicates too, keep the conn.
pub(super) fn update(protocol: Protocol, timeouts: &Timeouts) -> Step {
    let timeout = if protocol == Protocol::ICMP { Timeout::Icmp } else { Timeout::Icmpv6 };
    Step::Accept { timeout: timeouts[timeout], assure: false, changed: false }
}
