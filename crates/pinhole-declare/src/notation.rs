//! How protocols write addresses and ports: reading them, and writing others in the same notation.
//!
//! | field | is |
//! |---|---|
//! | `{address}` | an IPv4 address in dotted form, or an IPv6 address: `10.0.0.1`, `2001:db8::1` |
//! | `{address:decimal}` | an IPv4 address as one decimal number: `167772161` |
//! | `{address:comma}` | an IPv4 address as four decimal numbers: `10,0,0,1` |
//! | `{address:hex}` | an IPv4 address as eight hexadecimal digits: `0a000001` |
//! | `{address:be32}`, `{address:le32}` | an IPv4 address in four bytes, most or least significant byte first |
//! | `{address:be128}` | an IPv6 address in sixteen bytes |
//! | `{port}` | a decimal number: `50000` |
//! | `{port:comma}` | high and low byte as two decimal numbers: `195,80` |
//! | `{port:hex}` | four hexadecimal digits: `c350` |
//! | `{port:be16}`, `{port:le16}`, `{port:be32}`, `{port:le32}` | in two or four bytes, most or least significant byte first |

use pinhole_helper::{Field, Refusal, Unencodable};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A notation of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressNotation {
    /// Dotted IPv4, or IPv6.
    Text,
    /// IPv4 as one decimal number.
    Decimal,
    /// IPv4 as four decimal numbers with commas between.
    Comma,
    /// IPv4 as eight hexadecimal digits.
    Hex,
    /// IPv4, most significant byte first.
    Big,
    /// IPv4, least significant byte first.
    Little,
    /// IPv6 in sixteen bytes.
    Six,
}

/// A notation of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortNotation {
    /// Decimal.
    Decimal,
    /// Two decimal numbers with a comma between: high byte, low byte.
    Comma,
    /// Four hexadecimal digits.
    Hex,
    /// Two bytes, most significant first.
    Big,
    /// Two bytes, least significant first.
    Little,
    /// Four bytes, most significant first.
    Big32,
    /// Four bytes, least significant first.
    Little32,
}

impl AddressNotation {
    /// All, by the names that templates call them.
    pub const ALL: [(&'static str, Self); 7] = [
        ("text", Self::Text),
        ("decimal", Self::Decimal),
        ("comma", Self::Comma),
        ("hex", Self::Hex),
        ("be32", Self::Big),
        ("le32", Self::Little),
        ("be128", Self::Six),
    ];

    /// How the NAT half is told of it.
    pub fn field(self) -> Field {
        Field::Address(self as u8)
    }

    /// How many bytes at the beginning of `rest` have the shape of it, if any; `stop` is the byte that follows in the template. Whether they
    /// are an address is for [`Self::read`] to say.
    pub(crate) fn extent(self, rest: &[u8], stop: Option<u8>) -> Option<usize> {
        match self {
            Self::Text => some(run(rest, |byte| {
                Some(byte) != stop && (byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':'))
            })),
            Self::Decimal => some(run(rest, |byte| byte.is_ascii_digit())),
            Self::Comma => numbers(rest, 4),
            Self::Hex => hex(rest, 8),
            Self::Big | Self::Little => fixed(rest, 4),
            Self::Six => fixed(rest, 16),
        }
    }

    /// Understands what has the shape of it.
    ///
    /// # Errors
    /// It is no address, or none that there can be.
    pub fn read(self, bytes: &[u8]) -> Result<IpAddr, Refusal> {
        let four = |bytes: Option<[u8; 4]>| bytes.map(|bytes| IpAddr::V4(bytes.into()));
        let address = match self {
            Self::Text => str::from_utf8(bytes).ok().and_then(|text| text.parse().ok()),
            Self::Decimal => decimal(bytes, 10)
                .and_then(|number| u32::try_from(number).ok())
                .map(|number| IpAddr::V4(Ipv4Addr::from_bits(number))),
            Self::Comma => four(octets(bytes)),
            Self::Hex => hexadecimal(bytes).map(|number| IpAddr::V4(Ipv4Addr::from_bits(number))),
            Self::Big => four(bytes.try_into().ok()),
            Self::Little => {
                let little: Option<[u8; 4]> = bytes.try_into().ok();
                little.map(|bytes| IpAddr::V4(Ipv4Addr::from_bits(u32::from_le_bytes(bytes))))
            }
            Self::Six => <[u8; 16]>::try_from(bytes).ok().map(|bytes| IpAddr::V6(Ipv6Addr::from(bytes))),
        };
        address.ok_or(Refusal::BadNumber)
    }

