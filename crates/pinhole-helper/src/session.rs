//! Helper and session: the two traits that a protocol implements.

use crate::{Action, AddressMatch, Condition, End, Expect, Field, Handle, Refusal, Span, Spec};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;
use pinhole_wire::{Direction, IpVersion, Protocol, Time};
use serde::{Deserialize, Serialize};

/// A protocol's helper: its description, and a factory of sessions.
pub trait Helper: Send + Sync {
    /// The description.
    fn spec(&self) -> &Spec;
    /// Starts reading one conn.
    fn attach(&self, master: &Master, policy: &Policy) -> Box<dyn Session>;

    /// A session that goes on with what another one of this helper [saved](Session::save). The bytes may be anything: what is not a state
    /// of a session is `None`. A conn whose session cannot go on is [`BlindReason::Restarted`].
    fn restore(&self, saved: &[u8]) -> Option<Box<dyn Session>> {
        let _ = saved;
        None
    }

    /// Whether expectations of this class may lead to a third host without a policy that allows it: where it is the office of one end to
    /// tell the other, who asked, whom to connect to (an H.323 gatekeeper that admits a call). The host then admits conns from the
    /// asker, and from nobody else.
    fn introduces(&self, class: u8) -> bool {
        let _ = class;
        false
    }

    /// What of a policy this helper may make use of. A built-in helper may all of it, a loadable one what it was granted besides.
    fn bound(&self, policy: Policy) -> Policy {
        policy
    }
}

impl<H: Helper + ?Sized> Helper for Box<H> {
    fn spec(&self) -> &Spec {
        (**self).spec()
    }

    fn attach(&self, master: &Master, policy: &Policy) -> Box<dyn Session> {
        (**self).attach(master, policy)
    }

    fn restore(&self, saved: &[u8]) -> Option<Box<dyn Session>> {
        (**self).restore(saved)
    }

    fn introduces(&self, class: u8) -> bool {
        (**self).introduces(class)
    }

    fn bound(&self, policy: Policy) -> Policy {
        (**self).bound(policy)
    }
}

/// One control conn being read.
pub trait Session: Send {
    /// Reads `bytes`. Streams: the bytes not yet consumed, in order, from the position after the last consumed one; a session
    /// consumes whole messages and leaves the rest. Datagrams: one whole datagram.
    fn read(&mut self, cx: &mut Context<'_>, from: Direction, bytes: &[u8]) -> Progress;

    /// Largest message that the session wants to wait for, in bytes a direction. More unread bytes than this make it
    /// [`BlindReason::MessageTooLong`].
    fn longest_message(&self) -> usize {
        8 * 1024
    }

    /// The conn is picked up in mid-stream: the first bytes of direction `from` that will be read are not its beginning. Called once
    /// a direction, before its first read, and only if the operator chose [`crate::Pickup::Lenient`]. `false` if the session cannot
    /// begin in the middle; it is [`BlindReason::MidStream`] then.
    fn pick_up(&mut self, from: Direction) -> bool {
        let _ = from;
        false
    }

    /// Bytes of direction `from` are lost: the next read does not continue the last one. The session is to go on at the next message
    /// that it can recognise, and to trust no transaction that may have lost a part. `false` if it cannot; it is
    /// [`BlindReason::Gap`] then. Called only for [`crate::Pickup::Lenient`].
    fn resynchronise(&mut self, from: Direction) -> bool {
        let _ = from;
        false
    }

    /// Whether `unread`, the beginning of a message whose end has not come yet, may hold a part of something that NAT has to rewrite. If
    /// so, a translating host holds it back until the rest has come; else it forwards it at once, and what has been forwarded cannot be
    /// rewritten any more.
    fn may_announce(&self, from: Direction, unread: &[u8]) -> bool {
        let _ = (from, unread);
        true
    }

    /// What the session knows, for [`Helper::restore`] after a restart of its host; `None` if it does not outlive one.
    fn save(&self) -> Option<Vec<u8>> {
        None
    }

    /// Bytes of memory that the session holds besides its own size.
    fn memory(&self) -> usize {
        0
    }
}

/// What a read came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// This many bytes are done with. Less than all: the rest will be shown again with what follows it.
    Consumed(usize),
    /// The session will not read this conn any more, and why. Existing expectations stay.
    Blind(BlindReason),
    /// The protocol is over; nothing more to read.
    Done,
}

