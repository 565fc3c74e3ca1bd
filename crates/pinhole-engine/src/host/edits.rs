//! What the NAT half of a helper makes of announcements in a translated conn.
//!
//! An announced endpoint of the sender's own is expected at the address that its peer knows it by, at the announced port if no other
//! expectation is in the way, else at another; those of one group move together and keep their distances. Where the endpoint is written
//! the NAT half writes the new one ([`Edit`]). The expected conn follows its master: it is led back to the real endpoint, and comes from
//! where the announcer knows its peer ([`Follow`]).

use super::{Moment, Slot};
use crate::shard::Shard;
use pinhole_helper::{
    Action, AddressMatch, End, Expect, Field, Handle, Master, NatHelper, PortMatch, Refusal, Span,
};
use pinhole_track::{ExpectationId, Request, Tracker};
use pinhole_wire::{Address, Direction, Protocol};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// Other ports that are tried when the announced one is taken (netfilter's number).
const ATTEMPTS: u32 = 128;

/// Least port that is announced in another's stead.
const LOWEST_PORT: u16 = 1024;

/// Where an expected conn is led.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Follow {
    /// The peer of the announcer, as it is and as the announcer knows it. Anybody else who initiates the conn keeps its address.
    pub(crate) peer: Address,
    pub(crate) source: Address,
    /// The key that it has outside, if the conn is a call.
    pub(crate) source_key: Option<u16>,
    /// The announcer itself.
    pub(crate) destination: Address,
    /// The first port that was announced, and what stands for it outside.
    ports: (u16, u16),
}

impl Follow {
    /// A call between the ends of its master, which goes on with these keys of source and destination.
    pub(super) fn call(
        master: &Master,
        expect: &Expect,
        (source_key, destination_key): (u16, u16),
    ) -> Option<Self> {
        let (AddressMatch::Exact(source), PortMatch::Exact(outer)) = (expect.source, expect.destination_port)
        else {
            return None;
        };
        let arrives = (source, expect.destination);
        let from = [Direction::Original, Direction::Reply]
            .into_iter()
            .find(|&from| (master.sender(from).ip(), master.peer(from).ip()) == arrives)?;
        Some(Self {
            peer: master.sender(from).ip().into(),
            source: master.sender_seen_by_peer(from).ip().into(),
            source_key: Some(source_key),
            destination: master.receiver(from).ip().into(),
            ports: (destination_key, outer),
        })
    }

    /// The real port behind an outer one.
    pub(crate) const fn port(&self, outer: u16) -> u16 {
        outer.wrapping_sub(self.ports.1).wrapping_add(self.ports.0)
    }
}

/// Bytes of the conn's payload that are to become others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Edit {
    pub(crate) span: Span,
    pub(crate) text: Vec<u8>,
}

/// An endpoint that was announced in a translated conn.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Announced {
    handle: Handle,
    /// Who announced it.
    from: Direction,
    /// As the announcer has it.
    inner: SocketAddr,
    /// Where its peer finds it.
    outer: SocketAddr,
}

/// What a read is to do besides, in a translated conn whose helper has its NAT half.
pub(crate) struct Rewriting<'a> {
    pub(crate) half: &'a dyn NatHelper,
    /// In the order of the payload when the read is over.
    pub(crate) edits: Vec<Edit>,
    /// Something that was announced cannot be written: the packet is not to pass.
    pub(crate) failed: bool,
    pub(crate) draw: &'a mut dyn FnMut() -> u64,
    /// If the engine is one of several.
    pub(crate) shard: Option<&'a Shard>,
}

