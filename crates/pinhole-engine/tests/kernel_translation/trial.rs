//! Trials: who is behind the router, on which side, the conns that they have, and whether what left was alike.

use super::address;
use super::judges::{Judge, Kernel, Pinhole, cannot_ask};
use super::support::conversation::{Dice, Segment, repair_header, tcp, udp};
use pinhole_track::State;
use pinhole_wire::{Direction, Packet, TcpFlags, Transport};
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::thread;

/// Who is behind the router.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    pub(crate) is_v6: bool,
    pub(crate) hides_client: bool,
    pub(crate) hides_server: bool,
}

impl Setting {
    /// How many there are.
    pub(crate) const COUNT: u64 = 8;

    /// IPv4 first; of each version the client is hidden, then the server, both, and neither.
    pub(crate) const fn of(number: u64) -> Self {
        let hidden = number % 4;
        Self {
            is_v6: number / 4 % 2 == 1,
            hides_client: matches!(hidden, 0 | 2),
            hides_server: matches!(hidden, 1 | 2),
        }
    }

    /// The address that the hidden end is known by.
    pub(crate) fn outer(self, of: &str) -> IpAddr {
        let text = match (self.is_v6, of) {
            (false, "client") => "203.0.113.7",
            (false, _) => "203.0.113.9",
            (true, "client") => "2001:db8:ffff::7",
            (true, _) => "2001:db8:ffff:0:1::9",
        };
        text.parse().unwrap()
    }

    /// The server, and where clients find it.
    pub(crate) fn server(self, port: u16) -> (SocketAddr, SocketAddr) {
        let server = address(self.is_v6, "server", 2, port.into());
        let called = if self.hides_server { SocketAddr::new(self.outer("server"), port) } else { server };
        (server, called)
    }

    fn ruleset(self, helpers: &str) -> String {
        let family = if self.is_v6 { "ip6" } else { "ip" };
        let inside = if self.is_v6 { "fd00::/16" } else { "10.0.0.0/8" };
        let (mut pre, mut post) = (String::new(), String::new());
        if self.hides_client {
            post = format!("{family} saddr {inside} snat to {};", self.outer("client"));
        }
        if self.hides_server {
            let server = self.server(0).0.ip();
            pre = format!("{family} daddr {} dnat to {server};", self.outer("server"));
        }
        format!(
            "{helpers}
            table {family} nat {{
                chain pre {{ type nat hook prerouting priority dstnat; {pre} }}
                chain post {{ type nat hook postrouting priority srcnat; {post} }}
            }}"
        )
    }
}

/// Chains that attach the kernel's helpers to servers' ports: helper, transport, port, and whether it is of IPv4 only.
pub(crate) fn attached(helpers: &[(&str, &str, u16, bool)]) -> String {
    let mut text = String::new();
    for family in ["ip", "ip6"] {
        let (mut objects, mut rules) = (String::new(), String::new());
        for (helper, transport, port, is_v4_only) in helpers {
            if family == "ip" || !is_v4_only {
                let name = format!("{helper}-{transport}");
                let _ = writeln!(objects, "ct helper {name} {{ type \"{helper}\" protocol {transport}; }}");
                let _ = writeln!(rules, "{transport} dport {port} ct helper set \"{name}\"");
            }
        }
        let chain = format!("chain pre {{ type filter hook prerouting priority mangle;\n{rules} }}");
        let _ = writeln!(text, "table {family} reading {{\n{objects}{chain}\n}}");
    }
    text
}

/// Both judges, and what they disagreed about.
pub(crate) struct Trial<'a> {
    pub(crate) judges: [&'a mut dyn Judge; 2],
    pub(crate) setting: Setting,
    text: String,
    alike: usize,
    different: usize,
}

/// Differences that are shown of one trial.
const SHOWN: usize = 5;

