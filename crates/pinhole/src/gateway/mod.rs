//! `pinhole run`: a bridge or a router between interfaces, its control socket, and the loop that drives them.
//!
//! ```text
//! config ─► start: ruleset, privileges, ports, guard, socket ─► loop: ports ─► Datapath ─► Journal ◄─ control ◄─ clients
//! ```
//!
//! * [`config`]: `pinhole.toml` and the flags that override it.
//! * [`request`]: what can be asked over the control socket.
//! * `journal`: what is known of the traffic: a [`crate::replay::Report`] that forgets what is over.
//! * `control`: the socket and its clients; `answer`: what they are told.
//! * [`daemon`]: start, loop and stop; `links`: what is taken from the host for it, and given back.
//! * `shard`: one engine with its ports; `crew`: all of them; `worker`: the thread of one of several; `spread`: how frames come to them; `census`: what
//!   they have counted.
//! * `state`: the state file; `metrics`: counters by HTTP; `log`: what it writes; `notify`: what a service manager is told.
//! * [`client`]: the other end of the socket.

mod answer;
mod census;
pub mod client;
pub mod config;
mod control;
mod crew;
pub mod daemon;
mod faults;
mod journal;
mod links;
mod log;
mod metrics;
mod modules;
mod notify;
pub mod request;
mod shard;
mod spread;
mod state;
#[cfg(test)]
mod tests;
mod worker;
