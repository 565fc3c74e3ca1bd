//! One instance of a module, and the sessions that take turns in it.
//!
//! *Invariants.* The exchange block and the areas are where the module said when it was loaded, inside the memory and apart from each other;
//! a memory never shrinks. Nothing of a call that ended in a fault is kept; the instance is a fresh one then.

use crate::Limits;
use crate::judge::Judge;
use crate::sandbox::{Code, Instance};
use pinhole_abi::exchange::{Area, Areas, Function, LONGEST_MESSAGE, offset, progress};
use pinhole_abi::{master, record};
use pinhole_helper::{Action, Fault, Master, Policy, Progress};
use pinhole_wire::{Direction, Time};
use std::net::SocketAddr;

/// Counts of what a module did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) calls: u64,
    pub(crate) fuel: u64,
    pub(crate) faults: u32,
    pub(crate) latest_fault: Option<Fault>,
}

pub(crate) struct Guest {
    code: Box<dyn Code>,
    limits: Limits,
    instance: Box<dyn Instance>,
    /// Address of the exchange block.
    block: usize,
    areas: Areas,
    counts: Counts,
    quarantined: bool,
    /// Whose state lies in the state area.
    resident: u64,
    sessions: u64,
    actions: Vec<Action>,
}

/// What a session is between two calls.
#[derive(Debug)]
pub(crate) struct Running {
    id: u64,
    image: Vec<u8>,
    /// Expectations asked for so far: the next handle.
    handles: u32,
    pub(crate) longest: usize,
}

impl Running {
    /// Writes what [`Guest::resume`] goes on with.
    pub(crate) fn save(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.handles.to_le_bytes());
        out.extend_from_slice(&u32::try_from(self.longest).unwrap_or(u32::MAX).to_le_bytes());
        out.extend_from_slice(&self.image);
    }

    /// Bytes of memory besides its own size.
    pub(crate) fn memory(&self) -> usize {
        self.image.capacity()
    }
}

/// Bytes to read.
#[derive(Clone, Copy)]
pub(crate) struct Shown<'a> {
    pub(crate) from: Direction,
    pub(crate) now: Time,
    pub(crate) offset: u64,
    pub(crate) bytes: &'a [u8],
    /// Fuel that is left for the packet that completed them.
    pub(crate) fuel: u64,
}

/// Why a module cannot be started.
#[derive(Debug)]
pub(crate) enum NotStarted {
    Fault(Fault),
    Areas(pinhole_abi::exchange::BadAreas),
}

