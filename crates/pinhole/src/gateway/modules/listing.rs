//! What helpers there are: where each half comes from, whether it is enabled, its sessions, and what modules have used.

use super::super::request::ListFormat;
use super::Modules;
use super::name::{Wanted, built_in};
use crate::load::Origin;
use pinhole_engine::Engine;
use pinhole_modules::{Module, Status};
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write;

/// One half of a helper, as one shard has it, or all together.
#[derive(Clone)]
pub(in super::super) struct Line {
    name: String,
    origin: String,
    hash: Option<String>,
    state: &'static str,
    sessions: Option<usize>,
    status: Option<Status>,
}

impl Modules {
    /// All halves, enabled or not.
    pub(in super::super) fn lines(&self, engine: &Engine) -> Vec<Line> {
        let halves = self.halves(engine).into_iter().map(|(half, sessions)| {
            let is_its = |origin: &&Origin| {
                Wanted::of(origin) == half
                    || origin.module.is_none() && Wanted::half(true, &origin.helper) == half
            };
            let origin = self.origins.iter().find(is_its);
            let module = origin.and_then(|origin| origin.module.as_ref());
            let status = module.map(Module::status);
            let state = match &status {
                _ if sessions.is_none() => "disabled",
                Some(status) if status.quarantined => "quarantined",
                _ => "enabled",
            };
            Line {
                name: half.name(),
                origin: origin
                    .map_or_else(|| "built-in".to_owned(), |origin| origin.path.display().to_string()),
                hash: module.map(|module| module.hash().to_string()),
                state,
                sessions: (!half.is_nat).then(|| sessions.unwrap_or_default()),
                status,
            }
        });
        halves.collect()
    }

    /// All halves that there are, in order of their names, with the sessions of those that are enabled.
    fn halves(&self, engine: &Engine) -> BTreeMap<Wanted, Option<usize>> {
        let all = ["conntrack_*", "nat_*"].iter().flat_map(|name| built_in(&Wanted::parse(name)));
        let mut halves: BTreeMap<Wanted, Option<usize>> = all.map(|half| (half, None)).collect();
        halves.extend(self.origins.iter().map(|origin| (Wanted::of(origin), None)));
        for (helper, sessions) in engine.host().helpers() {
            halves.insert(Wanted::half(false, &helper.spec().name), Some(sessions));
        }
        halves.extend(engine.nat_helpers().map(|helper| (Wanted::half(true, helper), Some(0))));
        halves
    }
}

/// What all shards have of each half, which is the same, as text.
pub(in super::super) fn listing(shards: Vec<Vec<Line>>, format: ListFormat) -> String {
    let mut shards = shards.into_iter();
    let mut all = shards.next().unwrap_or_default();
    for (line, more) in shards.flat_map(|shard| all_of(&all, shard)).collect::<Vec<_>>() {
        if let Some(line) = all.get_mut(line) {
            line.add(&more);
        }
    }
    let mut text = String::new();
    if format == ListFormat::Table {
        text = format!("{:<24} {:<11} {:>8} origin\n", "module", "state", "sessions");
    }
    for line in all {
        // Writing into memory does not fail.
        let _ = match format {
            ListFormat::Json => line.json(&mut text),
            ListFormat::Conntrack | ListFormat::Table => line.text(&mut text),
        };
    }
    text
}

/// The lines of a shard, with their places among all.
fn all_of(all: &[Line], shard: Vec<Line>) -> Vec<(usize, Line)> {
    let place = |line: &Line| all.iter().position(|known| known.name == line.name);
    shard.into_iter().filter_map(|line| Some((place(&line)?, line))).collect()
}

impl Line {
    /// Adds what another shard has of it. One that is quarantined anywhere is so.
    fn add(&mut self, other: &Self) {
        self.sessions = self.sessions.zip(other.sessions).map(|(one, other)| one + other);
        if other.state == "quarantined" {
            self.state = other.state;
        }
        if let (Some(all), Some(more)) = (&mut self.status, &other.status) {
            all.calls += more.calls;
            all.fuel += more.fuel;
            all.memory += more.memory;
            all.faults += more.faults;
            all.latest_fault = all.latest_fault.or(more.latest_fault);
        }
    }

    fn json(&self, lines: &mut String) -> std::fmt::Result {
        let status = self.status.as_ref();
        writeln!(
            lines,
            "{}",
            json!({
                "type": "module", "name": self.name, "origin": self.origin,
                "sha256": self.hash, "state": self.state, "sessions": self.sessions,
                "calls": status.map(|s| s.calls), "fuel": status.map(|s| s.fuel),
                "memory": status.map(|s| s.memory), "faults": status.map(|s| s.faults),
                "latest_fault": status.and_then(|s| s.latest_fault).map(|fault| fault.to_string()),
            })
        )
    }

    fn text(&self, lines: &mut String) -> std::fmt::Result {
        write!(lines, "{:<24} {:<11}", self.name, self.state)?;
        let sessions = self.sessions.map_or_else(String::new, |sessions| sessions.to_string());
        write!(lines, " {sessions:>8} {}", self.origin)?;
        if let (Some(hash), Some(status)) = (&self.hash, &self.status) {
            let Status { calls, fuel, memory, faults, .. } = status;
            write!(lines, " calls={calls} fuel={fuel} memory={memory} faults={faults}")?;
            if let Some(fault) = status.latest_fault {
                write!(lines, " latest-fault=\"{fault}\"")?;
            }
            write!(lines, " sha256={hash}")?;
        }
        writeln!(lines)
    }
}
