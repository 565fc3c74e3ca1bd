//! Expectations whose source turns out to be another one.

use super::admissible::admissible;
use super::{Host, Origin, Turn};
use crate::event::{Event, ExpectationRecord, Provenance, RefusalRecord};
use pinhole_helper::{AddressMatch, Expect, Handle};
use pinhole_track::{Request, Tracker};

impl Host {
    /// Lets what was expected come from another source. If it has come already, it is entered once more, and leads where it led, in a
    /// translated conn too; what announced it stays.
    pub(super) fn aim(
        &mut self,
        Turn { at, session, .. }: Turn,
        tracker: &mut Tracker,
        handle: Handle,
        source: AddressMatch,
        events: &mut impl FnMut(Event),
    ) {
        let Some(slot) = self.slots.get_mut(session as usize).and_then(Option::as_mut) else { return };
        let Some(id) = slot.known(handle) else { return };
        // Of one that brought a conn in, that conn keeps the record.
        let Some(origin) = self.origins.get_mut(&id) else { return };
        let ExpectationRecord { expectation, provenance } = &mut origin.record;
        let expect = Expect { source, ..expectation.expect.clone() };
        let policy = self.helpers.bound(slot.helper, self.policy);
        let allowed = admissible(&slot.master, provenance.direction, &expect, &policy, false);
        let refused = |reason| {
            let (master, read_with) = (slot.conn, at.packet);
            let provenance = Provenance { read_with, ..provenance.clone() };
            Event::Refusal(Box::new(RefusalRecord { master, reason, provenance }))
        };
        if tracker.expectation(id).is_some() {
            match allowed.and_then(|()| tracker.aim(id, source)) {
                Ok(()) => {
                    expectation.expect.source = source;
                    events(Event::ExpectationAimed { packet: at.packet, time: at.time, id, source });
                }
                Err(reason) => events(refused(reason)),
            }
            return;
        }
        let Some(class) = self.helpers.class(slot.helper, expect.class) else { return };
        let announcer = expectation.announcer;
        let request = Request { expect, class, helper: slot.helper, announcer };
        match allowed.and_then(|()| tracker.expect(at.time, slot.conn, &[request])) {
            Ok(ids) => {
                let provenance = Provenance { read_with: at.packet, ..provenance.clone() };
                let follow = origin.follow;
                for id in ids {
                    slot.remember(handle, id);
                    if let Some(expectation) = tracker.expectation(id).cloned() {
                        let record = ExpectationRecord { expectation, provenance: provenance.clone() };
                        self.origins
                            .insert(id, Origin { record: record.clone(), end: None, follow, uses: 1 });
                        events(Event::ExpectationNew(Box::new(record)));
                    }
                }
            }
            Err(reason) => events(refused(reason)),
        }
    }
}
