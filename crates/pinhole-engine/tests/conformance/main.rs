//! Conversations of every protocol, told once and held in every way: plain; each end, or both, behind NAT; over IPv4 and IPv6; whole, in
//! single bytes, out of order and twice.
//!
//! A conversation is a script ([`World`]). What an end says is a function of how that end sees the conn: its own address is its own, its peer's is
//! the one that it was given. That function is the whole test of a NAT half: **the receiver must read exactly what the sender would have said had
//! it had the address by which the receiver knows it**, to the byte, lengths, check codes and copies included. And what is announced
//! must come in as RELATED from who may use it, and come out at the announcer.
//!
//! Messages are built here, or by the encoders of the helpers' tests, and by nothing that the helpers are made of.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap is the test's message")]

#[path = "../messengers/frames.rs"]
mod frames;
mod h323;
mod messengers;
mod services;
mod sip;
mod streaming;
#[path = "../support/mod.rs"]
mod support;
mod world;

pub(crate) use world::{Host, View, World};
