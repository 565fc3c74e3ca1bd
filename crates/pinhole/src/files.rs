//! Rulesets from the file system.

use pinhole_engine::{Engine, Settings};
use pinhole_helper::Registry;
use pinhole_ruleset::{ChainKind, Diagnostic, Family, Hook, LoadError, Loader, Ruleset};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Reads and compiles a ruleset; `-` is standard input.
///
/// # Errors
/// What is wrong with it, or that it cannot be read.
pub fn load(path: &Path) -> Result<Ruleset, Vec<Diagnostic>> {
    pinhole_ruleset::load(&path.display().to_string(), &Files)
}

/// Compiles the rules of the command line, `nat`, together with the ruleset of a file, if there is one.
///
/// # Errors
/// As [`load`].
pub fn load_with(path: Option<&Path>, nat: &str) -> Result<Ruleset, Vec<Diagnostic>> {
    let include = path.map_or_else(String::new, |_| format!("include \"{INCLUDED}\"\n"));
    let root = Root(path.map(|path| path.display().to_string()));
    pinhole_ruleset::compile_text_with("--nat", &format!("{include}{nat}"), &root)
}

/// Stands for the ruleset of the file in the text of the command line, since names of files may hold any character.
const INCLUDED: &str = "--rules";

/// The file system, and [`INCLUDED`] in it.
struct Root(Option<String>);

impl Loader for Root {
    fn resolve(&self, from: &str, pattern: &str) -> Result<Vec<String>, LoadError> {
        match &self.0 {
            Some(name) if pattern == INCLUDED => Ok(vec![name.clone()]),
            _ => Files.resolve(from, pattern),
        }
    }

    fn read(&self, name: &str, limit: usize) -> Result<String, LoadError> {
        Files.read(name, limit)
    }
}

/// The file system, as rulesets include from it: a name that is not absolute is looked for beside the including file, then in the working
/// directory. `*` and `?` in the last part of a name match what files there are, in the order of their names.
#[derive(Clone, Copy, Debug)]
pub struct Files;

impl Loader for Files {
    fn resolve(&self, from: &str, pattern: &str) -> Result<Vec<String>, LoadError> {
        let beside = Path::new(from).parent().unwrap_or(Path::new("")).join(pattern);
        let candidates = [beside, PathBuf::from(pattern)];
        if !pattern.contains(['*', '?']) {
            let found = candidates.iter().find(|path| path.exists());
            let found = found.ok_or_else(|| LoadError(format!("there is no file `{pattern}`")))?;
            return Ok(vec![found.display().to_string()]);
        }
        for candidate in candidates {
            let names = matching(&candidate).map_err(|error| LoadError(format!("`{pattern}`: {error}")))?;
            if !names.is_empty() {
                return Ok(names);
            }
        }
        Ok(Vec::new())
    }

    fn read(&self, name: &str, limit: usize) -> Result<String, LoadError> {
        let source: io::Result<Box<dyn Read>> = match name {
            "-" => Ok(Box::new(io::stdin())),
            name => File::open(name).map(|file| Box::new(file) as Box<dyn Read>),
        };
        let mut bytes = Vec::new();
        source
            .and_then(|source| source.take(limit as u64 + 1).read_to_end(&mut bytes))
            .map_err(|error| LoadError(format!("cannot read: {error}")))?;
        if bytes.len() > limit {
            return Err(LoadError(format!("longer than {limit} bytes")));
        }
        String::from_utf8(bytes).map_err(|_| LoadError("not UTF-8 text".to_owned()))
    }
}

/// The files whose name matches the last part of a path.
fn matching(path: &Path) -> io::Result<Vec<String>> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let pattern = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        // As in a shell, hidden files are asked for by name only.
        if wildcard(pattern.as_bytes(), name.as_bytes()) && !name.starts_with('.') {
            names.push(folder.join(name).display().to_string());
        }
    }
    names.sort();
    Ok(names)
}

/// Whether a name matches a pattern of `*` and `?`.
fn wildcard(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    // Where the latest `*` stands, and how much of the name it has swallowed.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == b'?' || Some(&c) == name.get(n) => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, swallowed)) => {
                    star = Some((at, swallowed + 1));
                    p = at + 1;
                    n = swallowed + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|&c| c == b'*'))
}

/// What is wrong with a ruleset that compiles: helpers that are not among these, and timeouts that do not exist.
pub fn setup_problems(ruleset: Ruleset, helpers: Registry) -> Vec<String> {
    match Engine::new(Settings::default(), helpers, Some(ruleset)) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    }
}

/// Whether a ruleset may translate addresses.
pub fn translates(ruleset: &Ruleset) -> bool {
    let families = [Family::Ip, Family::Ip6];
    let mut chains = Hook::ALL
        .into_iter()
        .flat_map(|hook| families.map(|family| (hook, family)))
        .flat_map(|(hook, family)| ruleset.base_chains(hook, family));
    chains.any(|base| base.kind == ChainKind::Nat)
}

#[cfg(test)]
mod tests {
    use super::wildcard;

    #[test]
    fn wildcards_match_as_in_a_shell() {
        for (pattern, name) in
            [("*.nft", "a.nft"), ("a?c*", "abcdef"), ("*", ""), ("*a*b", "xaxbxab"), ("a", "a")]
        {
            assert!(wildcard(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}");
        }
        for (pattern, name) in [("*.nft", "a.nftx"), ("?", ""), ("a", "ab"), ("*ab", "aba")] {
            assert!(!wildcard(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}");
        }
    }
}
