//! SIP calls by chance, over IPv4 and IPv6, UDP and TCP, behind the running kernel and behind pinhole: what a telephone sends, and what is sent to it, leaves both
//! alike, to the byte, and so does the media.
//!
//! Two telephones call each other, register and ask. Each answers what reached it, and sends its media to where it was told. Texts keep away from
//! what docs/divergences.md names.

use super::address;
use super::support::conversation::Dice;
use super::trial::{Conn, Setting, Trial, attached, compare};
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

/// Telephones, and what each does.
const SESSIONS: usize = 16;
const DEEDS: usize = 6;
const PORT: u16 = 5060;

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

/// Telephones, and the conn that they have with each judge, if they talk over TCP.
struct Line<'a, 'b> {
    trial: &'a mut Trial<'b>,
    phones: [Phone; 2],
    conns: Option<[Conn; 2]>,
}

impl Line<'_, '_> {
    /// From one telephone to the other, which answers where it heard it from.
    fn say(&mut self, what: &str, from: usize, text: &str) -> Option<String> {
        let heard = match &mut self.conns {
            Some(conns) => self.trial.tell(&format!("{what}, {text:?}"), conns, from, text.as_bytes())?,
            None => {
                let Phone { own, peer, .. } = self.phones[from];
                let (source, heard) = self.trial.datagram(what, own, peer, text.as_bytes())?;
                self.phones[1 - from].peer = source;
                heard
            }
        };
        Some(String::from_utf8_lossy(&heard).into_owned())
    }

    fn call(&mut self, from: usize, call: &mut Call, dice: &mut Dice) -> Option<()> {
        let to = 1 - from;
        let offer = description(self.phones[from], dice);
        let invite = request(self.phones[from], "INVITE", call, Some(&offer), dice);
        let invited = self.say("INVITE", from, &invite)?;
        if dice.one_in(3) {
            self.say("INVITE again", from, &invite)?;
        }
        let trying = answer(self.phones[to], &invited, "100 Trying", None, dice);
        self.say("100", to, &trying)?;
        let early = dice.one_in(2);
        let reply = description(self.phones[to], dice);
        let ringing = answer(
            self.phones[to],
            &invited,
            if early { "183 Session Progress" } else { "180 Ringing" },
            early.then_some(&*reply),
            dice,
        );
        self.say("18x", to, &ringing)?;
        if dice.one_in(6) {
            let cancel = request(self.phones[from], "CANCEL", call, None, dice);
            let heard = self.say("CANCEL", from, &cancel)?;
            let reply = answer(self.phones[to], &heard, "200 OK", None, dice);
            self.say("200 of CANCEL", to, &reply)?;
            let gone = answer(self.phones[to], &invited, "487 Request Terminated", None, dice);
            self.say("487", to, &gone)?;
            return Some(());
        }
        if dice.one_in(5) {
            let busy = answer(self.phones[to], &invited, "486 Busy Here", None, dice);
            self.say("486", to, &busy)?;
            let ack = request(self.phones[from], "ACK", call, None, dice);
            self.say("ACK of 486", from, &ack)?;
            return Some(());
        }
        let taken = answer(self.phones[to], &invited, "200 OK", Some(&reply), dice);
        let heard = self.say("200", to, &taken)?;
        let ack = request(self.phones[from], "ACK", call, None, dice);
        self.say("ACK", from, &ack)?;
        let ends = [(from, media(&heard)?), (to, media(&invited)?)];
        for step in 0..2 {
            for (speaker, (sender, target)) in ends.into_iter().enumerate() {
                for next in [0, 1] {
                    let own = SocketAddr::new(self.phones[sender].own.ip(), self.phones[sender].media + next);
                    let target = SocketAddr::new(target.ip(), target.port() + next);
                    self.trial.datagram(
                        &format!("media {step} {speaker} {next}"),
                        own,
                        target,
                        b"\x80\x00media",
                    )?;
                }
            }
        }
        if dice.one_in(3) {
            self.change(if dice.one_in(2) { from } else { to }, call, dice)?;
        }
        call.number += 1;
        let hanging_up = if dice.one_in(2) { from } else { to };
        let bye = request(self.phones[hanging_up], "BYE", call, None, dice);
        let heard = self.say("BYE", hanging_up, &bye)?;
        let done = answer(self.phones[1 - hanging_up], &heard, "200 OK", None, dice);
        self.say("200 of BYE", 1 - hanging_up, &done)?;
        Some(())
    }

    /// One side has its media elsewhere from now on.
    fn change(&mut self, from: usize, call: &mut Call, dice: &mut Dice) -> Option<()> {
        let to = 1 - from;
        call.number += 1;
        self.phones[from].media += 4;
        let method = ["INVITE", "UPDATE"][dice.below(2)];
        let offer = description(self.phones[from], dice);
        let asked = request(self.phones[from], method, call, Some(&offer), dice);
        let heard = self.say(&format!("{method} within the call"), from, &asked)?;
        let reply = description(self.phones[to], dice);
        let agreed = answer(self.phones[to], &heard, "200 OK", Some(&reply), dice);
        self.say(&format!("200 of {method}"), to, &agreed)?;
        let target = media(&heard)?;
        let own = SocketAddr::new(self.phones[to].own.ip(), self.phones[to].media);
        self.trial.datagram("media after the change", own, target, b"\x80\x00media")?;
        Some(())
    }

    fn ask(&mut self, method: &str, call: &Call, dice: &mut Dice) -> Option<()> {
        let question = request(self.phones[0], method, call, None, dice);
        let heard = self.say(method, 0, &question)?;
        let reply = answer(self.phones[1], &heard, "200 OK", None, dice);
        self.say(&format!("200 of {method}"), 1, &reply)?;
        Some(())
    }
}

#[test]
fn calls_by_chance() {
    let helpers = attached(&[("sip", "udp", PORT, false), ("sip", "tcp", PORT, false)]);
    compare("calls", 0..2 * Setting::COUNT, &helpers, |number, trial, dice| {
        for session in 0..SESSIONS {
            run(trial, number >= Setting::COUNT, session, dice);
        }
    });
}

/// One telephone's deeds, until the judges differ.
fn run(trial: &mut Trial<'_>, is_tcp: bool, session: usize, dice: &mut Dice) -> Option<()> {
    // Two telephones with one port would get others, by chance.
    let client = address(trial.setting.is_v6, "client", 5 + session, usize::from(PORT) + session);
    let (server, called) = trial.setting.server(PORT);
    let phone = |own, peer, media| Phone { own, peer, media: media + 100 * session as u16, is_tcp };
    let mut phones = [phone(client, called, 20_000), phone(server, client, 40_000)];
    let mut conns = None;
    if is_tcp {
        let opened = trial.open("handshake", [Conn::new(client, called, server, 5000); 2])?;
        phones[1].peer = opened[0].ends[1].peer;
        conns = Some(opened);
    }
    let mut line = Line { trial, phones, conns };
    for deed in 0..DEEDS {
        let mut call = Call { id: format!("call{session}-{deed}@example.org"), number: 1 + deed as u32 };
        match dice.below(6) {
            0 => line.ask("REGISTER", &call, dice)?,
            1 => line.ask("OPTIONS", &call, dice)?,
            // The first word is the client's.
            2 if deed > 0 => line.call(1, &mut call, dice)?,
            _ => line.call(0, &mut call, dice)?,
        }
        for phone in &mut line.phones {
            phone.media += 10;
        }
    }
    Some(())
}
