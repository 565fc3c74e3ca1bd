//! The parts of the conn table: where conns lie ([`slab`]), how they are found ([`index`]), when they end ([`wheel`]).
//!
//! They know nothing of packets; [`crate::tracker`] keeps them in step. A conn is in the slab from its first packet on, in the index
//! and in the wheel from its confirmation to its end.

mod chunks;
pub(crate) mod cold;
pub(crate) mod entry;
pub(crate) mod index;
pub(crate) mod slab;
#[cfg(test)]
mod tests;
pub(crate) mod wheel;
