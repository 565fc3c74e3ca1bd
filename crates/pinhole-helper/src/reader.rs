//! A session with its two streams: what a host drives.
//!
//! *Life cycle.* A reader reads until its session goes blind or is done; from then on it holds no session and no bytes, only the
//! reason. When it ends because two copies of the same bytes differ, its latest expectations are cancelled; otherwise they stay.
//!
//! *Invariant.* A call for one direction reads bytes of that direction only, so every span among its actions belongs to it.

use crate::stream::{MAX_PENDING_CHUNKS, Readable};
use crate::{
    Action, BlindReason, Condition, Context, Handle, Helper, Master, Policy, Progress, SavedReader, Session,
    Span, Stream,
};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::ControlFlow;
use pinhole_wire::{Direction, Tcp, TcpFlags, Time};
use serde::{Deserialize, Serialize};

/// Most bytes quoted of one span.
pub const MAX_QUOTE: usize = 512;

/// How many of the latest expectations are cancelled when the two ends may have read different text.
pub const DOUBTFUL_HANDLES: u32 = 32;

/// What to do with a conn whose beginning was not seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pickup {
    /// Blind, with the reason.
    #[default]
    Strict,
    /// Read from the first byte seen, and go on after a gap with the first message that the session recognises.
    Lenient,
}

/// When, and as which packet of the host's count, bytes arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// When.
    pub time: Time,
    /// The host's number of the packet; zero if it does not count.
    pub packet: u64,
}

impl From<Time> for Arrival {
    fn from(time: Time) -> Self {
        Self { time, packet: 0 }
    }
}

/// A session and its streams.
pub struct Reader {
    master: Master,
    policy: Policy,
    pickup: Pickup,
    status: Status,
    condition: Condition,
    streams: [Stream; 2],
    next_handle: u32,
    /// Sorted by the start of the span.
    quotes: Vec<Quote>,
    /// Bytes that came before their turn, and when: they are read later, but that is when they were announced.
    early: Vec<Early>,
}

/// A run of stream bytes that waits, or waited until the latest call, for earlier ones.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Early {
    from: Direction,
    span: Span,
    arrival: Arrival,
}

/// Whether there is still something to read, and with what.
enum Status {
    Reading(Box<dyn Session>),
    Blind(BlindReason),
    Done,
}

/// The bytes of a span that an action of the latest call named.
struct Quote {
    from: Direction,
    span: Span,
    bytes: Box<[u8]>,
    arrival: Arrival,
}

impl Reader {
    /// Starts reading a conn.
    pub fn new(helper: &dyn Helper, master: Master, policy: Policy, pickup: Pickup) -> Self {
        Self {
            status: Status::Reading(helper.attach(&master, &policy)),
            master,
            policy,
            pickup,
            condition: Condition::Reading,
            streams: Default::default(),
            next_handle: 0,
            quotes: Vec::new(),
            early: Vec::new(),
        }
    }

    /// What is needed to go on after a restart; `None` if nothing is read any more, or the session cannot be saved.
    pub fn save(&self) -> Option<SavedReader> {
        let Status::Reading(session) = &self.status else { return None };
        Some(SavedReader {
            session: session.save()?,
            condition: self.condition,
            streams: self.streams.clone(),
            next_handle: self.next_handle,
            early: self.early.clone(),
        })
    }

    /// Goes on with what was [saved](Self::save); `None` if that is not a state that a reader of this helper can be in.
    pub fn restore(
        helper: &dyn Helper,
        master: Master,
        policy: Policy,
        pickup: Pickup,
        saved: SavedReader,
    ) -> Option<Self> {
        let SavedReader { session, condition, streams, next_handle, early } = saved;
        let is_sound = streams.iter().all(Stream::is_sound) && early.len() <= MAX_PENDING_CHUNKS;
        Some(Self {
            status: Status::Reading(helper.restore(&session).filter(|_| is_sound)?),
            condition,
            streams,
            next_handle,
            early,
            ..Self::new(helper, master, policy, pickup)
        })
    }

