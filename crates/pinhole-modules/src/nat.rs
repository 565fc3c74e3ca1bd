//! The NAT half of a helper, as a module.

use crate::module::Shared;
use pinhole_abi::record;
use pinhole_helper::{Field, NatHelper, Unencodable};
use std::net::SocketAddr;
use std::sync::Arc;

/// A module that writes endpoints.
pub struct ModuleNat(pub(crate) Arc<Shared>);

impl NatHelper for ModuleNat {
    fn name(&self) -> &str {
        &self.0.manifest.spec.name
    }

    fn encode(
        &self,
        field: Field,
        endpoint: SocketAddr,
        old: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Unencodable> {
        let field = record::field(field).ok_or(Unencodable::Notation)?;
        match self.0.guest().encode(field, endpoint, old, out) {
            Ok(0) => Ok(()),
            Ok(2) => Err(Unencodable::AddressFamily),
            // A fault is as if it could not be written; the module's status counts it.
            Ok(_) | Err(_) => Err(Unencodable::Notation),
        }
    }
}
