//! One end of the conn: a sender and a receiver.

use crate::frame::Segment;
use crate::{Dice, Script};

/// Bytes in flight, if segments are small: more than any edit.
const WINDOW: usize = 150;
/// Edits that the gateway remembers whatever was acknowledged.
const REMEMBERED: usize = 16;

#[derive(Debug)]
pub(crate) struct End {
    sends: Script,
    /// What its peer's stream must look like when it arrives here.
    expected: Vec<u8>,
    /// Numbers before the first byte of each stream, as this end counts.
    own_initial: u32,
    peer_initial: u32,
    /// Sender: bytes acknowledged, sent, and selectively acknowledged. The FIN is one byte after the stream.
    acknowledged: usize,
    sent: usize,
    sacked: Vec<bool>,
    /// Where a retransmission goes on.
    again: usize,
    /// Receiver: which bytes are here.
    have: Vec<bool>,
    fin: bool,
    /// The gateway forgets no edit of the stream that comes here: every copy of every byte must be right, not only the first.
    all_is_remembered: bool,
}

impl End {
    pub(crate) fn new(side: usize, scripts: &[Script; 2], initial: [u32; 2]) -> Self {
        let sends = scripts[side].clone();
        let expected = scripts[1 - side].edited();
        Self {
            own_initial: initial[side],
            peer_initial: initial[1 - side],
            acknowledged: 0,
            sent: 0,
            again: 0,
            sacked: vec![false; sends.original.len() + 1],
            have: vec![false; expected.len()],
            fin: false,
            all_is_remembered: scripts[1 - side].edits.len() <= REMEMBERED,
            sends,
            expected,
        }
    }

    /// Its own FIN was acknowledged and its peer's has come.
    pub(crate) fn is_finished(&self) -> bool {
        self.acknowledged == self.sends.original.len() + 1 && self.next() == self.expected.len() + 1
    }

    /// Edited bytes received without a gap, FIN included.
    fn next(&self) -> usize {
        match self.have.iter().position(|have| !have) {
            Some(gap) => gap,
            None => self.expected.len() + usize::from(self.fin),
        }
    }

    /// New data, or anything not acknowledged cut anew, or no data at all.
    pub(crate) fn send(&mut self, dice: &mut Dice, largest: usize) -> Segment {
        let length = self.sends.original.len();
        let flight = self.sent - self.acknowledged;
        let may_send_new = flight < WINDOW.max(12 * largest);
        let mut start = match dice.below(4) {
            0 => self.acknowledged + dice.below(flight + 1),
            1 => self.acknowledged,
            2 | 3 if may_send_new => self.sent,
            _ => self.again,
        };
        if start < self.acknowledged || start >= self.sent && !may_send_new {
            start = self.acknowledged;
        }
        if dice.chance(5) {
            // A keep-alive: one before the next number, no data.
            start = self.sent;
            return self.segment(start.wrapping_sub(1), start.wrapping_sub(1), false, dice);
        }
        // What was selectively acknowledged is never sent again on purpose.
        while start < length && self.sacked[start] {
            start += 1;
        }
        if start > length {
            return self.segment(self.sent, self.sent, false, dice);
        }
        let wanted = if dice.chance(50) { largest } else { dice.below(largest + 1) };
        let end = (start + wanted).min(length);
        let stop = (start..end).find(|&at| self.sacked[at]).unwrap_or(end);
        let fin = stop == length && dice.chance(80);
        self.sent = self.sent.max(stop + usize::from(fin));
        self.again = stop;
        self.segment(start, stop, fin, dice)
    }

    fn segment(&self, start: usize, end: usize, fin: bool, dice: &mut Dice) -> Segment {
        Segment {
            sequence: self.own_initial.wrapping_add(1).wrapping_add(start as u32),
            acknowledgement: self.peer_initial.wrapping_add(1).wrapping_add(self.next() as u32),
            fin,
            sack: self.blocks(dice),
            payload: self.sends.original.get(start..end).unwrap_or_default().to_vec(),
        }
    }

    /// Up to three runs beyond the first gap, sometimes cut short as a receiver that reneges on none may.
    fn blocks(&self, dice: &mut Dice) -> Vec<(u32, u32)> {
        let mut blocks = Vec::new();
        let mut at = self.next();
        while blocks.len() < 3 {
            let Some(left) = (at..self.have.len()).find(|&i| self.have[i]) else { break };
            let right = (left..self.have.len()).find(|&i| !self.have[i]).unwrap_or(self.have.len());
            let inner = if dice.chance(20) { left + dice.below(right - left) } else { left };
            let number = |offset: usize| self.peer_initial.wrapping_add(1).wrapping_add(offset as u32);
            blocks.push((number(inner), number(right)));
            at = right;
        }
        blocks
    }

    /// Takes a segment that `peer` sent and the gateway translated.
    pub(crate) fn receive(&mut self, segment: &Segment, peer: &End) {
        let offset = segment.sequence.wrapping_sub(self.peer_initial.wrapping_add(1)) as i32;
        let next = self.next();
        for (index, &byte) in segment.payload.iter().enumerate() {
            let at = i64::from(offset) + index as i64;
            if self.all_is_remembered || at >= next as i64 {
                let at = usize::try_from(at).unwrap();
                assert_eq!(self.expected.get(at), Some(&byte), "byte {at} of the edited stream");
                self.have[at] = true;
            }
        }
        if segment.fin {
            let end = i64::from(offset) + segment.payload.len() as i64;
            assert_eq!(end, self.expected.len() as i64, "place of the FIN");
            self.fin = true;
        }
        self.take_acknowledgement(segment, peer);
    }

    fn take_acknowledgement(&mut self, segment: &Segment, peer: &End) {
        let offset = |number: u32| {
            let offset = number.wrapping_sub(self.own_initial.wrapping_add(1)) as i32;
            assert!(offset >= 0 || self.sends.edits.len() > REMEMBERED);
            usize::try_from(offset).unwrap_or(0)
        };
        let length = self.sends.original.len();
        let acknowledged = offset(segment.acknowledgement);
        if acknowledged <= self.acknowledged && self.sends.edits.len() > REMEMBERED {
            // An old one: it may speak of edits that are forgotten.
            return;
        }
        assert!(acknowledged <= self.sent, "acknowledged {acknowledged} of {} sent", self.sent);
        let needed = self.sends.needed(acknowledged.min(length)) + acknowledged.saturating_sub(length);
        assert!(needed <= peer.next(), "{acknowledged} is acknowledged, the receiver has {}", peer.next());
        self.acknowledged = self.acknowledged.max(acknowledged);
        for &(left, right) in &segment.sack {
            let (left, right) = (offset(left), offset(right));
            assert!(left < right && right <= self.sent, "{left}..{right} of {}", self.sent);
            let (first, last) = (self.sends.needed(left), self.sends.needed(right));
            assert!(peer.have[first..last].iter().all(|have| *have), "{left}..{right} is not all there");
            self.sacked[left..right].fill(true);
        }
    }
}
