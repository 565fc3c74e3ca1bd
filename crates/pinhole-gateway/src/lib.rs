//! The engine in the path of real traffic.
//!
//! ```text
//! port ─► Batch ─► link policy (ARP, ND, STP, …) ─► Engine ─► verdict ─┬─ accept ─► bridge: the other port; router: the next hop, or the host
//!                                                                     ├─ held ───► kept until its datagram is complete
//!                                                                     ├─ drop
//!                                                                     └─ reject ─► an answer, by the port it came from
//! ```
//!
//! * [`bridge`]: frames of one port are judged and sent on by the other, unchanged.
//! * [`router`]: datagrams are judged and sent on by the port to which the host's routes lead, or given to the host.
//! * [`datapath`]: either of them.
//! * [`observe`]: what they tell of their work.
//! * [`policy`]: what a bridge does with frames that rules have no words for.
//! * [`answer`]: what a sender is told whose packet was rejected or cannot be passed on.
//! * [`shards`]: several of them behind the same ports.
//! * `fragments`: frames that wait for the rest of their datagram.
//!
//! Nothing here waits or asks for the time: the caller has the clock, waits for ports to have frames, and calls [`Datapath::serve`] and
//! [`Datapath::advance`].
#![forbid(unsafe_code)]
#![cfg(target_os = "linux")]

mod allowance;
pub mod answer;
pub mod bridge;
pub mod datapath;
mod fragments;
mod frames;
pub mod observe;
pub mod policy;
pub mod router;
pub mod shards;
#[cfg(test)]
mod tests;

pub use bridge::Bridge;
pub use datapath::Datapath;
pub use frames::SIDE_SHIFT;
pub use observe::{Observer, PortStatistics, Statistics};
pub use policy::{LinkPolicy, Treatment};
pub use router::{Router, RouterSettings, SourceCheck};
