//! How a stream is cut into segments says nothing: every control conversation over TCP of a capture again, in pieces.
//!
//! Each conversation (built in, from the demo captures, and from the shared ones if there are any) is said anew in new packets: whole
//! utterances first, then with single bytes, random cuts, reordering, duplicates, overlapping retransmissions and losses. Every way must come
//! to the same expectations and refusals, byte for byte, and what is then expected must come in as RELATED. The whole utterances must come to
//! what the capture itself comes to.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap is the test's message")]

mod support;

use pinhole_engine::Event;
use pinhole_helper::{AddressMatch, Pickup, PortMatch};
use pinhole_track::{ExpectationId, State};
use pinhole_wire::link;
use pinhole_wire::{Direction, Packet, Protocol, TcpFlags, Transport};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use support::conversation::{Conversation, Dice, syn, udp};
use support::lab::{Lab, text};

const HELPERS: &[(&str, &[u16])] = &[
    ("ftp", &[21]),
    ("irc", &[6660, 6661, 6662, 6663, 6664, 6665, 6666, 6667, 6668, 6669, 7000]),
    ("sip", &[5060]),
    ("rtsp", &[554, 8554]),
    ("sane", &[6566]),
    ("pptp", &[1723]),
    ("oscar", &[5190]),
    ("Q.931", &[1720]),
];

const C: Direction = Direction::Original;
const S: Direction = Direction::Reply;

/// Seeds of ways for each conversation.
const SEEDS: u64 = 14;

/// A control conversation: what its sides say, in turn.
struct Control {
    name: String,
    client: SocketAddr,
    server: SocketAddr,
    turns: Vec<(Direction, Vec<u8>)>,
    /// Both beginnings were seen, and no byte is missing.
    complete: bool,
}

// Conversations out of captures.

/// One direction while it is put together.
#[derive(Default)]
struct Half {
    next: Option<u32>,
    pending: Vec<(u32, Vec<u8>)>,
}

impl Half {
    /// Takes a segment; what is readable now.
    fn take(&mut self, sequence: u32, payload: &[u8]) -> Vec<u8> {
        let mut next = *self.next.get_or_insert(sequence);
        self.pending.push((sequence, payload.to_vec()));
        let mut fresh = Vec::new();
        loop {
            let known = |(at, _): &(u32, Vec<u8>)| next.wrapping_sub(*at).cast_signed();
            let Some(index) = self.pending.iter().position(|piece| known(piece) >= 0) else { break };
            let skip = known(&self.pending[index]) as usize;
            let (_, bytes) = self.pending.swap_remove(index);
            let rest = bytes.get(skip..).unwrap_or_default();
            fresh.extend_from_slice(rest);
            next = next.wrapping_add(rest.len() as u32);
        }
        self.next = Some(next);
        fresh
    }
}

