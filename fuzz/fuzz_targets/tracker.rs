//! Conns of all protocols and what may be done to them, with tables so small that their limits are reached.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pinhole_fuzz::conversation::host;
use pinhole_fuzz::reader::Fields;
use pinhole_fuzz::traffic::Traffic;
use pinhole_helper::{AddressMatch, Class, Expect, GroupRule, Lifetime, Name, PortMatch, Span};
use pinhole_track::{ConnId, Request, Settings, State, Status, Tracker};
use pinhole_wire::{Packet, Protocol, Time, link};

const CLASS: Class = Class { name: Name::new("data"), max: 3, timeout: 300 };

fuzz_target!(|input: &[u8]| {
    let Some((choices, input)) = input.split_first_chunk::<64>() else { return };
    let mut choices = choices.iter().cycle().copied();
    let mut tracker = Tracker::new(settings(), [1, 2]);
    let mut now = Time::default();
    for arrival in Traffic::new(input) {
        now = arrival.time;
        let Ok(network) = link::strip(arrival.link, &arrival.bytes) else { continue };
        let Ok(packet) = Packet::parse(&arrival.bytes, network.offset) else { continue };
        track(&mut tracker, now, &packet, &arrival.bytes, choices.next().unwrap_or(0), &mut choices);
        tracker.advance(now, 4);
        check(&mut tracker);
    }
    // After two months of silence nothing is left.
    let later = now.plus_seconds(60 * 86_400);
    while tracker.advance(later, 64) {}
    check(&mut tracker);
    assert!(tracker.is_empty(), "{} conns outlive their timeouts", tracker.len());
    assert_eq!(tracker.expectations().count(), 0);
    assert_eq!(tracker.next_deadline(), None);
});

fn settings() -> Settings {
    Settings {
        max_conns: 6,
        max_expectations: 5,
        max_expectations_per_source: 4,
        max_events: 64,
        ..Settings::default()
    }
}

fn track(
    tracker: &mut Tracker,
    now: Time,
    packet: &Packet,
    bytes: &[u8],
    choice: u8,
    choices: &mut impl Iterator<Item = u8>,
) {
    let mut prepared = tracker.prepare(packet, bytes, u16::from(choice & 1));
    tracker.touch(&mut prepared);
    let Ok(tracked) = tracker.track(now, packet, bytes, &prepared) else { return };
    assert_eq!(tracked.invalid.is_some(), tracked.state == State::Invalid);
    assert!(tracked.state != State::Invalid || tracked.conn.is_none());
    let Some(conn) = tracked.conn else { return };
    if tracked.created && !tracked.icmp_error {
        if choice & 0xe0 == 0xe0 {
            tracker.abandon(conn);
            assert!(tracker.status(conn).is_none());
            return;
        }
        tracker.confirm(now, conn);
    }
    match choice >> 1 & 15 {
        0 => expect(tracker, now, conn, choices),
        1 => tracker.set_mark(conn, u32::from(choice)),
        2 => tracker.attach_helper(conn, u16::from(choice)),
        3 => tracker.set_session(conn, Some(u32::from(choice))),
        4 => {
            tracker.delete(now, conn);
            assert!(tracker.status(conn).is_none_or(|status| status.contains(Status::DYING)));
        }
        5 => tracker.set_labels(conn, [choice; 16]),
        6 => cancel(tracker, now),
        7 if choice & 0xc0 == 0 => tracker.flush(now, Some(0)),
        _ => {}
    }
}

fn expect(tracker: &mut Tracker, now: Time, master: ConnId, choices: &mut impl Iterator<Item = u8>) {
    let mut bytes = [0; 8];
    bytes.fill_with(|| choices.next().unwrap_or(0));
    let mut fields = Fields(&bytes);
    let count = fields.byte().unwrap_or(0) & 1;
    let requests: Vec<Request> = (0..=count).filter_map(|_| request(&mut fields)).collect();
    if let Ok(ids) = tracker.expect(now, master, &requests) {
        assert_eq!(ids.len(), requests.len());
        assert!(ids.iter().all(|&id| tracker.expectation(id).is_some_and(|e| e.master == master)));
    }
}

fn request(fields: &mut Fields<'_>) -> Option<Request> {
    let [first, second] = fields.word()?.to_be_bytes();
    let six = first & 1 != 0;
    let expect = Expect {
        class: 0,
        protocol: if first & 2 == 0 { Protocol::TCP } else { Protocol::UDP },
        source: match first >> 2 & 3 {
            0 => AddressMatch::Exact(host(six, 1)),
            1 => AddressMatch::Exact(host(six, 2)),
            2 => AddressMatch::Prefix(host(six, 0), second),
            _ => AddressMatch::Any,
        },
        source_port: if first & 16 == 0 { PortMatch::Any } else { PortMatch::Exact(20) },
        destination: host(six, 1 + (first >> 5 & 1)),
        destination_port: match second & 3 {
            0 => PortMatch::Range(49_999, 50_000 + u16::from(second)),
            1 => PortMatch::Any,
            _ => PortMatch::Exact(50_000),
        },
        lifetime: if second & 4 == 0 { Lifetime::OneShot } else { Lifetime::Permanent },
        active: second & 8 == 0,
        group: match second >> 4 & 3 {
            0 => Some((1, GroupRule::Independent)),
            1 => Some((1, GroupRule::FirstHitCancels)),
            _ => None,
        },
        timeout: (second & 64 != 0).then_some(u32::from(second)),
        helper: None,
        span: Span { start: 0, end: 1 },
    };
    Some(Request::new(expect, CLASS, 0))
}

fn cancel(tracker: &mut Tracker, now: Time) {
    let first = tracker.expectations().next().map(|expectation| expectation.id);
    if let Some(id) = first {
        tracker.activate(id);
        assert!(tracker.cancel(now, id) && tracker.expectation(id).is_none());
    }
}

fn check(tracker: &mut Tracker) {
    let limits = settings();
    assert!(tracker.len() <= limits.max_conns as usize);
    assert!(tracker.expectations().count() <= limits.max_expectations as usize);
    // An expectation dies with its master.
    assert!(tracker.expectations().all(|expectation| tracker.status(expectation.master).is_some()));
    while tracker.next_event().is_some() {}
    while tracker.take_dead().is_some() {}
}