    /// Shows one TCP segment that was accepted (in window, passed by the rules), with whatever flags. `payload` are the bytes present;
    /// `missing` counts bytes that the datagram claims but the capture lacks: unless they are sent again, they are a gap. Requests are
    /// appended to `actions`; all their spans are of direction `from`.
    pub fn segment(
        &mut self,
        at: impl Into<Arrival>,
        from: Direction,
        tcp: &Tcp,
        payload: &[u8],
        missing: u32,
        actions: &mut Vec<Action>,
    ) {
        self.quotes = Vec::new();
        if !self.is_reading() {
            return;
        }
        if tcp.flags.contains(TcpFlags::ACK) {
            self.streams[from.opposite().index()].acknowledge(tcp.acknowledgement);
        }
        // The text that a RST may carry (RFC 9293 §3.5.3) is not of the stream.
        if tcp.flags.contains(TcpFlags::RST) {
            return;
        }
        // Nor is that of a SYN before its receiver has taken it, and most never do (RFC 7413 §2). One packet, whose source may be
        // forged, announces nothing; what is sent again after the handshake is read then.
        if tcp.flags.contains(TcpFlags::SYN) {
            self.streams[from.index()].open(tcp.sequence.wrapping_add(1));
            return;
        }
        if !payload.is_empty() && !self.pick_up(from, tcp.sequence) {
            self.stop(Status::Blind(BlindReason::MidStream));
            return;
        }
        if tcp.flags.contains(TcpFlags::FIN) {
            let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).wrapping_add(missing);
            self.streams[from.index()].finish(tcp.sequence.wrapping_add(length));
        }
        self.feed(at.into(), from, tcp.sequence, payload, actions);
    }

    /// Shows one datagram.
    pub fn datagram(
        &mut self,
        at: impl Into<Arrival>,
        from: Direction,
        payload: &[u8],
        actions: &mut Vec<Action>,
    ) {
        let at = at.into();
        self.quotes = Vec::new();
        let Status::Reading(session) = &mut self.status else { return };
        let before = actions.len();
        let mut context =
            Context::new(&self.master, &self.policy, at.time, 0, actions, &mut self.next_handle);
        let progress = session.read(&mut context, from, payload);
        self.condition =
            note(&mut self.quotes, self.condition, (from, at), 0, payload, actions.get(before..));
        match progress {
            Progress::Consumed(_) => {}
            Progress::Blind(reason) => self.stop(Status::Blind(reason)),
            Progress::Done => self.stop(Status::Done),
        }
    }

    /// The bytes of a span named by one of the actions of the latest call, for quoting: at most [`MAX_QUOTE`], none if no action
    /// named them.
    pub fn quote(&self, from: Direction, span: Span) -> &[u8] {
        let holds = |quote: &&Quote| {
            quote.from == from && quote.span.start <= span.start && span.end <= quote.span.end
        };
        let later = self.quotes.partition_point(|quote| quote.span.start <= span.start);
        let Some(quote) = self.quotes.iter().take(later).rev().find(holds) else { return &[] };
        let start = (span.start - quote.span.start) as usize;
        let end = (span.end.saturating_sub(quote.span.start) as usize).min(quote.bytes.len());
        quote.bytes.get(start..end).unwrap_or_default()
    }

    /// The packet that brought the last byte of a span named by one of the actions of the latest call. This is not the latest packet if
    /// the bytes came before their turn.
    pub fn arrival(&self, from: Direction, span: Span) -> Option<Arrival> {
        self.quotes.iter().find(|quote| quote.from == from && quote.span == span).map(|quote| quote.arrival)
    }

    /// Whether the session waits for the rest of a message that may have to be [rewritten](Session::may_announce).
    pub fn awaits_announcement(&self, from: Direction) -> bool {
        let unread = self.streams[from.index()].unread_bytes();
        match &self.status {
            Status::Reading(session) => !unread.is_empty() && session.may_announce(from, unread),
            Status::Blind(_) | Status::Done => false,
        }
    }

    /// Why this session reads no more, if it does not.
    pub fn blind(&self) -> Option<BlindReason> {
        match self.status {
            Status::Blind(reason) => Some(reason),
            Status::Reading(_) | Status::Done => None,
        }
    }

    /// Whether the session still reads; if not, it is either [blind](Self::blind) or its protocol is over.
    pub fn is_reading(&self) -> bool {
        matches!(self.status, Status::Reading(_))
    }

    /// Whether what passes can be understood at present.
    pub fn condition(&self) -> Condition {
        self.condition
    }

    /// Stops reading for a reason of the host's (its memory for all sessions is used up). Releases what is held.
    pub fn disarm(&mut self, reason: BlindReason) {
        if self.is_reading() {
            self.stop(Status::Blind(reason));
        }
    }

    /// Bytes of memory held for this conn.
    pub fn memory(&self) -> usize {
        let session = match &self.status {
            Status::Reading(session) => size_of_val(&**session) + session.memory(),
            Status::Blind(_) | Status::Done => 0,
        };
        let quotes: usize = self.quotes.iter().map(|quote| quote.bytes.len()).sum();
        let quotes = quotes + self.quotes.capacity() * size_of::<Quote>();
        let early = self.early.capacity() * size_of::<Early>();
        size_of::<Self>() + session + quotes + early + self.streams.iter().map(Stream::memory).sum::<usize>()
    }

    /// Makes sure that a direction with payload is anchored. `false`: it may not be, or its session cannot begin in the middle.
    fn pick_up(&mut self, from: Direction, sequence: u32) -> bool {
        if self.streams[from.index()].is_open() {
            return true;
        }
        let Status::Reading(session) = &mut self.status else { return false };
        if self.pickup == Pickup::Strict || !session.pick_up(from) {
            return false;
        }
        self.streams[from.index()].open(sequence);
        true
    }

    /// Takes the payload into its stream and lets the session read.
    fn feed(
        &mut self,
        at: Arrival,
        from: Direction,
        sequence: u32,
        payload: &[u8],
        actions: &mut Vec<Action>,
    ) {
        let Self { master, policy, pickup, status, condition, streams, next_handle, quotes, early } = self;
        let Status::Reading(session) = status else { return };
        let longest = session.longest_message();
        let mut stop = None;
        let mut read = |readable: Readable<'_>| {
            let Readable::Bytes { offset, bytes } = readable else {
                if session.resynchronise(from) {
                    return ControlFlow::Continue(0);
                }
                stop = Some(Status::Blind(BlindReason::Gap));
                return ControlFlow::Break(());
            };
            let before = actions.len();
            let mut context = Context::new(master, policy, at.time, offset, actions, next_handle);
            let progress = session.read(&mut context, from, bytes);
            *condition = note(quotes, *condition, (from, at), offset, bytes, actions.get(before..));
            match progress {
                Progress::Consumed(count) if bytes.len().saturating_sub(count) <= longest => {
                    return ControlFlow::Continue(count);
                }
                Progress::Consumed(_) => stop = Some(Status::Blind(BlindReason::MessageTooLong)),
                Progress::Blind(reason) => stop = Some(Status::Blind(reason)),
                Progress::Done => stop = Some(Status::Done),
            }
            ControlFlow::Break(())
        };
        let stream = &mut streams[from.index()];
        if let Some(span) = stream.out_of_turn(sequence, payload.len())
            && early.len() < MAX_PENDING_CHUNKS
        {
            early.push(Early { from, span, arrival: at });
        }
        let fault = stream.feed(sequence, payload, *pickup, &mut read).err();
        if !early.is_empty() {
            for quote in quotes.iter_mut() {
                let last = quote.span.end.saturating_sub(1);
                let holds = |e: &&Early| e.from == from && e.span.start <= last && last < e.span.end;
                quote.arrival = early.iter().find(holds).map_or(quote.arrival, |e| e.arrival);
            }
            let position = stream.position();
            early.retain(|e| e.from != from || e.span.end > position);
        }
        if fault == Some(BlindReason::Conflict) {
            // What was announced may not be what the peer has read.
            let first = next_handle.saturating_sub(DOUBTFUL_HANDLES);
            actions.extend((first..*next_handle).map(|handle| Action::Cancel(Handle(handle))));
        }
        if let Some(end) = stop.or(fault.map(Status::Blind)) {
            self.stop(end);
        }
    }

    /// Ends the reading and gives the memory back. Quotes of this call stay until the next.
    fn stop(&mut self, end: Status) {
        if let Status::Blind(BlindReason::Encrypted) = end {
            self.condition = Condition::Encrypted;
        }
        self.status = end;
        self.streams.iter_mut().for_each(Stream::release);
        self.early = Vec::new();
    }
}

