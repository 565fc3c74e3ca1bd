//! The whole path of a packet behind an address that hides one of two hosts, with FTP's and IRC's NAT halves.
//!
//! What leaves must be what came, once the translation is undone; the hidden address never leaves; no two conns share a tuple; ports are those
//! that the rules name; what conns held is free when they are gone. One packet at a time and in batches the same leaves.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pinhole_engine::{
    ChecksumPolicy, Content, EmissionKind, Engine, Filtering, Frame, FrameChecksum, NatBehaviour, NatHelpers,
    Outcome, PortMapping, Settings, Verdict,
};
use pinhole_fuzz::conversation::host;
use pinhole_fuzz::traffic::{Arrival, Traffic};
use pinhole_helper::Pickup;
use pinhole_helpers::{nat_helpers, registry};
use pinhole_ruleset::{Ruleset, compile_text};
use pinhole_track::{Status, Tuple};
use pinhole_wire::{Packet, Protocol};
use std::collections::HashSet;
use std::num::NonZeroU16;
use std::sync::LazyLock;

const RULES: &str = r#"
table inet fw {
    ct helper ftp { type "ftp" protocol tcp; }
    ct helper irc { type "irc" protocol tcp; }
    chain forward {
        type filter hook forward priority filter; policy drop;
        ct state established,related accept
        ct state invalid,untracked drop
        tcp dport 21 ct helper set "ftp"
        tcp dport 6667 ct helper set "irc"
        ip saddr 10.0.0.1 accept
        ip6 saddr 2001:db8::1 accept
        ct status dnat accept
    }
}
table ip nat {
    chain prerouting {
        type nat hook prerouting priority dstnat;
        ip daddr 203.0.113.7 tcp dport { 21, 6667 } dnat to 10.0.0.1
    }
    chain postrouting {
        type nat hook postrouting priority srcnat;
        ip saddr 10.0.0.1 meta l4proto udp snat to 203.0.113.7:40000-40001
        ip saddr 10.0.0.1 snat to 203.0.113.7
    }
}
table ip6 nat {
    chain prerouting {
        type nat hook prerouting priority dstnat;
        ip6 daddr 2001:db8:ffff::7 tcp dport { 21, 6667 } dnat to 2001:db8::1
    }
    chain postrouting {
        type nat hook postrouting priority srcnat;
        ip6 saddr 2001:db8::1 snat to 2001:db8:ffff::7
    }
}
"#;
const CONNS: u32 = 12;
const EXPECTATIONS: usize = 8;
const HELPER_MEMORY: usize = 128 << 10;
/// Most packets that one frame may make: itself, what it grew, and what was held before it.
const EMISSIONS: usize = 64;
/// Bits of the byte of options.
const ONE_SIDED: u8 = 1;
const INDEPENDENT: u8 = 2;
const OPEN: u8 = 4;
const BLOCKS: u8 = 8;
const PARITY: u8 = 16;
const SHORT_SEGMENTS: u8 = 32;
const NO_HALVES: u8 = 64;

/// A packet that left.
type Left = (u64, EmissionKind, Vec<u8>);

fuzz_target!(|input: &[u8]| {
    let Some((&options, input)) = input.split_first() else { return };
    let mut arrivals: Vec<Arrival> = Traffic::new(input).collect();
    let mut single = engine(options);
    let mut left = Vec::new();
    let mut outside = Vec::new();
    for (number, arrival) in (1..).zip(&mut arrivals) {
        // The rest of a capture of one side is addressed as if there were no NAT.
        let seen = single.view_from_outside(&frame((number, arrival)), &mut outside);
        if options & ONE_SIDED != 0 && seen.is_some() {
            arrival.bytes.clone_from(&outside);
        }
        let frame = frame((number, arrival));
        let outcome = single.handle(&frame);
        let first = left.len();
        left.extend(output(&single, |_| frame.bytes));
        assert!(left.len() - first <= EMISSIONS);
        check(&single, options, &frame, &outcome, &left[first..]);
    }
    let frames: Vec<Frame<'_>> = (1..).zip(&arrivals).map(frame).collect();
    let mut batched = engine(options);
    batched.handle_batch(&frames, &mut Vec::new());
    let came = |number: u64| frames[number as usize - 1].bytes;
    assert!(left == output(&batched, came).collect::<Vec<_>>(), "batches differ");

    if let Some(last) = frames.last() {
        let later = last.time.plus_seconds(60 * 86_400);
        while single.advance(later, 64) {}
        assert!(single.tracker().is_empty());
        assert_eq!((single.nat_ports(), single.nat_mappings()), (0, 0));
        assert_eq!((single.host().sessions(), single.host().memory()), (0, 0));
        assert_eq!(single.next_deadline(), None);
    }
});

fn frame((number, arrival): (u64, &Arrival)) -> Frame<'_> {
    let Arrival { time, link, bytes } = arrival;
    let (time, link, checksum) = (*time, *link, FrameChecksum::Unknown);
    Frame { number, time, link, bytes, ingress: None, egress: None, checksum }
}

