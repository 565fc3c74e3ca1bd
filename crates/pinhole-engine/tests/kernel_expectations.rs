//! SIP's expectations equal those that the Linux kernel entered for the same captures (`../shared/oracle/sip/NAME.expect.tsv`, recorded with
//! its clock frozen and its default policies).
//!
//! Each difference falls under an id of docs/divergences.md, recognised by [`missing`] and the test itself.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap is the test's message")]

mod support;

use pinhole_engine::Event;
use pinhole_helper::{AddressMatch, Lifetime, MediaSource, Pickup, Policy, PortMatch};
use std::collections::BTreeMap;
use std::path::Path;

/// Ports at which the recorder attached the kernel's helper.
const HELPERS: &[(&str, &[u16])] = &[("sip", &[5060])];

/// Class of the expectations that REGISTER asks for, and of those for T.38.
const SIGNALLING: u8 = 0;
const IMAGE: u8 = 3;

/// One expectation, as either side tells of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    frame: u64,
    class: u8,
    permanent: bool,
    active: bool,
    source: String,
    destination: String,
    port: u16,
}

/// The kernel's expectations.
fn recorded(table: &Path) -> Vec<Row> {
    let text = std::fs::read_to_string(table).unwrap();
    let read = |line: &str| {
        let columns: Vec<&str> = line.split('\t').collect();
        let (source, destination) = columns[7].strip_prefix("udp:")?.split_once('>')?;
        let (destination, port) = destination.rsplit_once(':')?;
        let flags: u8 = columns[5].parse().ok()?;
        (columns[1] == "NEW" && columns[2] == "sip").then(|| Row {
            frame: columns[0].parse().unwrap(),
            class: columns[4].parse().unwrap(),
            permanent: flags & 1 != 0,
            active: flags & 2 == 0,
            source: source.rsplit_once(':').unwrap().0.to_owned(),
            destination: destination.to_owned(),
            port: port.parse().unwrap(),
        })
    };
    text.lines().skip(1).filter_map(read).collect()
}

/// Ours, and the frames in which a registration became active.
fn ours(capture: &Path) -> (Vec<Row>, Vec<(u64, Row)>) {
    let policy = Policy { media_source: MediaSource::Signalling, ..Policy::default() };
    let settings = pinhole_engine::Settings { policy, ..support::settings(Pickup::Lenient, HELPERS) };
    let (_, events) = support::run(settings, &support::frames(capture), true);
    let (mut rows, mut active, mut known) = (Vec::new(), Vec::new(), BTreeMap::new());
    for event in events {
        match event {
            Event::ExpectationNew(record) => {
                let expect = &record.expectation.expect;
                let (AddressMatch::Exact(source), PortMatch::Exact(port)) =
                    (expect.source, expect.destination_port)
                else {
                    panic!("{expect:?}");
                };
                let row = Row {
                    frame: record.provenance.packet,
                    class: expect.class,
                    permanent: expect.lifetime == Lifetime::Permanent,
                    active: expect.active,
                    source: source.to_string(),
                    destination: expect.destination.to_string(),
                    port,
                };
                known.insert(record.expectation.id, row.clone());
                rows.push(row);
            }
            Event::ExpectationActive { packet, id, .. } => active.push((packet, known[&id].clone())),
            _ => {}
        }
    }
    (rows, active)
}

/// A damaged REGISTER ("REGIStER") that the kernel takes for one.
const OTHER_CASE: (&str, u64) = ("nDPI__fuzz-2006-06-26-2594.pcap", 107);

/// The divergence that explains an expectation of the kernel's that we do not have.
fn missing(row: &Row, kernel: &[Row], active: &[(u64, Row)]) -> Option<&'static str> {
    let rtp = Row { port: row.port.wrapping_sub(1), ..row.clone() };
    let same =
        |(since, other): &(u64, Row)| *since < row.frame && Row { frame: row.frame, ..other.clone() } == *row;
    match row.class {
        IMAGE if kernel.contains(&rtp) => Some("sip-image-port"),
        SIGNALLING if active.iter().any(same) => Some("sip-refresh"),
        _ => None,
    }
}

#[test]
fn expectations_equal_the_kernel() {
    let Some(shared) = support::shared("kernel expectations") else { return };
    let mut bad = String::new();
    let mut divergences: BTreeMap<&str, usize> = BTreeMap::new();
    let mut equal = 0;
    for path in support::captures(&shared.join("captures/sip")) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let table = shared.join("oracle/sip").join(format!("{name}.expect.tsv"));
        if !table.exists() {
            continue;
        }
        let kernel = recorded(&table);
        let (mut rows, active) = ours(&path);
        for row in &kernel {
            if let Some(index) = rows.iter().position(|other| other == row) {
                rows.swap_remove(index);
                equal += 1;
            } else if let Some(id) = missing(row, &kernel, &active) {
                *divergences.entry(id).or_default() += 1;
            } else if (name.as_str(), row.frame) == OTHER_CASE {
                *divergences.entry("sip-method-case").or_default() += 1;
            } else {
                bad.push_str(&format!("{name}: only the kernel: {row:?}\n"));
            }
        }
        // The kernel opens audio, video and images only.
        let before = rows.len();
        rows.retain(|row| row.class != IMAGE);
        *divergences.entry("sip-media-kinds").or_default() += before - rows.len();
        bad.extend(rows.iter().map(|row| format!("{name}: only pinhole: {row:?}\n")));
    }
    eprintln!("{equal} expectations equal; named divergences: {divergences:?}");
    assert!(equal > 80, "only {equal} compared");
    assert!(bad.is_empty(), "\n{bad}");
}
