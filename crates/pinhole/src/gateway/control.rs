//! The control socket: who may connect, and how requests come in and answers go out without ever waiting.
//!
//! Life cycle: bound at the start, for the gateway's own user only; [`Control::serve`] is called between batches; removed at the stop. A client
//! asks one thing at a time. What it is owed is kept in memory up to a limit; a long listing goes on when the client has read.

use super::answer::{self, Listing, Reply};
use super::crew::Crew;
use super::request::{Answer, LONGEST, Request};
use pinhole_io::live::{Interest, own_user, peer_user};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Clients at a time.
const MOST_CLIENTS: usize = 32;

/// Bytes that a client may leave unread before a listing waits for it.
const ENOUGH: usize = 64 << 10;

/// Bytes that a client who watches may leave unread; more is lost to it, and it is told how much.
const TOO_MUCH: usize = 4 << 20;

/// The socket and those who are connected.
pub(super) struct Control {
    listener: UnixListener,
    path: PathBuf,
    users: Vec<u32>,
    clients: Vec<Client>,
}

struct Client {
    stream: UnixStream,
    input: Vec<u8>,
    output: Vec<u8>,
    listing: Option<Listing>,
    watches: bool,
    lost: u64,
    /// To be closed when its output is written.
    ends: bool,
}

impl Control {
    /// Binds the socket. One that nobody listens at any more is replaced.
    pub(super) fn bind(path: &Path, users: Vec<u32>) -> io::Result<Self> {
        if UnixStream::connect(path).is_ok() {
            return Err(io::Error::new(ErrorKind::AddrInUse, "another gateway listens there"));
        }
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        // Others may connect only where they are named; who they are is looked at for every client.
        let mode = if users.is_empty() { 0o600 } else { 0o666 };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, path: path.to_owned(), users, clients: Vec::new() })
    }

    /// Whether somebody watches.
    pub(super) fn is_watched(&self) -> bool {
        self.clients.iter().any(|client| client.watches)
    }

    /// Whether a listing goes on as soon as there is time.
    pub(super) fn is_busy(&self) -> bool {
        self.clients.iter().any(|client| client.listing.is_some() && client.output.len() < ENOUGH)
    }

    /// What to wait on.
    pub(super) fn interests(&self) -> impl Iterator<Item = Interest<'_>> {
        let clients = self.clients.iter().map(|client| Interest {
            descriptor: client.stream.as_fd(),
            read: !client.ends,
            write: !client.output.is_empty(),
        });
        std::iter::once(Interest::reading(self.listener.as_fd())).chain(clients)
    }

    /// Accepts, reads, answers and writes, as far as that goes without waiting.
    pub(super) fn serve(&mut self, crew: &mut Crew) {
        while let Ok((stream, _)) = self.listener.accept() {
            if let Some(client) = self.admit(stream) {
                self.clients.push(client);
            }
        }
        let (news, lost) = crew.take_news();
        for client in &mut self.clients {
            client.tell(&news, lost);
            client.read(crew);
            client.go_on(crew);
            client.write();
        }
        self.clients.retain(|client| !(client.ends && client.output.is_empty()));
        crew.watch(self.is_watched());
    }

    fn admit(&self, stream: UnixStream) -> Option<Client> {
        stream.set_nonblocking(true).ok()?;
        let user = peer_user(&stream).ok()?;
        let mut client = Client {
            stream,
            input: Vec::new(),
            output: Vec::new(),
            listing: None,
            watches: false,
            lost: 0,
            ends: false,
        };
        if user != 0 && user != own_user() && !self.users.contains(&user) {
            client.refuse(&format!(
                "user {user} may not control this gateway (see `control-users` in its configuration)"
            ));
        } else if self.clients.len() >= MOST_CLIENTS {
            client.refuse("too many clients");
        }
        Some(client)
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // If it cannot be removed, the next start will replace it.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Client {
    fn refuse(&mut self, message: &str) {
        self.say(&Answer::Error(message.to_owned()));
        self.ends = true;
    }

    fn say(&mut self, answer: &Answer) {
        // Neither a string nor a number fails to become JSON, nor does memory fail to be written.
        let _ = serde_json::to_writer(&mut self.output, answer);
        self.output.push(b'\n');
    }

    fn tell(&mut self, news: &[u8], lost: u64) {
        if !self.watches {
            return;
        }
        self.lost += lost;
        for line in String::from_utf8_lossy(news).lines() {
            if self.output.len() > TOO_MUCH {
                self.lost += 1;
                continue;
            }
            if self.lost > 0 {
                let lost = std::mem::take(&mut self.lost);
                self.say(&Answer::Lost(lost));
            }
            self.say(&Answer::Line(line.to_owned()));
        }
    }

    fn read(&mut self, crew: &mut Crew) {
        let mut buffer = [0; 4096];
        while !self.ends && self.input.len() <= LONGEST {
            match self.stream.read(&mut buffer) {
                Ok(0) => {
                    self.ends = true;
                    self.watches = false;
                    self.listing = None;
                }
                Ok(count) => self.input.extend_from_slice(buffer.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => {
                    self.ends = true;
                    self.output.clear();
                }
            }
        }
        // One request at a time: the next waits until this one is answered.
        while self.listing.is_none()
            && !self.watches
            && let Some(end) = self.input.iter().position(|&byte| byte == b'\n')
        {
            let line: Vec<u8> = self.input.drain(..=end).collect();
            self.handle(&line, crew);
        }
        if self.input.len() > LONGEST {
            self.input.clear();
            self.refuse(&format!("a request is longer than {LONGEST} bytes"));
        }
    }

    fn handle(&mut self, line: &[u8], crew: &mut Crew) {
        let reply = match serde_json::from_slice::<Request>(line) {
            Ok(request) => answer::answer(request, crew),
            Err(error) => Err(format!("not a request: {error}")),
        };
        match reply {
            Ok(Reply::Lines(text)) => {
                text.lines().for_each(|line| self.say(&Answer::Line(line.to_owned())));
                self.say(&Answer::Done(true));
            }
            Ok(Reply::Listing(listing)) => self.listing = Some(listing),
            Ok(Reply::Watch) => self.watches = true,
            Err(message) => self.say(&Answer::Error(message)),
        }
    }

    /// Goes on with a listing while the client reads it.
    fn go_on(&mut self, crew: &mut Crew) {
        if self.output.len() >= ENOUGH {
            return;
        }
        let Some(listing) = &mut self.listing else { return };
        let (lines, more) = match listing.next_lines(crew) {
            Ok(lines) => lines,
            Err(message) => {
                self.listing = None;
                return self.say(&Answer::Error(message));
            }
        };
        for line in lines.lines() {
            self.say(&Answer::Line(line.to_owned()));
        }
        if !more {
            self.listing = None;
            self.say(&Answer::Done(true));
        }
    }

    fn write(&mut self) {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(0) => break,
                Ok(count) => drop(self.output.drain(..count)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => {
                    self.ends = true;
                    self.watches = false;
                    self.output.clear();
                }
            }
        }
    }
}
