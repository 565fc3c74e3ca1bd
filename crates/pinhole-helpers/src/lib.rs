//! Protocol helpers for pinhole: one module per protocol, a cargo feature each.
//!
//! Every helper reads its control connection from byte 0, in order, and announces the connections that the two ends agree on; see
//! [`pinhole_helper`] for the contract. Each directory looks the same: `mod.rs` (what it is, its description), `parse.rs` (the
//! grammar), `session.rs` (the dialogue), `nat.rs` (the NAT half), `tests.rs`.
#![forbid(unsafe_code)]
// The helpers that exist as modules, too, do without the standard library.
#![cfg_attr(not(any(feature = "std", test)), no_std)]

#[cfg_attr(
    not(feature = "default"),
    allow(unused_extern_crates, reason = "a build may lack the helpers that use it")
)]
extern crate alloc;

#[cfg(feature = "amanda")]
pub mod amanda;
#[cfg_attr(not(feature = "default"), allow(dead_code, reason = "a build may lack the helpers that use it"))]
mod binary;
#[cfg_attr(not(feature = "default"), allow(dead_code, reason = "a build may lack the helpers that use it"))]
mod broadcast;
#[cfg_attr(not(feature = "default"), allow(dead_code, reason = "a build may lack the helpers that use it"))]
mod datagram;
#[cfg(feature = "ftp")]
pub mod ftp;
#[cfg(feature = "h323")]
pub mod h323;
#[cfg(feature = "icq")]
pub mod icq;
#[cfg(feature = "irc")]
pub mod irc;
#[cfg(feature = "netbios-ns")]
pub mod netbios_ns;
#[cfg_attr(not(feature = "default"), allow(dead_code, reason = "a build may lack the helpers that use it"))]
mod number;
#[cfg_attr(not(feature = "default"), allow(dead_code, reason = "a build may lack the helpers that use it"))]
mod opening;
#[cfg(feature = "oscar")]
pub mod oscar;
#[cfg(feature = "pptp")]
pub mod pptp;
#[cfg(feature = "rtsp")]
pub mod rtsp;
#[cfg(feature = "sane")]
pub mod sane;
#[cfg(feature = "sip")]
pub mod sip;
#[cfg(feature = "snmp")]
pub mod snmp;
#[cfg(feature = "talk")]
pub mod talk;
#[cfg(any(feature = "rtsp", feature = "sip"))]
#[cfg_attr(not(feature = "default"), allow(dead_code, reason = "a build may lack the helpers that use it"))]
mod text_message;
#[cfg(feature = "tftp")]
pub mod tftp;

#[cfg(test)]
#[cfg_attr(not(feature = "default"), allow(dead_code, reason = "a build may lack the helpers that use it"))]
mod transcript;

#[cfg_attr(
    not(feature = "default"),
    allow(unused_imports, reason = "a build may lack the helpers that use it")
)]
use pinhole_helper::endpoint;
use pinhole_helper::{NatHelper, Registry};

/// All helpers that this build contains.
pub fn registry() -> Registry {
    #[allow(unused_mut, reason = "a build may contain no helper")]
    let mut registry = Registry::new();
    #[cfg(feature = "ftp")]
    registry.add(ftp::Ftp);
    #[cfg(feature = "irc")]
    registry.add(irc::Irc);
    #[cfg(feature = "sip")]
    registry.add(sip::Sip);
    #[cfg(feature = "rtsp")]
    registry.add(rtsp::Rtsp);
    #[cfg(feature = "talk")]
    registry.add(talk::Talk);
    #[cfg(feature = "icq")]
    registry.add(icq::Icq);
    #[cfg(feature = "oscar")]
    registry.add(oscar::Oscar);
    #[cfg(feature = "h323")]
    {
        registry.add(h323::Ras);
        registry.add(h323::Q931);
        registry.add(h323::H245);
    }
    #[cfg(feature = "tftp")]
    registry.add(tftp::Tftp);
    #[cfg(feature = "pptp")]
    registry.add(pptp::Pptp);
    #[cfg(feature = "amanda")]
    registry.add(amanda::Amanda);
    #[cfg(feature = "sane")]
    registry.add(sane::Sane);
    #[cfg(feature = "netbios-ns")]
    registry.add(netbios_ns::NetbiosNs);
    #[cfg(feature = "snmp")]
    registry.add(snmp::Snmp);
    registry
}

/// The NAT halves that this build contains. A host may do without any of them: the conns are tracked then, and the payload is left alone.
pub fn nat_helpers() -> &'static [&'static dyn NatHelper] {
    &[
        #[cfg(feature = "ftp")]
        &ftp::FtpNat,
        #[cfg(feature = "irc")]
        &irc::IrcNat,
        #[cfg(feature = "sip")]
        &sip::SipNat,
        #[cfg(feature = "rtsp")]
        &rtsp::RtspNat,
        #[cfg(feature = "talk")]
        &talk::TalkNat,
        #[cfg(feature = "icq")]
        &icq::IcqNat,
        #[cfg(feature = "oscar")]
        &oscar::OscarNat,
        #[cfg(feature = "h323")]
        &h323::H323Nat::RAS,
        #[cfg(feature = "h323")]
        &h323::H323Nat::Q931,
        #[cfg(feature = "h323")]
        &h323::H323Nat::H245,
        #[cfg(feature = "tftp")]
        &tftp::TftpNat,
        #[cfg(feature = "pptp")]
        &pptp::PptpNat,
        #[cfg(feature = "amanda")]
        &amanda::AmandaNat,
        #[cfg(feature = "sane")]
        &sane::SaneNat,
        #[cfg(feature = "snmp")]
        &snmp::SnmpNat,
    ]
}
