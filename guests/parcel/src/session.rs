//! The dialogue: greetings, offers, and what becomes of them.

use crate::notation;
use crate::parse::{self, LINE_LIMIT, Line, Name, Offer};
use alloc::collections::VecDeque;
use core::net::SocketAddr;
use pinhole_helper_sdk::helper::endpoint::{admit_address, admit_port};
use pinhole_helper_sdk::helper::{
    AddressMatch, BlindReason, Context, Expect, Handle, Progress, Refusal, Session,
};
use pinhole_helper_sdk::wire::{Direction, Protocol};

/// Most offers of a side that are remembered; the oldest is forgotten first, and can then no longer be fetched.
const OFFERS: usize = 8;

/// One conn.
#[derive(Debug, Default)]
pub(crate) struct ParcelSession {
    sides: [Side; 2],
}

/// What is known of one side.
#[derive(Debug, Default)]
struct Side {
    greeted: bool,
    /// Its offers that may still be fetched or recalled.
    offers: VecDeque<(Name, Handle)>,
}

impl Session for ParcelSession {
    fn read(&mut self, cx: &mut Context<'_>, from: Direction, bytes: &[u8]) -> Progress {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            // Where a segment ends means nothing: half a line is shown again with what follows it.
            let Some(end) = rest.iter().position(|&byte| byte == b'\n') else { break };
            if end >= LINE_LIMIT {
                return Progress::Blind(BlindReason::MessageTooLong);
            }
            let text = rest.get(..end).unwrap_or_default();
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            if let Err(reason) = self.line(cx, from, at, text) {
                return Progress::Blind(reason);
            }
            at += end + 1;
        }
        Progress::Consumed(at)
    }

    fn longest_message(&self) -> usize {
        LINE_LIMIT - 1
    }

    fn memory(&self) -> usize {
        self.sides.iter().map(|side| side.offers.capacity() * size_of::<(Name, Handle)>()).sum()
    }
}

impl ParcelSession {
    /// Reads the line that stands at `at`.
    fn line(
        &mut self,
        cx: &mut Context<'_>,
        from: Direction,
        at: usize,
        text: &[u8],
    ) -> Result<(), BlindReason> {
        let line = parse::line(text);
        let side = &mut self.sides[from.index()];
        if !side.greeted {
            side.greeted = line == Ok(Line::Hello);
            return if side.greeted { Ok(()) } else { Err(BlindReason::NotThisProtocol) };
        }
        let other = from.opposite();
        let result = match line {
            Ok(Line::Offer(name, offer)) => self.offer(cx, from, at, name, &offer),
            Ok(Line::Fetch(name)) => self.take(other, name).map(|handle| cx.activate(handle)),
            Ok(Line::Leave(name)) => self.take(other, name).map(|handle| cx.cancel(handle)),
            Ok(Line::Recall(name)) => self.take(from, name).map(|handle| cx.cancel(handle)),
            Ok(Line::Hello | Line::Other) => Ok(()),
            Err(refusal) => Err(refusal),
        };
        if let Err(refusal) = result {
            cx.refuse(refusal, cx.span(at, at + text.len()));
        }
        Ok(())
    }

    /// Asks for the expectation of an offer. It matches nothing yet.
    fn offer(
        &mut self,
        cx: &mut Context<'_>,
        from: Direction,
        at: usize,
        name: Name,
        offer: &Offer,
    ) -> Result<(), Refusal> {
        admit_port(offer.port, cx.policy)?;
        let destination = admit_address(offer.address, from, cx.master, cx.policy)?;
        let span = cx.span(at + offer.place.start, at + offer.place.end);
        let source = AddressMatch::Exact(cx.master.receiver(from).ip());
        let destination = SocketAddr::new(destination, offer.port);
        let handle =
            cx.expect(Expect { active: false, ..Expect::to(Protocol::TCP, source, destination, span) });
        cx.locate(handle, span, notation::TEXT);
        let offers = &mut self.sides[from.index()].offers;
        if offers.len() >= OFFERS {
            offers.pop_front();
        }
        offers.push_back((name, handle));
        Ok(())
    }

    /// Removes an offer of a side, the latest of that name.
    fn take(&mut self, side: Direction, name: Name) -> Result<Handle, Refusal> {
        let offers = &mut self.sides[side.index()].offers;
        let position = offers.iter().rposition(|(known, _)| *known == name);
        let offer = position.and_then(|position| offers.remove(position));
        offer.map(|(_, handle)| handle).ok_or(Refusal::Unsolicited)
    }
}
