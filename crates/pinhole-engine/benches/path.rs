//! The whole path of a packet, from frame to outcome, one thread, with an established-accept ruleset.
//!
//! Workload: UDP flow i = 10.64.0.0+(i>>14):1024+(i&16383) → 10.0.2.2:9000; established packets in the order (k·2654435761) mod N; a TCP life is
//! SYN, SYN/ACK, ACK, FIN/ACK, FIN/ACK, ACK. Frames are rewritten in place in 32 buffers, as a driver would; that cost is
//! measured by itself as `rewrite`.
#![allow(missing_docs, reason = "criterion's macros make public functions")]

#[allow(dead_code, reason = "each benchmark uses its part")]
mod workload;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pinhole_engine::Verdict;
use std::hint::black_box;
use std::time::{Duration, Instant};
use workload::{BATCH, Frames, address, engine, populated, populated_tcp, tcp_lives, udp_batches};

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

fn tcp_life(c: &mut Criterion) {
    let mut group = c.benchmark_group("tcp life of six packets");
    group.throughput(Throughput::Elements(1)).sample_size(10).measurement_time(Duration::from_secs(4));
    for conns in [65_536u32, 1_048_576] {
        let (mut engine, _) = populated(conns);
        let mut frames = Frames::new(6);
        let mut first = 0u32;
        group.bench_function(BenchmarkId::new("beside", conns), |b| {
            b.iter_custom(|lives| {
                let start = Instant::now();
                tcp_lives(&mut engine, &mut frames, first, lives, conns);
                let done = lives.div_ceil(BATCH as u64) * BATCH as u64;
                first = first.wrapping_add(done as u32);
                start.elapsed().mul_f64(lives as f64 / done as f64)
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
        let (mut engine, mut frames) = populated_tcp(conns);
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
