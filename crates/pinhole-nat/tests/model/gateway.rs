//! The gateway: reads streams in order, holds what ends within an edit, enters edits, forwards.

use crate::Script;
use crate::frame::LINK;
use pinhole_helper::Span;
use pinhole_nat::ChecksumField;
use pinhole_nat::adjust::LedgerError;
use pinhole_nat::rewrite::{Conversation, Edit};
use pinhole_wire::{Direction, Packet, Tcp, Transport};

#[derive(Debug)]
pub(crate) struct Gateway {
    conversation: Conversation,
    largest: usize,
    sides: [Side; 2],
}

#[derive(Debug)]
struct Side {
    script: Script,
    initial: u32,
    /// Edits entered.
    entered: usize,
    forwarded: usize,
    /// Stream offset up to which it was read: what was forwarded and what is held.
    read: usize,
    held: Vec<Vec<u8>>,
}

const DIRECTIONS: [Direction; 2] = [Direction::Original, Direction::Reply];

impl Gateway {
    pub(crate) fn new(scripts: &[Script; 2], initial: [u32; 2], largest: usize) -> Self {
        let mut conversation = Conversation::default();
        for side in 0..2 {
            conversation.open(DIRECTIONS[side], initial[side].wrapping_add(1));
        }
        let side = |index: usize| Side {
            script: scripts[index].clone(),
            initial: initial[index],
            entered: 0,
            forwarded: 0,
            read: 0,
            held: Vec::new(),
        };
        Self { conversation, largest, sides: [side(0), side(1)] }
    }

    /// Takes a frame of side `from` and returns those that leave.
    pub(crate) fn pass(&mut self, from: usize, frame: Vec<u8>, partial: bool) -> Vec<Vec<u8>> {
        let tcp = tcp(&frame);
        let side = &mut self.sides[from];
        let offset = |number: u32| number.wrapping_sub(side.initial.wrapping_add(1));
        let start = offset(tcp.sequence) as i32;
        // The end of an edit that was entered and then cut through: its receiver may have acknowledged all of it.
        let carried = offset(self.conversation.stream(DIRECTIONS[from]).ledger().carried()) as usize;
        side.forwarded = side.forwarded.max(carried);
        side.read = side.read.max(carried);
        let length = tcp.payload_length as usize;
        if length == 0 {
            // A FIN beyond a gap waits as well.
            let early = tcp.flags.contains(pinhole_wire::TcpFlags::FIN) && start as usize > side.forwarded;
            return if early { Vec::new() } else { self.forward(from, frame, partial) };
        }
        let (start, end) = (start as usize, start as usize + length);
        if start <= side.forwarded {
            assert!(!self.conversation.is_ahead(DIRECTIONS[from], &tcp));
        }
        if end <= side.forwarded {
            return self.forward(from, frame, partial);
        }
        if start > side.read || end <= side.read {
            // Beyond a gap, or a copy of what is held.
            return Vec::new();
        }
        side.read = end;
        side.held.push(frame);
        let open = &side.script.edits[side.entered..];
        if open.iter().any(|(span, _)| span.start < end && end < span.end) {
            return Vec::new();
        }
        let complete = open.iter().take_while(|(span, _)| span.end <= end).count();
        for _ in 0..complete {
            let (span, replacement) = &side.script.edits[side.entered];
            let span = Span { start: span.start as u64, end: span.end as u64 };
            match self.conversation.edit(DIRECTIONS[from], &Edit { span, replacement, owed: false }) {
                Ok(()) => side.entered += 1,
                Err(error) => {
                    assert_eq!(error, LedgerError::Full);
                    side.held.clear();
                    side.read = side.forwarded;
                    return Vec::new();
                }
            }
        }
        side.forwarded = end;
        let held = std::mem::take(&mut side.held);
        held.into_iter().flat_map(|frame| self.forward(from, frame, partial)).collect()
    }

    fn forward(&mut self, from: usize, mut frame: Vec<u8>, partial: bool) -> Vec<Vec<u8>> {
        let packet = Packet::parse(&frame, LINK).unwrap();
        let checksum = if partial { ChecksumField::Partial } else { ChecksumField::Full };
        let mut further = Vec::new();
        let emitted = self
            .conversation
            .translate(DIRECTIONS[from], &mut frame, &packet, checksum, self.largest, &mut further)
            .unwrap();
        let mut frames = vec![frame];
        if emitted.further_length > 0 {
            frames.extend(further.chunks(emitted.further_length).map(<[u8]>::to_vec));
        }
        frames
    }
}

fn tcp(frame: &[u8]) -> Tcp {
    match Packet::parse(frame, LINK).unwrap().transport {
        Transport::Tcp(tcp) => tcp,
        other => panic!("{other:?}"),
    }
}
