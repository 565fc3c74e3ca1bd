//! Live traffic: ports that frames come in by and go out of.
//!
//! A [`Port`] receives frames into a [`Batch`] and sends frames out of one; nothing is copied between the two ports of a gateway.
//! Segmentation superframes and unfinished checksums stay as they are: [`Offload`] goes with each frame.
//!
//! * [`packet`]: a network interface, through `AF_PACKET`.
//! * [`fanout`]: several ports of one interface, among which the kernel spreads what comes in.
//! * [`memory`]: two ends in memory, for tests.
//! * [`fault`] and [`record`]: decorators that lose, delay, duplicate and corrupt frames, or write them to a capture.
//! * [`flowtable`]: flows that the kernel carries by itself.
//! * [`guard`]: keeps the host's own stack away from the interfaces that a gateway owns.
//! * [`host`]: the way between a router and its host's own stack.
//! * [`rtnetlink`]: what the kernel knows of interfaces, addresses, routes and neighbours.
//! * [`privilege`]: what a gateway needs of root, and how it gives up the rest.

mod batch;
pub mod confine;
pub mod fanout;
pub mod fault;
pub mod flowtable;
pub mod guard;
pub mod host;
pub mod memory;
mod offload;
pub mod packet;
mod peer;
mod port;
pub mod privilege;
pub mod record;
pub mod rtnetlink;
mod system;
pub mod terminal;
#[cfg(test)]
mod tests;

pub use batch::{Batch, Buffer, LONGEST};
pub use offload::Offload;
pub use packet::PacketPort;
pub use peer::{own_user, peer_user};
pub use port::{Interest, Port, wait};