/// Why a session stopped reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum BlindReason {
    /// The opening bytes are not this protocol.
    NotThisProtocol,
    /// The conn is encrypted and will stay so.
    Encrypted,
    /// The conn was picked up in mid-stream and the pick-up policy is strict.
    MidStream,
    /// Bytes are missing from the stream and will not come again.
    Gap,
    /// Two copies of the same bytes differ.
    Conflict,
    /// A message exceeds the longest that is waited for.
    MessageTooLong,
    /// Out-of-order data exceeds the buffer.
    BufferFull,
    /// Too many errors in this session.
    TooManyErrors,
    /// The helper that reads it, a module, did what it must not.
    Quarantined(Fault),
    /// The helper was unloaded.
    Unloaded,
    /// The host was restarted, and the session's state could not be carried over.
    Restarted,
}

/// What a loadable helper did that it must not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Fault {
    /// It trapped: unreachable code, a memory access out of bounds, a division by zero.
    Trap,
    /// It used up the fuel of one call.
    Fuel,
    /// It asked for more memory than it may have.
    Memory,
    /// It called too deep.
    Stack,
    /// It answered more than a call may.
    Output,
    /// Its session remembers more than a session may.
    State,
    /// Its answer is not of the interface: an unknown record, number or length.
    Malformed,
    /// It named bytes that it was not shown.
    Span,
    /// It named an expectation that it did not ask for.
    Handle,
    /// It named a class of expectations that its manifest does not have.
    Class,
    /// It asked for port 0.
    PortZero,
    /// It asked for something that it was not granted.
    Grant,
    /// The module had too many faults in other sessions.
    Module,
}

impl Fault {
    /// A short stable name, for machine-readable output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trap => "quarantined-trap",
            Self::Fuel => "quarantined-fuel",
            Self::Memory => "quarantined-memory",
            Self::Stack => "quarantined-stack",
            Self::Output => "quarantined-output",
            Self::State => "quarantined-state",
            Self::Malformed => "quarantined-malformed",
            Self::Span => "quarantined-span",
            Self::Handle => "quarantined-handle",
            Self::Class => "quarantined-class",
            Self::PortZero => "quarantined-port-zero",
            Self::Grant => "quarantined-grant",
            Self::Module => "quarantined-module",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trap => "the helper module trapped",
            Self::Fuel => "the helper module used up its fuel",
            Self::Memory => "the helper module asked for too much memory",
            Self::Stack => "the helper module called too deep",
            Self::Output => "the helper module answered more than it may",
            Self::State => "the helper module remembers more of a connection than it may",
            Self::Malformed => "the helper module's answer cannot be understood",
            Self::Span => "the helper module named bytes that it was not shown",
            Self::Handle => "the helper module named an expectation that it did not ask for",
            Self::Class => "the helper module named an expectation class that its manifest lacks",
            Self::PortZero => "the helper module asked for port 0",
            Self::Grant => "the helper module asked for something that it was not granted",
            Self::Module => "the helper module had too many faults",
        })
    }
}

impl BlindReason {
    /// A short stable name, for machine-readable output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotThisProtocol => "not-this-protocol",
            Self::Encrypted => "encrypted",
            Self::MidStream => "mid-stream",
            Self::Gap => "gap",
            Self::Conflict => "conflicting-overlap",
            Self::MessageTooLong => "message-too-long",
            Self::BufferFull => "buffer-full",
            Self::TooManyErrors => "too-many-errors",
            Self::Quarantined(fault) => fault.name(),
            Self::Unloaded => "unloaded",
            Self::Restarted => "restarted",
        }
    }
}

