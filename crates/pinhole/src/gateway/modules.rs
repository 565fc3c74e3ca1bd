//! The helpers of a running gateway: loaded, unloaded and read again on request, by the names that people know from `modprobe`.
//!
//! A module is called `conntrack_NAME` or `nat_NAME`. The kernel's old and new spellings are understood (`ip_conntrack_`, `nf_conntrack_`,
//! `ip_nat_`, `nf_nat_`, `-` for `_`), and a helper's own name stands for its conntrack half. What is built in answers as built-in code does to
//! `modprobe`: it is there, and cannot be taken out. A file may take its place by name; when that is unloaded, the built-in is back.

use super::request::ListFormat;
use crate::load::{Grant, Loader, Opened, Origin};
use pinhole_engine::Engine;
use pinhole_helper::NatHelper;
use pinhole_modules::Half;
use pinhole_wire::Time;
use serde_json::json;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Most modules that one name stands for.
const MOST_AT_ONCE: usize = 256;

/// What was loaded from files, and where others are.
#[derive(Default)]
pub(super) struct Modules {
    origins: Vec<Origin>,
    loader: Loader,
    path: Vec<PathBuf>,
}

/// A half of a helper by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Wanted {
    is_nat: bool,
    helper: String,
}

impl Wanted {
    /// Understands a name; the helper's part of it may be a glob.
    fn parse(name: &str) -> Self {
        let name = name.replace('-', "_");
        let without = |prefixes: [&str; 3]| prefixes.iter().find_map(|prefix| name.strip_prefix(prefix));
        let nat = without(["nat_", "ip_nat_", "nf_nat_"]);
        let conntrack = without(["conntrack_", "ip_conntrack_", "nf_conntrack_"]);
        Self { is_nat: nat.is_some(), helper: nat.or(conntrack).unwrap_or(&name).to_owned() }
    }

    fn of(origin: &Origin) -> Self {
        let is_nat = origin.module.as_ref().is_some_and(|module| module.manifest().half == Half::Nat);
        Self { is_nat, helper: origin.helper.replace('-', "_") }
    }

    fn is(&self, other: &Self) -> bool {
        self.is_nat == other.is_nat && matches(&self.helper, &other.helper)
    }

    fn name(&self) -> String {
        format!("{}{}", if self.is_nat { Half::Nat.prefix() } else { Half::Conntrack.prefix() }, self.helper)
    }
}

/// Whether a text is what a glob stands for: `*` any bytes, `?` one.
fn matches(glob: &str, text: &str) -> bool {
    let (glob, text) = (glob.as_bytes(), text.as_bytes());
    let (mut g, mut t) = (0, 0);
    // Where the latest star is, and where it ends for now.
    let mut star = None;
    while let Some(&byte) = text.get(t) {
        match glob.get(g) {
            Some(b'*') => {
                star = Some((g, t));
                g += 1;
            }
            Some(&wanted) if wanted == b'?' || wanted == byte => (g, t) = (g + 1, t + 1),
            _ => {
                let Some((at, end)) = star else { return false };
                star = Some((at, end + 1));
                (g, t) = (at + 1, end + 1);
            }
        }
    }
    glob.get(g..).unwrap_or_default().iter().all(|&byte| byte == b'*')
}

impl Modules {
    pub(super) fn new(origins: Vec<Origin>, loader: Loader, path: Vec<PathBuf>) -> Self {
        Self { origins, loader, path }
    }

    /// Loads what these names stand for. Each name on its own: what was loaded before one that fails stays.
    pub(super) fn load(
        &mut self,
        engine: &mut Engine,
        names: &[String],
        allow: &[Grant],
    ) -> Result<String, String> {
        let mut loader = self.loader.clone();
        loader.allowed.extend(allow);
        let mut done = String::new();
        for name in names {
            let is_file = name.contains('/') || name.ends_with(".wasm") || name.ends_with(".toml");
            if is_file {
                self.enter(engine, &loader, Path::new(name), &mut done)?;
                continue;
            }
            let wanted = Wanted::parse(name);
            let files = self.files(&wanted);
            let built_in = built_in(&wanted);
            if files.is_empty() && built_in.is_empty() {
                let folders: Vec<String> = self.path.iter().map(|path| path.display().to_string()).collect();
                return Err(format!("{done}no module is called `{name}` in {}", folders.join(", ")));
            }
            for found in &built_in {
                let _ = writeln!(done, "{} is built in", found.name());
            }
            for (found, file) in files {
                if !built_in.contains(&found) {
                    self.enter(engine, &loader, &file, &mut done)?;
                }
            }
        }
        Ok(done)
    }

