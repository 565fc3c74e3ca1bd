//! Packets of known conns: lookup and judgement.

use super::access::timeouts_of;
use super::prepare::{Kind, Prepared};
use super::{TableFull, Tracked, Tracker};
use crate::event::DestroyCause;
use crate::key::Oriented;
use crate::l4::{self, L4, L4Settings, Step, View};
use crate::table::entry::Entry;
use crate::{ConnId, Invalid, State, Status, Timeouts};
use pinhole_wire::{Bounds, Direction, Packet, Protocol, Time};

/// An accepted packet of a known conn.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// The conn.
    pub conn: ConnId,
    /// The packet's state.
    pub state: State,
    /// Its direction in the conn.
    pub direction: Direction,
    /// It is not translated, and nothing is kept beside it: no session, no master, no labels.
    pub plain: bool,
    /// Its packets are translated.
    pub translated: bool,
}

impl From<Known> for Tracked {
    #[inline]
    fn from(known: Known) -> Self {
        let Known { conn, state, direction, .. } = known;
        Self { state, conn: Some(conn), direction, ..Self::UNTRACKED }
    }
}

/// A packet that [`Tracker::follow`] could not settle, and how far it came: to be given to [`Tracker::track_unusual`] next.
#[must_use]
#[derive(Clone, Copy, Debug)]
pub struct Unusual(Way);

#[derive(Clone, Copy, Debug)]
enum Way {
    /// It has no conn of its own, or none is known.
    Apart,
    /// The conn's time is up.
    Expired(u32),
    /// Its acknowledgement must be translated before it can be judged.
    Adjusted(u32),
    /// The conn does not simply accept it.
    Judged { known: Known, status: Status, step: Step },
}

impl Unusual {
    /// Nothing was found out.
    pub(super) const APART: Self = Self(Way::Apart);

    /// Whether no conn is known whose packet it might be.
    #[inline]
    pub const fn is_apart(&self) -> bool {
        matches!(self.0, Way::Apart)
    }

    /// The conn whose packet this is, if its sequence numbers are adjusted: [`Tracker::track_unusual`] is to be shown the packet with
    /// its acknowledgement (and SACK blocks) in the numbers of the receiver, as if nothing were adjusted.
    pub fn adjusted(&self, tracker: &Tracker) -> Option<ConnId> {
        match self.0 {
            Way::Adjusted(index) => Some(tracker.id(index)),
            _ => None,
        }
    }
}

impl Tracker {
    /// Finds or creates the packet's conn and judges the packet.
    ///
    /// # Errors
    /// The table is full.
    #[inline]
    pub fn track(
        &mut self,
        now: Time,
        packet: &Packet,
        bytes: &[u8],
        prepared: &Prepared,
    ) -> Result<Tracked, TableFull> {
        match self.follow(now, packet, bytes, prepared) {
            Ok(known) => Ok(known.into()),
            Err(unusual) => self.track_unusual(now, packet, bytes, prepared, unusual),
        }
    }

    /// The first half of [`track`](Self::track), which settles nearly all packets: those that a known conn accepts.
    ///
    /// # Errors
    /// For any other packet, what [`track_unusual`](Self::track_unusual) needs to go on.
    pub fn follow(
        &mut self,
        now: Time,
        packet: &Packet,
        bytes: &[u8],
        prepared: &Prepared,
    ) -> Result<Known, Unusual> {
        self.follow_packet(now, packet, bytes, prepared, false)
    }

    #[inline(never)]
    fn follow_packet(
        &mut self,
        now: Time,
        packet: &Packet,
        bytes: &[u8],
        prepared: &Prepared,
        numbers_translated: bool,
    ) -> Result<Known, Unusual> {
        let length = packet.datagram_length();
        self.follow_with(
            now,
            prepared,
            length,
            numbers_translated,
            |l4, direction, status, settings, timeouts| {
                l4::update(l4, View { packet, bytes, now }, direction, status, settings, timeouts)
            },
        )
    }

    /// As [`follow`](Self::follow), for the plain packet that lies in `bytes` at `bounds`. For a packet that it cannot settle, what
    /// [`track_unusual`](Self::track_unusual) needs to go on is in [`Prepared::unusual`].
    #[inline]
    pub fn follow_plain(
        &mut self,
        now: Time,
        bounds: &Bounds,
        bytes: &[u8],
        prepared: &mut Prepared,
    ) -> Option<Known> {
        if prepared.oriented.key.protocol() == Protocol::UDP {
            self.follow_udp(now, bounds, prepared)
        } else {
            self.follow_tcp(now, bounds, bytes, prepared)
        }
    }

