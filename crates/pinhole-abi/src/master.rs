//! What `pinhole_attach` finds in the input area, and endpoints.

use crate::bytes::{address, byte, family, put, read_address, short};
use core::net::SocketAddr;
use pinhole_helper::{Master, MediaSource, Policy};
use pinhole_wire::{IpVersion, Protocol};

/// Bytes of master and policy.
pub const SIZE: usize = 88;
/// Bytes of an endpoint.
pub const ENDPOINT: usize = 20;

const THIRD_PARTY: u16 = 1;
const WAIT_FOR_ANSWER: u16 = 2;
const ANY_CALLER: u16 = 4;

/// Writes master and policy.
pub fn write(master: &Master, policy: &Policy) -> [u8; SIZE] {
    let mut out = [0; SIZE];
    let flag = |set: bool, bit: u16| if set { bit } else { 0 };
    let flags = flag(policy.third_party, THIRD_PARTY)
        | flag(policy.wait_for_answer, WAIT_FOR_ANSWER)
        | flag(policy.any_caller, ANY_CALLER);
    let media = match policy.media_source {
        MediaSource::Signalling => 0,
        MediaSource::Announced => 1,
        MediaSource::Anyone => 2,
    };
    put(&mut out, 0, &[master.version as u8, master.protocol.0]);
    put(&mut out, 2, &flags.to_le_bytes());
    put(&mut out, 4, &policy.lowest_port.to_le_bytes());
    put(&mut out, 6, &[media]);
    let ends = [master.original.0, master.original.1, master.reply.0, master.reply.1];
    for (index, end) in ends.into_iter().enumerate() {
        put(&mut out, 8 + index * ENDPOINT, &endpoint(end));
    }
    out
}

/// Reads master and policy; `None` if they are not as [`write()`] writes them.
pub fn read(bytes: &[u8]) -> Option<(Master, Policy)> {
    let bytes = bytes.get(..SIZE)?;
    let version = match byte(bytes, 0) {
        4 => IpVersion::V4,
        6 => IpVersion::V6,
        _ => return None,
    };
    let flags = short(bytes, 2);
    let end = |index: usize| read_endpoint(bytes.get(8 + index * ENDPOINT..)?);
    let master = Master {
        version,
        protocol: Protocol(byte(bytes, 1)),
        original: (end(0)?, end(1)?),
        reply: (end(2)?, end(3)?),
    };
    let policy = Policy {
        lowest_port: short(bytes, 4),
        third_party: flags & THIRD_PARTY != 0,
        wait_for_answer: flags & WAIT_FOR_ANSWER != 0,
        media_source: match byte(bytes, 6) {
            0 => MediaSource::Signalling,
            1 => MediaSource::Announced,
            2 => MediaSource::Anyone,
            _ => return None,
        },
        any_caller: flags & ANY_CALLER != 0,
        introductions: false,
    };
    Some((master, policy))
}

/// Writes an endpoint.
pub fn endpoint(end: SocketAddr) -> [u8; ENDPOINT] {
    let mut out = [0; ENDPOINT];
    put(&mut out, 0, &address(end.ip()));
    put(&mut out, 16, &end.port().to_le_bytes());
    put(&mut out, 18, &[family(end.ip())]);
    out
}

/// Reads an endpoint.
pub fn read_endpoint(bytes: &[u8]) -> Option<SocketAddr> {
    let bytes = bytes.get(..ENDPOINT)?;
    Some(SocketAddr::new(read_address(bytes, 0, byte(bytes, 18))?, short(bytes, 16)))
}
