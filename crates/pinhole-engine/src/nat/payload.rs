//! The payload of one translated conn whose helper has its NAT half: edits, lines that are held until they are complete, and where the
//! stream ends because an announcement was refused.

use crate::host::Edit;
use pinhole_helper::Span;
use pinhole_nat::adjust::LedgerError;
use pinhole_nat::rewrite::{self, Conversation, Hold};
use pinhole_wire::{Direction, LinkType, Packet, Tcp, TcpFlags};

/// Segments beyond a gap that are dropped, so that their sender fills it first; after that many the gap is taken for one that will not
/// be filled, and nothing in it can be edited any more.
const AHEAD_PATIENCE: u8 = 4;

/// Most edits that are entered at once. More are joined with their neighbours: all of one segment must find room before it leaves, and only
/// what has left makes room.
pub(crate) const AT_ONCE: usize = 32;

pub(crate) struct Payload {
    /// Number of the NAT half.
    pub(crate) half: u16,
    pub(crate) conversation: Conversation,
    pub(crate) sides: [Side; 2],
    /// An edit was entered: numbers differ from now on.
    pub(crate) adjusted: bool,
}

/// One direction of the stream.
#[derive(Default)]
pub(crate) struct Side {
    /// Edits for which there was no room yet.
    pub(crate) pending: Vec<Edit>,
    pub(super) ahead: u8,
    /// Number of the stream's first byte.
    pub(super) origin: Option<u32>,
    /// Window that this side announced last.
    pub(crate) window: u16,
    pub(crate) hold: Hold,
    pub(crate) held: Vec<Held>,
    /// First number of a segment whose announcement was refused. It was read, and will not be again: nothing from there on may pass, or
    /// its retransmission would carry the announcement as it was.
    pub(super) refused: Option<u32>,
}

/// A segment that is held.
pub(crate) struct Held {
    pub(crate) frame: u64,
    pub(crate) link: LinkType,
    pub(crate) packet: Packet,
    pub(crate) bytes: Vec<u8>,
}

/// What came of entering edits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Entered {
    All,
    /// Some wait until acknowledgements have made room: the segment must not be forwarded.
    Later,
    /// The bytes were forwarded before they could be read: they cannot be edited any more.
    Never,
}

impl Payload {
    pub(crate) fn new(half: u16) -> Self {
        Self { half, conversation: Conversation::default(), sides: Default::default(), adjusted: false }
    }

    pub(crate) const fn side(&mut self, from: Direction) -> &mut Side {
        &mut self.sides[from.index()]
    }

    /// Takes note of a segment before it is read.
    pub(crate) fn arrive(&mut self, from: Direction, tcp: &Tcp) {
        let side = &mut self.sides[from.index()];
        side.window = tcp.window;
        let is_syn = tcp.flags.contains(TcpFlags::SYN);
        if side.origin.is_none() && (is_syn || tcp.payload_length > 0) {
            let first = data_start(tcp);
            side.origin = Some(first);
            self.conversation.open(from, first);
        }
    }

    /// Whether a segment is to be dropped because bytes before it may still have to be edited. What is held is a run without gaps.
    pub(crate) fn must_wait(&mut self, from: Direction, tcp: &Tcp) -> bool {
        if let Some((_, end)) = self.sides[from.index()].held_numbers() {
            return tcp.payload_length > 0 && tcp.sequence.wrapping_sub(end).cast_signed() > 0;
        }
        let is_ahead = self.conversation.is_ahead(from, tcp);
        let side = &mut self.sides[from.index()];
        side.ahead = if is_ahead { side.ahead.saturating_add(1) } else { 0 };
        is_ahead && side.ahead <= AHEAD_PATIENCE
    }

    /// A segment, and what is held before it, announces what its receiver cannot be told: the stream ends before it.
    pub(crate) fn refuse(&mut self, from: Direction, tcp: &Tcp) {
        let ledger = self.conversation.stream(from).ledger();
        let side = &mut self.sides[from.index()];
        let first = side.held_numbers().map_or(data_start(tcp), |(start, _)| start);
        // What a retransmission carries of earlier segments, these may bring again.
        let has_more = ledger.is_open() && ledger.frontier().wrapping_sub(first) as i32 > 0;
        side.refused = Some(if has_more { ledger.frontier() } else { first });
        side.held.clear();
        side.hold = Hold::default();
    }

