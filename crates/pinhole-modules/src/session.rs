//! A session of a module: the contract on one side, the guest on the other.

use crate::guest::{Running, Shown};
use crate::judge::Judge;
use crate::module::Shared;
use pinhole_abi::exchange::Function;
use pinhole_abi::master;
use pinhole_helper::{
    Action, BlindReason, Context, Expect, Fault, Handle, Master, Policy, Progress, Session, Span,
};
use pinhole_wire::{Direction, Protocol};
use std::cell::Cell;
use std::sync::Arc;

/// Bytes of a stream that are shown at once, unless messages are longer: so that the requests of one call are few.
const AT_ONCE: usize = 2048;

pub(crate) struct ModuleSession {
    module: Arc<Shared>,
    master: Master,
    /// `None` if it did not even begin.
    running: Option<Running>,
    /// Found where there is no way to tell of it; the next read does.
    fault: Cell<Option<Fault>>,
    /// The host's handle for the session's first expectation.
    first_handle: u32,
}

impl ModuleSession {
    pub(crate) fn new(module: Arc<Shared>, master: &Master, policy: &Policy) -> Self {
        let attached = module.guest().attach(master, policy);
        let fault = Cell::new(attached.as_ref().err().copied());
        Self { module, master: *master, running: attached.ok(), fault, first_handle: 0 }
    }

    /// A session that goes on with what another one of the same module, to the byte, has saved, if the module agrees.
    pub(crate) fn restore(module: Arc<Shared>, saved: &[u8]) -> Option<Self> {
        let (hash, rest) = saved.split_first_chunk()?;
        if *hash != module.hash {
            return None;
        }
        let (first_handle, rest) = rest.split_first_chunk()?;
        let (master, _) = master::read(rest)?;
        let mut running = module.guest().resume(rest.get(master::SIZE..)?)?;
        let agrees = module.guest().goes_on(&mut running, Function::Restore, Direction::Original);
        agrees.unwrap_or(false).then(|| Self {
            module,
            master,
            running: Some(running),
            fault: Cell::new(None),
            first_handle: u32::from_le_bytes(*first_handle),
        })
    }

    /// Reads once, with the fuel that earlier turns have left; how many bytes were shown, and what came of it.
    fn turn(
        &mut self,
        cx: &mut Context<'_>,
        from: Direction,
        bytes: &[u8],
        at: usize,
        fuel: &mut Option<u64>,
    ) -> Result<(usize, Progress), Fault> {
        let Some(running) = &mut self.running else { return Err(Fault::Malformed) };
        let mut guest = self.module.guest();
        let left = fuel.get_or_insert_with(|| guest.allowance(bytes.len()));
        let rest = bytes.get(at..).unwrap_or_default();
        let is_stream = self.master.protocol == Protocol::TCP;
        let at_once = if is_stream { running.longest.saturating_add(1).max(AT_ONCE) } else { usize::MAX };
        let most = rest.len().min(guest.capacity()).min(at_once);
        let shown = rest.get(..most).unwrap_or_default();
        if shown.len() < rest.len() && !is_stream {
            return Ok((0, Progress::Blind(BlindReason::MessageTooLong)));
        }
        let judge = Judge {
            master: &self.master,
            from,
            grants: &self.module.manifest.grants,
            classes: self.module.manifest.spec.classes.len(),
        };
        let offset = cx.span(at, at).start;
        let shown = Shown { from, now: cx.now, offset, bytes: shown, fuel: *left };
        let progress = guest.read(running, shown, &judge)?;
        *left = left.saturating_sub(guest.fuel_used());
        for action in guest.actions() {
            self.first_handle = forward(cx, action, at, self.first_handle);
        }
        Ok((shown.bytes.len(), progress))
    }
}

