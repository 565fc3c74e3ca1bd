//! What a port costs as its pool fills: one address serving one destination, 64512 ports.
//!
//! At each level ports are given back and taken again at random, so that the level stays. Prints a table; the last line is the
//! time to learn that nothing is free.

#![allow(missing_docs)]

use pinhole_nat::ports::{Order, Parity, PortPool, Request, default_range};
use std::hint::black_box;
use std::time::Instant;

const PORTS: usize = 64_512;
const ROUNDS: usize = 200_000;

fn main() {
    println!("{:>8} {:>22} {:>22}", "in use", "take+release, any", "take+release, parity");
    for per_mille in [0, 100, 500, 900, 990, 999] {
        let level = PORTS * per_mille / 1000;
        let any = nanoseconds(level, Parity::Any);
        let same = nanoseconds(level, Parity::Same);
        println!("{:>7.1}% {any:>19.1} ns {same:>19.1} ns", per_mille as f64 / 10.0);
    }
    println!("  100.0% {:>19.1} ns (exhausted)", exhausted());
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as usize
    }
}

fn request(dice: &mut Dice, parity: Parity) -> Request {
    let wish = 1024 + (dice.roll() % PORTS) as u16;
    Request { wish, range: default_range(wish), parity, order: Order::Preserve, start: dice.roll() as u16 }
}

fn nanoseconds(level: usize, parity: Parity) -> f64 {
    let mut dice = Dice(88_172_645_463_325_252);
    let mut pool = PortPool::default();
    let mut used = Vec::with_capacity(level + 1);
    while used.len() < level {
        used.extend(pool.take(&request(&mut dice, Parity::Any)));
    }
    let started = Instant::now();
    for _ in 0..ROUNDS {
        if let Ok(port) = pool.take(&request(&mut dice, parity)) {
            used.push(port);
        }
        let index = dice.roll() % used.len().max(1);
        black_box(pool.release(used.swap_remove(index)));
    }
    started.elapsed().as_nanos() as f64 / ROUNDS as f64
}

fn exhausted() -> f64 {
    let mut dice = Dice(88_172_645_463_325_252);
    let mut pool = PortPool::default();
    while pool.take(&request(&mut dice, Parity::Any)).is_ok() {}
    let started = Instant::now();
    for _ in 0..ROUNDS {
        let _ = black_box(pool.take(&request(&mut dice, Parity::Any)));
    }
    started.elapsed().as_nanos() as f64 / ROUNDS as f64
}