impl Trial<'_> {
    /// What left, if both judges say the same.
    pub(crate) fn same(&mut self, what: &str, left: [Left; 2]) -> Left {
        if left[0] != left[1] {
            self.different += 1;
            if self.different <= SHOWN {
                let [kernel, pinhole] = left.each_ref().map(|left| words(left.as_ref()));
                let _ = writeln!(self.text, "  {what}:\n    kernel  {kernel}\n    pinhole {pinhole}");
            }
            return None;
        }
        self.alike += usize::from(left[0].is_some());
        let [left, _] = left;
        left
    }

    /// A segment of one end over each judge's conn.
    pub(crate) fn segment(
        &mut self,
        what: &str,
        conns: &mut [Conn; 2],
        from: usize,
        flags: TcpFlags,
        payload: &[u8],
    ) -> Left {
        let left = std::array::from_fn(|judge| conns[judge].send(self.judges[judge], from, flags, payload));
        self.same(what, left)
    }

    /// A whole message of one end over each judge's conn, acknowledged. Returns it as it is read.
    pub(crate) fn tell(
        &mut self,
        what: &str,
        conns: &mut [Conn; 2],
        from: usize,
        message: &[u8],
    ) -> Option<Vec<u8>> {
        let left = self.segment(what, conns, from, TcpFlags::ACK | TcpFlags::PSH, message)?.datagram;
        self.segment(&format!("{what}, acknowledged"), conns, 1 - from, TcpFlags::ACK, b"")?;
        Some(Packet::parse(&left, 0).unwrap().payload_bytes(&left).to_vec())
    }

    /// A UDP datagram. Returns where it seems to come from, and what it holds then.
    pub(crate) fn datagram(
        &mut self,
        what: &str,
        source: SocketAddr,
        destination: SocketAddr,
        payload: &[u8],
    ) -> Option<(SocketAddr, Vec<u8>)> {
        let datagram = udp(source, destination, payload);
        let left = std::array::from_fn(|judge| Passed::of(self.judges[judge], &datagram));
        let what = format!("{what}, {source} > {destination} \"{}\"", payload.escape_ascii());
        let left = self.same(&what, left)?.datagram;
        let packet = Packet::parse(&left, 0).unwrap();
        let seen = SocketAddr::new(packet.source.ip(packet.version), packet.source_port().unwrap());
        Some((seen, packet.payload_bytes(&left).to_vec()))
    }

    /// A handshake.
    pub(crate) fn open(&mut self, what: &str, mut conns: [Conn; 2]) -> Option<[Conn; 2]> {
        let (syn, ack) = (TcpFlags::SYN, TcpFlags::ACK);
        for (from, flags) in [(0, syn), (1, syn | ack), (0, ack)] {
            self.segment(what, &mut conns, from, flags, b"")?;
        }
        Some(conns)
    }
}

/// Runs a trial in each setting that is asked for, with other chances in each; fails if anything differs. `PINHOLE_SEED` makes other chances.
pub(crate) fn compare(
    name: &str,
    settings: impl Iterator<Item = u64>,
    helpers: &str,
    run: impl Fn(u64, &mut Trial<'_>, &mut Dice) + Sync,
) {
    let seed: u64 = std::env::var("PINHOLE_SEED").map_or(0, |seed| seed.parse().unwrap());
    let (mut bad, mut datagrams) = (String::new(), 0);
    for number in settings {
        let setting = Setting::of(number);
        let compare = || {
            let ruleset = setting.ruleset(helpers);
            match Kernel::start(&ruleset) {
                Ok(mut kernel) => {
                    let judges: [&mut dyn Judge; 2] = [&mut kernel, &mut Pinhole::start(&ruleset)];
                    let mut trial = Trial { judges, setting, text: String::new(), alike: 0, different: 0 };
                    run(number, &mut trial, &mut Dice(seed << 8 | number));
                    Ok((trial.text, trial.alike))
                }
                Err(error) if cannot_ask(&error) => Err(error.to_string()),
                Err(error) => panic!("{setting:?}: {error}"),
            }
        };
        match thread::scope(|scope| scope.spawn(compare).join()).unwrap() {
            Ok((differences, count)) => {
                datagrams += count;
                if !differences.is_empty() {
                    let _ = writeln!(bad, "{number}, {setting:?}:\n{differences}");
                }
            }
            Err(why) => return eprintln!("SKIPPED {name} behind the kernel: {why}"),
        }
    }
    eprintln!("{name}: {datagrams} datagrams alike");
    assert!(bad.is_empty(), "\n{bad}");
}

/// One end of a connection, as it knows itself.
#[derive(Clone, Copy)]
pub(crate) struct End {
    pub(crate) own: SocketAddr,
    pub(crate) peer: SocketAddr,
    /// Of its own next byte, and of the peer's.
    next: u32,
    heard: u32,
}

/// A connection: who opened it, and who was called.
#[derive(Clone, Copy)]
pub(crate) struct Conn {
    pub(crate) ends: [End; 2],
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
        let Transport::Tcp(header) = packet.transport else { panic!("not TCP") };
        let receiver = &mut self.ends[1 - from];
        receiver.peer = SocketAddr::new(packet.source.ip(packet.version), header.source_port);
        let length = packet.payload_bytes(left).len() as u32 + u32::from(flags.contains(TcpFlags::SYN));
        receiver.heard = header.sequence.wrapping_add(length);
        Some(passed)
    }

    /// The last bytes of one end, again.
    pub(crate) fn send_again(&mut self, judge: &mut dyn Judge, from: usize, payload: &[u8]) -> Left {
        self.ends[from].next = self.ends[from].next.wrapping_sub(payload.len() as u32);
        self.send(judge, from, TcpFlags::ACK | TcpFlags::PSH, payload)
    }
}

fn words(left: Option<&Passed>) -> String {
    let Some(Passed { datagram, state }) = left else { return "nothing".to_owned() };
    let packet = Packet::parse(datagram, 0).unwrap();
    let numbers = match packet.transport {
        Transport::Tcp(tcp) => format!(" {} ack {}", tcp.sequence, tcp.acknowledgement),
        _ => String::new(),
    };
    format!(
        "{state:?} {}:{} > {}:{}{numbers} {:?}",
        packet.source.ip(packet.version),
        packet.source_port().unwrap(),
        packet.destination.ip(packet.version),
        packet.destination_port().unwrap(),
        packet.payload_bytes(datagram).escape_ascii().to_string(),
    )
}