/// The control conversations of a capture.
fn controls(path: &Path) -> Vec<Control> {
    let mut found: Vec<(Control, [Half; 2])> = Vec::new();
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    for frame in support::frames(path) {
        let Ok(network) = link::strip(frame.link, &frame.bytes) else { continue };
        let Ok(packet) = Packet::parse(&frame.bytes, network.offset) else { continue };
        let Transport::Tcp(tcp) = &packet.transport else { continue };
        if packet.fragment.is_some() || tcp.flags.contains(TcpFlags::RST) {
            continue;
        }
        let source = SocketAddr::new(packet.source.ip(packet.version), tcp.source_port);
        let destination = SocketAddr::new(packet.destination.ip(packet.version), tcp.destination_port);
        let is_control = |port| HELPERS.iter().any(|(_, ports)| ports.contains(&port));
        let (client, server, from) = if is_control(tcp.destination_port) {
            (source, destination, C)
        } else if is_control(tcp.source_port) {
            (destination, source, S)
        } else {
            continue;
        };
        let is_syn = tcp.flags.contains(TcpFlags::SYN);
        let of_pair = |(known, _): &(Control, _)| known.client == client && known.server == server;
        let known = found.iter().rposition(of_pair);
        let opens = is_syn && from == C && known.is_some_and(|index| !found[index].0.turns.is_empty());
        let index = known.filter(|_| !opens).unwrap_or_else(|| {
            let name = format!("{name} {client}");
            let control = Control { name, client, server, turns: Vec::new(), complete: true };
            found.push((control, Default::default()));
            found.len() - 1
        });
        let (control, halves) = &mut found[index];
        let half = &mut halves[from.index()];
        if is_syn {
            half.next = Some(tcp.sequence.wrapping_add(1));
        }
        control.complete &= half.next.is_some() && packet.missing == 0;
        let payload = packet.payload_bytes(&frame.bytes);
        let fresh = half.take(tcp.sequence.wrapping_add(u32::from(is_syn)), payload);
        if fresh.is_empty() {
            continue;
        }
        match control.turns.last_mut() {
            Some((last, said)) if *last == from => said.extend(fresh),
            _ => control.turns.push((from, fresh)),
        }
    }
    for (control, halves) in &mut found {
        control.complete &= halves.iter().all(|half| half.pending.is_empty());
    }
    found.into_iter().map(|(control, _)| control).filter(|control| !control.turns.is_empty()).collect()
}

// What a run comes to.

/// Announcements and refusals in order, as text; and, apart, what ended or became active, since when in a packet that is told says nothing.
#[derive(Debug, Default, PartialEq, Eq)]
struct Record {
    announced: Vec<String>,
    changed: Vec<String>,
}

impl Record {
    fn of(events: &[Event]) -> Self {
        let mut record = Self::default();
        for event in events {
            match event {
                Event::ExpectationNew(new) => {
                    let (p, e) = (&new.provenance, &new.expectation.expect);
                    record.announced.push(format!("{} {} {} {e:?}", p.helper, p.direction, text(&p.bytes)));
                }
                Event::Refusal(refused) => {
                    let p = &refused.provenance;
                    let why = refused.reason.name();
                    record.announced.push(format!(
                        "{} {} {why} {} {:?}",
                        p.helper,
                        p.direction,
                        text(&p.bytes),
                        p.span
                    ));
                }
                Event::HelperBlind { reason, .. } => record.announced.push(format!("blind {reason:?}")),
                Event::HelperCondition { condition, .. } => {
                    record.announced.push(format!("condition {condition:?}"));
                }
                Event::ExpectationActive { id: ExpectationId(id), .. } => {
                    record.changed.push(format!("{id} active"));
                }
                Event::ExpectationEnd { id: ExpectationId(id), cause, .. } => {
                    record.changed.push(format!("{id} {cause:?}"));
                }
                _ => {}
            }
        }
        record
    }
}

// Ways to say it.

/// How utterances are cut and delivered.
#[derive(Debug)]
struct Way {
    longest: usize,
    reorder: bool,
    duplicate: bool,
    overlap: bool,
    lose: bool,
    stray_acknowledgements: bool,
}

impl Way {
    const WHOLE: Self = Self {
        longest: 1400,
        reorder: false,
        duplicate: false,
        overlap: false,
        lose: false,
        stray_acknowledgements: false,
    };

    fn of_seed(seed: u64, dice: &mut Dice) -> Self {
        let longest = if seed.is_multiple_of(3) { 1 } else { 1 + dice.below(60) };
        // The first six one by one, then mixed.
        let has = |kind: u64, dice: &mut Dice| if seed < 6 { seed == kind } else { dice.one_in(2) };
        Self {
            longest,
            reorder: has(2, dice),
            duplicate: has(3, dice),
            overlap: has(4, dice),
            lose: has(5, dice),
            stray_acknowledgements: has(1, dice),
        }
    }

