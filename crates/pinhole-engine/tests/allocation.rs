//! In its steady state the engine allocates nothing: not for packets of established conns, not for lines that announce nothing, not for the
//! passing of time.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap is the test's message")]

mod support;

use pinhole_engine::{Engine, Frame, Outcome, Settings, Verdict};
use pinhole_track::State;
use pinhole_wire::{Direction, LinkType, Time};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use support::conversation::{Conversation, syn, udp};
use support::lab::address;

struct Counting;

thread_local! {
    /// Of this thread, so that tests beside each other count their own.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is handed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // Fails only while the thread ends, when nothing is counted any more.
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of this thread during a call.
fn allocations(run: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    run();
    ALLOCATIONS.get() - before
}

/// Established packets meet counters, sets, maps and a limit on their way to the rule that accepts them.
const RULES: &str = r#"table inet firewall {
    ct helper ftp-reader { type "ftp" protocol tcp; }
    ct helper irc-reader { type "irc" protocol tcp; }
    set bogons { type ipv4_addr; flags interval; elements = { 127.0.0.0/8, 224.0.0.0/4 } }
    chain raw {
        type filter hook prerouting priority raw; policy accept;
        ip saddr @bogons drop
    }
    chain forward {
        type filter hook forward priority filter; policy drop;
        counter
        ip saddr . tcp dport { 203.0.113.1 . 1, 203.0.113.2 . 2 } drop
        limit rate over 100000000/second drop
        ct state vmap { invalid : drop, established : jump flows, related : jump flows }
        ct state new tcp dport vmap { 21 : jump ftp, 6667 : jump irc, 80 : accept }
        ct state new meta l4proto { udp, icmp } accept
    }
    chain ftp { ct helper set "ftp-reader" accept }
    chain irc { ct helper set "irc-reader" accept }
    chain flows { counter ct mark set 1 accept }
}
"#;

/// Who says what.
type Said = (Direction, &'static [u8]);

const C: Direction = Direction::Original;
const S: Direction = Direction::Reply;

/// An engine that handles batches, with everything that the test itself needs allocated before.
struct Batches {
    engine: Engine,
    outcomes: Vec<Outcome>,
    now: Time,
}

impl Batches {
    fn new(events: bool) -> Self {
        let mut settings = Settings::default();
        settings.track.events = events;
        let rules = pinhole_ruleset::compile_text("firewall.nft", RULES).unwrap();
        let engine = Engine::new(settings, pinhole_helpers::registry(), Some(rules)).unwrap();
        Self { engine, outcomes: Vec::with_capacity(4096), now: Time::from_seconds(1_700_000_000) }
    }

    /// All in one batch, none dropped.
    fn accept(&mut self, packets: &[Vec<u8>], state: Option<State>) {
        const EMPTY: Frame<'_> = Frame {
            number: 0,
            time: Time(0),
            link: LinkType::RAW,
            bytes: &[],
            ingress: None,
            egress: None,
            checksum: pinhole_engine::FrameChecksum::Unknown,
        };
        for chunk in packets.chunks(64) {
            let mut frames = [EMPTY; 64];
            for (frame, bytes) in frames.iter_mut().zip(chunk) {
                self.now = self.now.plus_nanos(1000);
                *frame = Frame { time: self.now, bytes, ..EMPTY };
            }
            self.outcomes.clear();
            self.engine.handle_batch(&frames[..chunk.len()], &mut self.outcomes);
            for outcome in &self.outcomes {
                assert_eq!(outcome.verdict, Verdict::Accept, "{outcome:?}");
                assert!(state.is_none() || outcome.state == state, "{outcome:?}");
            }
            while self.engine.next_event().is_some() {}
        }
    }
}

fn host(index: u32) -> IpAddr {
    Ipv4Addr::from_bits(0x0a00_0000 + index).into()
}

