//! The NAT half of H.323: transport addresses in the notations of [`super::notation`].
//!
//! Address and port stand together, in whole octets, in network order: six octets for IPv4, eighteen for IPv6. A new endpoint of the same
//! family takes their place, and no length changes.

use super::notation;
use pinhole_helper::{Field, NatHelper, Unencodable};
use std::net::{IpAddr, SocketAddr};

/// The NAT half of [`super::Ras`], [`super::Q931`] or [`super::H245`]: they write addresses alike.
#[derive(Clone, Copy, Debug)]
pub struct H323Nat {
    name: &'static str,
}

impl H323Nat {
    /// The NAT half of RAS.
    pub const RAS: Self = Self { name: super::RAS_NAME };
    /// The NAT half of Q.931.
    pub const Q931: Self = Self { name: super::Q931_NAME };
    /// The NAT half of H.245.
    pub const H245: Self = Self { name: super::H245_NAME };
}

impl NatHelper for H323Nat {
    fn name(&self) -> &'static str {
        self.name
    }

    fn encode(
        &self,
        field: Field,
        endpoint: SocketAddr,
        _old: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Unencodable> {
        let with_port = match field {
            notation::IPV4 | notation::IPV6 => true,
            notation::IPV4_ADDRESS | notation::IPV6_ADDRESS => false,
            _ => return Err(Unencodable::Notation),
        };
        match (field, endpoint.ip()) {
            (notation::IPV4 | notation::IPV4_ADDRESS, IpAddr::V4(address)) => out.extend(address.octets()),
            (notation::IPV6 | notation::IPV6_ADDRESS, IpAddr::V6(address)) => out.extend(address.octets()),
            _ => return Err(Unencodable::AddressFamily),
        }
        if with_port {
            out.extend(endpoint.port().to_be_bytes());
        }
        Ok(())
    }
}
