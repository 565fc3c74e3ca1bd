//! Where packets come from and go to: the only crate of the workspace that does I/O on them.
//!
//! * [`capture`]: reading pcap, pcapng and snoop files (plain or gzip), merging several by time, writing pcapng.
//! * `live` (feature `live`, Linux): network interfaces as ports of a gateway.
//! * `kernel` (feature `kernel`, Linux): the running kernel's conntrack as an oracle for the same packets.
//!
//! `unsafe` is confined to two modules of `kernel` and one of `live`, which are nothing but system calls.
#![cfg_attr(not(any(feature = "kernel", feature = "live")), forbid(unsafe_code))]
#![deny(unsafe_code)]

pub mod capture;
#[cfg(all(feature = "kernel", target_os = "linux"))]
pub mod kernel;
#[cfg(all(feature = "live", target_os = "linux"))]
pub mod live;
#[cfg(all(any(feature = "kernel", feature = "live"), target_os = "linux"))]
mod netlink;