    /// Reads a file and puts its helper into the engine, in place of the one of its name.
    fn enter(
        &mut self,
        engine: &mut Engine,
        loader: &Loader,
        file: &Path,
        done: &mut String,
    ) -> Result<(), String> {
        let Opened { helper, half, origin } = loader.open(file).map_err(|error| format!("{done}{error}"))?;
        let wanted = Wanted::of(&origin);
        if let Some(needed) = origin.needs().filter(|_| engine.host().number(&origin.helper).is_none()) {
            return Err(format!("{done}{}: it needs {needed}, which is not loaded", file.display()));
        }
        if let Some(helper) = helper {
            engine.load(helper).map_err(|error| format!("{done}{}: {error}", file.display()))?;
        }
        if let Some(half) = half {
            engine.load_nat(half);
        }
        let _ = writeln!(done, "{} is loaded from {}", wanted.name(), file.display());
        self.origins.retain(|other| Wanted::of(other) != wanted);
        self.origins.push(origin);
        Ok(())
    }

    /// Unloads what these names stand for.
    pub(super) fn unload(
        &mut self,
        engine: &mut Engine,
        now: Time,
        names: &[String],
        force: bool,
    ) -> Result<String, String> {
        let mut done = String::new();
        for name in names {
            for wanted in self.loaded(name).map_err(|error| format!("{done}{error}"))? {
                self.take_out(engine, now, &wanted, force).map_err(|error| format!("{done}{error}"))?;
                let _ = writeln!(done, "{} is unloaded", wanted.name());
            }
        }
        Ok(done)
    }

    fn take_out(
        &mut self,
        engine: &mut Engine,
        now: Time,
        wanted: &Wanted,
        force: bool,
    ) -> Result<(), String> {
        let Some(place) = self.origins.iter().position(|origin| Wanted::of(origin) == *wanted) else {
            return Ok(());
        };
        let Some(origin) = self.origins.get(place).cloned() else { return Ok(()) };
        let needed_by = Wanted { is_nat: true, ..wanted.clone() };
        let is_needed = !wanted.is_nat
            && origin.module.is_some()
            && self.origins.iter().any(|other| Wanted::of(other) == needed_by);
        if is_needed && !force {
            return Err(format!("{} is needed by {}", wanted.name(), needed_by.name()));
        }
        if !wanted.is_nat {
            engine
                .unload(now, &origin.helper, force)
                .map_err(|error| format!("{}: {error}", wanted.name()))?;
            // What it had taken the place of.
            let built_in = pinhole_helpers::registry().into_iter().find(|h| h.spec().name == origin.helper);
            if let Some(built_in) = built_in {
                engine.load(built_in).map_err(|error| format!("{}: {error}", wanted.name()))?;
            }
        }
        if wanted.is_nat || origin.module.is_none() {
            engine.unload_nat(&origin.helper);
            let built_in =
                pinhole_helpers::nat_helpers().iter().find(|half| half.name() == origin.helper.as_str());
            if let Some(&built_in) = built_in {
                engine.load_nat(built_in);
            }
        }
        self.origins.remove(place);
        Ok(())
    }

    /// Reads what these names stand for again from where it came from.
    pub(super) fn reload(&mut self, engine: &mut Engine, names: &[String]) -> Result<String, String> {
        let mut done = String::new();
        let loader = self.loader.clone();
        for name in names {
            for wanted in self.loaded(name).map_err(|error| format!("{done}{error}"))? {
                let found = self.origins.iter().find(|origin| Wanted::of(origin) == wanted);
                let Some(origin) = found.cloned() else { continue };
                let mut loader = loader.clone();
                if let Some(module) = &origin.module {
                    // What it was allowed when it was loaded.
                    loader.allowed.extend(Grant::of_module(module));
                }
                self.enter(engine, &loader, &origin.path, &mut done)?;
            }
        }
        Ok(done)
    }

    /// What is loaded by a name; a name that is built in is told to be so.
    fn loaded(&self, name: &str) -> Result<Vec<Wanted>, String> {
        let wanted = Wanted::parse(name);
        let mut found: Vec<Wanted> =
            self.origins.iter().map(Wanted::of).filter(|loaded| wanted.is(loaded)).collect();
        // NAT halves first: they need the others.
        found.sort_by_key(|wanted| !wanted.is_nat);
        if !found.is_empty() {
            return Ok(found);
        }
        match built_in(&wanted).first() {
            Some(built_in) => Err(format!("{} is built in", built_in.name())),
            None => Err(format!("no module called `{name}` is loaded")),
        }
    }

    /// Files of modules by name, in the order of the folders; of two of one name the first.
    fn files(&self, wanted: &Wanted) -> Vec<(Wanted, PathBuf)> {
        let mut found: Vec<(Wanted, PathBuf)> = Vec::new();
        for entry in self.path.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten()
        {
            let path = entry.path();
            let is_module = path.extension().is_some_and(|extension| extension == "wasm");
            let name = path.file_stem().and_then(|stem| stem.to_str()).filter(|_| is_module);
            let Some(candidate) = name.filter(|name| name.contains('_')).map(Wanted::parse) else { continue };
            let is_new = !found.iter().any(|(known, _)| *known == candidate);
            if wanted.is(&candidate) && is_new && found.len() < MOST_AT_ONCE {
                found.push((candidate, path));
            }
        }
        found.sort();
        found
    }

