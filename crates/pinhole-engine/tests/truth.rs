//! Expectations of the helpers equal the ground truth of captures by others.
//!
//! Truth rows name the frame of the announcement, the expected tuple and the first data packet. Rows marked `foreign` (address not the
//! sender's) or not `valid` must be refused in that frame, or the session be blind since then.
//!
//! The truth of SIP knows media only, and not where they come from; a row of RTSP's answer may be what the SETUP entered, activated.
//! That of talk knows conversations only, no look-ups. There are no recordings of ICQ; what is called oscar is QQ, which is neither.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap is the test's message")]

mod support;

use pinhole_engine::{Event, ExpectationRecord};
use pinhole_helper::{AddressMatch, Pickup, PortMatch};
use pinhole_track::State;
use pinhole_wire::Protocol;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

const HELPERS: &[(&str, &[u16])] = &[
    ("ftp", &[21]),
    ("irc", &[6660, 6661, 6662, 6663, 6664, 6665, 6666, 6667, 6668, 6669, 7000]),
    ("RAS", &[1719]),
    ("Q.931", &[1720]),
    ("icq", &[4000, 8000]),
    ("oscar", &[5190]),
    ("rtsp", &[554, 8554]),
    ("sip", &[5060, 4932, 5061, 5062, 15060, 25060, 52380]),
    ("talk", &[517, 518]),
    ("tftp", &[69]),
    ("pptp", &[1723]),
    ("netbios-ns", &[137]),
    ("snmp", &[161, 162]),
];

const ALL: [&str; 10] = ["ftp", "irc", "rtsp", "sip", "RAS", "Q.931", "H.245", "icq", "oscar", "talk"];

/// Announcements in fragmented datagrams: the truth names the first fragment, the announcement is read with the last.
const FRAGMENTED: &[(&str, u64, u64)] = &[("sngrep__ipv6frag", 1, 2), ("sngrep__ipv6frag", 4, 5)];

/// (frame, source or `*`, destination, port)
type Announced = (u64, String, String, u16);

fn announced(record: &ExpectationRecord) -> Announced {
    let expect = &record.expectation.expect;
    let source = match expect.source {
        AddressMatch::Exact(ip) => ip.to_string(),
        _ => "*".to_owned(),
    };
    let port = match expect.destination_port {
        PortMatch::Exact(port) => port,
        other => panic!("{other:?}"),
    };
    (record.provenance.packet, source, expect.destination.to_string(), port)
}

