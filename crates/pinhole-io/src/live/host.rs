//! The way between a router and its host's own stack: a pair of virtual Ethernet devices for each port.
//!
//! What the host would send by a port is turned aside, whole, with the link header that the host gave it, into the host's end of the port's pair
//! ([`Guard::share`](super::guard::Guard::share)), and comes out of the router's end. What the router accepts for the host it sends into its end, and
//! the host receives it by the other. So the host keeps its addresses, its routes and its neighbours, and needs no policy routing.
//!
//! Life cycle: made before the guard is put up, removed after it is taken down; pairs of a gateway that was killed are replaced.

use super::rtnetlink::RouteSocket;
use super::rtnetlink::read::Link;
use std::fs;
use std::io;
use std::net::Ipv4Addr;

/// Longest datagram between router and host: superframes pass whole.
const MTU: u32 = 65_535;

/// The address that an interface has which needs none (RFC 7600 §4.8).
const DUMMY: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 8);

/// The pair of one port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The end that the host's stack sees.
    pub host: String,
    /// The end that the router opens.
    pub router: String,
}

/// Makes a pair for each of these interfaces.
///
/// # Errors
/// The kernel's. Pairs that were made before the error are removed.
pub fn add_pairs(socket: &mut RouteSocket, interfaces: &[&Link]) -> io::Result<Vec<Pair>> {
    let mut pairs = Vec::new();
    for link in interfaces {
        let pair = Pair { host: format!("pinhole{}", link.index), router: format!("pinhole{}r", link.index) };
        // One that a killed gateway left behind.
        let _ = socket.remove_link(&pair.host);
        let made = add_pair(socket, &pair);
        pairs.push(pair);
        if let Err(error) = made {
            remove_pairs(socket, &pairs);
            return Err(error);
        }
    }
    Ok(pairs)
}

/// Removes pairs, as far as they are there.
pub fn remove_pairs(socket: &mut RouteSocket, pairs: &[Pair]) {
    for pair in pairs {
        let _ = socket.remove_link(&pair.host);
    }
}

fn add_pair(socket: &mut RouteSocket, pair: &Pair) -> io::Result<()> {
    let Pair { host, router } = pair;
    socket.add_pair(host, router, MTU)?;
    // Packets come from everywhere; whether their source is plausible was the router's to judge. 2 outweighs a 1 that stands for all interfaces,
    // but lets nothing in by an interface without an address.
    set(&format!("ipv4/conf/{host}/rp_filter"), "2")?;
    set(&format!("ipv4/conf/{host}/forwarding"), "0")?;
    set(&format!("ipv6/conf/{host}/forwarding"), "0")?;
    set(&format!("ipv6/conf/{host}/accept_ra"), "0")?;
    // No link-local address: this is not a link.
    set(&format!("ipv6/conf/{host}/addr_gen_mode"), "1")?;
    set(&format!("ipv6/conf/{router}/disable_ipv6"), "1")?;
    socket.set_up(host)?;
    socket.set_up(router)?;
    let index = socket.dump()?.link(host).map_or(0, |link| link.index);
    socket.add_host_address(index, DUMMY)
}

/// The setting by which the kernel itself forwards what comes in by an interface; `None`: it does not.
///
/// # Errors
/// It cannot be read.
pub fn forwarding(interface: &str) -> io::Result<Option<String>> {
    for family in ["ipv4", "ipv6"] {
        match fs::read_to_string(format!("/proc/sys/net/{family}/conf/{interface}/forwarding")) {
            Ok(text) if text.trim() != "0" => {
                return Ok(Some(format!("net.{family}.conf.{interface}.forwarding")));
            }
            Ok(_) => {}
            // A kernel without IPv6.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Writes a setting (sysctl(8)); one that this kernel does not have is left.
fn set(name: &str, value: &str) -> io::Result<()> {
    match fs::write(format!("/proc/sys/net/{name}"), value) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(io::Error::new(error.kind(), format!("net/{name}: {error}")))
        }
        _ => Ok(()),
    }
}
