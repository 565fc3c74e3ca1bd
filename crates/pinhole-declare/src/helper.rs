//! A declaration as a helper.

use crate::declaration::{Declaration, Need};
use crate::nat::DeclaredNat;
use crate::session::DeclaredSession;
use pinhole_helper::{Helper, Master, Policy, Session, Spec};
use std::sync::Arc;

/// A helper that does what a [`Declaration`] says. Whoever makes one has allowed what the declaration [needs](Declaration::needs).
#[derive(Debug)]
pub struct Declared {
    declaration: Arc<Declaration>,
    spec: Spec,
}

impl Declared {
    /// The helper of a declaration.
    pub fn new(declaration: Declaration) -> Self {
        Self { spec: declaration.describe(), declaration: Arc::new(declaration) }
    }

    /// Its NAT half.
    pub fn nat(&self) -> DeclaredNat {
        DeclaredNat::new(self.spec.name)
    }
}

impl Helper for Declared {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn attach(&self, _master: &Master, _policy: &Policy) -> Box<dyn Session> {
        Box::new(DeclaredSession::new(Arc::clone(&self.declaration)))
    }

    fn introduces(&self, class: u8) -> bool {
        let expected = self.declaration.expected.get(usize::from(class));
        expected.is_some_and(|expected| expected.needs(Need::Introduce))
    }

    /// Privileged ports were allowed when it was loaded; each kind of expected conn has its own bounds besides.
    fn bound(&self, policy: Policy) -> Policy {
        let privileged = self.declaration.needs().any(|need| need == Need::PrivilegedPorts);
        Policy { lowest_port: if privileged { 1 } else { policy.lowest_port }, ..policy }
    }
}