/// Copies the bytes that new actions name, and follows the condition.
fn note(
    quotes: &mut Vec<Quote>,
    mut condition: Condition,
    (from, arrival): (Direction, Arrival),
    offset: u64,
    bytes: &[u8],
    actions: Option<&[Action]>,
) -> Condition {
    for action in actions.unwrap_or_default() {
        let span = match action {
            Action::Expect(_, expect) => expect.span,
            Action::Refuse(_, span) => *span,
            Action::Condition(new) => {
                condition = *new;
                continue;
            }
            Action::Activate(_)
            | Action::Extend(..)
            | Action::Prolong(_)
            | Action::Cancel(_)
            | Action::Aim(..)
            | Action::Lead(..) => {
                continue;
            }
            Action::Locate(_, span, _)
            | Action::Mention(_, span, _)
            | Action::Length(span, _)
            | Action::Renumber(span, ..) => *span,
        };
        let within = |at: u64| usize::try_from(at.saturating_sub(offset)).unwrap_or(usize::MAX);
        let (start, end) = (within(span.start), within(span.end).min(bytes.len()));
        if let Some(quoted) = bytes.get(start..end.min(start.saturating_add(MAX_QUOTE))) {
            quotes.push(Quote { from, span, bytes: quoted.into(), arrival });
        }
    }
    // Stable: of two quotes that begin together, the later one is the later action's.
    quotes.sort_by_key(|quote| quote.span.start);
    condition
}

#[cfg(test)]
mod tests;
