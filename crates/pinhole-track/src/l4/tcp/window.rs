//! Window tracking: does a segment lie where a segment of this conn can lie?
//!
//! A firewall sees neither end's state, only what passed. Four bounds follow from that (G. van Rooij, "Real Stateful TCP Packet
//! Filtering in IP Filter", 2000):
//!
//! 1. data: not beyond what the receiver has offered (`max_end`);
//! 2. data: not so old that even the receiver's largest window would not reach it;
//! 3. acknowledgement: not of data that the receiver of this segment has not sent;
//! 4. acknowledgement: not older than a window (at least [`MAX_ACK_WINDOW`]).
//!
//! Beyond an upper bound a segment is invalid. Below a lower one it is an old duplicate: it passes, but tells nothing.

use super::options;
use super::states::{TcpKind, TcpState};
use super::{EndFlags, Last, Segment, Tcp, after, before};
use crate::l4::Invalid;
use pinhole_wire::Direction;
use serde::{Deserialize, Serialize};

/// How old an acknowledgement may be at least, in bytes: a window without scaling, and a segment's slack.
pub(super) const MAX_ACK_WINDOW: u32 = 66_000;

/// What one end has sent and been offered. Sequence numbers are the end's own, except `max_ack`.
///
/// Packed to an even size: two of them are in every TCP conn, and padding would cost four bytes there.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[repr(C, packed(2))]
pub(super) struct End {
    /// Highest sequence number sent, plus one.
    pub(super) end: u32,
    /// Highest sequence number that its peer has offered to take, plus one.
    pub(super) max_end: u32,
    /// Largest window that it has offered, scaled; zero: no packet of it seen yet.
    pub(super) max_window: u32,
    /// Highest acknowledgement that it has sent (its peer's numbers).
    pub(super) max_ack: u32,
    /// Shift of its windows.
    pub(super) scale: u8,
    pub(super) flags: EndFlags,
}

impl End {
    /// Takes over the options of its SYN. One without any leaves what an earlier one said.
    pub(super) fn learn_options(&mut self, syn: &Segment<'_>) {
        if !syn.has_options {
            return;
        }
        let options = options::of_syn(&syn.options);
        self.flags &= EndFlags::LIBERAL;
        self.flags.set(EndFlags::SCALES, options.scale.is_some());
        self.flags.set(EndFlags::SACK, options.sack);
        self.scale = options.scale.unwrap_or(0);
    }

    fn oldest_ack_window(&self) -> u32 {
        self.max_window.max(MAX_ACK_WINDOW)
    }
}

/// What one end of an open conn has sent and been offered, for whoever watches the windows meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpWindow {
    /// Highest sequence number sent, plus one.
    pub end: u32,
    /// Highest sequence number that its peer has offered to take, plus one.
    pub max_end: u32,
    /// Largest window that it has offered, scaled.
    pub max_window: u32,
    /// Shift of its windows.
    pub scale: u8,
}

impl TcpWindow {
    pub(super) fn of(end: End) -> Self {
        Self { end: end.end, max_end: end.max_end, max_window: end.max_window, scale: end.scale }
    }
}

impl End {
    /// Takes over what is newer. What is acknowledged of it the next packets tell.
    pub(super) fn catch_up(&mut self, window: TcpWindow) {
        if after(window.end, self.end) {
            self.end = window.end;
        }
        if after(window.max_end, self.max_end) {
            self.max_end = window.max_end;
        }
        self.max_window = self.max_window.max(window.max_window);
        self.flags.remove(EndFlags::UNACKNOWLEDGED);
    }
}

/// Judgement of the windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// It fits; the windows are updated.
    Accept,
    /// It does not fit, but its sender is not held to the windows; they stay as they are.
    Tolerate,
    /// It passes without effect.
    Ignore,
    /// It does not fit.
    Invalid(Invalid),
}

impl Tcp {
    /// Checks a segment against the windows and, if it fits, updates them.
    #[inline(always)]
    pub(super) fn check_window(
        &mut self,
        segment: &Segment<'_>,
        direction: Direction,
        be_liberal: bool,
    ) -> Fit {
        let [original, reply] = &mut self.ends;
        let (sender, receiver) = match direction {
            Direction::Original => (original, reply),
            Direction::Reply => (reply, original),
        };
        let fit = fit(segment, direction, self.state, sender, receiver, be_liberal);
        if fit == Fit::Accept && segment.kind == TcpKind::Ack {
            self.count_retransmission(segment, direction);
        }
        fit
    }

