//! A transparent firewall: what comes in by one port goes out by the other, unchanged, if the rules accept it.
//!
//! Life cycle: made of an engine and two ports; [`Bridge::serve`] takes a batch from one port all the way; [`Bridge::advance`] lets time
//! pass; [`Bridge::engine_mut`] is for what is asked from outside (another ruleset, ending conns).
//!
//! Invariants: a frame leaves only by the port that it did not come in by, and only if it was accepted or link policy passes it; frames that
//! are sent on keep their order; answers leave by the port that the rejected packet came in by; of a frame that the engine has rewritten only
//! what the engine made of it leaves.

use crate::allowance::Allowance;
use crate::answer;
use crate::fragments::Fragments;
use crate::frames::{BATCH, Counting, NO_FRAME, frame, link_header, network_layer, side_of, whole_packet};
use crate::observe::{EXPIRY, Observer, Statistics};
use crate::policy::{LinkPolicy, Treatment};
use crate::shards::Share;
use pinhole_engine::nat::{Content, EmissionKind};
use pinhole_engine::{Engine, Event, Frame, InterfaceId, Outcome, Steering, Verdict};
use pinhole_io::live::{Batch, Offload, Port};
use pinhole_ruleset::RejectWith;
use pinhole_wire::{LinkType, Time};
use std::io;

/// Two ports and the engine between them.
pub struct Bridge {
    engine: Engine,
    ports: [Box<dyn Port>; 2],
    interfaces: [InterfaceId; 2],
    policy: LinkPolicy,
    batch: Batch,
    /// Frames that are not of the batch: answers, and fragments that waited.
    extra: Batch,
    /// How many of the engine's packets of this batch are sent.
    emitted: usize,
    outbox: Vec<u16>,
    outcomes: Vec<Outcome>,
    fragments: Fragments,
    answer: Vec<u8>,
    answers: Allowance,
    statistics: Statistics,
    frames: [u64; 2],
    counting: Counting,
    /// If it is one of several.
    share: Option<Box<Share>>,
}

impl Bridge {
    /// A bridge between two ports, whose names rules see as `iifname` and `oifname`.
    pub fn new(mut engine: Engine, ports: [Box<dyn Port>; 2], policy: LinkPolicy) -> Self {
        let interfaces = [0, 1].map(|side: usize| engine.topology_mut().interface(ports[side].name()));
        Self {
            engine,
            ports,
            interfaces,
            policy,
            batch: Batch::new(BATCH),
            extra: Batch::new(1),
            emitted: 0,
            outbox: Vec::with_capacity(BATCH),
            outcomes: Vec::with_capacity(BATCH),
            fragments: Fragments::default(),
            answer: Vec::new(),
            answers: Allowance::default(),
            statistics: Statistics::new(2),
            frames: [0; 2],
            counting: Counting::ALONE,
            share: None,
        }
    }

    /// Makes it one of several, each with its own ports to the same interfaces.
    pub fn join(&mut self, share: Share) {
        self.counting = Counting::of(share.position());
        self.share = Some(Box::new(share));
    }

    /// Its part among several, if it is one of them.
    pub fn share(&self) -> Option<&Share> {
        self.share.as_deref()
    }

