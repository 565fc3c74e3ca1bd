//! Translated conns: those whose reply tuple is not the inverse of their original one.
//!
//! A reply tuple is set before the conn is confirmed and stays for its life. From confirmation to its end a translated conn has two
//! entries in the index, one for each tuple, and no packet but those that bear one of the two is its own. No two conns share a
//! tuple: [`Tracker::confirm`] refuses the later one, and [`Tracker::is_taken`] tells before.

use super::Tracker;
use crate::key::Oriented;
use crate::{ConnId, Status, Tuple};
use pinhole_wire::{Direction, Time};

/// The tuple belongs to another conn, or no packet can have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the tuple is another connection's, or nobody's")]
pub struct TupleTaken;

impl Tracker {
    /// Gives an unconfirmed conn the tuple that its replies will bear, and the status bits that say which of its ends are translated.
    ///
    /// # Errors
    /// [`TupleTaken`]: the tuple is not of the conn's kind, is its own original one, or another conn's. Nothing has changed then.
    pub fn set_reply(&mut self, now: Time, id: ConnId, reply: &Tuple) -> Result<(), TupleTaken> {
        let index = self.resolve(id).ok_or(TupleTaken)?;
        let entry = &self.conns[index];
        if entry.status().intersects(Status::CONFIRMED | Status::DYING) {
            return Err(TupleTaken);
        }
        let (original, wanted) = (entry.original(), Oriented::of(reply).ok_or(TupleTaken)?);
        let same_kind =
            |a: &Tuple| (a.version, a.protocol, a.zone) == (reply.version, reply.protocol, reply.zone);
        if wanted == original || !same_kind(&original.tuple()) || self.is_held(now, &wanted) {
            return Err(TupleTaken);
        }
        let plain = original.inverse().tuple();
        let is_query = original.is_query();
        let source = (reply.destination, if is_query { reply.source_port } else { reply.destination_port });
        let plain_source =
            (plain.destination, if is_query { plain.source_port } else { plain.destination_port });
        let destination = (reply.source, if is_query { 0 } else { reply.source_port });
        let plain_destination = (plain.source, if is_query { 0 } else { plain.source_port });
        let mut status = Status::SRC_NAT_DONE | Status::DST_NAT_DONE;
        status.set(Status::SRC_NAT, source != plain_source);
        status.set(Status::DST_NAT, destination != plain_destination);
        if status.intersects(Status::SRC_NAT | Status::DST_NAT) {
            self.cold_mut(index).ok_or(TupleTaken)?.reply = Some(wanted);
        }
        self.conns[index].insert_status(status);
        Ok(())
    }

    /// Whether a confirmed conn bears this tuple in one of its directions, so that no other may.
    pub fn is_taken(&mut self, now: Time, tuple: &Tuple) -> bool {
        Oriented::of(tuple).is_none_or(|oriented| self.is_held(now, &oriented))
    }

    pub(super) fn is_held(&mut self, now: Time, oriented: &Oriented) -> bool {
        let tag = self.tag(oriented);
        self.find(now, oriented, tag).is_some()
    }

    /// The conn whose packets bear this tuple, and the direction of these.
    pub fn conn_of(&self, tuple: &Tuple) -> Option<(ConnId, Direction)> {
        let oriented = Oriented::of(tuple)?;
        let index = self.index.find(self.tag(&oriented), |index| self.is_of(index, &oriented))?;
        Some((self.id(index), self.direction_of(index, &oriented)))
    }

    /// Whether packets of this conn are translated.
    #[inline]
    pub fn is_translated(&self, id: ConnId) -> bool {
        self.resolve(id).is_some_and(|index| self.conns[index].is_translated())
    }

    /// What the host keeps of the conn's translation.
    #[inline]
    pub fn translation(&self, id: ConnId) -> Option<u32> {
        self.cold(self.resolve(id)?)?.translation
    }

    /// Sets what the host keeps of the conn's translation. A conn that ends with it is delivered by [`Self::take_dead`].
    pub fn set_translation(&mut self, id: ConnId, translation: Option<u32>) {
        let Some(index) = self.resolve(id) else { return };
        if let Some(cold) = self.cold_mut(index) {
            cold.translation = translation;
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
        if self.conns[index].is_translated() { self.cold(index)?.reply } else { None }
    }

    /// The key of the reply direction.
    pub(super) fn reply_key(&self, index: u32) -> Oriented {
        self.own_reply(index).unwrap_or_else(|| self.conns[index].original().inverse())
    }

    /// Whether a packet with this key is of this conn.
    #[inline(always)]
    pub(super) fn is_of(&self, index: u32, oriented: &Oriented) -> bool {
        let entry = &self.conns[index];
        if entry.is_translated() { self.is_of_translated(index, oriented) } else { entry.key == oriented.key }
    }

    #[cold]
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
