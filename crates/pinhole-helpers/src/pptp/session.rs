//! The dialogue: which call a message is about, and how far the call has come.

use super::notation;
use super::parse::{self, Id, MESSAGE_LIMIT, Message, Next};
use pinhole_helper::{
    AddressMatch, BlindReason, Context, Expect, GroupRule, Handle, Lifetime, PortMatch, Progress, Refusal,
    Session, Span, saved,
};
use pinhole_wire::{Direction, Protocol};
use serde::{Deserialize, Serialize};

/// Calls of one control conn that are known at a time.
pub const CALL_LIMIT: usize = 16;

/// How far the control conn has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Control {
    /// Nothing was said.
    #[default]
    Silent,
    /// The originator asked to start.
    Requested,
    /// Both ends agree: calls count.
    Established,
}

/// An id that an end gave to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Given {
    /// As it gave it.
    inner: u16,
    /// As its peer knows it; another one only where the end is hidden by NAT.
    outer: u16,
}

/// One call.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Call {
    /// Which end is the network server, who gave the first of the ids.
    server: Direction,
    server_id: Option<Given>,
    concentrator_id: Option<Given>,
    progress: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Stage {
    /// Outgoing-Call-Request.
    Outgoing,
    /// Incoming-Call-Request.
    Incoming,
    /// Incoming-Call-Reply.
    Accepted,
    /// GRE is expected.
    Connected([Handle; 2]),
}

impl Call {
    /// The id that one end gave.
    fn id_of(&self, end: Direction) -> Option<Given> {
        if end == self.server { self.server_id } else { self.concentrator_id }
    }

    fn id_of_mut(&mut self, end: Direction) -> &mut Option<Given> {
        if end == self.server { &mut self.server_id } else { &mut self.concentrator_id }
    }

    /// Whether an end speaks of the call by this id of its own.
    fn is_own(&self, end: Direction, id: Id) -> bool {
        self.id_of(end).is_some_and(|given| given.inner == id.value)
    }

