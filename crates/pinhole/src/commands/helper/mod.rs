//! `pinhole helper`: for those who write helpers.

mod seal;
mod skeleton;

use super::{Failure, Terminal};
use crate::arguments::{HelperCommand, HelperTestArguments};
use crate::conformance::{self, Outcome};
use crate::exit;
use crate::load::{Loaded, Loader};
use pinhole_helper::{Helper, NatHelper};
use pinhole_modules::{Grant, LoadSettings, Module, ModuleHelper, ModuleNat};
use std::fs;
use std::io::Write;
use std::path::Path;

/// Does what is asked for.
///
/// # Errors
/// The helper cannot be had, a folder cannot be read or written, or output cannot be written.
pub fn run(command: &HelperCommand, terminal: &mut Terminal) -> Result<u8, Failure> {
    match command {
        HelperCommand::Test(arguments) => test(arguments, terminal),
        HelperCommand::New(arguments) => skeleton::make(arguments, terminal),
        HelperCommand::Seal(arguments) => seal::run(arguments),
    }
}

/// Runs the conformance cases of a helper: exit code 4 if one is not as it should be.
fn test(arguments: &HelperTestArguments, terminal: &mut Terminal) -> Result<u8, Failure> {
    let path = Path::new(&arguments.helper);
    if path.extension().is_some_and(|extension| extension == "wasm") {
        let (helper, half) = modules(path)?;
        return play(&helper, half.as_ref().map(|half| half as &dyn NatHelper), arguments, terminal);
    }
    let (name, loaded) = helper(&arguments.helper)?;
    let helper = loaded.registry.find(&name);
    let Some(helper) = helper else {
        return Err(Failure::Usage(format!("no helper is called `{name}`, and there is no such file")));
    };
    let declared = loaded.halves.iter().map(|half| &**half);
    let built_in = pinhole_helpers::nat_helpers().iter().copied();
    let half = declared.chain(built_in).find(|half| half.name() == helper.spec().name.as_str());
    play(helper, half, arguments, terminal)
}

fn play(
    helper: &dyn Helper,
    half: Option<&dyn NatHelper>,
    arguments: &HelperTestArguments,
    terminal: &mut Terminal,
) -> Result<u8, Failure> {
    let folder = &arguments.cases;
    let cannot = |error| Failure::Usage(format!("{}: cannot read: {error}", folder.display()));
    let tested = conformance::run(helper, half, folder, arguments.update).map_err(cannot)?;
    if tested.is_empty() {
        return Err(Failure::Usage(format!("{}: there is no case (NAME.say)", folder.display())));
    }
    let p = terminal.palette;
    let mut failed = 0;
    for case in &tested {
        match &case.outcome {
            Outcome::Passed => writeln!(terminal.out, "{}passed{} {}", p.good, p.good.end(), case.name)?,
            Outcome::Written => writeln!(terminal.out, "written {}", case.name)?,
            Outcome::Failed(why) => {
                failed += 1;
                writeln!(terminal.out, "{}FAILED{} {}: {why}", p.bad, p.bad.end(), case.name)?;
            }
        }
    }
    writeln!(terminal.out, "{}: {} cases, {failed} failed", helper.spec().name, tested.len())?;
    terminal.out.flush()?;
    Ok(if failed == 0 { exit::OK } else { exit::FAILED_ON })
}

/// A conntrack module, and the NAT module beside it, if there is one: `nat_NAME.wasm` beside `conntrack_NAME.wasm`.
fn modules(path: &Path) -> Result<(ModuleHelper, Option<ModuleNat>), Failure> {
    let settings = LoadSettings { allowed: Grant::ALL.into_iter().collect(), ..LoadSettings::default() };
    let load = |path: &Path| {
        let wrong = |what: &dyn std::fmt::Display| Failure::Usage(format!("{}: {what}", path.display()));
        let bytes = fs::read(path).map_err(|error| wrong(&format!("cannot read: {error}")))?;
        Module::load(&bytes, &settings).map_err(|error| wrong(&error))
    };
    let helper = load(path)?.helper().ok_or_else(|| {
        Failure::Usage(format!("{}: a NAT half; cases are those of its conntrack half", path.display()))
    })?;
    let rest = path.file_name().and_then(|name| name.to_str()?.strip_prefix("conntrack_"));
    let beside = rest.map(|rest| path.with_file_name(format!("nat_{rest}"))).filter(|path| path.is_file());
    let half = beside.map(|path| load(&path)).transpose()?.and_then(|module| module.nat());
    Ok((helper, half))
}

/// A helper by its file or its name. A file is tested with all that it needs, since nothing it asks for is opened.
fn helper(named: &str) -> Result<(String, Loaded), Failure> {
    let path = Path::new(named);
    let is_file = path.extension().is_some_and(|extension| extension == "toml");
    let files = if is_file { vec![path.to_owned()] } else { Vec::new() };
    let loaded = Loader { files, ..Loader::for_tests() }.load()?;
    let name = loaded.origins.first().map_or_else(|| named.to_owned(), |origin| origin.helper.to_string());
    Ok((name, loaded))
}
