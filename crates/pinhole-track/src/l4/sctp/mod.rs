//! SCTP associations (RFC 9260), path by path.
//!
//! An association opens with INIT, INIT ACK, COOKIE ECHO, COOKIE ACK. A further path of a multi-homed association, whose addresses we know
//! nothing of, opens with HEARTBEAT and HEARTBEAT ACK. The verification tag that each end demands is learned from the initiate tags, and
//! checked as RFC 9260 §8.5 has it; the checksum is not looked at here.

mod chunks;
mod states;
#[cfg(test)]
mod tests;

pub use states::SctpState;

use super::{Invalid, Step, View};
use crate::{Status, Timeouts};
use chunks::{Chunk, Chunks, Item, Seen};
use pinhole_wire::{Direction, Sctp as Header};
use serde::{Deserialize, Serialize};

/// State of an SCTP conn.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Sctp {
    /// Verification tags that packets of each direction must bear; zero: not known yet.
    tags: [u32; 2],
    /// An INIT of this direction awaits its COOKIE ACK.
    initiated: [bool; 2],
    /// Direction of a HEARTBEAT with a wrong tag: the ends may have agreed on new ones, and its HEARTBEAT ACK will tell.
    heartbeat_in_doubt: Option<Direction>,
    state: SctpState,
}

impl Sctp {
    /// Judges a conn's first packet.
    ///
    /// # Errors
    /// Its chunks are malformed, or cannot open an association or a path.
    pub fn open(header: &Header, view: View<'_>) -> Result<Self, Invalid> {
        let seen = Chunks::of(&view).check()?;
        // Out of the blue, these are answers to nothing (RFC 9260 §8.4).
        if seen.has(Chunk::Abort) || seen.has(Chunk::ShutdownComplete) || seen.has(Chunk::CookieAck) {
            return Err(Invalid::SctpOpen);
        }
        let mut tags = [0; 2];
        let mut initiated = [false; 2];
        for chunk in Chunks::of(&view) {
            match chunk.kind {
                Chunk::Data | Chunk::Other => return Err(Invalid::SctpOpen),
                Chunk::Init if header.verification_tag != 0 => return Err(Invalid::SctpInitTag),
                Chunk::Init => {
                    tags[Direction::Reply.index()] = chunk.initiate_tag.ok_or(Invalid::SctpChunks)?;
                    initiated[Direction::Original.index()] = true;
                }
                Chunk::Heartbeat => tags[Direction::Original.index()] = header.verification_tag,
                // The answer will be an ABORT or SHUTDOWN COMPLETE that reflects the tag (RFC 9260 §8.4, rules 5 and 8).
                Chunk::ShutdownAck => tags[Direction::Reply.index()] = header.verification_tag,
                _ => {}
            }
        }
        Ok(Self { tags, initiated, heartbeat_in_doubt: None, state: SctpState::None })
    }

    /// Its state.
    pub const fn state(&self) -> SctpState {
        self.state
    }

    pub(super) fn update(
        &mut self,
        header: &Header,
        view: View<'_>,
        direction: Direction,
        status: Status,
        timeouts: &Timeouts,
    ) -> Step {
        let seen = match Chunks::of(&view).check() {
            Ok(seen) => seen,
            Err(reason) => return Step::Invalid(reason),
        };
        if !seen.has_own_tag_rule() && header.verification_tag != self.tags[direction.index()] {
            return Step::Invalid(Invalid::SctpTag);
        }
        let first = self.state;
        let (mut ignore, mut assure) = (false, false);
        for chunk in Chunks::of(&view) {
            let old = self.state;
            match self.take(chunk, header.verification_tag, direction, seen, ignore) {
                Ok(Taken::Used) => {}
                Ok(Taken::Doubtful) => ignore = true,
                Err(reason) => return Step::Invalid(reason),
            }
            // An INIT that is repeated for ever must not keep the entry for ever.
            ignore |=
                chunk.kind == Chunk::Init && (old, self.state) == (SctpState::Closed, SctpState::Closed);
            assure |= self.state == SctpState::Established;
        }
        assure &= !status.contains(Status::ASSURED);
        if ignore && !assure {
            return Step::Ignore;
        }
        Step::Accept { timeout: timeouts[self.state.timeout()], assure, changed: self.state != first }
    }

    fn take(
        &mut self,
        chunk: Item,
        tag: u32,
        direction: Direction,
        seen: Seen,
        in_doubt: bool,
    ) -> Result<Taken, Invalid> {
        let (own, peers) = (self.tags[direction.index()], self.tags[direction.opposite().index()]);
        match chunk.kind {
            Chunk::Init if tag != 0 => return Err(Invalid::SctpInitTag),
            Chunk::Abort | Chunk::ShutdownComplete if tag != if chunk.reflects_tag { peers } else { own } => {
                return Err(Invalid::SctpTag);
            }
            Chunk::CookieEcho if tag != own => return Err(Invalid::SctpTag),
            Chunk::CookieAck => self.initiated = [false; 2],
            Chunk::Heartbeat if own != 0 && tag != own => {
                if seen.has(Chunk::Data) || in_doubt {
                    return Err(Invalid::SctpTag);
                }
                self.heartbeat_in_doubt = Some(direction);
                return Ok(Taken::Doubtful);
            }
            Chunk::HeartbeatAck if own != 0 && tag != own => {
                if seen.has(Chunk::Data) || self.heartbeat_in_doubt != Some(direction.opposite()) {
                    return Err(Invalid::SctpTag);
                }
                // It answers a HEARTBEAT whose tag we did not know either: the association was set up anew on another path.
                self.heartbeat_in_doubt = None;
                self.tags[direction.index()] = tag;
                self.tags[direction.opposite().index()] = 0;
            }
            Chunk::Heartbeat | Chunk::HeartbeatAck if own == 0 => self.tags[direction.index()] = tag,
            Chunk::Heartbeat | Chunk::HeartbeatAck => self.heartbeat_in_doubt = None,
            _ => {}
        }
        let next = self.state.next(direction, chunk.kind).ok_or(Invalid::SctpState)?;
        match chunk.kind {
            Chunk::Init => self.learn_init(chunk.initiate_tag.ok_or(Invalid::SctpChunks)?, direction),
            Chunk::InitAck => {
                self.learn_init_ack(chunk.initiate_tag.ok_or(Invalid::SctpChunks)?, direction)?;
            }
            _ => {}
        }
        self.state = next;
        Ok(Taken::Used)
    }

    fn learn_init(&mut self, initiate_tag: u32, direction: Direction) {
        // Repeated, or forged by one who has seen the tag: nothing new is to be acknowledged.
        if self.tags[direction.opposite().index()] == initiate_tag {
            return;
        }
        if self.initiated == [true; 2] {
            self.initiated[direction.opposite().index()] = false;
        }
        self.initiated[direction.index()] = true;
        self.tags[direction.opposite().index()] = initiate_tag;
    }

    fn learn_init_ack(&mut self, initiate_tag: u32, direction: Direction) -> Result<(), Invalid> {
        let known = self.tags[direction.opposite().index()];
        let unasked = !self.initiated[direction.opposite().index()] && known != 0;
        let collision = self.initiated == [true; 2];
        if (unasked || collision) && known != initiate_tag {
            return Err(Invalid::SctpInitTag);
        }
        self.tags[direction.opposite().index()] = initiate_tag;
        Ok(())
    }
}

/// What became of a chunk.
enum Taken {
    Used,
    /// A HEARTBEAT with a wrong tag: the packet passes, its answer will tell.
    Doubtful,
}
