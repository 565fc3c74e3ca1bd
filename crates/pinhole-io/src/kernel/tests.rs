//! The oracle's codecs against arbitrary bytes, and the oracle itself where it may run.

use pinhole_wire::Direction;
use proptest::collection::vec;
use proptest::prelude::*;

use super::netlink::{Attributes, Request};
use super::{
    ExpectationEventKind, HelperAssignment, Observation, Oracle, OracleError, OracleSettings, Repair, State,
    Status, repair,
};

/// A TCP segment from 192.0.2.10 to 198.51.100.20 or back, with right checksums.
fn segment(from_client: bool, ports: (u16, u16), sequence: (u32, u32), flags: u8, payload: &[u8]) -> Vec<u8> {
    let (client, server) = ([192, 0, 2, 10], [198, 51, 100, 20]);
    let (source, destination) = if from_client { (client, server) } else { (server, client) };
    let ports = if from_client { ports } else { (ports.1, ports.0) };
    let mut bytes = vec![0x45, 0];
    bytes.extend((40 + payload.len() as u16).to_be_bytes());
    bytes.extend([0, 0, 0x40, 0, 7, 6, 0, 0]);
    bytes.extend(source);
    bytes.extend(destination);
    bytes.extend(ports.0.to_be_bytes());
    bytes.extend(ports.1.to_be_bytes());
    bytes.extend(sequence.0.to_be_bytes());
    bytes.extend(sequence.1.to_be_bytes());
    bytes.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    bytes.extend(payload);
    repair(&bytes, Repair::Checksums).unwrap()
}

const SYN: u8 = 0x02;
const SYN_ACK: u8 = 0x12;
const ACK: u8 = 0x10;

/// Runs `test` on a thread with an oracle of its own; says so if there cannot be one.
fn with_oracle(settings: OracleSettings, test: impl FnOnce(Oracle) + Send + 'static) {
    let thread = std::thread::spawn(move || match Oracle::start(&settings) {
        Ok(oracle) => test(oracle),
        Err(OracleError::Namespace(error)) => eprintln!("SKIPPED: needs root: {error}"),
        Err(OracleError::Tun { source, .. }) => eprintln!("SKIPPED: no TUN devices here: {source}"),
        Err(OracleError::Program { program, message }) if message.contains("cannot run it") => {
            eprintln!("SKIPPED: {program}: {message}");
        }
        Err(error) => panic!("{error}"),
    });
    thread.join().unwrap();
}

#[test]
fn follows_an_active_ftp_transfer() {
    let settings = OracleSettings { helpers: HelperAssignment::customary(), ..OracleSettings::default() };
    with_oracle(settings, |mut oracle| {
        let control = (40_000, 21);
        let syn = oracle.packet(&segment(true, control, (100, 0), SYN, b"")).unwrap();
        assert_eq!((syn.state, syn.direction), (Some(State::New), Some(Direction::Original)));
        assert!(!syn.status.contains(Status::CONFIRMED));
        assert_eq!(syn.forwarded.len(), 1);
        let answer = oracle.packet(&segment(false, control, (900, 101), SYN_ACK, b"")).unwrap();
        assert_eq!((answer.state, answer.direction), (Some(State::Established), Some(Direction::Reply)));
        assert!(answer.status.contains(Status::CONFIRMED | Status::SEEN_REPLY));
        oracle.packet(&segment(true, control, (101, 901), ACK, b"")).unwrap();

        // The kernel's helper reads a line only behind another one.
        oracle.packet(&segment(true, control, (101, 901), ACK, b"USER anonymous\r\n")).unwrap();
        let port = segment(true, control, (117, 901), ACK, b"PORT 192,0,2,10,195,81\r\n");
        let port = oracle.packet(&port).unwrap();
        let [event] = &port.expectations[..] else { panic!("{port:?}") };
        assert_eq!((event.kind, event.helper.as_str()), (ExpectationEventKind::New, "ftp"));
        assert_eq!(event.tuple.to_string(), "tcp:198.51.100.20:0>192.0.2.10:50001");
        assert_eq!(event.mask.source_port, Some(0));
        assert_eq!(event.master.to_string(), "tcp:192.0.2.10:40000>198.51.100.20:21");

        let data = oracle.packet(&segment(false, (50_001, 20), (1, 0), SYN, b"")).unwrap();
        assert_eq!((data.state, data.direction), (Some(State::Related), Some(Direction::Original)));
        assert!(data.status.contains(Status::EXPECTED));
    });
}

