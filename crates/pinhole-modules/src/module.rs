//! A module: loaded once, shared by all that use it.

use crate::guest::{Guest, NotStarted};
use crate::sandbox::{self, Export};
use crate::session::ModuleSession;
use crate::{
    Allowed, Grant, Half, Limits, Manifest, ManifestError, ModuleNat, SectionError, manifest_section,
};
use pinhole_abi::exchange::{BadAreas, Function};
use pinhole_helper::{Fault, Helper, Master, Policy, Session, Spec};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How a module is to be loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadSettings {
    /// What it may use.
    pub limits: Limits,
    /// What it may ask for.
    pub allowed: Allowed,
}

/// Why a module cannot be loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModuleError {
    /// The file is too large.
    #[error("it has {size} bytes, more than {limit}")]
    TooLarge {
        /// Its bytes.
        size: usize,
        /// Most that it may have.
        limit: usize,
    },
    /// The manifest is not there.
    #[error(transparent)]
    Section(#[from] SectionError),
    /// The manifest is not in order.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// It asks for what it is not allowed.
    #[error("it asks for what it is not allowed: {}", words(.0))]
    NotAllowed(Vec<Grant>),
    /// The code is not valid, or uses features that are not allowed.
    #[error("its code is not valid here: {0}")]
    Code(String),
    /// It wants something of its host.
    #[error("it imports `{0}`; a module imports nothing")]
    Import(String),
    /// A function is missing or is of another type; or the memory is missing.
    #[error("its export `{name}` is missing or of another type than contract {} has", pinhole_abi::VERSION)]
    Export {
        /// Of that name.
        name: &'static str,
    },
    /// Its start, or its first call, failed.
    #[error("it cannot be started: {0}")]
    Start(Fault),
    /// Its areas are of no use.
    #[error(transparent)]
    Areas(#[from] BadAreas),
}

fn words(grants: &[Grant]) -> String {
    grants.iter().map(|grant| grant.name()).collect::<Vec<_>>().join(", ")
}

/// A module that was loaded. Clones are the same module.
#[derive(Clone)]
pub struct Module(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) manifest: Manifest,
    pub(crate) hash: [u8; 32],
    /// Its sessions may go on after the host was restarted.
    pub(crate) restores: bool,
    guest: Mutex<Guest>,
}

impl Shared {
    pub(crate) fn guest(&self) -> MutexGuard<'_, Guest> {
        self.guest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a module has done so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Calls of its functions.
    pub calls: u64,
    /// Fuel used by them.
    pub fuel: u64,
    /// Bytes of its instance's memory.
    pub memory: usize,
    /// Faults.
    pub faults: u32,
    /// The latest of them.
    pub latest_fault: Option<Fault>,
    /// It had too many, and is not called any more.
    pub quarantined: bool,
}

impl Module {
    /// Loads a module from the bytes of its file.
    ///
    /// # Errors
    /// It is not what it must be, or asks for what it is not allowed.
    pub fn load(bytes: &[u8], settings: &LoadSettings) -> Result<Self, ModuleError> {
        let limits = settings.limits;
        if bytes.len() > limits.file {
            return Err(ModuleError::TooLarge { size: bytes.len(), limit: limits.file });
        }
        let manifest = Manifest::parse(manifest_section(bytes)?)?;
        let not_allowed: Vec<Grant> =
            manifest.grants.asked().filter(|&grant| !settings.allowed.contains(grant)).collect();
        if !not_allowed.is_empty() {
            return Err(ModuleError::NotAllowed(not_allowed));
        }
        let code = sandbox::compile(bytes, &limits).map_err(ModuleError::Code)?;
        if let Some(import) = code.import() {
            return Err(ModuleError::Import(import.chars().filter(|c| !c.is_control()).collect()));
        }
        if !code.has_memory() {
            return Err(ModuleError::Export { name: "memory" });
        }
        for function in Function::ALL {
            let needed = match function {
                Function::Exchange => true,
                Function::Attach | Function::Read => manifest.half == Half::Conntrack,
                Function::Encode => manifest.half == Half::Nat,
                Function::PickUp | Function::Resynchronise | Function::MayAnnounce | Function::Restore => {
                    false
                }
            };
            let export = code.export(function);
            if export == Export::Wrong || needed && export == Export::Absent {
                return Err(ModuleError::Export { name: function.name() });
            }
        }
        let restores = code.export(Function::Restore) == Export::Right;
        let guest = Guest::new(code, limits).map_err(|why| match why {
            NotStarted::Fault(fault) => ModuleError::Start(fault),
            NotStarted::Areas(bad) => ModuleError::Areas(bad),
        })?;
        let hash = Sha256::digest(bytes).into();
        Ok(Self(Arc::new(Shared { manifest, hash, restores, guest: Mutex::new(guest) })))
    }

    /// What it says about itself.
    pub fn manifest(&self) -> &Manifest {
        &self.0.manifest
    }

    /// SHA-256 of its file, in hexadecimal digits.
    pub fn hash(&self) -> String {
        self.0.hash.iter().fold(String::new(), |mut text, byte| {
            // Writing into memory does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// What it has done so far.
    pub fn status(&self) -> Status {
        let mut guest = self.0.guest();
        let counts = guest.counts();
        Status {
            calls: counts.calls,
            fuel: counts.fuel,
            memory: guest.memory(),
            faults: counts.faults,
            latest_fault: counts.latest_fault,
            quarantined: guest.is_quarantined(),
        }
    }

    /// The helper, if it is a conntrack half.
    pub fn helper(&self) -> Option<ModuleHelper> {
        (self.0.manifest.half == Half::Conntrack).then(|| ModuleHelper(Arc::clone(&self.0)))
    }

    /// The NAT half, if it is one.
    pub fn nat(&self) -> Option<ModuleNat> {
        (self.0.manifest.half == Half::Nat).then(|| ModuleNat(Arc::clone(&self.0)))
    }
}

/// A module that reads conns.
pub struct ModuleHelper(Arc<Shared>);

impl Helper for ModuleHelper {
    fn spec(&self) -> &Spec {
        &self.0.manifest.spec
    }

    fn attach(&self, master: &Master, policy: &Policy) -> Box<dyn Session> {
        Box::new(ModuleSession::new(Arc::clone(&self.0), master, &self.bound(*policy)))
    }

    fn restore(&self, saved: &[u8]) -> Option<Box<dyn Session>> {
        Some(Box::new(ModuleSession::restore(Arc::clone(&self.0), saved)?))
    }

    fn introduces(&self, class: u8) -> bool {
        self.0.manifest.grants.introduces.contains(&class)
    }

    fn bound(&self, policy: Policy) -> Policy {
        let grants = &self.0.manifest.grants;
        Policy {
            third_party: policy.third_party && grants.third_party,
            // Whoever allowed it when the module was loaded meant these ports; no other policy names them.
            lowest_port: if grants.privileged_ports { 1 } else { policy.lowest_port.max(1024) },
            any_caller: policy.any_caller && grants.any_source,
            // A module introduces by its classes, if that was granted.
            introductions: false,
            ..policy
        }
    }
}
