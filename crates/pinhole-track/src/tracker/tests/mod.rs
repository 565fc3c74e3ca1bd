//! The tracker, packet by packet.

mod calls;
mod conns;
mod end;
mod expectations;
mod icmp;
mod limits;
mod model;
mod translate;

use crate::{
    ConnId, DestroyCause, Event, ExpectationId, Invalid, Request, Settings, State, Tracked, Tracker,
};
use pinhole_helper::{AddressMatch, Class, Expect, Lifetime, Name, PortMatch, Span};
use pinhole_wire::{Direction, Packet, Protocol, Time};
use std::net::IpAddr;

pub(super) const FIN: u8 = 0x01;
pub(super) const SYN: u8 = 0x02;
pub(super) const ACK: u8 = 0x10;
pub(super) const RST: u8 = 0x04;

/// IPv4 or IPv6 header before a payload.
pub(super) fn ip(protocol: u8, source: &str, destination: &str, payload: &[u8]) -> Vec<u8> {
    match (source.parse().unwrap(), destination.parse().unwrap()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let mut bytes = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0];
            bytes[2..4].copy_from_slice(&(20 + payload.len() as u16).to_be_bytes());
            bytes.extend(source.octets());
            bytes.extend(destination.octets());
            bytes.extend(payload);
            bytes
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let mut bytes = vec![0x60, 0, 0, 0, 0, 0, protocol, 255];
            bytes[4..6].copy_from_slice(&(payload.len() as u16).to_be_bytes());
            bytes.extend(source.octets());
            bytes.extend(destination.octets());
            bytes.extend(payload);
            bytes
        }
        _ => panic!("mixed families"),
    }
}

fn ports(source: u16, destination: u16) -> Vec<u8> {
    [source.to_be_bytes(), destination.to_be_bytes()].concat()
}

pub(super) fn udp(source: (&str, u16), destination: (&str, u16)) -> Vec<u8> {
    let mut header = ports(source.1, destination.1);
    header.extend([0, 8, 0, 0]);
    ip(17, source.0, destination.0, &header)
}

pub(super) fn tcp(source: (&str, u16), destination: (&str, u16), flags: u8, seq: u32, ack: u32) -> Vec<u8> {
    let mut header = ports(source.1, destination.1);
    header.extend(seq.to_be_bytes());
    header.extend(ack.to_be_bytes());
    header.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    ip(6, source.0, destination.0, &header)
}

pub(super) fn icmp(source: &str, destination: &str, kind: u8, code: u8, id: u16, rest: &[u8]) -> Vec<u8> {
    let mut message = vec![kind, code, 0, 0];
    message.extend(id.to_be_bytes());
    message.extend([0, 0]);
    message.extend(rest);
    ip(if source.contains(':') { 58 } else { 1 }, source, destination, &message)
}

pub(super) const A: (&str, u16) = ("10.0.0.1", 1000);
pub(super) const B: (&str, u16) = ("10.0.0.2", 2000);
pub(super) const C: (&str, u16) = ("10.0.0.3", 3000);

/// A tracker, its clock, and a policy that accepts everything.
pub(super) struct Lab {
    pub(super) tracker: Tracker,
    pub(super) now: Time,
}

impl Lab {
    pub(super) fn new() -> Self {
        Self::with(Settings::default())
    }

    pub(super) fn with(settings: Settings) -> Self {
        Self { tracker: Tracker::new(settings, [1, 2]), now: Time::from_seconds(1_700_000_000) }
    }

    pub(super) fn wait(&mut self, seconds: u64) {
        self.now = self.now.plus_seconds(seconds);
    }

    pub(super) fn track_in_zone(&mut self, bytes: &[u8], zone: u16) -> Tracked {
        let packet = Packet::parse(bytes, 0).expect("test packets are well-formed");
        let mut prepared = self.tracker.prepare(&packet, bytes, zone);
        self.tracker.touch(&mut prepared);
        self.tracker.track(self.now, &packet, bytes, &prepared).expect("the table is not full")
    }

    pub(super) fn track(&mut self, bytes: &[u8]) -> Tracked {
        self.track_in_zone(bytes, 0)
    }

    /// Tracks a packet and confirms the conn that it may have created.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Tracked {
        let tracked = self.track(bytes);
        if tracked.created {
            assert!(self.tracker.confirm(self.now, tracked.conn.unwrap()));
        }
        tracked
    }

    pub(super) fn conn(&mut self, bytes: &[u8]) -> ConnId {
        self.send(bytes).conn.expect("belongs to a conn")
    }

    /// Lets everything that is due end.
    pub(super) fn settle(&mut self) {
        while self.tracker.advance(self.now, 100) {}
    }

    pub(super) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.tracker.next_event()).collect()
    }

    pub(super) fn ends(&mut self) -> Vec<(ConnId, DestroyCause)> {
        let end = |event| match event {
            Event::Destroy(conn, cause) => Some((conn.id, cause)),
            _ => None,
        };
        self.events().into_iter().filter_map(end).collect()
    }

    pub(super) fn expect_one(&mut self, master: ConnId, expect: Expect) -> ExpectationId {
        let ids = self.tracker.expect(self.now, master, &[request(expect)]).expect("admitted");
        ids[0]
    }
}

/// What `udp(A, B)` may announce: one conn from anywhere to a port of A.
pub(super) fn expect_to(destination: (&str, u16)) -> Expect {
    Expect {
        class: 0,
        protocol: Protocol::UDP,
        source: AddressMatch::Any,
        source_port: PortMatch::Any,
        destination: destination.0.parse().unwrap(),
        destination_port: PortMatch::Exact(destination.1),
        lifetime: Lifetime::OneShot,
        active: true,
        group: None,
        timeout: None,
        helper: None,
        span: Span::default(),
    }
}

pub(super) fn request(expect: Expect) -> Request {
    Request::new(expect, Class { name: Name::new("data"), max: 4, timeout: 60 }, 7)
}

pub(super) fn state(tracked: &Tracked) -> (State, Direction) {
    (tracked.state, tracked.direction)
}

pub(super) fn invalid(tracked: &Tracked) -> Option<Invalid> {
    assert_eq!(tracked.state == State::Invalid, tracked.invalid.is_some());
    if tracked.invalid.is_some() {
        assert!(tracked.conn.is_none() && !tracked.created);
    }
    tracked.invalid
}
