//! The workload of the path benchmarks: an engine with an established-accept ruleset, and frames that are rewritten in place.
//!
//! UDP flow i = 10.64.0.0+(i>>14):1024+(i&16383) → 10.0.2.2:9000; TCP flows the same to port 80.
#![allow(clippy::expect_used, reason = "a benchmark that cannot start has nothing to measure")]

pub(crate) mod nat;

use pinhole_engine::{Content, Engine, Frame, Outcome, Settings, Verdict};
use pinhole_helper::Registry;
use pinhole_wire::{LinkType, Time};
use std::time::{Duration, Instant};

const RULES: &str = "
table inet fw {
    chain forward {
        type filter hook forward priority 0; policy drop;
        ct state established,related accept
        ct state new udp dport 9000 accept
        ct state new tcp dport 80 accept
    }
}";
pub(crate) const BATCH: usize = 32;
const FRAME: usize = 60;
const ETHERNET: LinkType = LinkType(1);
/// Frames come a microsecond apart.
const STEP: u64 = 1_000;

pub(crate) fn engine(conns: u32) -> Engine {
    let mut settings = Settings::default();
    settings.track.max_conns = 2 * conns + (1 << 17);
    settings.track.events = false;
    settings.checksums = pinhole_engine::ChecksumPolicy::Ignore;
    let rules = pinhole_ruleset::compile_text("bench.nft", RULES).expect("the ruleset compiles");
    Engine::new(settings, Registry::new(), Some(rules)).expect("the engine starts")
}

/// Thirty-two frame buffers that are rewritten in place.
pub(crate) struct Frames {
    pub(crate) buffers: Vec<[u8; FRAME]>,
    pub(crate) outcomes: Vec<Outcome>,
    clock: u64,
    /// The engine's own time, with that of translating frames, if it is to be taken: what writing them costs is not in it.
    pub(crate) spent: Option<Duration>,
}

impl Frames {
    pub(crate) fn new(protocol: u8) -> Self {
        let mut frame = [0u8; FRAME];
        frame[12] = 8;
        frame[14] = 0x45;
        frame[17] = 46;
        frame[22] = 64;
        frame[23] = protocol;
        frame[39] = 26;
        if protocol == 6 {
            frame[17] = 40;
            frame[46] = 0x50;
        }
        Self { buffers: vec![frame; BATCH], outcomes: Vec::with_capacity(BATCH), clock: 0, spent: None }
    }

    /// Lets time pass without packets.
    pub(crate) fn wait(&mut self, nanoseconds: u64) {
        self.clock += nanoseconds;
    }

    pub(crate) fn run(&mut self, engine: &mut Engine, expected: Option<Verdict>) {
        let (clock, mut number) = (self.clock, 0);
        let frames: [Frame<'_>; BATCH] = std::array::from_fn(|k| {
            number += 1;
            Frame {
                number,
                time: Time(clock + number * STEP),
                link: ETHERNET,
                bytes: &self.buffers[k],
                ingress: None,
                egress: None,
                checksum: pinhole_engine::FrameChecksum::Unknown,
            }
        });
        self.outcomes.clear();
        let start = self.spent.map(|_| Instant::now());
        engine.handle_batch(&frames, &mut self.outcomes);
        while engine.next_event().is_some() {}
        translate(engine, &mut self.buffers);
        if let (Some(spent), Some(start)) = (&mut self.spent, start) {
            *spent += start.elapsed();
        }
        self.clock += BATCH as u64 * STEP;
        if let Some(expected) = expected {
            assert!(self.outcomes.iter().all(|o| o.verdict == expected), "{:?}", self.outcomes[0]);
        }
    }
}

/// Translates frames where they lie, as who sends them does.
fn translate(engine: &Engine, frames: &mut [[u8; FRAME]]) {
    for made in engine.output() {
        let frame = frames.get_mut(made.frame as usize - 1).expect("a frame of the batch");
        match made.content {
            Content::Whole(bytes) => frame.copy_from_slice(bytes),
            Content::Patched(patch) => {
                let mut patch = *patch;
                assert!(patch.exchange(frame));
            }
        }
    }
}