    /// Says one utterance, in stretches that the receiver acknowledges.
    fn deliver(
        &self,
        lab: &mut Lab,
        dice: &mut Dice,
        conversation: &mut Conversation,
        from: Direction,
        said: &[u8],
    ) {
        let before = conversation.sent(from) as usize;
        let mut start = 0;
        while start < said.len() {
            let end = said.len().min(start + (self.longest * 80).min(6000));
            let mut arrived = vec![false; end - start];
            for (first, last) in self.segments(dice, start, end) {
                let packet = conversation.at(from, (before + first) as u32, &said[first..last]);
                accepted(lab, &packet);
                arrived[first.max(start) - start..last - start].fill(true);
                if self.stray_acknowledgements && dice.one_in(4) {
                    let in_order = arrived.iter().take_while(|has| **has).count();
                    let count = (before + start + in_order) as u32;
                    accepted(lab, &conversation.acknowledge_to(from.opposite(), count));
                }
            }
            assert!(arrived.iter().all(|has| *has));
            conversation.deliver(from, (before + end) as u32);
            if end < said.len() || dice.one_in(2) {
                accepted(lab, &conversation.acknowledge(from.opposite()));
            }
            start = end;
        }
    }

    /// Segments that together bring `start..end`, in the order of their arrival.
    fn segments(&self, dice: &mut Dice, start: usize, end: usize) -> Vec<(usize, usize)> {
        let mut segments = Vec::new();
        let mut at = start;
        while at < end {
            let length = if self.longest >= 1400 { self.longest } else { 1 + dice.below(self.longest) };
            let next = end.min(at + length);
            segments.push((at, next));
            at = next;
        }
        if self.lose {
            // What is lost never gets here; it is sent again later, merged with its neighbours as stacks do.
            let (lost, rest): (Vec<_>, Vec<_>) = segments.into_iter().partition(|_| dice.one_in(4));
            segments = rest;
            let mut again: Vec<(usize, usize)> = Vec::new();
            for (first, last) in lost {
                match again.last_mut() {
                    Some(previous) if previous.1 == first => previous.1 = last,
                    _ => again.push((first, last)),
                }
            }
            segments.extend(again);
        }
        if self.duplicate {
            for _ in 0..1 + segments.len() / 3 {
                let copy = segments[dice.below(segments.len())];
                let place = dice.below(segments.len() + 1);
                segments.insert(place, copy);
            }
        }
        if self.overlap {
            // Also over what was acknowledged before.
            let oldest = start.saturating_sub(100);
            for _ in 0..1 + segments.len() / 4 {
                let first = oldest + dice.below(end - oldest);
                let last = end.min(first + 1 + dice.below(120));
                if last > start {
                    segments.insert(dice.below(segments.len() + 1), (first, last));
                }
            }
        }
        if self.reorder {
            for index in (1..segments.len()).rev() {
                segments.swap(index, dice.below(index + 1));
            }
        }
        segments
    }
}

fn accepted(lab: &mut Lab, packet: &[u8]) {
    let outcome = lab.send(packet);
    assert_ne!(outcome.state, Some(State::Invalid), "{outcome:?}");
}

/// Says a conversation in new packets; then everything that is still expected comes.
fn say(control: &Control, way: &Way, dice: &mut Dice) -> Record {
    let mut lab = Lab::new(support::settings(Pickup::Strict, HELPERS), None);
    let mut conversation = Conversation::new(control.client, control.server);
    lab.send_all(&conversation.handshake());
    for (from, said) in &control.turns {
        way.deliver(&mut lab, dice, &mut conversation, *from, said);
    }
    let record = Record::of(&lab.events);
    let open: Vec<_> =
        lab.engine.tracker().expectations().filter(|e| e.active).map(|e| e.expect.clone()).collect();
    for expect in open {
        let source: IpAddr = match (expect.source, expect.destination) {
            (AddressMatch::Exact(ip), _) => ip,
            (_, IpAddr::V4(_)) => "192.0.2.77".parse().unwrap(),
            (_, IpAddr::V6(_)) => "2001:db8:77::1".parse().unwrap(),
        };
        let PortMatch::Exact(port) = expect.destination_port else { panic!("{expect:?}") };
        let from = SocketAddr::new(source, 20);
        let to = SocketAddr::new(expect.destination, port);
        let first = match expect.protocol {
            Protocol::TCP => syn(from, to),
            Protocol::UDP => udp(from, to, b"media"),
            // The directions of a call are told apart by keys of both ends.
            _ => continue,
        };
        let outcome = lab.send(&first);
        assert_eq!(outcome.state, Some(State::Related), "{expect:?}: {outcome:?}");
    }
    lab.send_all(&conversation.close());
    record
}

