//! What the fuzz targets share: the formats of their inputs, and the checks that hold for any input.
//!
//! Inputs are plain bytes with a simple framing, so that seeds can be written by hand or made from captures (`examples/seed.rs`), and
//! so that a mutation changes one thing and leaves the rest standing.
//!
//! * [`reader`]: bytes of an input, taken one field at a time.
//! * [`timed`]: frames with times, as they come off a wire.
//! * [`script`]: what two ends of a control conn send, in which segments; [`conversation`] shows it to a helper.
//! * [`module`]: a module for the targets that load some.
//! * [`traffic`]: conns of a few hosts, for what lies behind the parser; made of [`datagrams`].
#![forbid(unsafe_code)]

pub mod conversation;
pub mod datagrams;
pub mod module;
pub mod reader;
pub mod script;
pub mod timed;
pub mod traffic;
