//! What FTP costs as a module and as the built-in helper: `cargo run --release -p pinhole-modules --example cost [FOLDER [ROUNDS]]`.
#![allow(clippy::unwrap_used, reason = "an example may give up")]

use pinhole_helper::{Action, Context, Helper, Master, Policy, Session};
use pinhole_helpers::ftp::Ftp;
use pinhole_modules::{LoadSettings, Module};
use pinhole_wire::{Direction, IpVersion, Protocol, Time};
use std::time::Instant;

const SEGMENTS: [(Direction, &[u8]); 4] = [
    (Direction::Original, b"PORT 10,0,0,1,200,10\r\n"),
    (Direction::Reply, b"200 PORT command successful\r\n"),
    (Direction::Original, b"NOOP\r\n"),
    (Direction::Reply, b"200 OK\r\n"),
];
const SESSIONS: usize = 10_000;

fn main() {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "target/guests".to_owned());
    let bytes = std::fs::read(format!("{folder}/conntrack_ftp.wasm")).unwrap();
    let rounds: u32 = std::env::args().nth(2).map_or(20_000, |text| text.parse().unwrap());
    let settings = LoadSettings::default();
    let begin = Instant::now();
    let loads = 20;
    for _ in 0..loads {
        Module::load(&bytes, &settings).unwrap();
    }
    println!("load                {:>10.3} ms", begin.elapsed().as_secs_f64() * 1e3 / f64::from(loads));
    let module = Module::load(&bytes, &settings).unwrap();
    let helper = module.helper().unwrap();
    for (name, helper) in [("built in", &Ftp as &dyn Helper), ("module", &helper)] {
        let mut talk = Talk::new(helper);
        let begin = Instant::now();
        for _ in 0..rounds {
            for (from, bytes) in SEGMENTS {
                talk.say(from, bytes);
            }
        }
        let each = begin.elapsed().as_nanos() / u128::from(rounds) / SEGMENTS.len() as u128;
        println!("a segment, {name:<9}{each:>10} ns");
    }
    let mut talk = Talk::new(&helper);
    for (from, bytes) in SEGMENTS {
        let before = module.status().fuel;
        talk.say(from, bytes);
        let text = bytes.escape_ascii().to_string();
        println!("fuel                {:>10} {text}", module.status().fuel - before);
    }
    let before = resident();
    let mut sessions: Vec<_> = (0..SESSIONS).map(|_| Talk::new(&helper)).collect();
    for talk in &mut sessions {
        for (from, bytes) in SEGMENTS {
            talk.say(from, bytes);
        }
    }
    let held: usize = sessions.iter().map(|talk| talk.session.memory()).sum();
    println!(
        "{SESSIONS} sessions      {:>10} KiB resident, {} bytes of state each",
        resident() - before,
        held / SESSIONS
    );
    println!("{:?}", module.status());
}

/// One session, read without the streams before it.
struct Talk {
    session: Box<dyn Session>,
    master: Master,
    actions: Vec<Action>,
    next: u32,
}

impl Talk {
    fn new(helper: &dyn Helper) -> Self {
        let (client, server) = ("10.0.0.1:40000".parse().unwrap(), "198.51.100.7:21".parse().unwrap());
        let master = Master {
            version: IpVersion::V4,
            protocol: Protocol::TCP,
            original: (client, server),
            reply: (server, client),
        };
        let session = helper.attach(&master, &Policy::default());
        let mut talk = Self { session, master, actions: Vec::new(), next: 0 };
        talk.say(Direction::Reply, b"220 ready\r\n");
        talk
    }

    fn say(&mut self, from: Direction, bytes: &[u8]) {
        self.actions.clear();
        let policy = Policy::default();
        let mut cx = Context::new(&self.master, &policy, Time(1), 0, &mut self.actions, &mut self.next);
        let _ = std::hint::black_box(self.session.read(&mut cx, from, bytes));
    }
}

/// KiB of resident memory.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
}