    /// Spreads frames another way from now on, if it is one of several.
    pub fn steer_by(&mut self, steering: Steering) {
        if let Some(share) = &mut self.share {
            share.steer_by(steering, &mut self.engine);
        }
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The engine, to be changed between two batches.
    pub fn engine_mut(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// The ports.
    pub fn ports(&self) -> &[Box<dyn Port>; 2] {
        &self.ports
    }

    /// The ports, to be asked for what they lost.
    pub fn ports_mut(&mut self) -> &mut [Box<dyn Port>; 2] {
        &mut self.ports
    }

    /// Counters.
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// Takes what has come in by a port (0 or 1), at most one batch. Returns how many frames that were: a full batch means that there may be more.
    ///
    /// # Errors
    /// The port's; frames that came before the error are handled.
    pub fn serve(&mut self, now: Time, side: usize, observer: &mut dyn Observer) -> io::Result<usize> {
        let side = side & 1;
        let mut batch = std::mem::take(&mut self.batch);
        batch.clear();
        let result = self.ports[side].receive(now, &mut batch);
        let bytes = batch.frames().iter().map(|frame| frame.bytes().len() as u64).sum();
        self.statistics.count_received(side, batch.len(), bytes);
        let count = batch.len();
        if let Some(share) = self.share.as_mut().filter(|_| count > 0) {
            share.steer(side, &mut batch, self.engine.tracker());
        }
        if !batch.is_empty() {
            self.handle(now, side, &batch, observer);
        }
        self.batch = batch;
        result.map(|()| count)
    }

    /// Takes what other shards handed over, at most one batch. Returns whether there was anything.
    pub fn serve_handed(&mut self, now: Time, observer: &mut dyn Observer) -> bool {
        let Some(share) = &mut self.share else { return false };
        let mut batch = std::mem::take(&mut self.batch);
        batch.clear();
        let side = share.receive(&mut batch, self.engine.tracker());
        if let Some(side) = side
            && !batch.is_empty()
        {
            self.handle(now, side, &batch, observer);
        }
        self.batch = batch;
        side.is_some()
    }

    /// Lets time pass. Returns whether there is more to do at once.
    pub fn advance(&mut self, now: Time, observer: &mut dyn Observer) -> bool {
        self.statistics.fragments_lost += self.fragments.expire(now);
        let more = self.engine.advance(now, EXPIRY);
        self.tell_events(observer);
        more
    }

    /// When [`advance`](Self::advance) or [`serve`](Self::serve) should be called next if no frame comes.
    pub fn next_deadline(&self) -> Option<Time> {
        let ports = self.ports.iter().filter_map(Port::next_deadline);
        ports.chain(self.engine.next_deadline()).min()
    }

    /// Hands on the events of what was asked of [`engine_mut`](Self::engine_mut).
    pub fn tell_events(&mut self, observer: &mut dyn Observer) {
        self.publish();
        while let Some(event) = self.next_event() {
            observer.event(&self.engine, event);
        }
    }

    /// Tells other shards what happened, before anything is sent.
    fn publish(&mut self) {
        if let Some(share) = &mut self.share {
            share.publish(&mut self.engine);
        }
    }

    fn next_event(&mut self) -> Option<Event> {
        match &mut self.share {
            Some(share) => share.next_event(),
            None => self.engine.next_event(),
        }
    }

    fn handle(&mut self, now: Time, side: usize, batch: &Batch, observer: &mut dyn Observer) {
        let mut room = [NO_FRAME; BATCH];
        let mut treatments = [None; BATCH];
        let (ingress, egress) = (self.interfaces[side], self.interfaces[side ^ 1]);
        let mut judged = 0;
        for (buffer, treatment) in batch.frames().iter().zip(&mut treatments) {
            self.frames[side] += 1;
            *treatment = self.policy.before_rules(buffer.bytes());
            if treatment.is_none()
                && let Some(place) = room.get_mut(judged)
            {
                let number = self.counting.number(side, self.frames[side]);
                *place = frame(number, now, buffer, Some(ingress), Some(egress));
                judged += 1;
            }
        }
        let judged = room.get(..judged).unwrap_or_default();
        let mut outcomes = std::mem::take(&mut self.outcomes);
        outcomes.clear();
        self.engine.handle_batch(judged, &mut outcomes);
        self.publish();
        self.emitted = 0;

        let mut verdicts = judged.iter().zip(&outcomes);
        for (index, treatment) in (0u16..).zip(treatments).take(batch.len()) {
            match treatment {
                Some(treatment) => self.treat(index, treatment),
                None => {
                    let Some((frame, outcome)) = verdicts.next() else { break };
                    observer.packet(&self.engine, frame, outcome);
                    self.carry_out(now, side, batch, index, frame, outcome);
                    self.emit(now, side, batch, index, frame);
                }
            }
        }
        self.flush(now, side ^ 1, batch);
        self.outcomes = outcomes;
        self.tell_events(observer);
    }

    fn treat(&mut self, index: u16, treatment: Treatment) {
        if treatment == Treatment::Pass {
            self.statistics.link_passed += 1;
            self.outbox.push(index);
        } else {
            self.statistics.link_dropped += 1;
        }
    }

    #[inline]
    fn carry_out(
        &mut self,
        now: Time,
        side: usize,
        batch: &Batch,
        index: u16,
        frame: &Frame<'_>,
        outcome: &Outcome,
    ) {
        match outcome.verdict {
            Verdict::Accept if self.fragments.is_empty() && !outcome.rewritten => self.outbox.push(index),
            Verdict::NotIp => self.treat(index, self.policy.not_ip(frame.bytes)),
            Verdict::Accept | Verdict::Drop | Verdict::Held => {
                // What was rewritten is sent in one piece: the fragments that waited for it are not.
                let passes = outcome.verdict == Verdict::Accept && !outcome.rewritten;
                let verdict = if outcome.rewritten { Verdict::Drop } else { outcome.verdict };
                self.carry_out_fragment(now, side, batch, frame, verdict);
                if passes {
                    self.outbox.push(index);
                }
            }
            Verdict::Reject(with) => {
                self.carry_out_fragment(now, side, batch, frame, outcome.verdict);
                self.reject(now, side, frame, with);
            }
        }
    }

    /// What a verdict means for fragments that wait.
    fn carry_out_fragment(
        &mut self,
        now: Time,
        side: usize,
        batch: &Batch,
        frame: &Frame<'_>,
        verdict: Verdict,
    ) {
        if self.fragments.is_empty() && verdict != Verdict::Held {
            return;
        }
        let Some(packet) = network_layer(frame.bytes).filter(|packet| packet.fragment.is_some()) else {
            return;
        };
        if verdict == Verdict::Held {
            self.statistics.fragments_lost += self.fragments.hold(now, side, frame.bytes, &packet);
            return;
        }
        let waited = self.fragments.take(side, &packet);
        if verdict == Verdict::Accept {
            // What came before goes out before.
            self.flush(now, side ^ 1, batch);
            for bytes in waited {
                self.send_extra(now, side ^ 1, &bytes);
            }
        }
    }

    /// Sends what the engine made of a frame, or of earlier ones because of it, in its place among the others.
    #[inline]
    fn emit(&mut self, now: Time, side: usize, batch: &Batch, index: u16, frame: &Frame<'_>) {
        while let Some((egress, fits)) = self.next_emission(batch, index, frame) {
            self.emitted += 1;
            self.flush(now, side ^ 1, batch);
            let lost = if fits { self.ports[egress].send(now, &self.extra, &[0]) } else { 1 };
            self.statistics.count_sent(egress, 1, lost);
        }
    }

    /// Puts the next of the engine's packets into `extra`. Returns the port it leaves by, and whether there was room for it.
    fn next_emission(&mut self, batch: &Batch, index: u16, frame: &Frame<'_>) -> Option<(usize, bool)> {
        let emission = self.engine.emission(self.emitted)?;
        let came_by = side_of(emission.frame) & 1;
        if came_by == side_of(frame.number) && emission.frame > frame.number {
            return None;
        }
        let egress = if emission.kind == EmissionKind::Acknowledgement { came_by } else { came_by ^ 1 };
        // What is left to hardware is left to it still: the headers stand where they stood.
        let of_frame = matches!(emission.kind, EmissionKind::Translated | EmissionKind::Continued);
        let source = batch.frames().get(usize::from(index)).filter(|_| of_frame);
        self.extra.clear();
        let fits = match emission.content {
            Content::Whole(datagram) if emission.link == LinkType::RAW => {
                self.answer.clear();
                self.answer.extend_from_slice(link_header(frame.bytes));
                self.answer.extend_from_slice(datagram);
                self.extra.push(&self.answer, Offload::NONE)
            }
            Content::Whole(bytes) => {
                self.extra.push(bytes, source.map_or(Offload::NONE, |buffer| buffer.offload))
            }
            Content::Patched(patch) => {
                let (mut patch, offload) = (*patch, source.map_or(Offload::NONE, |buffer| buffer.offload));
                let fits = self.extra.push(frame.bytes, offload);
                self.extra.frames_mut().iter_mut().all(|buffer| patch.exchange(buffer.bytes_mut())) && fits
            }
        };
        Some((egress, fits))
    }

    /// Answers a rejected packet. One that came in fragments is answered to the last of them, if that can be.
    fn reject(&mut self, now: Time, side: usize, frame: &Frame<'_>, with: RejectWith) {
        let mut bytes = std::mem::take(&mut self.answer);
        let answered = whole_packet(frame.bytes)
            .is_some_and(|packet| answer::reject(frame.bytes, &packet, with, None, &mut bytes));
        if answered {
            if self.answers.take(now) {
                self.statistics.answers += 1;
                self.send_extra(now, side, &bytes);
            } else {
                self.statistics.answers_suppressed += 1;
            }
        }
        self.answer = bytes;
    }

    /// Sends one frame that is not of the batch.
    fn send_extra(&mut self, now: Time, side: usize, bytes: &[u8]) {
        self.extra.clear();
        if !self.extra.push(bytes, Offload::NONE) {
            return;
        }
        let lost = self.ports[side].send(now, &self.extra, &[0]);
        self.statistics.count_sent(side, 1, lost);
    }

    fn flush(&mut self, now: Time, side: usize, batch: &Batch) {
        if self.outbox.is_empty() {
            return;
        }
        let lost = self.ports[side].send(now, batch, &self.outbox);
        self.statistics.count_sent(side, self.outbox.len(), lost);
        self.outbox.clear();
    }
}
