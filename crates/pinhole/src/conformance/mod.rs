//! Conformance cases of a helper: what its two ends say, and what the helper makes of it.
//!
//! A case is a [script] `NAME.say` and, beside it, `NAME.expected`: one JSON object for each thing that the helper asks for. A case is
//! [played](play) once as it is written and then cut, reordered and repeated in other ways, which must all come to the same. Built-in helpers,
//! declarations and modules are tested alike: nothing here knows which is which.

pub mod play;
mod record;
pub mod script;

use pinhole_helper::{Helper, NatHelper};
use play::Way;
use script::Script;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Longest script or record, in bytes.
const LONGEST_FILE: u64 = 1 << 20;

/// What became of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is as it should be.
    Passed,
    /// What was expected was written anew.
    Written,
    /// It is not, and why.
    Failed(String),
}

/// A case, and what became of it.
#[derive(Clone, Debug)]
pub struct Tested {
    /// The script's name without its ending.
    pub name: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// Runs all cases of a folder, by name. With `update`, what they come to is written as what is expected.
///
/// # Errors
/// The folder cannot be read.
pub fn run(
    helper: &dyn Helper,
    half: Option<&dyn NatHelper>,
    folder: &Path,
    update: bool,
) -> io::Result<Vec<Tested>> {
    let mut scripts: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?;
    scripts.retain(|path| path.extension().is_some_and(|extension| extension == "say"));
    scripts.sort();
    let test = |path: PathBuf| {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let outcome = case(helper, half, &path, update).unwrap_or_else(Outcome::Failed);
        Tested { name, outcome }
    };
    Ok(scripts.into_iter().map(test).collect())
}

/// Runs one case; `Err`: it cannot be.
fn case(
    helper: &dyn Helper,
    half: Option<&dyn NatHelper>,
    path: &Path,
    update: bool,
) -> Result<Outcome, String> {
    let script = Script::parse(&read(path)?)?;
    let lines = play::play(helper, half, &script, Way::AsWritten);
    for way in Way::others(&script) {
        let other = play::play(helper, half, &script, way);
        if let Some(difference) = difference(&lines, &other) {
            return Ok(Outcome::Failed(format!("{way} it comes to something else: {difference}")));
        }
    }
    let expected = path.with_extension("expected");
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    if update {
        fs::write(&expected, text)
            .map_err(|error| format!("{}: cannot write: {error}", expected.display()))?;
        return Ok(Outcome::Written);
    }
    let wanted = read(&expected).map_err(|error| format!("{error} (--update writes it)"))?;
    let wanted: Vec<String> = wanted.lines().map(str::to_owned).collect();
    Ok(difference(&wanted, &lines).map_or(Outcome::Passed, Outcome::Failed))
}

fn read(path: &Path) -> Result<String, String> {
    let cannot = |error: io::Error| format!("{}: cannot read: {error}", path.display());
    if fs::metadata(path).map_err(cannot)?.len() > LONGEST_FILE {
        return Err(format!("{}: longer than {LONGEST_FILE} bytes", path.display()));
    }
    fs::read_to_string(path).map_err(cannot)
}

/// The first line in which two records differ.
fn difference(expected: &[String], found: &[String]) -> Option<String> {
    let same = expected.iter().zip(found).take_while(|(expected, found)| expected == found).count();
    let line = |lines: &[String]| lines.get(same).cloned().unwrap_or_else(|| "nothing".to_owned());
    (same < expected.len().max(found.len()))
        .then(|| format!("line {}\n    expected {}\n    found    {}", same + 1, line(expected), line(found)))
}
