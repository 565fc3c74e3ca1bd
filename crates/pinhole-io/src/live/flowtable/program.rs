//! The two programs of a port.
//!
//! A frame that comes in is seen first by the port's packet socket, whose *filter* keeps from it what will be carried, then by the *carrier* (tc
//! ingress), which sends what can be carried on its way and leaves the rest to the guard. Both must come to the same decision about a frame, so both are
//! made by the same code here; only the carrier changes anything. Between the two another processor may have changed what they look at: a frame
//! is then carried and also seen, or neither, as on a wire that repeats or loses one.
//!
//! A frame is carried if all of this holds: for this host's hardware address, no VLAN tag; IPv4 without options or IPv6 without extension headers,
//! no fragment, hops left, whole; UDP, or TCP of which nothing but ACK and PSH is set (RFC 9293 §3.1), and whose numbers fit the windows (see
//! `pinhole-track`'s `l4/tcp/window.rs`, of which this is the usual case: what a segment offers reaches from its acknowledgement on, whatever it
//! acknowledges selectively); the flow is known; its datagrams fit the next link.
//!
//! Checksums are not verified: who receives them does.

use super::assembler::{Assembler, Condition, Helper, Label, Operation, Register, Width};
use super::layout::{flow, key, state};
use crate::live::guard::MARK;
use Condition::{Above, AnyBit, AtLeast, AtLeastSigned, Below, Equal, LessSigned, NotEqual};
use Operation::{Add, And, Move, Multiply, ShiftLeft, ShiftRight, Subtract, Xor};
use Register::{R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10};
use Width::{Byte, Double, Half, Word};

/// What a program is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The filter of a packet socket.
    Filter,
    /// The carrier at tc ingress.
    Carrier,
}

/// Fields of `struct __sk_buff` (`linux/bpf.h`).
mod buffer {
    pub(super) const LENGTH: i16 = 0;
    pub(super) const PACKET_TYPE: i16 = 4;
    pub(super) const MARK: i16 = 8;
    pub(super) const VLAN_PRESENT: i16 = 20;
    pub(super) const INTERFACE: i16 = 40;
    pub(super) const SEGMENT_SIZE: i16 = 176;
}

/// Places on the stack: the key, the copy of the headers (so that words of IP headers are aligned), the number of a state, the length of the headers
/// without Ethernet's, the sequence number after the segment.
const KEY: i16 = -(key::SIZE as i16);
const HEADERS: i16 = KEY - 78;
const SLOT: i16 = KEY - 88;
const HEADER_LENGTH: i16 = KEY - 96;
const END: i16 = KEY - 104;

const ETHERNET: i16 = 14;

/// What a filter lets through of a frame: all.
const WHOLE: i32 = i32::MAX;

/// What becomes of a frame after the carrier (`linux/pkt_cls.h`): the next program or hook has it; dropped.
const NEXT: i32 = -1;
const DROP: i32 = 2;

/// Flags of `bpf_l4_csum_replace`: the sum of a pseudo-header changes; a UDP checksum of zero stays, and none becomes zero.
const PSEUDO_HEADER: i32 = 0x10;
const KEEPS_ZERO: i32 = 0x20;

/// How often a number is tried to be raised, while so many other processors raise it.
const ATTEMPTS: usize = 8;

/// As `window.rs` has it.
const MAX_ACK_WINDOW: i32 = 66_000;

/// Layout of one IP version.
#[derive(Clone, Copy)]
struct Ip {
    version: u8,
    header: i16,
    /// Places in the frame.
    source: i16,
    destination: i16,
    hops: i16,
    protocol: i16,
    address: i16,
}

const V4: Ip = Ip { version: 4, header: 20, source: 26, destination: 30, hops: 22, protocol: 23, address: 4 };
const V6: Ip =
    Ip { version: 6, header: 40, source: 22, destination: 38, hops: 21, protocol: 20, address: 16 };

impl Ip {
    /// Where the transport header begins in the frame.
    const fn transport(self) -> i16 {
        ETHERNET + self.header
    }
}

