//! Helpers that come and go while the engine runs.

use super::{Engine, Moment, push};
use crate::host::LoadError;
use pinhole_helper::{Helper, NatHelper};
use pinhole_wire::Time;
use std::fmt;

/// Why a helper cannot be unloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnloadError {
    /// No loaded helper answers to the name.
    Unknown,
    /// That many sessions are reading.
    InUse(usize),
}

impl fmt::Display for UnloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("no such helper is loaded"),
            Self::InUse(1) => f.write_str("it is in use by a session"),
            Self::InUse(sessions) => write!(f, "it is in use by {sessions} sessions"),
        }
    }
}

impl std::error::Error for UnloadError {}

impl Engine {
    /// Loads a helper: rules may name it from now on. One of the same name gives way; its sessions go on with what they began with, conns
    /// that begin from now on are read by the new one.
    ///
    /// # Errors
    /// Its names are another's, or it cannot take the place that its name has.
    pub fn load(&mut self, helper: impl Helper + 'static) -> Result<(), LoadError> {
        self.load_boxed(Box::new(helper))
    }

    /// As [`load`](Self::load), of a helper out of a registry.
    ///
    /// # Errors
    /// The same.
    pub fn load_boxed(&mut self, helper: Box<dyn Helper>) -> Result<(), LoadError> {
        self.host.load(helper)
    }

    /// Unloads a helper. With `force` also one that sessions use: they are blind, and their conns and expectations stay. Answers how many
    /// they were.
    ///
    /// # Errors
    /// There is none, or it is in use and `force` is not set.
    pub fn unload(&mut self, now: Time, name: &str, force: bool) -> Result<usize, UnloadError> {
        let at = Moment { packet: 0, time: now };
        let Self { events, max_events, statistics, host, tracker, .. } = self;
        let mut tell = |event| push(events, *max_events, statistics, event);
        host.unload(at, tracker, name, force, &mut tell)
    }

    /// Loads the NAT half of a helper. One for the same helper gives way at once, also in conns that it has rewritten.
    pub fn load_nat(&mut self, half: impl NatHelper + 'static) {
        self.nat.halves.load(Box::new(half));
    }

    /// Unloads the NAT half of a helper: what its conns announce is not rewritten any more. `false`: there is none.
    pub fn unload_nat(&mut self, helper: &str) -> bool {
        self.nat.halves.unload(helper)
    }

    /// Names of the helpers whose NAT halves are loaded.
    pub fn nat_helpers(&self) -> impl Iterator<Item = &str> {
        self.nat.halves.iter().map(NatHelper::name)
    }
}