impl fmt::Display for BlindReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quarantined(fault) => return fault.fmt(f),
            Self::Unloaded => "the helper was unloaded",
            Self::Restarted => "pinhole was restarted, and the helper's state could not be carried over",
            Self::NotThisProtocol => "the connection does not open with this protocol",
            Self::Encrypted => "the connection is encrypted",
            Self::MidStream => "the connection was picked up in mid-stream (see --pickup)",
            Self::Gap => "bytes of the stream are missing",
            Self::Conflict => "the same stream bytes were sent twice with different content",
            Self::MessageTooLong => "a message is longer than the limit",
            Self::BufferFull => "too much out-of-order data",
            Self::TooManyErrors => "too many protocol errors",
        })
    }
}

/// What a session may know of its conn.
#[derive(Clone, Copy, Debug)]
pub struct Master {
    /// IP version of both tuples.
    pub version: IpVersion,
    /// Layer-4 protocol of the control conn.
    pub protocol: Protocol,
    /// Source and destination of the original direction.
    pub original: (SocketAddr, SocketAddr),
    /// Source and destination of the reply direction (differs from the original's inverse under NAT).
    pub reply: (SocketAddr, SocketAddr),
}

impl Master {
    /// The sender of packets of this direction, as it calls itself.
    pub fn sender(&self, from: Direction) -> SocketAddr {
        match from {
            Direction::Original => self.original.0,
            Direction::Reply => self.reply.0,
        }
    }

    /// The sender of this direction as the other side knows it (differs from [`Self::sender`] under NAT).
    pub fn sender_seen_by_peer(&self, from: Direction) -> SocketAddr {
        match from {
            Direction::Original => self.reply.1,
            Direction::Reply => self.original.1,
        }
    }

    /// The receiver of packets of this direction, as it calls itself (differs from [`Self::peer`] under NAT).
    pub fn receiver(&self, from: Direction) -> SocketAddr {
        self.sender(from.opposite())
    }

    /// The other end, as the sender of this direction sees it.
    pub fn peer(&self, from: Direction) -> SocketAddr {
        match from {
            Direction::Original => self.original.1,
            Direction::Reply => self.reply.1,
        }
    }
}

/// What the operator allows a helper to open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Lowest port that may be announced (1024 by default).
    pub lowest_port: u16,
    /// Addresses other than the sender's own may be announced (FXP and the like). Dangerous.
    pub third_party: bool,
    /// An announcement that must be answered before it counts (FTP's `PORT` by its `200`) matches nothing until its answer has been
    /// seen. Off by default, because some servers connect first and answer then (pyftpdlib does): from the very end that the announcement
    /// was made to, connecting *is* an answer. A negative answer cancels the announcement either way.
    pub wait_for_answer: bool,
    /// Who may send media to an announced port.
    pub media_source: MediaSource,
    /// Calls for a registered user may come from anyone, and not from the registrar only (Linux: `sip_direct_signalling=0`).
    pub any_caller: bool,
    /// The end that a conn was opened to may lead the end that opened it, and nobody else, to a third host (a SIP proxy to the media of
    /// whom it called for the user). What the end that opened it says leads to itself only.
    pub introductions: bool,
}

/// Who may send media to a port that one end of a call announced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MediaSource {
    /// The other end of the signalling conn only (Linux: `sip_direct_media=1`).
    Signalling,
    /// The address at which the other end said that it has its media; its own, as long as it said nothing.
    #[default]
    Announced,
    /// Anyone (Linux: `sip_direct_media=0`).
    Anyone,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            lowest_port: 1024,
            third_party: false,
            wait_for_answer: false,
            media_source: MediaSource::Announced,
            any_caller: false,
            introductions: false,
        }
    }
}

/// What a session is given with the bytes, and where it puts its requests.
pub struct Context<'a> {
    /// The conn being read.
    pub master: &'a Master,
    /// What may be opened.
    pub policy: &'a Policy,
    /// Arrival time of the packet that completed these bytes.
    pub now: Time,
    /// Offset of `bytes[0]` in its stream; zero for datagrams.
    offset: u64,
    actions: &'a mut Vec<Action>,
    next_handle: &'a mut u32,
    /// Refusals and mentions of this read so far.
    refused: usize,
    mentioned: usize,
}

