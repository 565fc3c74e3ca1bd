//! SIP calls by chance, over IPv4 and IPv6, UDP and TCP, behind the running kernel and behind pinhole: what a telephone sends, and what is sent to it, leaves both
//! alike, to the byte, and so does the media.
//!
//! Two telephones call each other, register and ask. Each answers what reached it, and sends its media to where it was told. Texts keep away from
//! what docs/divergences.md names.

use super::address;
use super::announcements::{Conn, Left, Passed};
use super::judges::{Judge, Kernel, Pinhole, cannot_ask};
use super::support::conversation::{Dice, udp};
use pinhole_wire::{Packet, TcpFlags, Transport};
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::thread;

/// Telephones, and what each does.
const SESSIONS: usize = 16;
const DEEDS: usize = 6;
const SHOWN: usize = 4;
const PORT: u16 = 5060;

const HELPERS: &str = "
    table ip reading {
        ct helper calls { type \"sip\" protocol udp; }
        ct helper lines { type \"sip\" protocol tcp; }
        chain pre {
            type filter hook prerouting priority mangle;
            udp dport 5060 ct helper set \"calls\"
            tcp dport 5060 ct helper set \"lines\"
        }
    }
    table ip6 reading {
        ct helper calls { type \"sip\" protocol udp; }
        ct helper lines { type \"sip\" protocol tcp; }
        chain pre {
            type filter hook prerouting priority mangle;
            udp dport 5060 ct helper set \"calls\"
            tcp dport 5060 ct helper set \"lines\"
        }
    }";

#[derive(Clone, Copy, Debug)]
struct Setting {
    is_tcp: bool,
    is_v6: bool,
    hides_client: bool,
    hides_server: bool,
}

impl Setting {
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

/// A telephone: where it is, and where it believes the other one to be.
#[derive(Clone, Copy)]
struct Phone {
    own: SocketAddr,
    peer: SocketAddr,
    media: u16,
    is_tcp: bool,
}

/// As it stands in a URI.
fn host(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

fn description(phone: Phone, dice: &mut Dice) -> String {
    let family = if phone.own.is_ipv4() { "IP4" } else { "IP6" };
    let ip = phone.own.ip();
    let mut text = format!("v=0\r\no=- 1 1 IN {family} {ip}\r\ns=call\r\n");
    let is_of_session = dice.one_in(2);
    if is_of_session {
        let _ = write!(text, "c=IN {family} {ip}\r\n");
    }
    text += "t=0 0\r\n";
    for (kind, port) in
        [("audio", phone.media), ("video", phone.media + 2)].into_iter().take(1 + dice.below(2))
    {
        let _ = write!(text, "m={kind} {port} RTP/AVP 0 8\r\n");
        if !is_of_session {
            let _ = write!(text, "c=IN {family} {ip}\r\n");
        }
        let _ = write!(text, "a=sendrecv\r\n");
    }
    text
}

/// Names of header fields, short or long.
fn name(dice: &mut Dice, long: &'static str, short: &'static str) -> &'static str {
    if dice.one_in(4) { short } else { long }
}

struct Call {
    id: String,
    number: u32,
}

fn request(phone: Phone, method: &str, call: &Call, body: Option<&str>, dice: &mut Dice) -> String {
    let (own, peer) = (host(phone.own.ip()), host(phone.peer.ip()));
    let Call { id, number } = call;
    let rport = if dice.one_in(2) { ";rport" } else { "" };
    let port = |dice: &mut Dice, port: u16| {
        if dice.one_in(3) && port == PORT { String::new() } else { format!(":{port}") }
    };
    let (own_port, peer_port) = (port(dice, phone.own.port()), port(dice, phone.peer.port()));
    let uri = if method == "REGISTER" { format!("sip:{peer}") } else { format!("sip:bob@{peer}{peer_port}") };
    let mut text = format!("{method} {uri} SIP/2.0\r\n");
    let _ = write!(
        text,
        "{}: SIP/2.0/{} {own}{own_port};branch=z9hG4bK{number}{method}{rport}\r\n",
        name(dice, "Via", "v"),
        if phone.is_tcp { "TCP" } else { "UDP" },
    );
    let _ = write!(text, "Max-Forwards: 70\r\n");
    let called = ["<sip:bob@", "\"Bob, at <home>\" <sip:bob@", "Bob <sip:"][dice.below(3)];
    let _ = write!(text, "{}: <sip:alice@{own}>;tag=a{number}\r\n", name(dice, "From", "f"));
    let _ = write!(text, "{}: {called}{peer}>\r\n", name(dice, "To", "t"));
    let _ = write!(text, "{}: {id}\r\n", name(dice, "Call-ID", "i"));
    let _ = write!(text, "CSeq: {number} {method}\r\n");
    if matches!(method, "INVITE" | "REGISTER") {
        let parameters = if method == "REGISTER" { ";expires=600" } else { "" };
        let _ = write!(text, "{}: <sip:alice@{own}{own_port}>{parameters}\r\n", name(dice, "Contact", "m"));
    }
    finish(text, body, dice)
}

fn finish(mut text: String, body: Option<&str>, dice: &mut Dice) -> String {
    if body.is_some() {
        let _ = write!(text, "{}: application/sdp\r\n", name(dice, "Content-Type", "c"));
    }
    let body = body.unwrap_or_default();
    let _ = write!(text, "{}: {}\r\n\r\n{body}", name(dice, "Content-Length", "l"), body.len());
    text
}

/// What answers a request that came in as this.
fn answer(phone: Phone, asked: &str, status: &str, body: Option<&str>, dice: &mut Dice) -> String {
    const REPEATED: [&str; 8] = ["via", "v", "from", "f", "call-id", "i", "cseq", "record-route"];
    let mut text = format!("SIP/2.0 {status}\r\n");
    for line in asked.split("\r\n").skip(1).take_while(|line| !line.is_empty()) {
        let (key, _) = line.split_once(':').unwrap();
        let key = key.to_ascii_lowercase();
        if matches!(&*key, "via" | "v") && line.ends_with(";rport") {
            // RFC 3581 §4.
            let _ = write!(text, "{line}={};received={}\r\n", phone.peer.port(), phone.peer.ip());
        } else if REPEATED.contains(&&*key) {
            text = text + line + "\r\n";
        } else if matches!(&*key, "to" | "t") {
            text = text + line + ";tag=b\r\n";
        } else if matches!(&*key, "contact" | "m") && asked.starts_with("REGISTER") {
            text = text + line + "\r\n";
        }
    }
    if asked.starts_with("INVITE") && !status.starts_with("100") {
        let _ = write!(text, "Contact: <sip:bob@{}:{}>\r\n", host(phone.own.ip()), phone.own.port());
    }
    finish(text, body, dice)
}

/// Where media is to be sent, as a description says.
fn media(text: &str) -> Option<SocketAddr> {
    let value = |start: &str| text.lines().find_map(|line| line.strip_prefix(start));
    let ip = value("c=IN IP4 ").or_else(|| value("c=IN IP6 "))?.parse().ok()?;
    let port = value("m=audio ")?.split(' ').next()?.parse().ok()?;
    Some(SocketAddr::new(ip, port))
}

/// Both judges, and what they disagreed about.
struct Trial<'a> {
    judges: [&'a mut dyn Judge; 2],
    text: &'a mut String,
    shown: usize,
    alike: usize,
    /// The telephones' conn with each judge, if they have one.
    conns: Option<[Conn; 2]>,
}

impl Trial<'_> {
    /// A segment over each judge's conn: what arrives, if both judges say the same.
    fn segment(&mut self, what: &str, from: usize, flags: TcpFlags, text: &str) -> Option<String> {
        let conns = self.conns.as_mut()?;
        let left =
            std::array::from_fn(|judge| conns[judge].send(self.judges[judge], from, flags, text.as_bytes()));
        let left = self.same(what, text, left)?.datagram;
        Some(String::from_utf8_lossy(Packet::parse(&left, 0).unwrap().payload_bytes(&left)).into_owned())
    }

    fn same(&mut self, what: &str, sent: &str, left: [Left; 2]) -> Left {
        if left[0] != left[1] {
            self.shown += 1;
            if self.shown <= SHOWN {
                let [kernel, pinhole] = left.each_ref().map(|left| words(left.as_ref()));
                let _ =
                    writeln!(self.text, "  {what}: {sent:?}\n    kernel  {kernel}\n    pinhole {pinhole}");
            }
            return None;
        }
        self.alike += usize::from(left[0].is_some());
        let [left, _] = left;
        left
    }

    /// What left of a datagram, if both judges say the same.
    fn pass(
        &mut self,
        what: &str,
        source: SocketAddr,
        destination: SocketAddr,
        payload: &[u8],
    ) -> Option<(SocketAddr, SocketAddr, String)> {
        let datagram = udp(source, destination, payload);
        let left: [Left; 2] = std::array::from_fn(|judge| Passed::of(self.judges[judge], &datagram));
        let sent = format!("{source} > {destination} {}", String::from_utf8_lossy(payload));
        let left = &self.same(what, &sent, left)?.datagram;
        let packet = Packet::parse(left, 0).unwrap();
        let end = |address: pinhole_wire::Address, port: Option<u16>| {
            SocketAddr::new(address.ip(packet.version), port.unwrap())
        };
        let text = String::from_utf8_lossy(packet.payload_bytes(left)).into_owned();
        Some((
            end(packet.source, packet.source_port()),
            end(packet.destination, packet.destination_port()),
            text,
        ))
    }

    /// From one telephone to the other.
    fn say(&mut self, what: &str, phones: &mut [Phone; 2], from: usize, text: &str) -> Option<String> {
        if self.conns.is_some() {
            let heard = self.segment(what, from, TcpFlags::ACK | TcpFlags::PSH, text)?;
            self.segment(&format!("{what}, acknowledged"), 1 - from, TcpFlags::ACK, "")?;
            return Some(heard);
        }
        let (source, _, heard) = self.pass(what, phones[from].own, phones[from].peer, text.as_bytes())?;
        phones[1 - from].peer = source;
        Some(heard)
    }

    fn call(&mut self, phones: &mut [Phone; 2], from: usize, call: &mut Call, dice: &mut Dice) -> Option<()> {
        let to = 1 - from;
        let offer = description(phones[from], dice);
        let invite = request(phones[from], "INVITE", call, Some(&offer), dice);
        let invited = self.say("INVITE", phones, from, &invite)?;
        if dice.one_in(3) {
            self.say("INVITE again", phones, from, &invite)?;
        }
        let trying = answer(phones[to], &invited, "100 Trying", None, dice);
        self.say("100", phones, to, &trying)?;
        let early = dice.one_in(2);
        let reply = description(phones[to], dice);
        let ringing = answer(
            phones[to],
            &invited,
            if early { "183 Session Progress" } else { "180 Ringing" },
            early.then_some(&*reply),
            dice,
        );
        self.say("18x", phones, to, &ringing)?;
        if dice.one_in(6) {
            let cancel = request(phones[from], "CANCEL", call, None, dice);
            let heard = self.say("CANCEL", phones, from, &cancel)?;
            let reply = answer(phones[to], &heard, "200 OK", None, dice);
            self.say("200 of CANCEL", phones, to, &reply)?;
            let gone = answer(phones[to], &invited, "487 Request Terminated", None, dice);
            self.say("487", phones, to, &gone)?;
            return Some(());
        }
        if dice.one_in(5) {
            let busy = answer(phones[to], &invited, "486 Busy Here", None, dice);
            self.say("486", phones, to, &busy)?;
            let ack = request(phones[from], "ACK", call, None, dice);
            self.say("ACK of 486", phones, from, &ack)?;
            return Some(());
        }
        let taken = answer(phones[to], &invited, "200 OK", Some(&reply), dice);
        let heard = self.say("200", phones, to, &taken)?;
        let ack = request(phones[from], "ACK", call, None, dice);
        self.say("ACK", phones, from, &ack)?;
        let ends = [(from, media(&heard)?), (to, media(&invited)?)];
        for step in 0..2 {
            for (speaker, (sender, target)) in ends.into_iter().enumerate() {
                for next in [0, 1] {
                    let own = SocketAddr::new(phones[sender].own.ip(), phones[sender].media + next);
                    let target = SocketAddr::new(target.ip(), target.port() + next);
                    self.pass(&format!("media {step} {speaker} {next}"), own, target, b"\x80\x00media")?;
                }
            }
        }
        if dice.one_in(3) {
            self.change(phones, if dice.one_in(2) { from } else { to }, call, dice)?;
        }
        call.number += 1;
        let hanging_up = if dice.one_in(2) { from } else { to };
        let bye = request(phones[hanging_up], "BYE", call, None, dice);
        let heard = self.say("BYE", phones, hanging_up, &bye)?;
        let done = answer(phones[1 - hanging_up], &heard, "200 OK", None, dice);
        self.say("200 of BYE", phones, 1 - hanging_up, &done)?;
        Some(())
    }

    /// One side has its media elsewhere from now on.
    fn change(
        &mut self,
        phones: &mut [Phone; 2],
        from: usize,
        call: &mut Call,
        dice: &mut Dice,
    ) -> Option<()> {
        let to = 1 - from;
        call.number += 1;
        phones[from].media += 4;
        let method = ["INVITE", "UPDATE"][dice.below(2)];
        let offer = description(phones[from], dice);
        let asked = request(phones[from], method, call, Some(&offer), dice);
        let heard = self.say(&format!("{method} within the call"), phones, from, &asked)?;
        let reply = description(phones[to], dice);
        let agreed = answer(phones[to], &heard, "200 OK", Some(&reply), dice);
        self.say(&format!("200 of {method}"), phones, to, &agreed)?;
        let target = media(&heard)?;
        let own = SocketAddr::new(phones[to].own.ip(), phones[to].media);
        self.pass("media after the change", own, target, b"\x80\x00media")?;
        Some(())
    }

    fn ask(&mut self, method: &str, phones: &mut [Phone; 2], call: &Call, dice: &mut Dice) -> Option<()> {
        let question = request(phones[0], method, call, None, dice);
        let heard = self.say(method, phones, 0, &question)?;
        let reply = answer(phones[1], &heard, "200 OK", None, dice);
        self.say(&format!("200 of {method}"), phones, 1, &reply)?;
        Some(())
    }
}

#[test]
fn calls_by_chance() {
    let seed: u64 = std::env::var("PINHOLE_SEED").map_or(0, |seed| seed.parse().unwrap());
    let (mut bad, mut datagrams) = (String::new(), 0);
    for number in 0..12 {
        let setting = Setting {
            is_tcp: number >= 6,
            is_v6: number % 6 >= 3,
            hides_client: number % 3 != 1,
            hides_server: number % 3 != 0,
        };
        let compare = || {
            let ruleset = setting.ruleset(address(setting.is_v6, "server", 2, 0).ip());
            match Kernel::start(&ruleset) {
                Ok(mut kernel) => {
                    let mut pinhole = Pinhole::start(&ruleset);
                    let (mut text, mut alike) = (String::new(), 0);
                    let mut dice = Dice(seed << 8 | number);
                    for session in 0..SESSIONS {
                        let judges: [&mut dyn Judge; 2] = [&mut kernel, &mut pinhole];
                        let mut trial = Trial { judges, text: &mut text, shown: 0, alike: 0, conns: None };
                        run(&mut trial, setting, session, &mut dice);
                        alike += trial.alike;
                    }
                    Ok((text, alike))
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
            Err(why) => return eprintln!("SKIPPED calls through the kernel: {why}"),
        }
    }
    eprintln!("{datagrams} datagrams alike");
    assert!(bad.is_empty(), "\n{bad}");
}

/// One telephone's deeds.
fn run(trial: &mut Trial<'_>, setting: Setting, session: usize, dice: &mut Dice) {
    // Two telephones with one port would get others, by chance.
    let client = address(setting.is_v6, "client", 5 + session, usize::from(PORT) + session);
    let server = address(setting.is_v6, "server", 2, PORT.into());
    let called = if setting.hides_server { SocketAddr::new(setting.outer("server"), PORT) } else { server };
    let mut phones = [
        Phone { own: client, peer: called, media: 20_000 + 100 * session as u16, is_tcp: setting.is_tcp },
        Phone { own: server, peer: client, media: 40_000 + 100 * session as u16, is_tcp: setting.is_tcp },
    ];
    if setting.is_tcp {
        trial.conns = Some([Conn::new(client, called, server, 5000); 2]);
        let (syn, ack) = (TcpFlags::SYN, TcpFlags::ACK);
        for (from, flags) in [(0, syn), (1, syn | ack), (0, ack)] {
            if trial.segment("handshake", from, flags, "").is_none() {
                return;
            }
        }
        phones[1].peer = trial.conns.map_or(client, |[conn, _]| conn.peer(1));
    }
    for deed in 0..DEEDS {
        let mut call = Call { id: format!("call{session}-{deed}@example.org"), number: 1 + deed as u32 };
        let done = match dice.below(6) {
            0 => trial.ask("REGISTER", &mut phones, &call, dice),
            1 => trial.ask("OPTIONS", &mut phones, &call, dice),
            // The first word is the client's.
            2 if deed > 0 => trial.call(&mut phones, 1, &mut call, dice),
            _ => trial.call(&mut phones, 0, &mut call, dice),
        };
        if done.is_none() {
            return;
        }
        for phone in &mut phones {
            phone.media += 10;
        }
    }
}

fn words(left: Option<&Passed>) -> String {
    let Some(Passed { datagram: left, state }) = left else { return "nothing".to_owned() };
    let packet = Packet::parse(left, 0).unwrap();
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
        String::from_utf8_lossy(packet.payload_bytes(left)),
    )
}