    /// As [`check_window`](Self::check_window), for an ACK or FIN of an end that is known: whether it is accepted. If not, nothing has changed.
    #[inline(always)]
    pub(super) fn fits_window(&mut self, segment: &Segment<'_>, direction: Direction) -> bool {
        let [original, reply] = &mut self.ends;
        let (sender, receiver) = match direction {
            Direction::Original => (original, reply),
            Direction::Reply => (reply, original),
        };
        let sack = highest_sack(segment, receiver);
        let place = Place::of(segment.sequence, segment.end, sack, sender, receiver);
        if sender.max_window == 0 || !place.is_inside() {
            return false;
        }
        learn(segment, segment.acknowledgement, sack, segment.end, sender, receiver);
        if segment.kind == TcpKind::Ack {
            self.count_retransmission(segment, direction);
        }
        true
    }

    /// The same ACK segment again and again means that something is stuck.
    #[inline(always)]
    fn count_retransmission(&mut self, segment: &Segment<'_>, direction: Direction) {
        let this = Last {
            sequence: segment.sequence,
            ack: segment.acknowledgement,
            end: segment.end,
            window: segment.window,
            direction,
            ..self.last
        };
        self.retransmissions = if this == self.last { self.retransmissions.saturating_add(1) } else { 0 };
        self.last = this;
    }
}

/// Where a segment lies, by the four bounds: how far within each of them, less than zero beyond it.
struct Place {
    window: i32,
    reach: i32,
    sent: i32,
    recent: i32,
}

impl Place {
    #[inline(always)]
    fn of(sequence: u32, end: u32, sack: u32, sender: &End, receiver: &End) -> Self {
        let oldest = sender.end.wrapping_sub(receiver.max_window);
        let oldest_ack = receiver.end.wrapping_sub(sender.oldest_ack_window());
        Self {
            window: sender.max_end.wrapping_sub(sequence) as i32,
            reach: if receiver.max_window == 0 { 0 } else { end.wrapping_sub(oldest) as i32 },
            sent: receiver.end.wrapping_sub(sack) as i32,
            recent: sack.wrapping_sub(oldest_ack) as i32,
        }
    }

    /// All at once: the sign of the four together.
    #[inline(always)]
    const fn is_inside(&self) -> bool {
        self.window | self.reach | self.sent | self.recent >= 0
    }
}

/// The highest number that the segment acknowledges.
#[inline(always)]
fn highest_sack(segment: &Segment<'_>, receiver: &End) -> u32 {
    if segment.has_options && receiver.flags.contains(EndFlags::SACK) {
        options::highest_sack(segment.options.clone(), segment.acknowledgement)
    } else {
        segment.acknowledgement
    }
}

#[inline(always)]
fn fit(
    segment: &Segment<'_>,
    direction: Direction,
    state: TcpState,
    sender: &mut End,
    receiver: &mut End,
    be_liberal: bool,
) -> Fit {
    let mut ack = segment.acknowledgement;
    let mut sack = highest_sack(segment, receiver);

    if sender.max_window == 0 {
        if segment.is_syn() {
            greet(segment, direction, sender, receiver);
            if segment.kind == TcpKind::Syn {
                return Fit::Accept;
            }
        } else {
            meet_mid_stream(segment.window, segment.end, sack, sender, receiver);
        }
    } else if segment.is_syn()
        && after(segment.end, sender.end)
        && matches!(state, TcpState::SynSent | TcpState::SynRecv)
    {
        // The handshake starts again with other numbers: a new attempt, or another conn's SYN-ACK had come first.
        greet(segment, direction, sender, receiver);
        if direction == Direction::Reply && segment.kind == TcpKind::Syn {
            return Fit::Accept;
        }
    }

    let (mut sequence, mut end) = (segment.sequence, segment.end);
    let is_reset = segment.kind == TcpKind::Rst;
    if !segment.has_ack || (is_reset && ack == 0) {
        // No acknowledgement; some stacks set the flag in RSTs without one.
        ack = receiver.end;
        sack = ack;
    }
    if is_reset && sequence == 0 && state == TcpState::SynSent {
        // The answer to a SYN: its sender has no sequence number to offer (RFC 9293 §3.10.7.1).
        sequence = sender.end;
        end = sequence;
    }

    let liberal = be_liberal || sender.flags.contains(EndFlags::LIBERAL);
    let unless_liberal = |fit| if liberal { Fit::Tolerate } else { fit };
    let place = Place::of(sequence, end, sack, sender, receiver);
    if place.window < 0 {
        // Some stacks send more than they were offered. If the peer takes it, its acknowledgement must not look bogus.
        let overshoot = end.wrapping_sub(sender.max_end).wrapping_add(1);
        let plausible = receiver.max_window != 0 && place.reach | place.recent | place.sent >= 0;
        if plausible && overshoot <= receiver.max_window {
            sender.end = end;
            sender.flags.insert(EndFlags::UNACKNOWLEDGED);
            return unless_liberal(Fit::Ignore);
        }
        return unless_liberal(Fit::Invalid(Invalid::TcpAboveWindow));
    }
    if place.sent < 0 {
        return unless_liberal(Fit::Invalid(Invalid::TcpAckNeverSent));
    }
    if place.reach | place.recent < 0 {
        return unless_liberal(Fit::Ignore);
    }

    learn(segment, ack, sack, end, sender, receiver);
    Fit::Accept
}

