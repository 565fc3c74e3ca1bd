//! `pinhole helper`: for those who write helpers.

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// `pinhole helper …`.
#[derive(Debug, Subcommand)]
pub enum HelperCommand {
    /// Run conformance cases: what two ends say (`NAME.say`), and what the helper makes of it (`NAME.expected`), also cut and reordered
    Test(HelperTestArguments),
    /// Make the files of a new helper, which works, with its cases
    New(HelperNewArguments),
    /// Put a manifest into a module, in place of what it has
    Seal(HelperSealArguments),
}

/// `pinhole helper test`.
#[derive(Debug, Args)]
pub struct HelperTestArguments {
    /// A file with a helper, or the name of a built-in one
    #[arg(value_name = "HELPER")]
    pub helper: String,
    /// Folder with the cases
    #[arg(value_name = "CASES")]
    pub cases: PathBuf,
    /// Write what it comes to as what is expected
    #[arg(long)]
    pub update: bool,
}

/// `pinhole helper new`.
#[derive(Debug, Args)]
pub struct HelperNewArguments {
    /// The helper's name
    #[arg(value_name = "NAME")]
    pub name: String,
    /// What it is written in
    #[arg(long, value_enum, value_name = "LANGUAGE", default_value_t)]
    pub lang: Language,
    /// Checkout of pinhole that has the SDK for Rust (default: what cargo's registry has)
    #[arg(long, value_name = "DIR")]
    pub source: Option<PathBuf>,
    /// Folder for the files (default: the name)
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
}

/// `pinhole helper seal`.
#[derive(Debug, Args)]
pub struct HelperSealArguments {
    /// The module; it is written anew
    #[arg(value_name = "MODULE.wasm")]
    pub module: PathBuf,
    /// The manifest (docs/helper-abi.md)
    #[arg(value_name = "MANIFEST.toml")]
    pub manifest: PathBuf,
}

/// What a helper is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// TOML: no code.
    #[default]
    Declaration,
    /// Rust, for a module.
    Rust,
    /// C, for a module.
    C,
    /// AssemblyScript, for a module.
    Assemblyscript,
}
