//! `pinhole run`.

use super::{Failure, Terminal};
use crate::arguments::RunArguments;
use crate::gateway::config::{Config, ConfigError};
use crate::gateway::daemon;

/// Runs a gateway until it is told to stop.
///
/// # Errors
/// The configuration or the ruleset is wrong, or it cannot start.
pub fn run(arguments: &RunArguments, terminal: &mut Terminal) -> Result<u8, Failure> {
    let config = Config::of(arguments)?;
    daemon::run(&config, terminal)
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Usage(error.to_string())
    }
}
