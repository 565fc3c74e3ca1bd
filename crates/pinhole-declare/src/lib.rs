//! Declared helpers: a protocol that is one pattern (a request line that names a port) needs no code, but a file.
//!
//! ```text
//! rsh.toml ─► document (TOML, with places) ─► file (what it says) ─► Declaration ─► Declared: Helper ─► session, message by message
//!                                                                              └─► DeclaredNat: NatHelper
//! ```
//!
//! A declaration says how a stream is cut into messages ([`framing`](Framing)), what they look like ([`template`]), which of them announce a
//! conn, and which answer, activate or end what others announced. The session that reads by it is a session as any other: it only
//! asks, and its host checks.
//!
//! *Invariants.* A declaration that [`Declaration::read`] accepts breaks none of the rules for helpers: every side that announces must open
//! with the protocol; each message is matched in time proportional to its length, without backtracking; everything that a session
//! remembers is bounded. Text from a file that is shown to people holds no control characters.
//!
//! The crate opens no files and knows no clock: it is given text.
#![forbid(unsafe_code)]

mod declaration;
mod describe;
mod document;
mod file;
mod framing;
mod helper;
mod nat;
pub mod notation;
mod outstanding;
mod problem;
mod session;
pub mod template;
#[cfg(test)]
mod tests;

pub use declaration::{Declaration, LONGEST_FILE, Need};
pub use framing::Framing;
pub use helper::Declared;
pub use nat::DeclaredNat;
pub use problem::Problem;
