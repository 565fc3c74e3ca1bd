//! What becomes of a datagram that was judged: to the host, to the next hop, or back to its sender with a reason why not.
//!
//! A frame is edited where it lies, in the batch, and sent with the others of its egress.

use super::Router;
use super::header::{Header, decrement_hop_limit};
use super::neighbours::{Found, Waiting};
use super::routes::{Hop, Way, choose};
use crate::answer::Problem;
use crate::frames::whole_packet;
use pinhole_engine::{Outcome, Reason, Verdict};
use pinhole_io::live::{Batch, Buffer, Offload};
use pinhole_wire::Time;
use pinhole_wire::checksum::Sum;
use pinhole_wire::link::ETHERNET_HEADER;
use std::net::IpAddr;

/// How much of a frame is kept for an answer that may become due: what an ICMP error quotes at most, and the link header.
const QUOTED: usize = 1280 + ETHERNET_HEADER;

/// Where a datagram goes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// To the host, by the way of this port.
    Deliver(usize),
    /// By this port, with the link header that the host gave it.
    AsItIs(usize),
    /// To the next hop.
    Forward(Onward),
}

/// The way to the next hop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Onward {
    pub(super) egress: usize,
    next_hop: IpAddr,
    found: Found,
    /// The datagram must be cut to this length: into fragments, or a superframe into shorter segments.
    pub(super) cut: Option<Cut>,
    /// A router counts its hop; the host's own packets have none behind them.
    counts: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Cut {
    Fragments(usize),
    Segments(u16),
}

/// Why a datagram goes nowhere, and what its sender is told.
pub(super) type Failure = (Reason, Option<Problem>);

impl Router {
    /// Carries out what the engine decided about a frame. Returns the outcome, which may have become another on the way.
    pub(super) fn carry_out(
        &mut self,
        now: Time,
        side: usize,
        batch: &mut Batch,
        index: u16,
        number: u64,
        outcome: &Outcome,
    ) -> Outcome {
        let mut largest = 0;
        if !self.fragments.is_empty() || outcome.verdict == Verdict::Held {
            largest = self.carry_out_fragment(now, side, batch, index, outcome);
        }
        let passes = outcome.verdict == Verdict::Accept && !outcome.rewritten;
        let mut failed = if passes { self.pass(now, side, batch, index).err() } else { None };
        match outcome.verdict {
            Verdict::Reject(with) => self.reject(now, side, batch, index, with),
            Verdict::Drop if outcome.reason == Some(Reason::NoRoute) => {
                self.tell_no_route(now, side, batch, index);
            }
            Verdict::NotIp => self.statistics.link_dropped += 1,
            _ => {}
        }
        failed = self.emit(now, side, batch, index, number, largest).err().or(failed);
        match failed {
            None => *outcome,
            // No rule decided that.
            Some(reason) => Outcome { verdict: Verdict::Drop, rule: None, reason: Some(reason), ..*outcome },
        }
    }

    /// Passes a frame of the batch on as it came.
    pub(super) fn pass(
        &mut self,
        now: Time,
        side: usize,
        batch: &mut Batch,
        index: u16,
    ) -> Result<(), Reason> {
        let Some(buffer) = batch.frames_mut().get_mut(usize::from(index)) else { return Ok(()) };
        match self.decide(now, side, buffer.bytes(), buffer.offload, false) {
            Ok(step) => {
                self.take(now, side, batch, index, step, None);
                Ok(())
            }
            Err((reason, problem)) => {
                self.tell_failure(now, side, buffer.bytes(), problem);
                Err(reason)
            }
        }
    }

    /// Where a frame goes. `changed`: the engine made it of another one, or put it together from fragments.
    pub(super) fn decide(
        &self,
        now: Time,
        side: usize,
        frame: &[u8],
        offload: Offload,
        changed: bool,
    ) -> Result<Step, Failure> {
        let (port, own) = (self.port_of(side), self.is_host(side));
        let datagram = frame.get(ETHERNET_HEADER..).unwrap_or_default();
        let Some(header) = Header::read(datagram) else { return Err((Reason::NoRoute, None)) };
        if own && !changed {
            return Ok(Step::AsItIs(port));
        }
        if self.engine.topology().is_local(header.version, header.destination) {
            return Ok(Step::Deliver(port));
        }
        if !own && header.hop_limit <= 1 {
            return Err((Reason::HopLimit, Some(Problem::HopLimit)));
        }
        let (hop, mtu) = self.next_hop(&header)?;
        let mtu = self.links.get(hop.port).map_or(0, |link| link.mtu).min(mtu.unwrap_or(usize::MAX));
        let cut = fit(frame, offload, &header, mtu)?;
        let next_hop = hop.gateway.unwrap_or_else(|| header.destination.ip(header.version));
        let interface = self.links.get(hop.port).map_or(0, |link| link.index);
        let found = self.neighbours.find(now, interface, next_hop);
        Ok(Step::Forward(Onward { egress: hop.port, next_hop, found, cut, counts: !own }))
    }

