//! The NAT half of RTSP: endpoints in the notations of [`super::notation`].
//!
//! | place | notation | example |
//! |---|---|---|
//! | `client_port`, `server_port` | a port | `4588` |
//! | `destination`, `source` | an address, of the family that was there | `203.0.113.7` |
//! | `dest_addr`, `src_addr` | `address:port`; the address stays out where it was | `203.0.113.7:4588`, `:4588` |

use super::notation;
use pinhole_helper::{Field, NatHelper, Unencodable};
use std::io::Write;
use std::net::SocketAddr;

/// The NAT half of [`super::Rtsp`].
#[derive(Clone, Copy, Debug, Default)]
pub struct RtspNat;

impl NatHelper for RtspNat {
    fn name(&self) -> &'static str {
        "rtsp"
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
            notation::PORT => drop(write!(out, "{}", endpoint.port())),
            notation::ENDPOINT if old.starts_with(b":") => drop(write!(out, ":{}", endpoint.port())),
            notation::ENDPOINT => drop(write!(out, "{endpoint}")),
            notation::ADDRESS if old.contains(&b':') != endpoint.is_ipv6() => {
                return Err(Unencodable::AddressFamily);
            }
            notation::ADDRESS if old.starts_with(b"\"") => drop(write!(out, "\"{}\"", endpoint.ip())),
            notation::ADDRESS => drop(write!(out, "{}", endpoint.ip())),
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
        let result = RtspNat.encode(field, endpoint.parse().expect("an endpoint"), old.as_bytes(), &mut out);
        let text = String::from_utf8(out).expect("text");
        assert!(result.is_ok() || text.is_empty());
        result.map(|()| text)
    }

    #[test]
    fn notations() {
        let own = "203.0.113.7:5062";
        assert_eq!(encode(notation::PORT, own, "4588").as_deref(), Ok("5062"));
        assert_eq!(encode(notation::ENDPOINT, own, ":4588").as_deref(), Ok(":5062"));
        assert_eq!(encode(notation::ENDPOINT, own, "10.0.0.1:4588").as_deref(), Ok(own));
        let six = "[2001:db8::7]:5062";
        assert_eq!(encode(notation::ENDPOINT, six, "[fd00::1]:4588").as_deref(), Ok(six));
        assert_eq!(encode(notation::ADDRESS, own, "10.0.0.1").as_deref(), Ok("203.0.113.7"));
        assert_eq!(encode(notation::ADDRESS, six, "\"fd00::1\"").as_deref(), Ok("\"2001:db8::7\""));
        assert_eq!(encode(notation::ADDRESS, six, "10.0.0.1"), Err(Unencodable::AddressFamily));
        assert_eq!(encode(Field::Port(7), own, "1"), Err(Unencodable::Notation));
    }
}
