//! The short way of a first packet: chains are run before there is a conn, so that one is made for packets that survive only, and is in
//! the table at once.
//!
//! It is for plain packets whose tuple no conn is found by, where no chain looks at the conn, nothing is translated and nothing is
//! expected. It leads to what the long way would: [`super::path`].

use super::Engine;
use crate::event::{Outcome, Verdict};
use crate::frame::Frame;
use crate::scene::Wishes;
use crate::stage::Stage;
use pinhole_track::{State, Tracked};

impl Engine {
    /// The outcome of a first packet. `None`: it takes the long way, and nothing has changed.
    #[inline(never)]
    pub(super) fn open(&mut self, frame: &Frame<'_>, stage: &mut Stage) -> Option<Outcome> {
        let Stage { way, packet, bounds, prepared, .. } = stage;
        if !self.at_once[way.index()].runs_before_conn || self.nat.is_active() {
            return None;
        }
        packet.parse_plain(frame.bytes, bounds).ok()?;
        if self.has_no_route(frame, self.path(packet), packet) {
            return None;
        }
        let (now, bytes, length) = (frame.time, frame.bytes, bounds.length());
        let opening = self.tracker.open(now, packet, bytes, prepared)?;
        let first = Tracked { state: State::New, created: true, ..Tracked::UNTRACKED };
        let wishes = Wishes::default();
        let decision = self.decide(frame, *way, packet, bytes, &wishes, &first);
        let outcome = if decision.verdict != Verdict::Accept {
            self.tracker.give_up();
            Outcome::of(&first, decision.verdict, decision.rule)
        } else if wishes.leave_conn_alone() && self.attachments.is_empty() {
            let conn = self.tracker.enter_opened(now, length, prepared, &opening);
            Outcome { conn: Some(conn), ..Outcome::of(&first, decision.verdict, decision.rule) }
        } else {
            // There was room just now.
            let tracked = self.tracker.create_opened(now, length, prepared, &opening).ok()?;
            let outcome = self.settle(frame, packet, &wishes, &tracked, decision);
            if outcome.verdict == Verdict::Accept {
                self.show(frame, packet, bytes, &tracked);
            }
            outcome
        };
        self.after(frame);
        Some(outcome)
    }
}
