//! What becomes of a datagram that was judged: to the host, to the next hop, or back to its sender with a reason why not.
//!
//! A frame is edited where it lies, in the batch, and sent with the others of its egress. What the engine made in its stead is put there too; only what
//! comes besides (a fragment, a released line, an answer) is sent by itself, behind what was to leave before it.

use super::header::{Header, decrement_hop_limit};
use super::neighbours::{Found, Waiting};
use super::routes::{Hop, Way, choose};
use super::{Router, cut};
use crate::answer::{self, Problem};
use crate::frames::{link_header, network_layer, side_of, whole_packet};
use pinhole_engine::nat::EmissionKind;
use pinhole_engine::{Outcome, Reason, Verdict};
use pinhole_io::live::{Batch, Buffer, Offload};
use pinhole_ruleset::RejectWith;
use pinhole_wire::checksum::Sum;
use pinhole_wire::link::ETHERNET_HEADER;
use pinhole_wire::{LinkType, Packet, Time};
use std::net::IpAddr;

/// How much of a frame is kept for an answer that may become due: what an ICMP error quotes at most, and the link header.
const QUOTED: usize = 1280 + ETHERNET_HEADER;

/// Where a datagram goes.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// To the host, by the way of this port.
    Deliver(usize),
    /// By this port, with the link header that the host gave it.
    AsItIs(usize),
    /// To the next hop.
    Forward(Onward),
}

/// The way to the next hop.
#[derive(Clone, Copy, Debug)]
struct Onward {
    egress: usize,
    next_hop: IpAddr,
    found: Found,
    /// The datagram must be cut to this length: into fragments, or a superframe into shorter segments.
    cut: Option<Cut>,
    /// A router counts its hop; the host's own packets have none behind them.
    counts: bool,
}

#[derive(Clone, Copy, Debug)]
enum Cut {
    Fragments(usize),
    Segments(u16),
}

