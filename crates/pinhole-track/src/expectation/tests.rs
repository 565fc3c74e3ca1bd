//! The expectation table against a plain list.

use super::table::Expectations;
use super::{EndCause, ExpectationId, Request};
use crate::{ConnId, Tuple};
use pinhole_helper::{AddressMatch, Class, Expect, Lifetime, Name, PortMatch, Refusal, Span};
use pinhole_wire::{IpVersion, Protocol, Time};
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr};

const MAX: usize = 6;
const CLASS_MAX: usize = 2;
const PER_ANNOUNCER: usize = 4;

fn host(number: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, number).into()
}

fn address_match() -> impl Strategy<Value = AddressMatch> {
    prop_oneof![
        Just(AddressMatch::Any),
        (0..8_u8).prop_map(|number| AddressMatch::Exact(host(number))),
        (0..8_u8, 28..=32_u8).prop_map(|(number, length)| AddressMatch::Prefix(host(number), length)),
    ]
}

fn port_match() -> impl Strategy<Value = PortMatch> {
    prop_oneof![
        1 => Just(PortMatch::Any),
        6 => (0..10_u16).prop_map(PortMatch::Exact),
        2 => (0..10_u16, 0..3_u16).prop_map(|(first, more)| PortMatch::Range(first, first + more)),
    ]
}

fn expects() -> impl Strategy<Value = Expect> {
    (address_match(), port_match(), 0..2_u8, port_match(), any::<bool>(), 0..2_u8, any::<bool>(), 1..50_u32)
        .prop_map(
            |(source, source_port, destination, destination_port, permanent, class, active, timeout)| {
                Expect {
                    class,
                    protocol: Protocol::TCP,
                    source,
                    source_port: if class == 0 { PortMatch::Any } else { source_port },
                    destination: host(destination),
                    destination_port,
                    lifetime: if permanent { Lifetime::Permanent } else { Lifetime::OneShot },
                    active,
                    group: None,
                    timeout: Some(timeout),
                    helper: None,
                    span: Span::default(),
                }
            },
        )
}

#[derive(Clone, Debug)]
enum Action {
    Enter(u32, Vec<Expect>),
    Hit { source: u8, source_port: u16, destination: u8, destination_port: u16 },
    Activate(u64),
    Cancel(u64),
    Extend(u64, u32),
    Aim(u64, AddressMatch),
    MasterGone(u32),
    Wait(u64),
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let action = prop_oneof![
        5 => (0..3_u32, prop::collection::vec(expects(), 1..3)).prop_map(|(m, e)| Action::Enter(m, e)),
        5 => (0..8_u8, 0..12_u16, 0..2_u8, 0..12_u16).prop_map(|(source, source_port, destination, destination_port)|
            Action::Hit { source, source_port, destination, destination_port }),
        1 => (1..30_u64).prop_map(Action::Activate),
        1 => (1..30_u64).prop_map(Action::Cancel),
        1 => (1..30_u64, 0..40_u32).prop_map(|(id, seconds)| Action::Extend(id, seconds)),
        1 => (1..30_u64, address_match()).prop_map(|(id, source)| Action::Aim(id, source)),
        1 => (0..3_u32).prop_map(Action::MasterGone),
        1 => (0..20_u64).prop_map(Action::Wait),
    ];
    prop::collection::vec(action, 1..80)
}

/// Ports and addresses as sets, spelled out.
fn port_set(of: PortMatch) -> Vec<bool> {
    (0..=13_u16)
        .map(|port| match of {
            PortMatch::Any => true,
            PortMatch::Exact(exact) => port == exact,
            PortMatch::Range(first, last) => (first..=last).contains(&port),
        })
        .collect()
}