/// Every way to say a conversation comes to the same as whole utterances.
fn same_in_every_way(control: &Control) -> Record {
    let whole = say(control, &Way::WHOLE, &mut Dice(0));
    let length: usize = control.turns.iter().map(|(_, said)| said.len()).sum();
    for seed in 0..SEEDS {
        let mut dice = Dice(seed);
        let way = Way::of_seed(seed, &mut dice);
        if way.longest == 1 && length > 64 * 1024 {
            continue;
        }
        let pieces = say(control, &way, &mut dice);
        assert_eq!(pieces, whole, "{}, seed {seed}: {way:?}", control.name);
    }
    whole
}

/// Conversations of captures, in every way. Returns how many conversations, expectations and refusals there were.
fn captures_in_every_way(paths: &[PathBuf]) -> [usize; 3] {
    let mut counts = [0; 3];
    for path in paths {
        let controls = controls(path);
        let mut pairs: BTreeMap<_, usize> = BTreeMap::new();
        controls.iter().for_each(|control| *pairs.entry((control.client, control.server)).or_default() += 1);
        let (_, events) =
            support::run(support::settings(Pickup::Strict, HELPERS), &support::frames(path), true);
        for control in &controls {
            let record = same_in_every_way(control);
            counts[0] += 1;
            counts[1] += record.announced.iter().filter(|line| line.contains("Expect {")).count();
            counts[2] += record.announced.iter().filter(|line| line.contains("Span {")).count();
            if control.complete && pairs[&(control.client, control.server)] == 1 {
                let original = Record::of(&about(control, &events)).announced;
                assert_eq!(record.announced, original, "{}: as captured", control.name);
            }
        }
    }
    counts[2] -= counts[1];
    counts
}

/// The events of a whole capture that belong to one control conversation.
fn about(control: &Control, events: &[Event]) -> Vec<Event> {
    let masters: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::ConnNew { conn, .. } => Some(conn),
            _ => None,
        })
        .filter(|conn| {
            let tuple = conn.original;
            tuple.source.ip(tuple.version) == control.client.ip()
                && tuple.source_port == control.client.port()
                && tuple.destination.ip(tuple.version) == control.server.ip()
                && tuple.destination_port == control.server.port()
        })
        .map(|conn| conn.id)
        .collect();
    let belongs = |event: &&Event| match event {
        Event::ExpectationNew(new) => masters.contains(&new.expectation.master),
        Event::Refusal(refused) => masters.contains(&refused.master),
        Event::HelperBlind { conn, .. } | Event::HelperCondition { conn, .. } => masters.contains(conn),
        _ => false,
    };
    events.iter().filter(belongs).cloned().collect()
}

#[test]
fn demo_captures_in_every_way() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pinhole/demo");
    let [conversations, expected, _] = captures_in_every_way(&support::captures(&folder));
    assert!(conversations >= 5 && expected >= 6, "{conversations} conversations, {expected} expectations");
}

#[test]
fn public_captures_in_every_way() {
    let Some(shared) = support::shared("splitting of public captures") else { return };
    let mut paths = support::captures(&shared.join("captures/ftp"));
    paths.extend(support::captures(&shared.join("captures/irc")));
    let [conversations, expected, refused] = captures_in_every_way(&paths);
    eprintln!("{conversations} conversations, {expected} expectations, {refused} refusals");
    assert!(conversations >= 30 && expected >= 30 && refused >= 3, "{conversations} {expected} {refused}");
}

