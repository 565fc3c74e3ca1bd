//! The end that a refused announcement was about, read from its quoted bytes.
//!
//! A refusal keeps the announcing bytes only, because much of what is refused is refused for making no sense. To tell "the connection that
//! was dropped in frame 14 is the one whose announcement was refused in frame 10", its notation is guessed here. The guess is shown to a
//! reader; nothing is decided by it.

use std::net::{IpAddr, Ipv4Addr};

/// An announced port, and the address if one was found with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced {
    /// The address; `None`: the announcement held none (EPSV), or none that could be read.
    pub address: Option<IpAddr>,
    /// The port.
    pub port: u16,
}

impl Announced {
    /// Whether the announcement may have been about this end.
    pub fn covers(&self, address: IpAddr, port: u16) -> bool {
        self.port == port && self.address.is_none_or(|a| a == address)
    }
}

/// Reads `h1,h2,h3,h4,p1,p2` (RFC 959), `|1|address|port|` (RFC 2428), and IRC's `address port`.
pub fn announced(quote: &[u8]) -> Option<Announced> {
    let text = String::from_utf8_lossy(quote);
    commas(&text).or_else(|| delimited(&text)).or_else(|| words(&text))
}

fn commas(text: &str) -> Option<Announced> {
    let list =
        text.split(|c: char| !c.is_ascii_digit() && c != ',').find(|part| part.matches(',').count() == 5)?;
    let mut numbers = [0u8; 6];
    let mut parts = list.split(',');
    for number in &mut numbers {
        *number = parts.next()?.parse().ok()?;
    }
    let [a, b, c, d, high, low] = numbers;
    let address = IpAddr::V4(Ipv4Addr::new(a, b, c, d));
    Some(Announced { address: Some(address), port: u16::from_be_bytes([high, low]) })
}

fn delimited(text: &str) -> Option<Announced> {
    let start = text.find('|')?;
    let mut parts = text.get(start + 1..)?.split('|');
    let (_protocol, address, port) = (parts.next()?, parts.next()?, parts.next()?);
    Some(Announced { address: address.parse().ok(), port: port.parse().ok()? })
}

fn words(text: &str) -> Option<Announced> {
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
    words.windows(2).find_map(|pair| {
        let &[address, port] = pair else { return None };
        let address = match address.parse::<u32>() {
            Ok(number) => IpAddr::V4(Ipv4Addr::from(number)),
            Err(_) => address.parse().ok()?,
        };
        Some(Announced { address: Some(address), port: port.parse().ok()? })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(Option<String>, u16)> {
        announced(text.as_bytes()).map(|a| (a.address.map(|ip| ip.to_string()), a.port))
    }

    #[test]
    fn every_notation_is_read() {
        let v4 = Some("10.0.0.2".to_owned());
        assert_eq!(read("PORT 10,0,0,2,195,101"), Some((v4.clone(), 50021)));
        assert_eq!(read("227 Entering Passive Mode (10,0,0,2,195,101)."), Some((v4.clone(), 50021)));
        assert_eq!(read("EPRT |2|2001:db8::1|5282|"), Some((Some("2001:db8::1".into()), 5282)));
        assert_eq!(read("229 Entering Extended Passive Mode (|||6446|)"), Some((None, 6446)));
        assert_eq!(read("\u{1}DCC SEND file.txt 167772162 5000 12\u{1}"), Some((v4, 5000)));
    }

    #[test]
    fn nonsense_is_not() {
        for text in ["", "PORT 10,0,1,2,256,22", "EPRT |2|x|y|", "PRIVMSG a :hello 12", "|"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
