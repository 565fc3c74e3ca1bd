//! The workload behind one masquerade address: UDP flow i goes to one of sixteen servers, so that a million conns share the ports of one
//! address sixteen times over.

use super::{BATCH, FRAME, Frames};
use pinhole_engine::{Engine, NatHelpers, Settings, Verdict};
use pinhole_helper::Registry;

const RULES: &str = "
table inet fw {
    chain forward {
        type filter hook forward priority 0; policy drop;
        ct state established,related accept
        ct state new udp dport 9000 accept
    }
}";
const MASQUERADE: &str = "
table ip nat {
    chain postrouting { type nat hook postrouting priority srcnat; oifname wan masquerade; }
}";
const SERVERS: u32 = 16;

/// An engine that masquerades, or with the same rules does not.
pub(crate) fn engine(conns: u32, masquerades: bool) -> Engine {
    let mut settings = Settings::default();
    settings.track.max_conns = 2 * conns + (1 << 17);
    settings.track.events = false;
    settings.checksums = pinhole_engine::ChecksumPolicy::Ignore;
    let wan = settings.topology.add_interface("wan", "10.0.2.0/24".parse().expect("a range"));
    settings.nat.addresses.push((wan, "203.0.113.7".parse().expect("an address")));
    settings.nat.helpers = NatHelpers::default();
    let text = if masquerades { format!("{RULES}{MASQUERADE}") } else { RULES.to_owned() };
    let rules = pinhole_ruleset::compile_text("bench.nft", &text).expect("the ruleset compiles");
    Engine::new(settings, Registry::new(), Some(rules)).expect("the engine starts")
}

/// A packet of a flow to its server.
pub(crate) fn address(frame: &mut [u8; FRAME], flow: u32) {
    super::address(frame, flow / SERVERS, false, 0);
    frame[33] = (flow % SERVERS) as u8 + 2;
}

/// One packet of each of `batches` batches of flows in the order `order`.
pub(crate) fn batches(
    engine: &mut Engine,
    frames: &mut Frames,
    first: u64,
    batches: u64,
    order: impl Fn(u64) -> u32,
) {
    for batch in 0..batches {
        for (k, frame) in frames.buffers.iter_mut().enumerate() {
            address(frame, order(first + batch * BATCH as u64 + k as u64));
        }
        frames.run(engine, None);
    }
}

/// An engine with `conns` answered conns.
pub(crate) fn populated(conns: u32, masquerades: bool) -> (Engine, Frames) {
    let mut engine = engine(conns, masquerades);
    let mut frames = Frames::new(17);
    for start in (0..conns.max(BATCH as u32)).step_by(BATCH) {
        for (k, frame) in frames.buffers.iter_mut().enumerate() {
            address(frame, (start + k as u32) % conns);
        }
        frames.run(&mut engine, Some(Verdict::Accept));
        frames.buffers.iter_mut().for_each(answer);
        frames.run(&mut engine, Some(Verdict::Accept));
    }
    (engine, frames)
}

/// Makes of a packet the answer to it.
fn answer(frame: &mut [u8; FRAME]) {
    for (a, b, length) in [(26, 30, 4), (34, 36, 2)] {
        let (before, after) = frame.split_at_mut(b);
        before[a..a + length].swap_with_slice(&mut after[..length]);
    }
}