    /// An instance for UDP: not inlined, so that it has the registers for itself.
    #[inline(never)]
    fn follow_udp(&mut self, now: Time, bounds: &Bounds, prepared: &mut Prepared) -> Option<Known> {
        let judge = |l4: &mut L4, _, status, _: &L4Settings, timeouts: &Timeouts| match l4 {
            L4::Udp(udp) => udp.update(now, status, timeouts),
            _ => Step::Invalid(Invalid::Malformed),
        };
        let followed = self.follow_with(now, prepared, bounds.length(), false, judge);
        followed.map_err(|unusual| prepared.unusual = unusual).ok()
    }

    /// An instance for TCP.
    #[inline(never)]
    fn follow_tcp(
        &mut self,
        now: Time,
        bounds: &Bounds,
        bytes: &[u8],
        prepared: &mut Prepared,
    ) -> Option<Known> {
        let judge = |l4: &mut L4, direction, status, settings: &L4Settings, timeouts: &Timeouts| match (
            l4,
            bounds.tcp(bytes),
        ) {
            (L4::Tcp(tcp), Some((header, options))) => {
                tcp.update(&header, options, direction, status, settings, timeouts)
            }
            _ => Step::Invalid(Invalid::Truncated),
        };
        let followed = self.follow_with(now, prepared, bounds.length(), false, judge);
        followed.map_err(|unusual| prepared.unusual = unusual).ok()
    }

    /// `numbers_translated`: the packet's acknowledgement is in the numbers of the receiver, if its conn's are adjusted.
    #[inline(always)]
    fn follow_with(
        &mut self,
        now: Time,
        prepared: &Prepared,
        length: u32,
        numbers_translated: bool,
        judge: impl FnOnce(&mut L4, Direction, Status, &L4Settings, &Timeouts) -> Step,
    ) -> Result<Known, Unusual> {
        if !matches!(prepared.kind, Kind::Packet) {
            return Err(Unusual::APART);
        }
        let Oriented { key, flipped } = &prepared.oriented;
        let (index, direction, entry) = match self.conns.peek_mut(prepared.likely) {
            // A table holds the key of an untranslated conn once, so this is what the index would find.
            Some(entry) if entry.is_keyed(key) && entry.is_entered_plainly() => {
                (prepared.likely, entry.direction(*flipped), entry)
            }
            _ => {
                let Some(index) = self.search(prepared) else { return Err(Unusual::APART) };
                let direction = self.direction_of(index, &prepared.oriented);
                let entry = &mut self.conns[index];
                if entry.is_adjusted() && !numbers_translated && !entry.has_expired(now) {
                    return Err(Unusual(Way::Adjusted(index)));
                }
                (index, direction, entry)
            }
        };
        if entry.has_expired(now) {
            return Err(Unusual(Way::Expired(index)));
        }
        let timeouts = timeouts_of(entry, &self.cold, &self.settings.timeouts, &self.policies);
        let status = entry.status();
        let step = judge(&mut entry.l4, direction, status, &self.settings.l4, timeouts);
        let known = Known {
            conn: ConnId { index, generation: entry.generation },
            state: state_of(direction, status),
            direction,
            plain: entry.cold.is_none() && !entry.is_translated(),
            translated: entry.is_translated(),
        };
        let Step::Accept { timeout, assure, changed } = step else {
            return Err(Unusual(Way::Judged { known, status, step }));
        };
        count(entry, direction, length);
        let mut news = Status::empty();
        news.set(Status::ASSURED, assure);
        news.set(Status::SEEN_REPLY, direction == Direction::Reply);
        let updated = changed || !status.contains(news);
        if !status.contains(Status::FIXED_TIMEOUT) {
            let deadline = now.plus_seconds(u64::from(timeout));
            let earlier = deadline < entry.deadline;
            entry.deadline = deadline;
            if earlier {
                self.hasten(index);
            }
        }
        if updated {
            self.note(now, index, news);
        }
        Ok(known)
    }

    /// The confirmed conn that the index holds for a packet.
    pub(super) fn search(&self, prepared: &Prepared) -> Option<u32> {
        self.index.find(prepared.tag, |index| self.is_of(index, &prepared.oriented))
    }

    /// A packet changed the conn's status or state.
    #[inline(never)]
    pub(super) fn note(&mut self, now: Time, index: u32, news: Status) {
        self.conns[index].insert_status(news);
        if self.settings.events {
            self.tell_update(now, index);
            // The event is to be taken: who asks whether all is quiet shall see to it.
            self.quiet_until = Time(0);
        }
    }

