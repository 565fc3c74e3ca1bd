//! A network namespace for one thread.
#![allow(unsafe_code, reason = "unshare(2)")]

use std::io;

use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Moves the calling thread into a new, empty network namespace, which lives as long as the thread, its children or a
/// device or socket of it.
pub(super) fn enter() -> io::Result<()> {
    // SAFETY: unshare is unsafe for the sake of CLONE_FILES, which splits the table of file descriptors. Only the
    // network namespace is unshared here.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }?;
    Ok(())
}
