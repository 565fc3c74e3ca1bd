//! The NAT half of every declared helper: it knows notations, and all of them.

use crate::notation;
use pinhole_helper::{Field, Name, NatHelper, Unencodable};
use std::net::SocketAddr;

/// The NAT half of a [`Declared`](crate::Declared) helper.
#[derive(Clone, Copy, Debug)]
pub struct DeclaredNat {
    name: Name,
}

impl DeclaredNat {
    pub(crate) fn new(name: Name) -> Self {
        Self { name }
    }
}

impl NatHelper for DeclaredNat {
    fn name(&self) -> &str {
        &self.name
    }

    fn encode(
        &self,
        field: Field,
        endpoint: SocketAddr,
        old: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Unencodable> {
        notation::encode(field, endpoint, old, out)
    }
}