    pub(super) fn next_hop(&self, header: &Header) -> Result<(Hop, Option<usize>), Failure> {
        let told = |problem| Err((Reason::NoRoute, Some(problem)));
        match self.routes.way(header.version, header.destination) {
            Way::Go { hops, mtu } => match choose(hops, header.source, header.destination) {
                Some(hop) => Ok((*hop, *mtu)),
                None => told(Problem::NoRoute),
            },
            Way::None => told(Problem::NoRoute),
            Way::Unreachable => told(Problem::HostUnreachable),
            Way::Prohibit => told(Problem::Prohibited),
            Way::Blackhole => Err((Reason::NoRoute, None)),
        }
    }

    /// Takes a frame of the batch where it goes. `came`: as it came, if it is another one now and has to wait.
    pub(super) fn take(
        &mut self,
        now: Time,
        side: usize,
        batch: &mut Batch,
        index: u16,
        step: Step,
        came: Option<Vec<u8>>,
    ) {
        let Some(buffer) = batch.frames_mut().get_mut(usize::from(index)) else { return };
        let egress = match step {
            Step::Deliver(port) => {
                self.address_to_host(port, buffer.bytes_mut());
                port + self.links.len()
            }
            Step::AsItIs(port) => port,
            Step::Forward(onward) => match self.address(now, side, buffer, &onward, came) {
                Some(address) => {
                    self.write_addresses(onward.egress, address, buffer.bytes_mut());
                    match onward.cut {
                        None => {}
                        Some(Cut::Segments(size)) => buffer.offload = buffer.offload.with_segment_size(size),
                        Some(Cut::Fragments(mtu)) => {
                            finish_checksum(buffer);
                            self.flush(now, onward.egress, batch);
                            if let Some(buffer) = batch.frames().get(usize::from(index)) {
                                self.send_cut(now, onward.egress, buffer.bytes(), mtu, 0);
                            }
                            return;
                        }
                    }
                    onward.egress
                }
                None => return,
            },
        };
        if let Some(outbox) = self.outboxes.get_mut(egress) {
            outbox.push(index);
        }
    }

    /// The hardware address to send to, after the hop was counted. `None`: it is not known; the frame waits for it.
    pub(super) fn address(
        &mut self,
        now: Time,
        side: usize,
        buffer: &mut Buffer,
        onward: &Onward,
        came: Option<Vec<u8>>,
    ) -> Option<[u8; 6]> {
        let interface = self.links.get(onward.egress)?.index;
        let came = match onward.found {
            Found::Unknown => came.unwrap_or_else(|| quoted(buffer.bytes())),
            Found::Known { .. } => Vec::new(),
        };
        if onward.counts {
            decrement_hop_limit(buffer.bytes_mut().get_mut(ETHERNET_HEADER..).unwrap_or_default());
        }
        match onward.found {
            Found::Known { address, stale } => {
                if stale {
                    self.neighbours.ask_again(now, interface, onward.next_hop);
                }
                Some(address)
            }
            Found::Unknown => {
                let (frame, offload) = (buffer.bytes().to_vec(), buffer.offload);
                let waiting = Waiting { frame, offload, came, side };
                let kept = self.neighbours.wait(now, interface, onward.next_hop, waiting);
                self.statistics.unresolved += u64::from(!kept);
                None
            }
        }
    }

    /// Sends a frame that waited for its next hop's address.
    pub(super) fn send_waiting(&mut self, now: Time, egress: usize, address: [u8; 6], packet: &Waiting) {
        let mut extra = std::mem::take(&mut self.extra);
        extra.clear();
        if extra.push(&packet.frame, packet.offload)
            && let Some(buffer) = extra.frames_mut().first_mut()
        {
            let header = Header::read(buffer.bytes().get(ETHERNET_HEADER..).unwrap_or_default());
            let mtu = self.links.get(egress).map_or(0, |link| link.mtu);
            let cut =
                header.and_then(|header| fit(buffer.bytes(), buffer.offload, &header, mtu).ok().flatten());
            self.write_addresses(egress, address, buffer.bytes_mut());
            match cut {
                Some(Cut::Fragments(mtu)) => {
                    finish_checksum(buffer);
                    let frame = buffer.bytes().to_vec();
                    self.extra = extra;
                    return self.send_cut(now, egress, &frame, mtu, 0);
                }
                Some(Cut::Segments(size)) => buffer.offload = buffer.offload.with_segment_size(size),
                None => {}
            }
            self.send_now(now, egress, &extra);
        }
        self.extra = extra;
    }

