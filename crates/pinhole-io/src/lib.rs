//! Where packets come from and go to: the only crate of the workspace that does I/O on them.
//!
//! * [`capture`]: reading pcap, pcapng and snoop files (plain or gzip), merging several by time, writing pcapng.
//! * `kernel` (feature `kernel`, Linux): the running kernel's conntrack as an oracle for the same packets.
//!
//! `unsafe` is confined to two modules of `kernel`, one system call each.
#![cfg_attr(not(feature = "kernel"), forbid(unsafe_code))]
#![deny(unsafe_code)]

pub mod capture;
#[cfg(all(feature = "kernel", target_os = "linux"))]
pub mod kernel;
