//! Writes a capture to measure `pinhole replay` with: UDP packets of 100 bytes both ways, with right checksums.
//!
//! `traffic PACKETS FLOWS >FILE`. Flow i is 10.64.0.0+(i>>14):1024+(i&16383) → 10.0.2.2:9000; the flows take turns, a packet from the client,
//! and a round later one from the server. Packets are 2 µs apart.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a developer's tool")]

use pinhole_io::capture::{PcapngWriter, Record};
use pinhole_wire::{LinkType, Time};
use std::io::{self, Write};

const FRAME: usize = 100;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, packets, flows] = arguments.as_slice() else { panic!("usage: traffic PACKETS FLOWS >FILE") };
    let (packets, flows): (u64, u64) = (packets.parse().unwrap(), flows.parse().unwrap());
    let mut writer = PcapngWriter::new(io::stdout().lock(), "pinhole traffic").unwrap();
    let interface = writer.add_interface(LinkType::ETHERNET, "any").unwrap();
    for number in 0..packets {
        let frame = frame((number % flows) as u32, number / flows % 2 == 1);
        writer.write(&Record::new(interface, Time(number * 2_000), &frame)).unwrap();
    }
    writer.finish().unwrap().flush().unwrap();
}

fn frame(flow: u32, reply: bool) -> [u8; FRAME] {
    let client = ((0x0a40_0000 + (flow >> 14)).to_be_bytes(), 1024 + (flow & 16383) as u16);
    let server = ([10, 0, 2, 2], 9000);
    let (source, destination) = if reply { (server, client) } else { (client, server) };
    let mut frame = [0; FRAME];
    frame[12] = 8;
    frame[14] = 0x45;
    frame[17] = (FRAME - 14) as u8;
    frame[22] = 64;
    frame[23] = 17;
    frame[26..30].copy_from_slice(&source.0);
    frame[30..34].copy_from_slice(&destination.0);
    let header = checksum(&frame[14..34], 0);
    frame[24..26].copy_from_slice(&header);
    frame[34..36].copy_from_slice(&source.1.to_be_bytes());
    frame[36..38].copy_from_slice(&destination.1.to_be_bytes());
    frame[39] = (FRAME - 34) as u8;
    // The pseudo-header: both addresses, protocol, length (RFC 768).
    let udp = checksum(&frame[26..], 17 + FRAME as u32 - 34);
    frame[40..42].copy_from_slice(&udp);
    frame
}

/// RFC 1071.
fn checksum(bytes: &[u8], start: u32) -> [u8; 2] {
    let sum: u32 =
        start + bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum::<u32>();
    let folded = (sum & 0xffff) + (sum >> 16);
    (!((folded & 0xffff) + (folded >> 16)) as u16).to_be_bytes()
}
