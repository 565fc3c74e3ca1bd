//! The state file: what a gateway knew, read at the start, written now and then and at the stop.
//!
//! Now and then it is written in slices between two batches of frames, and goes to the disk in a thread of its own; so it costs the
//! packets nothing that they would notice. A file is complete or it is not there: it is written beside its place and put there by a rename.
//!
//! Of one shard it is the state of its engine. Of several it is all of theirs, one after the other, each with its length; before them what homes follow from, so that conns
//! have them again. As many shards go on with it as there are now.

use super::config::{Damaged, StateConfig};
use super::crew::Crew;
use crate::commands::Failure;
use pinhole_engine::state::regroup;
use pinhole_engine::{Engine, Restored, State, Steering};
use pinhole_wire::Time;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

/// A file of more bytes is none of ours: a table of two million conns is smaller.
const LARGEST: u64 = 2 << 30;

/// What the state of several shards begins with: then the steering's secret (4 bytes, little-endian), then each state behind its length (8 bytes).
const SEVERAL: [u8; 8] = *b"pinholes";

/// Most states of a file.
const MOST_PARTS: usize = pinhole_engine::shard::MOST_SHARDS as usize;

/// How far ahead of the clock a file may be: clocks are set, but not by so much.
const AHEAD: u64 = 86_400;

/// The file, and what is being written.
pub(super) struct StateFile {
    path: PathBuf,
    pause: u64,
    due: Time,
    saving: bool,
    /// By shard: what is complete.
    saved: Vec<Option<Vec<u8>>>,
    /// Of the steering of several shards.
    secret: u32,
    writer: Option<JoinHandle<io::Result<()>>>,
}

/// What an earlier run left, and what there is to say about it.
#[derive(Default)]
pub(super) struct Recalled {
    states: Vec<State>,
    /// Of the steering that they were saved under.
    secret: Option<u32>,
    warning: Option<String>,
}

impl StateFile {
    /// The file that is configured, if there is one. `secret`: what homes follow from, if there are several shards.
    pub(super) fn of(config: &StateConfig, now: Time, secret: u32) -> Option<Self> {
        let path = config.file.clone()?;
        let pause = config.every().saturating_mul(1_000_000_000);
        let due = now.plus_nanos(pause);
        Some(Self { path, pause, due, saving: false, saved: Vec::new(), secret, writer: None })
    }

    /// Writes a slice, or begins anew when it is time. Returns what went wrong.
    pub(super) fn proceed(&mut self, now: Time, crew: &mut Crew) -> Option<String> {
        if self.saving {
            let Err(why) = self.proceed_saving(now, crew) else { return None };
            // What shards have begun goes on with the next one.
            self.saving = false;
            return Some(format!("state file {}: {why}", self.path.display()));
        }
        if self.writer.as_ref().is_some_and(JoinHandle::is_finished) {
            return self.wait_for_writer().err().map(|error| self.cannot_write(&error));
        }
        if self.pause > 0 && self.writer.is_none() && now >= self.due {
            self.due = now.plus_nanos(self.pause);
            self.saving = true;
            self.saved.clear();
        }
        None
    }

    fn proceed_saving(&mut self, now: Time, crew: &mut Crew) -> Result<(), String> {
        let wanted: Vec<bool> = self.saved.iter().map(Option::is_none).collect();
        let slices = crew.ask(move |gateway| {
            let is_wanted = wanted.get(gateway.index()).copied().unwrap_or(true);
            is_wanted.then(|| gateway.save_slice(now)).flatten()
        })?;
        self.saved.resize(slices.len(), None);
        for (saved, slice) in self.saved.iter_mut().zip(slices) {
            *saved = saved.take().or(slice);
        }
        if self.saved.iter().any(Option::is_none) {
            return Ok(());
        }
        self.saving = false;
        let (path, bytes) =
            (self.path.clone(), joined(self.saved.drain(..).flatten().collect(), self.secret));
        let writer = std::thread::Builder::new().name("state".to_owned());
        self.writer = Some(writer.spawn(move || write(&path, &bytes)).map_err(|error| error.to_string())?);
        Ok(())
    }

    /// Whether there is a slice to be written as soon as there is time.
    pub(super) fn is_busy(&self) -> bool {
        self.saving
    }

    /// When to look again.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        (self.pause > 0).then_some(self.due)
    }

    /// Writes the last state: no frame passes any more.
    pub(super) fn finish(mut self, states: Vec<Vec<u8>>) -> Result<(), Failure> {
        // What the last one came to is of no interest any more, but it must not come after this.
        let _ = self.wait_for_writer();
        write(&self.path, &joined(states, self.secret))
            .map_err(|error| Failure::File(self.path.display().to_string(), error))
    }

    fn wait_for_writer(&mut self) -> io::Result<()> {
        match self.writer.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(io::Error::other("the writer failed")),
        }
    }

    fn cannot_write(&self, error: &io::Error) -> String {
        format!("state file {}: cannot write: {error}", self.path.display())
    }
}

