//! `tshark` reads the same messages: those of the shared captures, and those that the encoder of these tests writes.
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

use super::encoder::{self, Call, Carries};
use super::*;
use crate::h323::per::{Found, Visitor, walk};
use crate::h323::q931;
use crate::h323::schema::{CONTROL_MESSAGE, FAST_START, Mark, RAS_MESSAGE, USER_INFORMATION};
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What `tshark` and the tables make of one frame.
#[derive(Debug, Default, PartialEq, Eq)]
struct Read {
    malformed: bool,
    addresses: Vec<IpAddr>,
    ports: Vec<u32>,
}

/// Fields that hold addresses, ports, and the messages themselves.
const ADDRESSES: [&str; 6] =
    ["h225.h245Ip", "h225.h245Ip6", "h225.ipV4", "h225.ipV6", "h245.ip4_network", "h245.ip6_network"];
const PORTS: [&str; 6] = [
    "h225.h245IpPort",
    "h225.h245Ip6port",
    "h225.ipV4_port",
    "h225.ipV6_port",
    "h245.tsapIdentifier",
    "h245.ipv6.tsapIdentifier",
];
const BYTES: [&str; 3] = ["tcp.reassembled.data", "tcp.payload", "udp.payload"];

/// A frame with H.323 in it.
struct Row {
    frame: u64,
    is_datagram: bool,
    bytes: Vec<u8>,
    read: Read,
}

/// Reads a capture with `tshark`.
fn tshark(capture: &Path) -> Option<Vec<Row>> {
    let mut command = Command::new("tshark");
    command.arg("-r").arg(capture).args([
        "-Y",
        "h225 || h245",
        "-T",
        "fields",
        "-E",
        "occurrence=a",
        "-E",
        "aggregator=,",
    ]);
    let fields = ["frame.number", "_ws.malformed"].iter().chain(&BYTES).chain(&ADDRESSES).chain(&PORTS);
    fields.for_each(|field| {
        command.args(["-e", field]);
    });
    let output = command.output().ok()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    Some(text.lines().map(row).collect())
}

fn row(line: &str) -> Row {
    let columns: Vec<&str> = line.split('\t').collect();
    let values = |columns: &[&str]| -> Vec<String> {
        columns.iter().flat_map(|c| c.split(',')).filter(|v| !v.is_empty()).map(str::to_owned).collect()
    };
    let bytes = columns[2..5].iter().find(|hex| !hex.is_empty()).copied().unwrap_or_default();
    let bytes = bytes.split(',').next().unwrap();
    let octet = |at: usize| u8::from_str_radix(&bytes[at..at + 2], 16).unwrap();
    let mut read = Read {
        malformed: !columns[1].is_empty(),
        addresses: values(&columns[5..11]).iter().map(|text| text.parse().unwrap()).collect(),
        ports: values(&columns[11..17]).iter().map(|text| text.parse().unwrap()).collect(),
    };
    read.sort();
    Row {
        frame: columns[0].parse().unwrap(),
        is_datagram: !columns[4].is_empty(),
        bytes: (0..bytes.len()).step_by(2).map(octet).collect(),
        read,
    }
}

impl Read {
    /// Fields come apart by their names, so order is lost.
    fn sort(&mut self) {
        self.addresses.sort();
        self.ports.sort_unstable();
    }
}

#[derive(Default)]
struct Collector {
    read: Read,
    contained: Vec<(Mark, std::ops::Range<usize>)>,
    message: Vec<u8>,
}

impl Visitor for Collector {
    fn found(&mut self, found: Found) {
        let octets = &self.message[found.octets.clone()];
        match found.mark {
            Mark::Ip4 => self.read.addresses.push(<[u8; 4]>::try_from(octets).unwrap().into()),
            Mark::Ip6 => self.read.addresses.push(<[u8; 16]>::try_from(octets).unwrap().into()),
            Mark::Port => self.read.ports.push(found.number),
            Mark::FastStart | Mark::Tunnelled => self.contained.push((found.mark, found.octets)),
            _ => {}
        }
    }
}

/// Reads a datagram, or packets.
fn ours(is_datagram: bool, bytes: &[u8]) -> Read {
    let mut read = Read::default();
    if is_datagram {
        read.malformed = !table(bytes, &RAS_MESSAGE, &mut read);
    } else {
        let mut rest = bytes;
        while let [3, 0, high, low, ..] = *rest {
            let (packet, later) = rest.split_at(usize::from(u16::from_be_bytes([high, low])));
            read.malformed |= !packet_read(&packet[4..], &mut read);
            rest = later;
        }
        assert_eq!(rest, [0u8; 0], "packets end with the segment");
    }
    read.sort();
    read
}

fn packet_read(packet: &[u8], read: &mut Read) -> bool {
    if packet.first() == Some(&8) {
        let user = q931::parse(packet).and_then(|message| message.user);
        return user.is_some_and(|user| table(&packet[user], &USER_INFORMATION, read));
    }
    table(packet, &CONTROL_MESSAGE, read)
}

fn table(bytes: &[u8], table_of: &'static crate::h323::per::Component, read: &mut Read) -> bool {
    let mut at = 0;
    while at < bytes.len() {
        let message = bytes[at..].to_vec();
        let mut collector = Collector { message: message.clone(), ..Collector::default() };
        let Ok(length) = walk(&message, table_of, &mut collector) else { return false };
        read.addresses.extend(collector.read.addresses);
        read.ports.extend(collector.read.ports);
        for (mark, octets) in collector.contained {
            let inner = if mark == Mark::FastStart { &FAST_START } else { &CONTROL_MESSAGE };
            if !table(&message[octets], inner, read) {
                return false;
            }
        }
        at += length;
    }
    true
}