/// All that leaves; `came` has the frames of this call by their numbers.
fn output<'a>(engine: &'a Engine, came: impl Fn(u64) -> &'a [u8]) -> impl Iterator<Item = Left> {
    engine.output().map(move |made| {
        let frame = if matches!(made.content, Content::Patched(_)) { came(made.frame) } else { &[] };
        (made.frame, made.kind, made.packet(frame))
    })
}

fn engine(options: u8) -> Engine {
    let has = |option| options & option != 0;
    let filtering = if has(OPEN) { Filtering::EndpointIndependent } else { Filtering::AddressDependent };
    let mut settings = Settings {
        checksums: ChecksumPolicy::Verify,
        pickup: Pickup::Strict,
        helper_memory: HELPER_MEMORY,
        max_events: 32,
        ..Settings::default()
    };
    settings.track.max_conns = CONNS;
    settings.track.max_expectations = EXPECTATIONS as u32;
    settings.nat.behaviour = NatBehaviour {
        mapping: if has(INDEPENDENT) {
            PortMapping::EndpointIndependent(filtering)
        } else {
            PortMapping::default()
        },
        parity: has(PARITY),
        ports_per_host: has(BLOCKS).then_some(NonZeroU16::new(2)).flatten(),
        hairpin: false,
    };
    if has(SHORT_SEGMENTS) {
        settings.nat.longest_segment = 8;
    }
    settings.nat.helpers = NatHelpers::new(if has(NO_HALVES) { &[] } else { nat_helpers() });
    Engine::new(settings, registry(), Some(ruleset())).unwrap_or_else(|errors| panic!("{errors:?}"))
}

/// Compiled once a process: that costs more than most inputs.
fn ruleset() -> Ruleset {
    static COMPILED: LazyLock<Ruleset> =
        LazyLock::new(|| compile_text("rules", RULES).expect("the ruleset is right"));
    COMPILED.clone()
}

fn check(engine: &Engine, options: u8, frame: &Frame<'_>, outcome: &Outcome, left: &[Left]) {
    check_table(engine, options);
    let hidden = [host(false, 1).into(), host(true, 1).into()];
    if outcome.verdict == Verdict::Accept && !outcome.rewritten {
        let source = Packet::parse(frame.bytes, 0).map(|packet| packet.source);
        assert!(source.is_err() || !source.is_ok_and(|it| hidden.contains(&it)), "{outcome:?}");
    }
    for (number, kind, bytes) in left {
        let packet = Packet::parse(bytes, 0).expect("what leaves can be read");
        assert_eq!(packet.missing, 0);
        if *kind == EmissionKind::Acknowledgement {
            continue;
        }
        // An error may claim to come from its own receiver.
        let tuple = Tuple::of(&packet);
        let leaves = !hidden.contains(&tuple.destination);
        assert!(
            !leaves || !hidden.contains(&tuple.source),
            "the hidden address leaves: {tuple:?}, {kind:?}, {outcome:?}"
        );
        if *number == frame.number && *kind == EmissionKind::Translated {
            undo(engine, frame, outcome, bytes);
        }
    }
}

/// What left is what came, seen from the other side.
fn undo(engine: &Engine, came: &Frame<'_>, outcome: &Outcome, left: &[u8]) {
    let mut undone = Vec::new();
    let leaving = Frame { bytes: left, ..*came };
    // The conn may have ended with this very packet, which then looks like the first one of another that is expected: its master is told.
    let conn = engine.view_from_outside(&leaving, &mut undone);
    if conn.is_none() || conn != outcome.conn {
        return;
    }
    let (Ok(before), Ok(after)) = (Packet::parse(came.bytes, 0), Packet::parse(&undone, 0)) else {
        // What came may have been the last fragment of what left.
        return;
    };
    if before.fragment.is_none() {
        assert_eq!(Tuple::of(&before), Tuple::of(&after));
    }
}

fn check_table(engine: &Engine, options: u8) {
    let tracker = engine.tracker();
    assert!(tracker.len() <= CONNS as usize);
    assert!(tracker.expectations().count() <= EXPECTATIONS);
    assert!(engine.host().memory() <= HELPER_MEMORY, "{} bytes", engine.host().memory());
    // What conns that are gone held is given back with the packets that follow.
    assert!(engine.nat_ports() <= 2 * u64::from(CONNS) && engine.nat_mappings() <= 2 * CONNS as usize);
    let mut tuples = HashSet::new();
    for conn in tracker.conns() {
        let (Some(original), Some(reply)) = (tracker.original(conn), tracker.reply(conn)) else { continue };
        assert!(tuples.insert(original), "{original:?} twice");
        assert!(tuples.insert(reply), "{reply:?} twice");
        let status = tracker.status(conn).unwrap_or(Status::empty());
        let is_expected = status.contains(Status::EXPECTED);
        if status.contains(Status::SRC_NAT)
            && reply.protocol == Protocol::UDP
            && original.source == host(false, 1).into()
            && !is_expected
        {
            let ports = 40_000..=40_001;
            assert!(ports.contains(&reply.destination_port), "{reply:?}, options {options:#x}");
        }
    }
}
