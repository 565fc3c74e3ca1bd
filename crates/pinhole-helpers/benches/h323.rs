//! Time of a helper per H.323 message: reading, judging, asking. The messages are those that the encoder of the helper's tests writes.

#![allow(missing_docs, reason = "criterion makes functions that cannot be documented")]

use criterion::{Criterion, criterion_group, criterion_main};
use pinhole_helper::{Context, Helper, Master, Policy};
use pinhole_helpers::h323::{H245, Q931, Ras};
use pinhole_wire::{Direction, IpVersion, Protocol, Time};
use std::hint::black_box;
use std::net::SocketAddr;

/// Name, helper, the message in hexadecimal.
const MESSAGES: &[(&str, &dyn Helper, &str)] = &[
    (
        "setup with fastStart",
        &Q931,
        concat!(
            "03000095080200010504038090a57e00840520c8060008914a0004000a000001138902000a00000206b8000707070707",
            "070707070707070707070700451c07000a0000019c401100090909090909090909090909090909093402120000000c60",
            "13800a040001000a000001138b1f4000010600030000014c60138011140001000a000001138a000a000001138b010001",
            "0004800100",
        ),
    ),
    (
        "setup with tunnelled H.245",
        &Q931,
        concat!(
            "03000087080200010504038090a57e0076052080060008914a000402000707070707070707070707070707070700410c",
            "1100090909090909090909090909090909090100010004c001803c022402700106000881750007800a00003c00000000",
            "0000000080000020c013008000000000001503000002085118ff40000a040001000a000001138d",
        ),
    ),
    ("openLogicalChannel", &H245, "03000017030000020c6013800a040001000a000001138d"),
    ("openLogicalChannelAck", &H245, "0300001b22c000020280101c00000a0000021774000a0000021775"),
    (
        "terminalCapabilitySet",
        &H245,
        "0300002802700106000881750007800a00003c000000000000000080000020c01300800000000000",
    ),
    (
        "registrationRequest",
        &Ras,
        "0e000001060008914a00048001000a00000106b801000a0000019c4002000900003d0a8802003b0100",
    ),
    (
        "admissionRequest",
        &Ras,
        concat!(
            "2410000301c00065006e00640070006f0069006e007401010012300a00000106b8400500004d07070707070707070707",
            "07070707070700",
        ),
    ),
];

fn octets(hexadecimal: &str) -> Vec<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16).map_or(0, |digit| digit as u8);
    hexadecimal
        .as_bytes()
        .chunks(2)
        .map(|pair| pair.iter().fold(0, |value, &byte| value << 4 | digit(byte)))
        .collect()
}

fn read(criterion: &mut Criterion) {
    let client = SocketAddr::from(([10, 0, 0, 1], 40_000));
    let server = SocketAddr::from(([10, 0, 0, 2], 1720));
    let master = Master {
        version: IpVersion::V4,
        protocol: Protocol::TCP,
        original: (client, server),
        reply: (server, client),
    };
    let policy = Policy::default();
    for (name, helper, message) in MESSAGES {
        let message = octets(message);
        let mut session = helper.attach(&master, &policy);
        let (mut actions, mut next) = (Vec::new(), 0);
        criterion.bench_function(&format!("h323/{name}"), |bencher| {
            bencher.iter(|| {
                actions.clear();
                let mut context = Context::new(&master, &policy, Time(1), 0, &mut actions, &mut next);
                black_box(session.read(&mut context, Direction::Original, black_box(&message)))
            });
        });
    }
}

criterion_group!(benches, read);
criterion_main!(benches);
