//! TCP as seen from between its two ends.
//!
//! `states` says which packet leads where by its flags; `window` whether its numbers fit; this module holds the rest: what opens
//! a conn, RSTs, SYNs in the middle of a conn and the answers to them, and timeouts.
//!
//! A tracker can fall out of step with the ends (an end restarts, the tracker starts late). So a SYN in the middle of a conn is
//! neither trusted nor refused but *remembered* and let through; the answer tells who was right: a SYN-ACK that acknowledges it puts us
//! back in step, an RST that acknowledges it ends the conn, a challenge ACK (RFC 5961 §4) changes nothing.

mod options;
mod segment;
mod states;
#[cfg(test)]
mod tests;
mod window;

pub use states::{TcpKind, TcpState};
pub use window::TcpWindow;

use super::{Invalid, L4Settings, Step, View};
use crate::timeouts::Timeout;
use crate::{Status, Timeouts};
use bitflags::bitflags;
use pinhole_wire::{Bounds, Direction, Tcp as Header, TcpOptions};
use segment::Segment;
use serde::{Deserialize, Serialize};
use states::Move;
use window::{End, Fit};

bitflags! {
    /// What is known of one end.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
    struct EndFlags: u8 {
        /// Its SYN had the window scale option.
        const SCALES = 1 << 0;
        /// It takes selective acknowledgements.
        const SACK = 1 << 1;
        /// It sent the first FIN.
        const CLOSED_FIRST = 1 << 2;
        /// Its SYN was not seen: the windows are guesses.
        const LIBERAL = 1 << 3;
        /// It has sent data that are not acknowledged.
        const UNACKNOWLEDGED = 1 << 4;
        /// `max_ack` is valid.
        const ACKED = 1 << 5;
    }
}

bitflags! {
    /// What is known of the last SYN that was let through.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
    struct SynFlags: u8 {
        /// As [`EndFlags::SCALES`].
        const SCALES = 1 << 0;
        /// As [`EndFlags::SACK`].
        const SACK = 1 << 1;
        /// A challenge ACK to it would look like the last ACK of the conn.
        const EXPECT_CHALLENGE = 1 << 2;
        /// Both ends have sent a SYN.
        const SIMULTANEOUS = 1 << 3;
    }
}

/// State of a TCP conn. The state comes first: where an [`L4`](super::L4) says which protocol it is of, near what every packet reads.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[repr(C)]
pub struct Tcp {
    state: TcpState,
    syn_scale: u8,
    syn_flags: SynFlags,
    retransmissions: u8,
    last: Last,
    ends: [End; 2],
}

/// The last packet: for retransmissions, and for those that were let through and await their answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Last {
    sequence: u32,
    ack: u32,
    end: u32,
    window: u16,
    kind: Option<TcpKind>,
    direction: Direction,
}

/// Whether `a` is before `b` in sequence space (RFC 9293 §3.4).
const fn before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

/// Whether `a` is after `b` in sequence space.
const fn after(a: u32, b: u32) -> bool {
    before(b, a)
}

impl Tcp {
    /// Judges a conn's first packet.
    ///
    /// # Errors
    /// It is neither a SYN nor (with [`L4Settings::tcp_loose`]) an ACK.
    pub fn open(header: &Header, view: View<'_>, settings: &L4Settings) -> Result<Self, Invalid> {
        let kind = TcpKind::of(header.flags).ok_or(Invalid::TcpFlags)?;
        let segment = Segment::of(kind, header, header.options(view.bytes, view.packet));
        let mut opener =
            End { end: segment.end, max_window: u32::from(segment.window).max(1), ..End::default() };
        let mut answerer = End::default();
        match segment.kind {
            TcpKind::Syn => {
                opener.max_end = opener.end;
                opener.learn_options(&segment);
            }
            TcpKind::Ack if settings.tcp_loose => {
                // What was agreed on in the handshake is unknown: assume SACK, and do not hold anyone to his window.
                opener.max_end = opener.end.wrapping_add(opener.max_window);
                opener.flags = EndFlags::SACK | EndFlags::LIBERAL;
                answerer.flags = opener.flags;
            }
            TcpKind::Ack => return Err(Invalid::TcpStrictPickup),
            kind @ (TcpKind::SynAck | TcpKind::Fin | TcpKind::Rst) => return Err(Invalid::TcpOpen(kind)),
        }
        Ok(Self {
            ends: [opener, answerer],
            last: Last { sequence: 0, ack: 0, end: 0, window: 0, kind: None, direction: Direction::Original },
            syn_scale: 0,
            syn_flags: SynFlags::empty(),
            retransmissions: 0,
            state: TcpState::None,
        })
    }

