//! The helpers of a running gateway: loaded, unloaded and read again on request, by the names that people know from `modprobe`.
//!
//! A module is called `conntrack_NAME` or `nat_NAME`. The kernel's old and new spellings are understood (`ip_conntrack_`, `nf_conntrack_`,
//! `ip_nat_`, `nf_nat_`, `-` for `_`), and a helper's own name stands for its conntrack half. What is built in answers as built-in code does to
//! `modprobe`: it is there, and cannot be taken out. A file may take its place by name; when that is unloaded, the built-in is back.
//!
//! *Two things are known of a half, each in one place:* where it comes from ([`Modules`]; what is not there is built in), and whether it is enabled (it
//! is in the engine). So what is disabled stays loaded.

pub(super) mod listing;
mod name;
mod switch;

use name::{Wanted, built_in};

use crate::load::{Grant, Loader, Opened, Origin};
use pinhole_engine::Engine;
use pinhole_helper::NatHelper;
use pinhole_wire::Time;
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

    /// Conns that are read by what these names stand for.
    pub(super) fn uses(&self, engine: &Engine, names: &[String]) -> usize {
        let wanted: Vec<Wanted> = names.iter().flat_map(|name| self.loaded(name)).flatten().collect();
        let is_wanted = |name: &str| wanted.contains(&Wanted::half(false, name));
        let uses = engine.host().helpers();
        uses.into_iter().filter(|(h, _)| is_wanted(&h.spec().name)).map(|(_, sessions)| sessions).sum()
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
            if engine.host().number(&origin.helper).is_some() {
                engine
                    .unload(now, &origin.helper, force)
                    .map_err(|error| format!("{}: {error}", wanted.name()))?;
            }
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
}
