//! What every announcement must satisfy: the address is the sender's own, the port may be announced.

use crate::{Master, Policy, Refusal};
use core::net::IpAddr;
use pinhole_wire::Direction;

/// Whether the sender of direction `from` may announce this address, and under which address its peer reaches it (another one than
/// announced only under NAT).
///
/// # Errors
/// The address is of the other IP version, or not the sender's own and the policy does not allow third parties.
pub fn admit_address(
    announced: IpAddr,
    from: Direction,
    master: &Master,
    policy: &Policy,
) -> Result<IpAddr, Refusal> {
    let own = master.sender(from).ip();
    let seen = master.sender_seen_by_peer(from).ip();
    // An IPv4-mapped address is neither: its user would be reached over the other IP version.
    let mapped = matches!(announced, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
    if mapped || announced.is_ipv4() != own.is_ipv4() {
        return Err(Refusal::AddressFamily);
    }
    if announced == own || announced == seen {
        return Ok(seen);
    }
    let host = !announced.is_unspecified() && !announced.is_multicast() && !announced.is_loopback();
    if policy.third_party && host { Ok(announced) } else { Err(Refusal::ForeignAddress) }
}

/// Whether a port may be announced.
///
/// # Errors
/// The port is 0, or below the lowest that the policy allows.
pub fn admit_port(port: u16, policy: &Policy) -> Result<(), Refusal> {
    match port {
        0 => Err(Refusal::PortZero),
        _ if port < policy.lowest_port => Err(Refusal::PrivilegedPort),
        _ => Ok(()),
    }
}
