//! Modules for the targets that load some: see `docs/helper-abi.md`.

use crate::conversation::host;
use crate::datagrams::udp;
use crate::script::pieces;
use pinhole_engine::{Attachment, Engine, Event, Frame, FrameChecksum, Settings, Verdict};
use pinhole_helper::{AddressMatch, Helper, PortMatch, Registry};
use pinhole_modules::{Module, seal};
use pinhole_wire::{Direction, LinkType, Protocol, Time};
use std::net::{IpAddr, SocketAddr};

const MANIFEST: &str = "contract = 1\nhalf = \"conntrack\"\nname = \"parrot\"\nversion = \"1\"\nlicense = \"MIT\"\nsummary = \"says what it is told\"\n\
                        protocols = [\"udp\"]\n[[classes]]\nname = \"data\"\nmax = 8\ntimeout = 300\n";

/// What it reads is its answer: a byte that says how, eight bytes of progress, then requests. If the first byte is even, the progress is that
/// all was consumed.
const PARROT: &str = r#"(module (memory (export "memory") 2)
    (func (export "pinhole_exchange") (result i32)
        (i32.store (i32.const 0) (i32.const 1))
        (i32.store (i32.const 4) (i32.const 1024)) (i32.store (i32.const 8) (i32.const 8192))
        (i32.store (i32.const 12) (i32.const 16384)) (i32.store (i32.const 16) (i32.const 32768))
        (i32.store (i32.const 20) (i32.const 65536)) (i32.store (i32.const 24) (i32.const 4096))
        (i32.const 0))
    (func (export "pinhole_attach") (result i32) (i32.const 0))
    (func (export "pinhole_read") (param $from i32) (param $length i32) (result i64)
        (local $answer i32)
        (if (i32.lt_u (local.get $length) (i32.const 9)) (then (return (i64.extend_i32_u (local.get $length)))))
        (local.set $answer (i32.sub (local.get $length) (i32.const 9)))
        (memory.copy (i32.const 16384) (i32.const 1033) (local.get $answer))
        (i32.store (i32.const 32) (local.get $answer))
        (if (result i64) (i32.and (i32.load8_u (i32.const 1024)) (i32.const 1))
            (then (i64.load (i32.const 1025)))
            (else (i64.extend_i32_u (local.get $length))))))"#;

/// The module.
pub fn parrot() -> Vec<u8> {
    let code = wat::parse_str(PARROT).expect("the text of a module");
    seal(&code, MANIFEST.as_bytes()).expect("a module without a manifest")
}

/// Where the servers of modules listen.
const PORT: u16 = 9999;

/// An engine in which this module reads a conversation of datagrams ([`crate::script`]). What it opens is bounded, and its announcers' own.
pub fn overhear(module: &Module, script: &[u8]) {
    let Some(helper) = module.helper() else { return };
    let spec = helper.spec();
    if !spec.protocols.contains(&Protocol::UDP) {
        return;
    }
    let attachment = Attachment { helper: spec.name.as_str().to_owned(), ports: vec![PORT] };
    let mut registry = Registry::default();
    registry.add(helper);
    let settings = Settings { attachments: vec![attachment], ..Settings::default() };
    let mut engine = Engine::new(settings, registry, None).unwrap_or_else(|errors| panic!("{errors:?}"));
    let [client, server] =
        [(1, 40_000), (2, PORT)].map(|(number, port)| SocketAddr::new(host(false, number), port));
    for (number, piece) in (1..).zip(pieces(script)) {
        let (from, to) = if piece.from == Direction::Original { (client, server) } else { (server, client) };
        let bytes = udp(from, to, &piece.bytes);
        let outcome = engine.handle(&Frame {
            number,
            time: Time::from_seconds(1_000 + number),
            link: LinkType::RAW,
            bytes: &bytes,
            ingress: None,
            egress: None,
            checksum: FrameChecksum::Unknown,
        });
        assert_eq!(outcome.verdict, Verdict::Accept, "{outcome:?}");
        while let Some(event) = engine.next_event() {
            if let Event::ExpectationNew(record) = event {
                check(&record.expectation.expect, from.ip(), to.ip());
            }
        }
    }
}

/// What a module may open that was granted nothing.
fn check(expect: &pinhole_helper::Expect, announcer: IpAddr, peer: IpAddr) {
    let ends = [announcer, peer];
    let call = expect.protocol == Protocol::GRE && ends.contains(&expect.destination);
    assert!(expect.destination == announcer || call, "foreign: {expect:?}");
    assert!(matches!(expect.source, AddressMatch::Exact(source) if ends.contains(&source)), "{expect:?}");
    let lowest = match expect.destination_port {
        PortMatch::Exact(port) | PortMatch::Range(port, _) => port,
        PortMatch::Any => 0,
    };
    let service = expect.protocol == Protocol::UDP && lowest == PORT;
    assert!(lowest >= 1024 || service || call, "privileged: {expect:?}");
}
