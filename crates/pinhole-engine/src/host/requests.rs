//! What sessions ask for, carried out: expectations are entered or refused, announcements are written.

use super::admissible::admissible;
use super::edits::{Follow, Rewriting};
use super::{Host, Origin, Turn};
use crate::event::{Event, ExpectationRecord};
use pinhole_helper::{Action, Expect, Handle, Refusal};
use pinhole_track::{Request, Status, Tracker};
use pinhole_wire::{Direction, Protocol};

impl Host {
    /// Carries out what a session asked for in one read.
    pub(super) fn carry_out(
        &mut self,
        turn: Turn,
        tracker: &mut Tracker,
        actions: &[Action],
        mut rewriting: Option<&mut Rewriting<'_>>,
        events: &mut impl FnMut(Event),
    ) {
        let Turn { at, session, from } = turn;
        let mut rest = actions;
        while let Some((first, others)) = rest.split_first() {
            rest = others;
            let Some(slot) = self.slots.get_mut(session as usize).and_then(Option::as_mut) else { return };
            match first {
                Action::Expect(_, expect) => {
                    let members = match expect.group {
                        None => 1,
                        Some((group, _)) => actions_of_group(first, others, group),
                    };
                    let taken = actions.len() - others.len() - 1;
                    let all = actions.get(taken..taken + members).unwrap_or_default();
                    rest = others.get(members - 1..).unwrap_or_default();
                    self.expect(turn, tracker, all, rewriting.as_deref_mut(), events);
                }
                Action::Activate(handle) => {
                    if let Some(id) = slot.known(*handle)
                        && tracker.expectation(id).is_some_and(|e| !e.active)
                        && tracker.activate(id)
                    {
                        events(Event::ExpectationActive { packet: at.packet, time: at.time, id });
                    }
                }
                Action::Extend(handle, seconds) => {
                    if let Some(id) = slot.known(*handle) {
                        tracker.extend(at.time, id, *seconds);
                    }
                }
                Action::Prolong(seconds) => {
                    slot.needed_until = slot.needed_until.max(at.time.plus_seconds(u64::from(*seconds)));
                }
                Action::Lead(handle, source_key, destination_key) => {
                    if let (Some(id), true) = (slot.known(*handle), rewriting.is_some())
                        && let Some(expectation) = tracker.expectation(id)
                        && let Some(origin) = self.origins.get_mut(&id)
                    {
                        let keys = (*source_key, *destination_key);
                        origin.follow = Follow::call(&slot.master, &expectation.expect, keys);
                    }
                }
                Action::Aim(handle, source) => {
                    self.aim(turn, tracker, *handle, *source, events);
                }
                Action::Cancel(handle) => {
                    if let Some(id) = slot.known(*handle) {
                        tracker.cancel(at.time, id);
                    }
                }
                Action::Refuse(reason, span) => {
                    events(slot.refusal(&self.helpers, turn, *reason, *span));
                }
                Action::Condition(condition) => {
                    let helper = self.helpers.name(slot.helper);
                    let (conn, condition) = (slot.conn, *condition);
                    events(Event::HelperCondition {
                        packet: at.packet,
                        time: at.time,
                        conn,
                        helper,
                        condition,
                    });
                }
                Action::Locate(_, span, field)
                | Action::Mention(_, span, field)
                | Action::Renumber(span, field, _) => {
                    // Without the NAT half, or without NAT, the payload is left alone.
                    if let Some(rewriting) = rewriting.as_deref_mut()
                        && let Some(endpoint) = slot.endpoint_of(first, from)
                        && let Err(reason) =
                            rewriting.write(endpoint, *span, *field, slot.reader.quote(from, *span))
                    {
                        events(slot.refusal(&self.helpers, turn, reason, *span));
                    }
                }
                _ => {}
            }
        }
    }

    /// Enters one expectation, or a group of them together.
    fn expect(
        &mut self,
        turn: Turn,
        tracker: &mut Tracker,
        members: &[Action],
        rewriting: Option<&mut Rewriting<'_>>,
        events: &mut impl FnMut(Event),
    ) {
        let Turn { at, session, from } = turn;
        let Some(slot) = self.slots.get_mut(session as usize).and_then(Option::as_mut) else { return };
        let helper = self.helpers.find(slot.helper);
        let policy = self.helpers.bound(slot.helper, self.policy);
        let asked: Vec<(Handle, &Expect)> = members
            .iter()
            .filter_map(
                |a| if let Action::Expect(handle, expect) = a { Some((*handle, expect)) } else { None },
            )
            .collect();
        let answered = slot.master.protocol != Protocol::TCP
            || tracker.status(slot.conn).is_some_and(|status| status.contains(Status::SEEN_REPLY));
        let requests: Result<Vec<Request>, Refusal> = asked
            .iter()
            .map(|(_, expect)| {
                // All that is known of a conn picked up in mid-stream may be one forged packet.
                // An inactive expectation waits for an answer anyway.
                (answered || !expect.active).then_some(()).ok_or(Refusal::Unanswered)?;
                let introduced = helper.is_some_and(|h| h.introduces(expect.class))
                    || (policy.introductions && from == Direction::Reply);
                admissible(&slot.master, from, expect, &policy, introduced)?;
                let class = self.helpers.class(slot.helper, expect.class).ok_or(Refusal::Policy)?;
                let request = Request::new((*expect).clone(), class, slot.helper);
                Ok(Request { announcer: slot.announcer(from, expect), ..request })
            })
            .collect();
        let entered = requests.and_then(|requests| match rewriting {
            Some(rewriting) => rewriting.expect(at, tracker, slot, from, &asked, &requests),
            None => {
                let ids = tracker.expect(at.time, slot.conn, &requests)?;
                Ok(ids.into_iter().map(|id| (id, None)).collect())
            }
        });
        match entered {
            Ok(ids) => {
                for ((handle, expect), (id, follow)) in asked.iter().zip(ids) {
                    let bytes = slot.reader.quote(from, expect.span).into();
                    let provenance = slot.provenance(&self.helpers, at, from, expect.span, bytes);
                    slot.remember(*handle, id);
                    if let Some(expectation) = tracker.expectation(id).cloned() {
                        let record = ExpectationRecord { expectation, provenance };
                        self.origins
                            .insert(id, Origin { record: record.clone(), end: None, follow, uses: 1 });
                        events(Event::ExpectationNew(Box::new(record)));
                    }
                }
            }
            Err(reason) => {
                for (_, expect) in &asked {
                    events(slot.refusal(&self.helpers, turn, reason, expect.span));
                }
            }
        }
    }
}

/// How many of the actions, from `first` on, belong to its group without interruption.
fn actions_of_group(first: &Action, others: &[Action], group: u32) -> usize {
    debug_assert!(matches!(first, Action::Expect(..)));
    1 + others
        .iter()
        .take_while(|a| matches!(a, Action::Expect(_, e) if e.group.is_some_and(|(g, _)| g == group)))
        .count()
}
