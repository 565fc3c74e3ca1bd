//! The subcommands, and what they share: the terminal and how they fail.

pub mod check;
pub mod completions;
#[cfg(target_os = "linux")]
pub mod control;
pub mod demo;
pub mod helper;
pub mod helpers;
pub mod man;
pub mod replay;
#[cfg(target_os = "linux")]
pub mod run;
#[cfg(target_os = "linux")]
pub mod top;

use crate::arguments::Color;
use crate::exit;
use crate::load::LoadError;
use crate::render::Palette;
use anstream::ColorChoice;
use pinhole_engine::SetupError;
use pinhole_io::capture::CaptureError;
use pinhole_ruleset::Diagnostic;
use std::io::{self, BufWriter, IsTerminal, Write};

/// Where output goes: results to one stream, everything else to the other.
pub struct Terminal {
    /// Results.
    pub out: Box<dyn Write>,
    /// Colours of results.
    pub palette: Palette,
    /// Messages.
    pub messages: Box<dyn Write>,
    /// Colours of messages.
    pub message_palette: Palette,
    /// Whether a progress bar may be shown.
    pub interactive: bool,
}

/// Bytes gathered before the process writes.
const OUT_BUFFER: usize = 1 << 16;

impl Terminal {
    /// The process's standard streams.
    pub fn of_process(color: Color) -> Self {
        let colored = |choice: ColorChoice| match color {
            Color::Auto => choice != ColorChoice::Never,
            Color::Always => true,
            Color::Never => false,
        };
        let out = colored(anstream::AutoStream::choice(&io::stdout()));
        let messages = colored(anstream::AutoStream::choice(&io::stderr()));
        Self {
            out: Box::new(BufWriter::with_capacity(OUT_BUFFER, io::stdout())),
            palette: Palette::new(out),
            messages: Box::new(io::stderr()),
            message_palette: Palette::new(messages),
            interactive: io::stderr().is_terminal(),
        }
    }

    /// Writes results to these streams, without colours.
    pub fn plain(out: Box<dyn Write>, messages: Box<dyn Write>) -> Self {
        let palette = Palette::new(false);
        Self { out, palette, messages, message_palette: palette, interactive: false }
    }

    /// Says that something failed. There is nobody left to tell if this cannot be said.
    pub fn complain(&mut self, failure: &Failure) {
        let p = self.message_palette;
        let _ = match failure {
            Failure::Ruleset(diagnostics) => {
                let _ = self.diagnose(diagnostics);
                Ok(())
            }
            other => writeln!(self.messages, "{}error:{} {other}", p.bad, p.bad.end()),
        };
        let _ = self.messages.flush();
    }

    /// Says that something is not as it should be.
    ///
    /// # Errors
    /// Writing failed.
    pub fn warn(&mut self, message: &str) -> io::Result<()> {
        let p = self.message_palette;
        writeln!(self.messages, "{}warning:{} {message}", p.warn, p.warn.end())
    }

    /// Shows what is wrong with a ruleset or a declared helper.
    ///
    /// # Errors
    /// Writing failed.
    pub fn diagnose(&mut self, diagnostics: &[Diagnostic]) -> io::Result<()> {
        for diagnostic in diagnostics {
            writeln!(self.messages, "{}\n", diagnostic.render(self.message_palette.colored))?;
        }
        let count = diagnostics.len();
        writeln!(self.messages, "{count} error{}", if count == 1 { "" } else { "s" })
    }
}

/// Why a command could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Arguments contradict each other, or name what does not exist.
    #[error("{0}")]
    Usage(String),
    /// A capture cannot be opened.
    #[error("{0}")]
    Capture(#[from] CaptureError),
    /// The ruleset, or a declared helper, is wrong.
    #[error("the ruleset is wrong")]
    Ruleset(Vec<Diagnostic>),
    /// A helper of a file is not to be loaded.
    #[error("{0}")]
    Load(LoadError),
    /// The ruleset asks for what does not exist.
    #[error("{}", join(.0))]
    Setup(Vec<SetupError>),
    /// A gateway cannot run, does not answer, or refuses.
    #[error("{0}")]
    Gateway(String),
    /// Output could not be written.
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
    /// A file could not be written.
    #[error("{0}: cannot write: {1}")]
    File(String, io::Error),
}

impl From<LoadError> for Failure {
    /// What is wrong in a declaration is shown as what is wrong in a ruleset.
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Declaration(diagnostics) => Self::Ruleset(diagnostics),
            other => Self::Load(other),
        }
    }
}

fn join(errors: &[SetupError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\nerror: ")
}

impl Failure {
    /// The exit code that tells of it.
    pub fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => exit::USAGE,
            Self::Capture(_) => exit::INPUT,
            Self::Ruleset(_) | Self::Setup(_) | Self::Load(_) => exit::RULESET,
            Self::Output(_) | Self::File(..) => exit::OUTPUT,
            Self::Gateway(_) => exit::GATEWAY,
        }
    }

    /// Whoever read the output has read enough: no reason to complain.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}
