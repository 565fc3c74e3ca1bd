//! The NAT half: `address port`, as text.

use crate::notation;
use alloc::vec::Vec;
use core::net::SocketAddr;
use pinhole_helper_sdk::helper::{Field, NatHelper, Unencodable};

/// The NAT half.
#[derive(Clone, Copy, Debug, Default)]
pub struct ParcelNat;

impl NatHelper for ParcelNat {
    fn name(&self) -> &'static str {
        "parcel"
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
        out.extend_from_slice(alloc::format!("{} {}", endpoint.ip(), endpoint.port()).as_bytes());
        Ok(())
    }
}
