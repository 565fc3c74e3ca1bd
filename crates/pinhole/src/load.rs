//! Helpers from files, for every command that runs or shows helpers.
//!
//! ```text
//! FILE.toml ─► signature (FILE.minisig), if somebody is trusted ─► declaration ─► what it needs, against what is allowed ─► registry
//! FILE.wasm ─► signature (FILE.minisig), if somebody is trusted ─► module      ─► what it asks for, against what is allowed ─► registry
//! ```
//!
//! A file that is refused refuses the whole command: a firewall that runs without a helper that its operator asked for is a surprise.

use crate::signature::{LONGEST_SIGNATURE, SignatureError, Signed, Trust};
use clap::ValueEnum;
use pinhole_declare::{Declaration, Declared, LONGEST_FILE, Need, Problem};
use pinhole_helper::{Helper, Name, NatHelper, Registry};
use pinhole_modules::{Limits, LoadSettings, Module, ModuleError};
use pinhole_ruleset::Diagnostic;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// What a loaded helper may open beyond its own connection, if its operator says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grant {
    /// Connections from others than the two ends.
    AnySource,
    /// Connections of the one end to third hosts that the other names.
    Introduce,
    /// Ports below 1024.
    PrivilegedPorts,
    /// Addresses that are not the announcer's (modules only; the policy must allow it besides).
    ThirdParty,
    /// Helpers for what is expected (modules only).
    Attach,
}

impl Grant {
    /// What a module was allowed: all that it asks for, or it would not have been loaded.
    pub fn of_module(module: &Module) -> impl Iterator<Item = Self> {
        let asked: Vec<_> = module.manifest().grants.asked().collect();
        Self::value_variants().iter().copied().filter(move |grant| asked.contains(&grant.of_modules()))
    }

    /// The same, as modules call it.
    const fn of_modules(self) -> pinhole_modules::Grant {
        match self {
            Self::AnySource => pinhole_modules::Grant::AnySource,
            Self::Introduce => pinhole_modules::Grant::Introduce,
            Self::PrivilegedPorts => pinhole_modules::Grant::PrivilegedPorts,
            Self::ThirdParty => pinhole_modules::Grant::ThirdParty,
            Self::Attach => pinhole_modules::Grant::Attach,
        }
    }

    fn allows(self, need: Need) -> bool {
        matches!(
            (self, need),
            (Self::AnySource, Need::AnySource)
                | (Self::Introduce, Need::Introduce)
                | (Self::PrivilegedPorts, Need::PrivilegedPorts)
        )
    }
}

/// Which files are loaded, and on which terms.
#[derive(Clone, Debug, Default)]
pub struct Loader {
    /// The files, in order.
    pub files: Vec<PathBuf>,
    /// What they may open beyond their own connections.
    pub allowed: Vec<Grant>,
    /// Whose signatures count.
    pub trust: Trust,
}

/// All helpers of a command: the built-in ones, and those of files.
pub struct Loaded {
    /// By name.
    pub registry: Registry,
    /// NAT halves of those of files.
    pub halves: Vec<Box<dyn NatHelper>>,
    /// Where those of files come from.
    pub origins: Vec<Origin>,
}

/// What a file holds.
pub struct Opened {
    /// The helper; `None` if it is a NAT half alone.
    pub helper: Option<Box<dyn Helper>>,
    /// The NAT half, if it has one.
    pub half: Option<Box<dyn NatHelper>>,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where a helper comes from.
#[derive(Clone)]
pub struct Origin {
    /// The helper.
    pub helper: Name,
    /// The module, if it is one.
    pub module: Option<Module>,
    /// Its file.
    pub path: PathBuf,
    /// What its signature says, if it was checked.
    pub signed: Option<Signed>,
}

/// Why a file is not loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// It cannot be read.
    #[error("{}: cannot read: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It is no helper by its name or content.
    #[error("{}: {reason}", path.display())]
    Kind {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: &'static str,
    },
    /// Its signature is missing or wrong.
    #[error("{}: {error}", path.display())]
    Signature {
        /// The file.
        path: PathBuf,
        /// Why.
        error: SignatureError,
    },
    /// The declaration is wrong.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Declaration(Vec<Diagnostic>),
    /// It needs what is not allowed.
    #[error("{}: helper `{helper}` needs {what}: allow it with --allow {} (in pinhole.toml: helpers.allow)", path.display(), need.name())]
    NotAllowed {
        /// The file.
        path: PathBuf,
        /// The helper.
        helper: String,
        /// What it needs.
        need: Need,
        /// The same, for people.
        what: &'static str,
    },
    /// The module cannot be loaded.
    #[error("{}: {error}", path.display())]
    Module {
        /// The file.
        path: PathBuf,
        /// Why.
        error: ModuleError,
    },
    /// A NAT half without its helper.
    #[error("{}: it needs {needed}, which is not loaded", path.display())]
    Needs {
        /// The file.
        path: PathBuf,
        /// The module that it needs.
        needed: String,
    },
    /// Two files hold the same helper.
    #[error("{}: helper `{helper}` is loaded from {} already", path.display(), first.display())]
    Twice {
        /// The second file.
        path: PathBuf,
        /// The helper.
        helper: Name,
        /// The first file.
        first: PathBuf,
    },
}

