//! Where packets come from and go to: the only crate of the workspace that does I/O on them.
//!
//! * [`capture`]: reading pcap, pcapng and snoop files (plain or gzip), merging several by time, writing pcapng.
#![forbid(unsafe_code)]

pub mod capture;
