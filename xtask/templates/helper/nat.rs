//! The NAT half of Newcomer: `address port`, as text.

use super::notation;
use pinhole_helper::{Field, NatHelper, Unencodable};
use std::io::Write;
use std::net::SocketAddr;

/// The NAT half of [`super::Newcomer`].
#[derive(Clone, Copy, Debug, Default)]
pub struct NewcomerNat;

impl NatHelper for NewcomerNat {
    fn name(&self) -> &'static str {
        "newcomer"
    }

    fn encode(
        &self,
        field: Field,
        endpoint: SocketAddr,
        _old: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Unencodable> {
        if field != notation::TEXT {
            return Err(Unencodable::Notation);
        }
        // Writing into memory does not fail.
        let _ = write!(out, "{} {}", endpoint.ip(), endpoint.port());
        Ok(())
    }
}