    /// The helpers that there are: origin, sessions, and what modules have used.
    pub(super) fn list(&self, engine: &Engine, format: ListFormat) -> String {
        let mut lines = String::new();
        for (helper, sessions) in engine.host().helpers() {
            let name = helper.spec().name;
            let wanted = Wanted { is_nat: false, helper: name.replace('-', "_") };
            self.line(&mut lines, &wanted, Some(sessions), format);
        }
        for helper in engine.nat_helpers() {
            let wanted = Wanted { is_nat: true, helper: helper.replace('-', "_") };
            self.line(&mut lines, &wanted, None, format);
        }
        lines
    }

    fn line(&self, lines: &mut String, wanted: &Wanted, sessions: Option<usize>, format: ListFormat) {
        let is_its = |origin: &&Origin| {
            Wanted::of(origin) == *wanted
                || origin.module.is_none() && origin.helper.replace('-', "_") == wanted.helper
        };
        let origin = self.origins.iter().find(is_its);
        let module = origin.and_then(|origin| origin.module.as_ref());
        let status = module.map(pinhole_modules::Module::status);
        let path = origin.map(|origin| origin.path.display().to_string());
        let _ = match format {
            ListFormat::Json => writeln!(
                lines,
                "{}",
                json!({
                    "type": "module", "name": wanted.name(), "origin": path.as_deref().unwrap_or("built-in"),
                    "sha256": module.map(pinhole_modules::Module::hash), "sessions": sessions,
                    "state": state(status.as_ref()),
                    "calls": status.map(|s| s.calls), "fuel": status.map(|s| s.fuel),
                    "memory": status.map(|s| s.memory), "faults": status.map(|s| s.faults),
                    "latest_fault": status.and_then(|s| s.latest_fault).map(|fault| fault.to_string()),
                })
            ),
            ListFormat::Conntrack | ListFormat::Table => {
                let _ = write!(lines, "{:<24} {}", wanted.name(), path.as_deref().unwrap_or("built-in"));
                if let Some(sessions) = sessions {
                    let _ = write!(lines, " sessions={sessions}");
                }
                if let (Some(module), Some(status)) = (module, status) {
                    let _ = write!(
                        lines,
                        " state={} calls={} fuel={} memory={} faults={} sha256={}",
                        state(Some(&status)),
                        status.calls,
                        status.fuel,
                        status.memory,
                        status.faults,
                        module.hash()
                    );
                    if let Some(fault) = status.latest_fault {
                        let _ = write!(lines, " latest-fault=\"{fault}\"");
                    }
                }
                writeln!(lines)
            }
        };
    }
}

fn state(status: Option<&pinhole_modules::Status>) -> &'static str {
    if status.is_some_and(|status| status.quarantined) { "quarantined" } else { "loaded" }
}

/// The built-in halves that a name stands for.
fn built_in(wanted: &Wanted) -> Vec<Wanted> {
    let name =
        |helper: &str| Wanted { is_nat: wanted.is_nat, helper: helper.replace('-', "_").to_lowercase() };
    let mut found: Vec<Wanted> = if wanted.is_nat {
        pinhole_helpers::nat_helpers().iter().map(|half| name(half.name())).collect()
    } else {
        pinhole_helpers::registry().iter().map(|helper| name(&helper.spec().name)).collect()
    };
    found.retain(|built_in| wanted.is(built_in));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_kernel() {
        for (name, is_nat, helper) in [
            ("conntrack_ftp", false, "ftp"),
            ("ip_conntrack_ftp", false, "ftp"),
            ("nf-conntrack-ftp", false, "ftp"),
            ("ftp", false, "ftp"),
            ("nat_ftp", true, "ftp"),
            ("ip_nat_ftp", true, "ftp"),
            ("nf_nat_netbios-ns", true, "netbios_ns"),
            ("conntrack_*", false, "*"),
        ] {
            assert_eq!(Wanted::parse(name), Wanted { is_nat, helper: helper.to_owned() });
        }
    }

    #[test]
    fn globs() {
        for (glob, text, is_match) in [
            ("*", "ftp", true),
            ("*", "", true),
            ("f?p", "ftp", true),
            ("f?p", "fp", false),
            ("*p", "ftpp", true),
            ("f*t*", "fxt", true),
            ("f*t", "fxtx", false),
            ("", "x", false),
            ("ftp", "ftp", true),
        ] {
            assert_eq!(matches(glob, text), is_match, "{glob} {text}");
        }
    }
}
