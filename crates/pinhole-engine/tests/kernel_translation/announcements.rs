//! FTP and IRC sessions by chance, behind the running kernel and behind pinhole: every datagram leaves both alike, to the byte. FTP's are over IPv4 and
//! IPv6, for IRC the kernel has no helper over IPv6.
//!
//! A session has two ends for each judge, which know only what reaches them: addresses, numbers, and what the other one announced. One side
//! sends a whole line in one segment, now and then again, and the other acknowledges it. Whoever was told of an endpoint connects to it.

use super::address;
use super::support::conversation::Dice;
use super::trial::{Conn, Setting, Trial, attached, compare};
use pinhole_wire::{Packet, TcpFlags};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Sessions of one comparison, and lines of one.
const SESSIONS: usize = 12;
const LINES: usize = 24;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Ftp,
    Irc,
}

impl Protocol {
    const fn port(self) -> u16 {
        match self {
            Self::Ftp => 21,
            Self::Irc => 6667,
        }
    }

    /// No side's first line is read by the kernel's FTP helper.
    const fn opening(self) -> &'static [(usize, &'static str)] {
        match self {
            Self::Ftp => &[(1, "220 ready\r\n"), (0, "USER anonymous\r\n"), (1, "230 welcome\r\n")],
            Self::Irc => &[(0, "NICK alice\r\n"), (1, ":irc 001 alice :Welcome\r\n")],
        }
    }
}

/// What one side says next, and who connects to what was announced.
struct Line {
    from: usize,
    text: String,
    announces: bool,
}

fn lines(dice: &mut Dice, protocol: Protocol, client: IpAddr, server: IpAddr, port: u16) -> Vec<Line> {
    let line = |from, text: String, announces| Line { from, text: text + "\r\n", announces };
    if protocol == Protocol::Irc {
        let IpAddr::V4(client) = client else { panic!("IRC is compared over IPv4") };
        let offer = match dice.below(5) {
            0 => format!("CHAT chat {} {port}", client.to_bits()),
            1 => format!("SEND file.txt {} {port} 4711", client.to_bits()),
            2 => format!("MOVE file.txt {} {port} 4711", client.to_bits()),
            3 => {
                return vec![line(
                    1,
                    format!(":bob PRIVMSG alice :{}", "hello ".repeat(dice.below(9))),
                    false,
                )];
            }
            _ => return vec![line(0, format!("PING {}", "x".repeat(1 + dice.below(30))), false)],
        };
        return vec![line(0, format!("PRIVMSG bob :\u{1}DCC {offer}\u{1}"), true)];
    }
    let numbers = |ip: IpAddr| {
        let ip = ip.to_string().replace('.', ",");
        format!("{ip},{},{}", port >> 8, port & 255)
    };
    let family = if client.is_ipv6() { 2 } else { 1 };
    let answer = |dice: &mut Dice| line(1, format!("200 {}", "fine ".repeat(dice.below(12))), false);
    match dice.below(7) {
        0 | 1 if !client.is_ipv6() => {
            vec![line(0, format!("PORT {}", numbers(client)), true), answer(dice)]
        }
        2 if !client.is_ipv6() => vec![
            line(0, "PASV".to_owned(), false),
            line(1, format!("227 Entering Passive Mode ({}).", numbers(server)), true),
        ],
        0..3 => vec![line(0, format!("EPRT |{family}|{client}|{port}|"), true), answer(dice)],
        3 => vec![line(0, format!("eprt |{family}|{client}|{port}|"), true), answer(dice)],
        4 | 5 => vec![
            line(0, "EPSV".to_owned(), false),
            line(1, format!("229 Entering Extended Passive Mode (|||{port}|)"), true),
        ],
        _ => vec![line(0, format!("RETR {}", "file".repeat(1 + dice.below(12))), false), answer(dice)],
    }
}

