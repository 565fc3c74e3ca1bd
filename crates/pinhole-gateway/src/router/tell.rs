//! What senders are told of datagrams that go no further: from the router's own address, back by the way that they came.

use super::Router;
use super::header::Header;
use super::neighbours::Waiting;
use crate::answer::{self, Problem};
use crate::frames::whole_packet;
use pinhole_engine::Reason;
use pinhole_io::live::{Batch, Offload};
use pinhole_ruleset::RejectWith;
use pinhole_wire::link::ETHERNET_HEADER;
use pinhole_wire::{Packet, Time};

impl Router {
    /// A frame that is not to be passed on, and for which its sender may get an answer.
    pub(super) fn refuse(&mut self, now: Time, side: usize, batch: &Batch, index: u16, reason: Reason) {
        if reason == Reason::HopLimit
            && let Some(buffer) = batch.frames().get(usize::from(index))
        {
            self.tell(now, side, buffer.bytes(), Problem::HopLimit);
        }
    }

    /// The engine found no route: why not, its sender is told.
    pub(super) fn tell_no_route(&mut self, now: Time, side: usize, batch: &Batch, index: u16) {
        let Some(buffer) = batch.frames().get(usize::from(index)) else { return };
        let header = Header::read(buffer.bytes().get(ETHERNET_HEADER..).unwrap_or_default());
        let problem = match header.map(|header| self.next_hop(&header)) {
            Some(Err((_, problem))) => problem,
            // Its translated destination has none.
            _ => Some(Problem::NoRoute),
        };
        self.tell_failure(now, side, buffer.bytes(), problem);
    }

    /// A frame whose next hop does not answer.
    pub(super) fn give_up(&mut self, now: Time, packet: &Waiting) {
        self.statistics.unresolved += 1;
        self.tell(now, packet.side, &packet.came, Problem::HostUnreachable);
    }

    /// Answers a rejected packet. One that came in fragments is answered to the last of them, if that can be.
    pub(super) fn reject(&mut self, now: Time, side: usize, batch: &Batch, index: u16, with: RejectWith) {
        let Some(buffer) = batch.frames().get(usize::from(index)) else { return };
        self.answer_with(now, side, buffer.bytes(), |router, frame, packet, out| {
            let own = router.own_address(router.port_of(side), packet.version);
            answer::reject(frame, packet, with, own, out)
        });
    }

    pub(super) fn tell_failure(&mut self, now: Time, side: usize, frame: &[u8], problem: Option<Problem>) {
        if let Some(problem) = problem {
            self.tell(now, side, frame, problem);
        }
    }

    /// Tells the sender of a frame of a problem with it.
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
        if answered && self.answers.take(now) {
            self.statistics.answers += 1;
            if self.is_host(side) {
                self.address_to_host(self.port_of(side), &mut bytes);
            }
            self.send_bytes(now, side, &bytes, Offload::NONE);
        } else {
            self.statistics.answers_suppressed += u64::from(answered);
        }
        self.answer = bytes;
    }
}
