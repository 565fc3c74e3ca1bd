//! The whole path of a packet behind a default-drop ruleset with helpers.
//!
//! Two engines see the same frames, one at a time and in batches: they must agree. Nothing new passes but what the ruleset names; memory
//! and tables stay within their limits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pinhole_engine::defrag::DefragSettings;
use pinhole_engine::{ChecksumPolicy, Engine, Frame, FrameChecksum, Outcome, Settings, Verdict};
use pinhole_fuzz::timed;
use pinhole_fuzz::traffic::{Arrival, Traffic};
use pinhole_helper::Pickup;
use pinhole_helpers::registry;
use pinhole_ruleset::{Ruleset, compile_text};
use pinhole_track::State;
use std::fmt::Debug;
use std::sync::LazyLock;

const RULES: &str = r#"
table inet fw {
    ct helper ftp { type "ftp" protocol tcp; }
    ct helper irc { type "irc" protocol tcp; }
    chain pre {
        type filter hook prerouting priority raw;
        udp dport 50000 notrack
    }
    chain forward {
        type filter hook forward priority filter; policy drop;
        ct state established,related counter accept
        ct state invalid limit rate 5/second log prefix "bad " drop
        ct state untracked reject
        tcp dport 21 ct helper set "ftp" ct mark set 7 accept
        tcp dport 6667 ct helper set "irc" accept
    }
}
"#;
const HELPER_MEMORY: usize = 128 << 10;
const CONNS: u32 = 12;
const EVENTS: usize = 32;
/// Bits of the byte of options.
const TRAFFIC: u8 = 1;
const IGNORE_CHECKSUMS: u8 = 2;
const LENIENT: u8 = 4;

fuzz_target!(|input: &[u8]| {
    let Some((&options, input)) = input.split_first() else { return };
    let arrivals: Vec<Arrival> = if options & TRAFFIC != 0 {
        Traffic::new(input).collect()
    } else {
        timed::frames(input)
            .map(|frame| Arrival { time: frame.time, link: frame.link, bytes: frame.bytes.to_vec() })
            .collect()
    };
    let frames: Vec<Frame<'_>> = (1..).zip(&arrivals).map(frame).collect();
    let mut single = engine(options);
    let mut outcomes = Vec::with_capacity(frames.len());
    for frame in &frames {
        let outcome = single.handle(frame);
        check(&single, frame, &outcome);
        outcomes.push(outcome);
    }
    let mut batched = engine(options);
    let mut in_batches = Vec::with_capacity(frames.len());
    batched.handle_batch(&frames, &mut in_batches);
    assert_eq!(told(&outcomes), told(&in_batches));
    assert_eq!(events(&mut single), events(&mut batched));

    if let Some(last) = frames.last() {
        let later = last.time.plus_seconds(60 * 86_400);
        while single.advance(later, 64) {}
        assert!(single.tracker().is_empty());
        assert_eq!((single.host().sessions(), single.host().memory()), (0, 0));
    }
});

fn frame((number, arrival): (u64, &Arrival)) -> Frame<'_> {
    let Arrival { time, link, bytes } = arrival;
    Frame {
        number,
        time: *time,
        link: *link,
        bytes,
        ingress: None,
        egress: None,
        checksum: FrameChecksum::Unknown,
    }
}

fn engine(options: u8) -> Engine {
    let mut settings = Settings {
        checksums: if options & IGNORE_CHECKSUMS != 0 {
            ChecksumPolicy::Ignore
        } else {
            ChecksumPolicy::Verify
        },
        pickup: if options & LENIENT != 0 { Pickup::Lenient } else { Pickup::Strict },
        defrag: DefragSettings { memory: 32 << 10, ..DefragSettings::default() },
        helper_memory: HELPER_MEMORY,
        max_events: EVENTS,
        ..Settings::default()
    };
    settings.track.max_conns = CONNS;
    settings.track.max_expectations = 8;
    Engine::new(settings, registry(), Some(ruleset())).unwrap_or_else(|errors| panic!("{errors:?}"))
}

/// Compiled once a process: that costs more than most inputs.
fn ruleset() -> Ruleset {
    static COMPILED: LazyLock<Ruleset> =
        LazyLock::new(|| compile_text("rules", RULES).expect("the ruleset is right"));
    COMPILED.clone()
}

fn check(engine: &Engine, frame: &Frame<'_>, outcome: &Outcome) {
    assert!(engine.tracker().len() <= CONNS as usize);
    assert!(engine.tracker().expectations().count() <= 8);
    assert!(engine.host().memory() <= HELPER_MEMORY, "{} bytes", engine.host().memory());
    if outcome.verdict == Verdict::Accept && outcome.state == Some(State::New) {
        let conn = outcome.conn.and_then(|id| engine.tracker().original(id));
        // An RST may have ended it already.
        let port = conn.map(|tuple| tuple.destination_port);
        assert!(matches!(port, None | Some(21 | 6667)), "frame {} passed to port {port:?}", frame.number);
    }
}

fn told(outcomes: &[Outcome]) -> String {
    lines(outcomes.iter())
}

fn events(engine: &mut Engine) -> String {
    lines(std::iter::from_fn(|| engine.next_event()))
}

fn lines(items: impl Iterator<Item = impl Debug>) -> String {
    items.map(|item| format!("{item:?}\n")).collect()
}