/// Makes a program that reads these maps.
pub(super) fn program(purpose: Purpose, flows: i32, states: i32) -> Vec<u64> {
    let mut a = Assembler::default();
    let slow = a.label();
    let writer = Writer { purpose, flows, states, slow };
    writer.begin(&mut a);
    let (v4, v6) = (a.label(), a.label());
    a.load(Half, R1, R10, HEADERS + 12);
    a.jump_value(Equal, R1, i32::from(0x0800_u16.to_be()), v4);
    a.jump_value(Equal, R1, i32::from(0x86dd_u16.to_be()), v6);
    a.go(slow);
    a.place(v4);
    writer.version_4(&mut a);
    a.place(v6);
    writer.version_6(&mut a);
    a.place(slow);
    a.leave(if purpose == Purpose::Filter { WHOLE } else { NEXT });
    a.finish()
}

/// What all parts need.
struct Writer {
    purpose: Purpose,
    flows: i32,
    states: i32,
    /// Where frames go that are not carried.
    slow: Label,
}

impl Writer {
    /// Registers from here on: R6 the buffer, R7 the flow, R8 the state, R9 the length of the datagram.
    fn begin(&self, a: &mut Assembler) {
        a.compute(Move, R6, R1);
        a.load(Word, R1, R6, buffer::VLAN_PRESENT);
        a.jump_value(NotEqual, R1, 0, self.slow);
        a.load(Word, R1, R6, buffer::PACKET_TYPE);
        a.jump_value(NotEqual, R1, 0, self.slow);
        for offset in (KEY..0).step_by(8) {
            a.store_value(Double, R10, offset, 0);
        }
        // Ethernet, IPv4, UDP.
        self.load_headers(a, 0, 42);
    }

    /// Copies bytes of the frame to where they belong in the copy of its headers.
    fn load_headers(&self, a: &mut Assembler, from: i16, length: i32) {
        a.compute(Move, R1, R6);
        a.compute_value(Move, R2, i32::from(from));
        a.stack_address(R3, HEADERS + from);
        a.compute_value(Move, R4, length);
        a.call(Helper::LoadBytes);
        a.jump_value(NotEqual, R0, 0, self.slow);
    }

    fn version_4(&self, a: &mut Assembler) {
        a.load(Byte, R1, R10, HEADERS + ETHERNET);
        a.jump_value(NotEqual, R1, 0x45, self.slow);
        // More fragments, or an offset.
        a.load(Half, R1, R10, HEADERS + 20);
        a.jump_value(AnyBit, R1, i32::from(0xbfff_u16.to_be()), self.slow);
        a.load(Half, R9, R10, HEADERS + 16);
        a.network_order(R9, 16);
        self.any_version(a, V4);
    }

    fn version_6(&self, a: &mut Assembler) {
        self.load_headers(a, 42, 20);
        a.load(Byte, R1, R10, HEADERS + ETHERNET);
        a.compute_value(ShiftRight, R1, 4);
        a.jump_value(NotEqual, R1, 6, self.slow);
        a.load(Half, R9, R10, HEADERS + 18);
        a.network_order(R9, 16);
        a.compute_value(Add, R9, i32::from(V6.header));
        self.any_version(a, V6);
    }

    fn any_version(&self, a: &mut Assembler, ip: Ip) {
        // Whole, whatever follows it.
        a.load(Word, R1, R6, buffer::LENGTH);
        a.compute_value(Subtract, R1, i32::from(ETHERNET));
        a.jump(Below, R1, R9, self.slow);
        a.load(Byte, R1, R10, HEADERS + ip.hops);
        a.jump_value(Below, R1, 2, self.slow);

        for word in (0..ip.address).step_by(4) {
            let last = 16 - ip.address + word;
            a.load(Word, R1, R10, HEADERS + ip.source + word);
            a.store(Word, R10, KEY + key::SOURCE as i16 + last, R1);
            a.load(Word, R1, R10, HEADERS + ip.destination + word);
            a.store(Word, R10, KEY + key::DESTINATION as i16 + last, R1);
        }
        a.load(Word, R1, R10, HEADERS + ip.transport());
        a.store(Word, R10, KEY + key::PORTS as i16, R1);
        a.store_value(Byte, R10, KEY + key::VERSION as i16, i32::from(ip.version));
        a.load(Word, R1, R6, buffer::INTERFACE);
        a.store(Half, R10, KEY + key::INTERFACE as i16, R1);
        a.load(Byte, R1, R10, HEADERS + ip.protocol);
        a.store(Byte, R10, KEY + key::PROTOCOL as i16, R1);
        let tcp = a.label();
        a.jump_value(Equal, R1, i32::from(libc::IPPROTO_TCP as u8), tcp);
        a.jump_value(NotEqual, R1, i32::from(libc::IPPROTO_UDP as u8), self.slow);
        self.udp(a, ip);
        a.place(tcp);
        self.tcp(a, ip);
    }

