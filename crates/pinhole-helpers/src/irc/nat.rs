//! The NAT half of IRC: the endpoint of a DCC offer in the notations of [`super::notation`].
//!
//! | notation | example |
//! |---|---|
//! | decimal: the IPv4 address as one number | `3405803783 59130` |
//! | text: dotted IPv4, or IPv6 | `2001:db8::7 59130` |
//!
//! One blank stands between address and port, as in every client's offers. A reverse offer (port 0) opens nothing and is not
//! rewritten; the answer to it is an offer like any other.

use super::notation;
use pinhole_helper::{Field, NatHelper, Unencodable};
use std::io::Write;
use std::net::{IpAddr, SocketAddr};

/// The NAT half of [`super::Irc`].
#[derive(Clone, Copy, Debug, Default)]
pub struct IrcNat;

impl NatHelper for IrcNat {
    fn name(&self) -> &'static str {
        "irc"
    }

    fn encode(
        &self,
        field: Field,
        endpoint: SocketAddr,
        _old: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Unencodable> {
        let port = endpoint.port();
        // Writing into memory does not fail.
        match (field, endpoint.ip()) {
            (notation::DECIMAL, IpAddr::V4(address)) => drop(write!(out, "{} {port}", address.to_bits())),
            (notation::DECIMAL, IpAddr::V6(_)) => return Err(Unencodable::AddressFamily),
            (notation::TEXT, address) => drop(write!(out, "{address} {port}")),
            _ => return Err(Unencodable::Notation),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::irc::parse;

    fn encode(field: Field, endpoint: &str) -> Result<String, Unencodable> {
        let mut out = Vec::new();
        let endpoint = endpoint.parse().expect("an endpoint");
        let result = IrcNat.encode(field, endpoint, b"167772167 59130", &mut out);
        result.map(|()| String::from_utf8(out).expect("ASCII"))
    }

    #[test]
    fn texts_of_the_kernel() {
        let decimal = encode(notation::DECIMAL, "203.0.113.7:59130");
        assert_eq!(decimal.as_deref(), Ok("3405803783 59130"));
    }

    #[test]
    fn other_notations() {
        assert_eq!(encode(notation::TEXT, "203.0.113.7:59130").as_deref(), Ok("203.0.113.7 59130"));
        assert_eq!(encode(notation::TEXT, "[2001:db8::7]:59130").as_deref(), Ok("2001:db8::7 59130"));
        assert_eq!(encode(notation::DECIMAL, "[2001:db8::7]:1"), Err(Unencodable::AddressFamily));
        assert_eq!(encode(Field::Port(0), "203.0.113.7:1"), Err(Unencodable::Notation));
    }

    #[test]
    fn the_conntrack_half_reads_what_is_written() {
        for (field, endpoint) in [
            (notation::DECIMAL, "203.0.113.7:59130"),
            (notation::DECIMAL, "0.0.0.1:65535"),
            (notation::TEXT, "203.0.113.7:59130"),
            (notation::TEXT, "[2001:db8::7]:59130"),
        ] {
            let chunk = format!("DCC CHAT chat {}", encode(field, endpoint).expect("encodable"));
            let offer =
                parse::offer(chunk.as_bytes(), 0..chunk.len()).expect("an offer").expect("well-formed");
            let offered = offer.read(chunk.as_bytes()).expect("an endpoint");
            let expected: SocketAddr = endpoint.parse().expect("an endpoint");
            assert_eq!((offered.address, offered.port), (expected.ip(), expected.port()));
            assert_eq!(offered.notation, field);
        }
    }
}
