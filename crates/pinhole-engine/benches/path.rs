//! The whole path of a packet, from frame to outcome, one thread, with an established-accept ruleset.
//!
//! Workload: UDP flow i = 10.64.0.0+(i>>14):1024+(i&16383) → 10.0.2.2:9000; established packets in the order (k·2654435761) mod N; a TCP life is
//! SYN, SYN/ACK, ACK, FIN/ACK, FIN/ACK, ACK. Frames are rewritten in place in 32 buffers, as a driver would; that cost is
//! measured by itself as `rewrite`.
#![allow(missing_docs, reason = "criterion's macros make public functions")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pinhole_engine::{Engine, Frame, Outcome, Settings, Verdict};
use pinhole_helper::Registry;
use pinhole_wire::{LinkType, Time};
use std::hint::black_box;
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
const BATCH: usize = 32;
const FRAME: usize = 60;
const ETHERNET: LinkType = LinkType(1);
/// Frames come a microsecond apart.
const STEP: u64 = 1_000;

fn engine(conns: u32) -> Engine {
    let mut settings = Settings::default();
    settings.track.max_conns = conns + conns / 8 + 1024;
    settings.track.events = false;
    settings.checksums = pinhole_engine::ChecksumPolicy::Ignore;
    let rules = pinhole_ruleset::compile_text("bench.nft", RULES).expect("the ruleset compiles");
    Engine::new(settings, &Registry::new(), Some(rules)).expect("the engine starts")
}

/// Thirty-two frame buffers that are rewritten in place.
struct Frames {
    buffers: Vec<[u8; FRAME]>,
    outcomes: Vec<Outcome>,
    clock: u64,
}

impl Frames {
    fn new(protocol: u8) -> Self {
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
        Self { buffers: vec![frame; BATCH], outcomes: Vec::with_capacity(BATCH), clock: 0 }
    }

    fn run(&mut self, engine: &mut Engine, expected: Option<Verdict>) {
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
            }
        });
        self.outcomes.clear();
        engine.handle_batch(&frames, &mut self.outcomes);
        self.clock += BATCH as u64 * STEP;
        if let Some(expected) = expected {
            assert!(self.outcomes.iter().all(|o| o.verdict == expected), "{:?}", self.outcomes[0]);
        }
    }
}