    /// The second half of [`track`](Self::track), for the packet that [`follow`](Self::follow) has just given back.
    ///
    /// # Errors
    /// The table is full.
    #[inline(never)]
    pub fn track_unusual(
        &mut self,
        now: Time,
        packet: &Packet,
        bytes: &[u8],
        prepared: &Prepared,
        unusual: Unusual,
    ) -> Result<Tracked, TableFull> {
        let mut way = unusual.0;
        if let (Kind::Packet, Way::Adjusted(_)) = (prepared.kind, way) {
            match self.follow_packet(now, packet, bytes, prepared, true) {
                Ok(known) => return Ok(known.into()),
                Err(Unusual(judged)) => way = judged,
            }
        }
        let tracked = match (prepared.kind, way) {
            (Kind::Packet, Way::Judged { known, status, step }) => {
                match self.carry_out(now, packet, known, status, step) {
                    Some(tracked) => tracked,
                    None => self.create(View { packet, bytes, now }, prepared)?,
                }
            }
            (Kind::Packet, Way::Expired(index)) => {
                self.end(now, index, DestroyCause::Timeout);
                self.create(View { packet, bytes, now }, prepared)?
            }
            (Kind::Call, _) => {
                return self.track(now, packet, bytes, &self.with_sender_key(prepared));
            }
            (Kind::Packet, Way::Apart | Way::Adjusted(_)) => {
                self.create(View { packet, bytes, now }, prepared)?
            }
            (Kind::IcmpError { to_source, of_call: true }, _) => {
                self.track_icmp_error(now, &self.with_sender_key(prepared), to_source)
            }
            (Kind::IcmpError { to_source, .. }, _) => self.track_icmp_error(now, prepared, to_source),
            (Kind::Untracked, _) => Tracked::UNTRACKED,
            (Kind::Invalid(why), _) => Tracked::invalid(why, None),
        };
        self.statistics.invalid += u64::from(tracked.invalid.is_some());
        Ok(tracked)
    }

    /// Judgements other than acceptance. `None`: the conn is over, and the packet may open another.
    fn carry_out(
        &mut self,
        now: Time,
        packet: &Packet,
        known: Known,
        status: Status,
        step: Step,
    ) -> Option<Tracked> {
        let index = known.conn.index;
        Some(match step {
            Step::Accept { .. } | Step::Ignore => {
                if known.direction == Direction::Reply && !status.contains(Status::SEEN_REPLY) {
                    self.conns[index].insert_status(Status::SEEN_REPLY);
                    self.tell_update(now, index);
                }
                known.into()
            }
            Step::Kill => {
                count(&mut self.conns[index], known.direction, packet.datagram_length());
                self.end(now, index, DestroyCause::Closed);
                // The conn ended unreplied, and is told so; rules that look at this packet see a reply.
                let entry = &mut self.conns[index];
                if known.direction == Direction::Reply && entry.status().contains(Status::DYING) {
                    entry.insert_status(Status::SEEN_REPLY);
                }
                known.into()
            }
            Step::Reopen => {
                self.end(now, index, DestroyCause::Closed);
                return None;
            }
            Step::InvalidClose { reason, timeout } => {
                self.shorten(now, index, timeout);
                Tracked::invalid(reason, Some(known.conn))
            }
            Step::Invalid(why) => Tracked::invalid(why, Some(known.conn)),
        })
    }

    /// The confirmed conn with this key. One whose time is up ends here.
    pub(super) fn find(&mut self, now: Time, oriented: &Oriented, tag: u32) -> Option<u32> {
        let index = self.index.find(tag, |index| self.is_of(index, oriented))?;
        if self.conns[index].has_expired(now) {
            self.end(now, index, DestroyCause::Timeout);
            return None;
        }
        Some(index)
    }

    /// A conn that seems to be over at both ends need not keep its place for days.
    fn shorten(&mut self, now: Time, index: u32, seconds: u32) {
        const SOON: u64 = 120 * 1_000_000_000;
        let entry = &mut self.conns[index];
        if entry.deadline.since(now) < SOON || entry.status().contains(Status::FIXED_TIMEOUT) {
            return;
        }
        entry.deadline = entry.deadline.min(now.plus_seconds(u64::from(seconds)));
        self.hasten(index);
    }

    /// The conn's deadline has come nearer.
    #[inline(never)]
    pub(super) fn hasten(&mut self, index: u32) {
        let deadline = self.conns[index].deadline;
        self.wheel.hasten(&mut self.conns, index, deadline);
        self.quiet_until = self.quiet_until.min(self.wheel.quiet_until());
    }
}

/// The state of a packet of a known conn: netfilter's `resolve` step.
#[inline]
fn state_of(direction: Direction, status: Status) -> State {
    if direction == Direction::Reply || status.contains(Status::SEEN_REPLY) {
        State::Established
    } else if status.contains(Status::EXPECTED) {
        State::Related
    } else {
        State::New
    }
}

#[inline]
pub(super) fn count(entry: &mut Entry, direction: Direction, length: u32) {
    let counters = &mut entry.counters[direction.index()];
    counters.packets += 1;
    counters.bytes += u64::from(length);
}