impl Origin {
    /// The module that it needs.
    pub fn needs(&self) -> Option<&str> {
        self.module.as_ref()?.manifest().depends.as_deref()
    }

    /// Whether another file holds the same half of the same helper.
    fn is_the_same(&self, other: &Self) -> bool {
        let half = |origin: &Self| origin.module.as_ref().map(|module| module.manifest().half);
        let apart = half(self).is_some() && half(other).is_some() && half(self) != half(other);
        self.helper == other.helper && !apart
    }
}

impl Loader {
    /// Allows everything: for tests, in which nothing is opened.
    pub fn for_tests() -> Self {
        Self { allowed: Grant::value_variants().to_vec(), ..Self::default() }
    }

    /// Reads all files. A helper of a file takes the place of a built-in one of the same name.
    ///
    /// # Errors
    /// One of them is not to be loaded.
    pub fn load(&self) -> Result<Loaded, LoadError> {
        let registry = pinhole_helpers::registry();
        let mut loaded = Loaded { registry, halves: Vec::new(), origins: Vec::new() };
        for path in &self.files {
            let Opened { helper, half, origin } = self.open(path)?;
            if let Some(first) = loaded.origins.iter().find(|other| other.is_the_same(&origin)) {
                let (path, first) = (path.clone(), first.path.clone());
                return Err(LoadError::Twice { path, helper: origin.helper, first });
            }
            loaded.halves.extend(half);
            if let Some(helper) = helper {
                loaded.registry.add(helper);
            }
            loaded.origins.push(origin);
        }
        for origin in &loaded.origins {
            if let Some(needed) = origin.needs().filter(|_| loaded.registry.find(&origin.helper).is_none()) {
                return Err(LoadError::Needs { path: origin.path.clone(), needed: needed.to_owned() });
            }
        }
        Ok(loaded)
    }

