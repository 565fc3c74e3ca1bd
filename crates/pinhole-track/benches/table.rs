//! The conn table alone: lookup, creation, judgement, without rules.
//!
//! The workload is that of `docs/performance.md`: UDP flow i goes from 10.64.0.0+(i>>14), port 1024+(i&16383), to 10.0.2.2:9000;
//! established packets come in the order (k * 2654435761) mod N, in batches of 32. Times are of one packet: parsed beforehand, then
//! prepared, touched and tracked. It is the thread's processor time, so that other work on the machine disturbs less.

#![allow(missing_docs, clippy::expect_used)] // criterion's macro makes public functions; a bench may fail loudly

use cpu_time::ThreadTime;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pinhole_track::l4::L4Settings;
use pinhole_track::{Settings, Tracker};
use pinhole_wire::{Packet, Time};
use std::hint::black_box;
use std::time::Duration;

const BATCH: usize = 32;
const SECRET: [u64; 2] = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];
const NOW: Time = Time(1_700_000_000_000_000_000);
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;
const FIN: u8 = 0x01;

fn settings(conns: usize) -> Settings {
    Settings {
        max_conns: conns as u32,
        events: false,
        preallocate: true,
        l4: L4Settings::default(),
        ..Settings::default()
    }
}

/// A frame of which addresses and ports are rewritten in place.
struct Frame(Vec<u8>);

impl Frame {
    fn udp() -> Self {
        let mut bytes = vec![0x45, 0, 0, 100, 0, 0, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        bytes.extend([0, 0, 0, 0, 0, 80, 0, 0]);
        bytes.resize(100, 0);
        Self(bytes)
    }

    fn tcp() -> Self {
        let mut bytes = vec![0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        bytes.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0, 0xff, 0xff, 0, 0, 0, 0]);
        Self(bytes)
    }

    fn address(&mut self, flow: usize, reply: bool) {
        let client = (0x0a40_0000 + (flow >> 14) as u32).to_be_bytes();
        let server = [10, 0, 2, 2];
        let ports = ((1024 + (flow & 16383) as u16).to_be_bytes(), 9000_u16.to_be_bytes());
        let (source, destination) = if reply { (server, client) } else { (client, server) };
        let (source_port, destination_port) = if reply { (ports.1, ports.0) } else { ports };
        self.0[12..16].copy_from_slice(&source);
        self.0[16..20].copy_from_slice(&destination);
        self.0[20..22].copy_from_slice(&source_port);
        self.0[22..24].copy_from_slice(&destination_port);
    }

    fn numbers(&mut self, flags: u8, sequence: u32, acknowledgement: u32) {
        self.0[24..28].copy_from_slice(&sequence.to_be_bytes());
        self.0[28..32].copy_from_slice(&acknowledgement.to_be_bytes());
        self.0[33] = flags;
    }

    fn parse(&self) -> Packet {
        Packet::parse(&self.0, 0).expect("well-formed")
    }
}

/// Parsed packets with the bytes they were parsed from.
type Parsed = Vec<(Packet, Box<[u8]>)>;

fn parsed(frames: impl Iterator<Item = Frame>) -> Parsed {
    frames.map(|frame| (frame.parse(), frame.0.into())).collect()
}

fn pass(tracker: &mut Tracker, packets: &[(Packet, Box<[u8]>)]) {
    for batch in packets.chunks(BATCH) {
        let mut prepared = [None; BATCH];
        for (prepared, (packet, bytes)) in prepared.iter_mut().zip(batch) {
            *prepared = Some(tracker.prepare(packet, bytes, 0));
        }
        for prepared in prepared.iter().flatten() {
            tracker.touch_slot(prepared);
        }
        for prepared in prepared.iter_mut().flatten() {
            tracker.touch(prepared);
        }
        for (prepared, (packet, bytes)) in prepared.iter().flatten().zip(batch) {
            let tracked = tracker.track(NOW, packet, bytes, prepared).expect("the table is large enough");
            if tracked.created
                && let Some(conn) = tracked.conn
            {
                tracker.confirm(NOW, conn);
            }
            black_box(tracked.state);
        }
    }
}

fn flows(order: impl Iterator<Item = usize>) -> Parsed {
    parsed(order.map(|flow| {
        let mut frame = Frame::udp();
        frame.address(flow, false);
        frame
    }))
}

fn scattered(conns: usize) -> impl Iterator<Item = usize> {
    (0..conns).map(move |k| k.wrapping_mul(2_654_435_761) % conns)
}

/// Packets that are parsed and measured at a time: the frames themselves must not fill the cache.
const WINDOW: usize = 512;

fn established(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("established udp");
    group.throughput(Throughput::Elements(1)).measurement_time(Duration::from_secs(4)).sample_size(20);
    for conns in [1, 65_536, 1_048_576] {
        let mut tracker = Tracker::new(settings(conns), SECRET);
        pass(&mut tracker, &flows(0..conns));
        let order: Vec<usize> = scattered(conns).collect();
        group.bench_function(conns.to_string(), |bencher| {
            bencher.iter_custom(|packets| timed(&mut tracker, packets, &order, |flow| flows(flow)));
        });
    }
    group.finish();
}

