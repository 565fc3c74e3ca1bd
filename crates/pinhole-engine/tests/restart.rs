//! A restart changes nothing: an engine that goes on with what another one saved decides, tells and sends as that one would have.
//!
//! Here captures are cut at many places; [`Lab::with_restarts`](support::lab::Lab::with_restarts) restarts after every packet in the
//! tests of NAT, signalling, messengers and timeouts. Then what is refused: whatever is not a whole file of this version.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap is the test's message")]

mod support;

use pinhole_engine::{Attachment, Engine, Event, Frame, Settings, State, StateError};
use pinhole_helper::{BlindReason, Pickup};
use pinhole_helpers::registry;
use pinhole_track::State as PacketState;
use pinhole_wire::{Direction, Time};
use proptest::prelude::*;
use std::path::{Path, PathBuf};
use support::Captured;
use support::conversation::{Dice, syn};
use support::lab::{Lab, address};
use support::shadow::Shadow;

const RULES: &str = "table inet f {
    ct helper ftp { type \"ftp\" protocol tcp; }
    chain p { type filter hook prerouting priority 0; tcp dport 21 ct helper set \"ftp\"; }
    chain c { type filter hook forward priority 0; policy drop;
        ct state established,related accept
        tcp dport 21 ct mark set 7 accept
    }
}";

const C: Direction = Direction::Original;
const S: Direction = Direction::Reply;

/// Every helper on its conventional ports.
fn every_helper() -> Settings {
    let registry = registry();
    let attachments =
        registry.iter().map(|it| Attachment { helper: it.spec().name.to_string(), ports: Vec::new() });
    Settings { attachments: attachments.collect(), ..support::settings(Pickup::Lenient, &[]) }
}

fn frame(captured: &Captured) -> Frame<'_> {
    Frame {
        number: captured.number,
        time: captured.time,
        link: captured.link,
        bytes: &captured.bytes,
        ingress: None,
        egress: None,
        checksum: pinhole_engine::FrameChecksum::Unknown,
    }
}

/// Runs a capture through an engine, and beside it through one that is restarted with one frame in `every`.
fn compare(name: &str, frames: &[Captured], every: usize) {
    let mut dice = Dice(frames.len() as u64);
    let mut engine = Engine::new(every_helper(), registry(), None).unwrap();
    let mut shadow = Shadow::new(every_helper(), None);
    let mut now = Time(0);
    for captured in frames {
        // A gateway's clock never goes back.
        now = now.max(captured.time);
        let frame = Frame { time: now, ..frame(captured) };
        let outcome = engine.handle(&frame);
        let mut told = Vec::new();
        while let Some(event) = engine.next_event() {
            told.push(support::lab::told(&engine, &event));
        }
        if engine.defragmenter().next_deadline().is_some() {
            // Fragments that wait do not outlive a restart.
            eprintln!("{name}: not compared beyond frame {}, a fragment", captured.number);
            return;
        }
        shadow.follow(&frame, &outcome, &engine, &told, dice.one_in(every));
    }
}

fn captures_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = support::captures(folder);
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            found.extend(captures_below(&entry.path()));
        }
    }
    found.sort();
    found
}

#[test]
fn captures_go_on_after_restarts() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pinhole/demo");
    for path in support::captures(&demo) {
        compare(&path.display().to_string(), &support::frames(&path), 1);
    }
    let Some(shared) = support::shared("captures_go_on_after_restarts") else { return };
    for path in captures_below(&shared.join("captures")) {
        let mut frames = support::frames(&path);
        frames.truncate(3_000);
        compare(&path.display().to_string(), &frames, frames.len().div_ceil(40).max(1));
    }
}

/// A lab with a control conn that has announced a data conn, which is open, and another, which is not.
fn busy_lab() -> Lab {
    let mut lab = Lab::new(Settings::default(), Some(RULES));
    let mut control = lab.connect("10.0.0.1:4000", "192.0.2.1:21");
    lab.say(&mut control, S, b"220 ready\r\n");
    lab.say(&mut control, C, b"PORT 10,0,0,1,19,137\r\n");
    lab.say(&mut control, S, b"200 ok\r\n");
    lab.connect("192.0.2.1:20", "10.0.0.1:5001");
    lab.say(&mut control, C, b"PASV\r\n");
    lab.say(&mut control, S, b"227 Entering Passive Mode (192,0,2,1,200,1)\r\n");
    lab.say(&mut control, C, b"PORT 10,0,");
    lab
}