    /// Whether the scales are ones that a SYN can set (RFC 7323 §2.3).
    pub(crate) fn is_sound(&self) -> bool {
        let [one, other] = self.ends;
        [one.scale, other.scale, self.syn_scale].into_iter().all(|scale| scale <= options::MAX_SCALE)
    }

    /// Forgets the windows: packets may have passed that were not seen. They are learned anew, as of a conn that is picked up.
    pub(crate) fn forget_windows(&mut self) {
        for end in &mut self.ends {
            let flags = end.flags & (EndFlags::SCALES | EndFlags::SACK | EndFlags::CLOSED_FIRST);
            *end = End { scale: end.scale, flags: flags | EndFlags::LIBERAL, ..End::default() };
        }
    }

    /// What is known of both ends, if plain data of an open conn are all that is to be expected: each end has been seen and is held to its window.
    pub(crate) fn windows(&self) -> Option<[TcpWindow; 2]> {
        let is_plain = self.state == TcpState::Established && self.syn_flags.is_empty();
        let is_known = |end: &End| end.max_window != 0 && !end.flags.contains(EndFlags::LIBERAL);
        (is_plain && self.ends.iter().all(is_known)).then(|| self.ends.map(TcpWindow::of))
    }

    /// Takes over what became of the windows while others watched them.
    pub(crate) fn take_windows(&mut self, windows: [TcpWindow; 2]) {
        for (end, window) in self.ends.iter_mut().zip(windows) {
            end.catch_up(window);
        }
        self.retransmissions = 0;
    }

    /// Its state.
    pub const fn state(&self) -> TcpState {
        self.state
    }

    /// As [`update`](Self::update), for most segments of an answered conn: an ACK or a FIN, in `bytes` at `bounds`, that fits the state and the
    /// windows. Returns the seconds that the conn may now live. `None`: nothing has changed, and [`update`](Self::update) is to judge.
    #[inline(never)]
    pub(crate) fn go_on(
        &mut self,
        bounds: &Bounds,
        bytes: &[u8],
        direction: Direction,
        settings: &L4Settings,
        timeouts: &Timeouts,
    ) -> Option<u32> {
        let (header, options) = bounds.tcp(bytes)?;
        let old = self.state;
        if TcpKind::is_ack(header.flags) && old == TcpState::Established {
            // Most of them by far: an instance for them alone.
            let segment = Segment::of(TcpKind::Ack, &header, options);
            return self.move_on(&segment, old, direction, settings, timeouts);
        }
        let kind = TcpKind::of(header.flags).filter(|kind| matches!(kind, TcpKind::Ack | TcpKind::Fin))?;
        let Move::To(next) = states::next(direction, kind, old) else { return None };
        // Such a SYN gives ACKs another meaning.
        if self.syn_flags.intersects(SynFlags::EXPECT_CHALLENGE | SynFlags::SIMULTANEOUS) {
            return None;
        }
        self.move_on(&Segment::of(kind, &header, options), next, direction, settings, timeouts)
    }

    #[inline(always)]
    fn move_on(
        &mut self,
        segment: &Segment<'_>,
        next: TcpState,
        direction: Direction,
        settings: &L4Settings,
        timeouts: &Timeouts,
    ) -> Option<u32> {
        if !self.fits_window(segment, direction) {
            return None;
        }
        self.settle(segment, direction, self.state, next);
        Some(self.timeout(segment.kind, settings, timeouts))
    }