/// Most refusals of one datagram; the last stands for all that follow. Of a stream each is recorded: what is, must not depend on where its
/// segments begin.
const MOST_REFUSALS: usize = 64;
/// Most places of one datagram at which an end of the conn is named.
const MOST_MENTIONS: usize = 512;

impl<'a> Context<'a> {
    /// A context for one read; `offset` is the stream offset of the first byte.
    pub fn new(
        master: &'a Master,
        policy: &'a Policy,
        now: Time,
        offset: u64,
        actions: &'a mut Vec<Action>,
        next_handle: &'a mut u32,
    ) -> Self {
        Self { master, policy, now, offset, actions, next_handle, refused: 0, mentioned: 0 }
    }

    /// The span of `bytes[start..end]` of this read.
    pub fn span(&self, start: usize, end: usize) -> Span {
        Span { start: self.offset + start as u64, end: self.offset + end as u64 }
    }

    /// Asks for an expectation.
    pub fn expect(&mut self, expect: Expect) -> Handle {
        let handle = Handle(*self.next_handle);
        *self.next_handle = self.next_handle.wrapping_add(1);
        self.actions.push(Action::Expect(handle, expect));
        handle
    }

    /// Lets an inactive expectation match.
    pub fn activate(&mut self, handle: Handle) {
        self.actions.push(Action::Activate(handle));
    }

    /// Lets an expectation live `seconds` from now on.
    pub fn extend(&mut self, handle: Handle, seconds: u32) {
        self.actions.push(Action::Extend(handle, seconds));
    }

    /// Lets the control conn itself live at least `seconds` from now on.
    pub fn prolong(&mut self, seconds: u32) {
        self.actions.push(Action::Prolong(seconds));
    }

    /// Lets what was expected come from another source.
    pub fn aim(&mut self, handle: Handle, source: AddressMatch) {
        self.actions.push(Action::Aim(handle, source));
    }

    /// Removes an expectation.
    pub fn cancel(&mut self, handle: Handle) {
        self.actions.push(Action::Cancel(handle));
    }

    /// Tells the NAT half where a field of an expectation stands.
    pub fn locate(&mut self, handle: Handle, span: Span, field: Field) {
        self.actions.push(Action::Locate(handle, span, field));
    }

    /// Tells the NAT half where an end of the control conn itself is named.
    pub fn mention(&mut self, end: End, span: Span, field: Field) {
        self.mentioned += 1;
        if self.is_of_a_stream() || self.mentioned <= MOST_MENTIONS {
            self.actions.push(Action::Mention(end, span, field));
        } else if self.mentioned == MOST_MENTIONS + 1 {
            self.refuse(Refusal::Limit, span);
        }
    }

    /// Tells the NAT half where the length of a body stands, and where the body.
    pub fn length(&mut self, digits: Span, body: Span) {
        self.actions.push(Action::Length(digits, body));
    }

    /// Tells the NAT half to write another number of the session's choice.
    pub fn renumber(&mut self, span: Span, field: Field, number: u16) {
        self.actions.push(Action::Renumber(span, field, number));
    }

    /// Tells NAT with which keys a call that the expectation brings in goes on.
    pub fn lead(&mut self, handle: Handle, source_key: u16, destination_key: u16) {
        self.actions.push(Action::Lead(handle, source_key, destination_key));
    }

    /// Records that an announcement is not honoured. Of one datagram no more than 64 are recorded: the last of them is [`Refusal::Limit`], and
    /// stands for all that follow.
    pub fn refuse(&mut self, why: Refusal, span: Span) {
        self.refused += 1;
        if self.is_of_a_stream() || self.refused < MOST_REFUSALS {
            self.actions.push(Action::Refuse(why, span));
        } else if self.refused == MOST_REFUSALS {
            self.actions.push(Action::Refuse(Refusal::Limit, span));
        }
    }

    fn is_of_a_stream(&self) -> bool {
        self.master.protocol == Protocol::TCP
    }

    /// Records that the session can, or cannot, read what passes.
    pub fn condition(&mut self, condition: Condition) {
        self.actions.push(Action::Condition(condition));
    }
}