fn truth(path: &Path) -> Vec<Value> {
    let name = format!("{}.truth.jsonl", path.display());
    let text = std::fs::read_to_string(name).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Everything in which what these helpers made of a capture differs from its truth.
fn differences(path: &Path, of: &[&str], liberal: bool) -> Vec<String> {
    let frames = support::frames(path);
    let mut settings = support::settings(Pickup::Lenient, HELPERS);
    settings.track.l4.tcp_be_liberal = liberal;
    let (outcomes, events) = support::run(settings, &frames, true);
    let mut expected: Vec<Announced> = Vec::new();
    let mut activated: Vec<Announced> = Vec::new();
    let mut refusals: BTreeMap<u64, usize> = BTreeMap::new();
    let mut found = Vec::new();
    let mut records = BTreeMap::new();
    for event in &events {
        match event {
            Event::ExpectationNew(record) if !of.contains(&record.provenance.helper.as_str()) => {}
            // Registered users' signalling is not in the truth.
            Event::ExpectationNew(record)
                if record.provenance.helper == "sip" && record.expectation.expect.class == 0 => {}
            Event::ExpectationNew(record)
                if record.provenance.helper == "talk"
                    && record.expectation.expect.protocol == Protocol::UDP => {}
            Event::ExpectationNew(record) => {
                expected.push(announced(record));
                records.insert(record.expectation.id, announced(record));
            }
            Event::ExpectationActive { packet, id, .. } => {
                activated.extend(
                    records.get(id).map(|(_, from, to, port)| (*packet, from.clone(), to.clone(), *port)),
                );
            }
            Event::Refusal(record) => *refusals.entry(record.provenance.packet).or_default() += 1,
            Event::HelperBlind { packet, .. } => *refusals.entry(*packet).or_default() += usize::MAX / 2,
            _ => {}
        }
    }
    let name = path.file_name().unwrap().to_string_lossy();
    for row in truth(path) {
        let helper = match row["helper"].as_str().unwrap_or_default() {
            "ntalk" => "talk",
            helper => helper,
        };
        if !of.contains(&helper) {
            continue;
        }
        let named = row["control_frame"].as_u64().unwrap();
        let fragmented = FRAGMENTED.iter().find(|(file, first, _)| name.starts_with(file) && *first == named);
        let frame = fragmented.map_or(named, |(_, _, last)| *last);
        let refused = row["foreign"] == true || row["valid"] == false;
        if refused {
            match refusals.get_mut(&frame) {
                Some(count) if *count > 0 => *count -= 1,
                _ => found.push(format!("frame {frame}: not refused: {row}")),
            }
            continue;
        }
        // GRE has the receiver's key in place of a port.
        let port = row["expect"]["dport"].as_u64().or(row["gre_key"].as_u64()).unwrap();
        let port = u16::try_from(port).unwrap();
        let source = row["expect"]["src"].as_str().unwrap_or("*").to_owned();
        let wanted: Announced = (frame, source, row["expect"]["dst"].as_str().unwrap().to_owned(), port);
        let is_it = |e: &Announced| {
            (e.0, &e.2, e.3) == (wanted.0, &wanted.2, wanted.3) && (helper == "sip" || e.1 == wanted.1)
        };
        match expected.iter().position(is_it) {
            Some(index) => drop(expected.swap_remove(index)),
            None if activated.iter().any(is_it) => {}
            None => found.push(format!("missing: {wanted:?}")),
        }
        if let Some(data) = row["data_frame"].as_u64() {
            let index = frames.iter().position(|f| f.number == data).unwrap();
            let state = outcomes[index].state;
            // Media of SIP and RTSP and calls of PPTP go both ways: either packet may be the first of the conn.
            // What answers a broadcast may answer a question to its sender, too.
            let both_ways = matches!(helper, "sip" | "rtsp" | "pptp" | "netbios-ns");
            // A TFTP server may answer from the port that was asked: on the control conn.
            let on_control = helper == "tftp" && row["data"]["sport"] == 69;
            let answers = (both_ways || on_control) && state == Some(State::Established);
            if state != Some(State::Related) && !answers {
                found.push(format!("frame {data}: {:?} instead of RELATED", outcomes[index].state));
            }
        }
    }
    found.extend(expected.iter().map(|e| format!("not in the truth: {e:?}")));
    found
}

#[test]
fn expectations_equal_the_truth_of_public_captures() {
    let Some(shared) = support::shared("truth") else { return };
    let mut bad = String::new();
    let mut compared = 0;
    for protocol in ["ftp", "h323", "irc", "sip", "rtsp", "oscar", "tftp", "pptp", "netbios-ns", "snmp"] {
        for path in support::captures(&shared.join("captures").join(protocol)) {
            compared += 1;
            // This capture lost packets: with strict windows most of it is invalid, in the kernel too.
            let liberal = path.to_string_lossy().contains("cwd-navigation");
            for difference in differences(&path, &[protocol, "icq"], liberal) {
                bad.push_str(&format!("{}: {difference}\n", path.file_name().unwrap().to_string_lossy()));
            }
        }
    }
    assert!(compared > 20, "only {compared} captures");
    assert!(bad.is_empty(), "\n{bad}");
}

#[test]
fn expectations_equal_the_truth_of_live_recordings() {
    let Some(shared) = support::shared("truth of live recordings") else { return };
    let mut bad = String::new();
    let mut compared = 0;
    for path in support::captures(&shared.join("captures-live")) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let protocol = name.split('.').next().unwrap_or_default();
        if !matches!(protocol, "ftp" | "irc" | "sip" | "sipmedia" | "rtsp" | "talk") {
            continue;
        }
        compared += 1;
        for difference in differences(&path, &ALL, false) {
            bad.push_str(&format!("{name}: {difference}\n"));
        }
    }
    assert!(compared > 10, "only {compared} captures");
    assert!(bad.is_empty(), "\n{bad}");
}