    /// Judges a packet of the conn; `status` is that from before the packet.
    #[inline(always)]
    pub fn update(
        &mut self,
        header: &Header,
        options: TcpOptions<'_>,
        direction: Direction,
        status: Status,
        settings: &L4Settings,
        timeouts: &Timeouts,
    ) -> Step {
        if TcpKind::is_ack(header.flags) && self.state == TcpState::Established {
            // Most segments by far: an instance of the window check for them alone.
            let segment = Segment::of(TcpKind::Ack, header, options);
            let stays = Course::CheckWindow(TcpState::Established);
            return self.proceed(
                &segment,
                TcpState::Established,
                stays,
                direction,
                status,
                settings,
                timeouts,
            );
        }
        match TcpKind::of(header.flags) {
            Some(kind) => {
                let segment = Segment::of(kind, header, options);
                self.update_unusual(&segment, direction, status, settings, timeouts)
            }
            None => Step::Invalid(Invalid::TcpFlags),
        }
    }

    /// As [`update`](Self::update), for all segments.
    #[inline(never)]
    fn update_unusual(
        &mut self,
        segment: &Segment<'_>,
        direction: Direction,
        status: Status,
        settings: &L4Settings,
        timeouts: &Timeouts,
    ) -> Step {
        let mut old = self.state;
        let reopens = matches!(old, TcpState::TimeWait | TcpState::Close);
        let course = match states::next(direction, segment.kind, old) {
            Move::Invalid => return Step::Invalid(Invalid::TcpState(segment.kind, old)),
            Move::To(TcpState::SynSent) if reopens && self.is_over() => return Step::Reopen,
            Move::To(TcpState::SynSent) if reopens => {
                self.remember(segment, direction);
                return Step::Ignore;
            }
            Move::Ignore if self.answers_remembered_syn(segment, direction) => {
                self.resynchronise(direction);
                old = TcpState::SynSent;
                Course::CheckWindow(TcpState::SynRecv)
            }
            Move::Ignore => {
                self.remember(segment, direction);
                return Step::Ignore;
            }
            Move::To(TcpState::TimeWait) if self.is_challenge_ack(segment, direction) => {
                self.syn_flags.remove(SynFlags::EXPECT_CHALLENGE);
                return Step::Ignore;
            }
            Move::To(TcpState::SynSent2) => {
                self.syn_flags.insert(SynFlags::SIMULTANEOUS);
                Course::CheckWindow(TcpState::SynSent2)
            }
            Move::To(TcpState::SynRecv)
                if direction == Direction::Reply
                    && segment.kind == TcpKind::Ack
                    && self.syn_flags.contains(SynFlags::SIMULTANEOUS) =>
            {
                Course::CheckWindow(TcpState::Established)
            }
            Move::To(TcpState::Close) if segment.kind == TcpKind::Rst => {
                match self.judge_reset(segment, direction, status, settings) {
                    Ok(course) => course,
                    Err(reason) => return Step::Invalid(reason),
                }
            }
            Move::To(next) => Course::CheckWindow(next),
        };
        self.proceed(segment, old, course, direction, status, settings, timeouts)
    }

    /// Checks the windows if `course` says so, and goes where it leads.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "inlined; a struct of them would be built in memory")]
    fn proceed(
        &mut self,
        segment: &Segment<'_>,
        old: TcpState,
        course: Course,
        direction: Direction,
        status: Status,
        settings: &L4Settings,
        timeouts: &Timeouts,
    ) -> Step {
        let new = match course {
            Course::SkipWindow(new) => new,
            Course::CheckWindow(new) => {
                match self.check_window(segment, direction, settings.tcp_be_liberal) {
                    Fit::Accept | Fit::Tolerate => new,
                    Fit::Ignore => return Step::Ignore,
                    Fit::Invalid(reason) => {
                        return self.refuse(segment.kind, direction, status, reason, timeouts);
                    }
                }
            }
        };
        self.settle(segment, direction, old, new);
        self.step(segment.kind, old, status, settings, timeouts)
    }

    /// The packet is accepted: makes it the last one and moves on.
    #[inline(always)]
    fn settle(&mut self, segment: &Segment<'_>, direction: Direction, old: TcpState, new: TcpState) {
        self.last.kind = Some(segment.kind);
        self.last.direction = direction;
        self.state = new;
        if new == TcpState::FinWait && old != new {
            self.ends[direction.index()].flags.insert(EndFlags::CLOSED_FIRST);
        }
    }

