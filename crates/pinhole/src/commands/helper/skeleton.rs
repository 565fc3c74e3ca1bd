//! `pinhole helper new`: files of a helper that works, for its author to change.

use super::super::{Failure, Terminal};
use crate::arguments::{HelperNewArguments, Language};
use crate::exit;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Stands for the helper's name in names and texts of files.
const NAME: &str = "NAME";
/// Stands for where the SDK for Rust comes from.
const SOURCE: &str = "SOURCE";
/// Stands for the name that cargo gives to what it builds of a helper in Rust.
const LIBRARY: &str = "LIBRARY";

/// A file: its name and text, and whether it is a program.
type Template = (&'static str, &'static str, bool);

const CASES: [Template; 6] = [
    ("cases/port.say", include_str!("../../../templates/cases/port.say"), false),
    ("cases/port.expected", include_str!("../../../templates/cases/port.expected"), false),
    ("cases/attacks.say", include_str!("../../../templates/cases/attacks.say"), false),
    ("cases/attacks.expected", include_str!("../../../templates/cases/attacks.expected"), false),
    ("cases/foreign.say", include_str!("../../../templates/cases/foreign.say"), false),
    ("cases/foreign.expected", include_str!("../../../templates/cases/foreign.expected"), false),
];

const DECLARATION: [Template; 1] =
    [("NAME.toml", include_str!("../../../templates/declaration/helper.toml"), false)];

const MANIFESTS: [Template; 2] = [
    ("conntrack_NAME.toml", include_str!("../../../templates/conntrack.toml"), false),
    ("nat_NAME.toml", include_str!("../../../templates/nat.toml"), false),
];

const C: [Template; 4] = [
    ("pinhole_helper.h", include_str!("../../../../../sdk/c/pinhole_helper.h"), false),
    ("conntrack_NAME.c", include_str!("../../../templates/c/conntrack.c"), false),
    ("nat_NAME.c", include_str!("../../../templates/c/nat.c"), false),
    ("build.sh", include_str!("../../../templates/c/build.sh"), true),
];

const ASSEMBLY_SCRIPT: [Template; 6] = [
    ("pinhole.ts", include_str!("../../../../../sdk/assemblyscript/pinhole.ts"), false),
    ("package.json", include_str!("../../../../../sdk/assemblyscript/package.json"), false),
    ("asconfig.json", include_str!("../../../../../sdk/assemblyscript/asconfig.json"), false),
    ("conntrack_NAME.ts", include_str!("../../../templates/assemblyscript/conntrack.ts"), false),
    ("nat_NAME.ts", include_str!("../../../templates/assemblyscript/nat.ts"), false),
    ("build.sh", include_str!("../../../templates/assemblyscript/build.sh"), true),
];

const RUST: [Template; 6] = [
    ("Cargo.toml", include_str!("../../../templates/rust/Cargo.toml"), false),
    ("src/lib.rs", include_str!("../../../templates/rust/src/lib.rs"), false),
    ("src/parse.rs", include_str!("../../../templates/rust/src/parse.rs"), false),
    ("src/session.rs", include_str!("../../../templates/rust/src/session.rs"), false),
    ("src/nat.rs", include_str!("../../../templates/rust/src/nat.rs"), false),
    ("build.sh", include_str!("../../../templates/rust/build.sh"), true),
];

/// Writes the files of a new helper into a folder of its name. Nothing that is there is written over.
pub(super) fn make(arguments: &HelperNewArguments, terminal: &mut Terminal) -> Result<u8, Failure> {
    let name = &arguments.name;
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || name.len() > 31 || !name.bytes().all(good) {
        return Err(Failure::Usage(format!(
            "`{name}` cannot be a helper's name: up to 31 of a to z, 0 to 9 and -"
        )));
    }
    if arguments.source.is_some() && arguments.lang != Language::Rust {
        return Err(Failure::Usage("--source is for --lang rust: other SDKs are copied".to_owned()));
    }
    let source = source(arguments.source.as_deref())?;
    let library = format!("helper_{}", name.replace('-', "_"));
    let folder = arguments.folder.clone().unwrap_or_else(|| PathBuf::from(name));
    let files: Vec<Template> = match arguments.lang {
        Language::Declaration => [&DECLARATION[..], &CASES].concat(),
        Language::Rust => [&RUST[..], &CASES].concat(),
        Language::C => [&C[..], &MANIFESTS, &CASES].concat(),
        Language::Assemblyscript => [&ASSEMBLY_SCRIPT[..], &MANIFESTS, &CASES].concat(),
    };
    for (file, text, is_program) in files {
        let path = folder.join(file.replace(NAME, name));
        let text = text.replace(NAME, name).replace(SOURCE, &source).replace(LIBRARY, &library);
        write(&path, &text, is_program).map_err(|error| Failure::File(path.display().to_string(), error))?;
        writeln!(terminal.out, "{}", path.display())?;
    }
    let folder = folder.display();
    let next = match arguments.lang {
        Language::Declaration => format!("pinhole helper test {folder}/{name}.toml {folder}/cases"),
        Language::Rust | Language::C | Language::Assemblyscript => {
            format!("{folder}/build.sh && pinhole helper test {folder}/conntrack_{name}.wasm {folder}/cases")
        }
    };
    writeln!(terminal.out, "\ntry it: {next}")?;
    terminal.out.flush()?;
    Ok(exit::OK)
}

/// Where cargo is to take the SDK from: a checkout of pinhole, or its registry.
fn source(checkout: Option<&Path>) -> Result<String, Failure> {
    let Some(checkout) = checkout else { return Ok(format!("version = \"{}\"", env!("CARGO_PKG_VERSION"))) };
    let path = checkout.join("crates/pinhole-helper-sdk");
    let path = path.canonicalize().map_err(|error| Failure::File(path.display().to_string(), error))?;
    // A basic string of TOML reads backslashes and quotes as JSON does.
    Ok(format!("path = {}", serde_json::Value::from(path.to_string_lossy())))
}

fn write(path: &Path, text: &str, is_program: bool) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, if is_program { 0o755 } else { 0o644 });
    #[cfg(not(unix))]
    let _ = is_program;
    options.open(path)?.write_all(text.as_bytes())
}
