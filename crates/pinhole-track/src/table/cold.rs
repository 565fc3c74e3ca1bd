//! What only some conns have, kept beside the conns so that plain ones do not pay for it.

use crate::key::Oriented;
use crate::{ConnId, ExpectationId};
use pinhole_helper::BlindReason;
use std::num::NonZeroU32;

/// Rarely used parts of a conn.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cold {
    pub(crate) master: Option<ConnId>,
    pub(crate) expectation: Option<ExpectationId>,
    pub(crate) session: Option<u32>,
    /// Key of the reply direction, if the conn is translated.
    pub(crate) reply: Option<Oriented>,
    /// What the host keeps of the translation.
    pub(crate) translation: Option<u32>,
    pub(crate) helper: Option<u16>,
    /// Why that helper reads the conn no more.
    pub(crate) blind: Option<BlindReason>,
    /// Timeout policy; zero is the tracker's own.
    pub(crate) policy: u16,
    pub(crate) labels: [u8; 16],
}

/// Cold parts by number; numbers are reused.
#[derive(Default)]
pub(crate) struct ColdSlab {
    parts: Vec<Cold>,
    free: Vec<NonZeroU32>,
}

impl ColdSlab {
    pub(crate) fn add(&mut self) -> Option<NonZeroU32> {
        if let Some(number) = self.free.pop() {
            self.parts[Self::position(number)] = Cold::default();
            return Some(number);
        }
        self.parts.push(Cold::default());
        u32::try_from(self.parts.len()).ok().and_then(NonZeroU32::new)
    }

    pub(crate) fn remove(&mut self, number: NonZeroU32) -> Cold {
        self.free.push(number);
        self.parts[Self::position(number)]
    }

    pub(crate) fn at(&self, number: NonZeroU32) -> &Cold {
        &self.parts[Self::position(number)]
    }

    pub(crate) fn at_mut(&mut self, number: NonZeroU32) -> &mut Cold {
        &mut self.parts[Self::position(number)]
    }

    /// Bytes held.
    pub(crate) fn memory(&self) -> usize {
        self.parts.capacity() * size_of::<Cold>() + self.free.capacity() * size_of::<NonZeroU32>()
    }

    fn position(number: NonZeroU32) -> usize {
        number.get() as usize - 1
    }
}