fn source_set(of: AddressMatch) -> Vec<bool> {
    // All hosts that any prefix of the test covers, and one beyond.
    (0..=17_u8)
        .map(|number| match of {
            AddressMatch::Any => true,
            AddressMatch::Exact(ip) => ip == host(number),
            AddressMatch::Prefix(IpAddr::V4(ip), length) => {
                let bits = 32 - u32::from(length);
                let own = u64::from(u32::from_be_bytes([10, 0, 0, number])) >> bits;
                own == u64::from(u32::from(ip)) >> bits
            }
            AddressMatch::Prefix(..) => false,
        })
        .collect()
}

fn meet(a: &[bool], b: &[bool]) -> bool {
    a.iter().zip(b).any(|(&a, &b)| a && b)
}

struct Listed {
    id: ExpectationId,
    master: u32,
    expect: Expect,
    deadline: u64,
    active: bool,
}

fn overlap(a: &Expect, b: &Expect) -> bool {
    a.destination == b.destination
        && meet(&port_set(a.destination_port), &port_set(b.destination_port))
        && meet(&port_set(a.source_port), &port_set(b.source_port))
        && meet(&source_set(a.source), &source_set(b.source))
}

fn same(a: &Expect, b: &Expect) -> bool {
    a.destination == b.destination
        && port_set(a.destination_port) == port_set(b.destination_port)
        && port_set(a.source_port) == port_set(b.source_port)
        && source_set(a.source) == source_set(b.source)
}

fn conn(index: u32) -> ConnId {
    ConnId { index, generation: 0 }
}

/// Of the masters 0, 1, …, the first announced the second.
fn parent(master: u32) -> Option<u32> {
    (master == 1).then_some(0)
}

