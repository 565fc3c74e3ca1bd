//! The TCP state machine against the Linux kernel's, packet by packet, on real captures.
//!
//! `../shared/oracle` holds what Linux 6.18 said of each frame of `../shared/captures`, replayed fast: no timeout ran out. The driver here
//! is the least that can drive `l4::open` and `l4::update`: no expectations, no helpers, so RELATED is compared as NEW.

#![allow(clippy::unwrap_used)]

use pinhole_track::Status;
use pinhole_track::Timeouts;
use pinhole_track::l4::{self, L4, L4Settings, Step, View};
use pinhole_wire::link::{self, LinkType};
use pinhole_wire::{Address, Direction, Packet, Protocol, Time, Transport};
use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

const PROTOCOLS: &[&str] =
    &["ftp", "irc", "h323", "pptp", "rsh", "rtsp", "sip", "sqlnet", "oscar", "netbios-ns", "rpc-portmap"];

#[test]
fn every_tcp_packet_gets_the_kernels_state() {
    let Some(shared) = shared() else { return };
    let (mut total, mut captures, mut differing) = (Compared::default(), 0, Vec::new());
    for protocol in PROTOCOLS {
        for capture in captures_in(&shared.join("captures").join(protocol)) {
            let name = capture.file_name().unwrap().to_string_lossy().into_owned();
            let oracle = shared.join("oracle").join(protocol).join(format!("{name}.state.tsv"));
            let (Ok(oracle), Some(recorded)) = (fs::read_to_string(&oracle), read_capture(&capture)) else {
                eprintln!("SKIPPED {protocol}/{name}: no oracle, or a format that this test does not read");
                continue;
            };
            captures += 1;
            let (compared, differences) = compare(&recorded, &oracle);
            total.packets += compared.packets;
            total.invalid += compared.invalid;
            total.fragmented += compared.fragmented;
            for difference in differences.iter().take(5) {
                eprintln!("{protocol}/{name}: {difference}");
            }
            if !differences.is_empty() {
                differing.push(format!("{protocol}/{name}: {}", differences.len()));
            }
        }
    }
    eprintln!("{captures} captures against the kernel: {total:?}");
    assert!(total.packets > 10_000 && total.invalid > 7_000, "the captures that matter are missing");
    assert!(differing.is_empty(), "states differ from the kernel's: {differing:#?}");
}

fn shared() -> Option<PathBuf> {
    let path = std::env::var_os("PINHOLE_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    if path.join("oracle").is_dir() && path.join("captures").is_dir() {
        return Some(path);
    }
    eprintln!("SKIPPED: no captures and oracle in {}", path.display());
    None
}

fn captures_in(folder: &Path) -> Vec<PathBuf> {
    let is_capture = |path: &PathBuf| {
        path.extension().is_some_and(|extension| extension == "pcap" || extension == "pcapng")
    };
    let mut paths: Vec<_> = fs::read_dir(folder)
        .map(|entries| entries.flatten().map(|entry| entry.path()).filter(is_capture).collect())
        .unwrap_or_default();
    paths.sort();
    paths
}

type Frame = (LinkType, Vec<u8>);

fn read_capture(path: &Path) -> Option<Vec<Frame>> {
    use pcap_file::pcap::PcapReader;
    use pcap_file::pcapng::{Block, PcapNgReader};
    let link = |number: u32| LinkType(number as u16);
    let mut frames = Vec::new();
    if path.extension()? == "pcap" {
        let mut reader = PcapReader::new(File::open(path).ok()?).ok()?;
        let link = link(reader.header().datalink.into());
        while let Some(Ok(packet)) = reader.next_raw_packet() {
            frames.push((link, packet.data.into_owned()));
        }
    } else {
        let mut reader = PcapNgReader::new(File::open(path).ok()?).ok()?;
        while let Some(Ok(block)) = reader.next_block() {
            let (interface, data) = match block {
                Block::EnhancedPacket(packet) => (packet.interface_id, packet.data.into_owned()),
                Block::SimplePacket(packet) => (0, packet.data.into_owned()),
                _ => continue,
            };
            let interface = reader.interfaces().get(interface as usize)?;
            frames.push((link(interface.linktype.into()), data));
        }
    }
    Some(frames)
}

/// What is said of one packet.
#[derive(Debug, PartialEq)]
struct Said<'a> {
    state: &'a str,
    direction: &'a str,
    tcp: &'a str,
    assured: bool,
}