#[test]
fn live_recordings_in_every_way() {
    let Some(shared) = support::shared("splitting of live recordings") else { return };
    let mut paths = support::captures(&shared.join("captures-live"));
    let of_ours = |path: &Path| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with("ftp.") || name.starts_with("irc.")
    };
    paths.retain(|path| of_ours(path));
    let [conversations, expected, refused] = captures_in_every_way(&paths);
    eprintln!("{conversations} conversations, {expected} expectations, {refused} refusals");
    assert!(conversations >= 20 && expected >= 20, "{conversations} {expected} {refused}");
}

/// What real programs said to each other: saned, pptpd, an RTSP server.
#[test]
fn recordings_of_ours_in_every_way() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pinhole/tests/recordings");
    let [conversations, expected, _] = captures_in_every_way(&support::captures(&folder));
    assert!(conversations >= 3 && expected >= 5, "{conversations} conversations, {expected} expectations");
}

#[test]
fn public_captures_of_other_protocols_in_every_way() {
    let Some(shared) = support::shared("splitting of public captures of other protocols") else { return };
    let protocols = ["sip", "rtsp", "pptp", "h323", "oscar"];
    let paths: Vec<_> = protocols
        .iter()
        .flat_map(|protocol| support::captures(&shared.join("captures").join(protocol)))
        .collect();
    let [conversations, expected, refused] = captures_in_every_way(&paths);
    eprintln!("{conversations} conversations, {expected} expectations, {refused} refusals");
    assert!(conversations >= 5 && expected >= 5, "{conversations} {expected} {refused}");
}

/// A conversation that no capture has.
fn made_up(name: &str, client: &str, server: &str, turns: &[(Direction, &[u8])]) -> Control {
    Control {
        name: name.to_owned(),
        client: client.parse().unwrap(),
        server: server.parse().unwrap(),
        turns: turns.iter().map(|(from, said)| (*from, said.to_vec())).collect(),
        complete: true,
    }
}

#[test]
fn ftp_announcements_and_refusals_in_every_way() {
    let v4 = made_up(
        "ftp",
        "10.0.0.1:40000",
        "192.0.2.1:21",
        &[
            (S, b"220-hello\r\n227 Entering Passive Mode (192,0,2,1,195,80)\r\n220 ready\r\n"),
            (C, b"USER a\r\nPASS b\r\n"),
            (S, b"331 password\r\n230 in\r\n"),
            (C, b"PORT 10,0,0,1,195,81\r\n"),
            (S, b"200 ok\r\n"),
            (C, b"PO\xff\xf6RT 10,0,0,1,195,82\r\nPORT 10,0,0,9,195,83\r\nPORT 10,0,0,1,0,22\r\n"),
            (S, b"200 ok\r\n500 no\r\n500 no\r\n"),
            (C, b"PORT 10,0,0,1,256,22\r\nEPRT |1|10.0.0.1|50084|\r\nEPRT |2|::ffff:10.0.0.1|50085|\r\n"),
            (S, b"501 what\r\n500 no\r\n522 (1)\r\n"),
            (C, b"PASV\r\n"),
            (S, b"227 Entering Passive Mode (192,0,2,1,195,86)\r\n227 (192,0,2,1,195,87)\r\n"),
            (C, b"EPSV ALL\r\n"),
            (S, b"200 ok\r\n"),
            (C, b"PASV\r\nEPSV\r\n"),
            (S, b"500 no\r\n229 Extended (|||50088|)\r\n"),
            (C, b"NLST 227 (192,0,2,1,195,89)\r\n"),
            (S, b"550 227 (192,0,2,1,195,89): no such file\r\n"),
            (C, b"AUTH TLS\r\n"),
            (S, b"234 go\r\n"),
            (C, b"\x16\x03\x01\x00\x05hello"),
        ],
    );
    let record = same_in_every_way(&v4);
    assert_eq!(record.announced.len(), 5 + 6 + 1, "{:#?}", record.announced);

    let v6 = made_up(
        "ftp over IPv6",
        "[2001:db8:a::1]:40000",
        "[2001:db8:b::1]:21",
        &[
            (S, b"220 ready\r\n"),
            (C, b"EPRT |2|2001:db8:a::1|50081|\r\n"),
            (S, b"200 ok\r\n"),
            (C, b"EPRT |2|2001:db8:a::2|50082|\r\nEPRT |2|::ffff:10.0.0.1|50083|\r\n"),
            (S, b"500 no\r\n500 no\r\n"),
            (C, b"EPSV\r\n"),
            (S, b"229 Extended (|||50084|)\r\n"),
        ],
    );
    let record = same_in_every_way(&v6);
    assert_eq!(record.announced.len(), 4, "{:#?}", record.announced);
}

