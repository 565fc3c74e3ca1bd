//! `cargo xtask guests`: compiles the helper modules that are built from Rust, for WebAssembly.
//!
//! With the target of the toolchain at hand if it is there (`rustup target add wasm32-unknown-unknown`). Otherwise with Debian's newer compiler
//! and the source of its library, which are unpacked to a folder of the target directory and not installed: the library is compiled first.

use crate::command::{Failure, capture, cargo, run as run_command};
use crate::repository::Repository;
use crate::stage::{Notes, Outcome};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-unknown-unknown";

/// Debian's compiler, and what it needs of other packages.
const PACKAGES: [&str; 3] = ["rustc-web", "rust-web-src", "libstd-rust-web-dev"];
const LIBRARIES: [&str; 3] = ["libstd-rust-web-", "libllvm", "libz3-"];

/// Builds all modules into `target/guests`.
pub(crate) fn run(repository: &Repository) -> Result<(), Failure> {
    match build(repository)? {
        Ok(count) => {
            println!("{count} modules in {}", repository.target("guests").display());
            Ok(())
        }
        Err(reason) => Err(Failure(reason)),
    }
}

/// The stage of `cargo xtask test`.
pub(crate) fn stage(repository: &Repository, _notes: &mut Notes) -> Outcome {
    match build(repository) {
        Ok(Ok(count)) => Outcome::Passed(format!("{count} modules")),
        Ok(Err(reason)) => Outcome::Skipped(reason),
        Err(failure) => Outcome::Failed(failure.to_string()),
    }
}

/// How many modules were built; the inner error: there is nothing to build them with.
pub(crate) fn build(repository: &Repository) -> Result<Result<usize, String>, Failure> {
    let mut command = cargo(repository);
    command.current_dir(repository.path("guests")).args(["build", "--release", "--locked"]);
    if let Err(reason) = compile_for_guests(repository, &mut command)? {
        return Ok(Err(reason));
    }
    run_command(&mut command)?;
    let (from, to) =
        (repository.target("guests-build").join(TARGET).join("release"), repository.target("guests"));
    fs::create_dir_all(&to)?;
    let mut count = 0;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        // Others may be built in the same folder, for the library that is there.
        let is_half = |name: &&str| name.starts_with("conntrack_") || name.starts_with("nat_");
        let name = path.file_name().and_then(|name| name.to_str()).filter(is_half);
        if let Some(name) = name.filter(|name| name.ends_with(".wasm")) {
            fs::copy(&path, to.join(name))?;
            count += 1;
        }
    }
    Ok(Ok(count))
}

/// Lets a command that runs cargo compile for WebAssembly; the inner error: there is no compiler for it.
pub(crate) fn compile_for_guests(
    repository: &Repository,
    command: &mut Command,
) -> Result<Result<(), String>, Failure> {
    command.env("CARGO_TARGET_DIR", repository.target("guests-build"));
    if has_target()? {
        return Ok(Ok(()));
    }
    match debian(repository)? {
        Ok(compiler) => compiler.apply(command).map(Ok),
        Err(reason) => Ok(Err(reason)),
    }
}

/// Whether the toolchain at hand compiles for WebAssembly.
fn has_target() -> Result<bool, Failure> {
    let output = capture(Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]))?;
    let folder = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    Ok(output.status.success() && folder.is_dir())
}

/// Debian's compiler, unpacked.
struct Unpacked(PathBuf);

impl Unpacked {
    /// Lets cargo use it.
    fn apply(&self, command: &mut Command) -> Result<(), Failure> {
        let library = fs::read_dir(self.0.join("usr/lib"))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().contains("-linux-gnu")));
        let library = library.ok_or_else(|| Failure("Debian's compiler has no library".to_owned()))?;
        command.env("RUSTC", self.0.join("usr/bin/rustc")).env("LD_LIBRARY_PATH", library);
        // The library is compiled from its source, which a stable compiler must be told that it may.
        command.env("RUSTC_BOOTSTRAP", "1").env("CARGO_UNSTABLE_BUILD_STD", "core,alloc");
        if let Some(linker) = linker()? {
            command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
        }
        Ok(())
    }
}

/// The linker for WebAssembly that comes with rustup's toolchains.
fn linker() -> Result<Option<OsString>, Failure> {
    let output = capture(Command::new("rustc").args(["--print", "sysroot"]))?;
    let targets = Path::new(String::from_utf8_lossy(&output.stdout).trim()).join("lib/rustlib");
    let Ok(entries) = fs::read_dir(targets) else { return Ok(None) };
    let linkers = entries.filter_map(|entry| Some(entry.ok()?.path().join("bin/rust-lld")));
    Ok(linkers.into_iter().find(|linker| linker.is_file()).map(PathBuf::into_os_string))
}

fn debian(repository: &Repository) -> Result<Result<Unpacked, String>, Failure> {
    let folder = repository.target("guest-toolchain");
    let root = folder.join("debian");
    let complete = folder.join("complete");
    if complete.is_file() {
        return Ok(Ok(Unpacked(root)));
    }
    if crate::tool::find("apt-get").is_none() || crate::tool::find("dpkg-deb").is_none() {
        let reason = format!("no compiler for {TARGET} (rustup target add {TARGET}), and no apt-get");
        return Ok(Err(reason));
    }
    fs::create_dir_all(&folder)?;
    // An old list names an old compiler.
    crate::tool::fetch_package_list();
    let mut wanted: Vec<String> = PACKAGES.iter().map(|&package| package.to_owned()).collect();
    let mut done: Vec<String> = Vec::new();
    while let Some(package) = wanted.pop() {
        if done.contains(&package) {
            continue;
        }
        let Some(file) = download(&folder, &package)? else {
            return Ok(Err(format!(
                "no compiler for {TARGET}, and Debian's package {package} cannot be had"
            )));
        };
        run_command(Command::new("dpkg-deb").arg("-x").arg(&file).arg(&root))?;
        let depends = capture(Command::new("dpkg-deb").arg("-f").arg(&file).arg("Depends"))?;
        let depends = String::from_utf8_lossy(&depends.stdout).into_owned();
        let names = depends.split([',', '|']).filter_map(|item| item.split_whitespace().next());
        wanted.extend(
            names.filter(|name| LIBRARIES.iter().any(|library| name.starts_with(library))).map(str::to_owned),
        );
        fs::remove_file(file)?;
        done.push(package);
    }
    fs::write(complete, "")?;
    Ok(Ok(Unpacked(root)))
}

/// Downloads a package into a folder; its file.
fn download(folder: &Path, package: &str) -> Result<Option<PathBuf>, Failure> {
    let output =
        capture(Command::new("apt-get").current_dir(folder).args(["download", "--quiet=2", package]))?;
    if !output.status.success() {
        return Ok(None);
    }
    let begin = format!("{package}_");
    let files = fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path()));
    Ok(files
        .into_iter()
        .find(|path| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(&begin))))
}
