//! From a session description to expectations.

use super::calls::{Announced, Calls, IDENTIFIER_LIMIT, Party, Transaction};
use super::sdp::{Connection, Description, Kind, Media};
use super::{class, notation};
use crate::endpoint::{admit_address, admit_introduced, admit_port};
use pinhole_helper::{
    AddressMatch, Context, End, Expect, GroupRule, Handle, Lifetime, MediaSource, PortMatch, Refusal, Span,
};
use pinhole_wire::{Direction, Protocol};
use std::net::IpAddr;
use std::ops::Range;

/// A message where it stands in the bytes being read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) from: Direction,
    pub(super) at: usize,
    pub(super) bytes: &'a [u8],
}

impl Place<'_> {
    pub(super) fn span(self, cx: &Context<'_>, range: &Range<usize>) -> Span {
        cx.span(self.at + range.start, self.at + range.end)
    }
}

/// Whose description it is, and in which transaction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Speaker<'a> {
    pub(super) call: &'a [u8],
    pub(super) tag: &'a [u8],
    pub(super) transaction: Transaction,
    /// The description is an answer's: what it agrees to is settled.
    pub(super) answers: bool,
}

/// Asks for the expectations of a description.
pub(super) fn announce(
    cx: &mut Context<'_>,
    calls: &mut Calls,
    groups: &mut u32,
    place: Place<'_>,
    speaker: Speaker<'_>,
    description: &Description,
) {
    if speaker.call.len() > IDENTIFIER_LIMIT || speaker.tag.len() > IDENTIFIER_LIMIT {
        let whole = place.span(cx, &(0..place.bytes.len()));
        cx.refuse(Refusal::Malformed, whole);
        return;
    }
    calls.withdraw(cx, speaker.call, place.from, speaker.tag);
    let mut offer =
        Offer { place, description, groups, source: AddressMatch::Any, introduced: false, taken: Vec::new() };
    for connection in [&description.origin, &description.connection].into_iter().flatten() {
        offer.mention(cx, connection);
    }
    let mut other = calls.other_end(speaker.call, place.from);
    let mut media = Vec::with_capacity(description.media.len());
    for (index, medium) in description.media.iter().enumerate() {
        let mut theirs = other.as_mut().and_then(|party| party.media.get_mut(index));
        offer.source = source(cx, place.from, theirs.as_ref().and_then(|theirs| theirs.address));
        let announced = offer.medium(cx, medium, speaker.answers);
        // What the other end announced was to come from where this end said before, or from this end itself.
        if let (Some(theirs), Ok(1..)) = (theirs.as_deref_mut(), medium.port) {
            theirs.aim(cx, source(cx, place.from.opposite(), announced.address));
        }
        media.push(announced);
        // RTCP goes to RTP's port (RFC 5761 §5.1.1).
        if let (true, true, Some(theirs)) = (speaker.answers, medium.mux || medium.mux_only, theirs) {
            theirs.spare.drain(..).for_each(|handle| cx.cancel(handle));
        }
    }
    if let Some(line) = &description.excess {
        cx.refuse(Refusal::Limit, place.span(cx, line));
    }
    let Speaker { call, tag, transaction, .. } = speaker;
    let party = Party { from: place.from, call: call.into(), tag: tag.into(), transaction, media };
    calls.enter(cx, party);
}

/// Who may send to the ports that the end `from` announces, if the other end said to have its media at `announced`.
fn source(cx: &Context<'_>, from: Direction, announced: Option<IpAddr>) -> AddressMatch {
    let (other, outside) = (cx.master.receiver(from).ip(), cx.master.peer(from).ip());
    let is_host = |ip: &IpAddr| {
        ip.is_ipv4() == other.is_ipv4() && !ip.is_multicast() && !ip.is_loopback() && !ip.is_unspecified()
    };
    match cx.policy.media_source {
        MediaSource::Anyone => AddressMatch::Any,
        MediaSource::Signalling => AddressMatch::Exact(other),
        MediaSource::Announced => {
            AddressMatch::Exact(announced.filter(is_host).filter(|ip| *ip != outside).unwrap_or(other))
        }
    }
}

