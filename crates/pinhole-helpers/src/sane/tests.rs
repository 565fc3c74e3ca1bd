use super::*;
use crate::transcript::{Said, Wire, run, run_every_way};
use pinhole_helper::{Action, AddressMatch, BlindReason, PortMatch, Refusal as Why};
use pinhole_wire::Direction;
use proptest::prelude::*;

const CLIENT: &str = "10.0.0.1:40000";
const SERVER: &str = "192.0.2.1:6566";
const C: Direction = Direction::Original;
const S: Direction = Direction::Reply;

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn string(text: &str) -> Vec<u8> {
    let length = if text.is_empty() { 0 } else { text.len() as u32 + 1 };
    let nul: &[u8] = if text.is_empty() { b"" } else { b"\0" };
    [&words(&[length]), text.as_bytes(), nul].concat()
}

fn init() -> Vec<u8> {
    [words(&[0, 0x0100_0003]), string("user")].concat()
}

fn start() -> Vec<u8> {
    words(&[7, 0])
}

fn started(port: u32) -> Vec<u8> {
    [words(&[0, port, 0x1234]), string("")].concat()
}

/// All that a front end asks before it scans: devices, open, options, an option of every type, parameters.
fn prelude() -> Vec<(Direction, Vec<u8>)> {
    let device =
        [words(&[0]), string("test:0"), string("Noname"), string("frontend"), string("virtual")].concat();
    let option = |constraint: Vec<u8>| {
        let texts = [string("mode"), string("Scan mode"), string("What is scanned")].concat();
        [words(&[0]), texts, words(&[3, 0, 32, 5]), constraint].concat()
    };
    let choices = [words(&[3, 3]), string("Gray"), string("Color"), string("")].concat();
    let options = [
        words(&[5]),
        option(words(&[0])),
        option(words(&[1, 0, 1, 1200, 1])),
        option(words(&[2, 3, 2, 75, 150])),
        option(choices),
        words(&[1]),
    ]
    .concat();
    let control = |action: u32, value: Vec<u8>| [words(&[5, 0, 1, action]), value].concat();
    let controlled = |value: Vec<u8>| [words(&[0, 0]), value, string("")].concat();
    let number = words(&[1, 4, 1, 300]);
    let text = [words(&[3, 5]), string("Gray")].concat();
    let button = words(&[4, 0, 0]);
    vec![
        (C, init()),
        (S, words(&[0, 0x0100_0003])),
        (C, words(&[1])),
        (S, [words(&[0, 2]), device, words(&[1])].concat()),
        (C, [words(&[2]), string("test:0")].concat()),
        (S, [words(&[0, 0]), string("")].concat()),
        (C, words(&[4, 0])),
        (S, options),
        (C, control(1, number.clone())),
        (S, controlled(number)),
        (C, control(0, text.clone())),
        (S, controlled(text)),
        (C, control(1, button.clone())),
        (S, controlled(button.clone())),
        (C, words(&[5, 0, 1, 2])),
        (S, controlled(button)),
        (C, words(&[6, 0])),
        (S, words(&[0, 0, 1, 100, 100, 100, 8])),
    ]
}

fn dialogue(said: &[(Direction, Vec<u8>)]) -> Wire {
    let prelude = prelude();
    let said: Vec<Said<'_>> =
        prelude.iter().chain(said).map(|(from, bytes)| (*from, bytes.as_slice())).collect();
    run_every_way(&Sane, CLIENT, SERVER, &said)
}

#[test]
fn the_answer_to_start_opens_its_port() {
    let wire = dialogue(&[(C, start()), (S, started(50_000))]);
    assert_eq!((wire.open_ports(), wire.reader.blind()), (vec![50_000], None));
    let Action::Expect(_, expect) = &wire.noted[0].action else { panic!("{:?}", wire.noted) };
    assert_eq!(expect.source, AddressMatch::Exact("10.0.0.1".parse().expect("an address")));
    assert_eq!(
        (expect.source_port, wire.noted[0].quote.as_slice()),
        (PortMatch::Any, &[0, 0, 0xc3, 0x50][..])
    );
    assert!(matches!(wire.noted[1].action, Action::Locate(_, _, notation::PORT)));
    // Again, for the next picture; and after a request that was sent ahead.
    let wire = dialogue(&[
        (C, start()),
        (S, started(50_000)),
        (C, words(&[8, 0, 7, 0])),
        (S, [words(&[0]), started(50_001)].concat()),
    ]);
    assert_eq!(wire.open_ports(), [50_000, 50_001]);
}

