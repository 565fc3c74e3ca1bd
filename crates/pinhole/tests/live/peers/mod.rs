//! Real clients and servers of the protocols beside FTP and IRC: each with the helper, without it, and without its NAT half.
//!
//! * `uses`: what all of them have in common.
//! * One module a protocol.

mod amanda;
mod broadcasts;
mod pptp;
mod rtsp;
mod sane;
mod sip;
mod sip_proxy;
mod talk;
mod tftp;
mod uses;
