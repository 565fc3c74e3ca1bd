//! Real sessions through the kernel's masquerade, recorded on both sides (`../shared/captures-live`): from the inside, ours makes the same
//! outside.

use super::datagram::{self, TCP, UDP};
use super::gateway::{Gateway, has_helper};
use super::recorder::Recorder;
use super::recording::Job;
use super::{support, words};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;

const INSIDE: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 2);
const PUBLIC: Ipv4Addr = Ipv4Addr::new(10, 2, 0, 1);

/// What both sides of a router have in common of a datagram outside: everything but what the way through it changes (the time to live, and
/// checksums that the recording host left to its network card).
type Essence = Vec<u8>;

#[test]
fn the_outside_of_live_sessions_follows_from_their_inside() {
    let Some(shared) = support::shared("live NAT") else { return };
    let folder = shared.join("captures-live");
    let mut bad = String::new();
    let (mut sessions, mut datagrams) = (0, 0);
    for path in support::captures(&folder) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let Some(session) = name.strip_suffix(".inside.pcap").filter(|name| name.contains(".nat")) else {
            continue;
        };
        let protocol = session.split('.').next().unwrap_or_default().trim_end_matches("media").to_owned();
        // What the inside saw of PPTP's answers bears the ids that NAT had put back already.
        if !has_helper(&protocol) || protocol == "pptp" {
            continue;
        }
        sessions += 1;
        let is_helped = !session.contains("help");
        let job = Job { protocol, capture: name.clone(), is_dnat: false, inside: INSIDE, public: PUBLIC };
        let mut ours = outside_of(&job, is_helped, &path);
        let theirs = support::frames(&folder.join(format!("{session}.outside.pcap")));
        let mut shown = 0;
        // What SIP's answers repeat of a request was translated back before the inside was recorded.
        let is_compared = |essence: &Essence| {
            job.protocol != "sip" || datagram::read(essence).is_some_and(|header| header.source == PUBLIC)
        };
        for bytes in theirs.iter().filter_map(super::network).filter_map(datagram::complete) {
            let Some(essence) = essence(&bytes).filter(&is_compared) else { continue };
            datagrams += 1;
            match ours.get_mut(&essence) {
                Some(count) if *count > 0 => *count -= 1,
                _ => {
                    shown += 1;
                    if shown <= 4 {
                        let _ = writeln!(bad, "{session}: only the kernel sent {}", words(&bytes));
                    }
                }
            }
        }
        // Without its helper the recording router dropped what was not expected.
        let left_over =
            ours.iter().filter(|(essence, count)| is_helped && **count > 0 && is_compared(essence));
        for (essence, _) in left_over.take(4) {
            let _ = writeln!(bad, "{session}: only pinhole sent {}", words(essence));
        }
    }
    eprintln!("{sessions} sessions, {datagrams} datagrams compared");
    assert!(bad.is_empty(), "\n{bad}");
}

/// What passes outside when the inside is as recorded.
fn outside_of(job: &Job, is_helped: bool, path: &Path) -> BTreeMap<Essence, usize> {
    let mut recorder = Recorder::new(job.inside, job.public);
    let mut gateway = Gateway::new(job, is_helped);
    let mut outside = BTreeMap::new();
    for frame in support::frames(path) {
        let Some((bytes, from_inside)) = super::network(&frame)
            .and_then(datagram::complete)
            .and_then(|datagram| recorder.arriving(datagram))
        else {
            continue;
        };
        recorder.came(frame.number, &bytes, from_inside);
        let passed = gateway.pass(frame.number, frame.time, &bytes, from_inside);
        recorder.left(&passed.left);
        let outward = passed.left.iter().map(|left| &left.bytes);
        let seen: Vec<&Vec<u8>> = if from_inside { outward.collect() } else { vec![&bytes] };
        for essence in seen.into_iter().filter_map(|datagram| essence(datagram)) {
            *outside.entry(essence).or_default() += 1;
        }
    }
    outside
}

/// `None` for what is not compared: other protocols than TCP and UDP, and conns that do not concern the inside host.
fn essence(bytes: &[u8]) -> Option<Essence> {
    let header = datagram::read(bytes)?;
    let concerns = [header.source, header.destination].contains(&PUBLIC);
    if !concerns || !matches!(header.protocol, TCP | UDP) {
        return None;
    }
    let mut essence = bytes.to_vec();
    datagram::set_time_to_live(&mut essence, 64)?;
    datagram::repair(&mut essence)?;
    Some(essence)
}
