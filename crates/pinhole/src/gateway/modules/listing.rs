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

/// One half of a helper.
struct Line<'a> {
    half: &'a Wanted,
    origin: Option<&'a Origin>,
    is_enabled: bool,
    sessions: Option<usize>,
}

impl Modules {
    /// All halves, enabled or not.
    pub(in super::super) fn list(&self, engine: &Engine, format: ListFormat) -> String {
        let mut lines = String::new();
        if format == ListFormat::Table {
            lines = format!("{:<24} {:<11} {:>8} origin\n", "module", "state", "sessions");
        }
        for (half, sessions) in self.halves(engine) {
            let is_its = |origin: &&Origin| {
                Wanted::of(origin) == half
                    || origin.module.is_none() && Wanted::half(true, &origin.helper) == half
            };
            let origin = self.origins.iter().find(is_its);
            let is_enabled = sessions.is_some();
            let sessions = (!half.is_nat).then(|| sessions.unwrap_or_default());
            let line = Line { half: &half, origin, is_enabled, sessions };
            // Writing into memory does not fail.
            let _ = match format {
                ListFormat::Json => line.json(&mut lines),
                ListFormat::Conntrack | ListFormat::Table => line.text(&mut lines),
            };
        }
        lines
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

impl Line<'_> {
    fn state(&self, status: Option<&Status>) -> &'static str {
        match status {
            _ if !self.is_enabled => "disabled",
            Some(status) if status.quarantined => "quarantined",
            _ => "enabled",
        }
    }

    fn module(&self) -> (Option<&Module>, Option<Status>) {
        let module = self.origin.and_then(|origin| origin.module.as_ref());
        (module, module.map(Module::status))
    }

    fn path(&self) -> String {
        self.origin.map_or_else(|| "built-in".to_owned(), |origin| origin.path.display().to_string())
    }

    fn json(&self, lines: &mut String) -> std::fmt::Result {
        let (module, status) = self.module();
        writeln!(
            lines,
            "{}",
            json!({
                "type": "module", "name": self.half.name(), "origin": self.path(),
                "sha256": module.map(Module::hash), "state": self.state(status.as_ref()), "sessions": self.sessions,
                "calls": status.map(|s| s.calls), "fuel": status.map(|s| s.fuel),
                "memory": status.map(|s| s.memory), "faults": status.map(|s| s.faults),
                "latest_fault": status.and_then(|s| s.latest_fault).map(|fault| fault.to_string()),
            })
        )
    }

    fn text(&self, lines: &mut String) -> std::fmt::Result {
        let (module, status) = self.module();
        write!(lines, "{:<24} {:<11}", self.half.name(), self.state(status.as_ref()))?;
        let sessions = self.sessions.map_or_else(String::new, |sessions| sessions.to_string());
        write!(lines, " {sessions:>8} {}", self.path())?;
        if let (Some(module), Some(status)) = (module, status) {
            let Status { calls, fuel, memory, faults, .. } = status;
            write!(lines, " calls={calls} fuel={fuel} memory={memory} faults={faults}")?;
            if let Some(fault) = status.latest_fault {
                write!(lines, " latest-fault=\"{fault}\"")?;
            }
            write!(lines, " sha256={}", module.hash())?;
        }
        writeln!(lines)
    }
}