/// Why a datagram goes nowhere, and what its sender is told.
type Failure = (Reason, Option<Problem>);

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

    /// A frame that is not to be passed on, and for which its sender may get an answer.
    pub(super) fn refuse(&mut self, now: Time, side: usize, batch: &Batch, index: u16, reason: Reason) {
        if reason == Reason::HopLimit
            && let Some(buffer) = batch.frames().get(usize::from(index))
        {
            self.tell(now, side, buffer.bytes(), Problem::HopLimit);
        }
    }

    /// Passes a frame of the batch on as it came.
    fn pass(&mut self, now: Time, side: usize, batch: &mut Batch, index: u16) -> Result<(), Reason> {
        let Some(buffer) = batch.frames_mut().get_mut(usize::from(index)) else { return Ok(()) };
        match self.decide(now, side, buffer.bytes(), buffer.offload, false) {
            Ok(step) => self.take(now, side, batch, index, step, None),
            Err((reason, problem)) => {
                self.tell_failure(now, side, buffer.bytes(), problem);
                Err(reason)
            }
        }
    }

    /// Where a frame goes. `changed`: the engine made it of another one, or put it together from fragments.
    fn decide(
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

    fn next_hop(&self, header: &Header) -> Result<(Hop, Option<usize>), Failure> {
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
    fn take(
        &mut self,
        now: Time,
        side: usize,
        batch: &mut Batch,
        index: u16,
        step: Step,
        came: Option<Vec<u8>>,
    ) -> Result<(), Reason> {
        let Some(buffer) = batch.frames_mut().get_mut(usize::from(index)) else { return Ok(()) };
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
                                self.send_cut(now, onward.egress, buffer.bytes(), mtu, None);
                            }
                            return Ok(());
                        }
                    }
                    onward.egress
                }
                None => return Ok(()),
            },
        };
        if let Some(outbox) = self.outboxes.get_mut(egress) {
            outbox.push(index);
        }
        Ok(())
    }

    /// The hardware address to send to, after the hop was counted. `None`: it is not known; the frame waits for it.
    fn address(
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
        let mut extra = std::mem::replace(&mut self.extra, Batch::new(0));
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
                    return self.send_cut(now, egress, &frame, mtu, None);
                }
                Some(Cut::Segments(size)) => buffer.offload = buffer.offload.with_segment_size(size),
                None => {}
            }
            self.send_now(now, egress, &extra);
        }
        self.extra = extra;
    }

    /// A frame whose next hop does not answer.
    pub(super) fn give_up(&mut self, now: Time, packet: &Waiting) {
        self.statistics.unresolved += 1;
        self.tell(now, packet.side, &packet.came, Problem::HostUnreachable);
    }

    /// Sends what the engine made of a frame, or of earlier ones because of it.
    fn emit(
        &mut self,
        now: Time,
        side: usize,
        batch: &mut Batch,
        index: u16,
        number: u64,
        largest: usize,
    ) -> Result<(), Reason> {
        let mut result = Ok(());
        while let Some(stands_for_frame) = self.next_emission(side, number) {
            if stands_for_frame {
                result = self.replace(now, side, batch, index);
            }
            self.emitted += 1;
            if !stands_for_frame {
                self.flush_all(now, batch);
                self.send_emission(now, batch, index, largest);
            }
        }
        result
    }

    /// Whether the engine's next packet is the frame at hand, translated. `None`: the next belongs to a later frame, or there is none.
    fn next_emission(&self, side: usize, number: u64) -> Option<bool> {
        let emission = self.engine.output().nth(self.emitted)?;
        if side_of(emission.frame) == side && emission.frame > number {
            return None;
        }
        Some(emission.kind == EmissionKind::Translated && emission.link != LinkType::RAW)
    }

    /// Puts the engine's next packet in the place of the frame that it was made of, and takes it where it goes.
    fn replace(&mut self, now: Time, side: usize, batch: &mut Batch, index: u16) -> Result<(), Reason> {
        let place = batch.frames_mut().get_mut(usize::from(index));
        let (Some(emission), Some(buffer)) = (self.engine.output().nth(self.emitted), place) else {
            return Ok(());
        };
        let elsewhere = is_rerouted(buffer.bytes(), emission.bytes);
        match self.decide(now, side, emission.bytes, buffer.offload, elsewhere) {
            Ok(step) => {
                let came = step.waits().then(|| quoted(buffer.bytes()));
                // What is left to hardware is left to it still: the headers stand where they stood.
                buffer.set(emission.bytes, buffer.offload);
                self.take(now, side, batch, index, step, came)
            }
            Err((reason, problem)) => {
                self.tell_failure(now, side, buffer.bytes(), problem);
                Err(reason)
            }
        }
    }

    /// Sends the engine's packet before [`emitted`](Self::emitted), which does not stand for the frame at hand.
    fn send_emission(&mut self, now: Time, batch: &Batch, index: u16, largest: usize) {
        let Some(emission) = self.emitted.checked_sub(1).and_then(|last| self.engine.output().nth(last))
        else {
            return;
        };
        let came = batch.frames().get(usize::from(index));
        let side = side_of(emission.frame);
        let mut extra = std::mem::replace(&mut self.extra, Batch::new(0));
        extra.clear();
        let whole = emission.link == LinkType::RAW;
        let pushed = if whole {
            self.answer.clear();
            self.answer.extend_from_slice(came.map_or(&[], |buffer| link_header(buffer.bytes())));
            self.answer.extend_from_slice(emission.bytes);
            extra.push(&self.answer, Offload::NONE)
        } else {
            let continues = emission.kind == EmissionKind::Continued;
            let offload = came.filter(|_| continues).map_or(Offload::NONE, |buffer| buffer.offload);
            extra.push(emission.bytes, offload)
        };
        // An acknowledgement goes back: the host's own is one of the host's.
        let changed = whole || emission.kind == EmissionKind::Acknowledgement || !self.is_host(side);
        if pushed && let Some(buffer) = extra.frames_mut().first_mut() {
            let identification = came.and_then(|buffer| identification(buffer.bytes()));
            self.send_made(now, side, buffer, changed, whole.then_some((largest, identification)));
        }
        self.extra = extra;
    }

    /// Sends a frame that is not of the batch where it belongs. `reassembled`: it was put together from fragments, the largest of which was so
    /// long, and is to be cut again.
    fn send_made(
        &mut self,
        now: Time,
        side: usize,
        buffer: &mut Buffer,
        changed: bool,
        reassembled: Option<(usize, Option<u32>)>,
    ) {
        let decided = match self.decide(now, side, buffer.bytes(), buffer.offload, changed) {
            Err((Reason::TooBig, _)) if reassembled.is_some() => self.decide_cut(now, side, buffer.bytes()),
            decided => decided,
        };
        let step = match decided {
            Ok(step) => step,
            Err((_, problem)) => return self.tell_failure(now, side, buffer.bytes(), problem),
        };
        let (egress, mut longest) = match step {
            Step::Deliver(port) => {
                self.address_to_host(port, buffer.bytes_mut());
                (port + self.links.len(), None)
            }
            Step::AsItIs(port) => (port, self.links.get(port).map(|link| link.mtu)),
            Step::Forward(onward) => {
                let Some(address) = self.address(now, side, buffer, &onward, None) else { return };
                self.write_addresses(onward.egress, address, buffer.bytes_mut());
                (onward.egress, self.links.get(onward.egress).map(|link| link.mtu))
            }
        };
        let length = buffer.bytes().len().saturating_sub(ETHERNET_HEADER);
        if let Some((largest, identification)) = reassembled {
            longest = longest.map(|mtu| if largest == 0 { mtu } else { mtu.min(largest) });
            if longest.is_some_and(|longest| length > longest) {
                finish_checksum(buffer);
                let mtu = longest.unwrap_or_default();
                return self.send_cut(now, egress, buffer.bytes(), mtu, identification);
            }
        }
        let mut one = Batch::new(1);
        if one.push(buffer.bytes(), buffer.offload) {
            self.send_now(now, egress, &one);
        }
    }

    /// The way of a reassembled datagram that does not fit: it will be cut.
    fn decide_cut(&self, now: Time, side: usize, frame: &[u8]) -> Result<Step, Failure> {
        let head = frame.get(..ETHERNET_HEADER + 40).unwrap_or(frame);
        self.decide(now, side, head, Offload::NONE, true)
    }

    /// Releases what the engine held until now.
    pub(super) fn send_released(&mut self, now: Time) {
        let empty = Batch::new(0);
        self.emitted = 0;
        while self.engine.output().nth(self.emitted).is_some() {
            self.emitted += 1;
            self.send_emission(now, &empty, 0, 0);
        }
    }

    /// What a verdict means for fragments that wait. Returns the length of the largest one of the datagram, as a datagram.
    fn carry_out_fragment(
        &mut self,
        now: Time,
        side: usize,
        batch: &mut Batch,
        index: u16,
        outcome: &Outcome,
    ) -> usize {
        let Some(buffer) = batch.frames().get(usize::from(index)) else { return 0 };
        let Some(packet) = network_layer(buffer.bytes()).filter(|packet| packet.fragment.is_some()) else {
            return 0;
        };
        if outcome.verdict == Verdict::Held {
            self.statistics.fragments_lost += self.fragments.hold(now, side, buffer.bytes(), &packet);
            return 0;
        }
        let own = packet.datagram_length() as usize;
        let waited = self.fragments.take(side, &packet);
        let lengths = waited.iter().map(|frame| frame.len().saturating_sub(ETHERNET_HEADER));
        let largest = lengths.chain([own]).max().unwrap_or_default();
        if outcome.verdict == Verdict::Accept && !outcome.rewritten {
            // What came before goes out before.
            self.flush_all(now, batch);
            for frame in waited {
                let mut one = Batch::new(1);
                if one.push(&frame, Offload::NONE) {
                    // Each is answered for itself if it cannot go on.
                    let _ = self.pass(now, side, &mut one, 0);
                    self.flush_all(now, &one);
                }
            }
        }
        largest
    }

    /// Answers a rejected packet. One that came in fragments is answered to the last of them, if that can be.
    fn reject(&mut self, now: Time, side: usize, batch: &Batch, index: u16, with: RejectWith) {
        let Some(buffer) = batch.frames().get(usize::from(index)) else { return };
        self.answer_with(now, side, buffer.bytes(), |router, frame, packet, out| {
            let own = router.own_address(router.port_of(side), packet.version);
            answer::reject(frame, packet, with, own, out)
        });
    }

    fn tell_failure(&mut self, now: Time, side: usize, frame: &[u8], problem: Option<Problem>) {
        if let Some(problem) = problem {
            self.tell(now, side, frame, problem);
        }
    }

    /// Tells the sender of a frame of a problem with it, from this router's address on that side.
    fn tell(&mut self, now: Time, side: usize, frame: &[u8], problem: Problem) {
        self.answer_with(now, side, frame, |router, frame, packet, out| {
            let Some(own) = router.own_address(router.port_of(side), packet.version) else { return false };
            answer::tell(frame, packet, problem, own, out)
        });
    }

    fn answer_with(
        &mut self,
        now: Time,
        side: usize,
        frame: &[u8],
        write: impl FnOnce(&Self, &[u8], &Packet, &mut Vec<u8>) -> bool,
    ) {
        let mut bytes = std::mem::take(&mut self.answer);
        let answered = whole_packet(frame).is_some_and(|packet| write(self, frame, &packet, &mut bytes));
        if answered {
            if self.answers.take(now) {
                self.statistics.answers += 1;
                if self.is_host(side) {
                    self.address_to_host(self.port_of(side), &mut bytes);
                }
                let mut one = Batch::new(1);
                if one.push(&bytes, Offload::NONE) {
                    self.send_now(now, side, &one);
                }
            } else {
                self.statistics.answers_suppressed += 1;
            }
        }
        self.answer = bytes;
    }

    /// Cuts a frame's datagram into fragments, and sends them.
    fn send_cut(&mut self, now: Time, egress: usize, frame: &[u8], mtu: usize, identification: Option<u32>) {
        let Some((head, datagram)) = frame.split_first_chunk::<ETHERNET_HEADER>() else { return };
        let mut one = Batch::new(1);
        let mut fragment = Vec::with_capacity(ETHERNET_HEADER + mtu);
        let send = |piece: &[u8]| {
            fragment.clear();
            fragment.extend_from_slice(head);
            fragment.extend_from_slice(piece);
            one.clear();
            if one.push(&fragment, Offload::NONE) {
                self.send_now(now, egress, &one);
            }
        };
        match datagram.first().map(|first| first >> 4) {
            Some(6) => cut::ipv6(datagram, mtu, identification.unwrap_or_default(), send),
            _ => cut::ipv4(datagram, mtu, send),
        };
    }

    pub(super) fn flush_all(&mut self, now: Time, batch: &Batch) {
        for side in 0..self.outboxes.len() {
            self.flush(now, side, batch);
        }
    }

    fn flush(&mut self, now: Time, side: usize, batch: &Batch) {
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
    fn send_now(&mut self, now: Time, side: usize, batch: &Batch) {
        if let Some(port) = self.sides.get_mut(side) {
            let lost = port.send(now, batch, &[0]);
            self.statistics.count_sent(side, 1, lost);
        }
    }

    fn write_addresses(&self, egress: usize, to: [u8; 6], frame: &mut [u8]) {
        if let Some(link) = self.links.get(egress)
            && let Some(addresses) = frame.first_chunk_mut::<12>()
        {
            let [t0, t1, t2, t3, t4, t5] = to;
            let [f0, f1, f2, f3, f4, f5] = link.address;
            *addresses = [t0, t1, t2, t3, t4, t5, f0, f1, f2, f3, f4, f5];
        }
    }

    fn address_to_host(&self, port: usize, frame: &mut [u8]) {
        if let Some(link) = self.links.get(port)
            && let Some(destination) = frame.first_chunk_mut::<6>()
        {
            *destination = link.host;
        }
    }
}

