//! Several engines behind the same ports, each owned by its thread: shards.
//!
//! ```text
//! port ─► any shard ─► Steering: home by its ends ─► home ─► Detours: another's? ─► owner ─► its engine ─► port
//!                             (hand over if elsewhere)           (hand over)
//! ```
//!
//! * [`pinhole_engine::Steering`]: the home of a packet, a pure function of its ends. [`program`]: the same for the kernel, which spreads frames by it, so
//!   that most come home by themselves.
//! * `detours`: exceptions that the home knows of: conns and expectations of other shards.
//! * [`exchange`]: what shards hand to each other, frames and notices; [`bell`]: how one that waits is woken.
//! * [`Share`]: one shard's part in all this; a [`Bridge`](crate::Bridge) or [`Router`](crate::Router) that has none works alone.
//!
//! **An engine knows nothing of other shards** but which outer ports are its own. A conn that was expected lives where its master lives, so RELATED, marks, groups,
//! one-shot expectations and the death of children are what they are in one engine. If its ends lead its packets elsewhere, the home leads them back.
//!
//! **The order of things closes the race** between an announcement and the conn that it announces: what a batch brought about is told to others
//! before anything of the batch is sent, and a shard reads what it was told after it has received frames and before it looks at them. An answer to a
//! packet that was sent later than a notice comes later than the notice.
//!
//! Invariants: a frame is handed over at most twice (to its home, from there to its owner) and handled by one engine; frames of a conn take
//! the same way, so they keep their order; a shard that tracks a conn at its home never loses it to another.

pub mod bell;
mod detours;
pub mod exchange;
pub mod program;
#[cfg(test)]
mod tests;

pub use bell::Bell;
pub use exchange::Exchange;

use detours::{Detours, Key, Notice};
use exchange::Handed;
use pinhole_engine::{Engine, Event, Shard, Steering};
use pinhole_helper::Expect;
use pinhole_io::live::Batch;
use pinhole_track::{ExpectationId, Tracker, Tuple};
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

/// Counters of what passes between shards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShareStatistics {
    /// Frames handed to other shards.
    pub handed_over: u64,
    /// Frames that another shard had no room for.
    pub frames_lost: u64,
    /// Notices that another shard had no room for: conns whose answers will not find them.
    pub notices_lost: u64,
    /// Conns that two shards had at a time, or that were too many to be known elsewhere.
    pub clashes: u64,
}

/// One shard's part.
#[derive(Debug)]
pub struct Share {
    index: usize,
    steering: Steering,
    exchange: Arc<Exchange>,
    detours: Detours,
    /// Expectations that others were told of.
    announced: HashSet<ExpectationId>,
    /// Taken from the engine, and not yet told to anybody who observes.
    events: VecDeque<Event>,
    received: VecDeque<Handed>,
    /// By shard.
    frames: Vec<Vec<Handed>>,
    notices: Vec<Vec<Notice>>,
    statistics: ShareStatistics,
}

impl Share {
    /// The part of the shard of this index.
    pub fn new(index: usize, steering: Steering, exchange: Arc<Exchange>) -> Self {
        let count = steering.count();
        Self {
            index,
            steering,
            exchange,
            detours: Detours::default(),
            announced: HashSet::new(),
            events: VecDeque::new(),
            received: VecDeque::new(),
            frames: (0..count).map(|_| Vec::new()).collect(),
            notices: (0..count).map(|_| Vec::new()).collect(),
            statistics: ShareStatistics::default(),
        }
    }

    /// Counters.
    pub fn statistics(&self) -> ShareStatistics {
        ShareStatistics { clashes: self.detours.clashes, ..self.statistics }
    }

    /// Its index, and how many there are.
    pub fn position(&self) -> (usize, usize) {
        (self.index, self.notices.len())
    }

    /// Frames are spread another way from now on. Others are told anew which conns and expectations are here.
    pub(crate) fn steer_by(&mut self, steering: Steering, engine: &mut Engine) {
        engine.set_shard(Some(Shard { index: self.index, steering: steering.clone() }));
        self.steering = steering;
        let tracker = engine.tracker();
        for conn in tracker.conns() {
            if let (Some(original), Some(reply)) = (tracker.original(conn), tracker.reply(conn)) {
                self.tell_owners(&original, &reply, Notice::Claim);
            }
        }
        for expectation in tracker.expectations() {
            self.announce(expectation.id, &expectation.expect);
        }
        self.publish(engine);
    }