    fn write(self, address: IpAddr, old: &[u8], out: &mut Vec<u8>) -> Result<(), Unencodable> {
        let address = match (self, address) {
            (Self::Text, address) => {
                // A reader of the one version need not understand the other.
                let was = self.read(old).map_err(|_| Unencodable::Notation)?;
                if was.is_ipv4() != address.is_ipv4() {
                    return Err(Unencodable::AddressFamily);
                }
                print(out, format_args!("{address}"));
                return Ok(());
            }
            (Self::Six, IpAddr::V6(address)) => {
                out.extend(address.octets());
                return Ok(());
            }
            (Self::Six, _) | (_, IpAddr::V6(_)) => return Err(Unencodable::AddressFamily),
            (_, IpAddr::V4(address)) => address,
        };
        let [a, b, c, d] = address.octets();
        match self {
            Self::Decimal => print(out, format_args!("{}", address.to_bits())),
            Self::Comma => print(out, format_args!("{a},{b},{c},{d}")),
            Self::Hex => print_hex(out, old, &[a, b, c, d]),
            Self::Little => out.extend([d, c, b, a]),
            Self::Big | Self::Text | Self::Six => out.extend([a, b, c, d]),
        }
        Ok(())
    }
}

impl PortNotation {
    /// All, by the names that templates call them.
    pub const ALL: [(&'static str, Self); 7] = [
        ("decimal", Self::Decimal),
        ("comma", Self::Comma),
        ("hex", Self::Hex),
        ("be16", Self::Big),
        ("le16", Self::Little),
        ("be32", Self::Big32),
        ("le32", Self::Little32),
    ];

    /// How the NAT half is told of it.
    pub fn field(self) -> Field {
        Field::Port(self as u8)
    }

    /// As [`AddressNotation::extent`].
    pub(crate) fn extent(self, rest: &[u8]) -> Option<usize> {
        match self {
            Self::Decimal => some(run(rest, |byte| byte.is_ascii_digit())),
            Self::Comma => numbers(rest, 2),
            Self::Hex => hex(rest, 4),
            Self::Big | Self::Little => fixed(rest, 2),
            Self::Big32 | Self::Little32 => fixed(rest, 4),
        }
    }

    /// Understands what has the shape of it. Zero passes.
    ///
    /// # Errors
    /// The number is out of range.
    pub fn read(self, bytes: &[u8]) -> Result<u16, Refusal> {
        let four = <[u8; 4]>::try_from(bytes).ok();
        let number = match self {
            Self::Decimal => decimal(bytes, 5),
            Self::Comma => octets(bytes).map(|bytes| u64::from(u16::from_be_bytes(bytes))),
            Self::Hex => hexadecimal(bytes).map(u64::from),
            Self::Big => <[u8; 2]>::try_from(bytes).ok().map(|bytes| u64::from(u16::from_be_bytes(bytes))),
            Self::Little => <[u8; 2]>::try_from(bytes).ok().map(|bytes| u64::from(u16::from_le_bytes(bytes))),
            Self::Big32 => four.map(|bytes| u64::from(u32::from_be_bytes(bytes))),
            Self::Little32 => four.map(|bytes| u64::from(u32::from_le_bytes(bytes))),
        };
        number.and_then(|number| u16::try_from(number).ok()).ok_or(Refusal::BadNumber)
    }

    fn write(self, port: u16, old: &[u8], out: &mut Vec<u8>) {
        let [high, low] = port.to_be_bytes();
        match self {
            Self::Decimal => print(out, format_args!("{port}")),
            Self::Comma => print(out, format_args!("{high},{low}")),
            Self::Hex => print_hex(out, old, &[high, low]),
            Self::Big => out.extend([high, low]),
            Self::Little => out.extend([low, high]),
            Self::Big32 => out.extend([0, 0, high, low]),
            Self::Little32 => out.extend([low, high, 0, 0]),
        }
    }
}

/// Writes an endpoint's address or port in a notation, in place of `old`.
///
/// # Errors
/// The notation is none of these, or has no room for such an address.
pub fn encode(field: Field, endpoint: SocketAddr, old: &[u8], out: &mut Vec<u8>) -> Result<(), Unencodable> {
    let address = AddressNotation::ALL.iter().find(|(_, notation)| notation.field() == field);
    let port = PortNotation::ALL.iter().find(|(_, notation)| notation.field() == field);
    match (address, port) {
        (Some((_, notation)), _) => notation.write(endpoint.ip(), old, out),
        (_, Some((_, notation))) => {
            notation.write(endpoint.port(), old, out);
            Ok(())
        }
        _ => Err(Unencodable::Notation),
    }
}

/// Length of the longest beginning of which every byte is of a kind.
pub(crate) fn run(bytes: &[u8], of: impl Fn(u8) -> bool) -> usize {
    bytes.iter().take_while(|&&byte| of(byte)).count()
}

fn some(length: usize) -> Option<usize> {
    (length > 0).then_some(length)
}

fn fixed(rest: &[u8], length: usize) -> Option<usize> {
    (rest.len() >= length).then_some(length)
}

fn hex(rest: &[u8], length: usize) -> Option<usize> {
    rest.get(..length)?.iter().all(u8::is_ascii_hexdigit).then_some(length)
}

/// So many decimal numbers with commas between.
fn numbers(rest: &[u8], count: usize) -> Option<usize> {
    let mut at = 0;
    for number in 0..count {
        if number > 0 {
            rest.get(at).filter(|&&byte| byte == b',')?;
            at += 1;
        }
        at += some(run(rest.get(at..)?, |byte| byte.is_ascii_digit()))?;
    }
    Some(at)
}

/// Digits only, never a sign, never more of them than that.
fn decimal(digits: &[u8], most: usize) -> Option<u64> {
    if digits.is_empty() || digits.len() > most {
        return None;
    }
    digits
        .iter()
        .try_fold(0u64, |value, &digit| digit.is_ascii_digit().then(|| value * 10 + u64::from(digit - b'0')))
}

fn octets<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut octets = [0; N];
    let mut numbers = text.split(|&byte| byte == b',');
    for octet in &mut octets {
        *octet = u8::try_from(decimal(numbers.next()?, 3)?).ok()?;
    }
    numbers.next().is_none().then_some(octets)
}

