//! Call signalling: Q.931 messages with H.225.0 user information in TPKT packets, and the H.245 messages tunnelled in them.
//!
//! | part | effect |
//! |---|---|
//! | `h245Address` of any message | its sender's control channel is expected |
//! | `fastStart` | the caller's endpoints are expected; the called one's only after the caller has proposed |
//! | `h245Control`, `parallelH245Control` | as on a control channel of its own |
//! | Facility that sends the caller elsewhere | the caller's new call is expected, if the address is the sender's own or the policy allows third parties |
//! | `sourceCallSignalAddress`, `destCallSignalAddress` | told to the NAT half |
//! | ReleaseComplete | what its call announced is cancelled |
//!
//! A conn may carry several calls: they are told apart by their call references.

use super::address::{AddressReader, Announced};
use super::announce::{Announcements, Ledger, Purpose};
use super::control::{Channels, Message};
use super::errors::Errors;
use super::few::Few;
use super::per::{Fault, Found, Visitor, walk};
use super::schema::{Mark, USER_INFORMATION};
use super::tpkt::PacketReader;
use super::{CALL, CONTROL, q931};
use pinhole_helper::{BlindReason, Context, Refusal};
use pinhole_wire::Direction;
use serde::{Deserialize, Serialize};

/// Contained messages of one message that are read.
const CONTAINED: usize = 32;
/// Calls whose proposals are remembered.
const CALLS: usize = 16;
/// Reasons of a Facility that send the caller to another address: routeCallToGatekeeper, callForwarded, routeCallToMC.
const SENT_ELSEWHERE: std::ops::RangeInclusive<u32> = 0..=2;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct SignallingReader {
    channels: Channels,
    ledger: Ledger,
    /// Calls whose caller has proposed channels in `fastStart`.
    proposed: Few<u32, CALLS>,
}

impl PacketReader for SignallingReader {
    fn packet(
        &mut self,
        cx: &mut Context<'_>,
        from: Direction,
        packet: &[u8],
        base: usize,
        errors: &mut Errors,
    ) -> Result<(), BlindReason> {
        // A packet of nothing keeps the conn alive.
        if packet.is_empty() {
            return Ok(());
        }
        let mut information = Information::default();
        let read = q931::parse(packet).filter(|message| {
            message.user.as_ref().is_none_or(|user| {
                let contents = packet.get(user.clone()).unwrap_or_default();
                information.read(contents, base + user.start).is_ok()
            })
        });
        let Some(message) = read else {
            let span = cx.span(base, base + packet.len());
            return errors.malformed(cx, from, span);
        };
        errors.understood(from);
        let caller = if message.to_originator { from.opposite() } else { from };
        let call = Call { key: u32::from(message.call) | (1 + caller.index() as u32) << 16, caller };
        let ends = message.kind == q931::RELEASE_COMPLETE;
        let sound = self.information(cx, from, call, &information, (packet, base));
        if ends {
            self.ledger.cancel(cx, |purpose| purpose.call == call.key);
            self.channels.release(call.key);
            self.proposed.retain(|key| *key != call.key);
        }
        if sound { Ok(()) } else { errors.malformed(cx, from, cx.span(base, base + packet.len())) }
    }

    fn forget(&mut self) {
        self.channels = Channels::default();
        self.proposed = Few::default();
    }
}

impl SignallingReader {
    /// Carries out a message; `false` if one that it contains is malformed.
    fn information(
        &mut self,
        cx: &mut Context<'_>,
        from: Direction,
        call: Call,
        information: &Information,
        (packet, base): (&[u8], usize),
    ) -> bool {
        information.mentioned.iter().for_each(|announced| announced.mention(cx, from));
        let purpose = Purpose { call: call.key, channel: 0 };
        let mut to = Announcements::new(cx, from, &mut self.ledger);
        to.open(CONTROL, purpose, information.h245_address.into_iter());
        if information.reason.is_some_and(|reason| SENT_ELSEWHERE.contains(&reason)) {
            to.open(CALL, purpose, information.alternative.into_iter());
        }
        let contents = |part: &Part| packet.get(part.start - base..part.end - base).unwrap_or_default();
        let mut sound = true;
        if call.caller == from && !information.fast_start.is_empty() {
            self.proposed.retain(|key| *key != call.key);
            self.proposed.push_over(call.key);
        }
        let answers = self.proposed.iter().any(|key| key == call.key);
        for part in information.fast_start.iter() {
            let mut message = Message::default();
            match message.read_fast_start(contents(&part), part.start) {
                Ok(()) if answers => self.channels.fast_start(&mut to, call.key, &message),
                Ok(()) => message.refuse(&mut to),
                Err(_) => sound = false,
            }
        }
        for part in information.tunnelled.iter() {
            let mut message = Message::default();
            match message.read(contents(&part), part.start) {
                Ok(_) => self.channels.message(&mut to, call.key, &message),
                Err(_) => sound = false,
            }
        }
        if information.fast_start.is_overflown() || information.tunnelled.is_overflown() {
            cx.refuse(Refusal::Limit, cx.span(base, base + packet.len()));
        }
        sound
    }
}

/// A call of this conn.
#[derive(Clone, Copy)]
struct Call {
    /// Its reference, and which end allocated it.
    key: u32,
    /// The end that allocated the reference.
    caller: Direction,
}

/// Where a contained message stands.
#[derive(Clone, Copy, Debug)]
struct Part {
    start: usize,
    end: usize,
}

/// What matters of the user information.
#[derive(Debug, Default)]
pub(super) struct Information {
    h245_address: Option<Announced>,
    alternative: Option<Announced>,
    reason: Option<u32>,
    mentioned: Few<Announced, 2>,
    fast_start: Few<Part, CONTAINED>,
    tunnelled: Few<Part, CONTAINED>,
}

impl Information {
    /// Reads user information that stands `base` octets into what the session was given.
    fn read(&mut self, bytes: &[u8], base: usize) -> Result<(), Fault> {
        let mut reader = Reader { bytes, base, address: AddressReader::default(), information: self };
        walk(bytes, &USER_INFORMATION, &mut reader).map(drop)
    }
}

struct Reader<'m> {
    bytes: &'m [u8],
    base: usize,
    address: AddressReader,
    information: &'m mut Information,
}

impl Visitor for Reader<'_> {
    fn found(&mut self, found: Found) {
        let part = Part { start: self.base + found.octets.start, end: self.base + found.octets.end };
        let information = &mut *self.information;
        match found.mark {
            Mark::Ip4 | Mark::Ip6 | Mark::Port => self.address.see(&found, self.bytes, self.base),
            Mark::H245Address => information.h245_address = Some(self.address.take(&found, self.base)),
            Mark::AlternativeAddress => information.alternative = Some(self.address.take(&found, self.base)),
            Mark::FacilityReason => information.reason = Some(found.number),
            Mark::SourceAddress | Mark::DestinationAddress => {
                information.mentioned.push(self.address.take(&found, self.base));
            }
            Mark::FastStart => information.fast_start.push(part),
            Mark::Tunnelled => information.tunnelled.push(part),
            _ => {}
        }
    }
}
