//! Runs one workload of the path benchmarks a given number of times and nothing else, to be counted by callgrind.
//!
//! `steady WORKLOAD COUNT [CONNS]`, where WORKLOAD is `udp`, `udp-module`, `tcp`, `nat`, `new`, `nat-new` or `life`. The difference between two counts is the cost of the
//! packets alone; `cargo xtask instructions` takes it. On a busy machine the same difference of processor times (`time`) says more than
//! what a clock on the wall measures.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a developer's tool")]

#[allow(dead_code, reason = "each program uses its part")]
#[path = "../benches/workload/mod.rs"]
mod workload;

use pinhole_modules::{LoadSettings, Module, ModuleHelper};
use workload::{BATCH, Frames, address, engine, nat, populated, populated_tcp, tcp_lives, udp_batches};

/// Conns in the table, unless told.
const CONNS: u32 = 4096;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let (name, count, conns) = match arguments.as_slice() {
        [_, name, count] => (name, count, CONNS),
        [_, name, count, conns] => (name, count, conns.parse().unwrap()),
        _ => panic!("usage: steady udp|udp-module|tcp|nat|new|nat-new|life COUNT [CONNS]"),
    };
    let count: u64 = count.parse().unwrap();
    let order = |k: u64| (k.wrapping_mul(2_654_435_761) % u64::from(conns)) as u32;
    match name.as_str() {
        "udp" => {
            let (mut engine, mut frames) = populated(conns);
            udp_batches(&mut engine, &mut frames, 0, count / BATCH as u64, false, order);
        }
        // FTP read by the module that `PINHOLE_FTP_MODULE` names the folder of. None of the conns is FTP.
        "udp-module" => {
            let (mut engine, mut frames) = populated(conns);
            engine.load(ftp_module()).unwrap();
            udp_batches(&mut engine, &mut frames, 0, count / BATCH as u64, false, order);
        }
        "tcp" => {
            let (mut engine, mut frames) = populated_tcp(conns);
            for batch in 0..count / BATCH as u64 {
                for (k, frame) in frames.buffers.iter_mut().enumerate() {
                    address(frame, order(batch * BATCH as u64 + k as u64), false, 0);
                }
                frames.run(&mut engine, None);
            }
        }
        "nat" => {
            let (mut engine, mut frames) = nat::populated(conns, true);
            nat::batches(&mut engine, &mut frames, 0, count / BATCH as u64, order);
        }
        "nat-new" => {
            let mut engine = nat::engine(1_000_000, true);
            nat::batches(&mut engine, &mut Frames::new(17), 0, count / BATCH as u64, |k| k as u32);
        }
        "new" => {
            let mut engine = engine(conns.max(1 << 17));
            udp_batches(&mut engine, &mut Frames::new(17), 0, count / BATCH as u64, false, |k| k as u32);
        }
        "life" => {
            let (mut engine, _) = populated(conns);
            tcp_lives(&mut engine, &mut Frames::new(6), 0, count, 1 << 16);
        }
        other => panic!("no workload is called {other}"),
    }
}

fn ftp_module() -> ModuleHelper {
    let folder = std::env::var_os("PINHOLE_FTP_MODULE").expect("PINHOLE_FTP_MODULE names a folder");
    let bytes = std::fs::read(std::path::Path::new(&folder).join("conntrack_ftp.wasm")).unwrap();
    Module::load(&bytes, &LoadSettings::default()).unwrap().helper().unwrap()
}