#[test]
fn tells_verdicts_and_answers_apart() {
    let ruleset = "table inet fw { chain f { type filter hook forward priority 0; policy accept;\n\
                   tcp dport 22 drop\n tcp dport 23 reject with tcp reset\n meta mark != 0 drop\n }\n }";
    let settings = OracleSettings { ruleset: Some(ruleset.to_owned()), ..OracleSettings::default() };
    with_oracle(settings, |mut oracle| {
        let mut syn = |port| oracle.packet(&segment(true, (40_000, port), (1, 0), SYN, b"")).unwrap();
        let counts = |seen: &Observation| (seen.forwarded.len(), seen.answers.len());
        assert_eq!(counts(&syn(21)), (1, 0));
        assert_eq!(counts(&syn(22)), (0, 0));
        assert_eq!(counts(&syn(23)), (0, 1));
    });
}

#[test]
fn settings_and_refusals() {
    let sysctl = ("net.netfilter.nf_conntrack_tcp_loose".to_owned(), "0".to_owned());
    let settings = OracleSettings { sysctls: vec![sysctl], ..OracleSettings::default() };
    with_oracle(settings, |mut oracle| {
        assert!(matches!(oracle.packet(&[0; 30]), Err(OracleError::Refused(_))));
        let seen = oracle.packet(&segment(true, (40_000, 80), (1, 1), ACK, b"mid-stream")).unwrap();
        assert_eq!((seen.state, seen.direction), (Some(State::Invalid), None));
    });
    let ruleset = Some("table inet fw { chain f { tcp dprot 22 drop } }".to_owned());
    let settings = OracleSettings { ruleset, ..OracleSettings::default() };
    let outcome = std::thread::spawn(move || Oracle::start(&settings).map(drop)).join().unwrap();
    match outcome {
        Err(OracleError::Program { program: "nft", message }) => {
            assert!(message.contains("dprot"), "{message}");
        }
        Err(OracleError::Namespace(error)) => eprintln!("SKIPPED: needs root: {error}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn requests_are_aligned_attributes() {
    let request = Request::new(0x0401, 5).with(1, &[1]).with(2, &[1, 2, 3, 4, 5]).finish();
    assert_eq!(request.len(), 20 + 8 + 12);
    assert_eq!(request[..4], 40u32.to_ne_bytes());
    let attributes: Vec<_> = Attributes(&request[20..]).collect();
    assert_eq!(attributes, [(1, [1].as_slice()), (2, [1, 2, 3, 4, 5].as_slice())]);
}

#[test]
fn repair_completes_what_the_capture_lacks() {
    let whole = segment(true, (40_000, 21), (1, 1), ACK, b"abcd");
    assert_eq!(whole[8], 64);
    let mut offloaded = whole.clone();
    offloaded[2..4].fill(0);
    offloaded[10..12].fill(0xaa);
    offloaded[36..38].fill(0xbb);
    assert_eq!(repair(&offloaded, Repair::Checksums).unwrap(), whole);
    let kept = repair(&offloaded, Repair::HeaderChecksum).unwrap();
    assert_eq!((&kept[..20], &kept[36..38]), (&whole[..20], [0xbb; 2].as_slice()));
    // Ethernet padding goes, what the snap length cut comes back as zeros.
    assert_eq!(repair(&[&whole[..], &[0; 6]].concat(), Repair::Checksums).unwrap(), whole);
    assert_eq!(repair(&whole[..30], Repair::Checksums).unwrap().len(), whole.len());
    assert_eq!(repair(&[], Repair::Checksums), None);
    assert_eq!(repair(&[0x50; 40], Repair::Checksums), None);
}

proptest! {
    #[test]
    fn attributes_end(bytes in vec(any::<u8>(), 0..100)) {
        prop_assert!(Attributes(&bytes).count() <= bytes.len() / 4);
    }

    #[test]
    fn repair_takes_anything(mut bytes in vec(any::<u8>(), 1..100), version in 4..=6u8) {
        bytes[0] = version << 4 | bytes[0] & 0x0f;
        prop_assert_eq!(repair(&bytes, Repair::Checksums).is_some(), version != 5);
    }
}