    /// Reads one file.
    ///
    /// # Errors
    /// It is not to be loaded.
    pub fn open(&self, path: &Path) -> Result<Opened, LoadError> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => {
                let (declaration, signed) = self.declaration(path)?;
                let helper = Declared::new(declaration);
                let origin =
                    Origin { helper: helper.spec().name, module: None, path: path.to_owned(), signed };
                Ok(Opened { half: Some(Box::new(helper.nat())), helper: Some(Box::new(helper)), origin })
            }
            Some("wasm") => {
                let (module, signed) = self.module(path)?;
                let helper = module.helper().map(|helper| Box::new(helper) as Box<dyn Helper>);
                let half = module.nat().map(|half| Box::new(half) as Box<dyn NatHelper>);
                let name = module.manifest().spec.name;
                let origin = Origin { helper: name, module: Some(module), path: path.to_owned(), signed };
                Ok(Opened { helper, half, origin })
            }
            _ => {
                let reason =
                    "not a helper: the name of a declaration ends in .toml, that of a module in .wasm";
                Err(LoadError::Kind { path: path.to_owned(), reason })
            }
        }
    }

    /// Reads a module, and finds it allowed.
    fn module(&self, path: &Path) -> Result<(Module, Option<Signed>), LoadError> {
        let limits = Limits::default();
        let bytes = read(path, limits.file)?;
        let signed = self.judge(path, &bytes)?;
        let allowed = self.allowed.iter().map(|grant| grant.of_modules()).collect();
        let module = Module::load(&bytes, &LoadSettings { limits, allowed });
        let module = module.map_err(|error| LoadError::Module { path: path.to_owned(), error })?;
        Ok((module, signed))
    }

    /// Whose signature a file bears.
    fn judge(&self, path: &Path, bytes: &[u8]) -> Result<Option<Signed>, LoadError> {
        self.trust
            .judge(bytes, self.signature(path)?.as_deref())
            .map_err(|error| LoadError::Signature { path: path.to_owned(), error })
    }

    /// Reads a declaration, and finds it allowed.
    fn declaration(&self, path: &Path) -> Result<(Declaration, Option<Signed>), LoadError> {
        let bytes = read(path, LONGEST_FILE)?;
        let signed = self.judge(path, &bytes)?;
        let declaration = declaration(path, bytes)?;
        for need in declaration.needs() {
            if !self.allowed.iter().any(|grant| grant.allows(need)) {
                let what = match need {
                    Need::AnySource => "to let others than the two ends connect",
                    Need::Introduce => "to lead one end of a connection to third hosts",
                    Need::PrivilegedPorts => "to open ports below 1024",
                };
                let helper = declaration.name().to_owned();
                return Err(LoadError::NotAllowed { path: path.to_owned(), helper, need, what });
            }
        }
        Ok((declaration, signed))
    }

    /// The text of a file's signature, if it has one and somebody is trusted.
    fn signature(&self, path: &Path) -> Result<Option<String>, LoadError> {
        if !self.trust.is_of_use() {
            return Ok(None);
        }
        let mut name = path.as_os_str().to_owned();
        name.push(".minisig");
        match read(Path::new(&name), LONGEST_SIGNATURE) {
            Err(LoadError::Read { error, .. }) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) => Err(error),
        }
    }
}

/// Whether a file of TOML is a declaration rather than a configuration file of `run`: it has what no configuration has.
pub fn holds_declaration(path: &Path) -> bool {
    let Ok(bytes) = read(path, LONGEST_FILE) else { return false };
    let text = String::from_utf8_lossy(&bytes);
    let begins = ["[[message]]", "[expect.", "protocol", "summary"];
    text.lines().any(|line| begins.iter().any(|begin| line.trim_start().starts_with(begin)))
}

/// Reads the declaration of a file, whatever it needs.
///
/// # Errors
/// It cannot be read, or is wrong.
pub fn read_declaration(path: &Path) -> Result<Declaration, LoadError> {
    declaration(path, read(path, LONGEST_FILE)?)
}

fn declaration(path: &Path, bytes: Vec<u8>) -> Result<Declaration, LoadError> {
    let text = String::from_utf8(bytes)
        .map_err(|_| LoadError::Kind { path: path.to_owned(), reason: "not UTF-8 text" })?;
    Declaration::read(&text).map_err(|problems| {
        let name = path.display().to_string();
        LoadError::Declaration(
            problems.into_iter().map(|problem| diagnostic(&name, &text, problem)).collect(),
        )
    })
}

/// Reads a file that has at most `limit` bytes; one more of a longer file shows that it is longer.
fn read(path: &Path, limit: usize) -> Result<Vec<u8>, LoadError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limit as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| LoadError::Read { path: path.to_owned(), error })?;
    Ok(bytes)
}

/// A problem with its line.
fn diagnostic(file: &str, text: &str, problem: Problem) -> Diagnostic {
    let start = problem.span.start.min(text.len());
    let before = text.get(..start).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let rest = text.get(line_start..).unwrap_or_default();
    let source_line = rest.split('\n').next().unwrap_or_default().trim_end_matches('\r');
    let from = (start - line_start).min(source_line.len());
    let to = problem.span.end.saturating_sub(line_start).clamp(from, source_line.len());
    let column = source_line.get(..from).unwrap_or_default().chars().count() + 1;
    Diagnostic {
        file: file.to_owned(),
        line: u32::try_from(before.matches('\n').count() + 1).unwrap_or(u32::MAX),
        column: u32::try_from(column).unwrap_or(u32::MAX),
        span: from..to,
        source_line: source_line.to_owned(),
        message: problem.message,
        label: String::new(),
        hint: problem.hint,
    }
}
