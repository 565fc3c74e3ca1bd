//! The security rules for expectations that hold for every helper, whatever it asks.

use pinhole_helper::{AddressMatch, Expect, Master, Policy, PortMatch, Refusal};
use pinhole_wire::{Direction, Protocol};
use std::net::SocketAddr;

/// Widest range of destination ports that one expectation may open.
const WIDEST_RANGE: u16 = 64;

/// Whether it is one direction of a PPTP call: GRE between the very ends of the master, with the key of each. Such a pair is asked for at
/// once, when the call is answered, and either end may speak first.
fn is_call_between_ends(master: &Master, expect: &Expect) -> bool {
    let (AddressMatch::Exact(source), PortMatch::Exact(_), PortMatch::Exact(_)) =
        (expect.source, expect.source_port, expect.destination_port)
    else {
        return false;
    };
    let ends = (source, expect.destination);
    let way = |(from, to): (SocketAddr, SocketAddr)| (from.ip(), to.ip()) == ends;
    expect.protocol == Protocol::GRE && (way(master.original) || way(master.reply))
}

/// Whether a session may have what it asks for: the announced address is the announcer's own unless the policy allows
/// third parties, or the helper [introduces](Helper::introduces) the receiver, and nobody else, to one. No port lies below the policy's
/// lowest, but for two of datagrams: the one that the announcer sends the master's from (NetBIOS asks from port 137, and is answered
/// there), and the one that the master itself is addressed to (talk's daemons ask each other, both on port 518).
pub(super) fn admissible(
    master: &Master,
    from: Direction,
    expect: &Expect,
    policy: &Policy,
    introduced: bool,
) -> Result<(), Refusal> {
    let own = [master.sender(from).ip(), master.sender_seen_by_peer(from).ip()];
    if is_call_between_ends(master, expect) {
        return Ok(());
    }
    let introduced = introduced && expect.source == AddressMatch::Exact(master.receiver(from).ip());
    if !own.contains(&expect.destination) && !policy.third_party && !introduced {
        return Err(Refusal::ForeignAddress);
    }
    let has_ports = !matches!(expect.protocol, Protocol::GRE);
    let master_end = [master.sender(from), master.sender_seen_by_peer(from)];
    let service = [master.original.1.port(), master.reply.0.port()];
    if let PortMatch::Exact(port) = expect.destination_port
        && port != 0
        && expect.protocol == master.protocol
        && expect.protocol != Protocol::TCP
        && own.contains(&expect.destination)
        && (service.contains(&port) || master_end.contains(&SocketAddr::new(expect.destination, port)))
    {
        return Ok(());
    }
    match expect.destination_port {
        PortMatch::Any if has_ports => Err(Refusal::Policy),
        PortMatch::Exact(0) if has_ports => Err(Refusal::PortZero),
        PortMatch::Exact(port) if has_ports && port < policy.lowest_port => Err(Refusal::PrivilegedPort),
        PortMatch::Range(low, high) if low > high || high - low >= WIDEST_RANGE => Err(Refusal::Policy),
        PortMatch::Range(low, _) if low < policy.lowest_port => Err(Refusal::PrivilegedPort),
        _ => Ok(()),
    }
}