    fn udp(&self, a: &mut Assembler, ip: Ip) {
        a.load(Half, R1, R10, HEADERS + ip.transport() + 4);
        a.network_order(R1, 16);
        a.compute_value(Add, R1, i32::from(ip.header));
        a.jump(NotEqual, R1, R9, self.slow);
        a.jump_value(Below, R9, i32::from(ip.header) + 8, self.slow);
        a.store_value(Word, R10, HEADER_LENGTH, i32::from(ip.header) + 8);
        self.find(a);
        self.carry(a, ip, 6, KEEPS_ZERO);
    }

    fn tcp(&self, a: &mut Assembler, ip: Ip) {
        let transport = ip.transport();
        self.load_headers(a, transport, 20);
        a.load(Byte, R1, R10, HEADERS + transport + 13);
        // FIN, SYN, RST, ACK, URG: the fourth of them only.
        a.compute_value(And, R1, 0x37);
        a.jump_value(NotEqual, R1, 0x10, self.slow);
        a.load(Byte, R7, R10, HEADERS + transport + 12);
        a.compute_value(ShiftRight, R7, 4);
        a.jump_value(Below, R7, 5, self.slow);
        a.compute_value(ShiftLeft, R7, 2);
        a.compute_value(Add, R7, i32::from(ip.header));
        a.jump(Below, R9, R7, self.slow);
        a.store(Word, R10, HEADER_LENGTH, R7);
        self.find(a);
        self.check_windows(a, transport);
        self.carry(a, ip, 16, 0);
    }

    /// Finds the flow and its state, and asks whether its datagram, or its segments, fit the next link.
    fn find(&self, a: &mut Assembler) {
        a.load_map(R1, self.flows);
        a.stack_address(R2, KEY);
        a.call(Helper::MapLookup);
        a.jump_null(R0, self.slow);
        a.compute(Move, R7, R0);
        let (whole, measured) = (a.label(), a.label());
        a.load(Word, R1, R6, buffer::SEGMENT_SIZE);
        a.jump_value(Equal, R1, 0, whole);
        a.load(Word, R2, R10, HEADER_LENGTH);
        a.compute(Add, R1, R2);
        a.go(measured);
        a.place(whole);
        a.compute(Move, R1, R9);
        a.place(measured);
        a.load(Word, R2, R7, flow::MTU);
        a.jump(Above, R1, R2, self.slow);

        a.load(Word, R1, R7, flow::SLOT);
        a.store(Word, R10, SLOT, R1);
        a.load_map(R1, self.states);
        a.stack_address(R2, SLOT);
        a.call(Helper::MapLookup);
        a.jump_null(R0, self.slow);
        a.compute(Move, R8, R0);
    }

    /// R4 and R5 become the ends that sent and receive the segment.
    fn ends(&self, a: &mut Assembler) {
        a.load(Word, R3, R7, flow::DIRECTION);
        a.compute_value(And, R3, 1);
        a.compute(Move, R4, R3);
        a.compute_value(Multiply, R4, state::WINDOW);
        a.compute(Add, R4, R8);
        a.compute_value(Xor, R3, 1);
        a.compute_value(Multiply, R3, state::WINDOW);
        a.compute(Move, R5, R8);
        a.compute(Add, R5, R3);
    }