/// Enters one by one into a copy; the copy counts only if all went well.
fn enter(list: &[Listed], master: u32, expects: &[Expect]) -> Result<Vec<ExpectationId>, Refusal> {
    let mut clash = expects.iter().enumerate().any(|(n, a)| expects[..n].iter().any(|b| overlap(a, b)));
    let mut kept: Vec<&Listed> = Vec::new();
    for other in list {
        let in_the_way: Vec<_> = expects.iter().filter(|expect| overlap(expect, &other.expect)).collect();
        clash |= in_the_way.iter().any(|e| {
            ![Some(master), parent(master)].contains(&Some(other.master))
                || other.expect.class != e.class
                || !same(e, &other.expect)
        });
        if in_the_way.is_empty() {
            kept.push(other);
        }
    }
    if clash {
        return Err(Refusal::Clash);
    }
    for class in 0..2 {
        let wanted = expects.iter().filter(|expect| expect.class == class).count();
        if wanted > CLASS_MAX {
            return Err(Refusal::Limit);
        }
        while wanted > 0
            && kept.iter().filter(|o| o.master == master && o.expect.class == class).count() + wanted
                > CLASS_MAX
        {
            let oldest = kept.iter().position(|o| o.master == master && o.expect.class == class).unwrap();
            kept.remove(oldest);
        }
    }
    let too_many_of_one = |host: IpAddr| {
        let kept = kept.iter().filter(|other| other.expect.destination == host).count();
        kept + expects.iter().filter(|expect| expect.destination == host).count() > PER_ANNOUNCER
    };
    if kept.len() + expects.len() > MAX || expects.iter().any(|expect| too_many_of_one(expect.destination)) {
        return Err(Refusal::Limit);
    }
    Ok(kept.into_iter().map(|other| other.id).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn behaves_as_a_list(actions in actions()) {
        let mut table = Expectations::new(MAX as u32, PER_ANNOUNCER as u32);
        let mut list: Vec<Listed> = Vec::new();
        let mut now = Time(0);
        for action in actions {
            match action {
                Action::Wait(seconds) => {
                    now = now.plus_seconds(seconds);
                    table.expire(now, usize::MAX);
                    list.retain(|listed| listed.deadline > now.0);
                }
                Action::Enter(master, expects) => {
                    let class = Class { name: Name::new(""), max: CLASS_MAX as u8, timeout: 1 };
                    let requests: Vec<_> =
                        expects.iter().map(|expect| Request::new(expect.clone(), class, 0)).collect();
                    let id = conn(master);
                    let entered = table.enter(now, (id, parent(master).map(conn)), 0, &requests);
                    match enter(&list, master, &expects) {
                        Err(refusal) => prop_assert_eq!(entered, Err(refusal)),
                        Ok(kept) => {
                            list.retain(|listed| kept.contains(&listed.id));
                            for (id, expect) in entered.unwrap().into_iter().zip(expects) {
                                let deadline = now.plus_seconds(u64::from(expect.timeout.unwrap())).0;
                                list.push(Listed { id, master, active: expect.active, expect, deadline });
                            }
                        }
                    }
                }
                Action::Hit { source, source_port, destination, destination_port } => {
                    let tuple = Tuple {
                        source: host(source).into(),
                        destination: host(destination).into(),
                        source_port,
                        destination_port,
                        protocol: Protocol::TCP,
                        version: IpVersion::V4,
                        zone: 0,
                    };
                    let found = table.find(now, &tuple, |_| true).map(|expectation| expectation.id);
                    let expected = list.iter().position(|listed| {
                        listed.active
                            && listed.expect.destination == host(destination)
                            && port_set(listed.expect.destination_port)[usize::from(destination_port)]
                            && port_set(listed.expect.source_port)[usize::from(source_port)]
                            && source_set(listed.expect.source)[usize::from(source)]
                    });
                    prop_assert_eq!(found, expected.map(|position| list[position].id));
                    if let Some(position) = expected {
                        prop_assert!(table.fulfil(now, list[position].id));
                        if list[position].expect.lifetime == Lifetime::OneShot {
                            list.remove(position);
                        }
                    }
                }
                Action::Activate(id) => {
                    let listed = list.iter_mut().find(|listed| listed.id.0 == id);
                    prop_assert_eq!(table.activate(ExpectationId(id)), listed.is_some());
                    if let Some(listed) = listed {
                        listed.active = true;
                    }
                }
                Action::Aim(id, source) => {
                    let aimed = list.iter().find(|listed| listed.id.0 == id);
                    let aimed = aimed.map(|listed| Expect { source, ..listed.expect.clone() });
                    let is_free = |expect: &Expect| {
                        !list.iter().any(|other| other.id.0 != id && overlap(&other.expect, expect))
                    };
                    let aimed = aimed.filter(is_free);
                    prop_assert_eq!(table.aim(ExpectationId(id), source).is_ok(), aimed.is_some());
                    if let (Some(expect), Some(listed)) =
                        (aimed, list.iter_mut().find(|listed| listed.id.0 == id))
                    {
                        listed.expect = expect;
                    }
                }
                Action::Extend(id, seconds) => {
                    let listed = list.iter_mut().find(|listed| listed.id.0 == id);
                    prop_assert_eq!(table.extend(now, ExpectationId(id), seconds), listed.is_some());
                    if let Some(listed) = listed {
                        listed.deadline = now.plus_seconds(u64::from(seconds)).0;
                    }
                    table.expire(now, usize::MAX);
                    list.retain(|listed| listed.deadline > now.0);
                }
                Action::Cancel(id) => {
                    let before = list.len();
                    list.retain(|listed| listed.id.0 != id);
                    prop_assert_eq!(table.remove(ExpectationId(id), EndCause::Cancelled), list.len() < before);
                }
                Action::MasterGone(master) => {
                    table.master_gone(ConnId { index: master, generation: 0 });
                    list.retain(|listed| listed.master != master);
                }
            }
            let ids: Vec<_> = table.iter().map(|expectation| expectation.id).collect();
            prop_assert_eq!(ids, list.iter().map(|listed| listed.id).collect::<Vec<_>>());
            prop_assert_eq!(table.next_due().map(|due| due.0), list.iter().map(|listed| listed.deadline).min());
        }
        for master in 0..3 {
            table.master_gone(ConnId { index: master, generation: 0 });
        }
        prop_assert!(table.is_empty());
        prop_assert!(table.next_due().is_none());
    }
}
