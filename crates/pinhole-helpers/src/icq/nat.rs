//! The NAT half of ICQ.
//!
//! A login is located whole, because it may be scrambled, and then no part of it can be replaced alone: the key depends on a check code
//! that may depend on the bytes to be replaced. It is unscrambled, edited and scrambled again; its length stays. Users who are online
//! are told in plain.

use super::{notation, parse, scramble};
use pinhole_helper::{Field, NatHelper, Unencodable};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The NAT half of [`super::Icq`].
#[derive(Clone, Copy, Debug, Default)]
pub struct IcqNat;

impl NatHelper for IcqNat {
    fn name(&self) -> &'static str {
        "icq"
    }

    fn encode(
        &self,
        field: Field,
        endpoint: SocketAddr,
        old: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Unencodable> {
        let IpAddr::V4(address) = endpoint.ip() else { return Err(Unencodable::AddressFamily) };
        match field {
            notation::USER => {
                out.extend(address.octets());
                out.extend(u32::from(endpoint.port()).to_le_bytes());
            }
            notation::LOGIN => {
                let before = out.len();
                out.extend(old);
                let packet = out.get_mut(before..).unwrap_or_default();
                let edited = match parse::scrambling(old) {
                    None => edit(packet, address, endpoint.port()),
                    Some(version) => {
                        scramble::edited(version, packet, |packet| edit(packet, address, endpoint.port()))
                    }
                };
                if edited.is_none() {
                    out.truncate(before);
                    return Err(Unencodable::Notation);
                }
            }
            _ => return Err(Unencodable::Notation),
        }
        Ok(())
    }
}

/// Writes port and address into a plain login. A client that leaves its address out goes on doing so.
fn edit(packet: &mut [u8], address: Ipv4Addr, port: u16) -> Option<()> {
    let Some(parse::Client::Login(login)) = parse::client(packet) else { return None };
    packet.get_mut(login.port_place)?.copy_from_slice(&u32::from(port).to_le_bytes());
    if !login.address.is_unspecified() {
        packet.get_mut(login.address_place)?.copy_from_slice(&address.octets());
    }
    Some(())
}
