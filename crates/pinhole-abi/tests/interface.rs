//! What one side writes the other reads; nothing that anybody writes does harm.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap is the test's message")]

use pinhole_abi::exchange::{self, Area, Areas, BadAreas, progress};
use pinhole_abi::{master, number, record};
use pinhole_helper::{
    Action, AddressMatch, BlindReason, Condition, End, Expect, Field, GroupRule, Handle, Lifetime, Master,
    MediaSource, Name, Policy, PortMatch, Progress, Refusal, Span,
};
use pinhole_wire::{IpVersion, Protocol};
use proptest::prelude::*;
use std::net::{IpAddr, SocketAddr};

fn span() -> impl Strategy<Value = Span> {
    (any::<u32>(), any::<u32>()).prop_map(|(start, end)| Span { start: start.into(), end: end.into() })
}

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![any::<[u8; 4]>().prop_map(IpAddr::from), any::<[u8; 16]>().prop_map(IpAddr::from)]
}

fn ports() -> impl Strategy<Value = PortMatch> {
    prop_oneof![
        any::<u16>().prop_map(PortMatch::Exact),
        (any::<u16>(), any::<u16>()).prop_map(|(first, last)| PortMatch::Range(first, last)),
        Just(PortMatch::Any),
    ]
}

fn field() -> impl Strategy<Value = Field> {
    (0..3u8, any::<u8>()).prop_map(|(kind, notation)| record::read_field(kind, notation).unwrap())
}

fn expect() -> impl Strategy<Value = Expect> {
    let source = prop_oneof![
        address().prop_map(AddressMatch::Exact),
        (address(), 0..=32u8).prop_map(|(ip, length)| AddressMatch::Prefix(ip, length)),
        Just(AddressMatch::Any),
    ];
    let lifetime = prop_oneof![Just(Lifetime::OneShot), Just(Lifetime::Permanent)];
    let rule = prop_oneof![Just(GroupRule::Independent), Just(GroupRule::FirstHitCancels)];
    let helper = proptest::option::of("[!-~]{1,31}".prop_map(|name| Name::try_from(name.as_str()).unwrap()));
    let group = proptest::option::of((any::<u32>(), rule));
    let numbers = (any::<u8>(), any::<u8>(), any::<bool>(), proptest::option::of(any::<u32>()));
    (source, ports(), address(), ports(), lifetime, group, helper, span(), numbers).prop_map(
        |(source, source_port, destination, destination_port, lifetime, group, helper, span, numbers)| {
            let (class, protocol, active, timeout) = numbers;
            let protocol = Protocol(protocol);
            Expect {
                class,
                protocol,
                source,
                source_port,
                destination,
                destination_port,
                lifetime,
                active,
                group,
                timeout,
                helper,
                span,
            }
        },
    )
}

fn action() -> impl Strategy<Value = Action> {
    let handle = || any::<u32>().prop_map(Handle);
    prop_oneof![
        (handle(), expect()).prop_map(|(handle, expect)| Action::Expect(handle, expect)),
        handle().prop_map(Action::Activate),
        (handle(), any::<u32>()).prop_map(|(handle, seconds)| Action::Extend(handle, seconds)),
        any::<u32>().prop_map(Action::Prolong),
        handle().prop_map(Action::Cancel),
        (handle(), expect()).prop_map(|(handle, expect)| Action::Aim(handle, expect.source)),
        (handle(), span(), field()).prop_map(|(handle, span, field)| Action::Locate(handle, span, field)),
        (any::<bool>(), span(), field()).prop_map(|(peer, span, field)| {
            Action::Mention(if peer { End::Peer } else { End::Sender }, span, field)
        }),
        (span(), span()).prop_map(|(digits, body)| Action::Length(digits, body)),
        (span(), field(), any::<u16>())
            .prop_map(|(span, field, number)| Action::Renumber(span, field, number)),
        (handle(), any::<u16>(), any::<u16>()).prop_map(|(handle, a, b)| Action::Lead(handle, a, b)),
        (1..=14u32, span()).prop_map(|(why, span)| Action::Refuse(number::refusal(why).unwrap(), span)),
        any::<bool>().prop_map(|dark| {
            Action::Condition(if dark { Condition::Encrypted } else { Condition::Reading })
        }),
    ]
}

