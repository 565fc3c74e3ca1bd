//! The other end of the control socket: asks, and shows what comes back.

use super::request::{Answer, Request};
use crate::commands::{Failure, Terminal};
use crate::exit;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Longest line of an answer, in bytes.
const LONGEST: u64 = 1 << 20;

/// Asks a gateway, and writes the lines of its answer as they come.
///
/// # Errors
/// Nobody listens at the socket, it refuses, or output cannot be written.
pub fn ask(socket: &Path, request: &Request, terminal: &mut Terminal) -> Result<u8, Failure> {
    let is_watching = matches!(request, Request::Monitor {});
    let answered = talk(socket, request, |answer| {
        match answer {
            Told::Line(text) => writeln!(terminal.out, "{text}")?,
            Told::Lost(count) => {
                terminal.warn(&format!("{count} lines were lost: they came faster than they were read"))?;
            }
        }
        if is_watching { terminal.out.flush() } else { Ok(()) }
    });
    terminal.out.flush()?;
    answered.map(|()| exit::OK)
}

/// Asks a gateway; the lines of its answer.
///
/// # Errors
/// Nobody listens at the socket, or it refuses.
pub fn lines(socket: &Path, request: &Request) -> Result<Vec<String>, Failure> {
    let mut lines = Vec::new();
    talk(socket, request, |answer| {
        if let Told::Line(text) = answer {
            lines.push(text);
        }
        Ok(())
    })?;
    Ok(lines)
}

/// What comes before the end of an answer.
enum Told {
    Line(String),
    Lost(u64),
}

fn talk(
    socket: &Path,
    request: &Request,
    mut hear: impl FnMut(Told) -> io::Result<()>,
) -> Result<(), Failure> {
    let failed = |message: String| Failure::Gateway(format!("{}: {message}", socket.display()));
    let mut stream = UnixStream::connect(socket).map_err(|error| failed(explain(&error)))?;
    let mut line = serde_json::to_vec(request).map_err(|error| failed(error.to_string()))?;
    line.push(b'\n');
    stream.write_all(&line).map_err(|error| failed(error.to_string()))?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = Vec::new();
        io::Read::take(&mut reader, LONGEST)
            .read_until(b'\n', &mut line)
            .map_err(|error| failed(error.to_string()))?;
        if line.is_empty() {
            return Err(failed("the gateway ended before it had answered".to_owned()));
        }
        match serde_json::from_slice(&line) {
            Ok(Answer::Line(text)) => hear(Told::Line(text))?,
            Ok(Answer::Lost(count)) => hear(Told::Lost(count))?,
            Ok(Answer::Done(_)) => return Ok(()),
            Ok(Answer::Error(message)) => return Err(Failure::Gateway(message)),
            Err(error) => return Err(failed(format!("not an answer: {error}"))),
        }
    }
}

fn explain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            "no gateway runs here (`pinhole run`; --socket names another socket)".to_owned()
        }
        io::ErrorKind::PermissionDenied => "only the gateway's user, or root, may control it".to_owned(),
        _ => error.to_string(),
    }
}
