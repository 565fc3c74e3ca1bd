//! [`Steering`] as a program of classic BPF, by which the kernel spreads frames over the sockets of a fanout group.
//!
//! It reads what nearly all packets have, and is right about those. About others it may be wrong: errors (ICMP), extension headers, ranges of IPv6 that are
//! no prefixes, more than [`MOST_RANGES`] ranges. They come to a shard that hands them on.

use pinhole_engine::shard::{MIX, MIX_SHIFT, RESERVED, RUNS};
use pinhole_engine::{AddressRange, Spread, Steering};
use pinhole_io::live::fanout::Instruction;
use pinhole_wire::{IpVersion, Protocol};

/// Ranges that are compared with, of each version and kind.
pub const MOST_RANGES: usize = 32;

/// Operations (linux/bpf_common.h).
const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
const LOAD_HALF_BEHIND: u16 = 0x48;
const LOAD_IMMEDIATE: u16 = 0x00;
const LOAD_KEPT: u16 = 0x60;
const KEEP: u16 = 0x02;
const INDEX_IMMEDIATE: u16 = 0x01;
const INDEX_KEPT: u16 = 0x61;
const INDEX_HEADER_LENGTH: u16 = 0xb1;
const MULTIPLY: u16 = 0x24;
const DIVIDE: u16 = 0x34;
const AND: u16 = 0x54;
const SHIFT_RIGHT: u16 = 0x74;
const MODULO: u16 = 0x94;
const XOR_INDEX: u16 = 0xac;
const TO_INDEX: u16 = 0x07;
const JUMP: u16 = 0x05;
const IF_EQUAL: u16 = 0x15;
const IF_GREATER: u16 = 0x25;
const IF_NOT_LESS: u16 = 0x35;
const IF_BITS: u16 = 0x45;
const IF_EQUAL_INDEX: u16 = 0x1d;
const RETURN: u16 = 0x06;
const RETURN_RESULT: u16 = 0x16;

/// Where loads begin to count (linux/filter.h): at the network header; and what is no part of the packet: its EtherType.
const NETWORK: u32 = -0x10_0000_i32 as u32;
const ETHER_TYPE: u32 = -0x1000_i32 as u32;

/// What is kept where: mixed addresses, whether they are near, whether they are outer.
const ONE: u32 = 0;
const OTHER: u32 = 1;
const ONE_IS_NEAR: u32 = 2;
const OTHER_IS_NEAR: u32 = 3;
const ONE_IS_OUTER: u32 = 4;
const OTHER_IS_OUTER: u32 = 5;

/// The program; its result is the number of a shard.
pub fn of(steering: &Steering) -> Vec<Instruction> {
    let v4 = of_version(steering, IpVersion::V4);
    let v6 = of_version(steering, IpVersion::V6);
    let mut program = Program(Vec::new());
    program.add(LOAD_WORD, ETHER_TYPE);
    program.branch(IF_EQUAL, 0x0800, 0, 1);
    program.add(JUMP, 3);
    program.branch(IF_EQUAL, 0x86dd, 0, 1);
    program.add(JUMP, 1 + v4.len() as u32);
    program.add(RETURN, 0);
    program.0.extend(v4);
    program.0.extend(v6);
    program.0
}

fn of_version(steering: &Steering, version: IpVersion) -> Vec<Instruction> {
    let mut program = Program(Vec::new());
    let (first, width) = if version == IpVersion::V4 { (12, 4) } else { (8, 16) };
    let of_version = |range: &&AddressRange| range.version() == version;
    let near: Vec<_> = steering.near().filter(of_version).take(MOST_RANGES).collect();
    let outer: Vec<_> = steering.outer().iter().filter(of_version).take(MOST_RANGES).collect();
    for (place, end) in [(first, ONE), (first + width, OTHER)] {
        program.mix(steering, place, width, end);
        program.is_among(place, &near, ONE_IS_NEAR + end);
        program.is_among(place, &outer, ONE_IS_OUTER + end);
    }
    program.by_port(steering, version);
    program.by_addresses(steering);
    program.0
}

/// Instructions so far.
struct Program(Vec<Instruction>);

impl Program {
    fn add(&mut self, code: u16, operand: u32) {
        self.branch(code, operand, 0, 0);
    }

    fn branch(&mut self, code: u16, operand: u32, if_true: u8, if_false: u8) {
        self.0.push(Instruction { code, if_true, if_false, operand });
    }

    /// Keeps an address as one word, mixed.
    fn mix(&mut self, steering: &Steering, place: u32, width: u32, end: u32) {
        self.add(LOAD_WORD, NETWORK + place);
        for word in (4..width).step_by(4) {
            self.add(TO_INDEX, 0);
            self.add(LOAD_WORD, NETWORK + place + word);
            self.add(XOR_INDEX, 0);
        }
        self.add(MULTIPLY, steering.secret());
        self.add(TO_INDEX, 0);
        self.add(SHIFT_RIGHT, MIX_SHIFT);
        self.add(XOR_INDEX, 0);
        self.add(KEEP, end);
    }

