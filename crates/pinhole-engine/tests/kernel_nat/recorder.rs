//! The capture as the router sees it: what the recorder of `../shared/oracle/nat` did, done again.
//!
//! Captures were taken without NAT, so their answers are addressed to the inside host. The recorder sends what comes from that host
//! to the router as it is, learns from what leaves under which port it is known outside and by how much its payload grew, and
//! addresses and numbers the answers accordingly.

use super::datagram::{self, Header, TCP, UDP};
use super::gateway::Left;
use std::collections::HashMap;
use std::net::Ipv4Addr;

/// A stream as the inside host sees it: source and destination.
type Stream = ((Ipv4Addr, u16), (Ipv4Addr, u16));

/// What was learned.
pub(crate) struct Recorder {
    inside: Ipv4Addr,
    public: Ipv4Addr,
    /// (protocol, inside port) → public port.
    ports: HashMap<(u8, u16), u16>,
    /// Where a stream was edited: original sequence number of the segment, and the difference of lengths from there on.
    edits: HashMap<Stream, Vec<(u32, u32)>>,
    /// Datagrams that came, by frame, and whether from inside, until something left in their stead.
    came: HashMap<u64, (Vec<u8>, bool)>,
}

impl Recorder {
    pub(crate) fn new(inside: Ipv4Addr, public: Ipv4Addr) -> Self {
        Self { inside, public, ports: HashMap::new(), edits: HashMap::new(), came: HashMap::new() }
    }

    /// The datagram as it comes to the router, and whether it comes from the inside host.
    pub(crate) fn arriving(&self, mut bytes: Vec<u8>) -> Option<(Vec<u8>, bool)> {
        let header = datagram::read(&bytes)?;
        let at = header.transport;
        if header.source == self.inside {
            let number = self.acknowledging(&header);
            if number != header.acknowledgement {
                bytes[at + 8..at + 12].copy_from_slice(&number?.to_be_bytes());
                datagram::repair(&mut bytes);
            }
            return Some((bytes, true));
        }
        if header.destination != self.inside {
            return Some((bytes, false));
        }
        bytes[16..20].copy_from_slice(&self.public.octets());
        if matches!(header.protocol, TCP | UDP) && bytes.len() >= at + 4 {
            let port = header.destination_port;
            let port = self.ports.get(&(header.protocol, port)).copied().unwrap_or(port);
            bytes[at + 2..at + 4].copy_from_slice(&port.to_be_bytes());
            if let Some(number) = self.acknowledging(&header) {
                bytes[at + 8..at + 12].copy_from_slice(&number.to_be_bytes());
            }
        }
        datagram::repair(&mut bytes);
        Some((bytes, false))
    }

    /// The acknowledgement, of bytes that the router edited.
    fn acknowledging(&self, header: &Header) -> Option<u32> {
        let number = header.acknowledgement?;
        let stream = ((header.destination, header.destination_port), (header.source, header.source_port));
        let edits = self.edits.get(&stream).map_or(&[][..], Vec::as_slice);
        let is_before = |start: u32| start != number && number.wrapping_sub(start) < 1 << 31;
        let difference = edits.iter().rev().find(|(start, _)| is_before(*start)).map_or(0, |&(_, d)| d);
        Some(number.wrapping_add(difference))
    }

    /// Notes a datagram that came to the router as that frame: it may leave later.
    pub(crate) fn came(&mut self, frame: u64, bytes: &[u8], from_inside: bool) {
        self.came.insert(frame, (bytes.to_vec(), from_inside));
    }

    /// Learns from what left in a frame's stead, by pieces if it was cut.
    pub(crate) fn left(&mut self, left: &[Left]) {
        for of_one in left.chunk_by(|a, b| a.frame == b.frame) {
            let (Some(first), Some((came, from_inside))) =
                (of_one.first(), self.came.remove(&of_one[0].frame))
            else {
                continue;
            };
            let length: usize = of_one.iter().filter_map(|piece| payload(&piece.bytes)).sum();
            self.learn(&came, from_inside, &first.bytes, length as u32);
        }
    }

    fn learn(&mut self, came: &[u8], from_inside: bool, left: &[u8], length: u32) {
        let (Some(before), Some(after)) = (datagram::read(came), datagram::read(left)) else { return };
        if before.protocol != after.protocol || !matches!(before.protocol, TCP | UDP) {
            return;
        }
        if from_inside {
            self.ports.insert((before.protocol, before.source_port), after.source_port);
        }
        let grown = length.wrapping_sub((before.payload.1 - before.payload.0) as u32);
        if before.protocol == TCP && grown != 0 {
            let seen = if from_inside { &before } else { &after };
            let stream = ((seen.source, seen.source_port), (seen.destination, seen.destination_port));
            let edits = self.edits.entry(stream).or_default();
            let so_far = edits.last().map_or(0, |&(_, difference)| difference);
            edits.push((before.sequence, so_far.wrapping_add(grown)));
        }
    }
}

fn payload(datagram: &[u8]) -> Option<usize> {
    let header = datagram::read(datagram)?;
    Some(header.payload.1 - header.payload.0)
}