/// Up to eight hexadecimal digits.
fn hexadecimal(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > 8 {
        return None;
    }
    digits
        .iter()
        .try_fold(0u32, |value, &digit| char::from(digit).to_digit(16).map(|digit| value << 4 | digit))
}

fn print(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing into memory does not fail.
    drop(out.write_fmt(text));
}

/// In capitals if the old digits were.
fn print_hex(out: &mut Vec<u8>, old: &[u8], bytes: &[u8]) {
    let capitals = old.iter().any(u8::is_ascii_uppercase);
    for byte in bytes {
        if capitals {
            print(out, format_args!("{byte:02X}"));
        } else {
            print(out, format_args!("{byte:02x}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn notations_as_protocols_write_them() {
        let address = |notation: AddressNotation, bytes: &[u8]| {
            assert_eq!(notation.extent(bytes, None), Some(bytes.len()), "{notation:?}");
            notation.read(bytes).map(|address| address.to_string())
        };
        for (notation, bytes) in [
            (AddressNotation::Text, &b"10.0.0.1"[..]),
            (AddressNotation::Decimal, b"167772161"),
            (AddressNotation::Comma, b"10,0,0,1"),
            (AddressNotation::Hex, b"0A000001"),
            (AddressNotation::Big, b"\x0a\0\0\x01"),
            (AddressNotation::Little, b"\x01\0\0\x0a"),
        ] {
            assert_eq!(address(notation, bytes).as_deref(), Ok("10.0.0.1"), "{notation:?}");
        }
        assert_eq!(address(AddressNotation::Text, b"2001:db8::1").as_deref(), Ok("2001:db8::1"));
        for (notation, bytes) in [
            (PortNotation::Decimal, &b"50000"[..]),
            (PortNotation::Comma, b"195,80"),
            (PortNotation::Hex, b"c350"),
            (PortNotation::Big, b"\xc3\x50"),
            (PortNotation::Little, b"\x50\xc3"),
            (PortNotation::Big32, b"\0\0\xc3\x50"),
            (PortNotation::Little32, b"\x50\xc3\0\0"),
        ] {
            assert_eq!(notation.extent(bytes), Some(bytes.len()), "{notation:?}");
            assert_eq!(notation.read(bytes), Ok(50000), "{notation:?}");
        }
    }

    #[test]
    fn numbers_do_not_wrap() {
        for bytes in [&b"256,0,0,1"[..], b"0010,0,0,1", b"10,0,0,1000"] {
            assert_eq!(AddressNotation::Comma.read(bytes), Err(Refusal::BadNumber));
        }
        assert_eq!(AddressNotation::Decimal.read(b"4294967296"), Err(Refusal::BadNumber));
        assert_eq!(AddressNotation::Decimal.read(b"99999999999999999999999"), Err(Refusal::BadNumber));
        assert_eq!(AddressNotation::Text.read(b"10.0.0.256"), Err(Refusal::BadNumber));
        for bytes in [&b"65536"[..], b"115536", b"000080"] {
            assert_eq!(PortNotation::Decimal.read(bytes), Err(Refusal::BadNumber));
        }
        assert_eq!(PortNotation::Comma.read(b"256,22"), Err(Refusal::BadNumber));
        assert_eq!(PortNotation::Big32.read(b"\0\x01\0\x50"), Err(Refusal::BadNumber));
        assert_eq!(PortNotation::Little32.read(b"\x50\0\x01\0"), Err(Refusal::BadNumber));
    }

    #[test]
    fn what_has_no_room_is_not_written() {
        let mut out = Vec::new();
        let six = "[2001:db8::1]:1".parse().unwrap();
        for (name, notation) in AddressNotation::ALL {
            let old: &[u8] = if notation == AddressNotation::Six { &[0; 16] } else { b"10.0.0.1" };
            let end = if notation == AddressNotation::Six { "1.2.3.4:1".parse().unwrap() } else { six };
            assert_eq!(
                encode(notation.field(), end, old, &mut out),
                Err(Unencodable::AddressFamily),
                "{name}"
            );
        }
        assert_eq!(encode(Field::Endpoint(0), six, b"", &mut out), Err(Unencodable::Notation));
        assert_eq!(encode(Field::Port(7), six, b"", &mut out), Err(Unencodable::Notation));
        assert!(out.is_empty());
    }

    proptest! {
        /// What is written is read again as what it was, whatever stood there before, and fills its shape.
        #[test]
        fn round_trip(four: u32, six: u128, port: u16, was: u32, capitals: bool) {
            for (name, notation) in AddressNotation::ALL {
                let address = |four: u32| match notation {
                    AddressNotation::Six => IpAddr::V6(six.into()),
                    _ => IpAddr::V4(four.into()),
                };
                let mut old = Vec::new();
                let first = AddressNotation::Text.write(address(was), address(was).to_string().as_bytes(), &mut old);
                prop_assert_eq!(first, Ok(()));
                if capitals && notation == AddressNotation::Hex {
                    old = b"ABCDEF00".to_vec();
                }
                let mut out = Vec::new();
                prop_assert_eq!(encode(notation.field(), SocketAddr::new(address(four), port), &old, &mut out), Ok(()));
                prop_assert_eq!(notation.extent(&out, None), Some(out.len()), "{}", name);
                prop_assert_eq!(notation.read(&out), Ok(address(four)), "{}", name);
            }
            for (name, notation) in PortNotation::ALL {
                let mut out = Vec::new();
                let endpoint = SocketAddr::new(IpAddr::V4(four.into()), port);
                prop_assert_eq!(encode(notation.field(), endpoint, b"ABCD", &mut out), Ok(()));
                prop_assert_eq!(notation.extent(&out), Some(out.len()), "{}", name);
                prop_assert_eq!(notation.read(&out), Ok(port), "{}", name);
            }
        }

        /// No bytes are too odd.
        #[test]
        fn any_bytes(bytes: Vec<u8>, stop: Option<u8>) {
            for (_, notation) in AddressNotation::ALL {
                let length = notation.extent(&bytes, stop).unwrap_or(0);
                let _ = notation.read(&bytes[..length]);
                let _ = notation.read(&bytes);
            }
            for (_, notation) in PortNotation::ALL {
                let length = notation.extent(&bytes).unwrap_or(0);
                let _ = notation.read(&bytes[..length]);
                let _ = notation.read(&bytes);
            }
        }
    }
}
