//! Random traffic against a table that is a plain map.

use super::*;
use crate::Counters;
use proptest::prelude::*;
use std::collections::HashMap;

/// What the model knows of a UDP conn.
#[derive(Clone, Copy)]
struct Known {
    start: u64,
    deadline: u64,
    replied: bool,
    counters: [Counters; 2],
}

#[derive(Clone, Copy, Debug)]
enum Action {
    Send { source: u16, destination: u16, drop: bool },
    Wait(u64),
    Advance(usize),
}

type Tuple = (u16, u16);

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let send = (0..6_u16, 0..6_u16, prop::bool::weighted(0.2))
        .prop_map(|(source, destination, drop)| Action::Send { source, destination, drop });
    let wait = prop_oneof![0..3_000_000_000_u64, 0..40_000_000_000_u64, Just(100_000_000_000_000_000)];
    let action = prop_oneof![
        6 => send,
        2 => wait.prop_map(Action::Wait),
        1 => (0..5_usize).prop_map(Action::Advance),
    ];
    prop::collection::vec(action, 1..200)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn udp_behaves_as_the_model(actions in actions(), max_conns in 40_u32..100) {
        let mut lab = Lab::with(Settings { max_conns, ..Settings::default() });
        let mut model: HashMap<Tuple, Known> = HashMap::new();
        for action in actions {
            match action {
                Action::Wait(nanos) => lab.now = lab.now.plus_nanos(nanos),
                Action::Advance(budget) => {
                    lab.tracker.advance(lab.now, budget);
                }
                Action::Send { source, destination, drop } => {
                    let tracked = lab.track(&udp((A.0, source), (A.0, destination)));
                    let now = lab.now.0;
                    model.retain(|_, known| known.deadline > now);
                    let (tuple, inverse) = ((source, destination), (destination, source));
                    let (key, direction) = if model.contains_key(&inverse) && (tuple == inverse || !model.contains_key(&tuple)) {
                        (inverse, Direction::Reply)
                    } else {
                        (tuple, Direction::Original)
                    };
                    prop_assert_eq!(tracked.direction, direction);
                    prop_assert_eq!(tracked.created, !model.contains_key(&key));
                    let known = model.entry(key).or_insert(Known {
                        start: now,
                        deadline: 0,
                        replied: false,
                        counters: Default::default(),
                    });
                    let established = known.replied || direction == Direction::Reply;
                    let expected = if established { State::Established } else { State::New };
                    prop_assert_eq!(tracked.state, expected);
                    let stream = known.replied && now - known.start > 2_000_000_000;
                    known.deadline = now + if stream { 120 } else { 30 } * 1_000_000_000;
                    known.replied |= direction == Direction::Reply;
                    known.counters[direction.index()].packets += 1;
                    known.counters[direction.index()].bytes += 28;
                    let id = tracked.conn.unwrap();
                    prop_assert_eq!(lab.tracker.counters(id), Some(known.counters));
                    if tracked.created && drop {
                        lab.tracker.abandon(id);
                        model.remove(&key);
                    } else if tracked.created {
                        prop_assert!(lab.tracker.confirm(lab.now, id));
                    }
                }
            }
            let living = model.values().filter(|known| known.deadline > lab.now.0).count();
            prop_assert!(lab.tracker.len() >= living);
        }
        lab.settle();
        model.retain(|_, known| known.deadline > lab.now.0);
        // The wheel may be a tick late.
        let late = lab.tracker.conns().filter(|&id| lab.tracker.timeout_left(id, lab.now) == Some(0)).count();
        prop_assert!(lab.tracker.len() - late <= model.len());
        lab.wait(1_000);
        lab.settle();
        prop_assert!(lab.tracker.is_empty());
        prop_assert_eq!(lab.tracker.conns().count(), 0);
    }
}