#[test]
fn packets_of_established_conns() {
    let mut batches = Batches::new(true);
    let mut packets = Vec::new();
    for index in 1..=500 {
        let client = SocketAddr::new(host(index), 4000);
        let conn = Conversation::new(client, address("192.0.2.1:80"));
        batches.accept(&conn.handshake(), None);
        packets.extend([conn.acknowledge(C), conn.acknowledge(S), conn.at(C, 0, b"again and again")]);
        let (question, answer) =
            (udp(client, address("192.0.2.1:53"), b"?"), udp(address("192.0.2.1:53"), client, b"!"));
        batches.accept(&[question.clone(), answer.clone()], None);
        packets.extend([question, answer]);
    }
    // UDP conns become streams, conns are assured, events are told: once.
    for _ in 0..3 {
        batches.now = batches.now.plus_seconds(3);
        batches.accept(&packets, Some(State::Established));
    }
    let count = allocations(|| {
        for _ in 0..20 {
            // So long that timers come due and are parked anew.
            batches.now = batches.now.plus_seconds(100);
            batches.accept(&packets, Some(State::Established));
            while batches.engine.advance(batches.now, 1000) {}
        }
    });
    assert_eq!(count, 0);
    // A packet that the rules drop makes and unmakes a conn; one that is invalid makes none.
    let dropped = udp(address("127.0.0.1:53"), address("192.0.2.1:53"), b"bogus");
    let frame = Frame {
        number: 0,
        time: batches.now,
        link: LinkType::RAW,
        bytes: &dropped,
        ingress: None,
        egress: None,
        checksum: pinhole_engine::FrameChecksum::Unknown,
    };
    let policy = syn(address("10.0.0.1:4000"), address("192.0.2.1:81"));
    let unknown = Frame { bytes: &policy, ..frame };
    for frame in [frame, unknown] {
        batches.engine.handle(&frame);
        let count = allocations(|| {
            for _ in 0..100 {
                assert_eq!(batches.engine.handle(&frame).verdict, Verdict::Drop);
            }
        });
        assert_eq!(count, 0);
    }
}

#[test]
fn lines_that_announce_nothing() {
    let mut batches = Batches::new(true);
    let dialogues: [(&str, &[Said]); 2] = [
        (
            "192.0.2.1:21",
            &[
                (C, b"TYPE I\r\n"),
                (S, b"200 binary\r\n"),
                (C, b"SIZE a"),
                (C, b" file\r\nCWD /\r\n"),
                (S, b"213 17\r\n250-welcome\r\nto the\r\n250 directory\r\n"),
            ],
        ),
        (
            "192.0.2.1:6667",
            &[
                (C, b"PRIVMSG #all :hello everyone\r\nPING"),
                (C, b" :x\r\n"),
                (S, b":irc PONG :x\r\n:bob!b@h PRIVMSG alice :\x01ACTION waves\x01\r\n"),
            ],
        ),
    ];
    for (server, lines) in dialogues {
        let mut control = Conversation::new(address("10.0.0.1:40000"), address(server));
        batches.accept(&control.handshake(), None);
        let opening: &[Said] = if server.ends_with(":21") {
            &[(S, b"220 ready\r\n")]
        } else {
            &[(C, b"NICK a\r\n"), (S, b":irc 001 a :hello\r\n")]
        };
        for (from, said) in opening {
            batches.accept(&[control.say(*from, said)], None);
        }
        let mut rounds: Vec<Vec<Vec<u8>>> = (0..60)
            .map(|_| {
                let mut packets: Vec<_> = lines.iter().map(|(from, said)| control.say(*from, said)).collect();
                packets.extend([control.acknowledge(C), control.acknowledge(S)]);
                packets
            })
            .collect();
        let steady = rounds.split_off(10);
        rounds.iter().for_each(|packets| batches.accept(packets, None));
        let count = allocations(|| steady.iter().for_each(|p| batches.accept(p, Some(State::Established))));
        assert_eq!(count, 0, "{server}");
        let reads = batches.engine.host().sessions();
        assert!(reads > 0, "{server}");
    }
    assert_eq!(batches.engine.host().sessions(), 2);
}

#[test]
fn time_that_passes_and_conns_that_end() {
    // Events about conns that end are boxes of their own; without them nothing is left to allocate.
    let mut batches = Batches::new(false);
    let wave = |offset: u32| -> Vec<Vec<u8>> {
        (0..4000)
            .map(|index| udp(SocketAddr::new(host(offset + index), 4000), address("192.0.2.1:53"), b"?"))
            .collect()
    };
    let waves: Vec<_> = (0..4).map(|number| wave(number * 4000)).collect();
    let run = |batches: &mut Batches, packets: &[Vec<u8>]| {
        batches.accept(packets, Some(State::New));
        assert_eq!(batches.engine.tracker().len(), 4000);
        for _ in 0..70 {
            batches.now = batches.now.plus_seconds(1);
            while batches.engine.advance(batches.now, 100) {}
        }
        assert_eq!(batches.engine.tracker().len(), 0);
    };
    run(&mut batches, &waves[0]);
    let count = allocations(|| waves[1..].iter().for_each(|packets| run(&mut batches, packets)));
    assert_eq!(count, 0);
}