    pub(super) fn flush_all(&mut self, now: Time, batch: &Batch) {
        for side in 0..self.outboxes.len() {
            self.flush(now, side, batch);
        }
    }

    pub(super) fn flush(&mut self, now: Time, side: usize, batch: &Batch) {
        let (Some(outbox), Some(port)) = (self.outboxes.get_mut(side), self.sides.get_mut(side)) else {
            return;
        };
        if !outbox.is_empty() {
            let lost = port.send(now, batch, outbox);
            self.statistics.count_sent(side, outbox.len(), lost);
            outbox.clear();
        }
    }

    /// Sends the one frame of a batch.
    pub(super) fn send_now(&mut self, now: Time, side: usize, batch: &Batch) {
        if let Some(port) = self.sides.get_mut(side) {
            let lost = port.send(now, batch, &[0]);
            self.statistics.count_sent(side, 1, lost);
        }
    }

    /// Sends a frame that is in no batch.
    pub(super) fn send_bytes(&mut self, now: Time, side: usize, bytes: &[u8], offload: Offload) {
        let mut spare = std::mem::take(&mut self.spare);
        spare.clear();
        if spare.push(bytes, offload) {
            self.send_now(now, side, &spare);
        }
        self.spare = spare;
    }

    pub(super) fn write_addresses(&self, egress: usize, to: [u8; 6], frame: &mut [u8]) {
        if let Some(link) = self.links.get(egress)
            && let Some(addresses) = frame.first_chunk_mut::<12>()
        {
            let [t0, t1, t2, t3, t4, t5] = to;
            let [f0, f1, f2, f3, f4, f5] = link.address;
            *addresses = [t0, t1, t2, t3, t4, t5, f0, f1, f2, f3, f4, f5];
        }
    }

    pub(super) fn address_to_host(&self, port: usize, frame: &mut [u8]) {
        if let Some(link) = self.links.get(port)
            && let Some(destination) = frame.first_chunk_mut::<6>()
        {
            *destination = link.host;
        }
    }
}

impl Step {
    /// Whether the next hop's address is still to be found out.
    pub(super) const fn waits(&self) -> bool {
        matches!(self, Self::Forward(Onward { found: Found::Unknown, .. }))
    }
}

/// What an answer may quote of a frame.
pub(super) fn quoted(frame: &[u8]) -> Vec<u8> {
    frame.get(..QUOTED).unwrap_or(frame).to_vec()
}

/// What is to be done for a frame to fit a link (RFC 1191, RFC 8201): of a superframe its segments must fit.
fn fit(frame: &[u8], offload: Offload, header: &Header, mtu: usize) -> Result<Option<Cut>, Failure> {
    let too_big = || (Reason::TooBig, Some(Problem::TooBig(u32::try_from(mtu).unwrap_or(u32::MAX))));
    let Some(segment) = offload.segment_size() else {
        return match header.length <= mtu {
            true => Ok(None),
            false if header.may_be_cut => Ok(Some(Cut::Fragments(mtu))),
            false => Err(too_big()),
        };
    };
    if header.length <= mtu {
        return Ok(None);
    }
    let headers =
        whole_packet(frame).map_or(header.header_length, |packet| (packet.payload - packet.network) as usize);
    if headers + usize::from(segment) <= mtu {
        return Ok(None);
    }
    // TCP's segments may be of any length; where its sender does not look for the path's MTU, they are made shorter.
    match u16::try_from(mtu.saturating_sub(headers)) {
        Ok(size) if size > 0 && header.may_be_cut && offload.is_tcp_superframe() => {
            Ok(Some(Cut::Segments(size)))
        }
        _ => Err(too_big()),
    }
}

/// Completes a checksum that was left to hardware: fragments are finished frames.
pub(super) fn finish_checksum(buffer: &mut Buffer) {
    if let Some((start, place)) = buffer.offload.checksum_place() {
        let frame = buffer.bytes_mut();
        let checksum = Sum::of(frame.get(start..).unwrap_or_default()).udp_checksum();
        if let Some(field) = frame.get_mut(place..place + 2) {
            field.copy_from_slice(&checksum.to_be_bytes());
        }
        buffer.offload = Offload::NONE;
    }
}
