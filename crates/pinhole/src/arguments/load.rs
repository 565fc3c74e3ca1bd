//! Helpers from files: the options of every command that has helpers.

use crate::load::{Grant, Loader};
use crate::signature::{KeyError, Trust};
use clap::Args;
use std::path::PathBuf;

/// Which files are loaded, and on which terms.
#[derive(Args, Clone, Debug, Default)]
pub struct LoadArguments {
    /// Load a helper from a file: a declaration (docs/declared-helpers.md), whose name ends in `.toml`, or a module (docs/helper-abi.md), whose name ends in
    /// `.wasm` (repeatable)
    #[arg(long, value_name = "FILE", help_heading = "Loaded helpers")]
    pub load: Vec<PathBuf>,
    /// Let helpers of files open what is not their own: `any-source` lets others than the two ends of a connection connect, `introduce`
    /// leads one end to third hosts that the other names, `privileged-ports` opens ports below 1024; for modules also `third-party` (addresses that are not the announcer's, if --third-party
    /// allows it) and `attach` (helpers for what is expected) (repeatable)
    #[arg(long, value_enum, value_name = "WHAT", help_heading = "Loaded helpers")]
    pub allow: Vec<Grant>,
    /// A minisign key whose signatures (FILE.minisig) count, in base64 (repeatable)
    #[arg(long, value_name = "KEY", help_heading = "Loaded helpers")]
    pub trusted_key: Vec<String>,
    /// Load only what a trusted key has signed
    #[arg(long, requires = "trusted_key", help_heading = "Loaded helpers")]
    pub require_signed: bool,
}

impl LoadArguments {
    /// What is to be loaded.
    ///
    /// # Errors
    /// A key is none.
    pub fn loader(&self) -> Result<Loader, KeyError> {
        let trust = Trust::new(&self.trusted_key, self.require_signed)?;
        Ok(Loader { files: self.load.clone(), allowed: self.allow.clone(), trust })
    }
}