impl Guest {
    pub(crate) fn new(code: Box<dyn Code>, limits: Limits) -> Result<Self, NotStarted> {
        let (instance, block, areas) = start(&*code, &limits)?;
        Ok(Self {
            code,
            limits,
            instance,
            block,
            areas,
            counts: Counts::default(),
            quarantined: false,
            resident: 0,
            sessions: 0,
            actions: Vec::new(),
        })
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    pub(crate) fn is_quarantined(&self) -> bool {
        self.quarantined
    }

    /// Bytes of the instance's memory.
    pub(crate) fn memory(&mut self) -> usize {
        self.instance.memory().len()
    }

    /// Fuel for so many bytes.
    pub(crate) fn allowance(&self, bytes: usize) -> u64 {
        self.limits.fuel.saturating_add(self.limits.fuel_per_byte.saturating_mul(bytes as u64))
    }

    /// Fuel that the latest call used.
    pub(crate) fn fuel_used(&self) -> u64 {
        self.instance.fuel_used()
    }

    /// Bytes that can be shown at once.
    pub(crate) fn capacity(&self) -> usize {
        self.areas.input.capacity as usize
    }

    /// A session begins.
    pub(crate) fn attach(&mut self, master: &Master, policy: &Policy) -> Result<Running, Fault> {
        self.sessions += 1;
        let mut running = Running { id: self.sessions, image: Vec::new(), handles: 0, longest: 0 };
        self.resident = running.id;
        self.show(&[&master::write(master, policy)]);
        let attached =
            self.call(Function::Attach, [0; 3], self.allowance(0)).and_then(|result| match result {
                Some(0) => Ok(self.field(offset::LONGEST_MESSAGE)),
                _ => Err(Fault::Malformed),
            });
        let attached = attached.and_then(|longest| {
            running.longest = if longest == 0 { LONGEST_MESSAGE } else { longest } as usize;
            self.take(&mut running)
        });
        self.settle(attached)?;
        Ok(running)
    }

    /// A session goes on with what another [saved](Running::save). Whatever the bytes are, they can do no more than the module can.
    pub(crate) fn resume(&mut self, saved: &[u8]) -> Option<Running> {
        let (handles, rest) = saved.split_first_chunk()?;
        let (longest, image) = rest.split_first_chunk()?;
        if image.len() > self.limits.state.min(self.areas.state.capacity as usize) {
            return None;
        }
        self.sessions += 1;
        Some(Running {
            id: self.sessions,
            image: image.to_vec(),
            handles: u32::from_le_bytes(*handles),
            longest: u32::from_le_bytes(*longest) as usize,
        })
    }

    /// A session reads. Its requests, judged, are [`actions`](Self::actions) then.
    pub(crate) fn read(
        &mut self,
        running: &mut Running,
        shown: Shown<'_>,
        judge: &Judge<'_>,
    ) -> Result<Progress, Fault> {
        self.enter(running)?;
        self.show(&[shown.bytes]);
        self.put(offset::NOW, &shown.now.0.to_le_bytes());
        self.put(offset::STREAM_OFFSET, &shown.offset.to_le_bytes());
        // No more than the input area holds.
        let numbers = [shown.from.index() as i32, shown.bytes.len() as i32, 0];
        let fuel = shown.fuel.min(self.allowance(shown.bytes.len()));
        let result = self.call(Function::Read, numbers, fuel).and_then(|packed| {
            let progress = packed.and_then(|packed| progress::unpack(packed, shown.bytes.len()));
            let mut handles = running.handles;
            self.take_actions(&mut handles, shown.bytes.len(), judge)?;
            self.take(running)?;
            running.handles = handles;
            progress.ok_or(Fault::Malformed)
        });
        self.settle(result)
    }

    /// What the latest read asked for.
    pub(crate) fn actions(&self) -> &[Action] {
        &self.actions
    }

    /// Whether a session goes on: after bytes that it has not seen ([`Function::PickUp`], [`Function::Resynchronise`]), or a restart of the host
    /// ([`Function::Restore`]), for which `from` means nothing.
    pub(crate) fn goes_on(
        &mut self,
        running: &mut Running,
        function: Function,
        from: Direction,
    ) -> Result<bool, Fault> {
        self.enter(running)?;
        let result = self.call(function, [from.index() as i32, 0, 0], self.allowance(0)).and_then(|result| {
            self.take(running)?;
            Ok(result.is_some_and(|result| result != 0))
        });
        self.settle(result)
    }

    /// Whether an incomplete message may hold an announcement. The session is what it was before.
    pub(crate) fn may_announce(
        &mut self,
        running: &Running,
        from: Direction,
        unread: &[u8],
    ) -> Result<bool, Fault> {
        let Some(unread) = unread.get(..unread.len().min(self.capacity())) else { return Ok(true) };
        self.enter(running)?;
        self.show(&[unread]);
        let numbers = [from.index() as i32, unread.len() as i32, 0];
        let result = self.call(Function::MayAnnounce, numbers, self.allowance(unread.len()));
        self.resident = 0;
        self.settle(result).map(|result| result.is_none_or(|result| result != 0))
    }

    /// Writes an endpoint: the answer's number, and its bytes appended to `out`.
    pub(crate) fn encode(
        &mut self,
        (kind, notation): (u8, u8),
        endpoint: SocketAddr,
        old: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<i64, Fault> {
        if self.quarantined {
            return Err(Fault::Module);
        }
        let room = self.capacity() - master::ENDPOINT;
        let old = old.get(..old.len().min(room)).unwrap_or_default();
        self.show(&[&master::endpoint(endpoint), old]);
        let numbers = [kind.into(), notation.into(), old.len() as i32];
        let result = self.call(Function::Encode, numbers, self.allowance(old.len())).and_then(|result| {
            let limit = self.limits.replacement;
            let text = self.answer(limit)?;
            match result {
                Some(0) => out.extend_from_slice(text),
                Some(1 | 2) => {}
                _ => return Err(Fault::Malformed),
            }
            result.ok_or(Fault::Malformed)
        });
        self.settle(result)
    }

    /// Puts a session's state where it was.
    fn enter(&mut self, running: &Running) -> Result<(), Fault> {
        if self.quarantined {
            return Err(Fault::Module);
        }
        if self.resident != running.id {
            self.resident = running.id;
            let state = self.areas.state;
            if let Some(place) = area(self.instance.memory(), state).get_mut(..running.image.len()) {
                place.copy_from_slice(&running.image);
            }
            // The length is a part of the state.
            self.put(offset::STATE_LENGTH, &(running.image.len() as u32).to_le_bytes());
        }
        Ok(())
    }

    /// Takes what a session remembers.
    fn take(&mut self, running: &mut Running) -> Result<(), Fault> {
        let length = self.field(offset::STATE_LENGTH) as usize;
        let state = self.areas.state;
        let bytes = area(self.instance.memory(), state);
        let bytes = bytes.get(..length).filter(|_| length <= self.limits.state).ok_or(Fault::State)?;
        running.image.clear();
        running.image.extend_from_slice(bytes);
        Ok(())
    }

    fn take_actions(&mut self, handles: &mut u32, shown: usize, judge: &Judge<'_>) -> Result<(), Fault> {
        let mut actions = std::mem::take(&mut self.actions);
        actions.clear();
        let capacity = self.areas.output.capacity as usize;
        let most = self.limits.records;
        let mut read = || {
            let mut rest = self.answer(capacity)?;
            while !rest.is_empty() {
                let (mut action, size) = record::read(rest).ok_or(Fault::Malformed)?;
                judge.admit(&mut action, shown, handles)?;
                rest = rest.get(size..).unwrap_or_default();
                if actions.len() >= most {
                    return Err(Fault::Output);
                }
                actions.push(action);
            }
            Ok(())
        };
        let result = read();
        self.actions = actions;
        result
    }

    /// The answer of the latest call.
    fn answer(&mut self, limit: usize) -> Result<&[u8], Fault> {
        let length = self.field(offset::OUTPUT_LENGTH) as usize;
        let output = self.areas.output;
        let bytes = area(self.instance.memory(), output);
        bytes.get(..length).filter(|_| length <= limit).ok_or(Fault::Output)
    }

    /// Calls a function, with that much fuel.
    fn call(&mut self, function: Function, numbers: [i32; 3], fuel: u64) -> Result<Option<i64>, Fault> {
        self.put(offset::OUTPUT_LENGTH, &0u32.to_le_bytes());
        let result = self.instance.call(function, numbers, fuel);
        self.counts.calls += 1;
        self.counts.fuel = self.counts.fuel.saturating_add(self.instance.fuel_used());
        result.transpose()
    }

    /// After a call: a fault is counted, and the instance in which it happened thrown away.
    fn settle<T>(&mut self, result: Result<T, Fault>) -> Result<T, Fault> {
        let Err(fault) = &result else { return result };
        self.counts.faults = self.counts.faults.saturating_add(1);
        self.counts.latest_fault = Some(*fault);
        self.resident = 0;
        match start(&*self.code, &self.limits) {
            Ok((instance, block, areas)) if self.counts.faults < self.limits.faults => {
                self.instance = instance;
                // A module that says something else each time is none to trust.
                self.quarantined = (block, areas) != (self.block, self.areas);
            }
            _ => self.quarantined = true,
        }
        result
    }

    fn show(&mut self, parts: &[&[u8]]) {
        let input = self.areas.input;
        let mut place = area(self.instance.memory(), input);
        for part in parts {
            let Some((first, rest)) = place.split_at_mut_checked(part.len()) else { return };
            first.copy_from_slice(part);
            place = rest;
        }
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        let place = self.block + at;
        if let Some(place) = self.instance.memory().get_mut(place..place + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }

    fn field(&mut self, at: usize) -> u32 {
        let place = self.block + at;
        let bytes = self.instance.memory().get(place..).and_then(|rest| rest.first_chunk());
        u32::from_le_bytes(bytes.copied().unwrap_or_default())
    }
}

/// A fresh instance, the address of its exchange block, and its areas.
fn start(code: &dyn Code, limits: &Limits) -> Result<(Box<dyn Instance>, usize, Areas), NotStarted> {
    let mut instance = code.instantiate().map_err(NotStarted::Fault)?;
    let exchange =
        instance.call(Function::Exchange, [0; 3], limits.fuel).transpose().map_err(NotStarted::Fault)?;
    // An address, whatever its sign.
    let block = exchange.unwrap_or_default() as u32;
    let areas = Areas::read(instance.memory(), block).map_err(NotStarted::Areas)?;
    Ok((instance, block as usize, areas))
}

fn area(memory: &mut [u8], area: Area) -> &mut [u8] {
    let begin = area.address as usize;
    memory.get_mut(begin..begin + area.capacity as usize).unwrap_or_default()
}
