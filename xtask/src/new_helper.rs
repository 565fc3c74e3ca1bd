//! `cargo xtask new-helper NAME`: a helper that compiles, with its tests, from `xtask/templates/helper`; and all that is to be said of it
//! elsewhere in the tree, so that whoever fills it in touches nothing else.
//!
//! All edits are worked out before the first file is written: either everything is made or nothing.

use crate::command::{Failure, cargo, run as run_command};
use crate::repository::Repository;
use std::fs;
use std::path::PathBuf;

/// Options of `cargo xtask new-helper`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Name of the helper, its module and its feature: lower-case letters, digits and underscores
    name: String,
}

pub(crate) fn run(repository: &Repository, options: &Options) -> Result<(), Failure> {
    make(repository, &options.name)?;
    renew_page(repository)?;
    let name = &options.name;
    println!(
        "\nMade crates/pinhole-helpers/src/{name}/: begin with mod.rs; docs/write-a-helper.md goes with you.\n\
         Its tests: cargo test -p pinhole-helpers {name}"
    );
    Ok(())
}

/// Writes the files of a helper, and what refers to it.
pub(crate) fn make(repository: &Repository, name: &str) -> Result<(), Failure> {
    let edits = plan(repository, name)?;
    for (path, text) in &edits {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        fs::write(path, text)?;
        println!("{}", path.strip_prefix(repository.root()).unwrap_or(path).display());
    }
    // Modules and features stand where the formatter wants them.
    run_command(cargo(repository).args(["fmt", "--package", "pinhole-helpers"]))
}

/// Lets `docs/helpers.md` say what the helpers now say of themselves.
pub(crate) fn renew_page(repository: &Repository) -> Result<(), Failure> {
    let mut command = cargo(repository);
    command.args(["test", "--quiet", "--package", "pinhole-helpers", "--test", "helpers_page"]);
    run_command(command.env("PINHOLE_UPDATE", "1"))
}

/// The files to write, with their texts.
fn plan(repository: &Repository, name: &str) -> Result<Vec<(PathBuf, String)>, Failure> {
    check_name(name)?;
    let sources = repository.path("crates/pinhole-helpers/src");
    if ["", ".rs"].iter().any(|suffix| sources.join(format!("{name}{suffix}")).exists()) {
        return Err(Failure(format!("crates/pinhole-helpers/src has a module `{name}` already")));
    }
    let template = |file: &str| -> Result<String, Failure> {
        let path = repository.path("xtask/templates/helper").join(file);
        let text = fs::read_to_string(&path).map_err(|e| Failure(format!("{}: {e}", path.display())))?;
        Ok(named(&text, name))
    };
    let mut files = Vec::new();
    for file in ["mod.rs", "parse.rs", "session.rs", "nat.rs", "tests.rs"] {
        files.push((sources.join(name).join(file), template(file)?));
    }
    files.push((repository.path(&format!("fuzz/fuzz_targets/{name}.rs")), template("fuzz_target.rs")?));
    files.push((repository.path(&format!("fuzz/dictionaries/{name}.dict")), template("words.dict")?));
    for (file, edit) in [
        ("crates/pinhole-helpers/Cargo.toml", in_manifest as fn(&str, &str) -> Option<String>),
        ("crates/pinhole-helpers/src/lib.rs", in_crate),
        ("crates/pinhole-helpers/tests/helpers_page/elsewhere.rs", in_comparison),
        ("fuzz/Cargo.toml", in_fuzz_manifest),
    ] {
        let path = repository.path(file);
        let text = edit(&fs::read_to_string(&path)?, name);
        let text = text.ok_or_else(|| Failure(format!("{file} is not as this command knows it")))?;
        files.push((path, text));
    }
    Ok(files)
}

/// Names are modules, features and words of the command line at once.
fn check_name(name: &str) -> Result<(), Failure> {
    const TAKEN: [&str; 12] =
        ["as", "crate", "default", "dyn", "fn", "impl", "mod", "self", "super", "test", "transcript", "use"];
    let mut bytes = name.bytes();
    let begins = bytes.next().is_some_and(|first| first.is_ascii_lowercase());
    let goes_on = bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if begins && goes_on && !TAKEN.contains(&name) {
        return Ok(());
    }
    Err(Failure(format!(
        "`{name}` cannot name a helper: it takes lower-case letters, digits and underscores, a letter first, and no keyword"
    )))
}

/// A template with the helper's name in its three forms.
fn named(template: &str, name: &str) -> String {
    template
        .replace("Newcomer", &type_name(name))
        .replace("newcomer", name)
        .replace("NEWCOMER", &name.to_uppercase())
}

