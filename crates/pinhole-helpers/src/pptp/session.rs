//! The dialogue: which call a message is about, and how far the call has come.

use super::notation;
use super::parse::{self, Id, MESSAGE_LIMIT, Message, Next};
use pinhole_helper::{
    AddressMatch, BlindReason, Context, Expect, GroupRule, Handle, Lifetime, PortMatch, Progress, Refusal,
    Session, Span,
};
use pinhole_wire::{Direction, Protocol};

/// Calls of one control conn that are known at a time.
pub const CALL_LIMIT: usize = 16;

/// How far the control conn has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Control {
    /// Nothing was said.
    #[default]
    Silent,
    /// The originator asked to start.
    Requested,
    /// Both ends agree: calls count.
    Established,
}

/// One call.
#[derive(Clone, Copy, Debug)]
struct Call {
    /// Which end is the network server, who gave the first of the ids.
    server: Direction,
    server_id: Option<u16>,
    concentrator_id: Option<u16>,
    progress: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    fn id_of(&self, end: Direction) -> Option<u16> {
        if end == self.server { self.server_id } else { self.concentrator_id }
    }
}

#[derive(Debug, Default)]
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
            Message::StopRequest => self.end_all(cx),
            Message::Disconnect { id } => self.end(cx, |call| call.id_of(from) == Some(id.value)),
            Message::StartRequest | Message::StartReply { .. } | Message::Other => {}
            _ if self.control != Control::Established => return Err(Refusal::OutOfSequence),
            Message::OutgoingRequest { id } => {
                let server_id = Some(id.value);
                let (server, progress) = (from, Stage::Outgoing);
                self.open(cx, Call { server, server_id, concentrator_id: None, progress })?;
            }
            Message::IncomingRequest { id } => {
                let concentrator_id = Some(id.value);
                let (server, progress) = (peer_end, Stage::Incoming);
                self.open(cx, Call { server, server_id: None, concentrator_id, progress })?;
            }
            Message::OutgoingReply { id, peer, connected } => {
                let position =
                    self.find(peer_end, peer.value, Stage::Outgoing).ok_or(Refusal::Unsolicited)?;
                if !connected {
                    self.calls.remove(position);
                    return Ok(());
                }
                self.calls[position].concentrator_id = Some(id.value);
                self.connect(cx, position, said, &[id, peer]);
            }
            Message::IncomingReply { id, peer, accepted } => {
                // The network server answers; the id that it repeats is the concentrator's.
                let position =
                    self.find(peer_end, peer.value, Stage::Incoming).ok_or(Refusal::Unsolicited)?;
                if !accepted {
                    self.calls.remove(position);
                    return Ok(());
                }
                let call = &mut self.calls[position];
                call.server_id = Some(id.value);
                call.progress = Stage::Accepted;
            }
            Message::IncomingConnected { peer } => {
                let position =
                    self.find(peer_end, peer.value, Stage::Accepted).ok_or(Refusal::Unsolicited)?;
                self.connect(cx, position, said, &[peer]);
            }
        }
        Ok(())
    }

    /// The call that waits in this stage, by the id that one end gave.
    fn find(&self, end: Direction, id: u16, stage: Stage) -> Option<usize> {
        self.calls.iter().position(|call| call.progress == stage && call.id_of(end) == Some(id))
    }

    /// A call is asked for. One of the same id that its end forgot about is over; if there are too many, the oldest unanswered gives way.
    fn open(&mut self, cx: &mut Context<'_>, call: Call) -> Result<(), Refusal> {
        let asks = if call.server_id.is_some() { call.server } else { call.server.opposite() };
        let id = call.id_of(asks);
        self.end(cx, |other| other.id_of(asks) == id);
        if self.calls.len() == CALL_LIMIT {
            let unanswered = |call: &Call| !matches!(call.progress, Stage::Connected(_));
            let position = self.calls.iter().position(unanswered).ok_or(Refusal::Limit)?;
            self.calls.remove(position);
        }
        self.calls.push(call);
        Ok(())
    }

    /// Both ends have agreed on a call: GRE is expected of both.
    fn connect(&mut self, cx: &mut Context<'_>, position: usize, said: Said, ids: &[Id]) {
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
                source_port: PortMatch::Exact(own_id),
                destination: master.peer(sender).ip(),
                destination_port: PortMatch::Exact(peer_id),
                lifetime: Lifetime::OneShot,
                active: true,
                group,
                timeout: None,
                helper: None,
                span,
            })
        });
        call.progress = Stage::Connected(handles);
        for &id in ids {
            // An expectation's port is its receiver's id: the first leads to the concentrator.
            let leads = handles[usize::from(id.value != concentrator_id)];
            cx.locate(leads, said.span_of(cx, id), notation::CALL_ID);
        }
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

    fn end_all(&mut self, cx: &mut Context<'_>) {
        self.end(cx, |_| true);
    }
}
