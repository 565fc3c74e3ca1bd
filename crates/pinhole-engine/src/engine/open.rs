//! The short way of a first packet: chains are run before there is a conn, so that one is made for packets that survive only, and is in
//! the table at once.
//!
//! It is for plain packets whose tuple no conn is found by, where no chain looks at the conn and nothing is expected. It leads to what the
//! long way would: [`super::path`], and [`super::translate`] where NAT is at work.

use super::Engine;
use super::translate::Walked;
use crate::event::{Outcome, Reason, Verdict};
use crate::frame::Frame;
use crate::nat::{Course, Refused};
use crate::scene::Wishes;
use crate::stage::Stage;
use pinhole_nat::{BindingError, Patch};
use pinhole_track::{Opening, State, Tracked};
use pinhole_wire::LinkType;

const FIRST: Tracked = Tracked { state: State::New, created: true, ..Tracked::UNTRACKED };

impl Engine {
    /// The outcome of a first packet. `None`: it takes the long way, and nothing has changed.
    #[inline(never)]
    pub(super) fn open(&mut self, frame: &Frame<'_>, stage: &mut Stage) -> Option<Outcome> {
        let Stage { way, packet, bounds, prepared, .. } = stage;
        if !self.at_once[way.index()].runs_before_conn {
            return None;
        }
        if self.nat.is_active() {
            return self.open_translating(frame, stage);
        }
        packet.parse_plain(frame.bytes, bounds).ok()?;
        if self.has_no_route(frame, self.path(packet), packet) {
            return None;
        }
        let (now, bytes, length) = (frame.time, frame.bytes, bounds.length());
        let opening = self.tracker.open(now, packet, bytes, prepared)?;
        let first = FIRST;
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

    /// As [`open`](Self::open), where the conn may be translated.
    #[inline(never)]
    fn open_translating(&mut self, frame: &Frame<'_>, stage: &mut Stage) -> Option<Outcome> {
        let Stage { packet, bounds, prepared, .. } = stage;
        if !self.attachments.is_empty() {
            return None;
        }
        packet.parse_plain(frame.bytes, bounds).ok()?;
        let (now, bytes, length) = (frame.time, frame.bytes, bounds.length());
        let opening = self.tracker.open_translating(now, packet, bytes, prepared)?;
        let wishes = Wishes::default();
        let mut course = Course::open(None, prepared.tuple());
        let mut walked = self.walk(frame, packet, bytes, &wishes, &FIRST, &mut course);
        let survives = walked.refused.is_none() && walked.decision.verdict == Verdict::Accept;
        let outcome = if !survives {
            self.tracker.give_up();
            self.conclude(frame, packet, bytes, &wishes, &FIRST, (walked, course))
        } else if wishes.leave_conn_alone() {
            self.enter_translating(frame, stage, &opening, &walked, &mut course)
        } else {
            // There was room just now.
            let tracked = self.tracker.create_opened(now, length, prepared, &opening).ok()?;
            let is_fit = tracked.conn.is_some_and(|conn| course.enter(&mut self.tracker, conn));
            walked.refused = (!is_fit).then_some(Refused::Clash);
            self.conclude(frame, packet, bytes, &wishes, &tracked, (walked, course))
        };
        self.after(frame);
        Some(outcome)
    }

    /// The conn of a first packet enters the table, and the packet leaves.
    fn enter_translating(
        &mut self,
        frame: &Frame<'_>,
        stage: &Stage,
        opening: &Opening,
        walked: &Walked,
        course: &mut Course,
    ) -> Outcome {
        let Stage { bounds, prepared, .. } = stage;
        let Walked { decision, translated_by, .. } = *walked;
        let begins = course.is_translated();
        if begins {
            self.lease(frame, course);
        }
        let (came, outcome) = (prepared.tuple(), Outcome::of(&FIRST, decision.verdict, decision.rule));
        let leaves = course.leaving().unwrap_or(came);
        let length = bounds.length();
        let entered = self.tracker.enter_translating(frame.time, length, prepared, opening, &leaves);
        let Some(conn) = entered else {
            self.nat.give_back(&course.holding);
            return Outcome { verdict: Verdict::Drop, reason: Some(Reason::Clash), ..outcome };
        };
        let outcome = Outcome { conn: Some(conn), ..outcome };
        if !begins || !self.nat.begin(&mut self.tracker, conn, course) {
            self.nat.give_back(&course.holding);
            return outcome;
        }
        self.tell_translated(frame, conn, translated_by);
        let (link, checksum) =
            (if bounds.network == 0 { LinkType::RAW } else { frame.link }, self.checksum_field());
        let Some(patch) = Patch::new(frame.bytes, bounds, &leaves, checksum) else {
            return self.untranslatable(outcome, BindingError::Missing);
        };
        self.nat.output.add_patched(frame.number, link, patch);
        self.nat.statistics.packets += 1;
        Outcome { rewritten: true, ..outcome }
    }
}
