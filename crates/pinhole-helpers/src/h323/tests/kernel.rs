//! What the NAT half makes of captured calls equals, to the byte, what the kernel's did (`../shared/oracle/nat`).
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

use super::*;
use crate::h323::H323Nat;
use pinhole_helper::{Master, NatHelper};
use std::path::Path;

/// The capture's first call, and the address that stands for one of its ends.
const CLIENT: &str = "10.1.3.143";
const SERVER: &str = "10.1.6.18";
const PUBLIC: &str = "203.0.113.7";

/// One conn of the call.
struct Conn {
    port: u16,
    reader: Reader,
    master: Master,
    sequences: [u32; 2],
    last: Option<(Direction, Vec<u8>)>,
}

impl Conn {
    fn open(helper: &dyn Helper, client: u16, server: u16, source_nat: bool) -> Self {
        let one = |address: &str, port: u16| SocketAddr::new(address.parse().unwrap(), port);
        let (client_at, server_at) = (one(CLIENT, client), one(SERVER, server));
        let mut both = master(&client_at.to_string(), &server_at.to_string());
        match source_nat {
            true => both.reply.1 = one(PUBLIC, client),
            false => both.original.1 = one(PUBLIC, server),
        }
        let reader = Reader::new(helper, both, Policy::default(), Pickup::Lenient);
        Self { port: server, reader, master: both, sequences: [1, 1], last: None }
    }

    /// What leaves when `payload` comes.
    fn pass(&mut self, from: Direction, payload: &[u8]) -> Vec<u8> {
        let again = self.last.as_ref().is_some_and(|last| (last.0, last.1.as_slice()) == (from, payload));
        if payload.is_empty() || again {
            return payload.to_vec();
        }
        self.last = Some((from, payload.to_vec()));
        let start = u64::from(self.sequences[from.index()]) - 1;
        let tcp = pinhole_wire::Tcp {
            source_port: 0,
            destination_port: 0,
            sequence: self.sequences[from.index()],
            acknowledgement: self.sequences[from.opposite().index()],
            window: 65535,
            flags: pinhole_wire::TcpFlags::ACK,
            header_length: 20,
            checksum: 0,
            urgent: 0,
            payload_length: payload.len() as u32,
        };
        self.sequences[from.index()] += payload.len() as u32;
        let mut actions = Vec::new();
        self.reader.segment(Time(1), from, &tcp, payload, 0, &mut actions);
        let mut out = payload.to_vec();
        for action in &actions {
            let (span, field, endpoint) = match action {
                Action::Mention(End::Sender, span, field) => {
                    (span, field, self.master.sender_seen_by_peer(from))
                }
                Action::Mention(End::Peer, span, field) => (span, field, self.master.receiver(from)),
                Action::Locate(handle, span, field) => {
                    let expect = |a: &Action| match a {
                        Action::Expect(h, expect) if h == handle => Some(expect.clone()),
                        _ => None,
                    };
                    let expect = actions.iter().find_map(expect).unwrap();
                    let PortMatch::Exact(port) = expect.destination_port else { panic!("{expect:?}") };
                    (span, field, SocketAddr::new(expect.destination, port))
                }
                _ => continue,
            };
            let place = (span.start - start) as usize..(span.end - start) as usize;
            let mut bytes = Vec::new();
            H323Nat::Q931.encode(*field, endpoint, &payload[place.clone()], &mut bytes).unwrap();
            out.splice(place, bytes);
        }
        out
    }
}

/// A bytes literal as Python writes it.
fn literal(text: &str) -> Vec<u8> {
    let inner = text.strip_prefix('b').unwrap();
    let inner = &inner.as_bytes()[1..inner.len() - 1];
    let mut bytes = Vec::new();
    let mut at = 0;
    while at < inner.len() {
        let (byte, length) = match (inner[at], inner.get(at + 1)) {
            (b'\\', Some(b'x')) => {
                let hex = std::str::from_utf8(&inner[at + 2..at + 4]).unwrap();
                (u8::from_str_radix(hex, 16).unwrap(), 4)
            }
            (b'\\', Some(b'n')) => (b'\n', 2),
            (b'\\', Some(b'r')) => (b'\r', 2),
            (b'\\', Some(b't')) => (b'\t', 2),
            (b'\\', Some(other)) => (*other, 2),
            (byte, _) => (byte, 1),
        };
        bytes.push(byte);
        at += length;
    }
    bytes
}

fn compare(table: &str, source_nat: bool) -> usize {
    let mut conns = [Conn::open(&Q931, 32803, 1720, source_nat), Conn::open(&H245, 32804, 1232, source_nat)];
    let mut changed = 0;
    for line in table.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let (payload, out) = (literal(columns[3]), literal(columns[6]));
        let server = if source_nat { SERVER } else { PUBLIC };
        let (from, client) = match columns[4] {
            source
                if source.starts_with(&format!("{SERVER}:")) || source.starts_with(&format!("{server}:")) =>
            {
                (Direction::Reply, columns[5])
            }
            source => (Direction::Original, source),
        };
        let client: SocketAddr = client.parse().unwrap();
        let other = if from == Direction::Reply { columns[4] } else { columns[5] };
        let port = at(other).port();
        if ![32803, 32804].contains(&client.port()) {
            continue;
        }
        let Some(conn) = conns.iter_mut().find(|conn| conn.port == port) else { continue };
        // The second copy of a frame (the capture holds most of them twice) goes the way of the first.
        let copy = conn.last.as_ref().is_some_and(|last| (last.0, &last.1) == (from, &payload));
        if copy {
            continue;
        }
        changed += usize::from(payload != out);
        assert_eq!(conn.pass(from, &payload), out, "frame {}", columns[0]);
    }
    changed
}

#[test]
fn rewritten_calls_equal_the_kernels() {
    let root = std::env::var_os("PINHOLE_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), Into::into);
    for (variant, source_nat, least) in [("nat", true, 3), ("dnat", false, 3)] {
        let path = root.join(format!("oracle/nat/h323.nDPI__h323.pcap.{variant}.nat.tsv"));
        let Ok(table) = std::fs::read_to_string(&path) else {
            return eprintln!("SKIPPED the kernel's rewriting: no {}", path.display());
        };
        let changed = compare(&table, source_nat);
        assert!(changed >= least, "{variant}: {changed} rewritten");
    }
}
