//! Counters by HTTP, in the OpenMetrics text format (version 1.0), for Prometheus and its like.
//!
//! Read-only, and as small as it can be: GET and HEAD of `/metrics`, one request a connection, everything bounded. It runs in the gateway's own
//! loop and never waits: a client that is slow is closed after a while.

mod exposition;
#[cfg(test)]
mod tests;

use super::census::Census;
use super::config::Endpoint;
use super::crew::Crew;
use pinhole_io::live::Interest;
use pinhole_wire::Time;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

/// Clients at a time.
const MOST_CLIENTS: usize = 16;
/// Bytes of a request's head, and lines of it.
const LONGEST_HEAD: usize = 8 << 10;
const MOST_FIELDS: usize = 64;
/// Nanoseconds that a client has for all.
const PATIENCE: u64 = 5_000_000_000;

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The listener and those who ask.
pub(super) struct Metrics {
    listener: Listener,
    clients: Vec<Client>,
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

struct Client {
    stream: Stream,
    input: Vec<u8>,
    output: Vec<u8>,
    /// The answer is in `output`.
    answered: bool,
    ends: bool,
    deadline: Time,
}

impl Metrics {
    /// Listens.
    pub(super) fn bind(endpoint: &Endpoint) -> io::Result<Self> {
        let listener = match endpoint {
            Endpoint::Address(address) => {
                let listener = TcpListener::bind(address)?;
                listener.set_nonblocking(true)?;
                Listener::Tcp(listener)
            }
            Endpoint::Path(path) => {
                if UnixStream::connect(path).is_ok() {
                    return Err(io::Error::new(ErrorKind::AddrInUse, "somebody listens there"));
                }
                match std::fs::remove_file(path) {
                    Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
                let listener = UnixListener::bind(path)?;
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
                listener.set_nonblocking(true)?;
                Listener::Unix(listener, path.clone())
            }
        };
        Ok(Self { listener, clients: Vec::new() })
    }

    /// What to wait on.
    pub(super) fn interests(&self) -> impl Iterator<Item = Interest<'_>> {
        let clients = self.clients.iter().map(|client| Interest {
            descriptor: client.stream.descriptor(),
            read: !client.answered,
            write: !client.output.is_empty(),
        });
        std::iter::once(Interest::reading(self.listener.descriptor())).chain(clients)
    }

    /// When the first client is to be closed.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.clients.iter().map(|client| client.deadline).min()
    }

    /// Accepts, reads, answers and writes, as far as that goes without waiting.
    pub(super) fn serve(&mut self, now: Time, crew: &mut Crew) {
        while let Some(stream) = self.listener.accept() {
            // Who comes too late closes the oldest, who may have come to stay.
            if self.clients.len() >= MOST_CLIENTS {
                self.clients.remove(0);
            }
            self.clients.push(Client::new(stream, now));
        }
        for client in &mut self.clients {
            client.read();
            client.answer(now, crew);
            client.write();
        }
        self.clients.retain(|client| !client.ends && now < client.deadline);
    }
}

impl Drop for Metrics {
    fn drop(&mut self) {
        if let Listener::Unix(_, path) = &self.listener {
            // If it cannot be removed, the next start will replace it.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Listener {
    fn accept(&self) -> Option<Stream> {
        let stream = match self {
            Self::Tcp(listener) => Stream::Tcp(listener.accept().ok()?.0),
            Self::Unix(listener, _) => Stream::Unix(listener.accept().ok()?.0),
        };
        match &stream {
            Stream::Tcp(stream) => stream.set_nonblocking(true),
            Stream::Unix(stream) => stream.set_nonblocking(true),
        }
        .ok()?;
        Some(stream)
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(listener, _) => listener.as_fd(),
        }
    }
}

impl Stream {
    fn descriptor(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }
}

impl Client {
    fn new(stream: Stream, now: Time) -> Self {
        let deadline = now.plus_nanos(PATIENCE);
        Self { stream, input: Vec::new(), output: Vec::new(), answered: false, ends: false, deadline }
    }

    fn read(&mut self) {
        let mut buffer = [0; 1024];
        while !self.answered && !self.ends && self.input.len() <= LONGEST_HEAD {
            match self.stream.read(&mut buffer) {
                Ok(0) => self.ends = true,
                Ok(count) => self.input.extend_from_slice(buffer.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => self.ends = true,
            }
        }
    }

    fn answer(&mut self, now: Time, crew: &mut Crew) {
        if self.answered || self.ends {
            return;
        }
        let Some(request) = judge(&self.input) else { return };
        self.answered = true;
        let (status, body) = match request {
            Ok(_) => match crew.ask(Census::of) {
                Ok(parts) => ("200 OK", exposition::of(&Census::together(parts), crew.clock().uptime(now))),
                Err(message) => ("503 Service Unavailable", format!("{message}\n")),
            },
            Err(status) => (status, format!("{status}\n")),
        };
        let kind = if status == "200 OK" { CONTENT_TYPE } else { "text/plain" };
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        self.output = head.into_bytes();
        if request != Ok(Method::Head) {
            self.output.extend_from_slice(body.as_bytes());
        }
    }

    fn write(&mut self) {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(0) => break,
                Ok(count) => drop(self.output.drain(..count)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => self.output.clear(),
            }
        }
        self.ends |= self.answered;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Get,
    Head,
}

/// What a request wants; an error is the status that answers it. `None`: it is not whole yet.
fn judge(head: &[u8]) -> Option<Result<Method, &'static str>> {
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(head) {
        Ok(httparse::Status::Partial) if head.len() > LONGEST_HEAD => {
            Some(Err("431 Request Header Fields Too Large"))
        }
        Ok(httparse::Status::Partial) => None,
        Err(httparse::Error::TooManyHeaders) => Some(Err("431 Request Header Fields Too Large")),
        Err(_) => Some(Err("400 Bad Request")),
        Ok(httparse::Status::Complete(_)) => {
            let path = request.path.unwrap_or_default();
            let path = path.split_once('?').map_or(path, |(path, _)| path);
            Some(match request.method {
                _ if path != "/metrics" => Err("404 Not Found"),
                Some("GET") => Ok(Method::Get),
                Some("HEAD") => Ok(Method::Head),
                _ => Err("405 Method Not Allowed"),
            })
        }
    }
}