    /// Whether a segment brings bytes of a refused announcement, or from beyond it.
    pub(crate) fn is_refused(&self, from: Direction, tcp: &Tcp) -> bool {
        let end = data_start(tcp).wrapping_add(tcp.payload_length);
        let reaches = |start: u32| tcp.payload_length > 0 && end.wrapping_sub(start) as i32 > 0;
        self.sides[from.index()].refused.is_some_and(reaches)
    }

    /// Whether all of a segment's bytes are held already: it was sent again.
    pub(crate) fn holds_all_of(&self, from: Direction, tcp: &Tcp) -> bool {
        let Some((_, end)) = self.sides[from.index()].held_numbers() else { return false };
        tcp.payload_length > 0 && tcp.sequence.wrapping_add(tcp.payload_length).wrapping_sub(end) as i32 <= 0
    }

    /// Of a segment that brings nothing beyond what is held, how many bytes it brings of what was forwarded before: its receiver may lack
    /// them.
    pub(crate) fn forwarded_part(&self, from: Direction, tcp: &Tcp) -> Option<u32> {
        let (held, end) = self.sides[from.index()].held_numbers()?;
        let carried = self.conversation.stream(from).ledger().carried();
        let bound = if carried.wrapping_sub(held).cast_signed() > 0 { carried } else { held };
        let start = data_start(tcp);
        let part = u32::try_from(bound.wrapping_sub(start).cast_signed()).ok().filter(|part| *part > 0)?;
        let ends_in_time = start.wrapping_add(tcp.payload_length).wrapping_sub(end).cast_signed() <= 0;
        (tcp.payload_length > 0 && ends_in_time).then_some(part.min(tcp.payload_length))
    }

    /// Whether the receiver has acknowledged all before what is held.
    pub(crate) fn is_received_up_to_held(&self, from: Direction) -> bool {
        let ledger = self.conversation.stream(from).ledger();
        let Some((start, _)) = self.sides[from.index()].held_numbers() else { return false };
        // A retransmission that is held may begin with what was forwarded.
        let forwarded = ledger.carried();
        let before = if forwarded.wrapping_sub(start).cast_signed() > 0 { forwarded } else { start };
        ledger.acknowledged().wrapping_sub(ledger.edited(before)).cast_signed() >= 0
    }

    /// Fewer edits, each of a longer run, for a segment that leaves with what was held before it.
    pub(crate) fn gather(
        &mut self,
        from: Direction,
        edits: Vec<Edit>,
        tcp: &Tcp,
        payload: &[u8],
        held: &[Held],
    ) -> Vec<Edit> {
        let side = &mut self.sides[from.index()];
        let mut all = std::mem::take(&mut side.pending);
        all.extend(edits);
        let Some(origin) = side.origin else { return all };
        let (first, mut bytes) = run_of(held).unwrap_or((tcp.sequence, Vec::new()));
        bytes.truncate(usize::try_from(tcp.sequence.wrapping_sub(first).cast_signed()).unwrap_or_default());
        bytes.extend_from_slice(payload);
        let start = u64::from(first.wrapping_sub(origin));
        let within = |at: u64| usize::try_from(at.checked_sub(start)?).ok();
        let mut gathered = Vec::with_capacity(AT_ONCE);
        for group in all.chunks(all.len().div_ceil(AT_ONCE)) {
            let [begin, .., last] = group else {
                gathered.extend_from_slice(group);
                continue;
            };
            let around = within(begin.span.start).zip(within(last.span.end));
            let around = around.and_then(|(from, to)| bytes.get(from..to));
            match around.map(|bytes| joined(begin.span.start, bytes, group.to_vec())) {
                Some((Some(edit), rest)) if rest.is_empty() => gathered.push(edit),
                _ => gathered.extend_from_slice(group),
            }
        }
        gathered
    }

    /// Whether no acknowledgement is awaited that could make room for edits.
    pub(crate) fn has_no_more_room(&self, from: Direction) -> bool {
        let ledger = self.conversation.stream(from).ledger();
        ledger.acknowledged().wrapping_sub(ledger.edited(ledger.carried())).cast_signed() >= 0
    }

