//! Measures the time goals of the packet path and says which of them are met: `cargo xtask bench --goals`.
//!
//! What is timed is the engine alone, from frames to outcomes, in batches of 32; writing the frames between them is not. All workloads take
//! turns, round by round, in short slices. The best slice and the median one are told: another program that takes the processor, or the
//! cache, for a while spoils slices and not the best. (A table cannot grow in slices: on a busy machine new conns look dearer than they are.)
//! `goals [ROUNDS]`, five unless told.
#![allow(clippy::unwrap_used, reason = "a developer's tool")]

#[allow(dead_code, reason = "each program uses its part")]
#[path = "../benches/workload/mod.rs"]
mod workload;

use pinhole_engine::Engine;
use std::time::Duration;
use workload::{BATCH, Frames, address, engine, nat, populated, populated_tcp, tcp_lives, udp_batches};

const ROUNDS: u32 = 5;
/// Slices a round, and batches a slice: less than a millisecond, so that some slices are whole even on a busy machine.
const SLICES: u32 = 128;
const SLICE: u64 = 128;
const HOT: u32 = 1;
const SMALL: u32 = 1 << 16;
const LARGE: u32 = 1 << 20;
/// As many as share one masquerade address and sixteen servers.
const MASQUERADED: u32 = 1_000_000;
/// Longer than any timeout of the workload's conns.
const LONG: u64 = 400 * 1_000_000_000;

/// One workload: a call is a slice of it, and returns what an item took.
struct Measured {
    item: String,
    goal: Goal,
    slice: Box<dyn FnMut() -> f64>,
    slices: u32,
    taken: Vec<f64>,
}

#[derive(Clone, Copy)]
enum Goal {
    Nanoseconds(f64),
    Microseconds(f64),
    /// At most so many times what the item before takes.
    Times(f64),
    None,
}

impl Measured {
    fn new(item: impl Into<String>, goal: Goal, slices: u32, slice: impl FnMut() -> f64 + 'static) -> Self {
        Self { item: item.into(), goal, slice: Box::new(slice), slices, taken: Vec::new() }
    }

    fn round(&mut self) {
        for _ in 0..self.slices {
            self.taken.push((self.slice)());
        }
    }

    /// The best slice and the median one.
    fn result(&mut self) -> [f64; 2] {
        self.taken.sort_by(f64::total_cmp);
        [self.taken[0], self.taken[self.taken.len() / 2]]
    }
}

fn main() {
    let rounds = std::env::args().nth(1).map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let mut all = vec![
        established(HOT, "one hot UDP conn", Goal::Nanoseconds(40.0)),
        established(SMALL, "64 K UDP conns", Goal::Nanoseconds(90.0)),
        established(LARGE, "1 M UDP conns", Goal::None),
        established_tcp(SMALL, "64 K TCP conns", 90.0),
        established_tcp(LARGE, "1 M TCP conns", 130.0),
        new_conns(SMALL, "up to 64 K", 250.0),
        new_conns(LARGE, "up to 1 M", 350.0),
        lives(SMALL, "64 K"),
        lives(LARGE, "1 M"),
        translated(SMALL, false, Goal::None),
        translated(SMALL, true, Goal::Times(1.25)),
        new_translated(),
        expiry(),
    ];
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        all.iter_mut().for_each(Measured::round);
    }
    println!("| item | best | median | goal | |\n| --- | --- | --- | --- | --- |");
    let mut before = [f64::MAX; 2];
    for measured in &mut all {
        let result = measured.result();
        tell(measured, result, before);
        before = result;
    }
    for (name, bytes) in [("UDP", memory(&populated(LARGE).0)), ("TCP", memory(&populated_tcp(LARGE).0))] {
        let met = judgement([bytes; 2], 192.0);
        println!("| memory of a {name} conn, of 1 M | {bytes:.1} bytes | | 192 bytes | {met} |");
    }
}

/// Prints a line of the table; `before` are the results of the line before.
fn tell(measured: &Measured, result: [f64; 2], before: [f64; 2]) {
    let (unit, scale, digits) = match measured.goal {
        Goal::Microseconds(_) => ("µs", 1000.0, 0),
        _ => ("ns", 1.0, 1),
    };
    let times = [result[0] / before[0], result[1] / before[1]];
    let [best, median] = [0, 1].map(|which| {
        let time = format!("{:.digits$} {unit}", result[which] / scale);
        match measured.goal {
            Goal::Times(_) => format!("{time}, × {:.2}", times[which]),
            _ => time,
        }
    });
    let (goal, met) = match measured.goal {
        Goal::Nanoseconds(most) | Goal::Microseconds(most) => {
            (format!("{most} {unit}"), judgement(result, most * scale))
        }
        Goal::Times(most) => (format!("× {most}"), judgement(times, most)),
        Goal::None => ("–".to_owned(), ""),
    };
    println!("| {} | {best} | {median} | {goal} | {met} |", measured.item);
}

