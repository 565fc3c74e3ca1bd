//! What two ends say, as people write it.
//!
//! ```text
//! # An offer, and its answer.
//! conn tcp 10.0.0.1:40000 10.0.0.2:7788
//! known 203.0.113.1:40000
//! client RELAY/1 me\r\n
//! server RELAY/1 you\r\n
//! ```
//!
//! `conn` names the protocol and the ends of the control connection, the client first. `known` is the client's end as the server knows it,
//! where its address is translated. `policy` allows more than usual: `third-party`, `wait-for-answer`. What is said follows one blank and reaches to the end
//! of the line; `\r \n \t \0 \\ \xNN` are bytes. Over UDP each line is a datagram.

use pinhole_helper::{Master, Policy};
use pinhole_wire::{Direction, IpVersion, Protocol};
use std::net::SocketAddr;

/// A script.
#[derive(Clone, Debug)]
pub struct Script {
    /// The control connection.
    pub master: Master,
    /// What may be opened.
    pub policy: Policy,
    /// What is said, in turn.
    pub said: Vec<(Direction, Vec<u8>)>,
}

impl Script {
    /// Understands a script.
    ///
    /// # Errors
    /// A line is wrong; which, and why.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut ends: Option<(Protocol, SocketAddr, SocketAddr)> = None;
        let mut known = None;
        let mut policy = Policy::default();
        let mut said = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            let wrong = |what: &str| format!("line {number}: {what}");
            match word {
                "" | "#" => {}
                word if word.starts_with('#') => {}
                "conn" if ends.is_none() => {
                    ends = Some(conn(rest).ok_or_else(|| {
                        wrong("expected `conn tcp CLIENT SERVER`, or udp, as in `conn tcp 10.0.0.1:40000 10.0.0.2:21`")
                    })?);
                }
                "known" => {
                    known = Some(rest.parse().map_err(|_| wrong("expected `known ADDRESS:PORT`"))?);
                }
                "policy" => match rest {
                    "third-party" => policy.third_party = true,
                    "wait-for-answer" => policy.wait_for_answer = true,
                    _ => return Err(wrong("a policy is third-party or wait-for-answer")),
                },
                "client" => said.push((Direction::Original, bytes(rest).map_err(|what| wrong(&what))?)),
                "server" => said.push((Direction::Reply, bytes(rest).map_err(|what| wrong(&what))?)),
                _ => return Err(wrong("expected conn (once), known, policy, client or server")),
            }
        }
        let (protocol, client, server) = ends.ok_or("there is no `conn` line")?;
        let seen: SocketAddr = known.unwrap_or(client);
        if client.is_ipv4() != server.is_ipv4() || client.is_ipv4() != seen.is_ipv4() {
            return Err("the ends are of two IP versions".to_owned());
        }
        let version = if client.is_ipv4() { IpVersion::V4 } else { IpVersion::V6 };
        let master = Master { version, protocol, original: (client, server), reply: (server, seen) };
        Ok(Self { master, policy, said })
    }
}

fn conn(text: &str) -> Option<(Protocol, SocketAddr, SocketAddr)> {
    let mut words = text.split(' ');
    let protocol = match words.next()? {
        "tcp" => Protocol::TCP,
        "udp" => Protocol::UDP,
        _ => return None,
    };
    let ends = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    words.next().is_none().then_some((protocol, ends.0, ends.1))
}

/// What a text stands for.
fn bytes(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        bytes.extend(before.as_bytes());
        let hexadecimal = || escape.get(2..4).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let (byte, length) = match escape.as_bytes().get(1) {
            Some(b'r') => (b'\r', 2),
            Some(b'n') => (b'\n', 2),
            Some(b't') => (b'\t', 2),
            Some(b'0') => (0, 2),
            Some(b'\\') => (b'\\', 2),
            Some(b'x') => (hexadecimal().ok_or("`\\x` is followed by two hexadecimal digits")?, 4),
            _ => return Err("an unknown escape: there are \\r \\n \\t \\0 \\\\ and \\xNN".to_owned()),
        };
        bytes.push(byte);
        rest = escape.get(length..).unwrap_or_default();
    }
    bytes.extend(rest.as_bytes());
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_script() {
        let script = Script::parse(
            "# what it shows\n\nconn udp [2001:db8::1]:1 [2001:db8::2]:2\nknown [2001:db8::9]:3\npolicy third-party\n\
             client a b\\r\\n\nserver \\x00\\0\\t\\\\é\nclient\n",
        )
        .unwrap();
        assert_eq!(script.master.protocol, Protocol::UDP);
        assert_eq!(script.master.reply.1.to_string(), "[2001:db8::9]:3");
        assert!(script.policy.third_party);
        let expected: [(Direction, &[u8]); 3] = [
            (Direction::Original, b"a b\r\n"),
            (Direction::Reply, b"\0\0\t\\\xc3\xa9"),
            (Direction::Original, b""),
        ];
        assert!(script.said.iter().map(|(from, said)| (*from, said.as_slice())).eq(expected));
    }

    #[test]
    fn mistakes() {
        for (text, expected) in [
            ("", "there is no `conn` line"),
            ("client a\n", "there is no `conn` line"),
            ("conn tcp 10.0.0.1:1\n", "line 1: expected `conn"),
            ("conn tcp 10.0.0.1:1 10.0.0.2:2 x\n", "line 1: expected `conn"),
            ("conn tcp 10.0.0.1:1 [::2]:2\n", "two IP versions"),
            ("\nconn tcp 10.0.0.1:1 10.0.0.2:2\nhello\n", "line 3: expected conn"),
            ("conn tcp 10.0.0.1:1 10.0.0.2:2\nconn tcp 10.0.0.1:1 10.0.0.2:2\n", "line 2: expected conn"),
            ("client \\q\n", "line 1: an unknown escape"),
            ("client \\xé\n", "line 1: `\\x`"),
            ("policy all\n", "line 1: a policy is"),
            ("known here\n", "line 1: expected `known"),
        ] {
            let error = Script::parse(text).unwrap_err();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
    }
}
