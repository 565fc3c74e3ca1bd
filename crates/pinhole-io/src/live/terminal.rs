//! A terminal whose keys are read one by one, without echo.
//!
//! Life cycle: taken from its line discipline at the start, given back when it is dropped, whatever happened.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::stdio::{stdin, stdout};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use std::io;
use std::time::Duration;

/// Size of a terminal that does not know its own.
const USUAL_SIZE: (u16, u16) = (80, 24);

/// The process's terminal.
pub struct RawTerminal {
    before: Termios,
}

impl RawTerminal {
    /// Takes it.
    ///
    /// # Errors
    /// Standard input is no terminal.
    pub fn new() -> io::Result<Self> {
        let before = tcgetattr(stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Flush, &raw)?;
        Ok(Self { before })
    }

    /// Columns and rows.
    pub fn size(&self) -> (u16, u16) {
        match tcgetwinsize(stdout()) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col, size.ws_row),
            _ => USUAL_SIZE,
        }
    }

    /// What was typed, if anything was before this time has passed.
    ///
    /// # Errors
    /// The system's; the terminal was closed.
    pub fn read(&self, wait: Duration) -> io::Result<Vec<u8>> {
        let wait =
            Timespec { tv_sec: wait.as_secs().try_into().unwrap_or(1), tv_nsec: wait.subsec_nanos().into() };
        let input = stdin();
        let mut waiting = [PollFd::new(&input, PollFlags::IN)];
        match poll(&mut waiting, Some(&wait)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(Vec::new()),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let mut bytes = [0; 64];
        match rustix::io::read(input, &mut bytes)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => Ok(bytes.get(..count).unwrap_or_default().to_vec()),
        }
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(stdin(), OptionalActions::Flush, &self.before);
    }
}
