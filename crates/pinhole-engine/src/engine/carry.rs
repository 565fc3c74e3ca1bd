//! Conns that a faster path may carry on by itself, because all that would become of their packets here is that they pass.

use super::Engine;
use crate::event::{Outcome, Verdict};
use crate::host::Moment;
use crate::rules::{Path, Way};
use pinhole_track::{Carriage, Carried, ConnId, State};
use pinhole_wire::Time;

impl Engine {
    /// What is to be known to carry further packets like this one, which is forwarded: those of its conn that go in its direction and are
    /// plain data. `None`: each of them is to be judged, as a rule looks at more than their flow or does more than to decide, a helper reads them, or the
    /// conn is not one of [`Tracker::carriage`](pinhole_track::Tracker::carriage).
    ///
    /// It holds until the ruleset is replaced, and for a conn that had seen no answer until it does.
    pub fn carriage(&self, outcome: &Outcome) -> Option<Carriage> {
        let (Verdict::Accept, Some(conn), Some(state)) = (outcome.verdict, outcome.conn, outcome.state)
        else {
            return None;
        };
        if !matches!(state, State::New | State::Established) || outcome.reason.is_some() {
            return None;
        }
        let carriage = self.tracker.carriage(conn)?;
        let way = Way::new(Path::Forward, carriage.original.version);
        let at_once = self.at_once[way.index()];
        let by_state = state == State::Established && at_once.accepts_established;
        (by_state || self.decides_by_flow).then_some(carriage)
    }

    /// Says of a conn whether its packets are carried ([`Status::OFFLOAD`](pinhole_track::Status::OFFLOAD)).
    pub fn set_offloaded(&mut self, conn: ConnId, offloaded: bool) {
        self.tracker.set_offloaded(conn, offloaded);
    }

    /// Enters what was carried of a conn. `false`: there is no such conn any more.
    pub fn credit(&mut self, now: Time, conn: ConnId, carried: &Carried) -> bool {
        let lives = self.tracker.credit(now, conn, carried);
        self.take_tracker_events(Moment { packet: 0, time: now });
        lives
    }
}
