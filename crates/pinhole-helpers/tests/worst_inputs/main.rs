//! Work grows with the bytes that come, and not faster: each parser's worst inputs, short and eight times as long. What they ask for, and what
//! is kept of them, is bounded.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap is the test's message")]

mod inputs;

use inputs::{Conn, INPUTS, Input};
use pinhole_helper::Helper;
use std::time::{Duration, Instant};

const SHORT: usize = 4 * 1024;
const LONG: usize = 32 * 1024;

/// Actions of one packet, the last of which may have filled a list.
const MOST_ACTIONS: usize = 1500;
/// Bytes of one conn: two streams and what a session remembers.
const MOST_MEMORY: usize = 512 * 1024;

/// The shortest of several times that an input takes.
fn time(helper: &dyn Helper, input: &Input, bytes: &[u8]) -> Duration {
    let once = |_| {
        let mut conn = Conn::open(helper, input);
        let start = Instant::now();
        conn.say(input, input.from, bytes);
        start.elapsed()
    };
    (0..15).map(once).min().unwrap()
}

#[test]
fn work_is_in_proportion_to_the_bytes() {
    let registry = pinhole_helpers::registry();
    for input in INPUTS {
        let Some(helper) = registry.iter().find(|helper| helper.spec().name == input.helper) else {
            continue;
        };
        let (short, long) = ((input.bytes)(SHORT), (input.bytes)(LONG));
        let grown = long.len() as f64 / short.len() as f64;
        let ratio = |(short, long): (Duration, Duration)| long.as_secs_f64() / short.as_secs_f64().max(2e-7);
        // A quadratic parser takes as many times longer again; a busy machine does not, every time.
        let ratios = (0..4).map(|_| ratio((time(helper, input, &short), time(helper, input, &long))));
        let least = ratios.fold(f64::INFINITY, f64::min);
        assert!(
            least < grown * 3.0 + 2.0,
            "{} {}: {least:.1} times for {grown:.1}",
            input.helper,
            input.name
        );
    }
}

#[test]
fn actions_and_memory_are_bounded() {
    let registry = pinhole_helpers::registry();
    for input in INPUTS {
        let Some(helper) = registry.iter().find(|helper| helper.spec().name == input.helper) else {
            continue;
        };
        let mut conn = Conn::open(helper, input);
        assert!(conn.is_reading(), "{} {}: not read at all", input.helper, input.name);
        conn.say(input, input.from, &(input.bytes)(60_000));
        let (actions, memory) = (conn.most_actions, conn.memory());
        assert!(actions < MOST_ACTIONS, "{} {}: {actions} actions", input.helper, input.name);
        assert!(memory < MOST_MEMORY, "{} {}: {memory} bytes", input.helper, input.name);
    }
}
