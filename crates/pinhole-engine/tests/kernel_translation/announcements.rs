//! FTP and IRC sessions by chance, behind the running kernel and behind pinhole: every datagram leaves both alike, to the byte. FTP's are over IPv4 and
//! IPv6, for IRC the kernel has no helper over IPv6.
//!
//! A session has two ends for each judge, which know only what reaches them: addresses, numbers, and what the other one announced. One side
//! sends a whole line in one segment, now and then again, and the other acknowledges it. Whoever was told of an endpoint connects to it.

use super::address;
use super::judges::{Judge, Kernel, Pinhole, cannot_ask};
use super::support::conversation::{Dice, Segment, repair_header, tcp};
use pinhole_track::State;
use pinhole_wire::{Direction, Packet, Tcp, TcpFlags, Transport};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::thread;

/// Sessions of one comparison, and lines of one.
const SESSIONS: usize = 12;
const LINES: usize = 24;
/// Differences that are shown of one.
const SHOWN: usize = 4;

/// Who reads the connections, by the server's port.
const HELPERS: &str = "
    table ip reading {
        ct helper files { type \"ftp\" protocol tcp; }
        ct helper chat { type \"irc\" protocol tcp; }
        chain pre {
            type filter hook prerouting priority mangle;
            tcp dport 21 ct helper set \"files\"
            tcp dport 6667 ct helper set \"chat\"
        }
    }
    table ip6 reading {
        ct helper files { type \"ftp\" protocol tcp; }
        chain pre { type filter hook prerouting priority mangle; tcp dport 21 ct helper set \"files\"; }
    }";

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

/// Who is behind the router.
#[derive(Clone, Copy, Debug)]
struct Setting {
    protocol: Protocol,
    is_v6: bool,
    hides_client: bool,
    hides_server: bool,
}

impl Setting {
    /// The address that the hidden end is known by.
    fn outer(self, of: &str) -> IpAddr {
        let text = match (self.is_v6, of) {
            (false, "client") => "203.0.113.7",
            (false, _) => "203.0.113.9",
            (true, "client") => "2001:db8:ffff::7",
            (true, _) => "2001:db8:ffff:0:1::9",
        };
        text.parse().unwrap()
    }

    fn ruleset(self, server: IpAddr) -> String {
        let family = if self.is_v6 { "ip6" } else { "ip" };
        let inside = if self.is_v6 { "fd00::/16" } else { "10.0.0.0/8" };
        let (mut pre, mut post) = (String::new(), String::new());
        if self.hides_client {
            post = format!("{family} saddr {inside} snat to {};", self.outer("client"));
        }
        if self.hides_server {
            pre = format!("{family} daddr {} dnat to {server};", self.outer("server"));
        }
        format!(
            "{HELPERS}
            table {family} nat {{
                chain pre {{ type nat hook prerouting priority dstnat; {pre} }}
                chain post {{ type nat hook postrouting priority srcnat; {post} }}
            }}"
        )
    }
}

/// One end of a connection, as it knows itself.
#[derive(Clone, Copy)]
struct End {
    own: SocketAddr,
    peer: SocketAddr,
    /// Of its own next byte, and of the peer's.
    next: u32,
    heard: u32,
}

/// A connection: who opened it, and who was called.
#[derive(Clone, Copy)]
pub(crate) struct Conn {
    ends: [End; 2],
}

/// What a judge let leave, as [`common`] has it, and of what state and direction it was.
pub(crate) type Left = Option<Passed>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Passed {
    pub(crate) datagram: Vec<u8>,
    pub(crate) state: (Option<State>, Option<Direction>),
}

impl Passed {
    /// Has a judge look at a datagram.
    pub(crate) fn of(judge: &mut dyn Judge, datagram: &[u8]) -> Left {
        let left = judge.pass(datagram)?;
        Some(Self { datagram: common(&left), state: judge.state() })
    }
}

/// A datagram in a form that two routers have in common: the hop limit is of no account, and a TCP checksum of all ones says the same as zero
/// (`checksum-zero` in docs/divergences.md).
pub(crate) fn common(datagram: &[u8]) -> Vec<u8> {
    let mut common = datagram.to_vec();
    let is_v4 = common[0] >> 4 == 4;
    let hop_limit = if is_v4 { 8 } else { 7 };
    common[hop_limit] = 64;
    if is_v4 {
        repair_header(&mut common);
    }
    let packet = Packet::parse(&common, 0).unwrap();
    if let Transport::Tcp(_) = packet.transport {
        let at = packet.transport_offset as usize + 16;
        let sum = common.get_mut(at..at + 2).unwrap();
        if *sum == [0xff; 2] {
            sum.fill(0);
        }
    }
    common
}

impl Conn {
    pub(crate) fn new(caller: SocketAddr, called: SocketAddr, own: SocketAddr, number: u32) -> Self {
        let end = |own, peer, next| End { own, peer, next, heard: 0 };
        Self { ends: [end(caller, called, number), end(own, caller, !number)] }
    }

    /// Whom an end talks to.
    pub(crate) const fn peer(&self, end: usize) -> SocketAddr {
        self.ends[end].peer
    }

    /// One end sends; what left, and of what left the other end learns.
    pub(crate) fn send(
        &mut self,
        judge: &mut dyn Judge,
        from: usize,
        flags: TcpFlags,
        payload: &[u8],
    ) -> Left {
        let sender = &mut self.ends[from];
        let segment = Segment {
            flags,
            sequence: sender.next,
            acknowledgement: if flags.contains(TcpFlags::ACK) { sender.heard } else { 0 },
            hop_limit: 64,
            payload,
        };
        let datagram = tcp(sender.own, sender.peer, &segment);
        sender.next =
            sender.next.wrapping_add(payload.len() as u32 + u32::from(flags.contains(TcpFlags::SYN)));
        let passed = Passed::of(judge, &datagram)?;
        let left = &passed.datagram;
        let packet = Packet::parse(left, 0).unwrap();
        let header = tcp_header(&packet);
        let receiver = &mut self.ends[1 - from];
        receiver.peer = SocketAddr::new(packet.source.ip(packet.version), header.source_port);
        let length = packet.payload_bytes(left).len() as u32 + u32::from(flags.contains(TcpFlags::SYN));
        receiver.heard = header.sequence.wrapping_add(length);
        Some(passed)
    }

    /// The last bytes of one end, again.
    fn send_again(&mut self, judge: &mut dyn Judge, from: usize, payload: &[u8]) -> Left {
        self.ends[from].next = self.ends[from].next.wrapping_sub(payload.len() as u32);
        self.send(judge, from, TcpFlags::ACK | TcpFlags::PSH, payload)
    }
}

/// What one side says next, and who connects to what was announced.
struct Line {
    from: usize,
    text: String,
    announces: bool,
}

fn lines(dice: &mut Dice, setting: Setting, client: IpAddr, server: IpAddr, port: u16) -> Vec<Line> {
    let line = |from, text: String, announces| Line { from, text: text + "\r\n", announces };
    if setting.protocol == Protocol::Irc {
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
    let family = if setting.is_v6 { 2 } else { 1 };
    let answer = |dice: &mut Dice| line(1, format!("200 {}", "fine ".repeat(dice.below(12))), false);
    match dice.below(7) {
        0 | 1 if !setting.is_v6 => {
            vec![line(0, format!("PORT {}", numbers(client)), true), answer(dice)]
        }
        2 if !setting.is_v6 => vec![
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
    let seed: u64 = std::env::var("PINHOLE_SEED").map_or(0, |seed| seed.parse().unwrap());
    let (mut bad, mut datagrams) = (String::new(), 0);
    for number in 0..9 {
        let setting = Setting {
            protocol: if number < 6 { Protocol::Ftp } else { Protocol::Irc },
            is_v6: (3..6).contains(&number),
            hides_client: number % 3 != 1,
            hides_server: number % 3 != 0,
        };
        let compare = || {
            let server = address(setting.is_v6, "server", 2, 0);
            let ruleset = setting.ruleset(server.ip());
            match Kernel::start(&ruleset) {
                Ok(mut kernel) => {
                    let mut pinhole = Pinhole::start(&ruleset);
                    let mut text = String::new();
                    let mut dice = Dice(seed << 8 | number);
                    let mut count = 0;
                    for session in 0..SESSIONS {
                        let mut judges: [&mut dyn Judge; 2] = [&mut kernel, &mut pinhole];
                        count += run(&mut judges, setting, session, &mut dice, &mut text);
                    }
                    Ok((text, count))
                }
                Err(error) if cannot_ask(&error) => Err(error.to_string()),
                Err(error) => panic!("{setting:?}: {error}"),
            }
        };
        match thread::scope(|scope| scope.spawn(compare).join()).unwrap() {
            Ok((differences, count)) => {
                datagrams += count;
                if !differences.is_empty() {
                    let _ = writeln!(bad, "{setting:?}:\n{differences}");
                }
            }
            Err(why) => return eprintln!("SKIPPED announcements to the kernel: {why}"),
        }
    }
    eprintln!("{datagrams} datagrams alike");
    assert!(bad.is_empty(), "\n{bad}");
}

/// One session with each judge. Returns how many datagrams left both alike.
fn run(
    judges: &mut [&mut dyn Judge; 2],
    setting: Setting,
    session: usize,
    dice: &mut Dice,
    text: &mut String,
) -> usize {
    let client = address(setting.is_v6, "client", 5 + session % 4, 30_000 + session);
    let port = setting.protocol.port();
    let server = address(setting.is_v6, "server", 2, port.into());
    let called = if setting.hides_server { SocketAddr::new(setting.outer("server"), port) } else { server };
    let mut controls = [Conn::new(client, called, server, 1_000_000 * session as u32); 2];
    let (mut alike, mut shown) = (0, 0);
    let mut compare = |what: &str, left: [Left; 2]| {
        if left[0] == left[1] {
            alike += usize::from(left[0].is_some());
        } else {
            shown += 1;
            if shown <= SHOWN {
                let [kernel, pinhole] = left.each_ref().map(|left| words(left.as_ref()));
                let _ = writeln!(
                    text,
                    "  session {session}, {what}:\n    kernel  {kernel}\n    pinhole {pinhole}"
                );
            }
        }
        left.iter().all(Option::is_some)
    };
    let both =
        |judges: &mut [&mut dyn Judge; 2], conns: &mut [Conn; 2], from, flags, payload: &[u8]| -> [Left; 2] {
            std::array::from_fn(|judge| conns[judge].send(judges[judge], from, flags, payload))
        };
    let (syn, ack, push) = (TcpFlags::SYN, TcpFlags::ACK, TcpFlags::ACK | TcpFlags::PSH);
    for (from, flags) in [(0, syn), (1, syn | ack), (0, ack)] {
        if !compare("handshake", both(judges, &mut controls, from, flags, b"")) {
            return 0;
        }
    }
    for &(from, text) in setting.protocol.opening() {
        compare(text, both(judges, &mut controls, from, push, text.as_bytes()));
    }
    for number in 0..LINES {
        let port = 20_000 + (session * LINES + number) as u16;
        for line in lines(dice, setting, client.ip(), server.ip(), port) {
            let what = line.text.trim_end();
            let bytes = line.text.as_bytes();
            let left = both(judges, &mut controls, line.from, push, bytes);
            let heard = left.each_ref().map(|left| {
                let bytes = &left.as_ref()?.datagram;
                Some(Packet::parse(bytes, 0).unwrap().payload_bytes(bytes).to_vec())
            });
            if !compare(what, left) {
                return 0;
            }
            if dice.one_in(4) {
                let again =
                    std::array::from_fn(|judge| controls[judge].send_again(judges[judge], line.from, bytes));
                compare(&format!("{what}, again"), again);
            }
            compare(&format!("{what}, acknowledged"), both(judges, &mut controls, 1 - line.from, ack, b""));
            if !line.announces {
                continue;
            }
            // The reader connects to where it was told.
            let reader = 1 - line.from;
            let mut data: [Conn; 2] = std::array::from_fn(|judge| {
                let (ip, announced) = announced(heard[judge].as_deref().unwrap());
                let end = controls[judge].ends[reader];
                let own = match (setting.protocol, reader) {
                    (Protocol::Irc, _) => SocketAddr::new(server.ip(), 40_000 + number as u16),
                    (Protocol::Ftp, 0) => SocketAddr::new(end.own.ip(), 40_000 + number as u16),
                    (Protocol::Ftp, _) => SocketAddr::new(end.own.ip(), 20),
                };
                let called = SocketAddr::new(ip.unwrap_or(end.peer.ip()), announced);
                let listens = SocketAddr::new(controls[judge].ends[line.from].own.ip(), port);
                Conn::new(own, called, listens, 77 * number as u32)
            });
            for (from, flags, payload) in
                [(0, syn, ""), (1, syn | ack, ""), (0, ack, ""), (line.from, push, "data")]
            {
                let from = if payload.is_empty() { from } else { 1 };
                if !compare(
                    &format!("{what}, data"),
                    both(judges, &mut data, from, flags, payload.as_bytes()),
                ) {
                    break;
                }
            }
        }
    }
    alike
}

fn words(left: Option<&Passed>) -> String {
    let Some(Passed { datagram: left, state }) = left else { return "nothing".to_owned() };
    let packet = Packet::parse(left, 0).unwrap();
    let header = tcp_header(&packet);
    format!(
        "{state:?} {}:{} > {}:{} {} ack {} {:?}",
        packet.source.ip(packet.version),
        header.source_port,
        packet.destination.ip(packet.version),
        header.destination_port,
        header.sequence,
        header.acknowledgement,
        String::from_utf8_lossy(packet.payload_bytes(left)),
    )
}

fn tcp_header(packet: &Packet) -> Tcp {
    let Transport::Tcp(header) = packet.transport else { panic!("not TCP") };
    header
}
