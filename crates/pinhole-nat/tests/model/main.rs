//! The heart of the rewriter against a model: two ends exchange streams through a gateway that edits them, over links that lose,
//! duplicate and reorder, with senders that cut every retransmission anew and trust each selective acknowledgement.
//!
//! Checked at every step: what a receiver gets is the model's edited stream, byte for byte, each copy of each byte; checksums and
//! lengths of every frame are right; nothing is acknowledged that was not sent, or of which the receiver lacks a part. In the end
//! both streams have arrived.

#![allow(clippy::unwrap_used, clippy::panic)] // a failed unwrap is the test's message

mod end;
mod frame;
mod gateway;

use end::End;
use gateway::Gateway;
use proptest::prelude::*;

/// A small generator (xorshift64*): the test draws millions of choices from one seed.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize) % bound.max(1)
    }

    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// A stream and what shall become of it.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) original: Vec<u8>,
    /// Spans in order, and their replacements.
    pub(crate) edits: Vec<(std::ops::Range<usize>, Vec<u8>)>,
}

impl Script {
    pub(crate) fn edited(&self) -> Vec<u8> {
        let mut edited = Vec::new();
        let mut at = 0;
        for (span, replacement) in &self.edits {
            edited.extend_from_slice(&self.original[at..span.start]);
            edited.extend_from_slice(replacement);
            at = span.end;
        }
        edited.extend_from_slice(&self.original[at..]);
        edited
    }

    /// How many edited bytes the receiver must have for all original bytes before `offset` to be delivered.
    pub(crate) fn needed(&self, offset: usize) -> usize {
        let mut difference = 0i64;
        for (span, replacement) in &self.edits {
            if offset <= span.start {
                break;
            }
            assert!(offset >= span.end, "{offset} lies within an edit at {span:?}");
            difference += replacement.len() as i64 - span.len() as i64;
        }
        (offset as i64 + difference) as usize
    }
}

fn script() -> impl Strategy<Value = Script> {
    let edit = (0usize..120, 1usize..40, prop::collection::vec(any::<u8>(), 1..70));
    (1usize..400, prop::collection::vec(edit, 0..24), any::<u8>()).prop_map(|(tail, pieces, salt)| {
        let mut edits = Vec::new();
        let mut at = 0;
        for (gap, length, replacement) in pieces {
            edits.push((at + gap..at + gap + length, replacement));
            at += gap + length;
        }
        let original = (0..at + tail).map(|i| (i as u8).wrapping_mul(31) ^ salt ^ (i >> 8) as u8).collect();
        Script { original, edits }
    })
}

#[derive(Clone, Debug)]
struct Conditions {
    loss: usize,
    duplication: usize,
    largest_segment: usize,
    ipv6: bool,
    partial: bool,
    seed: u64,
}

fn conditions() -> impl Strategy<Value = Conditions> {
    (0usize..50, 0usize..30, 4usize..300, any::<(bool, bool)>(), 1u64..).prop_map(
        |(loss, duplication, largest_segment, (ipv6, partial), seed)| Conditions {
            loss,
            duplication,
            largest_segment,
            ipv6,
            partial,
            seed,
        },
    )
}

/// Takes a random element: links reorder.
fn draw(link: &mut Vec<Vec<u8>>, dice: &mut Dice, conditions: &Conditions) -> Option<Vec<u8>> {
    if link.is_empty() {
        return None;
    }
    let index = dice.below(link.len().min(6));
    if dice.chance(conditions.duplication) {
        return Some(link[index].clone());
    }
    let frame = link.remove(index);
    (!dice.chance(conditions.loss)).then_some(frame)
}

fn exchange(scripts: &[Script; 2], initial: [u32; 2], mut conditions: Conditions) {
    let mut dice = Dice(conditions.seed);
    let mut ends = [End::new(0, scripts, initial), End::new(1, scripts, initial)];
    let mut gateway = Gateway::new(scripts, initial, conditions.largest_segment);
    let mut inward: [Vec<Vec<u8>>; 2] = Default::default();
    let mut outward: [Vec<Vec<u8>>; 2] = Default::default();
    for round in 0..1_000_000 {
        if ends.iter().all(End::is_finished) {
            return;
        }
        if round == 3000 {
            // The weather clears up.
            (conditions.loss, conditions.duplication) = (0, 0);
        }
        let from = dice.below(2);
        match dice.below(3) {
            0 if inward[from].len() < 12 => {
                let segment = ends[from].send(&mut dice, conditions.largest_segment);
                inward[from].push(frame::build(from, conditions.ipv6, conditions.partial, &segment));
            }
            1 if outward[from].len() < 12 => {
                if let Some(frame) = draw(&mut inward[from], &mut dice, &conditions) {
                    outward[from].extend(gateway.pass(from, frame, conditions.partial));
                }
            }
            _ => {
                if let Some(frame) = draw(&mut outward[from], &mut dice, &conditions) {
                    let segment = frame::read(&frame, conditions.partial);
                    assert!(segment.payload.len() <= conditions.largest_segment);
                    let [first, second] = &mut ends;
                    let (sender, receiver) = if from == 0 { (first, second) } else { (second, first) };
                    receiver.receive(&segment, sender);
                }
            }
        }
    }
    panic!("the streams do not arrive: {ends:?}\n{gateway:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn both_streams_arrive_edited(
        scripts in [script(), script()],
        near_wrap in any::<[(bool, u16); 2]>(),
        initial in any::<[u32; 2]>(),
        conditions in conditions(),
    ) {
        let start = |side: usize| match near_wrap[side] {
            (true, before) => u32::MAX - u32::from(before) % 1000,
            (false, _) => initial[side],
        };
        exchange(&scripts, [start(0), start(1)], conditions);
    }
}