impl Session for ModuleSession {
    fn read(&mut self, cx: &mut Context<'_>, from: Direction, bytes: &[u8]) -> Progress {
        if let Some(fault) = self.fault.get() {
            return Progress::Blind(BlindReason::Quarantined(fault));
        }
        let mut at = 0;
        // Turns share what one packet may cost: a guest that takes little at a time gains nothing by it.
        let mut fuel = None;
        loop {
            match self.turn(cx, from, bytes, at, &mut fuel) {
                // More waits than could be shown.
                Ok((shown, Progress::Consumed(count))) if count > 0 && at + shown < bytes.len() => {
                    at += count;
                }
                Ok((_, Progress::Consumed(count))) => return Progress::Consumed(at + count),
                Ok((_, end)) => return end,
                Err(fault) => return Progress::Blind(BlindReason::Quarantined(fault)),
            }
        }
    }

    fn longest_message(&self) -> usize {
        self.running.as_ref().map_or(0, |running| running.longest)
    }

    fn pick_up(&mut self, from: Direction) -> bool {
        self.goes_on(Function::PickUp, from)
    }

    fn resynchronise(&mut self, from: Direction) -> bool {
        self.goes_on(Function::Resynchronise, from)
    }

    fn may_announce(&self, from: Direction, unread: &[u8]) -> bool {
        let Some(running) = &self.running else { return false };
        self.module.guest().may_announce(running, from, unread).unwrap_or_else(|fault| {
            self.fault.set(Some(fault));
            false
        })
    }

    fn save(&self) -> Option<Vec<u8>> {
        let goes_on = self.module.restores && self.fault.get().is_none();
        let running = self.running.as_ref().filter(|_| goes_on)?;
        let mut saved = self.module.hash.to_vec();
        saved.extend_from_slice(&self.first_handle.to_le_bytes());
        saved.extend_from_slice(&master::write(&self.master, &Policy::default()));
        running.save(&mut saved);
        Some(saved)
    }

    fn memory(&self) -> usize {
        self.running.as_ref().map_or(0, Running::memory)
    }
}

impl ModuleSession {
    /// A fault is told by the read that follows.
    fn goes_on(&mut self, function: Function, from: Direction) -> bool {
        let Some(running) = &mut self.running else { return true };
        self.module.guest().goes_on(running, function, from).unwrap_or_else(|fault| {
            self.fault.set(Some(fault));
            true
        })
    }
}

/// Asks the host for what the guest asked for: spans begin at `at` of what the host shows, handles at `first`. Answers where they begin from
/// now on.
fn forward(cx: &mut Context<'_>, action: &Action, at: usize, first: u32) -> u32 {
    // Spans were found to lie inside what was shown.
    let span = |cx: &Context<'_>, span: &Span| cx.span(at + span.start as usize, at + span.end as usize);
    let handle = |handle: &Handle| Handle(handle.0.wrapping_add(first));
    match action {
        Action::Expect(own, expect) => {
            let given = cx.expect(Expect { span: span(cx, &expect.span), ..expect.clone() });
            return given.0.wrapping_sub(own.0);
        }
        Action::Activate(own) => cx.activate(handle(own)),
        Action::Extend(own, seconds) => cx.extend(handle(own), *seconds),
        Action::Prolong(seconds) => cx.prolong(*seconds),
        Action::Aim(own, source) => cx.aim(handle(own), *source),
        Action::Cancel(own) => cx.cancel(handle(own)),
        Action::Locate(own, place, field) => cx.locate(handle(own), span(cx, place), *field),
        Action::Mention(end, place, field) => cx.mention(*end, span(cx, place), *field),
        Action::Length(digits, body) => cx.length(span(cx, digits), span(cx, body)),
        Action::Renumber(place, field, number) => cx.renumber(span(cx, place), *field, *number),
        Action::Lead(own, source, destination) => cx.lead(handle(own), *source, *destination),
        Action::Refuse(why, place) => cx.refuse(*why, span(cx, place)),
        Action::Condition(condition) => cx.condition(*condition),
        // The interface has no others.
        _ => {}
    }
    first
}
