//! The worst inputs of each parser, by the byte.

#![allow(missing_docs, reason = "criterion makes functions that cannot be documented")]
#![allow(dead_code, reason = "the test of these inputs uses the rest")]

#[path = "../tests/worst_inputs/inputs.rs"]
mod inputs;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use inputs::{Conn, INPUTS};

fn read(criterion: &mut Criterion) {
    let registry = pinhole_helpers::registry();
    let mut group = criterion.benchmark_group("worst");
    for input in INPUTS {
        let Some(helper) = registry.iter().find(|helper| helper.spec().name == input.helper) else {
            continue;
        };
        let bytes = (input.bytes)(16 * 1024);
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(format!("{}/{}", input.helper, input.name), |bencher| {
            bencher.iter_batched_ref(
                || Conn::open(helper, input),
                |conn| conn.say(input, input.from, &bytes),
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, read);
criterion_main!(benches);