fn restarted(lab: &Lab, rules: &str) -> (Engine, pinhole_engine::Restored) {
    let rules = pinhole_ruleset::compile_text("firewall.nft", rules).unwrap();
    let mut engine = Engine::new(Settings::default(), registry(), Some(rules)).unwrap();
    support::modules::put_in(&mut engine);
    let state = State::read(&lab.engine.save(lab.now)).unwrap();
    let restored = engine.restore(state, lab.now).unwrap();
    (engine, restored)
}

#[test]
fn what_there_is_is_described_as_it_came_to_be() {
    let lab = busy_lab();
    let (engine, restored) = restarted(&lab, RULES);
    assert_eq!((restored.conns, restored.sessions, restored.expectations), (2, 1, 1), "{restored:?}");
    let mut kinds = Vec::new();
    engine.describe(lab.now, &mut |event| {
        kinds.push(match event {
            Event::HelperAttached { helper, rule, .. } => {
                assert!(rule.is_some());
                format!("attached {helper}")
            }
            Event::ConnNew { conn, .. } => {
                assert_eq!(conn.mark, 7, "given by a rule, and inherited");
                format!("new {:?} {}", conn.original, conn.master.is_some())
            }
            Event::ExpectationNew(record) => {
                assert!(record.provenance.attached_by.is_some());
                format!("expected {}", record.provenance.bytes.escape_ascii())
            }
            Event::ExpectationHit { .. } => "hit".to_owned(),
            Event::ExpectationEnd { cause, .. } => format!("end {cause:?}"),
            other => panic!("{other:?}"),
        });
    });
    assert_eq!(
        kinds,
        [
            "attached ftp",
            "new tcp 10.0.0.1:4000 > 192.0.2.1:21 false",
            "new tcp 192.0.2.1:20 > 10.0.0.1:5001 true",
            "expected PORT 10,0,0,1,19,137",
            "hit",
            "end Fulfilled",
            "expected 227 Entering Passive Mode (192,0,2,1,200,1)",
        ]
    );
}

#[test]
fn other_rules_and_fewer_helpers_are_no_obstacle() {
    let lab = busy_lab();
    let other = "table inet g { chain c { type filter hook forward priority 0; policy accept; } }";
    let (engine, restored) = restarted(&lab, other);
    assert_eq!((restored.conns, restored.sessions), (2, 1));
    engine.describe(lab.now, &mut |event| {
        if let Event::HelperAttached { rule, .. } = event {
            assert_eq!(rule, None, "that rule is gone");
        }
    });
    let mut without = Engine::new(Settings::default(), pinhole_helper::Registry::new(), None).unwrap();
    let restored = without.restore(State::read(&lab.engine.save(lab.now)).unwrap(), lab.now).unwrap();
    assert_eq!((restored.conns, restored.sessions, restored.expectations), (2, 0, 0), "{restored:?}");
}

#[test]
fn what_was_over_is_left_behind() {
    let lab = busy_lab();
    let state = || State::read(&lab.engine.save(lab.now)).unwrap();
    let later = lab.now.plus_seconds(301);
    let mut engine = Engine::new(Settings::default(), registry(), None).unwrap();
    let restored = engine.restore(state(), later).unwrap();
    // A conn with data that are not acknowledged lives five minutes; what it announced goes with it.
    assert_eq!((restored.expectations, restored.conns, restored.expired), (0, 1, 1));
    let mut engine = Engine::new(Settings::default(), registry(), None).unwrap();
    let restored = engine.restore(state(), lab.now.plus_seconds(6 * 86_400)).unwrap();
    assert_eq!((restored.conns, restored.expired), (0, 2), "a conn lives five days");
    let mut settings = Settings::default();
    settings.track.max_conns = 1;
    let mut engine = Engine::new(settings, registry(), None).unwrap();
    let restored = engine.restore(state(), lab.now).unwrap();
    assert_eq!((restored.conns, restored.left_out), (1, 1));
    assert_eq!(engine.restore(state(), lab.now), Err(StateError::InUse));
}

/// A helper whose sessions cannot be saved.
struct Forgetful;

impl pinhole_helper::Helper for Forgetful {
    fn spec(&self) -> &pinhole_helper::Spec {
        pinhole_helpers::ftp::Ftp.spec()
    }

    fn attach(
        &self,
        _: &pinhole_helper::Master,
        _: &pinhole_helper::Policy,
    ) -> Box<dyn pinhole_helper::Session> {
        struct Silent;
        impl pinhole_helper::Session for Silent {
            fn read(
                &mut self,
                _: &mut pinhole_helper::Context<'_>,
                _: Direction,
                bytes: &[u8],
            ) -> pinhole_helper::Progress {
                pinhole_helper::Progress::Consumed(bytes.len())
            }
        }
        Box::new(Silent)
    }
}

