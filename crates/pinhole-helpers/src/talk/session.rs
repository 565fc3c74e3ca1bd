//! The dialogue: requests, the answers that they wait for, and what both ask for.
//!
//! Requests come from the conn's originator. Only a conn that begins with an answer (it goes to a `ctl_addr`, and was expected) has no
//! requests.

use super::parse::{self, Answer, Dialect, Kind, Placed, Request};
use super::{class, notation};
use crate::endpoint::{admit_address, admit_port};
use pinhole_helper::{
    AddressMatch, BlindReason, Context, End, Expect, Handle, Lifetime, Name, PortMatch, Progress, Refusal,
    Session, Span, saved,
};
use pinhole_wire::{Direction, Protocol};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr, SocketAddrV4};
use std::ops::Range;

/// Seconds that a call may ring: an announcement, and the conn that it was made on, live so long.
pub(super) const LIFETIME: u32 = 240;

/// One conn between a client and a daemon.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct TalkSession {
    /// Which side the daemon is on, and which protocol it speaks, once the first datagram has shown it.
    opened: Option<Opened>,
    look_up: bool,
    delete: bool,
    /// An ANNOUNCE waits for its answer.
    announce: bool,
    announced: Option<Announced>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Opened {
    daemon: Direction,
    /// `None`: no request was seen.
    dialect: Option<Dialect>,
}

/// The latest announcement.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Announced {
    socket: SocketAddrV4,
    look_up: Handle,
    conversation: Handle,
    /// Its daemon has answered SUCCESS, or answers where this session cannot see it.
    confirmed: bool,
}

impl Session for TalkSession {
    fn read(&mut self, cx: &mut Context<'_>, from: Direction, bytes: &[u8]) -> Progress {
        let opened = match self.opened.or_else(|| opening(cx, from, bytes)) {
            Some(opened) => *self.opened.insert(opened),
            None => return Progress::Blind(BlindReason::NotThisProtocol),
        };
        let read = if from != opened.daemon {
            parse::request(bytes).map(|request| self.request(cx, from, &request))
        } else {
            parse::answer(bytes, opened.dialect).map(|answer| self.answer(cx, from, &answer, opened))
        };
        match read {
            None => cx.refuse(Refusal::Malformed, cx.span(0, bytes.len())),
            Some(Err((refusal, place))) => cx.refuse(refusal, span(cx, &place)),
            Some(Ok(())) => {}
        }
        Progress::Consumed(bytes.len())
    }

    fn save(&self) -> Option<Vec<u8>> {
        saved::encode(self)
    }
}

/// What the first datagram tells; `None`: it is none of talk's.
fn opening(cx: &Context<'_>, from: Direction, bytes: &[u8]) -> Option<Opened> {
    if from == Direction::Reply {
        return None;
    }
    if let Some(request) = parse::request(bytes) {
        return Some(Opened { daemon: from.opposite(), dialect: Some(request.dialect) });
    }
    // Nobody asks for answers at a daemon's port.
    let to_daemon = cx.master.original.1.port() < cx.policy.lowest_port;
    parse::answer(bytes, None).filter(|_| !to_daemon).map(|_| Opened { daemon: from, dialect: None })
}

impl TalkSession {
    fn request(
        &mut self,
        cx: &mut Context<'_>,
        from: Direction,
        request: &Request,
    ) -> Result<(), (Refusal, Range<usize>)> {
        // Whatever becomes of it here, the daemon answers.
        match request.kind {
            Kind::Announce => self.announce = true,
            Kind::LookUp => self.look_up = true,
            Kind::Delete => self.delete = true,
            Kind::LeaveInvite | Kind::ReplyQuery => {}
        }
        let answered_here = answer_to_control(cx, from, request)?;
        if request.kind == Kind::Announce {
            return self.announce(cx, from, request, answered_here);
        }
        if let Some(address) = &request.address {
            // Nothing is to be opened there, but it names the client.
            cx.mention(End::Sender, span(cx, &address.address()), notation::ADDRESS);
        }
        Ok(())
    }

    fn announce(
        &mut self,
        cx: &mut Context<'_>,
        from: Direction,
        request: &Request,
        answered_here: bool,
    ) -> Result<(), (Refusal, Range<usize>)> {
        let before = self.announced.take();
        let Some(caller) = &request.address else { return Err((Refusal::AddressFamily, 0..1)) };
        let own = admit(cx, from, caller).map_err(|refusal| (refusal, caller.place.clone()))?;
        // A repeated announcement is as good as it was before.
        let is_known = before.is_some_and(|before| before.socket == caller.socket && before.confirmed);
        let confirmed = is_known || !answered_here;
        let daemon = cx.master.peer(Direction::Original).port();
        let callee = cx.master.receiver(from).ip();
        let place = span(cx, &caller.place);
        let expected = Expect { active: confirmed, ..conversation(callee, own, caller.socket.port(), place) };
        let look_up = cx.expect(Expect {
            class: class::LOOK_UP,
            protocol: Protocol::UDP,
            destination_port: PortMatch::Exact(daemon),
            lifetime: Lifetime::Permanent,
            helper: Some(Name::new("talk")),
            ..expected.clone()
        });
        let conversation = cx.expect(expected);
        cx.locate(conversation, place, notation::SOCKET);
        self.announced = Some(Announced { socket: caller.socket, look_up, conversation, confirmed });
        Ok(())
    }

