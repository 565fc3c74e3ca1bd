//! Translated conns: those whose reply tuple is not the inverse of their original one.
//!
//! A reply tuple is set before the conn is confirmed and stays for its life. From confirmation to its end a translated conn has two
//! entries in the index, one for each tuple, and no packet but those that bear one of the two is its own. No two conns share a
//! tuple: [`Tracker::confirm`] refuses the later one, and [`Tracker::is_taken`] tells before.

use super::Tracker;
use crate::key::Oriented;
use crate::{ConnId, Status, Tuple};
use pinhole_wire::{Direction, Time};
use std::num::NonZeroU32;

/// The status bits of a conn whose first packet came and leaves so. It has ports.
pub(super) fn translated_ends(came: &Oriented, leaving: &Tuple) -> Status {
    let came = came.tuple_with_ports();
    let mut ends = Status::empty();
    let source = (came.source, came.source_port);
    ends.set(Status::SRC_NAT, source != (leaving.source, leaving.source_port));
    let destination = (came.destination, came.destination_port);
    ends.set(Status::DST_NAT, destination != (leaving.destination, leaving.destination_port));
    ends
}

/// No packet of the conn can have this tuple.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the tuple cannot be that of the connection's replies")]
pub struct BadReply;

impl Tracker {
    /// Gives an unconfirmed conn the tuple that its replies will bear, and the status bits that say which of its ends are translated.
    /// Whether another conn bears it is found out by [`confirm`](Self::confirm).
    ///
    /// # Errors
    /// [`BadReply`]: the tuple is not of the conn's kind, or its own original one, or the conn is confirmed. Nothing has changed then.
    pub fn set_reply(&mut self, id: ConnId, reply: &Tuple) -> Result<(), BadReply> {
        let index = self.resolve(id).ok_or(BadReply)?;
        let entry = &self.conns[index];
        let (original, wanted) = (entry.original(), Oriented::of(reply).ok_or(BadReply)?);
        let plain = original.inverse().tuple();
        let same_kind =
            (plain.version, plain.protocol, plain.zone) == (reply.version, reply.protocol, reply.zone);
        let is_late = entry.status().intersects(Status::CONFIRMED | Status::DYING);
        if is_late || wanted == original || !same_kind {
            return Err(BadReply);
        }
        // The identifier of an ICMP query stands in one place both ways, and counts as the source's.
        let ends = |tuple: &Tuple| match original.is_query() {
            true => ((tuple.destination, tuple.source_port), (tuple.source, tuple.destination_port)),
            false => ((tuple.destination, tuple.destination_port), (tuple.source, tuple.source_port)),
        };
        let ((source, destination), (plain_source, plain_destination)) = (ends(reply), ends(&plain));
        let mut translated = Status::empty();
        translated.set(Status::SRC_NAT, source != plain_source);
        translated.set(Status::DST_NAT, destination != plain_destination);
        if wanted.key.is_v4() {
            self.conns[index].set_reply_v4(Some(&wanted).filter(|_| !translated.is_empty()));
        } else if !translated.is_empty() {
            self.cold_mut(index).ok_or(BadReply)?;
            let number = self.conns[index].cold.ok_or(BadReply)?;
            self.cold.set_reply(number, &wanted).ok_or(BadReply)?;
        }
        self.conns[index].set_translated(translated);
        Ok(())
    }

    /// A cold part with this reply tuple; `None` if there are 2^32 already.
    pub(super) fn add_reply(&mut self, reply: &Oriented) -> Option<NonZeroU32> {
        let number = self.cold.add()?;
        if self.cold.set_reply(number, reply).is_none() {
            self.cold.remove(number);
            return None;
        }
        Some(number)
    }

    /// Whether a confirmed conn bears this tuple in one of its directions, so that no other may.
    pub fn is_taken(&mut self, now: Time, tuple: &Tuple) -> bool {
        Oriented::of(tuple).is_none_or(|oriented| self.is_held(now, &oriented))
    }

    /// Whether a confirmed conn bears the tuple of the answers to packets that bear this one.
    pub fn is_answer_taken(&mut self, now: Time, tuple: &Tuple) -> bool {
        Oriented::of(tuple).is_none_or(|oriented| self.is_held(now, &oriented.inverse()))
    }