/// The endpoint that a line announces, as the one who reads it understands it; `None`: it is the announcer's address.
fn announced(line: &[u8]) -> (Option<IpAddr>, u16) {
    let text = std::str::from_utf8(line).unwrap();
    if let Some((_, rest)) = text.split_once("(|||") {
        return (None, rest.split_once('|').unwrap().0.parse().unwrap());
    }
    if let Some((_, offer)) = text.split_once("DCC ") {
        let last = offer.trim_end_matches(['\u{1}', '\r', '\n']);
        let numbers: Vec<u32> = last.rsplit(' ').map_while(|word| word.parse().ok()).collect();
        // A size may follow.
        let [.., port, address] = numbers[..] else { panic!("{text}") };
        return (Some(Ipv4Addr::from(address).into()), port as u16);
    }
    if let Some((_, rest)) = text.split_once(" |") {
        let fields: Vec<&str> = rest.split('|').collect();
        return (Some(fields[1].parse().unwrap()), fields[2].parse().unwrap());
    }
    let numbers: Vec<u8> = text
        .split(|c: char| !c.is_ascii_digit())
        .filter(|digits| !digits.is_empty())
        .filter_map(|digits| digits.parse().ok())
        .collect();
    let [.., a, b, c, d, high, low] = numbers[..] else { panic!("{text}") };
    (Some([a, b, c, d].into()), u16::from(high) << 8 | u16::from(low))
}

#[test]
fn sessions_by_chance() {
    let helpers = attached(&[("ftp", "tcp", 21, false), ("irc", "tcp", 6667, true)]);
    // IRC's are the last.
    let settings = 0..Setting::COUNT + Setting::COUNT / 2;
    compare("sessions", settings, &helpers, |number, trial, dice| {
        let protocol = if number < Setting::COUNT { Protocol::Ftp } else { Protocol::Irc };
        for session in 0..SESSIONS {
            run(trial, protocol, session, dice);
        }
    });
}

/// One session with each judge, until they differ in what matters to the rest.
fn run(trial: &mut Trial<'_>, protocol: Protocol, session: usize, dice: &mut Dice) -> Option<()> {
    let (ack, push) = (TcpFlags::ACK, TcpFlags::ACK | TcpFlags::PSH);
    let client = address(trial.setting.is_v6, "client", 5 + session % 4, 30_000 + session);
    let (server, called) = trial.setting.server(protocol.port());
    let conn = Conn::new(client, called, server, 1_000_000 * session as u32);
    let mut controls = trial.open("handshake", [conn; 2])?;
    for &(from, text) in protocol.opening() {
        trial.segment(text, &mut controls, from, push, text.as_bytes())?;
    }
    for number in 0..LINES {
        let port = 20_000 + (session * LINES + number) as u16;
        for line in lines(dice, protocol, client.ip(), server.ip(), port) {
            let (what, bytes) = (line.text.trim_end(), line.text.as_bytes());
            let heard = trial.segment(what, &mut controls, line.from, push, bytes)?.datagram;
            if dice.one_in(4) {
                let again = std::array::from_fn(|judge| {
                    controls[judge].send_again(trial.judges[judge], line.from, bytes)
                });
                trial.same(&format!("{what}, again"), again)?;
            }
            trial.segment(&format!("{what}, acknowledged"), &mut controls, 1 - line.from, ack, b"")?;
            if !line.announces {
                continue;
            }
            // The reader connects to where it was told.
            let (ip, announced) = announced(Packet::parse(&heard, 0).unwrap().payload_bytes(&heard));
            let reader = controls[0].ends[1 - line.from];
            let own = match (protocol, line.from) {
                (Protocol::Irc, _) => SocketAddr::new(server.ip(), 40_000 + number as u16),
                (Protocol::Ftp, 0) => SocketAddr::new(reader.own.ip(), 20),
                (Protocol::Ftp, _) => SocketAddr::new(reader.own.ip(), 40_000 + number as u16),
            };
            let called = SocketAddr::new(ip.unwrap_or(reader.peer.ip()), announced);
            let listens = SocketAddr::new(controls[0].ends[line.from].own.ip(), port);
            let data = Conn::new(own, called, listens, 77 * number as u32);
            let mut data = trial.open(&format!("{what}, data"), [data; 2])?;
            trial.segment(&format!("{what}, data"), &mut data, 1, push, b"data")?;
        }
    }
    Some(())
}