impl Recalled {
    /// Reads the file that is configured; none is no mistake. A file that is not whole is refused whole, and put aside or a reason not to start.
    ///
    /// # Errors
    /// It cannot be read, or it is damaged and the configuration wants no start then.
    pub(super) fn of(config: &StateConfig, now: Time) -> Result<Self, Failure> {
        let Some(path) = &config.file else { return Ok(Self::default()) };
        let name = path.display();
        let bytes = match read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(Failure::Gateway(format!("state file {name}: cannot read: {error}"))),
        };
        let states = parts(&bytes).and_then(|(secret, parts)| {
            let states = parts.into_iter().map(State::read).collect::<Result<Vec<_>, _>>();
            Ok((secret, states.map_err(|error| error.to_string())?))
        });
        let known = states.and_then(|(secret, states)| {
            match states.iter().any(|state| state.saved() > now.plus_seconds(AHEAD)) {
                true => Err("it was written in the future".to_owned()),
                false => Ok(Self { states, secret, warning: None }),
            }
        });
        known.or_else(|why| Self::refuse(config, path, &why))
    }

    /// What homes follow from, if several shards saved it.
    pub(super) fn secret(&self) -> Option<u32> {
        self.secret
    }

    /// The least time that a clock may show, so that it does not go back behind what is known.
    pub(super) fn saved(&self) -> Time {
        self.states.iter().map(State::saved).max().unwrap_or_default()
    }

    /// Lets engines go on with it, `steering` if there are several; returns what there is to say.
    ///
    /// # Errors
    /// As [`of`](Self::of), of what contradicts itself.
    pub(super) fn restore(
        self,
        config: &StateConfig,
        engines: &mut [Engine],
        steering: Option<&Steering>,
        now: Time,
    ) -> Result<Option<String>, Failure> {
        let Some(path) = config.file.as_ref().filter(|_| !self.states.is_empty()) else {
            return Ok(self.warning);
        };
        let states = match self.states.len() == engines.len() {
            true => self.states,
            false => regroup(self.states, engines.len(), |tuple| {
                steering.map_or(0, |steering| steering.of_tuple(tuple))
            }),
        };
        let mut sum = Restored::default();
        for (engine, state) in engines.iter_mut().zip(states) {
            match engine.restore(state, now) {
                Ok(restored) => {
                    sum.conns += restored.conns;
                    sum.expectations += restored.expectations;
                    sum.sessions += restored.sessions;
                    sum.expired += restored.expired;
                    sum.left_out += restored.left_out;
                    sum.blind += restored.blind;
                }
                Err(why) => {
                    return Self::refuse(config, path, &why.to_string()).map(|refused| refused.warning);
                }
            }
        }
        Ok(Some(format!(
            "{} connections, {} expectations and {} helper sessions go on; {} were over, {} are left out, {} helpers cannot go on",
            sum.conns, sum.expectations, sum.sessions, sum.expired, sum.left_out, sum.blind
        )))
    }

    fn refuse(config: &StateConfig, path: &Path, why: &str) -> Result<Self, Failure> {
        let refused = format!("state file {}: {why}", path.display());
        if config.damaged == Damaged::Refuse {
            return Err(Failure::Gateway(refused));
        }
        let aside = beside(path, "damaged");
        let kept = match fs::rename(path, &aside) {
            Ok(()) => format!("kept as {}", aside.display()),
            Err(error) => format!("it cannot be put aside: {error}"),
        };
        Ok(Self {
            states: Vec::new(),
            secret: None,
            warning: Some(format!("{refused}; {kept}, and no connection is known")),
        })
    }
}

/// States as one file.
fn joined(mut states: Vec<Vec<u8>>, secret: u32) -> Vec<u8> {
    if states.len() == 1 {
        return states.pop().unwrap_or_default();
    }
    let mut bytes = Vec::with_capacity(states.iter().map(|state| state.len() + 8).sum::<usize>() + 12);
    bytes.extend_from_slice(&SEVERAL);
    bytes.extend_from_slice(&secret.to_le_bytes());
    for state in states {
        bytes.extend_from_slice(&(state.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&state);
    }
    bytes
}

/// The states of a file, and what homes follow from.
fn parts(bytes: &[u8]) -> Result<(Option<u32>, Vec<&[u8]>), String> {
    let Some(rest) = bytes.strip_prefix(&SEVERAL) else { return Ok((None, vec![bytes])) };
    let cut = || "it is shorter than it says".to_owned();
    let (secret, mut rest) = rest.split_first_chunk().ok_or_else(cut)?;
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk().ok_or_else(cut)?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| cut())?;
        let (part, after) = after.split_at_checked(length).ok_or_else(cut)?;
        parts.push(part);
        rest = after;
    }
    match parts.len() {
        1..=MOST_PARTS => Ok((Some(u32::from_le_bytes(*secret)), parts)),
        _ => Err("nobody has so many shards".to_owned()),
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::new(ErrorKind::FileTooLarge, "it is too large for a state file"));
    }
    Ok(bytes)
}

/// For its owner alone: it tells who talked to whom, and the hash's secret.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = beside(path, "new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    match path.parent() {
        Some(folder) if folder != Path::new("") => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

/// The same path with this at its end.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}
