//! What the engine made in a frame's stead, or besides: a translated frame takes the place of the one it was made of; a further segment, a released line
//! or a datagram put together from fragments is sent by itself, behind what was to leave before it.

use super::forward::{Cut, Failure, Step, finish_checksum, quoted};
use super::header::Header;
use super::{Router, cut};
use crate::frames::{link_header, network_layer, side_of};
use pinhole_engine::nat::{Content, EmissionKind, Patch};
use pinhole_engine::{Outcome, Reason, Verdict};
use pinhole_io::live::{Batch, Offload};
use pinhole_wire::link::ETHERNET_HEADER;
use pinhole_wire::{Address, LinkType, Time};

/// Longest IP header that says where a datagram goes: IPv4 with all its options.
const LONGEST_HEADER: usize = 60;

/// The fragments of a datagram that was put together: the length of the largest, zero if it is not known; their identification.
#[derive(Clone, Copy, Debug)]
struct Pieces {
    largest: usize,
    identification: u32,
}

impl Router {
    /// Sends what the engine made of a frame, or of earlier ones because of it. `largest`: length of the largest fragment, if it completed a datagram.
    pub(super) fn emit(
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
            } else {
                self.flush_all(now, batch);
                self.send_emission(now, batch, index, largest);
            }
            self.emitted += 1;
        }
        result
    }

    /// Releases what the engine held until now.
    pub(super) fn send_released(&mut self, now: Time) {
        self.emitted = 0;
        while self.engine.emission(self.emitted).is_some() {
            self.send_emission(now, &Batch::default(), 0, 0);
            self.emitted += 1;
        }
    }

    /// Whether the engine's next packet is the frame at hand, translated. `None`: the next belongs to a later frame, or there is none.
    fn next_emission(&self, side: usize, number: u64) -> Option<bool> {
        let emission = self.engine.emission(self.emitted)?;
        if side_of(emission.frame) == side && emission.frame > number {
            return None;
        }
        Some(emission.kind == EmissionKind::Translated && emission.link != LinkType::RAW)
    }

    /// Puts the engine's next packet in the place of the frame that it was made of, and takes it where it goes.
    fn replace(&mut self, now: Time, side: usize, batch: &mut Batch, index: u16) -> Result<(), Reason> {
        let place = batch.frames_mut().get_mut(usize::from(index));
        let (Some(emission), Some(buffer)) = (self.engine.emission(self.emitted), place) else {
            return Ok(());
        };
        let bytes = match emission.content {
            Content::Whole(bytes) => bytes,
            Content::Patched(patch) => return self.translate(now, side, batch, index, *patch),
        };
        let elsewhere = destination(buffer.bytes()) != destination(bytes);
        match self.decide(now, side, bytes, buffer.offload, elsewhere) {
            Ok(step) => {
                let came = step.waits().then(|| quoted(buffer.bytes()));
                // What is left to hardware is left to it still: the headers stand where they stood.
                buffer.set(bytes, buffer.offload);
                self.take(now, side, batch, index, step, came);
                Ok(())
            }
            Err((reason, problem)) => {
                self.tell_failure(now, side, buffer.bytes(), problem);
                Err(reason)
            }
        }
    }

    /// Translates a frame where it lies, and takes it where it goes. What cannot go on is again as it came.
    fn translate(
        &mut self,
        now: Time,
        side: usize,
        batch: &mut Batch,
        index: u16,
        mut patch: Patch,
    ) -> Result<(), Reason> {
        let Some(buffer) = batch.frames_mut().get_mut(usize::from(index)) else { return Ok(()) };
        let before = destination(buffer.bytes());
        patch.exchange(buffer.bytes_mut());
        let elsewhere = destination(buffer.bytes()) != before;
        match self.decide(now, side, buffer.bytes(), buffer.offload, elsewhere) {
            Ok(step) => {
                let came = step.waits().then(|| {
                    patch.exchange(buffer.bytes_mut());
                    let came = quoted(buffer.bytes());
                    patch.exchange(buffer.bytes_mut());
                    came
                });
                self.take(now, side, batch, index, step, came);
                Ok(())
            }
            Err((reason, problem)) => {
                patch.exchange(buffer.bytes_mut());
                self.tell_failure(now, side, buffer.bytes(), problem);
                Err(reason)
            }
        }
    }

    /// Sends the engine's next packet by itself.
    fn send_emission(&mut self, now: Time, batch: &Batch, index: u16, largest: usize) {
        let Some(emission) = self.engine.emission(self.emitted) else { return };
        let came = batch.frames().get(usize::from(index));
        let side = side_of(emission.frame);
        let mut extra = std::mem::take(&mut self.extra);
        extra.clear();
        let mut pieces = None;
        let pushed = if emission.link == LinkType::RAW {
            let came = came.map_or(&[][..], |buffer| buffer.bytes());
            self.answer.clear();
            self.answer.extend_from_slice(link_header(came));
            emission.write(&[], &mut self.answer);
            let fragment = network_layer(came).and_then(|packet| packet.fragment);
            let identification = fragment.map_or(0, |fragment| fragment.identification);
            pieces = Some(Pieces { largest, identification });
            extra.push(&self.answer, Offload::NONE)
        } else {
            let continues = emission.kind == EmissionKind::Continued;
            let offload = came.filter(|_| continues).map_or(Offload::NONE, |buffer| buffer.offload);
            self.answer.clear();
            emission.write(came.map_or(&[][..], |buffer| buffer.bytes()), &mut self.answer);
            extra.push(&self.answer, offload)
        };
        // What the host sent goes by the port that the host chose, unless it is another datagram now; an acknowledgement goes back.
        let changed = pieces.is_some() || emission.kind == EmissionKind::Acknowledgement;
        if pushed {
            self.send_made(now, side, &mut extra, changed, pieces);
        }
        self.extra = extra;
    }

    /// Sends a frame that is not of the batch where it belongs.
    fn send_made(
        &mut self,
        now: Time,
        side: usize,
        extra: &mut Batch,
        changed: bool,
        pieces: Option<Pieces>,
    ) {
        let Some(buffer) = extra.frames_mut().first_mut() else { return };
        let decided = match self.decide(now, side, buffer.bytes(), buffer.offload, changed) {
            // It came in pieces, and may go so.
            Err((Reason::TooBig, _)) if pieces.is_some() => self.decide_by_header(now, side, buffer.bytes()),
            decided => decided,
        };
        let step = match decided {
            Ok(step) => step,
            Err((_, problem)) => return self.tell_failure(now, side, buffer.bytes(), problem),
        };
        let (egress, longest) = match step {
            Step::Deliver(port) => {
                self.address_to_host(port, buffer.bytes_mut());
                (port + self.links.len(), None)
            }
            Step::AsItIs(port) => (port, None),
            Step::Forward(onward) => {
                let Some(address) = self.address(now, side, buffer, &onward, None) else { return };
                self.write_addresses(onward.egress, address, buffer.bytes_mut());
                let mtu = self.links.get(onward.egress).map_or(0, |link| link.mtu);
                let longest = match (pieces, onward.cut) {
                    (Some(Pieces { largest: 0, .. }), _) => Some(mtu),
                    (Some(pieces), _) => Some(mtu.min(pieces.largest)),
                    (None, Some(Cut::Fragments(mtu))) => Some(mtu),
                    (None, _) => None,
                };
                (onward.egress, longest)
            }
        };
        let length = buffer.bytes().len().saturating_sub(ETHERNET_HEADER);
        match longest.filter(|longest| length > *longest) {
            Some(longest) => {
                finish_checksum(buffer);
                let identification = pieces.map_or(0, |pieces| pieces.identification);
                self.send_cut(now, egress, buffer.bytes(), longest, identification);
            }
            None => self.send_now(now, egress, extra),
        }
    }

    /// The way of a datagram that does not fit in one piece.
    fn decide_by_header(&self, now: Time, side: usize, frame: &[u8]) -> Result<Step, Failure> {
        let head = frame.get(..ETHERNET_HEADER + LONGEST_HEADER).unwrap_or(frame);
        self.decide(now, side, head, Offload::NONE, true)
    }

    /// What a verdict means for fragments that wait. Returns the length of the largest one of the datagram, as a datagram.
    pub(super) fn carry_out_fragment(
        &mut self,
        now: Time,
        side: usize,
        batch: &mut Batch,
        index: u16,
        outcome: &Outcome,
    ) -> usize {
        let Some(buffer) = batch.frames().get(usize::from(index)) else { return 0 };
        let fragment = network_layer(buffer.bytes()).filter(|packet| packet.fragment.is_some());
        let Some(packet) = fragment else { return 0 };
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
            let mut one = std::mem::take(&mut self.extra);
            for frame in waited {
                one.clear();
                if one.push(&frame, Offload::NONE) {
                    // Each is answered for itself if it cannot go on.
                    let _ = self.pass(now, side, &mut one, 0);
                    self.flush_all(now, &one);
                }
            }
            self.extra = one;
        }
        largest
    }

    /// Cuts a frame's datagram into fragments, and sends them.
    pub(super) fn send_cut(
        &mut self,
        now: Time,
        egress: usize,
        frame: &[u8],
        mtu: usize,
        identification: u32,
    ) {
        let Some((head, datagram)) = frame.split_first_chunk::<ETHERNET_HEADER>() else { return };
        let mut fragment = Vec::with_capacity(ETHERNET_HEADER + mtu);
        let send = |piece: &[u8]| {
            fragment.clear();
            fragment.extend_from_slice(head);
            fragment.extend_from_slice(piece);
            self.send_bytes(now, egress, &fragment, Offload::NONE);
        };
        // What cannot be cut is lost, as any datagram may be.
        let _ = match datagram.first().map(|first| first >> 4) {
            Some(6) => cut::ipv6(datagram, mtu, identification, send),
            _ => cut::ipv4(datagram, mtu, send),
        };
    }
}

/// The host that a frame is addressed to.
fn destination(frame: &[u8]) -> Option<Address> {
    Header::read(frame.get(ETHERNET_HEADER..).unwrap_or_default()).map(|header| header.destination)
}
