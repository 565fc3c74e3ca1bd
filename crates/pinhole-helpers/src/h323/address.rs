//! Transport addresses: where they stand in a message, and what the rules say of them.

use super::notation;
use super::per::Found;
use super::schema::Mark;
use crate::endpoint::{admit_address, admit_port};
use pinhole_helper::{Context, End, Field, Refusal, Span};
use pinhole_wire::Direction;
use std::net::IpAddr;

/// A transport address in a message. Positions count from the start of what the session was given to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Announced {
    /// First octet and the one after the last: of address and port, or of all of an address that is neither IPv4 nor IPv6.
    pub(super) start: usize,
    pub(super) end: usize,
    /// Address and port, if it is one that can be reached over IP.
    pub(super) endpoint: Option<(IpAddr, u16)>,
}

impl Announced {
    pub(super) fn span(&self, cx: &Context<'_>) -> Span {
        cx.span(self.start, self.end)
    }

    /// The notation, for the NAT half.
    pub(super) fn field(&self) -> Field {
        match self.endpoint {
            Some((IpAddr::V6(_), _)) => notation::IPV6,
            _ => notation::IPV4,
        }
    }

    /// Where its announcer can be reached, if the rules admit that.
    pub(super) fn admit(&self, cx: &Context<'_>, from: Direction) -> Result<(IpAddr, u16), Refusal> {
        let (address, port) = self.endpoint.ok_or(Refusal::Unsupported)?;
        let seen = admit_address(address, from, cx.master, cx.policy)?;
        admit_port(port, cx.policy)?;
        Ok((seen, port))
    }

    /// Whether the address is that by which the sender knows the receiver.
    pub(super) fn is_receivers(&self, cx: &Context<'_>, from: Direction) -> bool {
        self.endpoint.is_some_and(|(address, _)| address == cx.master.peer(from).ip())
    }

    /// Tells the NAT half of an end of the control conn itself, if it is one; it opens nothing. Another port of that host stays as it is.
    pub(super) fn mention(&self, cx: &mut Context<'_>, from: Direction) {
        let Some((address, port)) = self.endpoint else { return };
        let (sender, peer) = (cx.master.sender(from), cx.master.peer(from));
        let (end, known) = match address {
            _ if address == sender.ip() => (End::Sender, sender),
            _ if address == peer.ip() => (End::Peer, peer),
            _ => return,
        };
        if port == known.port() {
            cx.mention(end, self.span(cx), self.field());
        } else {
            self.mention_address(cx, end);
        }
    }

    /// Tells the NAT half of the address alone.
    pub(super) fn mention_address(&self, cx: &mut Context<'_>, end: End) {
        let (length, field) = match self.endpoint {
            Some((IpAddr::V4(_), _)) => (4, notation::IPV4_ADDRESS),
            Some((IpAddr::V6(_), _)) => (16, notation::IPV6_ADDRESS),
            None => return,
        };
        cx.mention(end, cx.span(self.start, self.start + length), field);
    }
}

/// Puts a transport address together from its marked parts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AddressReader {
    address: Option<(IpAddr, usize)>,
    complete: Option<Announced>,
}

impl AddressReader {
    /// Looks at a marked value of `message`, which begins `base` octets after what the session was given.
    pub(super) fn see(&mut self, found: &Found, message: &[u8], base: usize) {
        let octets = message.get(found.octets.clone()).unwrap_or_default();
        match found.mark {
            Mark::Ip4 => {
                let address = octets.first_chunk::<4>().map(|octets| IpAddr::from(*octets));
                self.address = address.map(|address| (address, base + found.octets.start));
            }
            Mark::Ip6 => {
                let address = octets.first_chunk::<16>().map(|octets| IpAddr::from(*octets));
                self.address = address.map(|address| (address, base + found.octets.start));
            }
            Mark::Port => {
                let port = u16::try_from(found.number).ok();
                self.complete = self.address.take().zip(port).map(|((address, start), port)| Announced {
                    start,
                    end: base + found.octets.end,
                    endpoint: Some((address, port)),
                });
            }
            _ => {}
        }
    }

    /// The address that `found`, all of it, turned out to be.
    pub(super) fn take(&mut self, found: &Found, base: usize) -> Announced {
        let (start, end) = (base + found.octets.start, base + found.octets.end);
        let within = |announced: &Announced| start <= announced.start && announced.end <= end;
        self.complete.take().filter(within).unwrap_or(Announced { start, end, endpoint: None })
    }
}
