//! What only some conns have, kept beside the conns so that plain ones do not pay for it.

use super::chunks::Chunks;
use crate::key::{Key, Oriented};
use crate::{ConnId, ExpectationId};
use pinhole_helper::BlindReason;
use std::num::NonZeroU32;

/// What packets of a translated conn need besides the conn itself: half a cache line.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(32))]
pub(crate) struct Cold {
    /// Of the key of the reply direction: both addresses of IPv4, as [`Oriented::addresses_v4`] has them, or else the number of the wide ones.
    addresses: u64,
    ports: u32,
    /// `None`: there is no such key.
    flipped: Option<bool>,
    /// What the host keeps of the translation.
    pub(crate) translation: Option<u32>,
    /// What even most of the translated conns do not have.
    rare: Option<NonZeroU32>,
}

const _: () = assert!(size_of::<Cold>() == 32);

impl Cold {
    /// The key of the reply direction of an IPv4 conn with this key.
    #[inline(always)]
    pub(crate) fn reply_v4(&self, own: &Key) -> Option<Oriented> {
        Some(Oriented::of_v4(self.addresses, self.ports, own, self.flipped?))
    }
}

/// The addresses of the key of a reply direction, if they are not of IPv4.
type Wide = [u64; 4];

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
    wide: Parts<Wide>,
    rare: Parts<Rare>,
}

impl ColdSlab {
    /// Adds a cold part; `None` if there are 2^32 already.
    pub(crate) fn add(&mut self) -> Option<NonZeroU32> {
        self.parts.add(Cold::default())
    }

    /// Takes the cold part of a conn with this key out: what the host keeps of the translation, and the rare parts.
    pub(crate) fn remove(&mut self, number: NonZeroU32, own: &Key) -> (Option<u32>, Rare) {
        if let Some(wide) = self.wide_number(number, own) {
            self.wide.remove(wide);
        }
        let Cold { translation, rare, .. } = self.parts.remove(number);
        (translation, rare.map(|rare| self.rare.remove(rare)).unwrap_or_default())
    }

    /// Sets the key of the reply direction, which is of the conn's kind; `None` if there are 2^32 already.
    pub(crate) fn set_reply(&mut self, number: NonZeroU32, reply: &Oriented) -> Option<()> {
        let addresses = if reply.key.is_v4() {
            reply.addresses_v4()
        } else {
            let [a, b, c, d, _] = reply.key.0;
            let wide = match self.wide_number(number, &reply.key) {
                Some(wide) => wide,
                None => self.wide.add(Wide::default())?,
            };
            *self.wide.at_mut(wide) = [a, b, c, d];
            wide.get().into()
        };
        let cold = self.parts.at_mut(number);
        cold.addresses = addresses;
        cold.ports = reply.key.ports();
        cold.flipped = Some(reply.flipped);
        Some(())
    }

    /// The key of the reply direction of a conn with this key, if it has one.
    pub(crate) fn reply(&self, number: NonZeroU32, own: &Key) -> Option<Oriented> {
        let cold = self.at(number);
        match self.wide_number(number, own) {
            None => cold.reply_v4(own),
            Some(wide) => {
                let [a, b, c, d] = *self.wide.at(wide);
                Some(Oriented { key: own.with([a, b, c, d], cold.ports), flipped: cold.flipped? })
            }
        }
    }

    /// Where the addresses of the reply direction's key are, if there is one and it is not of IPv4.
    fn wide_number(&self, number: NonZeroU32, own: &Key) -> Option<NonZeroU32> {
        let cold = self.at(number);
        let is_wide = cold.flipped.is_some() && !own.is_v4();
        if is_wide { NonZeroU32::new(cold.addresses as u32) } else { None }
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
    pub(crate) fn is_left_alone(&self, cold: &Cold) -> bool {
        cold.rare.is_none_or(|rare| self.rare.at(rare).is_left_alone())
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
