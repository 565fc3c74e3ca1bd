//! Who is at the other end of a local socket.

use rustix::net::sockopt::socket_peercred;
use std::io;
use std::os::unix::net::UnixStream;

/// The user, by number, who connected.
///
/// # Errors
/// The system's.
pub fn peer_user(stream: &UnixStream) -> io::Result<u32> {
    Ok(socket_peercred(stream)?.uid.as_raw())
}

/// The user, by number, as whom this process runs.
pub fn own_user() -> u32 {
    rustix::process::geteuid().as_raw()
}
