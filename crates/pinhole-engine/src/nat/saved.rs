//! What of a translation outlives a restart: what it holds of the outside, and what its payload's numbers and edits hang on.
//!
//! Blocks and mappings are made anew by the first conn that has a share in them. Held
//! segments are saved as bytes and parsed again.

use super::allocation::{Allocation, Holding, Known, Lease};
use super::blocks::{BlockId, Blocks, Estate};
use super::mappings::{End, MappingId, Subject};
use super::payload::{Held, Side};
use super::pools::{Draws, Port};
use super::slots::Slots;
use super::{Kept, Nat, Payload, Translation, binding, told_port};
use crate::host::Edit;
use pinhole_nat::Binding;
use pinhole_nat::rewrite::{Conversation, Hold};
use pinhole_track::{ConnId, Tracker, Tuple};
use pinhole_wire::{Address, Direction, LinkType, Packet, Time, Transport};
use serde::{Deserialize, Serialize};

/// Stream offsets beyond this are none that a conn came by.
const FAR: u64 = 1 << 62;

/// Number of no NAT half.
const NO_HALF: u16 = u16::MAX;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SavedTranslation {
    lease: Option<SavedLease>,
    through: Option<SavedMapping>,
    reuse: Option<End>,
    payload: Option<Box<SavedPayload>>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum SavedLease {
    Port { port: Port, block: Option<SavedBlock> },
    Mapping { mapping: SavedMapping, sent_to: Address },
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct SavedMapping {
    subject: Subject,
    port: Port,
    block: Option<SavedBlock>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct SavedBlock {
    host: Address,
    estate: Estate,
    index: u16,
}

/// A source that is known by another end, since when, and by which: to be entered in this order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reused {
    pub(crate) start: Time,
    source: End,
    address: Address,
    port: u16,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedPayload {
    /// Name of the helper whose NAT half writes; empty if it was unloaded.
    half: String,
    conversation: Conversation,
    sides: [SavedSide; 2],
    adjusted: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedSide {
    pending: Vec<Edit>,
    refused: Option<u32>,
    ahead: u8,
    origin: Option<u32>,
    window: u16,
    hold: Hold,
    held: Vec<SavedSegment>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedSegment {
    link: LinkType,
    /// Offset of the network header.
    network: u32,
    bytes: Vec<u8>,
}

impl Allocation {
    fn save_block(&self, block: BlockId) -> Option<SavedBlock> {
        let (host, estate, index) = self.blocks.describe(block)?;
        Some(SavedBlock { host, estate, index })
    }

    fn save_mapping(&self, mapping: MappingId) -> Option<SavedMapping> {
        let (subject, port, block) = self.mappings.describe(mapping)?;
        Some(SavedMapping { subject, port, block: block.and_then(|block| self.save_block(block)) })
    }

    fn restore_port(&mut self, port: Port, block: Option<SavedBlock>) -> Option<Option<BlockId>> {
        self.pools.reserve(port.key, port.port)?;
        block.map(|block| restore_block(&mut self.blocks, block)).map_or(Some(None), |block| block.map(Some))
    }

    /// The mapping that is saved, made anew if no other conn has done so.
    fn restore_mapping(&mut self, saved: SavedMapping) -> Option<MappingId> {
        let SavedMapping { subject, port, block } = saved;
        match self.mappings.of(&subject) {
            Some((mapping, known)) => (known == port.port).then_some(mapping),
            None => {
                let block = self.restore_port(port, block)?;
                Some(self.mappings.add(subject, port, block))
            }
        }
    }

    fn restore_lease(&mut self, saved: SavedLease) -> Option<Lease> {
        Some(match saved {
            SavedLease::Port { port, block } => Lease::Port { port, block: self.restore_port(port, block)? },
            SavedLease::Mapping { mapping, sent_to } => {
                let mapping = self.restore_mapping(mapping)?;
                self.mappings.enter(mapping, Some(sent_to));
                Lease::Mapping { mapping, sent_to }
            }
        })
    }
}

fn restore_block(blocks: &mut Blocks, saved: SavedBlock) -> Option<BlockId> {
    blocks.enter_again(saved.host, saved.estate, saved.index)
}

impl Nat {
    /// Forgets all translations, of whose conns none is left, and draws numbers as after so many.
    pub(crate) fn clear(&mut self, secret: [u64; 2], draws: u64) {
        self.allocation = Allocation::new(secret);
        self.draws = Draws::after(secret, draws);
        self.slots = Slots::default();
        self.holding.clear();
    }

    /// How many numbers were drawn.
    pub(crate) fn drawn(&self) -> u64 {
        self.draws.count()
    }

    pub(crate) fn save(&self, kept: u32, original: &Tuple, reply: &Tuple) -> Option<SavedTranslation> {
        match Kept::of(kept) {
            Kept::Translation(slot) => self.save_translation(slot),
            Kept::Told { port, reuse } => {
                let port = told_port(&reply.inverse()?).filter(|_| port);
                Some(SavedTranslation {
                    lease: port.map(|port| SavedLease::Port { port, block: None }),
                    through: None,
                    reuse: reuse.then(|| End::source(original)),
                    payload: None,
                })
            }
        }
    }

    fn save_translation(&self, slot: u32) -> Option<SavedTranslation> {
        let Translation { holding, payload, .. } = self.translation(slot)?;
        let lease = holding.lease.and_then(|lease| {
            Some(match lease {
                Lease::Port { port, block } => {
                    SavedLease::Port { port, block: block.and_then(|it| self.allocation.save_block(it)) }
                }
                Lease::Mapping { mapping, sent_to } => {
                    SavedLease::Mapping { mapping: self.allocation.save_mapping(mapping)?, sent_to }
                }
            })
        });
        Some(SavedTranslation {
            lease,
            through: holding.through.and_then(|mapping| self.allocation.save_mapping(mapping)),
            reuse: holding.reuse.map(|known| known.source),
            payload: payload.as_ref().map(|payload| Box::new(self.save_payload(payload))),
        })
    }

    fn save_payload(&self, payload: &Payload) -> SavedPayload {
        SavedPayload {
            half: self.halves.find(payload.half).map_or_else(String::new, |half| half.name().to_owned()),
            conversation: payload.conversation.clone(),
            sides: payload.sides.each_ref().map(save_side),
            adjusted: payload.adjusted,
        }
    }

    /// Makes the translation of a conn that was restored. `None`: it cannot be.
    pub(crate) fn restore(
        &mut self,
        tracker: &mut Tracker,
        conn: ConnId,
        saved: SavedTranslation,
    ) -> Option<Option<Reused>> {
        let binding = binding(tracker, conn)?;
        let SavedTranslation { lease, through, reuse, payload } = saved;
        let payload = payload.map(|payload| self.restore_payload(tracker, &binding, *payload));
        let payload = payload.map_or(Some(None), |payload| payload.map(Some))?;
        let lease = lease.map(|lease| self.allocation.restore_lease(lease));
        let lease = lease.map_or(Some(None), |lease| lease.map(Some))?;
        let through = through.map(|mapping| self.allocation.restore_mapping(mapping));
        let through = through.map_or(Some(None), |through| through.map(Some))?;
        if let Some(mapping) = through {
            self.allocation.go_through(mapping);
        }
        if payload.as_ref().is_some_and(|payload| payload.adjusted) {
            tracker.set_adjusted(conn);
        }
        let holds = payload.as_ref().is_some_and(|it| it.sides.iter().any(|side| !side.held.is_empty()));
        let outer = binding.leaves(Direction::Original);
        let (address, port) = (outer.source, outer.source_port);
        let reuse = reuse.map(|source| Known { source, address, port });
        let (original, leaving) = (tracker.original(conn)?, tracker.reply(conn)?.inverse()?);
        let holding = Holding { lease, through, reuse };
        if !self.keep(tracker, conn, (&original, &leaving), holding, payload) {
            return None;
        }
        if holds {
            self.note_holding(tracker.translation(conn)?);
        }
        let start = tracker.start(conn)?;
        Some(reuse.map(|Known { source, address, port }| Reused { start, source, address, port }))
    }

    /// Remembers by which other end a source is known.
    pub(crate) fn restore_reuse(&mut self, reused: &Reused) {
        self.allocation.reuse.enter(reused.source, reused.address, reused.port);
    }

    fn restore_payload(
        &self,
        tracker: &Tracker,
        binding: &Binding,
        saved: SavedPayload,
    ) -> Option<Box<Payload>> {
        let SavedPayload { half, conversation, sides: [one, other], adjusted } = saved;
        let sides = [self.restore_side(one)?, self.restore_side(other)?];
        let holds = sides.iter().any(|side| !side.held.is_empty());
        if !conversation.is_sound() || (holds && !self.may_hold(tracker, binding)) {
            return None;
        }
        // Numbers go on to be adjusted without the half, too.
        let half = self.halves.number(&half).unwrap_or(NO_HALF);
        Some(Box::new(Payload { half, conversation, sides, adjusted }))
    }

    fn restore_side(&self, saved: SavedSide) -> Option<Side> {
        let SavedSide { pending, refused, ahead, origin, window, hold, held } = saved;
        let is_edit = |edit: &Edit| edit.span.start < edit.span.end && edit.span.end < FAR;
        let is_held = hold.deadline(&self.settings.hold).is_some();
        if !pending.iter().all(is_edit) || is_held == held.is_empty() {
            return None;
        }
        let held = held.into_iter().map(restore_segment).collect::<Option<_>>()?;
        Some(Side { pending, refused, ahead, origin, window, hold, held })
    }
}

fn save_side(side: &Side) -> SavedSide {
    let segment = |held: &Held| SavedSegment {
        link: held.link,
        network: held.packet.network,
        bytes: held.bytes.clone(),
    };
    SavedSide {
        pending: side.pending.clone(),
        refused: side.refused,
        ahead: side.ahead,
        origin: side.origin,
        window: side.window,
        hold: side.hold,
        held: side.held.iter().map(segment).collect(),
    }
}

fn restore_segment(saved: SavedSegment) -> Option<Held> {
    let SavedSegment { link, network, bytes } = saved;
    let packet = Packet::parse(&bytes, network).ok()?;
    // Frames of an earlier run have no number in this one.
    matches!(packet.transport, Transport::Tcp(_)).then_some(Held { frame: 0, link, packet, bytes })
}
