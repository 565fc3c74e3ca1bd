//! States of some engines as those of another number of engines: a conn goes where its first master's original tuple leads, with all that hangs on it.
//!
//! Ids of conns are made different first. Those of expectations are so already: each of several engines counts from a place of its own
//! ([`expectations_from`]), and what is regrouped goes on behind all of them.

use super::State;
use pinhole_helper::Name;
use pinhole_track::{ConnId, SavedCall, Tuple};
use std::collections::HashMap;

/// Expectations that an engine numbers before it comes to the numbers of the next.
const SPAN: u32 = 40;

/// Expectations that no helper announced bear this number; it stays.
const NO_HELPER: u16 = u16::MAX;

/// Masters of masters that are looked for.
const DEEPEST: usize = 16;

/// Where the engine of this index among several begins to number expectations.
pub(crate) const fn expectations_from(index: usize) -> u64 {
    ((index as u64) << SPAN) + 1
}

/// Makes as many states of some, at least one. `home`: the engine to which a conn's original tuple leads.
pub fn regroup(states: Vec<State>, count: usize, home: impl Fn(&Tuple) -> usize) -> Vec<State> {
    let count = count.max(1);
    let Some(all) = states.into_iter().enumerate().map(|(index, state)| renamed(state, index)).reduce(joined)
    else {
        return Vec::new();
    };
    let known: HashMap<ConnId, (Option<ConnId>, Tuple)> =
        all.conns.iter().map(|record| (record.conn.id, (record.conn.master, record.conn.original))).collect();
    let place = |id: ConnId| {
        let mut first = id;
        for _ in 0..DEEPEST {
            match known.get(&first) {
                Some((Some(master), _)) if known.contains_key(master) => first = *master,
                _ => break,
            }
        }
        known.get(&first).map_or(0, |(_, original)| home(original) % count)
    };
    let beyond = (all.end.next_expectation >> SPAN) + 1;
    let mut groups: Vec<State> = (0..count as u64)
        .map(|index| State {
            head: all.head.clone(),
            conns: Vec::new(),
            origins: Vec::new(),
            calls: Vec::new(),
            end: super::End {
                next_expectation: match count {
                    1 => all.end.next_expectation,
                    _ => (beyond + index) << SPAN,
                },
            },
        })
        .collect();
    for record in all.conns {
        if let Some(group) = groups.get_mut(place(record.conn.id)) {
            group.conns.push(record);
        }
    }
    for origin in all.origins {
        if let Some(group) = groups.get_mut(place(origin.expectation.master)) {
            group.origins.push(origin);
        }
    }
    for call in all.calls {
        if let Some(group) = groups.get_mut(place(call.master)) {
            group.calls.push(call);
        }
    }
    groups
}

/// A state whose ids of conns are of this index alone.
fn renamed(mut state: State, index: usize) -> State {
    let renamed = |id: ConnId| ConnId { generation: id.generation.wrapping_add((index as u32) << 26), ..id };
    for record in &mut state.conns {
        record.conn.id = renamed(record.conn.id);
        record.conn.master = record.conn.master.map(renamed);
    }
    for origin in &mut state.origins {
        origin.expectation.master = renamed(origin.expectation.master);
    }
    let calls = std::mem::take(&mut state.calls);
    state.calls = calls.into_iter().map(|call| SavedCall { master: renamed(call.master), ..call }).collect();
    state
}

/// Both states as one. Numbers of helpers and timeout policies are those of the first, and behind them what it lacks.
fn joined(mut all: State, mut more: State) -> State {
    let helpers: Vec<u16> =
        more.head.helpers.iter().map(|name| number(&mut all.head.helpers, *name)).collect();
    let helper = |number: u16| match number {
        NO_HELPER => NO_HELPER,
        // What is wrong stays wrong, and is refused when it is restored.
        number => helpers.get(usize::from(number)).copied().unwrap_or(NO_HELPER - 1),
    };
    let policies = all.head.policies.len().saturating_sub(1) as u16;
    for record in &mut more.conns {
        record.conn.helper = record.conn.helper.map(helper);
        if record.conn.policy > 0 {
            record.conn.policy = record.conn.policy.saturating_add(policies);
        }
    }
    for origin in &mut more.origins {
        origin.expectation.helper = helper(origin.expectation.helper);
    }
    all.head.policies.extend(more.head.policies.into_iter().skip(1));
    all.head.saved = all.head.saved.max(more.head.saved);
    all.head.is_last &= more.head.is_last;
    all.head.draws = all.head.draws.max(more.head.draws);
    all.conns.append(&mut more.conns);
    all.origins.append(&mut more.origins);
    all.calls.append(&mut more.calls);
    all.end.next_expectation = all.end.next_expectation.max(more.end.next_expectation);
    all
}

fn number(helpers: &mut Vec<Name>, name: Name) -> u16 {
    let place = helpers.iter().position(|known| *known == name).unwrap_or_else(|| {
        helpers.push(name);
        helpers.len() - 1
    });
    u16::try_from(place).unwrap_or(NO_HELPER - 1)
}
