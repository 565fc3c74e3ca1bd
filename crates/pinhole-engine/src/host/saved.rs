//! What of sessions and of provenance outlives a restart.
//!
//! Helpers and rules are saved by name, because their numbers are a build's and a ruleset's own. Numbers of packets mean nothing after
//! a restart and are zero from then on.

use super::edits::Announced;
use super::slot::{HANDLES, Slot};
use super::{Follow, Host, Origin, ends};
use crate::event::{ExpectationRecord, Provenance, RULE};
use pinhole_helper::{Handle, Master, Name, Reader, SavedReader, Span};
use pinhole_ruleset::{RuleId, Ruleset};
use pinhole_track::{ConnId, EndCause, Expectation, ExpectationId, Tracker};
use pinhole_wire::{Direction, Time};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// A session. Its helper is its conn's.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SavedSession {
    rule: Option<String>,
    handles: Vec<(Handle, ExpectationId)>,
    needed_until: Time,
    announced: Vec<Announced>,
    /// `None`: its helper cannot save it.
    reader: Option<SavedReader>,
}

/// An expectation that waits, or brought in a conn that lives, and where it came from.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SavedOrigin {
    pub(crate) expectation: Expectation,
    /// How it ended, if it did.
    pub(crate) end: Option<EndCause>,
    /// `None`: a rule entered it.
    helper: Option<Name>,
    time: Time,
    direction: Direction,
    span: Span,
    bytes: Box<[u8]>,
    rule: Option<String>,
    follow: Option<Follow>,
}

/// The rules in force by what they say and where.
pub(crate) struct RuleNames(HashMap<String, RuleId>);

impl RuleNames {
    pub(crate) fn of(ruleset: Option<&Ruleset>) -> Self {
        let all = ruleset.into_iter().flat_map(|ruleset| {
            (0..ruleset.rule_count()).map(|number| (name_of(ruleset, RuleId(number)), RuleId(number)))
        });
        Self(all.collect())
    }

    fn find(&self, name: Option<&String>) -> Option<RuleId> {
        self.0.get(name?).copied()
    }
}

fn name_of(ruleset: &Ruleset, rule: RuleId) -> String {
    let place = ruleset.location(rule).map_or_else(String::new, |place| place.to_string());
    format!("{place} {}", ruleset.rule_text(rule))
}

impl Host {
    /// Forgets all sessions and origins, of whose conns none is left.
    pub(crate) fn clear(&mut self) {
        for slot in self.slots.drain(..).flatten() {
            self.helpers.session_ended(slot.helper);
        }
        self.free.clear();
        self.origins.clear();
        self.memory = 0;
    }

    /// Names of helpers in the order of their numbers.
    pub(crate) fn helper_names(&self) -> impl Iterator<Item = Name> {
        self.helpers.names()
    }

    pub(crate) fn save_session(&self, session: u32, ruleset: Option<&Ruleset>) -> Option<SavedSession> {
        let slot = self.slots.get(session as usize)?.as_ref()?;
        Some(SavedSession {
            rule: slot.rule.zip(ruleset).map(|(rule, ruleset)| name_of(ruleset, rule)),
            handles: slot.handles.clone(),
            needed_until: slot.needed_until,
            announced: slot.announced.clone(),
            reader: slot.reader.save(),
        })
    }

    /// Goes on with a session of a conn that was restored. `false`: that cannot be.
    pub(crate) fn restore_session(
        &mut self,
        tracker: &mut Tracker,
        conn: ConnId,
        number: u16,
        saved: SavedSession,
        rules: &RuleNames,
    ) -> bool {
        let SavedSession { rule, handles, needed_until, announced, reader } = saved;
        let Some((master, helper)) = master_of(tracker, conn).zip(self.helper(number)) else { return false };
        let policy = helper.bound(self.policy);
        let restored = |reader| Reader::restore(helper, master, policy, self.pickup, reader);
        let Some(reader) = reader.and_then(restored) else { return false };
        if handles.len() > HANDLES || announced.len() > HANDLES {
            return false;
        }
        let rule = rules.find(rule.as_ref());
        let mut slot =
            Slot { reader, helper: number, rule, conn, master, handles, needed_until, announced, memory: 0 };
        slot.memory = slot.held();
        let memory = slot.memory;
        let Some(session) = self.keep(slot) else { return false };
        self.memory += memory;
        tracker.set_session(conn, Some(session));
        true
    }

    /// The ids of all origins, in order.
    pub(crate) fn origin_ids(&self) -> Vec<ExpectationId> {
        let mut ids: Vec<_> = self.origins.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    pub(crate) fn save_origin(
        &self,
        tracker: &Tracker,
        id: ExpectationId,
        ruleset: Option<&Ruleset>,
    ) -> Option<SavedOrigin> {
        let Origin { record, end, follow, .. } = self.origins.get(&id)?;
        let expectation = tracker.expectation(id).unwrap_or(&record.expectation).clone();
        let Provenance { helper, time, direction, span, bytes, attached_by, .. } = &record.provenance;
        Some(SavedOrigin {
            expectation,
            end: *end,
            helper: Some(*helper).filter(|helper| *helper != RULE),
            time: *time,
            direction: *direction,
            span: *span,
            bytes: bytes.clone(),
            rule: attached_by.zip(ruleset).map(|(rule, ruleset)| name_of(ruleset, rule)),
            follow: *follow,
        })
    }

    /// Remembers where an expectation came from that `uses` conns and the table have in use. `false`: it came from nowhere.
    pub(crate) fn restore_origin(&mut self, saved: SavedOrigin, uses: u32, rules: &RuleNames) -> bool {
        if saved.span.start > saved.span.end {
            return false;
        }
        let helper = saved.helper.unwrap_or(RULE);
        let provenance = Provenance {
            helper,
            packet: 0,
            time: saved.time,
            read_with: 0,
            direction: saved.direction,
            span: saved.span,
            bytes: saved.bytes,
            attached_by: rules.find(saved.rule.as_ref()),
        };
        let expectation = saved.expectation;
        let id = expectation.id;
        let record = ExpectationRecord { expectation, provenance };
        self.origins.insert(id, Origin { record, end: saved.end, follow: saved.follow, uses });
        true
    }

    /// The rule that attached the helper of a session.
    pub(crate) fn rule_of(&self, session: u32) -> Option<RuleId> {
        self.slots.get(session as usize)?.as_ref()?.rule
    }

    /// Whether a session can read what passes.
    pub(crate) fn condition_of(&self, session: u32) -> Option<pinhole_helper::Condition> {
        Some(self.slots.get(session as usize)?.as_ref()?.reader.condition())
    }

    /// What is known of an expectation, and how it ended.
    pub(crate) fn origin(&self, id: ExpectationId) -> Option<(&ExpectationRecord, Option<EndCause>)> {
        self.origins.get(&id).map(|origin| (&origin.record, origin.end))
    }
}

/// What a session may know of its conn.
pub(super) fn master_of(tracker: &Tracker, conn: ConnId) -> Option<Master> {
    let (original, reply) = (tracker.original(conn)?, tracker.reply(conn)?);
    Some(Master {
        version: original.version,
        protocol: original.protocol,
        original: ends(&original),
        reply: ends(&reply),
    })
}