    fn answer(
        &mut self,
        cx: &mut Context<'_>,
        from: Direction,
        answer: &Answer,
        opened: Opened,
    ) -> Result<(), (Refusal, Range<usize>)> {
        let outstanding = match answer.kind {
            Kind::Announce => &mut self.announce,
            Kind::LookUp => &mut self.look_up,
            Kind::Delete => &mut self.delete,
            Kind::LeaveInvite | Kind::ReplyQuery => return Ok(()),
        };
        // Where no request was seen, this whole conn is the answer that one asked for.
        if !std::mem::take(outstanding) && opened.dialect.is_some() {
            return Err((Refusal::Unsolicited, 0..8));
        }
        match (answer.kind, answer.success) {
            (Kind::Announce, success) => self.announced(cx, success),
            (Kind::Delete, true) => self.announced(cx, false),
            (Kind::LookUp, true) => looked_up(cx, from, answer)?,
            _ => {}
        }
        Ok(())
    }

    /// The daemon has taken, or has not taken, the latest announcement.
    fn announced(&mut self, cx: &mut Context<'_>, success: bool) {
        let Some(announced) = &mut self.announced else { return };
        let handles = [announced.look_up, announced.conversation];
        if success {
            announced.confirmed = true;
            cx.prolong(LIFETIME);
            handles.into_iter().for_each(|handle| cx.activate(handle));
        } else {
            self.announced = None;
            handles.into_iter().for_each(|handle| cx.cancel(handle));
        }
    }
}

/// The answer of a successful look-up: who asked will connect to the address.
fn looked_up(cx: &mut Context<'_>, from: Direction, answer: &Answer) -> Result<(), (Refusal, Range<usize>)> {
    let Some(caller) = &answer.address else { return Err((Refusal::AddressFamily, 8..10)) };
    let own = admit(cx, from, caller).map_err(|refusal| (refusal, caller.place.clone()))?;
    let place = span(cx, &caller.place);
    let asking = cx.master.receiver(from).ip();
    let handle = cx.expect(conversation(asking, own, caller.socket.port(), place));
    cx.locate(handle, place, notation::SOCKET);
    cx.prolong(LIFETIME);
    Ok(())
}

/// Daemons answer to `ctl_addr`. Whether that is where the request comes from; if not, the answer is expected there.
fn answer_to_control(
    cx: &mut Context<'_>,
    from: Direction,
    request: &Request,
) -> Result<bool, (Refusal, Range<usize>)> {
    let Some(control) = &request.control else { return Ok(true) };
    let refused = |refusal| (refusal, control.place.clone());
    let address = IpAddr::V4(*control.socket.ip());
    let own = admit_address(address, from, cx.master, cx.policy).map_err(refused)?;
    let place = span(cx, &control.place);
    if control.socket.port() == cx.master.sender(from).port() {
        cx.mention(End::Sender, place, notation::SOCKET);
        return Ok(true);
    }
    admit_port(control.socket.port(), cx.policy).map_err(refused)?;
    let daemon = cx.master.receiver(from).ip();
    let handle = cx.expect(Expect {
        class: class::ANSWER,
        protocol: Protocol::UDP,
        lifetime: Lifetime::Permanent,
        helper: Some(Name::new("talk")),
        ..conversation(daemon, own, control.socket.port(), place)
    });
    cx.locate(handle, place, notation::SOCKET);
    Ok(false)
}

fn admit(cx: &Context<'_>, from: Direction, placed: &Placed) -> Result<IpAddr, Refusal> {
    admit_port(placed.socket.port(), cx.policy)?;
    admit_address(IpAddr::V4(*placed.socket.ip()), from, cx.master, cx.policy)
}

fn conversation(source: IpAddr, destination: IpAddr, port: u16, span: Span) -> Expect {
    Expect {
        class: class::CONVERSATION,
        ..Expect::to(Protocol::TCP, AddressMatch::Exact(source), SocketAddr::new(destination, port), span)
    }
}

fn span(cx: &Context<'_>, place: &Range<usize>) -> Span {
    cx.span(place.start, place.end)
}
