//! The form of an engine's saved state: what outlives a restart.
//!
//! ```text
//! magic (8 bytes) ─ version (4) ─ length of the body (8) ─ CRC-32 of the body (4) ─ body: Head, Record …, Record::End
//! ```
//!
//! Numbers of the frame are little-endian, the body is postcard's encoding of the types here and of those that they hold.
//! **Whoever changes one of these types, or the order of an enum's variants, raises [`VERSION`].** A file is read whole or not
//! at all: a wrong magic, version, length or checksum, a record that cannot be read, and one that contradicts itself are each a [`StateError`].
//!
//! What is saved are confirmed conns with all that hangs on them (layer-4 state, deadline, mark, labels, counters, helper session with its
//! streams, translation with its port, edits and held segments), expectations with their provenance, PPTP's calls, timeout policies, and the
//! secret of the hash, so that what was drawn from it stays the same. Not saved are fragments that wait for the rest of their
//! datagram, counters and sets of the ruleset, and statistics.
//!
//! Times are absolute. Ids of conns are the saving engine's and are replaced when they are read.

mod regroup;

pub(crate) use regroup::expectations_from;
pub use regroup::regroup;

use crate::host::{SavedOrigin, SavedSession};
use crate::nat::SavedTranslation;
use pinhole_helper::Name;
use pinhole_track::{SavedCall, SavedConn, Timeouts};
use pinhole_wire::Time;
use serde::{Deserialize, Serialize};

/// Version of the form.
pub const VERSION: u32 = 2;

const MAGIC: [u8; 8] = *b"pinhole\x1a";

/// Bytes before the body.
pub(crate) const FRAME: usize = MAGIC.len() + 4 + 8 + 4;

/// Why saved state is refused. The engine is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// It does not begin as saved state does.
    #[error("it is not a state file of pinhole")]
    Foreign,
    /// Another version of pinhole wrote it.
    #[error("it has version {0} of the form, and this pinhole reads version {VERSION}")]
    Version(u32),
    /// It is shorter or longer than it says.
    #[error("it is {actual} bytes long and should be {expected}")]
    Length {
        /// What it says.
        expected: u64,
        /// What it is.
        actual: u64,
    },
    /// Its checksum is wrong.
    #[error("it is damaged: its checksum is wrong")]
    Checksum,
    /// It cannot be read although its checksum is right.
    #[error("it cannot be read from record {0} on")]
    Record(usize),
    /// It says what cannot be.
    #[error("it contradicts itself: {0}")]
    Unsound(&'static str),
    /// The engine has conns already.
    #[error("the engine is in use")]
    InUse,
}

/// What came of reading saved state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// When it was saved.
    pub saved: Time,
    /// Conns that go on.
    pub conns: usize,
    /// Conns and expectations whose time has passed.
    pub expired: usize,
    /// Conns and expectations for which there is no room, or whose helper is unknown here.
    pub left_out: usize,
    /// Expectations that wait.
    pub expectations: usize,
    /// Helper sessions that go on.
    pub sessions: usize,
    /// Conns whose helper reads them no more because its state could not be carried over.
    pub blind: usize,
}

/// What comes first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) saved: Time,
    /// Nothing passed after it was saved: it is the state of a stop.
    pub(crate) is_last: bool,
    pub(crate) secret: [u64; 2],
    pub(crate) draws: u64,
    /// Names of helpers by the numbers that conns and expectations bear.
    pub(crate) helpers: Vec<Name>,
    /// Timeout policies by the numbers that conns bear.
    pub(crate) policies: Vec<Timeouts>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Record {
    Conn(Box<ConnRecord>),
    Origin(Box<SavedOrigin>),
    Call(SavedCall),
    End(End),
}

/// A conn with all that hangs on it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ConnRecord {
    pub(crate) conn: SavedConn,
    pub(crate) session: Option<SavedSession>,
    pub(crate) translation: Option<SavedTranslation>,
}

/// What comes last.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct End {
    /// Number of the next expectation.
    pub(crate) next_expectation: u64,
}

/// Saved state that was read.
#[derive(Debug)]
pub struct State {
    pub(crate) head: Head,
    pub(crate) conns: Vec<ConnRecord>,
    pub(crate) origins: Vec<SavedOrigin>,
    pub(crate) calls: Vec<SavedCall>,
    pub(crate) end: End,
}

impl State {
    /// Reads what [`Engine::save`](crate::Engine::save) wrote.
    ///
    /// # Errors
    /// It is something else, or damaged.
    pub fn read(bytes: &[u8]) -> Result<Self, StateError> {
        let mut rest = opened(bytes)?;
        let mut count = 0;
        let head = next(&mut rest, &mut count)?;
        let (mut conns, mut origins, mut calls) = (Vec::new(), Vec::new(), Vec::new());
        let end = loop {
            match next(&mut rest, &mut count)? {
                Record::Conn(conn) => conns.push(*conn),
                Record::Origin(origin) => origins.push(*origin),
                Record::Call(call) => calls.push(call),
                Record::End(end) => break end,
            }
        };
        if rest.is_empty() {
            Ok(Self { head, conns, origins, calls, end })
        } else {
            Err(StateError::Unsound("something follows its end"))
        }
    }

    /// When it was saved.
    pub fn saved(&self) -> Time {
        self.head.saved
    }
}

/// The body, if the frame around it is whole.
fn opened(bytes: &[u8]) -> Result<&[u8], StateError> {
    let (magic, rest) = bytes.split_first_chunk().ok_or(StateError::Foreign)?;
    if *magic != MAGIC {
        return Err(StateError::Foreign);
    }
    let actual = bytes.len() as u64;
    let cut = StateError::Length { expected: FRAME as u64, actual };
    let (version, rest) = rest.split_first_chunk().ok_or_else(|| cut.clone())?;
    let version = u32::from_le_bytes(*version);
    if version != VERSION {
        return Err(StateError::Version(version));
    }
    let (length, rest) = rest.split_first_chunk().ok_or_else(|| cut.clone())?;
    let (checksum, body) = rest.split_first_chunk::<4>().ok_or(cut)?;
    let expected = u64::from_le_bytes(*length).saturating_add(FRAME as u64);
    if expected != actual {
        return Err(StateError::Length { expected, actual });
    }
    let is_whole = crc32fast::hash(body) == u32::from_le_bytes(*checksum);
    is_whole.then_some(body).ok_or(StateError::Checksum)
}

/// What stands before a body. Its checksum is of the body alone: every other field is compared with what it must be.
pub(crate) fn frame(length: u64, checksum: u32) -> [u8; FRAME] {
    let mut frame = [0; FRAME];
    let fields = MAGIC.into_iter().chain(VERSION.to_le_bytes()).chain(length.to_le_bytes());
    frame.iter_mut().zip(fields.chain(checksum.to_le_bytes())).for_each(|(place, byte)| *place = byte);
    frame
}

fn next<'a, T: Deserialize<'a>>(rest: &mut &'a [u8], count: &mut usize) -> Result<T, StateError> {
    *count += 1;
    let (record, after) = postcard::take_from_bytes(rest).map_err(|_| StateError::Record(*count))?;
    *rest = after;
    Ok(record)
}
