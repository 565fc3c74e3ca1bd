//! What NAT adds to the path of a packet: conns behind one masquerade address, to sixteen servers. See `path.rs` for what is common.
#![allow(missing_docs, reason = "criterion's macros make public functions")]

#[allow(dead_code, reason = "each benchmark uses its part")]
mod workload;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::time::{Duration, Instant};
use workload::{BATCH, Frames, nat};

fn established(c: &mut Criterion) {
    let mut group = c.benchmark_group("established, sixteen servers");
    group.throughput(Throughput::Elements(1)).sample_size(20).measurement_time(Duration::from_secs(3));
    for conns in [65_536u32, 1_000_000] {
        for (name, masquerades) in [("plain", false), ("masqueraded", true)] {
            let (mut engine, mut frames) = nat::populated(conns, masquerades);
            let mut first = 0u64;
            group.bench_function(BenchmarkId::new(name, conns), |b| {
                b.iter_custom(|packets| {
                    let batches = packets.div_ceil(BATCH as u64);
                    let order = |k: u64| (k.wrapping_mul(2_654_435_761) % u64::from(conns)) as u32;
                    let start = Instant::now();
                    nat::batches(&mut engine, &mut frames, first, batches, order);
                    first += batches * BATCH as u64;
                    start.elapsed().mul_f64(packets as f64 / (batches * BATCH as u64) as f64)
                });
            });
        }
    }
    group.finish();
}

fn new_conns(c: &mut Criterion) {
    let mut group = c.benchmark_group("new, sixteen servers");
    group.throughput(Throughput::Elements(1)).sample_size(10).measurement_time(Duration::from_secs(3));
    for (name, masquerades) in [("plain", false), ("masqueraded", true)] {
        for conns in [65_536u32, 1_000_000] {
            group.bench_function(BenchmarkId::new(name, conns), |b| {
                b.iter_custom(|packets| {
                    let (mut time, mut done) = (Duration::ZERO, 0u64);
                    while done < packets {
                        let mut engine = nat::engine(conns, masquerades);
                        let mut frames = Frames::new(17);
                        let now = u64::from(conns) / BATCH as u64;
                        let start = Instant::now();
                        nat::batches(&mut engine, &mut frames, 0, now, |k| k as u32);
                        let counted = now * BATCH as u64;
                        time +=
                            start.elapsed().mul_f64((packets - done).min(counted) as f64 / counted as f64);
                        done += counted;
                    }
                    time
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, established, new_conns);
criterion_main!(benches);
