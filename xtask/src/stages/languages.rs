//! Helper modules in Rust, C and AssemblyScript: the examples of `sdk/` and the skeletons of `pinhole helper new` are built, and pass their
//! conformance cases.

use crate::command::{Failure, capture, cargo, run as run_command};
use crate::guests;
use crate::repository::Repository;
use crate::stage::{Notes, Outcome};
use crate::tool;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The helper of the skeletons.
const NAME: &str = "skeleton";

pub(crate) fn run(repository: &Repository, notes: &mut Notes) -> Outcome {
    match check(repository, notes) {
        Ok(0) => Outcome::Skipped("no compiler for modules can be had".to_owned()),
        Ok(modules) => Outcome::Passed(format!("{modules} modules pass their cases")),
        Err(failure) => Outcome::Failed(failure.to_string()),
    }
}

/// How many modules passed.
fn check(repository: &Repository, notes: &mut Notes) -> Result<usize, Failure> {
    let pinhole = build_pinhole(repository)?;
    let place = repository.target("languages");
    if place.exists() {
        fs::remove_dir_all(&place)?;
    }
    fs::create_dir_all(&place)?;
    let bench = Bench { repository, pinhole, place };
    let mut passed = 0;
    match bench.rust()? {
        Ok(modules) => passed += modules,
        Err(reason) => notes.skipped(format!("modules in Rust: {reason}")),
    }
    match tool::debian("clang", "clang").and_then(|()| tool::debian("wasm-ld", "lld")) {
        Ok(()) => passed += bench.c()?,
        Err(reason) => notes.skipped(format!("modules in C: {reason}")),
    }
    match tool::debian("npm", "npm").and_then(|()| bench.assembly_script_compiler()) {
        Ok(()) => passed += bench.assembly_script()?,
        Err(reason) => notes.skipped(format!("modules in AssemblyScript: {reason}")),
    }
    Ok(passed)
}

fn build_pinhole(repository: &Repository) -> Result<PathBuf, Failure> {
    run_command(cargo(repository).args(["build", "--quiet", "--package", "pinhole"]))?;
    Ok(repository.target("debug").join("pinhole"))
}

/// Where modules are built and tested.
struct Bench<'a> {
    repository: &'a Repository,
    pinhole: PathBuf,
    place: PathBuf,
}

impl Bench<'_> {
    /// Parcel, both halves (FTP in Rust is the `modules` stage's), and the skeleton.
    fn rust(&self) -> Result<Result<usize, String>, Failure> {
        if let Err(reason) = guests::build(self.repository)? {
            return Ok(Err(reason));
        }
        let parcel = self.repository.target("guests/conntrack_parcel.wasm");
        self.test(&parcel, &self.repository.path("helpers/cases/parcel"))?;
        let folder = self.new_skeleton("rust", &["--source".as_ref(), self.repository.root().as_os_str()])?;
        run_command(cargo(self.repository).args(["test", "--quiet"]).current_dir(&folder))?;
        let mut build = Command::new(folder.join("build.sh"));
        if let Err(reason) = guests::compile_for_guests(self.repository, &mut build)? {
            return Ok(Err(reason));
        }
        run_command(&mut build)?;
        self.test_skeleton(&folder)?;
        Ok(Ok(2))
    }

    /// rsh, both halves, and the skeleton.
    fn c(&self) -> Result<usize, Failure> {
        let sdk = self.repository.path("sdk/c");
        for half in ["conntrack_rsh", "nat_rsh"] {
            let module = self.place.join(half).with_extension("wasm");
            run_command(
                Command::new(sdk.join("build"))
                    .arg(sdk.join("rsh").join(half).with_extension("c"))
                    .arg(&module),
            )?;
            self.seal(&module, &sdk.join("rsh").join(half).with_extension("toml"))?;
        }
        self.test(&self.place.join("conntrack_rsh.wasm"), &self.repository.path("helpers/cases/rsh"))?;
        self.skeleton("c")?;
        Ok(2)
    }

    /// Makes sure of the compiler, in a copy of the examples. `Err` says why it cannot be had.
    fn assembly_script_compiler(&self) -> Result<(), String> {
        let folder = self.place.join("assemblyscript");
        let copied = ["pinhole.ts", "package.json", "asconfig.json", "quake3/conntrack_quake3.ts"]
            .iter()
            .try_for_each(|file| {
                let to = folder.join(file);
                fs::create_dir_all(to.parent().unwrap_or(&folder))?;
                fs::copy(self.repository.path("sdk/assemblyscript").join(file), to).map(drop)
            });
        copied.map_err(|error| error.to_string())?;
        let mut install = Command::new("npm");
        install.args(["install", "--no-audit", "--no-fund", "--silent"]).current_dir(&folder);
        let output = capture(&mut install).map_err(|failure| failure.to_string())?;
        if output.status.success() { Ok(()) } else { Err("npm cannot install its compiler".to_owned()) }
    }

    /// Quake III master servers, and the skeleton.
    fn assembly_script(&self) -> Result<usize, Failure> {
        let folder = self.place.join("assemblyscript");
        let module = self.place.join("conntrack_quake3.wasm");
        let mut compile = Command::new(folder.join("node_modules/.bin/asc"));
        compile.current_dir(&folder).arg("quake3/conntrack_quake3.ts").arg("--outFile").arg(&module);
        run_command(compile.args(["--config", "asconfig.json"]))?;
        self.seal(&module, &self.repository.path("sdk/assemblyscript/quake3/conntrack_quake3.toml"))?;
        self.test(&module, &self.repository.path("helpers/cases/quake3"))?;
        self.skeleton("assemblyscript")?;
        Ok(2)
    }

    /// What `pinhole helper new` makes, built by its own script.
    fn skeleton(&self, language: &str) -> Result<(), Failure> {
        let folder = self.new_skeleton(language, &[])?;
        let compiler = self.place.join("assemblyscript/node_modules");
        if language == "assemblyscript" {
            std::os::unix::fs::symlink(compiler, folder.join("node_modules"))?;
        }
        run_command(Command::new(folder.join("build.sh")).env("PINHOLE", &self.pinhole))?;
        self.test_skeleton(&folder)
    }

    /// `pinhole helper new`, into a folder of its own.
    fn new_skeleton(&self, language: &str, more: &[&OsStr]) -> Result<PathBuf, Failure> {
        let folder = self.place.join(format!("new-{language}"));
        let mut new = Command::new(&self.pinhole);
        new.args(["helper", "new", NAME, "--lang", language, "--folder"]).arg(&folder).args(more);
        run_command(&mut new)?;
        Ok(folder)
    }

    fn seal(&self, module: &Path, manifest: &Path) -> Result<(), Failure> {
        run_command(Command::new(&self.pinhole).args(["helper", "seal"]).arg(module).arg(manifest))
    }

    fn test_skeleton(&self, folder: &Path) -> Result<(), Failure> {
        self.test(&folder.join(format!("conntrack_{NAME}.wasm")), &folder.join("cases"))
    }

    fn test(&self, module: &Path, cases: &Path) -> Result<(), Failure> {
        run_command(Command::new(&self.pinhole).args(["helper", "test"]).arg(module).arg(cases))
    }
}
