//! Stages about the source text itself.

use crate::command::{WORKSPACE, cargo, run};
use crate::repository::Repository;
use crate::stage::{Notes, Outcome};
use std::fs;

pub(crate) fn format(repository: &Repository, _notes: &mut Notes) -> Outcome {
    let workspace = run(cargo(repository).args(["fmt", "--all", "--check"]));
    let fuzz = run(cargo(repository).args(["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"]));
    workspace.and(fuzz).into()
}

pub(crate) fn lints(repository: &Repository, _notes: &mut Notes) -> Outcome {
    run(cargo(repository).arg("clippy").args(WORKSPACE).args(["--all-targets", "--", "-D", "warnings"]))
        .into()
}

/// Every helper is a cargo feature: the crate must build with none of them, and with each alone.
pub(crate) fn features(repository: &Repository, _notes: &mut Notes) -> Outcome {
    const CRATE: [&str; 4] = ["check", "--package", "pinhole-helpers", "--no-default-features"];
    let helpers = match fs::read_to_string(repository.path("crates/pinhole-helpers/Cargo.toml")) {
        Ok(manifest) => helpers(&manifest),
        Err(error) => return Outcome::Failed(error.to_string()),
    };
    let result = std::iter::once("").chain(helpers.iter().map(String::as_str)).try_for_each(|helper| {
        run(cargo(repository).args(CRATE).args(["--features", helper]).env("RUSTFLAGS", "-D warnings"))
    });
    match result {
        Ok(()) => Outcome::Passed(format!("{} combinations", helpers.len() + 1)),
        Err(failure) => Outcome::Failed(failure.to_string()),
    }
}

/// The features of a manifest, but for `default`.
fn helpers(manifest: &str) -> Vec<String> {
    let features = manifest.lines().skip_while(|line| *line != "[features]").skip(1);
    features
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, _)| name.to_owned())
        .filter(|name| name != "default")
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_of_a_manifest() {
        let manifest = "[package]\nname = \"x\"\n\n[features]\ndefault = [\n    \"a\",\n    \"b\",\n]\na = []\nb = []\n\n[dependencies]\nc = \"1\"\n";
        assert_eq!(helpers(manifest), ["a", "b"]);
    }
}
