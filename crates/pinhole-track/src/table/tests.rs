//! Index, wheel and entries against the obvious.

use super::entry::Entry;
use super::index::Index;
use super::wheel::{Link, Parked, Wheel};
use crate::key::Oriented;
use crate::l4::{L4, Udp};
use crate::{Status, Tuple};
use pinhole_wire::{Address, Direction, IpVersion, Protocol, Time};
use proptest::prelude::*;
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};

#[derive(Clone, Copy, Debug)]
enum Change {
    Insert(u32),
    Remove(usize),
}

fn tag() -> impl Strategy<Value = u32> {
    // Few homes and few tags: long runs, wrapping at the end, equal tags.
    prop_oneof![
        (0..4_u32, 0..3_u32).prop_map(|(low, high)| low.wrapping_sub(2) & 0xffff | high << 30),
        any::<u32>()
    ]
}

proptest! {
    #[test]
    fn the_index_finds_what_is_in_it(changes in prop::collection::vec(
        prop_oneof![2 => tag().prop_map(Change::Insert), 1 => any::<usize>().prop_map(Change::Remove)], 1..300)) {
        let mut index = Index::with_capacity(0);
        let mut held: Vec<(u32, u32)> = Vec::new();
        for (number, change) in changes.into_iter().enumerate() {
            match change {
                Change::Insert(tag) => {
                    index.insert(tag, number as u32);
                    held.push((tag, number as u32));
                }
                Change::Remove(_) if held.is_empty() => {}
                Change::Remove(which) => {
                    let (tag, conn) = held.swap_remove(which % held.len());
                    prop_assert!(index.remove(tag, conn));
                    prop_assert!(!index.remove(tag, conn));
                    prop_assert_eq!(index.find(tag, |other| other == conn), None);
                }
            }
            for &(tag, conn) in &held {
                prop_assert_eq!(index.find(tag, |other| other == conn), Some(conn));
            }
        }
        let near: BTreeSet<u32> = index.near(7, usize::MAX).collect();
        prop_assert_eq!(near, held.iter().map(|&(_, conn)| conn).collect::<BTreeSet<_>>());
    }
}

#[derive(Default)]
struct Things(Vec<(Link, u16)>);

impl Parked for Things {
    fn link(&mut self, index: u32) -> &mut Link {
        &mut self.0[index as usize].0
    }
    fn slot(&mut self, index: u32) -> &mut u16 {
        &mut self.0[index as usize].1
    }
}

#[derive(Clone, Copy, Debug)]
enum Move {
    Park { after: u64 },
    Later { which: usize, by: u64 },
    Sooner { which: usize, by: u64 },
    Remove(usize),
    Advance { by: u64, budget: usize },
    Back(u64),
}

fn span() -> impl Strategy<Value = u64> {
    (0..54_u32).prop_flat_map(|bits| 0..=1_u64 << bits)
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let any_move = prop_oneof![
        4 => span().prop_map(|after| Move::Park { after }),
        2 => (any::<usize>(), span()).prop_map(|(which, by)| Move::Later { which, by }),
        2 => (any::<usize>(), span()).prop_map(|(which, by)| Move::Sooner { which, by }),
        1 => any::<usize>().prop_map(Move::Remove),
        4 => (span(), 0..20_usize).prop_map(|(by, budget)| Move::Advance { by, budget }),
        1 => span().prop_map(Move::Back),
    ];
    prop::collection::vec(any_move, 1..200)
}

