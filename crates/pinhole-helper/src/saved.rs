//! What of a session outlives a restart of its host.
//!
//! A host that stops asks each [`Reader`] for a [`SavedReader`], and makes the reader anew of it when it starts again. The streams are the
//! reader's own; what a session knows is bytes of its own choice ([`Session::save`]), of which only the same helper makes a session again
//! ([`Helper::restore`]). [`encode`] and [`decode`] are for sessions whose state is plain data, as most are.
//!
//! Saved state is not trusted: whatever the bytes are, they give a session that keeps its invariants, or none.
//!
//! [`Reader`]: crate::Reader
//! [`Session::save`]: crate::Session::save
//! [`Helper::restore`]: crate::Helper::restore

use crate::reader::Early;
use crate::{Condition, Session, Stream};
use alloc::boxed::Box;
use alloc::vec::Vec;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A reader without its session's code: plain data.
#[derive(Debug, Serialize, Deserialize)]
pub struct SavedReader {
    pub(crate) session: Vec<u8>,
    pub(crate) condition: Condition,
    pub(crate) streams: [Stream; 2],
    pub(crate) next_handle: u32,
    pub(crate) early: Vec<Early>,
}

/// A session's state as bytes. `None` if it cannot be written, which plain data always can.
pub fn encode(state: &impl Serialize) -> Option<Vec<u8>> {
    postcard::to_allocvec(state).ok()
}

/// The state that [`encode`] wrote; `None` if these bytes are anything else.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let (state, rest) = postcard::take_from_bytes(bytes).ok()?;
    rest.is_empty().then_some(state)
}

/// A session whose whole state [`encode`] wrote.
pub fn session<S: Session + DeserializeOwned + 'static>(bytes: &[u8]) -> Option<Box<dyn Session>> {
    decode::<S>(bytes).map(|session| Box::new(session) as Box<dyn Session>)
}
