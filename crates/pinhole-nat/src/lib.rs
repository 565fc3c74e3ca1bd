//! The parts of a NAT, without I/O, clocks, threads or tables.
//!
//! * [`rewrite`]: edits on the payload of streams and datagrams; what a NAT helper asks for is carried out here.
//! * [`binding`]: what becomes of the headers of a conn's packets.
//! * [`ports`]: which port a translated conn gets.
//! * [`prefix`]: translation of whole prefixes, NPTv6 included.
//! * [`adjust`]: what such edits do to the sequence numbers of a TCP conn, in both directions.
//!
//! Frames come in as `&mut Vec<u8>` with the [`Packet`](pinhole_wire::Packet) that was parsed from them and leave the same way;
//! buffers are the caller's and are reused, so that nothing is allocated once they have grown.
#![forbid(unsafe_code)]

pub mod adjust;
pub mod binding;
mod checksum;
pub mod ports;
pub mod prefix;
pub mod rewrite;

pub use binding::{Binding, BindingError, Ends, Patch};
pub use checksum::ChecksumField;
