//! One engine with its ports, and what is known of its traffic: a gateway, or one shard of it.
//!
//! It belongs to one thread. Whoever wants something of it is in that thread, or hands it a job ([`super::crew`]).

use super::journal::Journal;
use super::modules::Modules;
use crate::commands::Failure;
use crate::files;
use crate::load::Grant;
use pinhole_engine::{PreparedRuleset, Saving, Steering};
use pinhole_gateway::shards::Share;
use pinhole_gateway::{Datapath, Observer};
use pinhole_io::live::Port;
use pinhole_ruleset::Ruleset;
use pinhole_track::ConnId;
use pinhole_wire::Time;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Longest wait for a frame.
const LONGEST_WAIT: u64 = 1_000_000_000;

/// Turns of a busy router after which its ways to the host are looked at.
const TURNS_PER_HOST_TURN: u32 = 8;

/// Slots of the table saved at a time, between two batches of frames.
const SLICE: u32 = 256;

/// A gateway that runs.
pub(super) struct Gateway {
    pub(super) datapath: Datapath,
    pub(super) journal: Journal,
    pub(super) modules: Modules,
    rules: PathBuf,
    clock: Clock,
    turns: u32,
    busy: bool,
    /// Which of several it is, and of how many.
    position: (usize, usize),
    /// A ruleset that waits until all shards have it.
    prepared: Option<PreparedRuleset>,
    saving: Option<Saving>,
}

/// Time that never goes back and still tells the date.
#[derive(Clone, Copy)]
pub(super) struct Clock {
    start: Instant,
    date: u64,
}

