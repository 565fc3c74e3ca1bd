//! What the announcements of one message ask for, and what a session remembers of it.

use super::address::Announced;
use super::few::Few;
use pinhole_helper::{AddressMatch, Context, End, Expect, GroupRule, Handle, Lifetime, MediaSource, Name};
use pinhole_wire::{Direction, Protocol};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// Expectations that a session can still cancel; older ones end by themselves.
const REMEMBERED: usize = 48;
/// Distinct endpoints of one message that are told apart.
const ENDPOINTS: usize = 16;

/// A kind of expected conn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opening {
    /// Class of the helper that asks.
    pub(super) class: u8,
    pub(super) protocol: Protocol,
    pub(super) lifetime: Lifetime,
    /// Helper of the expected conn.
    pub(super) helper: Option<Name>,
}

impl Opening {
    /// The expectation of conns from `source` to `destination`.
    pub(super) fn describe(
        self,
        cx: &Context<'_>,
        announced: &Announced,
        source: AddressMatch,
        (destination, port): (IpAddr, u16),
    ) -> Expect {
        Expect {
            class: self.class,
            lifetime: self.lifetime,
            helper: self.helper,
            ..Expect::to(self.protocol, source, SocketAddr::new(destination, port), announced.span(cx))
        }
    }
}

/// Which expectation belongs to which call and channel.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Ledger {
    entries: Few<Entry, REMEMBERED>,
    groups: u32,
}

/// What an expectation was announced for. Zero is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Purpose {
    pub(super) call: u32,
    pub(super) channel: u32,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Entry {
    purpose: Purpose,
    handle: Handle,
}

impl Ledger {
    /// Cancels what was announced for this.
    pub(super) fn cancel(&mut self, cx: &mut Context<'_>, matches: impl Fn(Purpose) -> bool) {
        self.entries.iter().filter(|entry| matches(entry.purpose)).for_each(|entry| cx.cancel(entry.handle));
        self.entries.retain(|entry| !matches(entry.purpose));
    }
}

/// The announcements of one message. One that is made twice in it (in fastStart the same port goes with every codec) is one expectation.
pub(super) struct Announcements<'a, 'c> {
    pub(super) cx: &'a mut Context<'c>,
    pub(super) from: Direction,
    pub(super) ledger: &'a mut Ledger,
    known: Few<(IpAddr, u16, Protocol, Handle), ENDPOINTS>,
}

impl<'a, 'c> Announcements<'a, 'c> {
    pub(super) fn new(cx: &'a mut Context<'c>, from: Direction, ledger: &'a mut Ledger) -> Self {
        Self { cx, from, ledger, known: Few::default() }
    }

    /// Expects that the receiver of the message connects to each of these endpoints, as far as the rules admit it. Two that are new
    /// (RTP and RTCP) are entered together or not at all.
    pub(super) fn open(
        &mut self,
        opening: Opening,
        purpose: Purpose,
        announced: impl Iterator<Item = Announced>,
    ) {
        let mut new: Few<(Announced, (IpAddr, u16)), 2> = Few::default();
        for announced in announced {
            if let Some(destination) = self.judge(opening, &announced) {
                new.push((announced, destination));
            }
        }
        let group = (new.iter().count() > 1).then(|| {
            self.ledger.groups = self.ledger.groups.wrapping_add(1);
            (self.ledger.groups, GroupRule::Independent)
        });
        let source = match self.cx.policy.media_source {
            MediaSource::Anyone if opening.protocol == Protocol::UDP => AddressMatch::Any,
            _ => AddressMatch::Exact(self.cx.master.receiver(self.from).ip()),
        };
        let mut entered: Few<(Announced, Handle), 2> = Few::default();
        for (announced, destination) in new.iter() {
            let expect = Expect { group, ..opening.describe(self.cx, &announced, source, destination) };
            let handle = self.cx.expect(expect);
            entered.push((announced, handle));
            self.known.push((destination.0, destination.1, opening.protocol, handle));
            self.ledger.entries.push_over(Entry { purpose, handle });
        }
        for (announced, handle) in entered.iter() {
            self.cx.locate(handle, announced.span(self.cx), announced.field());
        }
    }

    /// Where a new endpoint can be reached; nothing for one that was announced before, is refused, or is the receiver's own.
    fn judge(&mut self, opening: Opening, announced: &Announced) -> Option<(IpAddr, u16)> {
        match announced.admit(self.cx, self.from) {
            Ok((address, port)) => {
                let same = |&(a, p, protocol, _): &(IpAddr, u16, Protocol, Handle)| {
                    (a, p, protocol) == (address, port, opening.protocol)
                };
                let Some((.., handle)) = self.known.iter().find(same) else { return Some((address, port)) };
                self.cx.locate(handle, announced.span(self.cx), announced.field());
            }
            // An answer may repeat what it answers to (H.323 §8.1.7.1).
            Err(_) if announced.is_receivers(self.cx, self.from) => {
                announced.mention_address(self.cx, End::Peer);
            }
            Err(why) => self.cx.refuse(why, announced.span(self.cx)),
        }
        None
    }
}
