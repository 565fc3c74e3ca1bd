//! Dialogues, attacks, and two witnesses: an encoder of its own, and `tshark`.

mod attacks;
mod dialogues;
mod encoder;
mod kernel;
mod ras;
mod spans;
mod witness;

use super::{H245, Q931, Ras};
use crate::transcript::{Said, Wire, master, run};
use encoder::Media;
use pinhole_helper::{
    Action, AddressMatch, End, Expect, Field, Handle, Helper, Lifetime, Pickup, Policy, PortMatch, Reader,
    Refusal, Span,
};
use pinhole_wire::{Direction, Protocol, Time};
use std::net::SocketAddr;

const CALLER: &str = "10.0.0.1:40000";
const CALLED: &str = "192.0.2.2:1720";
const CALLER_6: &str = "[2001:db8::1]:40000";
const CALLED_6: &str = "[2001:db8:2::2]:1720";

/// An endpoint.
fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn media(media: &str, control: &str) -> Media {
    Media { media: Some(at(media)), control: Some(at(control)) }
}

fn only_control(control: &str) -> Media {
    Media { media: None, control: Some(at(control)) }
}

/// Expectations asked for, as "protocol source destination:port".
fn expected<'a>(actions: impl Iterator<Item = &'a Action>) -> Vec<String> {
    actions
        .filter_map(|action| if let Action::Expect(_, expect) = action { Some(tell(expect)) } else { None })
        .collect()
}

fn tell(expect: &Expect) -> String {
    let protocol = if expect.protocol == Protocol::TCP { "tcp" } else { "udp" };
    let source = match expect.source {
        AddressMatch::Exact(address) => address.to_string(),
        other => format!("{other:?}"),
    };
    let PortMatch::Exact(port) = expect.destination_port else { panic!("{expect:?}") };
    let helper = expect.helper.map(|name| format!(" {name}")).unwrap_or_default();
    let many = if expect.lifetime == Lifetime::Permanent { " many" } else { "" };
    format!("{protocol} {source} {}{helper}{many}", SocketAddr::new(expect.destination, port))
}

fn of(wire: &Wire) -> Vec<String> {
    expected(wire.noted.iter().map(|noted| &noted.action))
}

/// A conn of datagrams.
struct Datagrams {
    reader: Reader,
    actions: Vec<Action>,
}

impl Datagrams {
    fn open(client: &str, server: &str, policy: Policy) -> Self {
        let mut master = master(client, server);
        master.protocol = Protocol::UDP;
        Self { reader: Reader::new(&Ras, master, policy, Pickup::Strict), actions: Vec::new() }
    }

    fn say(&mut self, from: Direction, datagram: &[u8]) -> Vec<Action> {
        let mut actions = Vec::new();
        self.reader.datagram(Time(1), from, datagram, &mut actions);
        self.actions.extend(actions.iter().cloned());
        actions
    }

    fn refusals(&self) -> Vec<Refusal> {
        let reason = |a: &Action| if let Action::Refuse(reason, _) = a { Some(*reason) } else { None };
        self.actions.iter().filter_map(reason).collect()
    }
}

/// Runs call signalling.
fn call(said: &[Said<'_>]) -> Wire {
    run(&Q931, CALLER, CALLED, said)
}

/// Runs a control conn that the caller has opened.
fn control(said: &[Said<'_>]) -> Wire {
    run(&H245, "10.0.0.1:40001", "192.0.2.2:30000", said)
}

/// Helpers that read streams, for what holds for both.
const STREAMS: [&dyn Helper; 2] = [&Q931, &H245];

/// Handles that were cancelled.
fn cancelled(wire: &Wire) -> Vec<Handle> {
    let handle = |a: &Action| if let Action::Cancel(handle) = a { Some(*handle) } else { None };
    wire.noted.iter().filter_map(|noted| handle(&noted.action)).collect()
}

/// Spans told to the NAT half, with the bytes of `stream` there.
fn located<'s>(actions: &[Action], stream: &'s [u8]) -> Vec<(Option<End>, Field, &'s [u8])> {
    let bytes = |span: &Span| &stream[span.start as usize..span.end as usize];
    let place = |action: &Action| match action {
        Action::Locate(_, span, field) => Some((None, *field, bytes(span))),
        Action::Mention(end, span, field) => Some((Some(*end), *field, bytes(span))),
        _ => None,
    };
    actions.iter().filter_map(place).collect()
}
