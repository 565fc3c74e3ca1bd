//! What the ends of calls have announced, and which requests may be answered.
//!
//! A *party* is one end of one dialogue: a direction, the Call-ID, and the end's own tag. It enters with its first description, which
//! a later one replaces; it leaves with the end of its call, or as the oldest when there are too many.
//!
//! Invariant: the handles of a party are those of its latest description; whoever removes a party cancels them.

use pinhole_helper::{AddressMatch, Context, Handle};
use pinhole_wire::Direction;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Most parties that are remembered.
const PARTIES: usize = 128;
/// Most requests that are remembered for their answers.
const REQUESTS: usize = 64;
/// Longest Call-ID, and longest tag.
pub(super) const IDENTIFIER_LIMIT: usize = 256;

/// Which request a message belongs to, within its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Transaction {
    /// Direction of the request.
    pub(super) from: Direction,
    /// Its CSeq number.
    pub(super) number: u32,
}

/// One end of a dialogue.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Party {
    pub(super) from: Direction,
    pub(super) call: Box<[u8]>,
    pub(super) tag: Box<[u8]>,
    pub(super) transaction: Transaction,
    pub(super) media: Vec<Announced>,
}

/// One medium of a party, in the order of the description.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Announced {
    /// Where it said to have this medium, its own address or not.
    pub(super) address: Option<IpAddr>,
    /// Who may send there.
    pub(super) source: AddressMatch,
    /// It is at a third host, which only the receiver of the description is led to.
    pub(super) introduced: bool,
    pub(super) handles: Vec<Handle>,
    /// The expectations for RTCP that are not needed once the other end agrees to have it on RTP's port.
    pub(super) spare: Vec<Handle>,
}

impl Default for Announced {
    fn default() -> Self {
        Self {
            address: None,
            source: AddressMatch::Any,
            introduced: false,
            handles: Vec::new(),
            spare: Vec::new(),
        }
    }
}

impl Announced {
    /// Lets the medium come from another source: of a forked call, or through a proxy, the other end's media turn out to be elsewhere.
    pub(super) fn aim(&mut self, cx: &mut Context<'_>, source: AddressMatch) {
        if self.source != source && !self.introduced {
            self.source = source;
            self.handles.iter().chain(&self.spare).for_each(|handle| cx.aim(*handle, source));
        }
    }
}

impl Party {
    fn is_of(&self, call: &[u8], from: Direction) -> bool {
        self.from == from && *self.call == *call
    }

    fn cancel(&self, cx: &mut Context<'_>) {
        for handle in self.media.iter().flat_map(|media| media.handles.iter().chain(&media.spare)) {
            cx.cancel(*handle);
        }
    }
}

/// All calls of a conn.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Calls {
    /// Oldest description first.
    parties: Vec<Party>,
    /// Oldest first.
    requests: Vec<(Box<[u8]>, Transaction)>,
}

impl Calls {
    pub(super) fn is_empty(&self) -> bool {
        self.parties.is_empty()
    }

    /// Notes a request that may be answered with a description.
    pub(super) fn asked(&mut self, call: &[u8], transaction: Transaction) {
        if self.was_asked(call, transaction) {
            return;
        }
        if self.requests.len() >= REQUESTS {
            self.requests.remove(0);
        }
        self.requests.push((call.into(), transaction));
    }

    pub(super) fn was_asked(&self, call: &[u8], transaction: Transaction) -> bool {
        self.requests.iter().any(|(id, asked)| **id == *call && *asked == transaction)
    }

    /// Forgets what a party announced before.
    pub(super) fn withdraw(&mut self, cx: &mut Context<'_>, call: &[u8], from: Direction, tag: &[u8]) {
        self.remove(cx, |party| party.is_of(call, from) && *party.tag == *tag);
    }

    pub(super) fn enter(&mut self, cx: &mut Context<'_>, party: Party) {
        if self.parties.len() >= PARTIES {
            self.parties.remove(0).cancel(cx);
        }
        self.parties.push(party);
    }

    /// The latest description of the other end of a call.
    pub(super) fn other_end(&mut self, call: &[u8], from: Direction) -> Option<&mut Party> {
        self.parties.iter_mut().rev().find(|party| party.is_of(call, from.opposite()))
    }

    /// A request of a call failed or was called off: what came of it is void, on both sides.
    pub(super) fn failed(&mut self, cx: &mut Context<'_>, call: &[u8], transaction: Transaction) {
        self.remove(cx, |party| *party.call == *call && party.transaction == transaction);
    }

    /// A dialogue is over. The end that said so stays while another branch of the call lives.
    pub(super) fn ended(&mut self, cx: &mut Context<'_>, call: &[u8], from: Direction, tags: [&[u8]; 2]) {
        let [own, others] = tags;
        self.remove(cx, |party| party.is_of(call, from.opposite()) && *party.tag == *others);
        if self.other_end(call, from).is_none() {
            self.remove(cx, |party| party.is_of(call, from) && *party.tag == *own);
            self.requests.retain(|(id, _)| **id != *call);
        }
    }

    fn remove(&mut self, cx: &mut Context<'_>, is_meant: impl Fn(&Party) -> bool) {
        for party in self.parties.extract_if(.., |party| is_meant(party)) {
            party.cancel(cx);
        }
    }

    /// Bytes on the heap.
    pub(super) fn memory(&self) -> usize {
        let of_media = |media: &Announced| {
            size_of::<Announced>() + (media.handles.capacity() + media.spare.capacity()) * size_of::<Handle>()
        };
        let of_party = |party: &Party| {
            let media: usize = party.media.iter().map(of_media).sum();
            party.call.len() + party.tag.len() + media
        };
        self.parties.iter().map(of_party).sum::<usize>()
            + self.parties.capacity() * size_of::<Party>()
            + self.requests.iter().map(|(call, _)| call.len()).sum::<usize>()
            + self.requests.capacity() * size_of::<(Box<[u8]>, Transaction)>()
    }
}