#[test]
fn a_session_that_cannot_go_on_is_blind_and_says_so() {
    let lab = busy_lab();
    let forgetful = || {
        let mut registry = pinhole_helper::Registry::new();
        registry.add(Forgetful);
        registry
    };
    let mut engine = Engine::new(Settings::default(), forgetful(), None).unwrap();
    let restored = engine.restore(State::read(&lab.engine.save(lab.now)).unwrap(), lab.now).unwrap();
    assert_eq!((restored.conns, restored.sessions, restored.blind), (2, 0, 1));
    let mut reasons = Vec::new();
    engine.describe(lab.now, &mut |event| {
        if let Event::HelperBlind { reason, .. } = event {
            reasons.push(reason);
        }
    });
    assert_eq!(reasons, [BlindReason::Restarted]);
    // The reason is remembered when it is saved again.
    let again = State::read(&engine.save(lab.now)).unwrap();
    let mut engine = Engine::new(Settings::default(), forgetful(), None).unwrap();
    assert_eq!(engine.restore(again, lab.now).unwrap().blind, 0);
    let control = engine.tracker().conns().find(|&conn| engine.tracker().helper(conn).is_some()).unwrap();
    assert_eq!(engine.tracker().blind(control), Some(BlindReason::Restarted));
}

#[test]
fn slices_between_packets_come_to_the_same() {
    let mut lab = busy_lab();
    for port in 6000..6100 {
        lab.connect(&format!("10.0.0.2:{port}"), "192.0.2.1:21");
    }
    let mut saving = lab.engine.begin_save(lab.now);
    let mut slices = 0;
    while !saving.proceed(&lab.engine, 7) {
        // Conns come and go meanwhile, and a slot that was written is used again by a conn with an old one's tuple.
        let first = lab.engine.tracker().conns().nth(slices % 3).unwrap();
        lab.engine.delete(lab.now, first);
        lab.wait(0);
        lab.connect(&format!("10.0.0.3:{}", 7000 + slices), "192.0.2.1:21");
        lab.connect("10.0.0.2:6001", "192.0.2.1:21");
        slices += 1;
    }
    assert!(slices > 10);
    let state = State::read(&saving.finish()).unwrap();
    let mut engine = Engine::new(Settings::default(), registry(), None).unwrap();
    let restored = engine.restore(state, lab.now).unwrap();
    assert!(restored.conns > 90, "{restored:?}");
}

#[test]
fn an_expected_conn_comes_in_after_the_restart_and_the_helper_reads_on() {
    let lab = busy_lab();
    let (engine, _) = restarted(&lab, RULES);
    let mut after = Lab::new(Settings::default(), Some(RULES));
    (after.engine, after.now) = (engine, lab.now);
    let data = after.send(&syn(address("10.0.0.1:6000"), address("192.0.2.1:51201")));
    assert_eq!(data.state, Some(PacketState::Related));
    // The same again, for what follows is said from another copy of the conversation.
    let mut lab = busy_lab();
    let waiting = lab.engine.tracker().expectations().count();
    let (engine, _) = restarted(&lab, RULES);
    lab.engine = engine;
    assert_eq!(lab.engine.tracker().expectations().count(), waiting);
}

/// The state is some seconds old when a gateway is killed: what passed since then must not make the conn's next packets invalid.
#[test]
fn windows_are_learned_anew_from_a_state_that_is_old() {
    for (dies, expected) in [(true, PacketState::Established), (false, PacketState::Invalid)] {
        let mut lab = Lab::new(Settings::default(), Some(RULES));
        let mut control = lab.connect("10.0.0.1:4000", "192.0.2.1:21");
        lab.say(&mut control, S, b"220 ready\r\n");
        let saved = if dies {
            let mut saving = lab.engine.begin_save(lab.now);
            while !saving.proceed(&lab.engine, 10) {}
            saving.finish()
        } else {
            lab.engine.save(lab.now)
        };
        // Much more than any window passes unseen.
        control.deliver(S, 10_000_000);
        lab.engine = start();
        lab.engine.restore(State::read(&saved).unwrap(), lab.now).unwrap();
        assert_eq!(lab.send(&control.at(S, 10_000_000, b"more")).state, Some(expected));
    }
}

fn start() -> Engine {
    let rules = pinhole_ruleset::compile_text("firewall.nft", RULES).unwrap();
    Engine::new(Settings::default(), registry(), Some(rules)).unwrap()
}

