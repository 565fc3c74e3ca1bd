//! Where a message names the two ends of its own conn, for the NAT half: request URI, Via, Contact, From, To, routes, referrals and asserted
//! identities.
//!
//! A place counts if both its address and its port (or the default one) are an end's; what names others is left alone.

use super::media::Place;
use super::notation;
use super::parse::{DEFAULT_PORT, Head, Host, HostPort, Name, NameAddress, StartLine, Uri, Via, ip_text};
use crate::number::port;
use crate::text_message::{fields, parameter, split};
use pinhole_helper::{Context, End};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

/// Tells of every place in the head.
pub(super) fn mention(cx: &mut Context<'_>, head: &Head<'_>, place: Place<'_>) {
    let mut writer = Writer { place, ends: [cx.master.sender(place.from), cx.master.peer(place.from)] };
    if let StartLine::Request { uri, .. } = &head.start {
        writer.uri(cx, head.bytes, uri.clone());
    }
    let mut top_via = true;
    for field in fields(head.bytes) {
        let Some(name) = Name::of(&field) else { continue };
        match name {
            Name::Via => {
                // Those below the first are of others, whom the message has passed.
                if let Some(value) = split(head.bytes, field.value, b',').next()
                    && std::mem::take(&mut top_via)
                {
                    writer.via(cx, head.bytes, value);
                }
            }
            Name::Contact | Name::Route | Name::RecordRoute | Name::Address => {
                for value in split(head.bytes, field.value, b',') {
                    writer.address(cx, head.bytes, value);
                }
            }
            Name::From | Name::To => writer.address(cx, head.bytes, field.value),
            _ => {}
        }
    }
}

struct Writer<'a> {
    place: Place<'a>,
    /// The sender, and the receiver as the sender sees it.
    ends: [SocketAddr; 2],
}

impl Writer<'_> {
    fn address(&mut self, cx: &mut Context<'_>, bytes: &[u8], value: Range<usize>) {
        if let Some(address) = NameAddress::read(bytes, value) {
            self.uri(cx, bytes, address.uri);
        }
    }

    fn uri(&mut self, cx: &mut Context<'_>, bytes: &[u8], range: Range<usize>) {
        if let Some(uri) = Uri::read(bytes, range) {
            let port = uri.port();
            self.host_port(cx, &uri.host_port, port);
        }
    }

    /// Via names who sent the request; `received` and `rport` are where it came from, as the receiver saw it (RFC 3581 §4).
    fn via(&mut self, cx: &mut Context<'_>, bytes: &[u8], value: Range<usize>) {
        let Some(via) = Via::read(bytes, value) else { return };
        let named = via.sent_by.port.unwrap_or(DEFAULT_PORT);
        self.host_port(cx, &via.sent_by, named);
        for name in [&b"received"[..], b"maddr"] {
            let Some(range) = parameter(bytes, via.parameters.clone(), name) else { continue };
            let text = bytes.get(range.clone()).unwrap_or_default();
            let bare = text.strip_prefix(b"[").and_then(|text| text.strip_suffix(b"]")).unwrap_or(text);
            let Some(ip) = ip_text::<IpAddr>(bare) else { continue };
            if let Some(end) = self.end(|end| end.ip() == ip) {
                let span = self.place.span(cx, &range);
                cx.mention(end, span, notation::ADDRESS);
            }
        }
        if let Some(range) = parameter(bytes, via.parameters, b"rport")
            && let Some(number) = bytes.get(range.clone()).and_then(port)
            && let [_, peer] = self.ends
            && number == peer.port()
        {
            let span = self.place.span(cx, &range);
            cx.mention(End::Peer, span, notation::PORT);
        }
    }

    fn host_port(&mut self, cx: &mut Context<'_>, named: &HostPort, port: u16) {
        let Host::Ip(ip) = named.host else { return };
        if let Some(end) = self.end(|end| *end == SocketAddr::new(ip, port)) {
            let span = self.place.span(cx, &named.place);
            cx.mention(end, span, notation::HOST_PORT);
        }
    }

    fn end(&self, is_meant: impl Fn(&SocketAddr) -> bool) -> Option<End> {
        let [sender, peer] = &self.ends;
        if is_meant(sender) { Some(End::Sender) } else { is_meant(peer).then_some(End::Peer) }
    }
}
