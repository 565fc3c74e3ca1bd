//! The NAT half of talk: port and IPv4 address of a `sockaddr`, in place.

use super::notation;
use pinhole_helper::{Field, NatHelper, Unencodable};
use std::net::{IpAddr, SocketAddr};

/// The NAT half of [`super::Talk`].
#[derive(Clone, Copy, Debug, Default)]
pub struct TalkNat;

impl NatHelper for TalkNat {
    fn name(&self) -> &'static str {
        "talk"
    }

    fn encode(
        &self,
        field: Field,
        endpoint: SocketAddr,
        _old: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Unencodable> {
        let IpAddr::V4(address) = endpoint.ip() else { return Err(Unencodable::AddressFamily) };
        match field {
            notation::SOCKET => out.extend(endpoint.port().to_be_bytes()),
            notation::ADDRESS => {}
            _ => return Err(Unencodable::Notation),
        }
        out.extend(address.octets());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_and_addresses() {
        let mut out = Vec::new();
        let endpoint = "203.0.113.7:43031".parse().expect("an endpoint");
        assert_eq!(TalkNat.encode(notation::SOCKET, endpoint, &[0; 6], &mut out), Ok(()));
        assert_eq!(out, [0xa8, 0x17, 203, 0, 113, 7]);
        out.clear();
        assert_eq!(TalkNat.encode(notation::ADDRESS, endpoint, &[0; 4], &mut out), Ok(()));
        assert_eq!(out, [203, 0, 113, 7]);
        let six = "[2001:db8::7]:1".parse().expect("an endpoint");
        assert_eq!(TalkNat.encode(notation::SOCKET, six, &[0; 6], &mut out), Err(Unencodable::AddressFamily));
        assert_eq!(TalkNat.encode(Field::Port(0), endpoint, &[0; 2], &mut out), Err(Unencodable::Notation));
        assert_eq!(out, [203, 0, 113, 7], "untouched");
    }
}
