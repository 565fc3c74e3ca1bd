//! What SIP's two halves make of messages in a translated conn is what the Linux kernel made of them, byte for byte (recorded in
//! `../shared/oracle/nat/sip.NAME.nat.nat.pcap`: the inside host hidden behind one address).
//!
//! The helper reads each message of the inside host as part of a conn that is translated, and the NAT half writes what stands where it points;
//! the engine has no part in it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap is the test's message")]

mod support;

use pinhole_helper::{
    Action, End, Field, Handle, Master, NatHelper, Pickup, Policy, PortMatch, Reader, Span,
};
use pinhole_helpers::sip::{Sip, SipNat};
use pinhole_wire::{Direction, Packet, Protocol, Time, Transport, link};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use support::Captured;

/// Captures, and the host that the recorder hid.
const CASES: &[(&str, &str)] = &[
    ("nDPI__sip.pcap", "192.168.1.2"),
    ("nDPI__FAX-Call-t38-CA-TDM-SIP-FB-1.pcap", "10.35.60.72"),
    ("suricata-verify__sip-method__sip.pcap", "192.168.1.2"),
];
const OUTSIDE: &str = "203.0.113.7";

/// A UDP datagram with SIP's port at either end.
fn datagram(frame: &Captured) -> Option<(SocketAddr, SocketAddr, Vec<u8>)> {
    let offset = link::strip(frame.link, &frame.bytes).ok()?.offset;
    let packet = Packet::parse(&frame.bytes, offset).ok()?;
    let Transport::Udp(udp) = packet.transport else { return None };
    let end = |address: pinhole_wire::Address, port| SocketAddr::new(address.ip(packet.version), port);
    let ports = [udp.source_port, udp.destination_port];
    ports.contains(&5060).then(|| {
        let [source, destination] = [(packet.source, ports[0]), (packet.destination, ports[1])];
        (
            end(source.0, source.1),
            end(destination.0, destination.1),
            packet.payload_bytes(&frame.bytes).to_vec(),
        )
    })
}

/// A translated conn and the session that reads it.
struct Conn {
    reader: Reader,
    master: Master,
    /// Who announced which port.
    ports: BTreeMap<Handle, (Direction, u16)>,
}

impl Conn {
    fn new(inside: SocketAddr, peer: SocketAddr) -> Self {
        let outside = SocketAddr::new(OUTSIDE.parse().unwrap(), inside.port());
        let master = Master {
            version: pinhole_wire::IpVersion::V4,
            protocol: Protocol::UDP,
            original: (inside, peer),
            reply: (peer, outside),
        };
        let reader = Reader::new(&Sip, master, Policy::default(), Pickup::Lenient);
        Self { reader, master, ports: BTreeMap::new() }
    }

    /// The message as it leaves.
    fn translate(&mut self, from: Direction, text: &[u8]) -> Vec<u8> {
        let mut actions = Vec::new();
        self.reader.datagram(Time(0), from, text, &mut actions);
        let mut edits: Vec<(Span, Vec<u8>)> = Vec::new();
        for action in &actions {
            match action {
                Action::Expect(handle, expect) => {
                    let PortMatch::Exact(port) = expect.destination_port else { panic!("{expect:?}") };
                    self.ports.insert(*handle, (from, port));
                }
                Action::Locate(handle, span, field) => {
                    let (announcer, port) = self.ports[handle];
                    let end = match announcer {
                        _ if announcer == from => self.master.sender_seen_by_peer(from),
                        _ => self.master.sender(announcer),
                    };
                    edits.push(edit(text, *span, *field, SocketAddr::new(end.ip(), port)));
                }
                Action::Mention(end, span, field) => {
                    let endpoint = match end {
                        End::Sender => self.master.sender_seen_by_peer(from),
                        End::Peer => self.master.receiver(from),
                    };
                    edits.push(edit(text, *span, *field, endpoint));
                }
                _ => {}
            }
        }
        for action in &actions {
            if let Action::Length(digits, body) = action {
                let inside =
                    edits.iter().filter(|(span, _)| body.start <= span.start && span.end <= body.end);
                let grown: i64 =
                    inside.map(|(span, new)| new.len() as i64 - (span.end - span.start) as i64).sum();
                let length = (body.end - body.start).checked_add_signed(grown).unwrap();
                edits.push((*digits, length.to_string().into_bytes()));
            }
        }
        edits.sort_by_key(|(span, _)| std::cmp::Reverse(span.start));
        let mut out = text.to_vec();
        for (span, new) in edits {
            out.splice(span.start as usize..span.end as usize, new);
        }
        out
    }
}

fn edit(text: &[u8], span: Span, field: Field, endpoint: SocketAddr) -> (Span, Vec<u8>) {
    let mut new = Vec::new();
    let old = &text[span.start as usize..span.end as usize];
    SipNat.encode(field, endpoint, old, &mut new).unwrap();
    (span, new)
}

#[test]
fn messages_leave_as_the_kernel_sends_them() {
    let Some(shared) = support::shared("SIP translated by the kernel") else { return };
    let (mut bad, mut changed) = (String::new(), 0);
    for (name, host) in CASES {
        let inside: IpAddr = host.parse().unwrap();
        let recording = shared.join("oracle/nat");
        let sent = support::frames(&recording.join(format!("sip.{name}.nat.nat.pcap")));
        // The recorder gave each frame the time of its number, in seconds.
        let sent: BTreeMap<u64, &Captured> = sent.iter().map(|f| (f.time.0 / 1_000_000_000, f)).collect();
        let mut conns: BTreeMap<(SocketAddr, SocketAddr), Conn> = BTreeMap::new();
        for frame in support::frames(&shared.join("captures/sip").join(name)) {
            let Some((source, destination, text)) = datagram(&frame) else { continue };
            let (from, ends) = match inside {
                _ if source.ip() == inside => (Direction::Original, (source, destination)),
                _ if destination.ip() == inside => (Direction::Reply, (destination, source)),
                _ => continue,
            };
            let conn = conns.entry(ends).or_insert_with(|| Conn::new(ends.0, ends.1));
            let ours = conn.translate(from, &text);
            let Some((_, _, theirs)) = sent.get(&frame.number).and_then(|sent| datagram(sent)) else {
                continue;
            };
            changed += usize::from(theirs != text);
            if ours != theirs {
                let lines = |text: &[u8]| {
                    String::from_utf8_lossy(text).lines().map(str::to_owned).collect::<Vec<_>>()
                };
                for (ours, theirs) in lines(&ours).into_iter().zip(lines(&theirs)).filter(|(o, t)| o != t) {
                    // docs/divergences.md, `sip-origin`.
                    if ours.starts_with("o=") && theirs.starts_with("o=") && !ours.contains(host) {
                        continue;
                    }
                    bad.push_str(&format!("{name} {}: kernel {theirs:?}, pinhole {ours:?}\n", frame.number));
                }
            }
        }
    }
    assert!(changed > 50, "only {changed} changed messages compared");
    assert!(bad.is_empty(), "\n{bad}");
}