    /// Whether the peer of an end speaks of the call by this id that the end gave: as the peer knows it, or as it was given if nothing
    /// is rewritten.
    fn is_peers(&self, end: Direction, id: Id) -> bool {
        self.id_of(end).is_some_and(|given| [given.outer, given.inner].contains(&id.value))
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct PptpSession {
    control: Control,
    /// Oldest first.
    calls: Vec<Call>,
    groups: u32,
}

impl Session for PptpSession {
    fn read(&mut self, cx: &mut Context<'_>, from: Direction, bytes: &[u8]) -> Progress {
        let mut done = 0;
        loop {
            let rest = bytes.get(done..).unwrap_or_default();
            match parse::next(rest) {
                Next::Incomplete => return Progress::Consumed(done),
                Next::Foreign => return Progress::Blind(BlindReason::NotThisProtocol),
                Next::Message(message, length) => {
                    if self.control == Control::Silent
                        && (from, message) != (Direction::Original, Message::StartRequest)
                    {
                        return Progress::Blind(BlindReason::NotThisProtocol);
                    }
                    let said = Said { from, offset: done, length };
                    if let Err(why) = self.hear(cx, said, message) {
                        cx.refuse(why, said.span(cx));
                    }
                    done += length;
                }
            }
        }
    }

    fn save(&self) -> Option<Vec<u8>> {
        saved::encode(self)
    }

    fn longest_message(&self) -> usize {
        MESSAGE_LIMIT
    }

    fn pick_up(&mut self, _from: Direction) -> bool {
        self.control = Control::Established;
        true
    }

    fn memory(&self) -> usize {
        self.calls.capacity() * size_of::<Call>()
    }
}

/// Who says a message, and where in the bytes it stands.
#[derive(Clone, Copy)]
struct Said {
    from: Direction,
    offset: usize,
    length: usize,
}

impl Said {
    fn span(self, cx: &Context<'_>) -> Span {
        cx.span(self.offset, self.offset + self.length)
    }

    fn span_of(self, cx: &Context<'_>, id: Id) -> Span {
        cx.span(self.offset + id.place, self.offset + id.place + 2)
    }
}

impl PptpSession {
    fn hear(&mut self, cx: &mut Context<'_>, said: Said, message: Message) -> Result<(), Refusal> {
        let (from, peer_end) = (said.from, said.from.opposite());
        match message {
            Message::StartRequest if self.control == Control::Silent => self.control = Control::Requested,
            Message::StartReply { accepted: true }
                if self.control == Control::Requested && from == Direction::Reply =>
            {
                self.control = Control::Established;
            }
            Message::StopRequest => self.end(cx, |_| true),
            Message::ClearRequest { id } => self.rewrite_own(cx, said, id),
            Message::Disconnect { id } => {
                self.rewrite_own(cx, said, id);
                self.end(cx, |call| call.is_own(from, id));
            }
            Message::Notice { peer } => {
                let call = self.calls.iter().position(|call| call.is_peers(peer_end, peer));
                self.rewrite_peers(cx, said, call, peer);
            }
            Message::StartRequest | Message::StartReply { .. } | Message::Other => {}
            _ if self.control != Control::Established => return Err(Refusal::OutOfSequence),
            Message::OutgoingRequest { id } => self.open(cx, said, id, from, Stage::Outgoing)?,
            Message::IncomingRequest { id } => self.open(cx, said, id, peer_end, Stage::Incoming)?,
            Message::OutgoingReply { id, peer, connected } => {
                let position = self.find(peer_end, peer, Stage::Outgoing)?;
                self.rewrite_peers(cx, said, Some(position), peer);
                self.answer(cx, said, position, id, connected);
                if connected {
                    self.connect(cx, position, said);
                }
            }
            Message::IncomingReply { id, peer, accepted } => {
                // The network server answers; the id that it repeats is the concentrator's.
                let position = self.find(peer_end, peer, Stage::Incoming)?;
                self.rewrite_peers(cx, said, Some(position), peer);
                self.answer(cx, said, position, id, accepted);
                if let Some(call) = self.calls.get_mut(position).filter(|_| accepted) {
                    call.progress = Stage::Accepted;
                }
            }
            Message::IncomingConnected { peer } => {
                let position = self.find(peer_end, peer, Stage::Accepted)?;
                self.rewrite_peers(cx, said, Some(position), peer);
                self.connect(cx, position, said);
            }
        }
        Ok(())
    }

    /// The call that waits in this stage, by the id that one end gave, as its peer repeats it.
    fn find(&self, end: Direction, id: Id, stage: Stage) -> Result<usize, Refusal> {
        let is_it = |call: &Call| call.progress == stage && call.is_peers(end, id);
        self.calls.iter().position(is_it).ok_or(Refusal::Unsolicited)
    }

    /// A call is asked for. One of the same id that its end forgot about is over; if there are too many, the oldest unanswered gives way.
    fn open(
        &mut self,
        cx: &mut Context<'_>,
        said: Said,
        id: Id,
        server: Direction,
        progress: Stage,
    ) -> Result<(), Refusal> {
        self.end(cx, |other| other.is_own(said.from, id));
        if self.calls.len() == CALL_LIMIT {
            let unanswered = |call: &Call| !matches!(call.progress, Stage::Connected(_));
            let position = self.calls.iter().position(unanswered).ok_or(Refusal::Limit)?;
            self.calls.remove(position);
        }
        let mut call = Call { server, server_id: None, concentrator_id: None, progress };
        *call.id_of_mut(said.from) = Some(self.give(cx, said.from, id.value));
        self.calls.push(call);
        self.rewrite_own(cx, said, id);
        Ok(())
    }

    /// The other end answers with an id of its own, or declines.
    fn answer(&mut self, cx: &mut Context<'_>, said: Said, position: usize, id: Id, accepted: bool) {
        if !accepted {
            self.calls.remove(position);
            return;
        }
        let given = self.give(cx, said.from, id.value);
        if let Some(call) = self.calls.get_mut(position) {
            *call.id_of_mut(said.from) = Some(given);
        }
        self.rewrite_own(cx, said, id);
    }

    /// What the peer is told in place of an end's id. Several hidden originators may choose the same id for one peer; the port from which
    /// that peer sees the control conn is each one's own, so it serves as id (as in Linux), and its neighbours for more calls.
    fn give(&self, cx: &Context<'_>, end: Direction, inner: u16) -> Given {
        let (own, seen) = (cx.master.sender(end), cx.master.sender_seen_by_peer(end));
        if end == Direction::Reply || own == seen {
            return Given { inner, outer: inner };
        }
        let is_used =
            |id: &u16| self.calls.iter().any(|call| call.id_of(end).is_some_and(|given| given.outer == *id));
        let free = (0..=CALL_LIMIT as u16).map(|step| seen.port() ^ step).find(|id| !is_used(id));
        Given { inner, outer: free.unwrap_or(inner) }
    }

    /// An end speaks of a call by its own id: the peer is to read the one that it knows.
    fn rewrite_own(&self, cx: &mut Context<'_>, said: Said, id: Id) {
        let given = self.calls.iter().rev().find(|call| call.is_own(said.from, id));
        let given = given.and_then(|call| call.id_of(said.from));
        if let Some(Given { outer, .. }) = given.filter(|given| given.outer != given.inner) {
            cx.renumber(said.span_of(cx, id), notation::CALL_ID, outer);
        }
    }

    /// An end repeats the id of its peer, who is to read its own. If it repeats that very one, nothing is rewritten on this conn.
    fn rewrite_peers(&mut self, cx: &mut Context<'_>, said: Said, position: Option<usize>, id: Id) {
        let call = position.and_then(|position| self.calls.get_mut(position));
        let Some(Some(given)) = call.map(|call| call.id_of_mut(said.from.opposite())) else { return };
        if given.outer != id.value {
            given.outer = given.inner;
        } else if given.outer != given.inner {
            cx.renumber(said.span_of(cx, id), notation::CALL_ID, given.inner);
        }
    }

    /// Both ends have agreed on a call: GRE is expected of both.
    fn connect(&mut self, cx: &mut Context<'_>, position: usize, said: Said) {
        let Some(call) = self.calls.get_mut(position) else { return };
        let (Some(server_id), Some(concentrator_id)) = (call.server_id, call.concentrator_id) else { return };
        self.groups = self.groups.wrapping_add(1);
        let group = Some((self.groups, GroupRule::FirstHitCancels));
        let (master, span) = (cx.master, said.span(cx));
        let ways =
            [(call.server, server_id, concentrator_id), (call.server.opposite(), concentrator_id, server_id)];
        let handles = ways.map(|(sender, own_id, peer_id)| {
            cx.expect(Expect {
                class: 0,
                protocol: Protocol::GRE,
                source: AddressMatch::Exact(master.sender(sender).ip()),
                source_port: PortMatch::Exact(own_id.inner),
                destination: master.peer(sender).ip(),
                destination_port: PortMatch::Exact(peer_id.outer),
                lifetime: Lifetime::OneShot,
                active: true,
                group,
                timeout: None,
                helper: None,
                span,
            })
        });
        for (handle, (_, own_id, peer_id)) in handles.into_iter().zip(ways) {
            cx.lead(handle, own_id.outer, peer_id.inner);
        }
        call.progress = Stage::Connected(handles);
    }

    fn end(&mut self, cx: &mut Context<'_>, is_over: impl Fn(&Call) -> bool) {
        self.calls.retain(|call| {
            let over = is_over(call);
            if let (true, Stage::Connected(handles)) = (over, call.progress) {
                handles.into_iter().for_each(|handle| cx.cancel(handle));
            }
            !over
        });
    }
}