pub(crate) fn address(frame: &mut [u8; FRAME], flow: u32, reply: bool, client_offset: u32) {
    let client = (0x0a40_0000u32 + client_offset + (flow >> 14)).to_be_bytes();
    let port = (1024 + (flow & 16383) as u16).to_be_bytes();
    let server = [10, 0, 2, 2];
    let (source, destination) = if reply { (server, client) } else { (client, server) };
    frame[26..30].copy_from_slice(&source);
    frame[30..34].copy_from_slice(&destination);
    let (at_client, at_server) = if reply { (36, 34) } else { (34, 36) };
    frame[at_client..at_client + 2].copy_from_slice(&port);
    let service: u16 = if frame[23] == 6 { 80 } else { 9000 };
    frame[at_server..at_server + 2].copy_from_slice(&service.to_be_bytes());
}

/// One packet of each of `count` flows in the order `order`, `rounds` batches.
pub(crate) fn udp_batches(
    engine: &mut Engine,
    frames: &mut Frames,
    first: u64,
    batches: u64,
    reply: bool,
    order: impl Fn(u64) -> u32,
) {
    for batch in 0..batches {
        for (k, frame) in frames.buffers.iter_mut().enumerate() {
            address(frame, order(first + batch * BATCH as u64 + k as u64), reply, 0);
        }
        frames.run(engine, None);
    }
}

pub(crate) fn populated(conns: u32) -> (Engine, Frames) {
    let mut engine = engine(conns);
    let mut frames = Frames::new(17);
    for start in (0..conns.max(BATCH as u32)).step_by(BATCH) {
        for (k, frame) in frames.buffers.iter_mut().enumerate() {
            address(frame, (start + k as u32) % conns, false, 0);
        }
        frames.run(&mut engine, Some(Verdict::Accept));
    }
    udp_batches(&mut engine, &mut frames, 0, u64::from(conns).div_ceil(BATCH as u64), true, |k| {
        (k % u64::from(conns)) as u32
    });
    (engine, frames)
}

/// TCP: header fields of one step of a life.
pub(crate) fn tcp(frame: &mut [u8; FRAME], sequence: u32, acknowledgement: u32, flags: u8) {
    frame[38..42].copy_from_slice(&sequence.to_be_bytes());
    frame[42..46].copy_from_slice(&acknowledgement.to_be_bytes());
    frame[47] = flags;
    frame[48..50].copy_from_slice(&8192u16.to_be_bytes());
}

const SYN: u8 = 2;
const ACK: u8 = 16;
const FIN_ACK: u8 = 17;

/// A TCP life: direction, sequence, acknowledgement and flags of its six packets.
pub(crate) const LIFE: [(bool, u32, u32, u8); 6] = [
    (false, 1000, 0, SYN),
    (true, 5000, 1001, SYN | ACK),
    (false, 1001, 5001, ACK),
    (false, 1001, 5001, FIN_ACK),
    (true, 5001, 1002, FIN_ACK),
    (false, 1002, 5002, ACK),
];

/// An engine with `conns` established TCP conns, and frames that are one further byte-less ACK each.
pub(crate) fn populated_tcp(conns: u32) -> (Engine, Frames) {
    let mut engine = engine(conns);
    let mut frames = Frames::new(6);
    for (reply, sequence, acknowledgement, flags) in LIFE.into_iter().take(3) {
        for start in (0..conns.max(BATCH as u32)).step_by(BATCH) {
            for (k, frame) in frames.buffers.iter_mut().enumerate() {
                address(frame, (start + k as u32) % conns, reply, 0);
                tcp(frame, sequence, acknowledgement, flags);
            }
            frames.run(&mut engine, Some(Verdict::Accept));
        }
    }
    (engine, frames)
}

/// `lives` whole TCP lives (rounded up to batches), beginning with flow `first`.
pub(crate) fn tcp_lives(engine: &mut Engine, frames: &mut Frames, first: u32, lives: u64, conns: u32) {
    for batch in 0..lives.div_ceil(BATCH as u64) as u32 {
        for (reply, sequence, acknowledgement, flags) in LIFE {
            for (k, frame) in frames.buffers.iter_mut().enumerate() {
                let flow = first.wrapping_add(batch * BATCH as u32 + k as u32) % conns;
                address(frame, flow, reply, 0x0001_0000);
                tcp(frame, sequence, acknowledgement, flags);
            }
            frames.run(engine, Some(Verdict::Accept));
        }
    }
}
