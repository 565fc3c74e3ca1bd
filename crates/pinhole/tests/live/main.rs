//! Real clients and servers through the real binary: three network namespaces, a client, the gateway and a server.
//!
//! `cargo xtask test --only live`, or `cargo test -p pinhole --test live -- --ignored --test-threads 1` as root. What is missing for a test
//! is said, and the test does not pass by that: it ends with the word SKIPPED, which the stage counts.
//!
//! * `bench`: the namespaces, the gateway and its rules; `servers` and `ftp_clients`: what runs in them.
//! * `bridge`, `router`: what each mode promises.
//! * `operate`: what it tells, how it is confined, who may ask it.
//! * `restart`: what outlives the gateway's end.
//! * `faults`: bad wires, floods, frames that no host sends.
//! * `flowtable`: what the kernel carries by itself.
//! * `ftp`, `irc`: clients and servers in every topology, with and without the helper's two halves.
//! * `modules`: FTP by its modules, which are loaded and unloaded meanwhile.
//! * `service`: the systemd unit, under systemd.
//! * `shards`: several threads, each with an engine of its own.
//! * `others`: what the tests of other projects assert.
//! * `peers`: the other protocols.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a test fails by panicking")]

mod bench;
mod bridge;
mod faults;
mod flowtable;
mod ftp;
mod ftp_clients;
mod irc;
mod modules;
mod operate;
mod others;
mod peers;
mod restart;
mod router;
mod servers;
mod service;
mod shards;
