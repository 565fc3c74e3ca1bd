//! The pool against a plain set, which tries every port in turn.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn naive(used: &BTreeSet<u16>, request: &Request) -> Option<u16> {
    let Request { wish, range, parity, order, start } = *request;
    let free = |port: &u16| !used.contains(port);
    let mut all: Vec<u16> = (range.first..=range.last).collect();
    if order == Order::Preserve && all.contains(&wish) && free(&wish) {
        return Some(wish);
    }
    if all.is_empty() {
        return None;
    }
    let middle = usize::from(start) % all.len();
    all.rotate_left(middle);
    all.into_iter().filter(|port| parity == Parity::Any || port & 1 == wish & 1).find(free)
}

#[derive(Clone, Debug)]
enum Step {
    Take(Request),
    Reserve(u16),
    Release(u16),
    /// Gives back the n-th port in use.
    ReleaseUsed(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let range = prop_oneof![
        Just((1024, 65535)),
        Just((0, 65535)),
        Just((600, 1023)),
        Just((65535, 65535)),
        Just((0, 0)),
        (0u16..400, 0u16..400),
        (65000u16.., 65000u16..),
        any::<(u16, u16)>(),
    ];
    let near = prop_oneof![0u16..400, 65000u16.., any::<u16>()];
    let request = (near.clone(), range, any::<(bool, bool, u16)>()).prop_map(
        |(wish, (first, last), (same, preserve, start))| Request {
            wish,
            range: PortRange { first, last },
            parity: if same { Parity::Same } else { Parity::Any },
            order: if preserve { Order::Preserve } else { Order::Any },
            start,
        },
    );
    prop_oneof![
        6 => request.prop_map(Step::Take),
        3 => near.clone().prop_map(Step::Reserve),
        1 => near.prop_map(Step::Release),
        2 => any::<usize>().prop_map(Step::ReleaseUsed),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn pool_is_a_set(
        blocks in prop::collection::vec((any::<u16>(), 0u16..3000), 0..8),
        steps in prop::collection::vec(step(), 0..300),
    ) {
        let mut pool = PortPool::default();
        let mut used = BTreeSet::new();
        for (first, length) in blocks {
            for port in first..=first.saturating_add(length) {
                prop_assert_eq!(pool.reserve(port), used.insert(port));
            }
        }
        for step in steps {
            match step {
                Step::Take(request) => {
                    let expected = naive(&used, &request);
                    used.extend(expected);
                    prop_assert_eq!(pool.take(&request).ok(), expected);
                }
                Step::Reserve(port) => prop_assert_eq!(pool.reserve(port), used.insert(port)),
                Step::Release(port) => prop_assert_eq!(pool.release(port), used.remove(&port)),
                Step::ReleaseUsed(index) => {
                    let port = used.iter().nth(index % used.len().max(1)).copied();
                    if let Some(port) = port {
                        prop_assert_eq!(pool.release(port), used.remove(&port));
                    }
                }
            }
            prop_assert_eq!(pool.len() as usize, used.len());
        }
        for port in &used {
            prop_assert!(pool.release(*port));
        }
        prop_assert!(pool.is_empty());
    }
}

#[test]
fn every_port_once_and_then_exhausted() {
    for parity in [Parity::Any, Parity::Same] {
        let mut pool = PortPool::default();
        let request =
            Request { wish: 5000, range: default_range(5000), parity, order: Order::Preserve, start: 777 };
        let mut seen = BTreeSet::new();
        while let Ok(port) = pool.take(&request) {
            assert!(seen.insert(port), "{port} twice");
        }
        assert_eq!(seen.len(), if parity == Parity::Any { 64512 } else { 32256 });
        assert!(pool.release(40000));
        assert_eq!(pool.take(&request), Ok(40000));
        assert_eq!(pool.take(&request), Err(Exhausted));
    }
}

#[test]
fn classes_of_netfilter() {
    let range = |port| (default_range(port).first, default_range(port).last);
    assert_eq!([0, 1, 511].map(range), [(1, 511); 3]);
    assert_eq!([512, 600, 1023].map(range), [(600, 1023); 3]);
    assert_eq!([1024, 65535].map(range), [(1024, 65535); 2]);
}

#[test]
fn blocks_divide_a_range() {
    let range = PortRange { first: 1024, last: 65535 };
    assert_eq!(block(range, 512, 0), Some(PortRange { first: 1024, last: 1535 }));
    assert_eq!(block(range, 512, 125), Some(PortRange { first: 65024, last: 65535 }));
    assert_eq!((block(range, 512, 126), block(range, 0, 0)), (None, None));
    assert_eq!(block(range, 1000, 64), None);
    assert_eq!(block(range, 65535, 65535), None);
}