impl Rewriting<'_> {
    /// Enters a group's expectations for where the peer finds them.
    pub(super) fn expect(
        &mut self,
        at: Moment,
        tracker: &mut Tracker,
        slot: &mut Slot,
        from: Direction,
        asked: &[(Handle, &Expect)],
        requests: &[Request],
    ) -> Result<Vec<(ExpectationId, Option<Follow>)>, Refusal> {
        let own = slot.master.sender(from);
        let outer = slot.master.sender_seen_by_peer(from);
        let is_own = |expect: &Expect| [own.ip(), outer.ip()].contains(&expect.destination);
        if !requests.iter().all(|request| is_own(&request.expect)) {
            let ids = tracker.expect(at.time, slot.conn, requests)?;
            return Ok(ids.into_iter().map(|id| (id, None)).collect());
        }
        let (peer, source) = (slot.master.receiver(from).ip().into(), slot.master.peer(from).ip().into());
        let follow = |ports| Follow { peer, source, source_key: None, destination: own.ip().into(), ports };
        let ranges: Vec<_> = requests.iter().filter_map(|request| range(&request.expect)).collect();
        let lowest = ranges.iter().map(|range| range.0).min().unwrap_or_default();
        let highest = ranges.iter().map(|range| range.1).max().unwrap_or_default();
        // What the sender expects where it sends from itself comes to where its packets come from.
        let at_own_end = |request: &Request| {
            request.expect.protocol == slot.master.protocol
                && request.expect.protocol != Protocol::TCP
                && [own, outer].iter().any(|end| range(&request.expect) == Some((end.port(), end.port())))
        };
        let fixed = requests.iter().all(at_own_end);
        let inner = if fixed { own.port() } else { lowest };
        let mut first = if fixed { outer.port() } else { lowest };
        let attempts = if fixed || ranges.is_empty() { 1 } else { ATTEMPTS };
        let mut refusal = Refusal::Clash;
        let at_first = |first| -> Vec<Request> {
            requests.iter().map(|request| moved(request, outer.ip(), lowest, first)).collect()
        };
        // A port of another shard's is as good as taken.
        if attempts > 1
            && let Some(shard) = self.shard
            && let Some(other) = at_first(first).iter().find(|request| !shard.may_expect(&request.expect))
        {
            first = self.another(lowest, highest - lowest, requests.len() > 1, &other.expect);
        }
        for _ in 0..attempts {
            let moved = at_first(first);
            match tracker.expect(at.time, slot.conn, &moved) {
                Ok(ids) => {
                    for (handle, expect) in asked {
                        if let Some((port, _)) = range(expect) {
                            let moved = port.wrapping_sub(lowest).wrapping_add(first);
                            let inner = SocketAddr::new(own.ip(), if fixed { own.port() } else { port });
                            let outer = SocketAddr::new(outer.ip(), moved);
                            slot.announce(Announced { handle: *handle, from, inner, outer });
                        }
                    }
                    return Ok(ids.into_iter().map(|id| (id, Some(follow((inner, first))))).collect());
                }
                Err(Refusal::Clash) => {
                    let Some(Request { expect, .. }) = moved.first() else { break };
                    first = self.another(lowest, highest - lowest, requests.len() > 1, expect);
                }
                Err(other) => {
                    refusal = other;
                    break;
                }
            }
        }
        self.failed = true;
        Err(refusal)
    }

    /// Another first port for a group that spans `width` more; pairs stay even and odd.
    fn another(&mut self, announced: u16, width: u16, is_group: bool, expect: &Expect) -> u16 {
        let room = (u16::MAX - LOWEST_PORT).saturating_sub(width).max(1);
        let drawn = (self.draw)();
        let own = self.shard.and_then(|shard| shard.announced(expect, width.saturating_add(1), drawn));
        let port = own.unwrap_or_else(|| LOWEST_PORT + (drawn % u64::from(room)) as u16);
        if is_group && port & 1 != announced & 1 { port ^ 1 } else { port }
    }

    /// An announced endpoint, or an end of the conn itself, stands here.
    pub(super) fn write(
        &mut self,
        endpoint: SocketAddr,
        span: Span,
        field: Field,
        old: &[u8],
    ) -> Result<(), Refusal> {
        let mut text = Vec::new();
        if self.half.encode(field, endpoint, old, &mut text).is_err() {
            self.failed = true;
            return Err(Refusal::Unsupported);
        }
        if text != old {
            self.edits.push(Edit { span, text });
        }
        Ok(())
    }

    /// The length of what has been edited stands here.
    pub(super) fn write_lengths(&mut self, actions: &[Action], quote: impl Fn(Span) -> Vec<u8>) {
        for action in actions {
            let Action::Length(place, body) = action else { continue };
            let inside = |edit: &&Edit| body.start <= edit.span.start && edit.span.end <= body.end;
            let grown: i64 = self
                .edits
                .iter()
                .filter(inside)
                .map(|edit| edit.text.len() as i64 - (edit.span.end - edit.span.start) as i64)
                .sum();
            let old = body.end.saturating_sub(body.start);
            if let Some(new) = old.checked_add_signed(grown).filter(|_| grown != 0) {
                let text = new.to_string().into_bytes();
                if text != quote(*place) {
                    self.edits.push(Edit { span: *place, text });
                }
            }
        }
        self.edits.sort_by_key(|edit| edit.span.start);
        self.edits.dedup_by(|later, earlier| later.span.start < earlier.span.end);
    }
}

impl Slot {
    /// The endpoint of an end of the conn that a packet names, as its receiver is to read it. `None`: both call it the same.
    pub(super) fn end(&self, end: End, from: Direction) -> Option<SocketAddr> {
        let (named, read) = match end {
            End::Sender => (self.master.sender(from), self.master.sender_seen_by_peer(from)),
            End::Peer => (self.master.peer(from), self.master.receiver(from)),
        };
        (named != read).then_some(read)
    }

    fn announce(&mut self, announced: Announced) {
        if self.announced.len() >= super::slot::HANDLES {
            self.announced.remove(0);
        }
        self.announced.push(announced);
    }

    /// What stands for an announced endpoint in a packet of this direction: its peer reads where it is found; the announcer itself, to
    /// whom an answer repeats it, reads what it announced.
    pub(super) fn announced(&self, handle: Handle, from: Direction) -> Option<SocketAddr> {
        let known = self.announced.iter().rev().find(|known| known.handle == handle)?;
        Some(if from == known.from { known.outer } else { known.inner })
    }
}

/// First and last destination port, if they are limited.
fn range(expect: &Expect) -> Option<(u16, u16)> {
    match expect.destination_port {
        PortMatch::Exact(port) => Some((port, port)),
        PortMatch::Range(first, last) => Some((first, last)),
        PortMatch::Any => None,
    }
}

/// The request for the outer address, its ports moved as far as `lowest` to `first`.
fn moved(request: &Request, outer: IpAddr, lowest: u16, first: u16) -> Request {
    let mut request = request.clone();
    let along = |port: u16| port.wrapping_sub(lowest).wrapping_add(first);
    request.expect.destination = outer;
    request.expect.destination_port = match request.expect.destination_port {
        PortMatch::Exact(port) => PortMatch::Exact(along(port)),
        PortMatch::Range(low, high) => PortMatch::Range(along(low), along(high)),
        PortMatch::Any => PortMatch::Any,
    };
    request
}