    /// Enters edits before the bytes that they are of are forwarded. What was acknowledged in the receiver's name up to number `owed` is
    /// entered as one edit that is sent again with what follows it.
    pub(crate) fn enter(
        &mut self,
        from: Direction,
        edits: Vec<Edit>,
        owed: Option<(u32, Vec<u8>)>,
    ) -> Entered {
        let side = &mut self.sides[from.index()];
        side.pending.extend(edits);
        if let (Some((number, bytes)), Some(origin)) = (owed, side.origin) {
            // A retransmission may begin with bytes that were forwarded already: nothing of these is owed.
            let carried = self.conversation.stream(from).ledger().carried();
            let known = usize::try_from(carried.wrapping_sub(number).cast_signed()).unwrap_or_default();
            let start = u64::from(number.wrapping_sub(origin)) + known as u64;
            let bytes = bytes.get(known..).unwrap_or_default();
            let (edit, rest) = joined(start, bytes, std::mem::take(&mut side.pending));
            side.pending = rest;
            let entered = edit.is_none_or(|edit| {
                let edit = rewrite::Edit { span: edit.span, replacement: &edit.text, owed: true };
                self.conversation.edit(from, &edit).is_ok()
            });
            self.adjusted |= entered;
            if !entered {
                return Entered::Never;
            }
        }
        let side = &mut self.sides[from.index()];
        let mut done = 0;
        let mut result = Entered::All;
        for edit in &side.pending {
            let edit = rewrite::Edit { span: edit.span, replacement: &edit.text, owed: false };
            match self.conversation.edit(from, &edit) {
                Ok(()) => self.adjusted = true,
                Err(LedgerError::Full) => {
                    result = Entered::Later;
                    break;
                }
                Err(_) => result = Entered::Never,
            }
            done += 1;
        }
        side.pending.drain(..done);
        result
    }
}

impl Side {
    /// First number of what is held, and the number after it.
    pub(crate) fn held_numbers(&self) -> Option<(u32, u32)> {
        let number = |held: &Held| match &held.packet.transport {
            pinhole_wire::Transport::Tcp(tcp) => Some((tcp.sequence, tcp.payload_length)),
            _ => None,
        };
        let (start, _) = number(self.held.first()?)?;
        let (last, length) = number(self.held.last()?)?;
        Some((start, last.wrapping_add(length)))
    }

    /// The bytes that are held, in order and each once.
    pub(crate) fn held_bytes(&self) -> Vec<u8> {
        run_of(&self.held).map(|(_, bytes)| bytes).unwrap_or_default()
    }
}

/// Number of the first byte of a run of segments without gaps, and its bytes, each once.
fn run_of(held: &[Held]) -> Option<(u32, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut start = None;
    for held in held {
        let pinhole_wire::Transport::Tcp(tcp) = &held.packet.transport else { continue };
        let start = *start.get_or_insert(tcp.sequence);
        // A segment that its sender cut anew may begin before what was held first.
        let at = tcp.sequence.wrapping_sub(start).cast_signed();
        let known = usize::try_from(bytes.len() as i64 - i64::from(at)).unwrap_or_default();
        bytes.extend_from_slice(held.packet.payload_bytes(&held.bytes).get(known..).unwrap_or_default());
    }
    start.map(|start| (start, bytes))
}

/// Number of the first byte of data: a SYN has one of its own.
const fn data_start(tcp: &Tcp) -> u32 {
    tcp.sequence.wrapping_add(tcp.flags.contains(TcpFlags::SYN) as u32)
}

/// One edit for all of `bytes`, which begin at `start`, with the edits inside of them carried out; and the edits behind it. An edit that
/// goes on beyond the bytes makes it longer.
fn joined(start: u64, bytes: &[u8], edits: Vec<Edit>) -> (Option<Edit>, Vec<Edit>) {
    let mut end = start + bytes.len() as u64;
    let mut text = Vec::new();
    let mut at = start;
    let mut rest = Vec::new();
    for edit in edits {
        if edit.span.start < at || edit.span.start >= end {
            rest.push(edit);
            continue;
        }
        let (from, to) = ((at - start) as usize, (edit.span.start - start) as usize);
        text.extend_from_slice(bytes.get(from..to).unwrap_or_default());
        text.extend_from_slice(&edit.text);
        at = edit.span.end;
        end = end.max(at);
    }
    text.extend_from_slice(bytes.get((at - start) as usize..).unwrap_or_default());
    let edit = (end > start && !text.is_empty()).then_some(Edit { span: Span { start, end }, text });
    (edit, rest)
}
