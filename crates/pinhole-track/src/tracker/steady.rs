//! The short ways of packets that simply go on with an answered conn.
//!
//! Each asks first whether it may be taken, and changes nothing if not: then the long way ([`super::lookup`]) is taken, which leads to the same.

use super::lookup::count;
use super::{Prepared, Tracker};
use crate::key::Oriented;
use crate::l4::{L4, tcp};
use crate::table::entry::Entry;
use crate::{ConnId, EndsV4, Status, Tuple};
use pinhole_wire::{Bounds, Direction, Time};

/// A plain packet of a translated conn of which nothing but the headers changes.
#[derive(Clone, Copy, Debug)]
pub struct Passing {
    index: u32,
    /// Its direction in the conn.
    pub direction: Direction,
}

impl Tracker {
    /// The shortest way, for most packets: the plain packet that lies in `bytes` at `bounds` simply goes on with a conn that has been answered
    /// and of which nothing is kept beside. Its state is established.
    ///
    /// `None`: nothing has changed, and [`follow_plain`](Self::follow_plain) is to be asked.
    #[inline(always)]
    pub fn follow_steady(
        &mut self,
        now: Time,
        bounds: &Bounds,
        bytes: &[u8],
        prepared: &Prepared,
    ) -> Option<(ConnId, Direction)> {
        let Prepared { likely: index, oriented: Oriented { key, flipped }, .. } = *prepared;
        let entry = self.conns.peek(index)?;
        // A table holds the key of an untranslated conn once, so this is what the index would find.
        if !entry.is_steady() || !entry.is_keyed(&key) || entry.has_expired(now) {
            return None;
        }
        let direction = entry.direction(flipped);
        Some((self.go_on(now, bounds, bytes, index, direction)?, direction))
    }

    /// A plain packet goes on with an answered conn that follows the tracker's own timeouts. `None`: nothing has changed.
    #[inline(always)]
    pub(super) fn go_on(
        &mut self,
        now: Time,
        bounds: &Bounds,
        bytes: &[u8],
        index: u32,
        direction: Direction,
    ) -> Option<ConnId> {
        let entry = self.conns.peek_mut(index)?;
        let (settings, timeouts) = (&self.settings.l4, &self.settings.timeouts);
        let (timeout, assures, changed) = match &mut entry.l4 {
            L4::Udp(udp) => {
                let (timeout, stream) = udp.go_on(now, timeouts);
                (timeout, stream, false)
            }
            L4::Tcp(tcp) => {
                let old = tcp.state();
                let timeout = tcp.go_on(bounds, bytes, direction, settings, timeouts)?;
                (timeout, tcp::establishes(old, tcp.state()), old != tcp.state())
            }
            _ => return None,
        };
        let assure = assures && !entry.is_assured();
        count(entry, direction, bounds.length());
        let deadline = now.plus_seconds(u64::from(timeout));
        let earlier = deadline < entry.deadline;
        entry.deadline = deadline;
        let conn = ConnId { index, generation: entry.generation };
        if earlier {
            self.hasten(index);
        }
        if assure | changed {
            self.note(now, index, if assure { Status::ASSURED } else { Status::empty() });
        }
        Some(conn)
    }

    /// The shortest way of packets of translated conns begins here: a plain IPv4 packet of one that has been answered, and that neither a
    /// helper nor a timeout policy concerns. Its state is established. Returns what it leaves bearing as well. Nothing changes before
    /// [`pass`](Self::pass); `None`: the packet takes another way.
    #[inline(always)]
    pub fn find_passing_v4(&self, now: Time, prepared: &Prepared) -> Option<(Passing, EndsV4)> {
        let (index, entry) = self.passing(now, prepared)?;
        // No two conns share a tuple, so this is what the index would find.
        let (direction, leaves) = entry.leads_v4(&prepared.oriented)?;
        Some((Passing { index, direction }, leaves))
    }

    /// The same for IPv6.
    #[inline(always)]
    pub fn find_passing_v6(&self, now: Time, prepared: &Prepared) -> Option<(Passing, Tuple)> {
        let (index, entry) = self.passing(now, prepared)?;
        let (original, reply) = (entry.original(), self.cold.reply(entry.cold?)?);
        let (direction, answer) = if prepared.oriented == original {
            (Direction::Original, reply)
        } else if prepared.oriented == reply {
            (Direction::Reply, original)
        } else {
            return None;
        };
        Some((Passing { index, direction }, answer.inverse().tuple_with_ports()))
    }

    /// The translated conn that is likely to be the packet's, if packets of it pass.
    #[inline(always)]
    fn passing(&self, now: Time, prepared: &Prepared) -> Option<(u32, &Entry)> {
        let index = prepared.likely;
        let entry = self.conns.peek(index)?;
        if !entry.is_steadily_translated() || entry.has_expired(now) {
            return None;
        }
        match entry.cold {
            Some(number) if !self.cold.is_left_alone(number) => None,
            _ => Some((index, entry)),
        }
    }

    /// The packet that was found to be passing, which lies in `bytes` at `bounds`, goes on with its conn, as in
    /// [`follow_steady`](Self::follow_steady).
    #[inline(always)]
    pub fn pass(&mut self, now: Time, bounds: &Bounds, bytes: &[u8], passing: &Passing) -> Option<ConnId> {
        self.go_on(now, bounds, bytes, passing.index, passing.direction)
    }
}
