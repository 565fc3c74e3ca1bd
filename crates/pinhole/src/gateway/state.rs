//! The state file: what a gateway knew, read at the start, written now and then and at the stop.
//!
//! Now and then it is written in slices between two batches of frames, and goes to the disk in a thread of its own; so it costs the
//! packets nothing that they would notice. A file is complete or it is not there: it is written beside its place and put there by a rename.

use super::config::{Damaged, StateConfig};
use crate::commands::Failure;
use pinhole_engine::{Engine, Saving, State};
use pinhole_wire::Time;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

/// A file of more bytes is none of ours: a table of two million conns is smaller.
const LARGEST: u64 = 2 << 30;

/// Slots of the table written at a time, between two batches of frames.
const SLICE: u32 = 256;

/// How far ahead of the clock a file may be: clocks are set, but not by so much.
const AHEAD: u64 = 86_400;

/// The file, and what is being written.
pub(super) struct StateFile {
    path: PathBuf,
    pause: u64,
    due: Time,
    saving: Option<Saving>,
    writer: Option<JoinHandle<io::Result<()>>>,
}

/// What an earlier run left, and what there is to say about it.
#[derive(Default)]
pub(super) struct Recalled {
    state: Option<State>,
    warning: Option<String>,
}

impl StateFile {
    /// The file that is configured, if there is one.
    pub(super) fn of(config: &StateConfig, now: Time) -> Option<Self> {
        let path = config.file.clone()?;
        let pause = config.every().saturating_mul(1_000_000_000);
        Some(Self { path, pause, due: now.plus_nanos(pause), saving: None, writer: None })
    }

    /// Writes a slice, or begins anew when it is time. Returns what went wrong.
    pub(super) fn proceed(&mut self, now: Time, engine: &Engine) -> Option<String> {
        if let Some(mut saving) = self.saving.take() {
            if !saving.proceed(engine, SLICE) {
                self.saving = Some(saving);
                return None;
            }
            let (path, bytes) = (self.path.clone(), saving.finish());
            let writer = std::thread::Builder::new().name("state".to_owned());
            return match writer.spawn(move || write(&path, &bytes)) {
                Ok(writer) => {
                    self.writer = Some(writer);
                    None
                }
                Err(error) => Some(self.cannot_write(&error)),
            };
        }
        if self.writer.as_ref().is_some_and(JoinHandle::is_finished) {
            return self.wait_for_writer().err().map(|error| self.cannot_write(&error));
        }
        if self.pause > 0 && self.writer.is_none() && now >= self.due {
            self.due = now.plus_nanos(self.pause);
            self.saving = Some(engine.begin_save(now));
        }
        None
    }

    /// Whether there is a slice to be written as soon as there is time.
    pub(super) fn is_busy(&self) -> bool {
        self.saving.is_some()
    }

    /// When to look again.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        (self.pause > 0).then_some(self.due)
    }

    /// Writes the last state: no frame passes any more.
    pub(super) fn finish(mut self, now: Time, engine: &Engine) -> Result<(), Failure> {
        self.saving = None;
        // What the last one came to is of no interest any more, but it must not come after this.
        let _ = self.wait_for_writer();
        write(&self.path, &engine.save(now))
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
        let state = State::read(&bytes).map_err(|error| error.to_string());
        let known = |state: State| match state.saved() > now.plus_seconds(AHEAD) {
            true => Err("it was written in the future".to_owned()),
            false => Ok(state),
        };
        match state.and_then(known) {
            Ok(state) => Ok(Self { state: Some(state), warning: None }),
            Err(why) => Self::refuse(config, path, &why),
        }
    }

    /// The least time that a clock may show, so that it does not go back behind what is known.
    pub(super) fn saved(&self) -> Time {
        self.state.as_ref().map_or(Time(0), State::saved)
    }

    /// Lets an engine go on with it; returns what there is to say.
    ///
    /// # Errors
    /// As [`of`](Self::of), of what contradicts itself.
    pub(super) fn restore(
        self,
        config: &StateConfig,
        engine: &mut Engine,
        now: Time,
    ) -> Result<Option<String>, Failure> {
        let (Some(state), Some(path)) = (self.state, &config.file) else { return Ok(self.warning) };
        match engine.restore(state, now) {
            Ok(restored) => Ok(Some(format!(
                "{} connections, {} expectations and {} helper sessions go on; {} were over, {} are left out, {} helpers cannot go on",
                restored.conns,
                restored.expectations,
                restored.sessions,
                restored.expired,
                restored.left_out,
                restored.blind
            ))),
            Err(why) => Self::refuse(config, path, &why.to_string()).map(|refused| refused.warning),
        }
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
        Ok(Self { state: None, warning: Some(format!("{refused}; {kept}, and no connection is known")) })
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
