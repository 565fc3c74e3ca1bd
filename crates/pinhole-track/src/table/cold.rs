//! What only some conns have, kept beside the conns so that plain ones do not pay for it.

use super::chunks::Chunks;
use crate::key::Oriented;
use crate::{ConnId, ExpectationId};
use pinhole_helper::BlindReason;
use std::num::NonZeroU32;

/// What packets of a translated conn need besides the conn itself, if it is not of IPv4.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cold {
    /// The key of the reply direction.
    wide: Option<NonZeroU32>,
    /// What the host keeps of the translation, if it is not in the conn.
    pub(crate) translation: Option<u32>,
    /// What even most of the translated conns do not have.
    rare: Option<NonZeroU32>,
}

/// Rarely used parts of a conn.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rare {
    pub(crate) session: Option<u32>,
    pub(crate) helper: Option<u16>,
    /// Why that helper reads the conn no more.
    pub(crate) blind: Option<BlindReason>,
    /// Timeout policy; zero is the tracker's own.
    pub(crate) policy: u16,
    pub(crate) master: Option<ConnId>,
    pub(crate) expectation: Option<ExpectationId>,
    pub(crate) labels: [u8; 16],
}

impl Rare {
    fn is_left_alone(&self) -> bool {
        self.session.is_none() && self.helper.is_none() && self.policy == 0
    }
}

/// Parts of a chunk.
const CHUNK: usize = 256;

/// Cold parts by number.
#[derive(Default)]
pub(crate) struct ColdSlab {
    parts: Parts<Cold>,
    wide: Parts<Oriented>,
    rare: Parts<Rare>,
}

impl ColdSlab {
    /// Whether there is no cold part.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.parts.parts.len() as usize == self.parts.free.len()
    }

    /// Adds a cold part; `None` if there are 2^32 already.
    pub(crate) fn add(&mut self) -> Option<NonZeroU32> {
        self.parts.add(Cold::default())
    }

    /// Takes a cold part out: what the host keeps of the translation, and the rare parts.
    pub(crate) fn remove(&mut self, number: NonZeroU32) -> (Option<u32>, Rare) {
        let Cold { wide, translation, rare } = self.parts.remove(number);
        if let Some(wide) = wide {
            self.wide.remove(wide);
        }
        (translation, rare.map(|rare| self.rare.remove(rare)).unwrap_or_default())
    }

    /// Sets the key of the reply direction; `None` if there are 2^32 already.
    pub(crate) fn set_reply(&mut self, number: NonZeroU32, reply: &Oriented) -> Option<()> {
        match self.at(number).wide {
            Some(wide) => *self.wide.at_mut(wide) = *reply,
            None => self.at_mut(number).wide = Some(self.wide.add(*reply)?),
        }
        Some(())
    }

    /// The key of the reply direction, if it is here.
    pub(crate) fn reply(&self, number: NonZeroU32) -> Option<Oriented> {
        self.at(number).wide.map(|wide| *self.wide.at(wide))
    }

    #[inline]
    pub(crate) fn at(&self, number: NonZeroU32) -> &Cold {
        self.parts.at(number)
    }

    #[inline]
    pub(crate) fn at_mut(&mut self, number: NonZeroU32) -> &mut Cold {
        self.parts.at_mut(number)
    }

    #[inline]
    pub(crate) fn rare(&self, number: NonZeroU32) -> Option<&Rare> {
        self.at(number).rare.map(|rare| self.rare.at(rare))
    }

    /// Nobody reads the conn that this is of, and it follows the tracker's own timeouts.
    #[inline]
    pub(crate) fn is_left_alone(&self, number: NonZeroU32) -> bool {
        self.rare(number).is_none_or(Rare::is_left_alone)
    }

    /// The rare parts, made if there are none; `None` if there are 2^32 already.
    pub(crate) fn rare_mut(&mut self, number: NonZeroU32) -> Option<&mut Rare> {
        let cold = self.parts.at_mut(number);
        if cold.rare.is_none() {
            cold.rare = self.rare.add(Rare::default());
        }
        cold.rare.map(|rare| self.rare.at_mut(rare))
    }

    /// Bytes held.
    pub(crate) fn memory(&self) -> usize {
        self.parts.memory() + self.wide.memory() + self.rare.memory()
    }
}

/// Things by number; numbers are reused.
struct Parts<T> {
    parts: Chunks<T, CHUNK>,
    free: Vec<NonZeroU32>,
}

impl<T> Default for Parts<T> {
    fn default() -> Self {
        Self { parts: Chunks::default(), free: Vec::new() }
    }
}

impl<T: Copy> Parts<T> {
    fn add(&mut self, part: T) -> Option<NonZeroU32> {
        if let Some(number) = self.free.pop() {
            *self.at_mut(number) = part;
            return Some(number);
        }
        if self.parts.len() == u32::MAX {
            return None;
        }
        NonZeroU32::new(self.parts.push(part) + 1)
    }

    fn remove(&mut self, number: NonZeroU32) -> T {
        self.free.push(number);
        *self.at(number)
    }

    #[inline]
    fn at(&self, number: NonZeroU32) -> &T {
        &self.parts[number.get() - 1]
    }

    fn at_mut(&mut self, number: NonZeroU32) -> &mut T {
        &mut self.parts[number.get() - 1]
    }

    fn memory(&self) -> usize {
        self.parts.memory() + self.free.capacity() * size_of::<NonZeroU32>()
    }
}