    /// The four bounds of window tracking; the carrier also learns from the segment.
    fn check_windows(&self, a: &mut Assembler, transport: i16) {
        self.ends(a);
        // R1: sequence number; R0: the one after the segment.
        a.load(Word, R1, R10, HEADERS + transport + 4);
        a.network_order(R1, 32);
        a.compute_short(Move, R0, R9);
        a.load(Word, R2, R10, HEADER_LENGTH);
        a.compute_short(Subtract, R0, R2);
        a.compute_short(Add, R0, R1);
        a.load(Word, R2, R4, state::MAX_END);
        a.compute_short(Subtract, R2, R1);
        a.jump_value(LessSigned, R2, 0, self.slow);
        a.load(Word, R1, R4, state::END);
        a.compute_short(Move, R2, R0);
        a.compute_short(Subtract, R2, R1);
        a.load(Word, R1, R5, state::MAX_WINDOW);
        a.compute_short(Add, R2, R1);
        a.jump_value(LessSigned, R2, 0, self.slow);
        // R1: acknowledgement.
        a.load(Word, R1, R10, HEADERS + transport + 8);
        a.network_order(R1, 32);
        a.load(Word, R2, R5, state::END);
        a.compute_short(Subtract, R2, R1);
        a.jump_value(LessSigned, R2, 0, self.slow);
        let large = a.label();
        a.load(Word, R3, R4, state::MAX_WINDOW);
        a.jump_value(AtLeast, R3, MAX_ACK_WINDOW, large);
        a.compute_short_value(Move, R3, MAX_ACK_WINDOW);
        a.place(large);
        // How far the acknowledgement lies behind what was sent, and how far it may.
        a.compute_short(Subtract, R3, R2);
        a.jump_value(LessSigned, R3, 0, self.slow);
        // R3: the window, scaled.
        a.load(Half, R3, R10, HEADERS + transport + 14);
        a.network_order(R3, 16);
        a.load(Word, R2, R4, state::SCALE);
        a.compute_value(And, R2, 15);
        a.compute_short(ShiftLeft, R3, R2);
        if self.purpose == Purpose::Carrier {
            learn(a);
        }
    }

    /// Sends the frame on its way. `checksum`: where the transport header has it.
    fn carry(&self, a: &mut Assembler, ip: Ip, checksum: i32, flags: i32) {
        if self.purpose == Purpose::Filter {
            return a.leave(0);
        }
        account(a);
        let drop = a.label();
        trim(a, drop);
        if ip.version == 4 {
            translate(a, i32::from(ip.transport()) + checksum, flags, drop);
        }
        for half in (0..12).step_by(2) {
            a.load(Half, R1, R7, flow::LINK + half);
            a.store(Half, R10, HEADERS + half, R1);
        }
        let changed = if ip.version == 4 {
            count_hop(a);
            ip.transport() + 4
        } else {
            a.load(Byte, R1, R10, HEADERS + ip.hops);
            a.compute_value(Subtract, R1, 1);
            a.store(Byte, R10, HEADERS + ip.hops, R1);
            ip.hops + 1
        };
        a.compute(Move, R1, R6);
        a.compute_value(Move, R2, 0);
        a.stack_address(R3, HEADERS);
        a.compute_value(Move, R4, i32::from(changed));
        a.compute_value(Move, R5, 0);
        a.call(Helper::StoreBytes);
        a.jump_value(NotEqual, R0, 0, drop);
        // By which the guard knows the port's own frames.
        a.compute_short_value(Move, R1, MARK as i32);
        a.store(Word, R6, buffer::MARK, R1);
        a.load(Word, R1, R7, flow::EGRESS);
        a.compute_value(Move, R2, 0);
        a.call(Helper::Redirect);
        a.exit();
        a.place(drop);
        a.leave(DROP);
    }
}

/// What an accepted segment tells of both ends. R0: its end; R1: acknowledgement; R3: window; R4, R5: sender, receiver.
fn learn(a: &mut Assembler) {
    let (known, inside, open) = (a.label(), a.label(), a.label());
    a.load(Word, R2, R4, state::MAX_WINDOW);
    a.jump(AtLeast, R2, R3, known);
    a.store(Word, R4, state::MAX_WINDOW, R3);
    a.place(known);
    a.load(Word, R2, R4, state::MAX_END);
    a.compute_short(Subtract, R2, R0);
    a.jump_value(AtLeastSigned, R2, 0, inside);
    a.store(Word, R10, END, R0);
    a.load(Word, R0, R5, state::MAX_WINDOW);
    a.compute_short(Subtract, R0, R2);
    a.store(Word, R5, state::MAX_WINDOW, R0);
    a.load(Word, R0, R10, END);
    a.place(inside);
    // R1: the end of what is offered. A closed window still takes the one byte of a probe (RFC 9293 §3.8.6.1).
    a.compute_short(Add, R1, R3);
    a.jump_value(NotEqual, R3, 0, open);
    a.compute_short_value(Add, R1, 1);
    a.place(open);
    a.compute_short(Move, R2, R0);
    raise(a, R4, state::END, R2);
    raise(a, R5, state::MAX_END, R1);
}