    /// Keeps 1 if an address lies in one of these ranges, else 0.
    fn is_among(&mut self, place: u32, ranges: &[&AddressRange], result: u32) {
        self.add(LOAD_IMMEDIATE, 0);
        self.add(KEEP, result);
        for range in ranges {
            match range.version() {
                IpVersion::V4 => {
                    let (first, last) = range.ends();
                    let word = |address: pinhole_wire::Address| u32::from_be_bytes(address.v4_octets());
                    self.add(LOAD_WORD, NETWORK + place);
                    self.branch(IF_NOT_LESS, word(first), 0, 3);
                    self.branch(IF_GREATER, word(last), 2, 0);
                }
                IpVersion::V6 => {
                    let Some(words) = prefix(range) else { continue };
                    let mut tests = Vec::new();
                    for (word, (value, mask)) in (0u32..).step_by(4).zip(words) {
                        if mask == 0 {
                            continue;
                        }
                        tests.push((LOAD_WORD, NETWORK + place + word));
                        tests.push((AND, mask));
                        tests.push((IF_EQUAL, value));
                    }
                    let count = tests.len();
                    for (index, (code, operand)) in tests.into_iter().enumerate() {
                        let beyond = if code == IF_EQUAL { (count - index + 1) as u8 } else { 0 };
                        self.branch(code, operand, 0, beyond);
                    }
                }
            }
            self.add(LOAD_IMMEDIATE, 1);
            self.add(KEEP, result);
        }
    }

    /// Returns the class of the reserved port of an outer address.
    fn by_port(&mut self, steering: &Steering, version: IpVersion) {
        let (protocol, header) = if version == IpVersion::V4 { (9, None) } else { (6, Some(40)) };
        let mut rest = Self(Vec::new());
        // The index is where the transport header is.
        match header {
            Some(length) => rest.add(INDEX_IMMEDIATE, length),
            None => rest.add(INDEX_HEADER_LENGTH, NETWORK),
        }
        rest.add(LOAD_KEPT, ONE_IS_OUTER);
        rest.branch(IF_EQUAL, 1, 0, 2);
        rest.add(LOAD_HALF_BEHIND, NETWORK);
        rest.add(JUMP, 1);
        rest.add(LOAD_HALF_BEHIND, NETWORK + 2);
        let count = steering.count() as u32;
        let class = |run: u16| {
            let mut class = Self(Vec::new());
            class.add(DIVIDE, u32::from(run));
            class.add(MODULO, count);
            class.add(RETURN_RESULT, 0);
            class.0
        };
        let (low, high) = (class(RUNS.0), class(RUNS.1));
        let reserved: Vec<(u32, u32)> = match steering.spread() {
            Spread::ByOutside => RESERVED.iter().map(|r| (u32::from(r.first), u32::from(r.last))).collect(),
            Spread::ByInside => vec![(0, 1023), (1024, u32::from(u16::MAX))],
        };
        for (first, last) in reserved {
            let class = if first < 1024 { &low } else { &high };
            rest.branch(IF_NOT_LESS, first, 0, 1 + class.len() as u8);
            rest.branch(IF_GREATER, last, class.len() as u8, 0);
            rest.0.extend(class);
        }
        // TCP and UDP in one piece, of one outer end.
        let beyond = |instructions: usize| (rest.0.len() + instructions) as u8;
        if version == IpVersion::V4 {
            self.add(LOAD_HALF, NETWORK + 6);
            self.branch(IF_BITS, 0x3fff, beyond(6), 0);
        }
        self.add(LOAD_BYTE, NETWORK + protocol);
        self.branch(IF_EQUAL, u32::from(Protocol::TCP.0), 1, 0);
        self.branch(IF_EQUAL, u32::from(Protocol::UDP.0), 0, beyond(3));
        self.add(INDEX_KEPT, ONE_IS_OUTER);
        self.add(LOAD_KEPT, OTHER_IS_OUTER);
        self.branch(IF_EQUAL_INDEX, 0, beyond(0), 0);
        self.0.extend(rest.0);
    }

    /// Returns the shard of two addresses.
    fn by_addresses(&mut self, steering: &Steering) {
        let is_by_inside = steering.spread() == Spread::ByInside;
        // Of which address the word counts: of the far one, or of a near one that is not outer.
        let choice = |far: u32, near: u32, is_outer: u32| {
            let mut choice = Self(Vec::new());
            if is_by_inside {
                choice.add(LOAD_KEPT, is_outer);
                choice.branch(IF_EQUAL, 1, 2, 0);
                choice.add(LOAD_KEPT, near);
                choice.add(JUMP, 1);
            }
            choice.add(LOAD_KEPT, far);
            choice.0
        };
        let of_one = choice(OTHER, ONE, ONE_IS_OUTER);
        let of_other = choice(ONE, OTHER, OTHER_IS_OUTER);
        self.add(INDEX_KEPT, ONE_IS_NEAR);
        self.add(LOAD_KEPT, OTHER_IS_NEAR);
        self.branch(IF_EQUAL_INDEX, 0, 0, 4);
        self.add(LOAD_KEPT, ONE);
        self.add(INDEX_KEPT, OTHER);
        self.add(XOR_INDEX, 0);
        self.add(JUMP, (of_one.len() + of_other.len() + 2) as u32);
        // Only the other one is near.
        self.branch(IF_EQUAL, 1, 0, of_other.len() as u8 + 1);
        self.0.extend(&of_other);
        self.add(JUMP, of_one.len() as u32);
        self.0.extend(&of_one);
        self.add(MULTIPLY, MIX);
        self.add(SHIFT_RIGHT, 16);
        self.add(MODULO, steering.count() as u32);
        self.add(RETURN_RESULT, 0);
    }
}

/// A range as words of a prefix and their masks, if it is one.
fn prefix(range: &AddressRange) -> Option<[(u32, u32); 4]> {
    let (first, last) = range.ends();
    let (first, last) = (u128::from_be_bytes(first.0), u128::from_be_bytes(last.0));
    let host = first ^ last;
    let is_prefix = host & host.wrapping_add(1) == 0 && first & host == 0;
    let word = |number: u128, index: u32| (number >> (96 - 32 * index)) as u32;
    is_prefix.then(|| [0, 1, 2, 3].map(|index| (word(first, index), word(!host, index))))
}