impl Clock {
    pub(super) fn new() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { start: Instant::now(), date: u64::try_from(since.as_nanos()).unwrap_or(0) }
    }

    /// Shows at least this time, which an earlier run has seen.
    pub(super) fn not_before(mut self, time: Time) -> Self {
        self.date = self.date.max(time.0);
        self
    }

    pub(super) fn now(&self) -> Time {
        Time(self.date).plus_nanos(u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}

impl Clock {
    /// Seconds since the start.
    pub(super) fn uptime(&self, now: Time) -> u64 {
        now.since(Time(self.date)) / 1_000_000_000
    }
}

impl Gateway {
    pub(super) fn new(datapath: Datapath, rules: PathBuf, modules: Modules, clock: Clock) -> Self {
        let ports = datapath.ports().iter().map(|port| port.name().to_owned()).collect();
        let position = datapath.share().map_or((0, 1), Share::position);
        let mut journal = Journal::new(ports);
        journal.report.count_as(position);
        journal.report.nat_helpers = datapath.engine().nat_helpers().map(str::to_owned).collect();
        Self {
            datapath,
            journal,
            modules,
            rules,
            clock,
            turns: 0,
            busy: false,
            position,
            prepared: None,
            saving: None,
        }
    }

    /// A gateway of a test's.
    #[cfg(test)]
    pub(super) fn for_tests(datapath: Datapath, rules: PathBuf) -> Self {
        Self::new(datapath, rules, Modules::default(), Clock::new())
    }

    pub(super) fn now(&self) -> Time {
        self.clock.now()
    }

    pub(super) fn clock(&self) -> Clock {
        self.clock
    }

    /// Which of several it is.
    pub(super) fn index(&self) -> usize {
        self.position.0
    }

    /// Whether a conn of this number is, or was, this shard's.
    pub(super) fn numbers(&self, conn: u32) -> bool {
        let (index, count) = self.position;
        conn.checked_sub(1).is_some_and(|number| number as usize % count == index)
    }

    /// Tells the journal what there is already.
    pub(super) fn introduce(&mut self) {
        let engine = self.datapath.engine();
        engine.describe(self.clock.now(), &mut |event| self.journal.event(engine, event));
    }

    /// Brings what is known of a conn up to date.
    pub(super) fn refresh(&mut self, conn: ConnId) {
        self.journal.refresh(self.datapath.engine(), conn, self.clock.now());
    }

    /// Ends all conns; returns how many.
    pub(super) fn flush(&mut self) -> usize {
        let count = self.datapath.engine().tracker().len();
        self.datapath.engine_mut().flush(self.clock.now());
        self.datapath.tell_events(&mut self.journal);
        count
    }

    /// Ends these conns; returns how many there were.
    pub(super) fn delete(&mut self, conns: &[ConnId]) -> usize {
        let now = self.clock.now();
        let count = conns.iter().filter(|conn| self.datapath.engine_mut().delete(now, **conn)).count();
        self.datapath.tell_events(&mut self.journal);
        count
    }

    /// Loads helpers; what was done, a line each.
    pub(super) fn load(&mut self, names: &[String], allow: &[Grant]) -> Result<String, String> {
        self.modules.load(self.datapath.engine_mut(), names, allow)
    }

    /// Unloads helpers.
    pub(super) fn unload(&mut self, names: &[String], force: bool) -> Result<String, String> {
        let now = self.clock.now();
        let done = self.modules.unload(self.datapath.engine_mut(), now, names, force);
        self.datapath.tell_events(&mut self.journal);
        done
    }

    /// Lets a helper read again, or no more.
    pub(super) fn switch(&mut self, name: &str, enabled: bool, nat: bool) -> Result<String, String> {
        let now = self.clock.now();
        let done = self.modules.switch(self.datapath.engine_mut(), now, name, enabled, nat);
        self.datapath.tell_events(&mut self.journal);
        done
    }

    /// Reads helpers again from their files.
    pub(super) fn reload_modules(&mut self, names: &[String]) -> Result<String, String> {
        self.modules.reload(self.datapath.engine_mut(), names)
    }

    /// Reads the ruleset again and puts it into force; if anything is wrong with it, nothing changes.
    pub(super) fn reload(&mut self) -> Result<(), String> {
        let stays = |failure: &Failure| format!("the ruleset stays as it was\n{}", describe(failure));
        let ruleset = load(&self.rules).map_err(|failure| stays(&failure))?;
        self.datapath.engine_mut().replace_ruleset(Some(ruleset)).map_err(|e| stays(&Failure::Setup(e)))?;
        self.journal.ruleset_replaced();
        Ok(())
    }

    /// Makes this shard's part of a ruleset ready, to be [adopted](Self::adopt) when all shards are.
    pub(super) fn prepare_part(&mut self, whole: &Ruleset) -> Result<(), String> {
        let part = whole.clone().divided(self.position);
        let prepared = self.datapath.engine_mut().prepare_ruleset(Some(part));
        self.prepared = Some(prepared.map_err(|errors| describe(&Failure::Setup(errors)))?);
        Ok(())
    }

    /// Puts what was prepared into force, and spreads frames so that it can do what it says.
    pub(super) fn adopt(&mut self, steering: Steering) {
        if let Some(prepared) = self.prepared.take() {
            self.datapath.engine_mut().adopt_ruleset(prepared);
            self.datapath.steer_by(steering);
            self.journal.ruleset_replaced();
        }
    }

    /// Forgets what was prepared.
    pub(super) fn withdraw(&mut self) {
        self.prepared = None;
    }

    /// Writes a slice of the state; all of it, when it is complete.
    pub(super) fn save_slice(&mut self, now: Time) -> Option<Vec<u8>> {
        let engine = self.datapath.engine();
        let mut saving = self.saving.take().unwrap_or_else(|| engine.begin_save(now));
        if saving.proceed(engine, SLICE) {
            return Some(saving.finish());
        }
        self.saving = Some(saving);
        None
    }

    /// The state at the stop: no frame passes any more.
    pub(super) fn save_last(&mut self) -> Vec<u8> {
        let now = self.clock.now();
        self.datapath.recall_all(now);
        self.datapath.engine().save(now)
    }

    /// One turn: a batch from each port, and what is due. Returns whether there is more to do at once.
    pub(super) fn turn(&mut self, mut complain: impl FnMut(&str)) -> bool {
        let mut more = false;
        self.turns = self.turns.wrapping_add(1);
        // The host has little to say while packets pass.
        let listens = !self.busy || self.turns.is_multiple_of(TURNS_PER_HOST_TURN);
        let sides = if listens { self.datapath.ports().len() } else { self.datapath.wires() };
        for side in 0..sides {
            match self.datapath.serve(self.clock.now(), side, &mut self.journal) {
                Ok(count) => more |= count > 0,
                Err(error) => {
                    let name = self.datapath.ports().get(side).map_or("", Port::name);
                    complain(&format!("port {name}: {error}"));
                }
            }
        }
        more |= self.datapath.serve_handed(self.clock.now(), &mut self.journal);
        self.busy = self.datapath.advance(self.clock.now(), &mut self.journal) || more;
        self.busy
    }

    /// Nanoseconds until something is due, here or for others.
    pub(super) fn patience(&self, others: impl Iterator<Item = Time>) -> u64 {
        let deadline = self.datapath.next_deadline().into_iter().chain(others).min();
        let due = deadline.map(|deadline| deadline.since(self.clock.now()));
        due.map_or(LONGEST_WAIT, |nanos| nanos.clamp(1_000_000, LONGEST_WAIT))
    }
}

/// Reads a ruleset.
pub(super) fn load(rules: &Path) -> Result<Ruleset, Failure> {
    files::load(rules).map_err(Failure::Ruleset)
}

/// What is wrong with a ruleset, in lines without colour.
pub(super) fn describe(failure: &Failure) -> String {
    match failure {
        Failure::Ruleset(diagnostics) => {
            diagnostics.iter().map(|d| d.render(false)).collect::<Vec<_>>().join("\n")
        }
        other => other.to_string(),
    }
}