fn judgement([best, median]: [f64; 2], most: f64) -> &'static str {
    match (best <= most, median <= most) {
        (true, true) => "met",
        (true, false) => "met at best",
        (false, _) => "missed",
    }
}

fn nanoseconds(frames: &mut Frames, items: u64) -> f64 {
    frames.spent.replace(Duration::ZERO).unwrap_or_default().as_nanos() as f64 / items as f64
}

fn memory(engine: &Engine) -> f64 {
    engine.tracker().memory() as f64 / engine.tracker().len() as f64
}

/// The order in which established conns get their packets.
fn scattered(conns: u32) -> impl Fn(u64) -> u32 {
    move |k| (k.wrapping_mul(2_654_435_761) % u64::from(conns)) as u32
}

fn established(conns: u32, name: &str, goal: Goal) -> Measured {
    let (mut engine, mut frames) = populated(conns);
    let mut first = 0;
    Measured::new(format!("packet, {name}"), goal, SLICES, move || {
        frames.spent = Some(Duration::ZERO);
        udp_batches(&mut engine, &mut frames, first, SLICE, false, scattered(conns));
        first += SLICE * BATCH as u64;
        nanoseconds(&mut frames, SLICE * BATCH as u64)
    })
}

fn established_tcp(conns: u32, name: &str, goal: f64) -> Measured {
    let (mut engine, mut frames) = populated_tcp(conns);
    let mut k = 0;
    Measured::new(format!("packet, {name}"), Goal::Nanoseconds(goal), SLICES, move || {
        frames.spent = Some(Duration::ZERO);
        for _ in 0..SLICE {
            for frame in &mut frames.buffers {
                address(frame, scattered(conns)(k), false, 0);
                k += 1;
            }
            frames.run(&mut engine, None);
        }
        nanoseconds(&mut frames, SLICE * BATCH as u64)
    })
}

/// The whole growth of a table, so that nothing that comes but now and then is left out.
fn new_conns(conns: u32, name: &str, goal: f64) -> Measured {
    Measured::new(format!("new conn, {name}"), Goal::Nanoseconds(goal), 1, move || {
        let (mut engine, mut frames) = (engine(conns), Frames::new(17));
        frames.spent = Some(Duration::ZERO);
        udp_batches(&mut engine, &mut frames, 0, u64::from(conns) / BATCH as u64, false, |k| k as u32);
        nanoseconds(&mut frames, conns.into())
    })
}

fn lives(conns: u32, name: &str) -> Measured {
    const LIVES: u64 = 1024;
    let (mut engine, _) = populated(conns);
    let mut frames = Frames::new(6);
    let mut first = 0u32;
    Measured::new(
        format!("TCP conn of six packets, beside {name}"),
        Goal::Nanoseconds(700.0),
        SLICES,
        move || {
            frames.spent = Some(Duration::ZERO);
            tcp_lives(&mut engine, &mut frames, first, LIVES, conns);
            first = first.wrapping_add(LIVES as u32);
            nanoseconds(&mut frames, LIVES)
        },
    )
}

fn translated(conns: u32, masquerades: bool, goal: Goal) -> Measured {
    let (mut engine, mut frames) = nat::populated(conns, masquerades);
    let mut first = 0;
    let name = if masquerades { "masqueraded" } else { "not translated" };
    Measured::new(format!("packet, 64 K UDP conns to 16 servers, {name}"), goal, SLICES, move || {
        frames.spent = Some(Duration::ZERO);
        nat::batches(&mut engine, &mut frames, first, SLICE, scattered(conns));
        first += SLICE * BATCH as u64;
        nanoseconds(&mut frames, SLICE * BATCH as u64)
    })
}

fn new_translated() -> Measured {
    let goal = Goal::Nanoseconds(450.0);
    Measured::new("new conn, masqueraded, up to 1 M on one address", goal, 1, || {
        let (mut engine, mut frames) = (nat::engine(MASQUERADED, true), Frames::new(17));
        frames.spent = Some(Duration::ZERO);
        let batches = u64::from(MASQUERADED) / BATCH as u64;
        nat::batches(&mut engine, &mut frames, 0, batches, |k| k as u32);
        nanoseconds(&mut frames, batches * BATCH as u64)
    })
}

/// The longest batch while all conns end at once.
fn expiry() -> Measured {
    Measured::new("longest batch while 1 M conns expire", Goal::Microseconds(1000.0), 1, || {
        let (mut engine, mut frames) = populated(LARGE);
        frames.wait(LONG);
        let mut longest = 0.0_f64;
        while engine.tracker().len() > BATCH {
            frames.spent = Some(Duration::ZERO);
            udp_batches(&mut engine, &mut frames, 0, 1, false, |k| k as u32);
            longest = longest.max(nanoseconds(&mut frames, 1));
        }
        longest
    })
}