#[test]
fn irc_announcements_and_refusals_in_every_way() {
    let v4 = made_up(
        "irc",
        "10.0.0.1:40000",
        "192.0.2.1:6667",
        &[
            (C, b"NICK alice\r\nUSER a 0 * :a\r\n"),
            (S, b":irc 001 alice :hello\r\n"),
            (C, b"PRIVMSG bob :\x01DCC SEND \"my file\" 167772161 5001 10\x01\r\n"),
            (C, b"PRIVMSG bob :\x01DCC CHAT chat 167772161 5002\x01\x01DCC SEND b 167772161 5003 1\x01\r\n"),
            (C, b"@a=b :alice PRIVMSG bob :\x01dcc send b 10.0.0.1 5004 1\x01\r\nPRIVMSG bob :DCC SEND b 10.0.0.1 5005 1\r\n"),
            (C, b"PRIVMSG #all :\x01DCC SEND b 167772161 5006 1\x01\r\nNOTICE bob :\x01DCC SEND b 167772162 5007 1\x01\r\n"),
            (C, b"PRIVMSG bob :\x01DCC SEND b 167772161 0 1 77\x01\r\nPRIVMSG bob :\x01DCC SEND b 167772161 22 1\x01\r\n"),
            (S, b":bob!b@192.0.2.9 PRIVMSG alice :\x01DCC SEND b 3221225993 5008 1\x01\r\nPING x\r\n"),
            (S, b":srv!b@192.0.2.1 PRIVMSG alice :\x01DCC SEND b 3221225985 5009 1\x01\r\n"),
            (C, b"PRIVMSG bob :\x01DCC SEND b 167772161 65558 1\x01\r\n"),
        ],
    );
    let record = same_in_every_way(&v4);
    assert_eq!(record.announced.len(), 5 + 7, "{:#?}", record.announced);

    let v6 = made_up(
        "irc over IPv6",
        "[2001:db8:a::1]:40000",
        "[2001:db8:b::1]:6667",
        &[
            (C, b"NICK alice\r\nUSER a 0 * :a\r\n"),
            (S, b":irc 001 alice :hello\r\n"),
            (C, b"PRIVMSG bob :\x01DCC SEND a 2001:db8:a::1 5001 10\x01\r\n"),
            (C, b"PRIVMSG bob :\x01DCC SEND a 2001:db8:a::2 5002 10\x01\r\n"),
            (C, b"PRIVMSG bob :\x01DCC SEND a 167772161 5003 10\x01\r\n"),
        ],
    );
    let record = same_in_every_way(&v6);
    assert_eq!(record.announced.len(), 3, "{:#?}", record.announced);
}

#[test]
fn other_protocols_go_blind_in_every_way() {
    for opening in [
        &b"POST / HTTP/1.1\r\nHost: x\r\n\r\nPORT 10,0,0,1,195,81\r\n"[..],
        b"\x16\x03\x01\x00\xa5\x01\x00\r\nPORT 10,0,0,1,195,81\r\n",
        b"SSH-2.0-x\r\nPRIVMSG bob :\x01DCC SEND a 167772161 5001 1\x01\r\n",
    ] {
        for server in ["192.0.2.1:21", "192.0.2.1:6667"] {
            let record = same_in_every_way(&made_up("foreign", "10.0.0.1:40000", server, &[(C, opening)]));
            assert!(record.announced.len() == 1 && record.announced[0].starts_with("blind"), "{record:?}");
        }
    }
}