    #[inline(always)]
    fn step(
        &self,
        kind: TcpKind,
        old: TcpState,
        status: Status,
        settings: &L4Settings,
        timeouts: &Timeouts,
    ) -> Step {
        let new = self.state;
        let mut timeout = self.timeout(kind, settings, timeouts);
        let mut assure = false;
        if status.contains(Status::SEEN_REPLY) {
            // The ACK that completes the handshake, or an answer within a conn that was picked up.
            assure = !status.contains(Status::ASSURED) && establishes(old, new);
        } else if kind == TcpKind::Rst {
            // The first answer is a refusal: there never was a conn.
            return Step::Kill;
        } else if kind == TcpKind::Syn && old == TcpState::SynSent {
            // A SYN that is repeated for ever must not keep the entry for ever.
            return Step::Ignore;
        } else if new == TcpState::Established {
            timeout = timeout.min(timeouts[Timeout::TcpUnack]);
        }
        Step::Accept { timeout, assure, changed: new != old }
    }

    #[inline(always)]
    fn timeout(&self, kind: TcpKind, settings: &L4Settings, timeouts: &Timeouts) -> u32 {
        let of_state = timeouts[self.state.timeout()];
        let unacknowledged = (self.ends[0].flags | self.ends[1].flags).contains(EndFlags::UNACKNOWLEDGED);
        if self.retransmissions >= settings.tcp_max_retrans && of_state > timeouts[Timeout::TcpRetrans] {
            timeouts[Timeout::TcpRetrans]
        } else if kind == TcpKind::Rst {
            timeouts[Timeout::TcpClose]
        } else if unacknowledged && of_state > timeouts[Timeout::TcpUnack] {
            timeouts[Timeout::TcpUnack]
        } else if self.last.window == 0 && of_state > timeouts[Timeout::TcpRetrans] {
            timeouts[Timeout::TcpRetrans]
        } else {
            of_state
        }
    }

    /// A SYN after the end: whether the old conn is over beyond doubt.
    fn is_over(&self) -> bool {
        let closed = (self.ends[0].flags | self.ends[1].flags).contains(EndFlags::CLOSED_FIRST);
        closed || (self.last.direction == Direction::Original && self.last.kind == Some(TcpKind::Rst))
    }

    /// Whether this is the SYN-ACK to a SYN that was let through: the ends agree, and only we do not.
    fn answers_remembered_syn(&self, segment: &Segment<'_>, direction: Direction) -> bool {
        segment.kind == TcpKind::SynAck
            && self.last.kind == Some(TcpKind::Syn)
            && self.last.direction != direction
            && segment.acknowledgement == self.last.end
    }

    /// A packet that may mean that we are out of step: its answer will tell.
    fn remember(&mut self, segment: &Segment<'_>, direction: Direction) {
        self.last.kind = Some(segment.kind);
        self.last.direction = direction;
        self.last.sequence = segment.sequence;
        self.last.end = segment.end;
        self.last.window = segment.window;
        if segment.kind == TcpKind::Syn && direction == Direction::Original {
            let options = options::of_syn(&segment.options);
            self.syn_scale = options.scale.unwrap_or(0);
            self.syn_flags = SynFlags::empty();
            self.syn_flags.set(SynFlags::SCALES, options.scale.is_some());
            self.syn_flags.set(SynFlags::SACK, options.sack);
            self.syn_flags.set(SynFlags::EXPECT_CHALLENGE, self.state == TcpState::LastAck);
        }
        if self.state == TcpState::SynSent && segment.kind == TcpKind::Ack && direction == Direction::Reply {
            // Perhaps a challenge ACK: the RST that answers it will bear this number.
            self.last.ack = segment.acknowledgement;
        }
    }

    /// Takes the numbers of the SYN remembered, which the SYN-ACK in `direction` has just acknowledged.
    fn resynchronise(&mut self, direction: Direction) {
        let mut flags = EndFlags::empty();
        flags.set(EndFlags::SCALES, self.syn_flags.contains(SynFlags::SCALES));
        flags.set(EndFlags::SACK, self.syn_flags.contains(SynFlags::SACK));
        self.syn_flags.remove(SynFlags::EXPECT_CHALLENGE);
        self.ends[direction.opposite().index()] = End {
            end: self.last.end,
            max_end: self.last.end,
            max_window: u32::from(self.last.window).max(1),
            max_ack: 0,
            scale: self.syn_scale,
            flags,
        };
        // All but this is learned from the SYN-ACK.
        let liberal = self.ends[direction.index()].flags & EndFlags::LIBERAL;
        self.ends[direction.index()] = End { flags: liberal, ..End::default() };
    }

