//! The NAT half: how an endpoint is written.

use crate::notation;
use alloc::vec::Vec;
use core::net::SocketAddr;
use pinhole_helper_sdk::helper::{Field, NatHelper, Unencodable};

/// The NAT half.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nat;

impl NatHelper for Nat {
    fn name(&self) -> &'static str {
        "NAME"
    }

    fn encode(
        &self,
        field: Field,
        endpoint: SocketAddr,
        _old: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Unencodable> {
        if field != notation::DIGITS {
            return Err(Unencodable::Notation);
        }
        out.extend_from_slice(alloc::format!("{}", endpoint.port()).as_bytes());
        Ok(())
    }
}