#[test]
fn authorization_comes_in_between() {
    let wants = [words(&[0, 0, 0]), string("scanner")].concat();
    let authorize = [words(&[9]), string("scanner"), string("user"), string("secret")].concat();
    let said = [(C, start()), (S, wants), (C, authorize), (S, words(&[0])), (S, started(50_000))];
    let wire = dialogue(&said);
    assert_eq!((wire.open_ports(), wire.reader.blind()), (vec![50_000], None));
}

#[test]
fn refused() {
    for (port, why) in [
        (22, Why::PrivilegedPort),
        (65_536, Why::BadNumber),
        (u32::MAX, Why::BadNumber),
        (1023, Why::PrivilegedPort),
    ] {
        let wire = dialogue(&[(C, start()), (S, started(port))]);
        assert_eq!((wire.ports(), wire.refusals()), (vec![], vec![why]), "{port}");
    }
    let failed = [words(&[3, 50_000, 0x1234]), string("")].concat();
    assert_eq!(dialogue(&[(C, start()), (S, failed)]).noted, []);
    // The same words, as the answer to something else.
    let wire = dialogue(&[(C, words(&[4, 0])), (S, started(50_000))]);
    assert_eq!(wire.ports(), []);
}

#[test]
fn out_of_step() {
    for said in [
        vec![(S, started(50_000))],
        vec![(C, words(&[11]))],
        vec![(C, init())],
        vec![(C, words(&[9]))],
        vec![(C, [words(&[2]), words(&[VALUE_LIMIT + 1])].concat())],
        vec![(C, words(&[4, 0])), (S, words(&[VALUE_LIMIT + 1]))],
    ] {
        let wire = dialogue(&said);
        assert_eq!(wire.reader.blind(), Some(BlindReason::NotThisProtocol), "{said:?}");
    }
    let ahead: Vec<_> = (0..=OUTSTANDING_LIMIT).map(|_| (C, words(&[3, 0]))).collect();
    assert_eq!(dialogue(&ahead).reader.blind(), Some(BlindReason::BufferFull));
    let over = dialogue(&[(C, words(&[10]))]);
    assert_eq!((over.reader.is_reading(), over.reader.blind()), (false, None));
}

#[test]
fn another_protocol() {
    for opening in
        [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x16\x03\x01\x00\xa5\x01", &start(), &words(&[0, 0x0200_0000])]
    {
        let wire = run_every_way(&Sane, CLIENT, SERVER, &[(C, opening), (S, &started(50_000))]);
        assert_eq!((wire.ports(), wire.reader.is_reading()), (vec![], false), "{opening:?}");
    }
}

/// Large answers are skipped, not held.
#[test]
fn memory_is_bounded() {
    let text = "x".repeat(600_000);
    let said = [
        (C, init()),
        (S, words(&[0, 0x0100_0003])),
        (C, [words(&[2]), string(&text)].concat()),
        (S, [words(&[0, 0]), string("")].concat()),
        (C, start()),
        (S, started(50_000)),
    ];
    let mut wire = Wire::open(&Sane, CLIENT, SERVER);
    for (from, bytes) in &said {
        for segment in bytes.chunks(1400) {
            wire.say(*from, segment);
        }
    }
    assert_eq!(wire.open_ports(), [50_000]);
    assert!(wire.peak < 160 * 1024, "{}", wire.peak);
}

#[test]
fn the_nat_half_writes_a_word() {
    let encode = |field| {
        let mut out = Vec::new();
        let endpoint = "203.0.113.7:50001".parse().expect("an endpoint");
        SaneNat.encode(field, endpoint, &[0, 0, 0xc3, 0x50], &mut out).map(|()| out)
    };
    assert_eq!(encode(notation::PORT), Ok(vec![0, 0, 0xc3, 0x51]));
    assert_eq!(encode(Field::Address(0)), Err(Unencodable::Notation));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn hostile_dialogues_never_panic_and_stay_bounded(
        said in prop::collection::vec((any::<bool>(), prop::collection::vec(0u32..12, 0..12), 0usize..4), 0..60),
    ) {
        let mut wire = run(&Sane, CLIENT, SERVER, &[(C, &init()), (S, &words(&[0, 0x0100_0003]))]);
        for (client, numbers, cut) in said {
            let bytes = words(&numbers);
            wire.say(if client { C } else { S }, &bytes[..bytes.len().saturating_sub(cut)]);
        }
        prop_assert!(wire.peak < 16 * 1024, "{}", wire.peak);
        prop_assert!(!wire.ports().iter().any(|port| *port < 1024));
    }
}
