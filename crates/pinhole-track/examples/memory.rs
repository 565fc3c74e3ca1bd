//! How many bytes a plain TCP conn takes, everything included: `cargo run --release -p pinhole-track --example memory [CONNS]`.

use pinhole_track::{Settings, Tracker};
use pinhole_wire::{Packet, Time};

fn syn(flow: u32) -> Vec<u8> {
    let mut bytes = vec![0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0];
    bytes.extend((0x0a40_0000 + (flow >> 14)).to_be_bytes());
    bytes.extend([10, 0, 2, 2]);
    bytes.extend((1024 + (flow & 16383) as u16).to_be_bytes());
    bytes.extend(9000_u16.to_be_bytes());
    bytes.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0]);
    bytes
}

/// Resident bytes of this process, if the system tells.
fn resident() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse::<usize>().ok().map(|kilobytes| kilobytes * 1024)
}

fn main() {
    let conns: u32 = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1 << 20);
    let settings = Settings { max_conns: conns, events: false, ..Settings::default() };
    let before = resident();
    let mut tracker = Tracker::new(settings, [1, 2]);
    for flow in 0..conns {
        let bytes = syn(flow);
        let Ok(packet) = Packet::parse(&bytes, 0) else { continue };
        let prepared = tracker.prepare(&packet, &bytes, 0);
        if let Ok(tracked) = tracker.track(Time(0), &packet, &bytes, &prepared)
            && let Some(conn) = tracked.conn
        {
            tracker.confirm(Time(0), conn);
        }
    }
    let count = tracker.len().max(1);
    println!("{count} conns: {:.1} bytes held a conn", tracker.memory() as f64 / count as f64);
    if let (Some(before), Some(after)) = (before, resident()) {
        println!("resident: {:.1} bytes a conn", after.saturating_sub(before) as f64 / count as f64);
    }
}
