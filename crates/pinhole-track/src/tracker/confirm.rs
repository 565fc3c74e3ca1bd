//! The end of an unconfirmed conn: confirmed or abandoned.

use super::Tracker;
use crate::event::Event;
use crate::{ConnId, Status};
use pinhole_wire::Time;

impl Tracker {
    /// The first packet survived: the conn enters the table, its expectation is consumed.
    ///
    /// `false`: meanwhile another conn with the same tuple was confirmed, or took the expectation. Then this conn is abandoned, and the
    /// packet is to be dropped. netfilter consumes an expectation at lookup; here a first packet that the rules drop leaves it.
    pub fn confirm(&mut self, now: Time, id: ConnId) -> bool {
        let Some(index) = self.resolve(id) else { return false };
        if self.conns[index].status().intersects(Status::CONFIRMED | Status::DYING) {
            return false;
        }
        let tag = match self.fresh.take() {
            // No conn was entered since this one was not found.
            Some((fresh, tag)) if fresh == index => tag,
            _ => {
                let original = self.conns[index].original();
                let tag = self.tag(&original);
                if self.find(now, &original, tag).is_some() {
                    self.statistics.clash += 1;
                    self.discard(index);
                    return false;
                }
                tag
            }
        };
        let reply = self.own_reply(index);
        if (reply.is_some() || self.translated > 0) && self.is_held(now, &self.reply_key(index)) {
            self.statistics.clash += 1;
            self.discard(index);
            return false;
        }
        if let Some(expectation) = self.rare(index).and_then(|rare| rare.expectation) {
            if !self.expectations.fulfil(now, expectation) {
                self.statistics.clash += 1;
                self.discard(index);
                return false;
            }
            self.statistics.expect_hit += 1;
            self.tell_expectations_ended();
        }
        let reply_tag = reply.map(|reply| self.tag_of_vacant(&reply));
        self.insert(tag, index);
        if let Some(tag) = reply_tag {
            self.insert(tag, index);
            self.translated += 1;
        }
        self.conns[index].insert_status(Status::CONFIRMED);
        self.park(index);
        self.tell_new(now, index);
        true
    }

    /// Enters a conn into the index: what was vacant may be so no more.
    #[inline]
    pub(super) fn insert(&mut self, tag: u32, index: u32) {
        self.vacant = None;
        self.index.insert(tag, index);
    }

    /// A conn is in the table from now on: it will end when its time is up.
    pub(super) fn park(&mut self, index: u32) {
        let deadline = self.conns[index].deadline;
        self.wheel.park(&mut self.conns, index, deadline);
        self.quiet_until = self.quiet_until.min(self.wheel.quiet_until());
    }

    #[inline]
    pub(super) fn tell_new(&mut self, now: Time, index: u32) {
        self.statistics.new += 1;
        if self.settings.events {
            let conn = self.photograph(now, index);
            self.tell(Event::New(Box::new(conn)));
        }
    }

    /// The first packet did not survive: the conn never was. Does nothing to a confirmed conn.
    pub fn abandon(&mut self, id: ConnId) {
        let Some(index) = self.resolve(id) else { return };
        if !self.conns[index].status().intersects(Status::CONFIRMED | Status::DYING) {
            self.discard(index);
        }
    }

    fn discard(&mut self, index: u32) {
        self.statistics.abandoned += 1;
        self.len -= 1;
        // It never fulfilled the expectation that it matched.
        if self.rare(index).is_some()
            && let Some(rare) = self.rare_mut(index)
        {
            rare.expectation = None;
        }
        self.release(index);
    }
}
