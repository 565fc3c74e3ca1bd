//! The NAT half of FTP: endpoints in the notations of [`super::notation`].
//!
//! | announcement | notation | example |
//! |---|---|---|
//! | `PORT`, 227 | `h1,h2,h3,h4,p1,p2` | `203,0,113,7,131,46` |
//! | `EPRT` | `<d>1<d>address<d>port<d>`, `<d>2<d>…`; the delimiter stays | `\|2\|2001:db8::7\|33582\|` |
//! | 229 | the port alone | `33582` |
//! | `LPRT`, 228 | `4,4,h1,…,h4,2,p1,p2`, `6,16,h1,…,h16,2,p1,p2` | `4,4,203,0,113,7,2,131,46` |
//!
//! IPv6 addresses are written with all eight groups and their leading zeros, as Linux does it.

use super::notation;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use pinhole_helper::{Field, NatHelper, Unencodable};

/// The NAT half of [`super::Ftp`].
#[derive(Clone, Copy, Debug, Default)]
pub struct FtpNat;

impl NatHelper for FtpNat {
    fn name(&self) -> &'static str {
        "ftp"
    }

    fn encode(
        &self,
        field: Field,
        endpoint: SocketAddr,
        old: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Unencodable> {
        let [high, low] = endpoint.port().to_be_bytes();
        match (field, endpoint.ip()) {
            (notation::OCTETS, IpAddr::V4(address)) => octets(out, &[&address.octets(), &[high, low]]),
            (notation::OCTETS, IpAddr::V6(_)) => return Err(Unencodable::AddressFamily),
            (notation::LONG, IpAddr::V4(address)) => {
                octets(out, &[&[4, 4], &address.octets(), &[2, high, low]]);
            }
            (notation::LONG, IpAddr::V6(address)) => {
                octets(out, &[&[6, 16], &address.octets(), &[2, high, low]]);
            }
            (notation::EXTENDED, address) => extended(out, address, endpoint.port(), old),
            (notation::PORT, _) => text(out, format_args!("{}", endpoint.port())),
            _ => return Err(Unencodable::Notation),
        }
        Ok(())
    }
}

/// Appends text.
fn text(out: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    struct Text<'a>(&'a mut Vec<u8>);

    impl fmt::Write for Text<'_> {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0.extend_from_slice(text.as_bytes());
            Ok(())
        }
    }

    // Writing into memory does not fail.
    let _ = fmt::write(&mut Text(out), text);
}

/// Decimal octets separated by commas.
fn octets(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for (index, octet) in parts.iter().copied().flatten().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        text(out, format_args!("{comma}{octet}"));
    }
}

/// RFC 2428 §2. The delimiter in use stays, unless the address would hold it. All groups of an IPv6 address are written out, as the kernel does it.
fn extended(out: &mut Vec<u8>, address: IpAddr, port: u16, old: &[u8]) {
    let usual = b'|';
    let may_stay = |d: u8| d.is_ascii_graphic() && !d.is_ascii_hexdigit() && d != b'.' && d != b':';
    let delimiter = char::from(old.first().copied().filter(|&d| may_stay(d)).unwrap_or(usual));
    match address {
        IpAddr::V4(address) => text(out, format_args!("{delimiter}1{delimiter}{address}")),
        IpAddr::V6(address) => {
            text(out, format_args!("{delimiter}2{delimiter}"));
            for (index, group) in address.segments().into_iter().enumerate() {
                let colon = if index == 0 { "" } else { ":" };
                text(out, format_args!("{colon}{group:04x}"));
            }
        }
    }
    text(out, format_args!("{delimiter}{port}{delimiter}"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ftp::parse;

    fn encode(field: Field, endpoint: &str, old: &str) -> Result<String, Unencodable> {
        let mut out = b">".to_vec();
        let endpoint = endpoint.parse().expect("an endpoint");
        let result = FtpNat.encode(field, endpoint, old.as_bytes(), &mut out);
        let text = String::from_utf8(out).expect("ASCII").split_off(1);
        assert!(result.is_ok() || text.is_empty());
        result.map(|()| text)
    }

    #[test]
    fn texts_of_the_kernel() {
        let port = encode(notation::OCTETS, "203.0.113.7:33582", "141,142,220,235,131,46");
        assert_eq!(port.as_deref(), Ok("203,0,113,7,131,46"));
        let passive = encode(notation::OCTETS, "203.0.113.7:56666", "199,233,217,249,221,90");
        assert_eq!(passive.as_deref(), Ok("203,0,113,7,221,90"));
        let eprt = encode(notation::EXTENDED, "203.0.113.7:33582", "|1|10.0.0.5|33582|");
        assert_eq!(eprt.as_deref(), Ok("|1|203.0.113.7|33582|"));
        assert_eq!(encode(notation::PORT, "203.0.113.7:1024", "33582").as_deref(), Ok("1024"));
    }

    #[test]
    fn other_notations() {
        let long = encode(notation::LONG, "203.0.113.7:33582", "4,4,10,0,0,5,2,131,46");
        assert_eq!(long.as_deref(), Ok("4,4,203,0,113,7,2,131,46"));
        let long = encode(notation::LONG, "[2001:db8::7]:258", "");
        assert_eq!(long.as_deref(), Ok("6,16,32,1,13,184,0,0,0,0,0,0,0,0,0,0,0,7,2,1,2"));
        let extended = |old| encode(notation::EXTENDED, "[2001:db8::7]:33582", old);
        assert_eq!(
            extended("!2!fd00::5!33582!").as_deref(),
            Ok("!2!2001:0db8:0000:0000:0000:0000:0000:0007!33582!")
        );
        assert_eq!(
            extended("g2gfd00::5g33582g").as_deref(),
            Ok("g2g2001:0db8:0000:0000:0000:0000:0000:0007g33582g")
        );
        assert_eq!(
            extended("b1b10.0.0.5b33582b").as_deref(),
            Ok("|2|2001:0db8:0000:0000:0000:0000:0000:0007|33582|")
        );
        assert_eq!(extended("").as_deref(), Ok("|2|2001:0db8:0000:0000:0000:0000:0000:0007|33582|"));
    }

    #[test]
    fn what_cannot_be_written() {
        assert_eq!(encode(notation::OCTETS, "[2001:db8::7]:1", ""), Err(Unencodable::AddressFamily));
        assert_eq!(encode(Field::Address(0), "203.0.113.7:1", ""), Err(Unencodable::Notation));
        assert_eq!(encode(Field::Endpoint(9), "203.0.113.7:1", ""), Err(Unencodable::Notation));
    }

    #[test]
    fn the_conntrack_half_reads_what_is_written() {
        for endpoint in ["203.0.113.7:33582", "255.255.255.255:65535", "[2001:db8::7]:33582"] {
            let expected: SocketAddr = endpoint.parse().expect("an endpoint");
            let read = |announced: parse::Announced| (announced.address, announced.port);
            let expected = (Some(expected.ip()), expected.port());
            let extended = encode(notation::EXTENDED, endpoint, "|").expect("encodable");
            assert_eq!(parse::extended_port_argument(extended.as_bytes(), 0).map(read), Ok(expected));
            let long = encode(notation::LONG, endpoint, "").expect("encodable");
            assert_eq!(parse::long_port_argument(long.as_bytes(), 0).map(read), Ok(expected));
            if let Ok(octets) = encode(notation::OCTETS, endpoint, "") {
                assert_eq!(parse::port_argument(octets.as_bytes(), 0).map(read), Ok(expected));
            }
        }
    }
}