impl Step {
    /// Whether the next hop's address is still to be found out.
    const fn waits(&self) -> bool {
        matches!(self, Self::Forward(Onward { found: Found::Unknown, .. }))
    }
}

/// What an answer may quote of a frame.
fn quoted(frame: &[u8]) -> Vec<u8> {
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

/// Whether a translated frame goes to another host than it was addressed to.
fn is_rerouted(came: &[u8], goes: &[u8]) -> bool {
    let destination = |frame: &[u8]| {
        Header::read(frame.get(ETHERNET_HEADER..).unwrap_or_default()).map(|header| header.destination)
    };
    destination(came) != destination(goes)
}

/// The identification of a fragment, for those that its datagram is cut into again.
fn identification(frame: &[u8]) -> Option<u32> {
    network_layer(frame)?.fragment.map(|fragment| fragment.identification)
}

/// Completes a checksum that was left to hardware: fragments are finished frames.
fn finish_checksum(buffer: &mut Buffer) {
    if let Some((start, place)) = buffer.offload.checksum_place() {
        let frame = buffer.bytes_mut();
        let checksum = Sum::of(frame.get(start..).unwrap_or_default()).udp_checksum();
        if let Some(field) = frame.get_mut(place..place + 2) {
            field.copy_from_slice(&checksum.to_be_bytes());
        }
        buffer.offload = Offload::NONE;
    }
}
