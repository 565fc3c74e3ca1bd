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

/// The host that an announced address of media leads to, and whether only the receiver of the announcement may send there: the sender's own
/// as [`admit_address`] has it, another's if the policy allows [introductions](Policy::introductions).
///
/// # Errors
/// The address is neither the sender's own nor one that it may introduce the receiver to.
pub fn admit_introduced(
    announced: IpAddr,
    from: Direction,
    master: &Master,
    policy: &Policy,
) -> Result<(IpAddr, bool), Refusal> {
    match admit_address(announced, from, master, policy) {
        Err(Refusal::ForeignAddress) if policy.introductions && from == Direction::Reply => {
            let third_party = true;
            admit_address(announced, from, master, &Policy { third_party, ..*policy }).map(|ip| (ip, true))
        }
        admitted => admitted.map(|ip| (ip, false)),
    }
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
