//! The helpers of a host, each in a slot.
//!
//! A slot's number is what the tracker, the rules and the attachments know a helper by. It stays when the helper is unloaded, and a
//! helper of the same name takes it again: rules need not be read anew. Sessions belong to the helper that began them; who takes a helper
//! out of its slot sees to its sessions (`Host::unload`).

use pinhole_helper::{Class, Helper, Name, Policy, Registry};
use std::fmt;

/// Most slots.
const SLOTS: usize = 1024;

/// The helpers of a host.
pub(crate) struct Helpers(Vec<Slot>);

struct Slot {
    name: Name,
    helper: Option<Box<dyn Helper>>,
    sessions: usize,
}

/// Why a helper cannot be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoadError {
    /// There are too many helpers.
    TooMany,
    /// Another helper answers to its name or to one of its aliases.
    NameTaken(Name),
    /// It takes another's place, whose layer-4 protocols it does not all read: rules may name them.
    Protocols,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany => write!(f, "there are {SLOTS} helpers already"),
            Self::NameTaken(other) => {
                write!(f, "helper {other} answers to its name or to one of its aliases")
            }
            Self::Protocols => {
                f.write_str("it does not read all protocols that the helper in its place reads")
            }
        }
    }
}

impl std::error::Error for LoadError {}

impl Helpers {
    pub(super) fn new(registry: Registry) -> Self {
        let slot =
            |helper: Box<dyn Helper>| Slot { name: helper.spec().name, helper: Some(helper), sessions: 0 };
        Self(registry.into_iter().take(SLOTS).map(slot).collect())
    }

    pub(super) fn number(&self, name: &str) -> Option<u16> {
        let is_called =
            |slot: &Slot| slot.helper.as_ref().is_some_and(|helper| helper.spec().is_called(name));
        u16::try_from(self.0.iter().position(is_called)?).ok()
    }

    pub(super) fn find(&self, number: u16) -> Option<&dyn Helper> {
        self.slot(number)?.helper.as_deref()
    }

    /// The name of a helper, whether it is still loaded or not.
    pub(super) fn name(&self, number: u16) -> Name {
        self.slot(number).map_or(Name::new(""), |slot| slot.name)
    }

    /// The names of all slots, in the order of their numbers.
    pub(super) fn names(&self) -> impl Iterator<Item = Name> {
        self.0.iter().map(|slot| slot.name)
    }

    pub(super) fn class(&self, number: u16, class: u8) -> Option<Class> {
        self.find(number)?.spec().classes.get(usize::from(class)).copied()
    }

    /// What of a policy a helper may make use of.
    pub(super) fn bound(&self, number: u16, policy: Policy) -> Policy {
        self.find(number).map_or(policy, |helper| helper.bound(policy))
    }

    pub(super) fn sessions(&self, number: u16) -> usize {
        self.slot(number).map_or(0, |slot| slot.sessions)
    }

    pub(super) fn session_began(&mut self, number: u16) {
        if let Some(slot) = self.0.get_mut(usize::from(number)) {
            slot.sessions += 1;
        }
    }

    pub(super) fn session_ended(&mut self, number: u16) {
        if let Some(slot) = self.0.get_mut(usize::from(number)) {
            slot.sessions = slot.sessions.saturating_sub(1);
        }
    }

    /// Puts a helper into the slot of its name, or into a new one.
    pub(super) fn load(&mut self, helper: Box<dyn Helper>) -> Result<(), LoadError> {
        let spec = helper.spec();
        let is_own = |slot: &Slot| slot.name.eq_ignore_ascii_case(&spec.name);
        let answers = |slot: &&Slot| {
            let called = |name: &str| slot.helper.as_ref().is_some_and(|other| other.spec().is_called(name));
            !is_own(slot) && (called(&spec.name) || spec.aliases.iter().any(called))
        };
        if let Some(other) = self.0.iter().find(answers) {
            return Err(LoadError::NameTaken(other.name));
        }
        if let Some(own) = self.0.iter().position(is_own).and_then(|index| self.0.get_mut(index)) {
            let reads = |protocol| spec.protocols.contains(protocol);
            if own.helper.as_ref().is_some_and(|old| !old.spec().protocols.iter().all(reads)) {
                return Err(LoadError::Protocols);
            }
            own.name = spec.name;
            own.helper = Some(helper);
            return Ok(());
        }
        if self.0.len() >= SLOTS {
            return Err(LoadError::TooMany);
        }
        self.0.push(Slot { name: spec.name, helper: Some(helper), sessions: 0 });
        Ok(())
    }

    pub(super) fn unload(&mut self, number: u16) -> Option<Box<dyn Helper>> {
        self.0.get_mut(usize::from(number))?.helper.take()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&dyn Helper, usize)> {
        self.0.iter().filter_map(|slot| Some((slot.helper.as_deref()?, slot.sessions)))
    }

    fn slot(&self, number: u16) -> Option<&Slot> {
        self.0.get(usize::from(number))
    }
}