fn shared(test: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PINHOLE_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    if path.join("captures/h323").is_dir() {
        return Some(path);
    }
    eprintln!("SKIPPED {test}: no shared captures at {}", path.display());
    None
}

#[test]
fn every_captured_message_is_read_as_tshark_reads_it() {
    let Some(shared) = shared("captured messages") else { return };
    let mut messages = 0;
    for entry in fs::read_dir(shared.join("captures/h323")).unwrap().flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "pcap" && extension != "pcapng") {
            continue;
        }
        let Some(rows) = tshark(&path) else { return eprintln!("SKIPPED captured messages: no tshark") };
        for row in rows.iter().filter(|row| !row.read.malformed) {
            messages += 1;
            assert_eq!(ours(row.is_datagram, &row.bytes), row.read, "{} frame {}", path.display(), row.frame);
        }
    }
    assert!(messages > 30, "only {messages} messages");
}

#[test]
fn what_the_encoder_writes_is_what_tshark_and_the_tables_read() {
    let media = |one, two| encoder::Media { media: Some(one), control: Some(two) };
    let call = |one: fn(u16) -> SocketAddr| Call {
        h245: Some(one(1)),
        destination: Some(one(2)),
        source: Some(one(3)),
        fast_start: vec![
            encoder::channel(1, Carries::Audio, media(one(4), one(5)), None),
            encoder::channel(2, Carries::Video, encoder::Media::default(), Some(media(one(6), one(7)))),
        ],
        tunnelled: vec![
            encoder::capabilities(),
            encoder::open(3, Carries::Video, media(one(8), one(9))),
            encoder::open_ack(3, media(one(10), one(11))),
            encoder::open_stack(4, one(12)),
            encoder::close(3),
        ],
    };
    let four = call(|number| SocketAddr::new(at(CALLER).ip(), 5000 + number));
    let six = call(|number| SocketAddr::new(at(CALLER_6).ip(), 5000 + number));
    let packets = [&four, &six].into_iter().flat_map(|call| {
        [
            encoder::setup(1, call),
            encoder::call_proceeding(1, call),
            encoder::alerting(1, call),
            encoder::progress(1, call),
            encoder::connect(1, call),
            encoder::forward(1, call.source.unwrap(), 1),
            encoder::release_complete(1),
        ]
    });
    let datagrams = [&four, &six].into_iter().flat_map(|call| {
        let (one, two, three) = (call.h245.unwrap(), call.destination.unwrap(), call.source.unwrap());
        [
            encoder::gatekeeper_request(1, one),
            encoder::gatekeeper_confirm(1, two),
            encoder::registration_request(2, &[one, two], &[three], Some(70_000), true),
            encoder::registration_confirm(2, &[one], Some(60)),
            encoder::registration_reject(2),
            encoder::unregistration_request(3, &[one]),
            encoder::unregistration_confirm(3),
            encoder::admission_request(4, Some(three)),
            encoder::admission_confirm(4, two),
            encoder::location_request(5, one),
            encoder::location_confirm(5, two, three),
        ]
    });
    let mut frames: Vec<(bool, Vec<u8>)> = packets.map(|packet| (false, packet)).collect();
    frames.extend(datagrams.map(|datagram| (true, datagram)));
    let path = std::env::temp_dir().join(format!("pinhole-h323-{}.pcap", std::process::id()));
    fs::write(&path, capture(&frames)).unwrap();
    let rows = tshark(&path);
    fs::remove_file(&path).unwrap();
    let Some(rows) = rows else { return eprintln!("SKIPPED the encoder's messages: no tshark") };
    assert_eq!(rows.len(), frames.len(), "tshark sees H.323 in every frame");
    for (row, (_, written)) in rows.iter().zip(&frames) {
        assert_eq!(&row.bytes, written, "frame {}", row.frame);
        assert!(!row.read.malformed, "frame {} is malformed: {written:02x?}", row.frame);
        assert_eq!(ours(row.is_datagram, &row.bytes), row.read, "frame {}", row.frame);
    }
}

/// A capture of raw IPv4 datagrams: packets in one TCP conn to port 1720, messages to UDP port 1719.
fn capture(frames: &[(bool, Vec<u8>)]) -> Vec<u8> {
    let mut file = Vec::new();
    [0xa1b2_c3d4u32, 0x0002_0004, 0, 0, 65535, 101].iter().for_each(|word| file.extend(word.to_be_bytes()));
    let mut sequence = 1u32;
    for (number, (is_datagram, payload)) in frames.iter().enumerate() {
        let transport = if *is_datagram { udp(payload) } else { tcp(&mut sequence, payload) };
        let mut datagram = vec![0x45, 0];
        datagram.extend((20 + transport.len() as u16).to_be_bytes());
        datagram.extend([0, 0, 0, 0, 64, if *is_datagram { 17 } else { 6 }, 0, 0, 10, 0, 0, 1, 192, 0, 2, 2]);
        datagram.extend(transport);
        let length = datagram.len() as u32;
        [number as u32, 0, length, length].iter().for_each(|word| file.extend(word.to_be_bytes()));
        file.extend(datagram);
    }
    file
}

fn udp(payload: &[u8]) -> Vec<u8> {
    let mut datagram = [40_000u16, 1719, 8 + payload.len() as u16, 0].map(u16::to_be_bytes).concat();
    datagram.extend(payload);
    datagram
}

fn tcp(sequence: &mut u32, payload: &[u8]) -> Vec<u8> {
    let mut segment = [40_000u16, 1720].map(u16::to_be_bytes).concat();
    segment.extend(sequence.to_be_bytes());
    segment.extend([0, 0, 0, 1, 0x50, 0x18, 255, 255, 0, 0, 0, 0]);
    segment.extend(payload);
    *sequence += payload.len() as u32;
    segment
}