    pub(super) fn is_held(&mut self, now: Time, oriented: &Oriented) -> bool {
        if self.vacant.is_some_and(|(vacant, _)| vacant == *oriented) {
            return false;
        }
        let tag = self.tag(oriented);
        let found = self.find(now, oriented, tag);
        if found.is_none() {
            self.vacant = Some((*oriented, tag));
        }
        found.is_some()
    }

    /// The tag of a key that was found to be nobody's just now.
    #[inline]
    pub(super) fn tag_of_vacant(&self, oriented: &Oriented) -> u32 {
        match self.vacant {
            Some((vacant, tag)) if vacant == *oriented => tag,
            _ => self.tag(oriented),
        }
    }

    /// The conn whose packets bear this tuple, and the direction of these.
    pub fn conn_of(&self, tuple: &Tuple) -> Option<(ConnId, Direction)> {
        let oriented = Oriented::of(tuple)?;
        let index = self.index.find(self.tag(&oriented), |index| self.is_of(index, &oriented))?;
        Some((self.id(index), self.direction_of(index, &oriented)))
    }

    /// Whether there are translated conns.
    #[inline]
    pub const fn translates(&self) -> bool {
        self.translated > 0
    }

    /// Whether there are conns of which something is kept beside them.
    #[inline]
    pub fn keeps_apart(&self) -> bool {
        !self.cold.is_empty()
    }

    /// Whether packets of this conn are translated.
    #[inline]
    pub fn is_translated(&self, id: ConnId) -> bool {
        self.resolve(id).is_some_and(|index| self.conns[index].is_translated())
    }

    /// What the host keeps of the conn's translation.
    #[inline]
    pub fn translation(&self, id: ConnId) -> Option<u32> {
        let index = self.resolve(id)?;
        self.conns[index].kept().or_else(|| self.cold(index)?.translation)
    }

    /// Sets what the host keeps of the conn's translation: a number that says all, or that stands for something. Numbers below seven take no memory
    /// beside the conn, if it is of IPv4. A conn that ends with it is delivered by [`Self::take_dead`].
    pub fn set_translation(&mut self, id: ConnId, translation: Option<u32>) {
        let Some(index) = self.resolve(id) else { return };
        let is_here = self.conns[index].keep(translation);
        let apart = translation.filter(|_| !is_here);
        if (apart.is_some() || self.conns[index].cold.is_some())
            && let Some(cold) = self.cold_mut(index)
        {
            cold.translation = apart;
        }
    }

    /// The conn's sequence numbers are adjusted from now on: [`Self::follow`] gives its packets back until their acknowledgements
    /// were put into the numbers of their receiver.
    pub fn set_adjusted(&mut self, id: ConnId) {
        if let Some(index) = self.resolve(id).filter(|&index| self.conns[index].is_translated()) {
            self.conns[index].insert_status(Status::SEQ_ADJUST);
        }
    }

    /// The reply direction's own key, if the conn is translated.
    pub(super) fn own_reply(&self, index: u32) -> Option<Oriented> {
        let entry = &self.conns[index];
        if !entry.is_translated() {
            return None;
        }
        entry.reply_v4().or_else(|| self.cold.reply(entry.cold?))
    }

    /// The key of the reply direction.
    pub(super) fn reply_key(&self, index: u32) -> Oriented {
        self.own_reply(index).unwrap_or_else(|| self.conns[index].original().inverse())
    }

    /// Whether a packet with this key is of this conn.
    #[inline(always)]
    pub(super) fn is_of(&self, index: u32, oriented: &Oriented) -> bool {
        let entry = &self.conns[index];
        if entry.is_translated() {
            self.is_of_translated(index, oriented)
        } else {
            entry.is_keyed(&oriented.key)
        }
    }

    #[inline(never)]
    fn is_of_translated(&self, index: u32, oriented: &Oriented) -> bool {
        self.conns[index].original() == *oriented || self.own_reply(index) == Some(*oriented)
    }

    /// Direction of a packet with this key in its conn.
    #[inline(always)]
    pub(super) fn direction_of(&self, index: u32, oriented: &Oriented) -> Direction {
        let entry = &self.conns[index];
        if entry.is_translated() && entry.original() != *oriented {
            return Direction::Reply;
        }
        entry.direction(oriented.flipped)
    }
}
