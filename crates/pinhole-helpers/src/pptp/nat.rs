//! The NAT half of PPTP: call ids, two bytes each, most significant first.

use super::notation;
use pinhole_helper::{Field, NatHelper, Unencodable};
use std::net::SocketAddr;

/// The NAT half of [`super::Pptp`].
#[derive(Clone, Copy, Debug, Default)]
pub struct PptpNat;

impl NatHelper for PptpNat {
    fn name(&self) -> &'static str {
        "pptp"
    }

    fn encode(
        &self,
        field: Field,
        endpoint: SocketAddr,
        _old: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Unencodable> {
        if field != notation::CALL_ID {
            return Err(Unencodable::Notation);
        }
        out.extend(endpoint.port().to_be_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_id_is_the_port() {
        let encode = |field| {
            let mut out = Vec::new();
            let endpoint = "203.0.113.7:1999".parse().expect("an endpoint");
            PptpNat.encode(field, endpoint, &[0, 1], &mut out).map(|()| out)
        };
        assert_eq!(encode(notation::CALL_ID), Ok(vec![0x07, 0xcf]));
        assert_eq!(encode(Field::Port(1)), Err(Unencodable::Notation));
    }
}
