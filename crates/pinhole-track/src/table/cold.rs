//! What only some conns have, kept beside the conns so that plain ones do not pay for it.

use super::chunks::Chunks;
use crate::key::Oriented;
use crate::{ConnId, ExpectationId};
use pinhole_helper::BlindReason;
use std::num::NonZeroU32;

/// Rarely used parts of a conn. What every packet of a translated conn reads comes first, in one cache line.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
pub(crate) struct Cold {
    /// Key of the reply direction, if the conn is translated.
    pub(crate) reply: Option<Oriented>,
    pub(crate) session: Option<u32>,
    pub(crate) helper: Option<u16>,
    /// Why that helper reads the conn no more.
    pub(crate) blind: Option<BlindReason>,
    /// Timeout policy; zero is the tracker's own.
    pub(crate) policy: u16,
    /// What the host keeps of the translation.
    pub(crate) translation: Option<u32>,
    pub(crate) master: Option<ConnId>,
    pub(crate) expectation: Option<ExpectationId>,
    pub(crate) labels: [u8; 16],
}

const _: () = assert!(size_of::<Cold>() == 128);

impl Cold {
    /// Nobody reads the conn, and it follows the tracker's own timeouts.
    #[inline]
    pub(crate) fn is_left_alone(&self) -> bool {
        self.session.is_none() && self.helper.is_none() && self.policy == 0
    }
}

/// Parts of a chunk.
const CHUNK: usize = 256;

/// Cold parts by number; numbers are reused.
#[derive(Default)]
pub(crate) struct ColdSlab {
    parts: Chunks<Cold, CHUNK>,
    free: Vec<NonZeroU32>,
}

impl ColdSlab {
    pub(crate) fn add(&mut self) -> Option<NonZeroU32> {
        if let Some(number) = self.free.pop() {
            self.parts[Self::position(number)] = Cold::default();
            return Some(number);
        }
        if self.parts.len() == u32::MAX {
            return None;
        }
        NonZeroU32::new(self.parts.push(Cold::default()) + 1)
    }

    pub(crate) fn remove(&mut self, number: NonZeroU32) -> Cold {
        self.free.push(number);
        self.parts[Self::position(number)]
    }

    #[inline]
    pub(crate) fn at(&self, number: NonZeroU32) -> &Cold {
        &self.parts[Self::position(number)]
    }

    pub(crate) fn at_mut(&mut self, number: NonZeroU32) -> &mut Cold {
        &mut self.parts[Self::position(number)]
    }

    /// Bytes held.
    pub(crate) fn memory(&self) -> usize {
        self.parts.memory() + self.free.capacity() * size_of::<NonZeroU32>()
    }

    const fn position(number: NonZeroU32) -> u32 {
        number.get() - 1
    }
}
