//! The NAT half of OSCAR: addresses and ports in place, as they are and inverted.

use super::notation;
use pinhole_helper::{Field, NatHelper, Unencodable};
use std::net::{IpAddr, SocketAddr};

/// The NAT half of [`super::Oscar`].
#[derive(Clone, Copy, Debug, Default)]
pub struct OscarNat;

impl NatHelper for OscarNat {
    fn name(&self) -> &'static str {
        "oscar"
    }

    fn encode(
        &self,
        field: Field,
        endpoint: SocketAddr,
        _old: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Unencodable> {
        let IpAddr::V4(address) = endpoint.ip() else { return Err(Unencodable::AddressFamily) };
        let port = endpoint.port();
        match field {
            notation::ADDRESS => out.extend(address.octets()),
            notation::ADDRESS_INVERTED => out.extend((!address).octets()),
            notation::PORT => out.extend(port.to_be_bytes()),
            notation::PORT_INVERTED => out.extend((!port).to_be_bytes()),
            notation::DIRECT => {
                out.extend(address.octets());
                out.extend(u32::from(port).to_be_bytes());
            }
            _ => return Err(Unencodable::Notation),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notations() {
        let encode = |field, endpoint: &str| {
            let mut out = Vec::new();
            OscarNat.encode(field, endpoint.parse().expect("an endpoint"), &[], &mut out).map(|()| out)
        };
        let outside = "203.0.113.1:61000";
        for (field, expected) in [
            (notation::ADDRESS, &[203, 0, 113, 1][..]),
            (notation::ADDRESS_INVERTED, &[52, 255, 142, 254]),
            (notation::PORT, &[0xee, 0x48]),
            (notation::PORT_INVERTED, &[0x11, 0xb7]),
            (notation::DIRECT, &[203, 0, 113, 1, 0, 0, 0xee, 0x48]),
        ] {
            assert_eq!(encode(field, outside).as_deref(), Ok(expected));
            assert_eq!(encode(field, "[2001:db8::1]:1"), Err(Unencodable::AddressFamily));
        }
        assert_eq!(encode(Field::Endpoint(1), outside), Err(Unencodable::Notation));
    }
}