    fn is_challenge_ack(&self, segment: &Segment<'_>, direction: Direction) -> bool {
        self.state == TcpState::LastAck
            && segment.kind == TcpKind::Ack
            && self.last.direction != direction
            && self.last.kind == Some(TcpKind::Syn)
            && self.syn_flags.contains(SynFlags::EXPECT_CHALLENGE)
    }

    /// The rules for RSTs (RFC 5961 §3).
    fn judge_reset(
        &self,
        segment: &Segment<'_>,
        direction: Direction,
        status: Status,
        settings: &L4Settings,
    ) -> Result<Course, Invalid> {
        // While closing, the numbers may already be those of the next conn on these ports.
        if self.state.is_closing() {
            return Ok(Course::SkipWindow(TcpState::Close));
        }
        let mut next = TcpState::Close;
        let receiver = self.ends[direction.opposite().index()];
        let max_ack = receiver.max_ack;
        let last_is_syn = self.last.kind == Some(TcpKind::Syn);
        if receiver.flags.contains(EndFlags::ACKED) && !last_is_syn {
            let established = self.state == TcpState::Established && status.contains(Status::ASSURED);
            if segment.sequence == 0 && !established {
                // Most likely the answer to a SYN that we let through.
                return Ok(Course::CheckWindow(next));
            }
            if before(segment.sequence, max_ack) && !settings.tcp_ignore_invalid_rst {
                return Err(Invalid::TcpOldReset);
            }
            let follows_own_last = self.last.kind == Some(TcpKind::Ack)
                && self.last.direction == direction
                && segment.sequence == self.last.end;
            if !established || segment.sequence == max_ack || follows_own_last {
                return Ok(Course::CheckWindow(next));
            }
            // Not the exact number: its receiver will answer with a challenge ACK, and the conn lives on until the exact RST.
            next = self.state;
        }
        let answers_syn =
            status.contains(Status::SEEN_REPLY) && last_is_syn && self.last.direction != direction;
        let answers_ack = !status.contains(Status::ASSURED) && self.last.kind == Some(TcpKind::Ack);
        if (answers_syn || answers_ack) && segment.acknowledgement == self.last.end {
            return Ok(Course::SkipWindow(next));
        }
        let answers_challenge = self.state == TcpState::SynSent
            && self.last.kind == Some(TcpKind::Ack)
            && self.last.direction == Direction::Reply
            && segment.sequence == self.last.ack;
        Ok(if answers_challenge { Course::SkipWindow(next) } else { Course::CheckWindow(next) })
    }

    /// Out of the window. If both ends want to end the conn and only we disagree, we are wrong: it shall not live for days.
    #[cold]
    #[inline(never)]
    fn refuse(
        &mut self,
        kind: TcpKind,
        direction: Direction,
        status: Status,
        reason: Invalid,
        timeouts: &Timeouts,
    ) -> Step {
        let ends_conn = |kind| matches!(kind, Some(TcpKind::Fin | TcpKind::Rst));
        if !status.contains(Status::ASSURED)
            || status.contains(Status::FIXED_TIMEOUT)
            || !ends_conn(Some(kind))
        {
            return Step::Invalid(reason);
        }
        if self.last.direction != direction && ends_conn(self.last.kind) {
            return Step::InvalidClose { reason, timeout: timeouts[Timeout::TcpUnack] };
        }
        self.last.kind = Some(kind);
        self.last.direction = direction;
        Step::Invalid(reason)
    }
}

/// Whether a packet between these states shows that both ends take part.
#[inline]
pub(crate) const fn establishes(old: TcpState, new: TcpState) -> bool {
    matches!(old, TcpState::SynRecv | TcpState::Established) && matches!(new, TcpState::Established)
}

/// Where a segment leads, and whether its numbers are to be checked.
#[derive(Clone, Copy)]
enum Course {
    CheckWindow(TcpState),
    SkipWindow(TcpState),
}