/// `two_words` as a type: `TwoWords`.
fn type_name(name: &str) -> String {
    let capitalized = |word: &str| {
        let (first, rest) = word.split_at_checked(1).unwrap_or_default();
        first.to_uppercase() + rest
    };
    name.split('_').map(capitalized).collect()
}

/// The feature, on by default.
fn in_manifest(text: &str, name: &str) -> Option<String> {
    let (before, features) = text.split_once("[features]\ndefault = [")?;
    let (default, rest) = features.split_once(']')?;
    let default = default.trim_end().trim_end_matches(',');
    let (features, after) = rest.split_once("\n\n")?;
    Some(format!(
        "{before}[features]\ndefault = [{default}, \"{name}\"]{features}\n{name} = [\"std\"]\n\n{after}"
    ))
}

/// The module, the helper and its NAT half.
fn in_crate(text: &str, name: &str) -> Option<String> {
    const USES: &str = "use pinhole_helper::{NatHelper, Registry};\n";
    const REGISTRY_END: &str = "    registry\n}\n";
    const NAT_END: &str = "    ]\n}\n";
    let kind = type_name(name);
    let once = |text: &str, anchor: &str| text.matches(anchor).count() == 1;
    if ![USES, REGISTRY_END, NAT_END].iter().all(|anchor| once(text, anchor)) {
        return None;
    }
    let module = format!("#[cfg(feature = \"{name}\")]\npub mod {name};\n\n{USES}");
    let helper =
        format!("    #[cfg(feature = \"{name}\")]\n    registry.add({name}::{kind});\n{REGISTRY_END}");
    let nat = format!("        #[cfg(feature = \"{name}\")]\n        &{name}::{kind}Nat,\n{NAT_END}");
    Some(text.replacen(USES, &module, 1).replacen(REGISTRY_END, &helper, 1).replacen(NAT_END, &nat, 1))
}

/// A row of the comparison: nobody else has the helper.
fn in_comparison(text: &str, name: &str) -> Option<String> {
    let rows = text.strip_suffix("\n];\n")?;
    Some(format!("{rows}\n    row(\"{name}\", &[\"{name}\"], [\"–\"; 6]),\n];\n"))
}

/// The fuzz target.
fn in_fuzz_manifest(text: &str, name: &str) -> Option<String> {
    if !text.ends_with("bench = false\n") {
        return None;
    }
    let target = format!(
        "\n[[bin]]\nname = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\ntest = false\ndoc = false\nbench = false\n"
    );
    Some(format!("{text}{target}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for name in ["parcel", "x25", "two_words"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", "Parcel", "2x", "_x", "a-b", "a/b", "../x", "mod", "transcript", "ö"] {
            assert!(check_name(name).is_err(), "{name}");
        }
        assert_eq!(type_name("two_words"), "TwoWords");
        assert_eq!(named("Newcomer newcomer NEWCOMER", "ab_c"), "AbC ab_c AB_C");
    }

    #[test]
    fn manifests() {
        let text = "[features]\ndefault = [\"a\"]\na = []\n\n[dependencies]\n";
        let expected = "[features]\ndefault = [\"a\", \"b\"]\na = []\nb = [\"std\"]\n\n[dependencies]\n";
        assert_eq!(in_manifest(text, "b").as_deref(), Some(expected));
        let lines = "[features]\ndefault = [\n    \"a\",\n]\na = []\n\n[dependencies]\n";
        assert!(
            in_manifest(lines, "b").unwrap_or_default().contains("\"a\", \"b\"]\na = []\nb = [\"std\"]\n\n[")
        );
        assert_eq!(in_manifest("[dependencies]\n", "b"), None);
        let fuzz = in_fuzz_manifest("[[bin]]\nname = \"a\"\nbench = false\n", "b").unwrap_or_default();
        assert!(fuzz.ends_with("path = \"fuzz_targets/b.rs\"\ntest = false\ndoc = false\nbench = false\n"));
    }

    #[test]
    fn the_tree_is_as_the_command_knows_it() {
        let repository = Repository::locate();
        let edits = plan(&repository, "parcel").map_err(|failure| failure.to_string());
        let edits = edits.unwrap_or_else(|failure| panic!("{failure}"));
        assert!(edits.iter().all(|(_, text)| !text.to_lowercase().contains("newcomer")));
        assert_eq!(edits.len(), 11);
        assert!(plan(&repository, "ftp").is_err(), "it exists");
    }
}
