//! `pinhole helper seal`: the manifest into the module, for compilers that cannot put it there.

use super::super::Failure;
use crate::arguments::HelperSealArguments;
use crate::exit;
use pinhole_modules::{Limits, Manifest};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// Longest manifest, in bytes.
const LONGEST_MANIFEST: usize = 16 * 1024;

/// Checks the manifest and writes the module with it.
pub(super) fn run(arguments: &HelperSealArguments) -> Result<u8, Failure> {
    let (module, manifest) = (&arguments.module, &arguments.manifest);
    let text = read(manifest, LONGEST_MANIFEST)?;
    Manifest::parse(&text).map_err(|error| Failure::Usage(format!("{}: {error}", manifest.display())))?;
    let bytes = read(module, Limits::default().file)?;
    let sealed = pinhole_modules::seal(&bytes, &text)
        .map_err(|error| Failure::Usage(format!("{}: {error}", module.display())))?;
    fs::write(module, sealed).map_err(|error| Failure::File(module.display().to_string(), error))?;
    Ok(exit::OK)
}

fn read(path: &Path, limit: usize) -> Result<Vec<u8>, Failure> {
    let cannot = |what: &dyn std::fmt::Display| Failure::Usage(format!("{}: {what}", path.display()));
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limit as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error: io::Error| cannot(&format!("cannot read: {error}")))?;
    if bytes.len() > limit {
        return Err(cannot(&format!("longer than {limit} bytes")));
    }
    Ok(bytes)
}