proptest! {
    #[test]
    fn requests_are_read_as_they_were_written(actions in proptest::collection::vec(action(), 0..20)) {
        let mut bytes = Vec::new();
        for action in &actions {
            prop_assert!(record::write(action, &mut bytes));
        }
        let (mut rest, mut read) = (&bytes[..], Vec::new());
        while !rest.is_empty() {
            let (action, size) = record::read(rest).unwrap();
            prop_assert!(size >= 4 && size.is_multiple_of(4));
            rest = &rest[size..];
            read.push(action);
        }
        prop_assert_eq!(read, actions);
    }

    /// Each record is written back as it was, or differs in bytes that mean nothing.
    #[test]
    fn any_bytes_may_be_read(bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in 0..15u16, size in 0..120u16) {
        let mut bytes = bytes;
        for (place, byte) in bytes.iter_mut().zip(kind.to_le_bytes().into_iter().chain(size.to_le_bytes())) {
            *place = byte;
        }
        if let Some((action, size)) = record::read(&bytes) {
            prop_assert!(size <= bytes.len() && size >= 4);
            let mut again = Vec::new();
            prop_assert!(record::write(&action, &mut again));
            prop_assert_eq!(record::read(&again), Some((action, again.len())));
        }
        let _ = (master::read(&bytes), master::read_endpoint(&bytes));
    }

    #[test]
    fn masters_and_policies(ends in proptest::array::uniform4((address(), any::<u16>())), flags in any::<[bool; 3]>(), lowest in any::<u16>()) {
        let [a, b, c, d] = ends.map(|(ip, port)| SocketAddr::new(ip, port));
        let written = Master { version: IpVersion::V6, protocol: Protocol::UDP, original: (a, b), reply: (c, d) };
        let [third_party, wait_for_answer, any_caller] = flags;
        for media_source in [MediaSource::Signalling, MediaSource::Announced, MediaSource::Anyone] {
            let policy = Policy {
                lowest_port: lowest,
                third_party,
                wait_for_answer,
                media_source,
                any_caller,
                introductions: false,
            };
            let (read, same) = master::read(&master::write(&written, &policy)).unwrap();
            prop_assert_eq!(same, policy);
            prop_assert_eq!((read.version, read.protocol), (written.version, written.protocol));
            prop_assert_eq!((read.original, read.reply), (written.original, written.reply));
        }
    }

    #[test]
    fn areas_lie_apart_and_inside(memory in 0..5usize, address in any::<u32>(), words in proptest::array::uniform6(0..200_000u32)) {
        let mut memory = vec![0; memory * 65_536];
        let [a, b, c, d, e, f] = words;
        let area = |address, capacity| Area { address, capacity };
        let written = Areas { input: area(a, b), output: area(c & !3, d), state: area(e, f) };
        let block = (address % 70_000) & !7;
        if let Some(place) = memory.get_mut(block as usize..block as usize + exchange::SIZE) {
            written.write(place);
        }
        let Ok(read) = Areas::read(&memory, block) else { return Ok(()) };
        prop_assert_eq!(read, written);
        let mut taken = vec![false; memory.len()];
        for area in [area(block, exchange::SIZE as u32), read.input, read.output, read.state] {
            for place in &mut taken[area.address as usize..(area.address + area.capacity) as usize] {
                prop_assert!(!std::mem::replace(place, true));
            }
        }
    }
}

#[test]
fn areas_that_are_refused() {
    let mut memory = vec![0; 65_536];
    let area = |address, capacity| Area { address, capacity };
    let good = Areas { input: area(64, 4096), output: area(4160, 1024), state: area(8192, 100) };
    good.write(&mut memory);
    assert_eq!(Areas::read(&memory, 0), Ok(good));
    assert_eq!(Areas::read(&memory, 4), Err(BadAreas::Place("exchange block")));
    assert_eq!(Areas::read(&memory, 65_528), Err(BadAreas::Place("exchange block")));
    assert_eq!(Areas::read(&memory, u32::MAX - 7), Err(BadAreas::Place("exchange block")));
    for (bad, what) in [
        (Areas { input: area(64, 4095), ..good }, BadAreas::Place("input area")),
        (Areas { input: area(63_000, 4096), ..good }, BadAreas::Place("input area")),
        (Areas { output: area(4162, 1024), ..good }, BadAreas::Place("output area")),
        (Areas { output: area(u32::MAX - 3, 1024), ..good }, BadAreas::Place("output area")),
        (Areas { state: area(0, 1), ..good }, BadAreas::Overlap),
        (Areas { state: area(4159, 2), ..good }, BadAreas::Overlap),
    ] {
        bad.write(&mut memory);
        assert_eq!(Areas::read(&memory, 0), Err(what));
    }
    good.write(&mut memory);
    memory[0] = 2;
    assert_eq!(Areas::read(&memory, 0), Err(BadAreas::Version(2)));
}

#[test]
fn progress_and_reasons() {
    for consumed in [0, 1, 65_536] {
        let packed = progress::pack(Progress::Consumed(consumed));
        assert_eq!(progress::unpack(packed, 65_536), Some(Progress::Consumed(consumed)));
        assert_eq!(
            progress::unpack(packed, consumed.wrapping_sub(1)),
            Some(Progress::Consumed(0)).filter(|_| consumed == 0)
        );
    }
    for reason in [BlindReason::NotThisProtocol, BlindReason::Encrypted, BlindReason::TooManyErrors] {
        let packed = progress::pack(Progress::Blind(reason));
        assert_eq!(progress::unpack(packed, 0), Some(Progress::Blind(reason)));
    }
    assert_eq!(progress::unpack(progress::pack(Progress::Done), 0), Some(Progress::Done));
    for nonsense in [-1, 3 << 32, i64::MIN, 1 << 32, 1 << 32 | 9, 2 << 32 | 1] {
        assert_eq!(progress::unpack(nonsense, 100), None);
    }
    assert_eq!(number::refusal(number::of_refusal(Refusal::Unanswered)), Some(Refusal::Unanswered));
    assert_eq!((number::refusal(0), number::refusal(15)), (None, None));
}