#[test]
fn files_that_are_not_whole_are_refused_and_said_to_be() {
    let lab = busy_lab();
    let good = lab.engine.save(lab.now);
    assert_eq!(State::read(&good).unwrap().saved(), lab.now);
    assert_eq!(State::read(b"").unwrap_err(), StateError::Foreign);
    assert_eq!(State::read(b"#!/bin/sh\necho state\n").unwrap_err(), StateError::Foreign);
    for length in [8, 12, 23, 24, 100, good.len() - 1] {
        let error = State::read(&good[..length]).unwrap_err();
        assert!(matches!(error, StateError::Length { .. }), "{length}: {error:?}");
    }
    let mut longer = good.clone();
    longer.push(0);
    assert!(matches!(State::read(&longer), Err(StateError::Length { .. })));
    let mut newer = good.clone();
    newer[8] = 99;
    let error = State::read(&newer).unwrap_err();
    assert_eq!(error, StateError::Version(99));
    assert_eq!(error.to_string(), "it has version 99 of the form, and this pinhole reads version 2");
    for place in (24..good.len()).step_by(7) {
        let mut damaged = good.clone();
        damaged[place] ^= 0x40;
        assert_eq!(State::read(&damaged).unwrap_err(), StateError::Checksum, "byte {place}");
    }
}

/// A state file of the version in force. If this fails the form has changed: raise `VERSION`, and save the file anew with `PINHOLE_BLESS=1`.
#[test]
fn the_form_is_the_one_that_its_version_says() {
    if support::modules::are_asked_for() {
        // What a module's session remembers has the module's own form.
        return;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/restart/of-version.state");
    let lab = busy_lab();
    if std::env::var_os("PINHOLE_BLESS").is_some() {
        let saved = lab.engine.save(lab.now);
        std::fs::write(&path, &saved).unwrap();
        let seed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/state/busy");
        std::fs::write(seed, &saved[24..]).unwrap();
    }
    let kept = std::fs::read(&path).unwrap();
    assert_eq!(State::read(&kept).unwrap().saved(), lab.now);
    assert!(kept == lab.engine.save(lab.now), "the same engine is saved in other bytes");
}

/// The frame around a body.
fn sealed(body: &[u8]) -> Vec<u8> {
    let mut file = b"pinhole\x1a".to_vec();
    file.extend(pinhole_engine::state::VERSION.to_le_bytes());
    file.extend((body.len() as u64).to_le_bytes());
    file.extend(crc32fast::hash(body).to_le_bytes());
    file.extend(body);
    file
}

/// Uses an engine that went on with something strange.
fn exercise(bytes: &[u8], now: Time) {
    let Ok(state) = State::read(bytes) else { return };
    let rules = pinhole_ruleset::compile_text("firewall.nft", RULES).unwrap();
    let mut engine = Engine::new(Settings::default(), registry(), Some(rules)).unwrap();
    if engine.restore(state, now).is_err() {
        assert!(engine.tracker().is_empty());
        return;
    }
    engine.describe(now, &mut |_| {});
    let mut lab = Lab::new(Settings::default(), Some(RULES));
    (lab.engine, lab.now) = (engine, now);
    let mut control = busy_conversation();
    for (from, text) in
        [(C, &b"0,1,19,138\r\n"[..]), (S, b"200 ok\r\n"), (C, b"PASV\r\n"), (S, b"227 (192,0,2,1,9,9)\r\n")]
    {
        lab.send(&control.say(from, text));
    }
    for (source, destination) in [("10.0.0.1:6000", "192.0.2.1:51201"), ("192.0.2.1:20", "10.0.0.1:5001")] {
        lab.syn(source, destination);
    }
    lab.engine.save(lab.now);
    lab.wait(400);
    lab.wait(6 * 86_400);
}

/// The control conn of [`busy_lab`], as far as it came.
fn busy_conversation() -> support::conversation::Conversation {
    let mut control =
        support::conversation::Conversation::new(address("10.0.0.1:4000"), address("192.0.2.1:21"));
    for (from, text) in [
        (S, &b"220 ready\r\n"[..]),
        (C, b"PORT 10,0,0,1,19,137\r\n"),
        (S, b"200 ok\r\n"),
        (C, b"PASV\r\n"),
        (S, b"227 Entering Passive Mode (192,0,2,1,200,1)\r\n"),
        (C, b"PORT 10,0,"),
    ] {
        control.say(from, text);
    }
    control
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Bytes changed under a checksum that is right: an engine comes of it that works, or a reason.
    #[test]
    fn hostile_state_does_no_harm(changes in prop::collection::vec((any::<u16>(), any::<u8>()), 1..6)) {
        let lab = busy_lab();
        let mut body = lab.engine.save(lab.now)[24..].to_vec();
        for (place, byte) in changes {
            let place = usize::from(place) % body.len();
            body[place] = byte;
        }
        exercise(&sealed(&body), lab.now);
    }

    #[test]
    fn noise_is_refused(body in prop::collection::vec(any::<u8>(), 0..300)) {
        exercise(&sealed(&body), Time::from_seconds(1_700_000_000));
    }
}