const TICK: u64 = 1 << 27;

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    /// Everything comes out, never before its deadline and, given budget, at most a tick after it.
    #[test]
    fn the_wheel_equals_a_heap(moves in moves(), start in span()) {
        let mut wheel = Wheel::new();
        let mut things = Things::default();
        let mut deadlines: HashMap<u32, u64> = HashMap::new();
        let mut now = start;
        // While time is behind what it was, nothing is promised.
        let mut latest = start;
        let pick = |deadlines: &HashMap<u32, u64>, which: usize| {
            let mut living: Vec<u32> = deadlines.keys().copied().collect();
            living.sort_unstable();
            (!living.is_empty()).then(|| living[which % living.len()])
        };
        for step in moves.into_iter().chain([Move::Advance { by: 1 << 62, budget: 10_000 }]) {
            match step {
                Move::Park { after } => {
                    let index = things.0.len() as u32;
                    things.0.push(Default::default());
                    wheel.park(&mut things, index, Time(now + after));
                    deadlines.insert(index, now + after);
                }
                Move::Later { which, by } => {
                    let Some(index) = pick(&deadlines, which) else { continue };
                    *deadlines.get_mut(&index).unwrap() += by;
                }
                Move::Sooner { which, by } => {
                    let Some(index) = pick(&deadlines, which) else { continue };
                    let deadline = deadlines.get_mut(&index).unwrap();
                    *deadline = deadline.saturating_sub(by);
                    wheel.hasten(&mut things, index, Time(*deadline));
                }
                Move::Remove(which) => {
                    let Some(index) = pick(&deadlines, which) else { continue };
                    deadlines.remove(&index);
                    wheel.remove(&mut things, index);
                }
                Move::Back(by) => now = now.saturating_sub(by),
                Move::Advance { by, mut budget } => {
                    now += by;
                    latest = latest.max(now);
                    let mut exhausted = true;
                    while budget > 0 {
                        let Some(index) = wheel.pop_due(&mut things, Time(now)) else {
                            exhausted = false;
                            break;
                        };
                        budget -= 1;
                        let deadline = deadlines[&index];
                        if deadline <= now {
                            deadlines.remove(&index);
                        } else {
                            wheel.park(&mut things, index, Time(deadline));
                        }
                    }
                    let heap: BinaryHeap<_> = deadlines.values().map(|&deadline| Reverse(deadline)).collect();
                    let first = heap.peek().map(|first| first.0);
                    if !exhausted && now == latest {
                        prop_assert!(first.is_none_or(|first| first + TICK > now), "{first:?} at {now}");
                    }
                    match (first, wheel.next_due()) {
                        (None, None) => {}
                        (Some(first), Some(next)) => prop_assert!(next.0 <= first.max(latest) + TICK),
                        other => prop_assert!(false, "{other:?}"),
                    }
                }
            }
        }
        prop_assert!(deadlines.is_empty());
        prop_assert!(wheel.next_due().is_none());
    }
}

/// A UDP tuple of few addresses and ports, so that two of them are often alike.
fn tuple() -> impl Strategy<Value = Tuple> {
    (0..3_u8, 0..3_u8, 0..3_u16, 0..3_u16, 0..2_u16).prop_map(
        |(source, destination, source_port, destination_port, zone)| Tuple {
            source: Address::v4([10, 0, 0, source]),
            destination: Address::v4([10, 0, 0, destination]),
            source_port,
            destination_port,
            protocol: Protocol::UDP,
            version: IpVersion::V4,
            zone,
        },
    )
}

proptest! {
    #[test]
    fn a_translated_conn_of_ipv4_leads_its_packets_and_no_others(original in tuple(), reply in tuple(), packet in tuple(),
        kept in 0..10_u32, status in any::<u16>()) {
        let (first, answer) = (Oriented::of(&original).unwrap(), Oriented::of(&Tuple { zone: original.zone, ..reply }).unwrap());
        prop_assume!(first != answer && !first.key.is_its_own_inverse());
        let mut entry = Entry::new(first, L4::Udp(Udp::open(Time(0))), Time(0));
        entry.insert_status(Status::from_bits_truncate(status.into()));
        prop_assert_eq!((entry.reply_v4(), entry.kept()), (None, None));
        prop_assert!(entry.is_keyed(&first.key) && !entry.keep(Some(1)));
        entry.set_reply_v4(Some(&answer));
        prop_assert_eq!((entry.original(), entry.reply_v4()), (first, Some(answer)));

        let bears = Oriented::of(&packet).unwrap();
        let expected = if bears == first {
            Some((Direction::Original, answer))
        } else if bears == answer {
            Some((Direction::Reply, first))
        } else {
            None
        };
        let expected = expected.map(|(direction, other)| (direction, other.inverse().ends_v4()));
        for packet in [bears, first, answer] {
            let led = entry.leads_v4(&packet);
            prop_assert_eq!(led.is_some(), packet == first || packet == answer);
            prop_assert!(packet != bears || led == expected);
        }

        prop_assert_eq!(entry.keep(Some(kept)), kept < 7);
        prop_assert_eq!(entry.kept(), Some(kept).filter(|&kept| kept < 7));
        prop_assert_eq!((entry.original(), entry.reply_v4()), (first, Some(answer)));
        entry.set_reply_v4(None);
        prop_assert!(entry.is_keyed(&first.key) && entry.kept().is_none());
    }
}