/// Raises a sequence number to another one, unless it is beyond. Another processor may raise it at the same time, and must not be undone: an
/// acknowledgement of what it has learned of would be invalid, and all that repeat it. Spoils R0 and R3.
fn raise(a: &mut Assembler, end: Register, field: i16, to: Register) {
    let done = a.label();
    a.load(Word, R0, end, field);
    for _ in 0..ATTEMPTS {
        a.compute_short(Move, R3, R0);
        a.compute_short(Subtract, R3, to);
        a.jump_value(AtLeastSigned, R3, 0, done);
        a.compute_short(Move, R3, R0);
        a.exchange_if_equal(end, field, to);
        a.jump(Equal, R0, R3, done);
    }
    a.place(done);
}

/// Cuts off what follows the datagram: padding is of its own link only.
fn trim(a: &mut Assembler, drop: Label) {
    let exact = a.label();
    a.compute(Move, R2, R9);
    a.compute_value(Add, R2, i32::from(ETHERNET));
    a.load(Word, R1, R6, buffer::LENGTH);
    a.jump(Equal, R1, R2, exact);
    a.compute(Move, R1, R6);
    a.compute_value(Move, R3, 0);
    a.call(Helper::ChangeTail);
    a.jump_value(NotEqual, R0, 0, drop);
    a.place(exact);
}

/// Counts the datagram, and notes the time.
fn account(a: &mut Assembler) {
    a.call(Helper::CoarseTime);
    a.load(Word, R3, R7, flow::DIRECTION);
    a.compute_value(And, R3, 1);
    a.compute_value(Multiply, R3, state::CARRIED);
    a.compute(Move, R4, R8);
    a.compute(Add, R4, R3);
    a.store(Double, R4, state::SEEN, R0);
    a.compute_value(Move, R1, 1);
    a.add_atomically(R4, state::PACKETS, R1);
    a.add_atomically(R4, state::BYTES, R9);
}

/// Gives an IPv4 datagram other addresses and ports, if the flow has any: in the copy of its headers, and in its transport checksum.
fn translate(a: &mut Assembler, checksum: i32, flags: i32, drop: Label) {
    let as_it_is = a.label();
    a.load(Word, R1, R7, flow::TRANSLATES);
    a.jump_value(Equal, R1, 0, as_it_is);
    for (change, pseudo) in [(flow::ADDRESS_CHANGE, PSEUDO_HEADER), (flow::PORT_CHANGE, 0)] {
        a.compute(Move, R1, R6);
        a.compute_value(Move, R2, checksum);
        a.compute_value(Move, R3, 0);
        a.load(Word, R4, R7, change);
        a.compute_value(Move, R5, flags | pseudo);
        a.call(Helper::ReplaceTransportChecksum);
        a.jump_value(NotEqual, R0, 0, drop);
    }
    for (from, to) in [(0, V4.source), (4, V4.destination), (flow::PORTS - flow::ADDRESSES, V4.transport())] {
        a.load(Word, R1, R7, flow::ADDRESSES + from);
        a.store(Word, R10, HEADERS + to, R1);
    }
    a.place(as_it_is);
}

/// Takes one from an IPv4 datagram's time to live, and brings its header checksum up to date with all that was changed (RFC 1624).
fn count_hop(a: &mut Assembler) {
    const CHECKSUM: i16 = 24;
    a.load(Half, R1, R10, HEADERS + V4.hops);
    a.load(Half, R3, R10, HEADERS + CHECKSUM);
    a.compute_value(Xor, R3, 0xffff);
    a.compute(Move, R2, R1);
    a.compute_value(Xor, R2, 0xffff);
    a.compute(Add, R3, R2);
    // The time to live comes first: in the machine's order it is the lower byte.
    a.compute_value(Subtract, R1, 1);
    a.compute(Add, R3, R1);
    a.load(Word, R2, R7, flow::ADDRESS_CHANGE);
    a.compute(Add, R3, R2);
    for _ in 0..2 {
        a.compute(Move, R2, R3);
        a.compute_value(ShiftRight, R2, 16);
        a.compute_value(And, R3, 0xffff);
        a.compute(Add, R3, R2);
    }
    a.compute_value(Xor, R3, 0xffff);
    a.store(Half, R10, HEADERS + CHECKSUM, R3);
    a.store(Half, R10, HEADERS + V4.hops, R1);
}
