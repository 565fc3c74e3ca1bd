//! The NAT half of SIP: endpoints in the notations of [`super::notation`].
//!
//! | place | notation | example |
//! |---|---|---|
//! | URIs, Via | `address:port`, the port always | `203.0.113.7:5060`, `[2001:db8::7]:5060` |
//! | `c=`, `o=`, `received`, `maddr` | the address, of the family that was there | `203.0.113.7` |
//! | `m=`, `a=rtcp:`, `rport` | the port | `49170` |
//!
//! An end of the conn that is not translated stays as it stands, without a port if it has none. Content-Length is written by whoever edits the body.

use super::notation;
use pinhole_helper::{Field, NatHelper, Unencodable};
use std::io::Write;
use std::net::{IpAddr, SocketAddr};

/// The NAT half of [`super::Sip`].
#[derive(Clone, Copy, Debug, Default)]
pub struct SipNat;

impl NatHelper for SipNat {
    fn name(&self) -> &'static str {
        "sip"
    }

    fn encode(
        &self,
        field: Field,
        endpoint: SocketAddr,
        old: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Unencodable> {
        // Writing into memory does not fail.
        match field {
            notation::HOST_PORT => drop(write!(out, "{endpoint}")),
            notation::PORT => drop(write!(out, "{}", endpoint.port())),
            notation::ADDRESS => match endpoint.ip() {
                // The line or parameter says which family it is; another one would contradict it.
                ip if old.contains(&b':') != ip.is_ipv6() => return Err(Unencodable::AddressFamily),
                IpAddr::V6(ip) if old.starts_with(b"[") => drop(write!(out, "[{ip}]")),
                ip => drop(write!(out, "{ip}")),
            },
            _ => return Err(Unencodable::Notation),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(field: Field, endpoint: &str, old: &str) -> Result<String, Unencodable> {
        let mut out = Vec::new();
        let result = SipNat.encode(field, endpoint.parse().expect("an endpoint"), old.as_bytes(), &mut out);
        let text = String::from_utf8(out).expect("text");
        assert!(result.is_ok() || text.is_empty());
        result.map(|()| text)
    }

    #[test]
    fn notations() {
        let own = "203.0.113.7:5062";
        let six = "[2001:db8::7]:5062";
        assert_eq!(encode(notation::HOST_PORT, own, "10.0.0.1").as_deref(), Ok(own));
        assert_eq!(encode(notation::HOST_PORT, six, "[fd00::1]:5060").as_deref(), Ok(six));
        assert_eq!(encode(notation::ADDRESS, own, "10.0.0.1").as_deref(), Ok("203.0.113.7"));
        assert_eq!(encode(notation::ADDRESS, six, "fd00::1").as_deref(), Ok("2001:db8::7"));
        assert_eq!(encode(notation::ADDRESS, six, "[fd00::1]").as_deref(), Ok("[2001:db8::7]"));
        assert_eq!(encode(notation::PORT, own, "30000").as_deref(), Ok("5062"));
    }

    #[test]
    fn what_cannot_be_written() {
        assert_eq!(encode(notation::ADDRESS, "[2001:db8::7]:1", "10.0.0.1"), Err(Unencodable::AddressFamily));
        assert_eq!(encode(notation::ADDRESS, "203.0.113.7:1", "fd00::1"), Err(Unencodable::AddressFamily));
        assert_eq!(encode(Field::Endpoint(9), "203.0.113.7:1", ""), Err(Unencodable::Notation));
    }
}