/// What an accepted segment tells of both ends.
#[inline(always)]
fn learn(segment: &Segment<'_>, ack: u32, sack: u32, end: u32, sender: &mut End, receiver: &mut End) {
    // Windows of SYNs are never scaled (RFC 7323 §2.2).
    let shift = if segment.is_syn() { 0 } else { sender.scale };
    let window = u32::from(segment.window) << shift;
    update_sender(segment.has_ack, ack, end, window.wrapping_add(sack.wrapping_sub(ack)), sender);
    update_receiver(ack, sack, end, window, sender.max_end, receiver);
}

/// The first SYN or SYN-ACK of an end.
#[inline(never)]
fn greet(segment: &Segment<'_>, direction: Direction, sender: &mut End, receiver: &mut End) {
    sender.end = segment.end;
    sender.max_end = segment.end;
    sender.max_window = u32::from(segment.window).max(1);
    sender.learn_options(segment);
    // Scaling takes both sides' option (RFC 7323 §2.2).
    let both = sender.flags & receiver.flags;
    if direction == Direction::Reply && !both.contains(EndFlags::SCALES) {
        sender.scale = 0;
        receiver.scale = 0;
    }
}

/// The first segment of an end whose SYN was not seen.
#[inline(never)]
fn meet_mid_stream(window: u16, end: u32, sack: u32, sender: &mut End, receiver: &mut End) {
    sender.end = end;
    sender.max_window = (u32::from(window) << sender.scale).max(1);
    sender.max_end = sender.end.wrapping_add(sender.max_window);
    if receiver.max_window == 0 {
        receiver.end = sack;
        receiver.max_end = sack;
    } else if sack == receiver.end.wrapping_add(1) {
        // The answer to a keep-alive, which repeats the byte before the next one.
        receiver.end = sack;
    }
}

#[inline(always)]
fn update_sender(has_ack: bool, ack: u32, end: u32, offered: u32, sender: &mut End) {
    sender.max_window = sender.max_window.max(offered);
    if after(end, sender.end) {
        sender.end = end;
        sender.flags.insert(EndFlags::UNACKNOWLEDGED);
    }
    if has_ack && (!sender.flags.contains(EndFlags::ACKED) || after(ack, sender.max_ack)) {
        sender.max_ack = ack;
        sender.flags.insert(EndFlags::ACKED);
    }
}

#[inline(always)]
fn update_receiver(ack: u32, sack: u32, end: u32, window: u32, sender_max_end: u32, receiver: &mut End) {
    if receiver.max_window != 0 && after(end, sender_max_end) {
        receiver.max_window = receiver.max_window.wrapping_add(end.wrapping_sub(sender_max_end));
    }
    let offer = sack.wrapping_add(window);
    if !before(offer, receiver.max_end) {
        // A closed window still takes the one byte of a probe (RFC 9293 §3.8.6.1).
        receiver.max_end = if window == 0 { offer.wrapping_add(1) } else { offer };
    }
    if ack == receiver.end {
        receiver.flags.remove(EndFlags::UNACKNOWLEDGED);
    }
}