/// How many TCP packets were compared.
#[derive(Debug, Default)]
struct Compared {
    packets: usize,
    /// Those of them that are invalid.
    invalid: usize,
    /// Those that were left out, because packets between their hosts came in fragments.
    fragmented: usize,
}

/// Compares frame by frame; returns the differences, too.
fn compare(frames: &[Frame], oracle: &str) -> (Compared, Vec<String>) {
    let (mut compared, mut differences) = (Compared::default(), Vec::new());
    let mut conns = Conns::default();
    for line in oracle.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [number, _, state, direction, _, status, tcp, _, _, note] = columns[..] else { continue };
        let number: usize = number.parse().unwrap();
        let Some((link, bytes)) = number.checked_sub(1).and_then(|index| frames.get(index)) else { continue };
        let Ok(network) = link::strip(*link, bytes) else { continue };
        let Ok(packet) = Packet::parse(bytes, network.offset) else { continue };
        if packet.protocol != Protocol::TCP {
            continue;
        }
        if packet.fragment.is_some() {
            conns.blind.insert(hosts(&packet));
        }
        if matches!(state, "NOTSEEN" | "NONIP" | "WRITEERR") {
            continue;
        }
        if conns.blind.contains(&hosts(&packet)) {
            compared.fragmented += 1;
            continue;
        }
        compared.packets += 1;
        compared.invalid += usize::from(state == "INVALID");
        let forwarded = !note.contains("not-forwarded");
        let mine = conns.track(View { packet: &packet, bytes, now: Time::default() }, forwarded);
        let state = if state == "RELATED" { "NEW" } else { state };
        let assured = status.contains("ASSURED");
        let kernels = Said { state, direction, tcp: if forwarded { tcp } else { mine.tcp }, assured };
        if mine != kernels {
            differences.push(format!("frame {number}: kernel {kernels:?}, pinhole {mine:?}"));
        }
    }
    (compared, differences)
}

/// Both hosts, in either order.
fn hosts(packet: &Packet) -> (Address, Address) {
    (packet.source.min(packet.destination), packet.source.max(packet.destination))
}

type Key = (Address, u16, Address, u16);

struct Conn {
    key: Key,
    l4: L4,
    status: Status,
}

/// A tracker reduced to TCP and a map.
#[derive(Default)]
struct Conns {
    table: HashMap<Key, Conn>,
    /// Hosts whose packets came in fragments, which this driver does not put together.
    blind: HashSet<(Address, Address)>,
}

impl Conns {
    fn track(&mut self, view: View<'_>, forwarded: bool) -> Said<'static> {
        const INVALID: Said<'static> = Said { state: "INVALID", direction: "", tcp: "", assured: false };
        let Transport::Tcp(header) = view.packet.transport else { return INVALID };
        let (source, destination) = (view.packet.source, view.packet.destination);
        let forth = (source, header.source_port, destination, header.destination_port);
        let back = (destination, header.destination_port, source, header.source_port);
        let (direction, mut conn, is_new) = if let Some(conn) = self.table.remove(&forth) {
            (Direction::Original, conn, false)
        } else if let Some(conn) = self.table.remove(&back) {
            (Direction::Reply, conn, false)
        } else {
            let Ok(l4) = l4::open(view, &L4Settings::default()) else { return INVALID };
            (Direction::Original, Conn { key: forth, l4, status: Status::empty() }, true)
        };
        let (settings, timeouts) = (L4Settings::default(), Timeouts::default());
        let step = l4::update(&mut conn.l4, view, direction, conn.status, &settings, &timeouts);
        let mut gone = is_new && !forwarded;
        match step {
            Step::Accept { assure, .. } => {
                conn.status.set(Status::ASSURED, conn.status.contains(Status::ASSURED) || assure);
            }
            Step::Ignore => {}
            Step::Kill => gone = true,
            Step::Reopen => return self.track(view, forwarded),
            Step::Invalid(_) | Step::InvalidClose { .. } => {
                if !is_new {
                    self.table.insert(conn.key, conn);
                }
                return INVALID;
            }
        }
        let answered = conn.status.contains(Status::SEEN_REPLY) || direction == Direction::Reply;
        conn.status.set(Status::SEEN_REPLY, answered);
        let said = Said {
            state: if answered { "ESTABLISHED" } else { "NEW" },
            direction: if direction == Direction::Original { "orig" } else { "reply" },
            tcp: conn.l4.state_name().unwrap(),
            assured: conn.status.contains(Status::ASSURED),
        };
        if !gone {
            self.table.insert(conn.key, conn);
        }
        said
    }
}