fn address(frame: &mut [u8; FRAME], flow: u32, reply: bool, client_offset: u32) {
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
fn udp_batches(
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

fn populated(conns: u32) -> (Engine, Frames) {
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

fn established(c: &mut Criterion) {
    let mut group = c.benchmark_group("established");
    group.throughput(Throughput::Elements(1)).sample_size(20).measurement_time(Duration::from_secs(3));
    for conns in [1u32, 65_536, 1_048_576] {
        let (mut engine, mut frames) = populated(conns);
        let mut first = 0u64;
        group.bench_function(BenchmarkId::from_parameter(conns), |b| {
            b.iter_custom(|packets| {
                let batches = packets.div_ceil(BATCH as u64);
                let order = |k: u64| (k.wrapping_mul(2_654_435_761) % u64::from(conns)) as u32;
                let start = Instant::now();
                udp_batches(&mut engine, &mut frames, first, batches, false, order);
                first += batches * BATCH as u64;
                start.elapsed().mul_f64(packets as f64 / (batches * BATCH as u64) as f64)
            });
        });
    }
    group.finish();
}

fn rewrite(c: &mut Criterion) {
    let mut frames = Frames::new(17);
    let mut group = c.benchmark_group("rewrite");
    group.throughput(Throughput::Elements(1));
    group.bench_function("in place", |b| {
        let mut k = 0u32;
        b.iter(|| {
            k = k.wrapping_add(1);
            address(&mut frames.buffers[(k as usize) % BATCH], k, false, 0);
            black_box(&frames.buffers);
        });
    });
    group.finish();
}

fn new_conns(c: &mut Criterion) {
    let mut group = c.benchmark_group("new");
    group.throughput(Throughput::Elements(1)).sample_size(10).measurement_time(Duration::from_secs(3));
    for conns in [65_536u32, 1_048_576] {
        group.bench_function(BenchmarkId::from_parameter(conns), |b| {
            b.iter_custom(|packets| {
                let (mut time, mut done) = (Duration::ZERO, 0u64);
                while done < packets {
                    let mut engine = engine(conns);
                    let mut frames = Frames::new(17);
                    let now = (packets - done).min(u64::from(conns)).div_ceil(BATCH as u64);
                    let start = Instant::now();
                    udp_batches(&mut engine, &mut frames, 0, now, false, |k| k as u32);
                    let counted = now * BATCH as u64;
                    time += start.elapsed().mul_f64((packets - done).min(counted) as f64 / counted as f64);
                    done += counted;
                }
                time
            });
        });
    }
    group.finish();
}

/// TCP: header fields of one step of a life.
fn tcp(frame: &mut [u8; FRAME], sequence: u32, acknowledgement: u32, flags: u8) {
    frame[38..42].copy_from_slice(&sequence.to_be_bytes());
    frame[42..46].copy_from_slice(&acknowledgement.to_be_bytes());
    frame[47] = flags;
    frame[48..50].copy_from_slice(&8192u16.to_be_bytes());
}

fn tcp_life(c: &mut Criterion) {
    const SYN: u8 = 2;
    const ACK: u8 = 16;
    const FIN_ACK: u8 = 17;
    let steps: [(bool, u32, u32, u8); 6] = [
        (false, 1000, 0, SYN),
        (true, 5000, 1001, SYN | ACK),
        (false, 1001, 5001, ACK),
        (false, 1001, 5001, FIN_ACK),
        (true, 5001, 1002, FIN_ACK),
        (false, 1002, 5002, ACK),
    ];
    let mut group = c.benchmark_group("tcp life of six packets");
    group.throughput(Throughput::Elements(1)).sample_size(10).measurement_time(Duration::from_secs(4));
    for conns in [65_536u32, 1_048_576] {
        let (mut engine, _) = populated(conns);
        let mut frames = Frames::new(6);
        let mut first = 0u32;
        group.bench_function(BenchmarkId::new("beside", conns), |b| {
            b.iter_custom(|lives| {
                let batches = lives.div_ceil(BATCH as u64);
                let start = Instant::now();
                for _ in 0..batches {
                    for (reply, sequence, acknowledgement, flags) in steps {
                        for (k, frame) in frames.buffers.iter_mut().enumerate() {
                            address(frame, first.wrapping_add(k as u32) % conns, reply, 0x0001_0000);
                            tcp(frame, sequence, acknowledgement, flags);
                        }
                        frames.run(&mut engine, Some(Verdict::Accept));
                    }
                    first = first.wrapping_add(BATCH as u32);
                }
                start.elapsed().mul_f64(lives as f64 / (batches * BATCH as u64) as f64)
            });
        });
    }
    group.finish();
}

/// Established TCP conns with window checks, each packet one further byte-less ACK.
fn tcp_established(c: &mut Criterion) {
    let mut group = c.benchmark_group("established tcp");
    group.throughput(Throughput::Elements(1)).sample_size(20).measurement_time(Duration::from_secs(3));
    for conns in [65_536u32, 1_048_576] {
        let mut engine = engine(conns);
        let mut frames = Frames::new(6);
        for (reply, sequence, acknowledgement, flags) in
            [(false, 1000, 0, 2), (true, 5000, 1001, 18), (false, 1001, 5001, 16)]
        {
            for start in (0..conns).step_by(BATCH) {
                for (k, frame) in frames.buffers.iter_mut().enumerate() {
                    address(frame, start + k as u32, reply, 0);
                    tcp(frame, sequence, acknowledgement, flags);
                }
                frames.run(&mut engine, Some(Verdict::Accept));
            }
        }
        let mut k = 0u64;
        group.bench_function(BenchmarkId::from_parameter(conns), |b| {
            b.iter_custom(|packets| {
                let batches = packets.div_ceil(BATCH as u64);
                let start = Instant::now();
                for _ in 0..batches {
                    for frame in &mut frames.buffers {
                        address(frame, (k.wrapping_mul(2_654_435_761) % u64::from(conns)) as u32, false, 0);
                        k += 1;
                    }
                    frames.run(&mut engine, None);
                }
                assert!(frames.outcomes.iter().all(|o| o.verdict == Verdict::Accept));
                start.elapsed().mul_f64(packets as f64 / (batches * BATCH as u64) as f64)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, rewrite, established, tcp_established, new_conns, tcp_life);
criterion_main!(benches);
