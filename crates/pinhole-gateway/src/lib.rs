//! The engine in the path of real traffic.
//!
//! ```text
//! port ─► Batch ─► link policy (ARP, ND, STP, …) ─► Engine ─► verdict ─┬─ accept ─► the other port
//!                                                                     ├─ held ───► kept until its datagram is complete
//!                                                                     ├─ drop
//!                                                                     └─ reject ─► an answer, by the port it came from
//! ```
//!
//! * [`bridge`]: the loop body: frames of one port are judged and sent on by the other.
//! * [`policy`]: what becomes of frames that rules have no words for.
//! * [`answer`]: what a sender is told whose packet was rejected.
//! * `fragments`: frames that wait for the rest of their datagram.
//!
//! Nothing here waits or asks for the time: the caller has the clock, waits for ports to have frames, and calls [`Bridge::serve`] and
//! [`Bridge::advance`].
#![forbid(unsafe_code)]
#![cfg(target_os = "linux")]

pub mod answer;
pub mod bridge;
mod fragments;
pub mod policy;
#[cfg(test)]
mod tests;

pub use bridge::{Bridge, Observer, SIDE_SHIFT, Statistics};
pub use policy::{LinkPolicy, Treatment};
