//! Saved state: whatever its bytes are, an engine comes of it that works, or a reason why not.
//!
//! The input is a file's body; the frame with its checksum is put around it here. Every conn that is restored is sent a packet each way.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pinhole_engine::{Engine, Frame, FrameChecksum, NatHelpers, Settings, State};
use pinhole_fuzz::datagrams::{Segment, tcp, udp};
use pinhole_helpers::{nat_helpers, registry};
use pinhole_track::Tuple;
use pinhole_wire::{LinkType, Protocol, TcpFlags, Time};
use std::net::SocketAddr;

const TEXTS: [&[u8]; 3] = [
    b"PORT 10,0,0,1,19,138\r\nPASV\r\n",
    b"227 Entering Passive Mode (192,0,2,1,200,2)\r\n",
    b"\x03\0\0\x08SIP/2",
];
const CONNS: u32 = 64;

fuzz_target!(|body: &[u8]| {
    let mut file = b"pinhole\x1a\x02\0\0\0".to_vec();
    file.extend((body.len() as u64).to_le_bytes());
    file.extend(crc32fast::hash(body).to_le_bytes());
    file.extend(body);
    let Ok(state) = State::read(&file) else { return };
    let mut now = state.saved();
    let mut settings = Settings::default();
    settings.track.max_conns = CONNS;
    settings.nat.helpers = NatHelpers::new(nat_helpers());
    let Ok(mut engine) = Engine::new(settings, registry(), None) else { return };
    let Ok(restored) = engine.restore(state, now) else {
        assert!(engine.tracker().is_empty() && engine.host().sessions() == 0 && engine.nat_ports() == 0);
        return;
    };
    assert_eq!(engine.tracker().len(), restored.conns);
    assert_eq!(engine.host().sessions(), restored.sessions);
    engine.describe(now, &mut |_| {});
    let conns: Vec<_> = engine.tracker().conns().collect();
    for conn in conns {
        for tuple in [engine.tracker().original(conn), engine.tracker().reply(conn)].into_iter().flatten() {
            for text in TEXTS {
                now = now.plus_nanos(1_000_000);
                send(&mut engine, now, &tuple, text);
            }
        }
    }
    let again = State::read(&engine.save(now));
    assert!(again.is_ok_and(|state| state.saved() == now));
    for _ in 0..4 {
        now = now.plus_seconds(100_000);
        while engine.advance(now, 1000) {}
    }
    while engine.next_event().is_some() {}
});

/// One packet of a conn, if it is of a protocol with ports.
fn send(engine: &mut Engine, now: Time, tuple: &Tuple, payload: &[u8]) {
    let source = SocketAddr::new(tuple.source.ip(tuple.version), tuple.source_port);
    let destination = SocketAddr::new(tuple.destination.ip(tuple.version), tuple.destination_port);
    let bytes = match tuple.protocol {
        Protocol::TCP => {
            let flags = TcpFlags::ACK;
            tcp(
                source,
                destination,
                Segment { sequence: 1, acknowledgement: 1, flags, window: 9999, payload },
            )
        }
        Protocol::UDP => udp(source, destination, payload),
        _ => return,
    };
    let checksum = FrameChecksum::Unknown;
    let (ingress, egress, link) = (None, None, LinkType::RAW);
    engine.handle(&Frame { number: 1, time: now, link, bytes: &bytes, ingress, egress, checksum });
}
