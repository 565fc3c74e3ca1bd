//! `cargo xtask new-helper` and docs/write-a-helper.md keep their word: in a copy of the tree, what the command makes compiles and its tests
//! pass, and so does what the document makes of it.

use crate::command::{Failure, capture, cargo, run as run_command};
use crate::new_helper;
use crate::repository::Repository;
use crate::stage::{Notes, Outcome};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The helper of the document.
const NAME: &str = "parcel";

pub(crate) fn run(repository: &Repository, _notes: &mut Notes) -> Outcome {
    match check(repository) {
        Ok(files) => Outcome::Passed(format!("the skeleton, and {files} files of the document")),
        Err(failure) => Outcome::Failed(failure.to_string()),
    }
}

fn check(repository: &Repository) -> Result<usize, Failure> {
    let copy = copied(repository)?;
    new_helper::make(&copy, NAME)?;
    passes(&copy)?;
    run_command(cargo(&copy).args([
        "check",
        "--package",
        "pinhole-helpers",
        "--no-default-features",
        "--features",
        NAME,
    ]))?;
    run_command(cargo(&copy).args(["fmt", "--all", "--check"]))?;
    let document = fs::read_to_string(copy.path("docs/write-a-helper.md"))?;
    let files: Vec<(&str, &str)> = files(&document).collect();
    if files.is_empty() {
        return Err(Failure("docs/write-a-helper.md contains no files".to_owned()));
    }
    for (file, text) in &files {
        fs::write(copy.path("crates/pinhole-helpers/src").join(NAME).join(file), format!("{text}\n"))?;
    }
    passes(&copy)?;
    new_helper::renew_page(&copy)?;
    Ok(files.len())
}

/// The helper's own tests, with clippy's opinion.
fn passes(copy: &Repository) -> Result<(), Failure> {
    run_command(cargo(copy).args([
        "clippy",
        "--package",
        "pinhole-helpers",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))?;
    let output =
        capture(cargo(copy).args(["test", "--package", "pinhole-helpers", "--lib", &format!("{NAME}::")]))?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() || text.contains(" 0 passed") {
        return Err(Failure(format!("{text}{}", String::from_utf8_lossy(&output.stderr))));
    }
    Ok(())
}

/// A copy of everything that git knows of, below the target directory. What was built there before stays.
fn copied(repository: &Repository) -> Result<Repository, Failure> {
    let root = repository.target("newcomer");
    for part in ["crates", "docs", "fuzz", "xtask"].map(|part| root.join(part)) {
        if part.exists() {
            fs::remove_dir_all(part)?;
        }
    }
    let listed = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let output = capture(Command::new("git").current_dir(repository.root()).args(listed))?;
    let names = String::from_utf8(output.stdout).map_err(|error| Failure(error.to_string()))?;
    for name in names.split('\0').filter(|name| !name.is_empty()) {
        copy_file(&repository.path(name), &root.join(name))?;
    }
    Ok(Repository::at(root))
}

fn copy_file(from: &Path, to: &Path) -> Result<(), Failure> {
    // A file may be known to git and be gone.
    if !from.is_file() {
        return Ok(());
    }
    if let Some(directory) = to.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::copy(from, to)?;
    Ok(())
}

/// The files in a document: blocks that begin with three backquotes, `rust` and a name.
fn files(document: &str) -> impl Iterator<Item = (&str, &str)> {
    document.split("\n```rust ").skip(1).filter_map(|block| {
        let (name, text) = block.split_once('\n')?;
        let (text, _) = text.split_once("\n```")?;
        Some((name.trim(), text))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_document() {
        let document = "a\n```rust parse.rs\nfn a() {}\n```\nb\n```rust\nfn b() {}\n```\n```rust x.rs\nfn x() {}\n\n```\n";
        let found: Vec<_> = files(document).collect();
        assert_eq!(found, [("parse.rs", "fn a() {}"), ("x.rs", "fn x() {}\n")]);
    }
}