    /// Leaves in a batch, which came in by a side, what is this shard's, and hands on the rest.
    pub(crate) fn steer(&mut self, side: usize, batch: &mut Batch, tracker: &Tracker) {
        self.learn();
        let Self { index, steering, detours, frames, .. } = self;
        batch.retain(|buffer| {
            let home = steering.of_frame(buffer.bytes());
            let settled = home == *index;
            let owner = match settled {
                true => detours.owner(buffer.bytes(), *index, steering, tracker),
                false => Some(home),
            };
            let Some(to) = owner.and_then(|owner| frames.get_mut(owner)) else { return true };
            to.push(Handed { side, settled, bytes: buffer.bytes().to_vec(), offload: buffer.offload });
            false
        });
        self.hand_over();
    }

    /// Fills a batch with what other shards handed over, all of one side, which is returned; `None`: there is nothing.
    pub(crate) fn receive(&mut self, batch: &mut Batch, tracker: &Tracker) -> Option<usize> {
        if self.received.is_empty() {
            self.received = self.exchange.frames(self.index).unwrap_or_default();
        }
        // After that: what others told before they handed it over.
        self.learn();
        let side = self.received.front()?.side;
        while !batch.is_full() && self.received.front().is_some_and(|next| next.side == side) {
            let Some(handed) = self.received.pop_front() else { break };
            let owner = match handed.settled {
                true => None,
                false => self.detours.owner(&handed.bytes, self.index, &self.steering, tracker),
            };
            match owner.and_then(|owner| self.frames.get_mut(owner)) {
                Some(to) => to.push(Handed { settled: true, ..handed }),
                None => drop(batch.push(&handed.bytes, handed.offload)),
            }
        }
        self.hand_over();
        Some(side)
    }

    /// Tells other shards what concerns them of what the engine has to tell: before anything is sent.
    pub(crate) fn publish(&mut self, engine: &mut Engine) {
        while let Some(event) = engine.next_event() {
            match &event {
                Event::ConnNew { conn, .. } => self.tell_owners(&conn.original, &conn.reply, Notice::Claim),
                Event::ConnDestroy { conn, .. } => {
                    self.tell_owners(&conn.original, &conn.reply, Notice::Release);
                }
                Event::ExpectationNew(record) => {
                    self.announce(record.expectation.id, &record.expectation.expect);
                }
                Event::ExpectationAimed { id, .. } => {
                    if let Some(expectation) = engine.tracker().expectation(*id) {
                        self.announce(*id, &expectation.expect);
                    }
                }
                Event::ExpectationEnd { id, .. } => self.withdraw(*id),
                _ => {}
            }
            self.events.push_back(event);
        }
        for (to, notices) in self.notices.iter_mut().enumerate() {
            self.statistics.notices_lost += self.exchange.tell(to, self.index, notices) as u64;
        }
    }

    /// The engine's next event that was [published](Self::publish).
    pub(crate) fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn learn(&mut self) {
        for (shard, notice) in self.exchange.notices(self.index).into_iter().flatten() {
            self.detours.note(shard, notice);
        }
    }

    fn hand_over(&mut self) {
        for (to, frames) in self.frames.iter_mut().enumerate() {
            let count = frames.len() as u64;
            let lost = self.exchange.hand_over(to, frames) as u64;
            self.statistics.handed_over += count - lost;
            self.statistics.frames_lost += lost;
        }
    }

    /// Tells those to whom its ends lead the packets of a conn, if it is not this shard.
    fn tell_owners(&mut self, original: &Tuple, reply: &Tuple, notice: fn(Key) -> Notice) {
        let first = Key::of(original);
        // A conn that is not translated has one key.
        let second = Some(Key::of(reply)).filter(|second| *second != first);
        for (tuple, key) in [(original, Some(first)), (reply, second)] {
            let Some(key) = key else { continue };
            let home = self.steering.of_tuple(tuple);
            if home != self.index
                && let Some(notices) = self.notices.get_mut(home)
            {
                notices.push(notice(key));
            }
        }
    }

    /// Tells those to whom an expected conn may come first.
    fn announce(&mut self, id: ExpectationId, expect: &Expect) {
        self.withdraw(id);
        for (to, notices) in self.notices.iter_mut().enumerate() {
            if to != self.index && self.steering.may_be_home(expect, to) {
                notices.push(Notice::Expect(id, Box::new(expect.clone())));
                self.announced.insert(id);
            }
        }
    }

    fn withdraw(&mut self, id: ExpectationId) {
        if !self.announced.remove(&id) {
            return;
        }
        for (to, notices) in self.notices.iter_mut().enumerate() {
            if to != self.index {
                notices.push(Notice::Forget(id));
            }
        }
    }
}