/// Refuses a medium, once for each expectation that it might have been.
pub(super) fn refuse(cx: &mut Context<'_>, place: Place<'_>, medium: &Media, why: Refusal) {
    for _ in 0..=u8::from(medium.has_rtcp()) {
        cx.refuse(why, place.span(cx, &medium.line));
    }
}

/// A description that is turned into expectations.
struct Offer<'a> {
    place: Place<'a>,
    description: &'a Description,
    /// Numbers the pairs of the session.
    groups: &'a mut u32,
    /// Who may send what belongs to the medium at hand.
    source: AddressMatch,
    /// The address at hand is a third host's, which only the receiver of the description may be led to.
    introduced: bool,
    /// Ports that are asked for already: bundled media share one.
    taken: Vec<(Endpoint, Handle)>,
}

/// What an expectation opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Endpoint {
    protocol: Protocol,
    address: IpAddr,
    port: u16,
}

/// The port for RTCP, and where its digits stand if it is named.
struct RtcpPort<'a> {
    number: u16,
    digits: Option<&'a Range<usize>>,
}

impl Offer<'_> {
    fn medium(&mut self, cx: &mut Context<'_>, medium: &Media, answers: bool) -> Announced {
        let mut announced = Announced { source: self.source, ..Announced::default() };
        self.introduced = false;
        let connection = medium.connection.as_ref().or(self.description.connection.as_ref());
        if let Some(Connection { address: Ok(address), .. }) = connection {
            announced.address = *address;
        }
        if let Some(connection) = &medium.connection {
            self.mention(cx, connection);
        }
        if medium.port == Ok(0) {
            return announced;
        }
        let separate_rtcp = medium.has_rtcp() && !(medium.mux && answers);
        if let Err(refusal) = self.ports(cx, medium, connection, separate_rtcp, &mut announced) {
            refuse(cx, self.place, medium, refusal);
        }
        self.candidates(cx, medium, &mut announced);
        announced
    }

    /// The default addresses of a medium: those of `m=`, `c=` and `a=rtcp:`.
    fn ports(
        &mut self,
        cx: &mut Context<'_>,
        medium: &Media,
        connection: Option<&Connection>,
        separate_rtcp: bool,
        announced: &mut Announced,
    ) -> Result<(), Refusal> {
        let Some(address) = connection.ok_or(Refusal::Malformed)?.address? else { return Ok(()) };
        let first = medium.port?;
        // Who connects names a port that means nothing (RFC 4145 §4.1).
        if medium.tcp && medium.active {
            return Ok(());
        }
        let (address, introduced) = admit_introduced(address, self.place.from, cx.master, cx.policy)?;
        (self.introduced, announced.introduced) = (introduced, introduced);
        admit_port(first, cx.policy)?;
        let protocol = if medium.tcp { Protocol::TCP } else { Protocol::UDP };
        let step = if separate_rtcp { 2 } else { 1 };
        for index in 0..medium.count {
            let port = index.checked_mul(step).and_then(|by| first.checked_add(by));
            let rtp = Endpoint { protocol, address, port: port.ok_or(Refusal::BadNumber)? };
            let rtcp = if separate_rtcp { self.rtcp(cx, medium, rtp, index == 0)? } else { None };
            let group = rtcp.as_ref().map(|_| self.next_group());
            // A pair must be asked for in one go.
            let handle = self.expect(cx, medium, rtp, group, &mut announced.handles);
            let control = rtcp.as_ref().map(|control| {
                // Whether it will be needed is for the answer to say.
                let list = if medium.mux { &mut announced.spare } else { &mut announced.handles };
                self.expect(cx, medium, Endpoint { port: control.number, ..rtp }, group, list)
            });
            if index == 0 {
                self.locate(cx, handle, &medium.port_place);
            }
            if let (Some(handle), Some(RtcpPort { digits: Some(digits), .. })) = (control, rtcp) {
                self.locate(cx, handle, digits);
            }
        }
        Ok(())
    }

    /// The port for RTCP: the next one, unless `a=rtcp:` names another (RFC 3605).
    fn rtcp<'m>(
        &self,
        cx: &mut Context<'_>,
        medium: &'m Media,
        rtp: Endpoint,
        is_first: bool,
    ) -> Result<Option<RtcpPort<'m>>, Refusal> {
        let Some(named) = medium.rtcp.as_ref().filter(|_| is_first) else {
            return Ok(rtp.port.checked_add(1).map(|number| RtcpPort { number, digits: None }));
        };
        let number = named.port?;
        if let Some(connection) = &named.connection {
            let Some(address) = connection.address? else { return Ok(None) };
            admit_introduced(address, self.place.from, cx.master, cx.policy)?;
            self.mention(cx, connection);
        }
        if number == rtp.port {
            return Ok(None);
        }
        admit_port(number, cx.policy)?;
        Ok(Some(RtcpPort { number, digits: Some(&named.place) }))
    }

    /// Further addresses of the sender's own host (ICE).
    fn candidates(&mut self, cx: &mut Context<'_>, medium: &Media, announced: &mut Announced) {
        for candidate in &medium.candidates {
            // Loopback and link-local addresses are not reached through here, those of the other family not by this call.
            let unreachable = match candidate.address {
                IpAddr::V4(ip) => ip.is_loopback() || ip.is_link_local(),
                IpAddr::V6(ip) => ip.is_loopback() || ip.is_unicast_link_local(),
            };
            if unreachable || candidate.address.is_ipv4() != cx.master.sender(self.place.from).is_ipv4() {
                continue;
            }
            self.introduced = false;
            let admitted = admit_address(candidate.address, self.place.from, cx.master, cx.policy)
                .and_then(|address| admit_port(candidate.port, cx.policy).map(|()| address));
            let address = match admitted {
                Ok(address) => address,
                Err(refusal) => {
                    cx.refuse(refusal, self.place.span(cx, &candidate.line));
                    continue;
                }
            };
            let protocol = if candidate.tcp { Protocol::TCP } else { Protocol::UDP };
            let endpoint = Endpoint { protocol, address, port: candidate.port };
            let handle = self.expect(cx, medium, endpoint, None, &mut announced.handles);
            self.mention_address(cx, candidate.address, &candidate.address_place);
            self.locate(cx, handle, &candidate.port_place);
        }
    }

    /// Asks for the expectation of one port, unless the description has it already.
    fn expect(
        &mut self,
        cx: &mut Context<'_>,
        medium: &Media,
        endpoint: Endpoint,
        group: Option<(u32, GroupRule)>,
        fresh: &mut Vec<Handle>,
    ) -> Handle {
        if let Some(&(_, handle)) = self.taken.iter().find(|(taken, _)| *taken == endpoint) {
            return handle;
        }
        let handle = cx.expect(Expect {
            class: match medium.kind {
                Kind::Audio => class::AUDIO,
                Kind::Video => class::VIDEO,
                Kind::Other | Kind::Unknown => class::OTHER,
            },
            protocol: endpoint.protocol,
            source: if self.introduced {
                AddressMatch::Exact(cx.master.receiver(self.place.from).ip())
            } else {
                self.source
            },
            source_port: PortMatch::Any,
            destination: endpoint.address,
            destination_port: PortMatch::Exact(endpoint.port),
            lifetime: Lifetime::OneShot,
            active: true,
            group,
            timeout: None,
            helper: None,
            span: self.place.span(cx, &medium.line),
        });
        self.taken.push((endpoint, handle));
        fresh.push(handle);
        handle
    }

    fn next_group(&mut self) -> (u32, GroupRule) {
        *self.groups = self.groups.wrapping_add(1);
        (*self.groups, GroupRule::Independent)
    }

    fn locate(&self, cx: &mut Context<'_>, handle: Handle, digits: &Range<usize>) {
        let span = self.place.span(cx, digits);
        cx.locate(handle, span, notation::PORT);
    }

    fn mention(&self, cx: &mut Context<'_>, connection: &Connection) {
        if let Ok(Some(address)) = connection.address {
            self.mention_address(cx, address, &connection.place);
        }
    }

    /// Addresses of descriptions are the sender's own: NAT writes the one that its peer knows.
    fn mention_address(&self, cx: &mut Context<'_>, address: IpAddr, place: &Range<usize>) {
        if address == cx.master.sender(self.place.from).ip() {
            let span = self.place.span(cx, place);
            cx.mention(End::Sender, span, notation::ADDRESS);
        }
    }
}