/// Runs `packets` packets of flows in this order through the tracker; parsing is not timed.
fn timed(
    tracker: &mut Tracker,
    packets: u64,
    order: &[usize],
    parse: impl Fn(std::iter::Copied<std::slice::Iter<'_, usize>>) -> Parsed,
) -> Duration {
    let mut elapsed = Duration::ZERO;
    let mut left = packets as usize;
    let mut at = 0;
    let repeated: Vec<usize> = order.iter().copied().cycle().take(order.len().max(WINDOW)).collect();
    while left > 0 {
        let end = (at + left.min(WINDOW)).min(repeated.len());
        let window = parse(repeated[at..end].iter().copied());
        let start = ThreadTime::now();
        pass(tracker, &window);
        elapsed += start.elapsed();
        left -= end - at;
        at = if end == repeated.len() { 0 } else { end };
    }
    elapsed
}

fn established_tcp(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("established tcp, with window checks");
    group.throughput(Throughput::Elements(1)).measurement_time(Duration::from_secs(4)).sample_size(20);
    let frame = |flow, reply, flags, sequence, acknowledgement| {
        let mut frame = Frame::tcp();
        frame.address(flow, reply);
        frame.numbers(flags, sequence, acknowledgement);
        frame
    };
    for conns in [1, 65_536, 1_048_576] {
        let mut tracker = Tracker::new(settings(conns), SECRET);
        for flow in 0..conns {
            let handshake = [
                frame(flow, false, SYN, 100, 0),
                frame(flow, true, SYN | ACK, 500, 101),
                frame(flow, false, ACK, 101, 501),
            ];
            for step in handshake {
                pass(&mut tracker, &parsed([step].into_iter()));
            }
        }
        let order: Vec<usize> = scattered(conns).collect();
        group.bench_function(conns.to_string(), |bencher| {
            bencher.iter_custom(|packets| {
                timed(&mut tracker, packets, &order, |flows| {
                    parsed(flows.map(|flow| {
                        frame(
                            flow,
                            flow & 1 == 1,
                            ACK,
                            if flow & 1 == 1 { 501 } else { 101 },
                            if flow & 1 == 1 { 101 } else { 501 },
                        )
                    }))
                })
            });
        });
    }
    group.finish();
}

/// Time of passing all packets through an empty table, `rounds` times. Making and dropping the tables is not timed.
fn fresh_tables(rounds: u64, conns: usize, packets: &[(Packet, Box<[u8]>)]) -> Duration {
    let mut elapsed = Duration::ZERO;
    for _ in 0..rounds {
        let mut tracker = Tracker::new(settings(conns), SECRET);
        let start = ThreadTime::now();
        pass(&mut tracker, packets);
        elapsed += start.elapsed();
    }
    elapsed
}

fn new_conns(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("new udp");
    group.measurement_time(Duration::from_secs(4)).sample_size(10);
    for conns in [65_536, 1_048_576] {
        let packets = flows(0..conns);
        group.throughput(Throughput::Elements(conns as u64));
        group.bench_function(conns.to_string(), |bencher| {
            bencher.iter_custom(|rounds| fresh_tables(rounds, conns, &packets));
        });
    }
    group.finish();
}

fn tcp_lives(criterion: &mut Criterion) {
    const LIVES: usize = 8192;
    let mut packets = Vec::new();
    for flow in 0..LIVES {
        let steps = [
            (false, SYN, 100, 0),
            (true, SYN | ACK, 500, 101),
            (false, ACK, 101, 501),
            (false, FIN | ACK, 101, 501),
            (true, FIN | ACK, 501, 102),
            (false, ACK, 102, 502),
        ];
        for (reply, flags, sequence, acknowledgement) in steps {
            let mut frame = Frame::tcp();
            frame.address(flow, reply);
            frame.numbers(flags, sequence, acknowledgement);
            packets.push((frame.parse(), frame.0.into_boxed_slice()));
        }
    }
    let mut group = criterion.benchmark_group("tcp life of six packets");
    group.throughput(Throughput::Elements(LIVES as u64));
    group.bench_function("8192", |bencher| {
        bencher.iter_custom(|rounds| fresh_tables(rounds, LIVES, &packets));
    });
    group.finish();
}

fn expiry(criterion: &mut Criterion) {
    const CONNS: usize = 1_048_576;
    const BUDGET: usize = 256;
    let packets = flows(0..CONNS);
    let mut group = criterion.benchmark_group("expiry of 1 M conns");
    group.sample_size(10).throughput(Throughput::Elements(CONNS as u64));
    group.bench_function("all", |bencher| {
        let mut longest = Duration::ZERO;
        bencher.iter_custom(|rounds| {
            let mut total = Duration::ZERO;
            for _ in 0..rounds {
                let mut tracker = Tracker::new(settings(CONNS), SECRET);
                pass(&mut tracker, &packets);
                let mut more = true;
                while more {
                    let start = ThreadTime::now();
                    more = tracker.advance(NOW.plus_seconds(1000), BUDGET);
                    let call = start.elapsed();
                    longest = longest.max(call);
                    total += call;
                }
                assert!(tracker.is_empty());
            }
            total
        });
        eprintln!("longest call of advance with a budget of {BUDGET}: {longest:?}");
    });
    group.finish();
}

criterion_group!(benches, established, established_tcp, new_conns, tcp_lives, expiry);
criterion_main!(benches);
