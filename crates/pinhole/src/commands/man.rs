//! `pinhole man`: manual pages from the same texts as `--help`.

use super::{Failure, Terminal};
use crate::arguments::{Arguments, ManArguments};
use crate::exit;
use clap::CommandFactory;
use std::fs;
use std::io::Write;

/// Prints the main page, or writes all of them to a folder.
///
/// # Errors
/// Writing failed.
pub fn run(arguments: &ManArguments, terminal: &mut Terminal) -> Result<u8, Failure> {
    let command = Arguments::command();
    let Some(folder) = &arguments.folder else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page)?;
        terminal.out.write_all(&page)?;
        terminal.out.flush()?;
        return Ok(exit::OK);
    };
    fs::create_dir_all(folder).map_err(|error| Failure::File(folder.display().to_string(), error))?;
    clap_mangen::generate_to(command, folder)
        .map_err(|error| Failure::File(folder.display().to_string(), error))?;
    Ok(exit::OK)
}
