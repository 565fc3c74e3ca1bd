//! Floods: memory stays under its configured limits, and whoever had a conn keeps it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap is the test's message")]

mod support;

use pinhole_engine::defrag::DefragSettings;
use pinhole_engine::{Event, Reason, Settings, Verdict};
use pinhole_helper::BlindReason;
use pinhole_track::State;
use pinhole_wire::Direction;
use std::net::{IpAddr, SocketAddr};
use support::conversation::{Conversation, Dice, fragment, repair_header, syn, udp};
use support::lab::{Lab, address};

const RULES: &str = r#"table inet firewall {
    ct helper ftp-reader { type "ftp" protocol tcp; }
    ct helper irc-reader { type "irc" protocol tcp; }
    chain forward {
        type filter hook forward priority filter; policy drop;
        ct state established,related accept
        ct state new tcp dport 21 ct helper set "ftp-reader" accept
        ct state new tcp dport 6667 ct helper set "irc-reader" accept
        ct state new tcp dport 80 accept
    }
}
"#;

const C: Direction = Direction::Original;
const S: Direction = Direction::Reply;

const MAX_CONNS: u32 = 8000;
/// What a conn may cost, index and what hangs on it included (a conn with a helper has a cold part).
const BYTES_PER_CONN: usize = 192;
/// What does not grow with the conns: the wheel's heads, queues, timeouts.
const FIXED: usize = 256 << 10;

fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.track.max_conns = MAX_CONNS;
    settings.track.max_events = 1024;
    settings.max_events = 1024;
    settings
}

/// The i-th client of a flood, and its port.
fn flooder(index: u32) -> SocketAddr {
    let host = IpAddr::from([10, 128 | (index >> 16) as u8 & 127, (index >> 8) as u8, index as u8]);
    SocketAddr::new(host, 1024 + (index % 50_000) as u16)
}

fn syn_flood(lab: &mut Lab, from: u32, count: u32) {
    for index in from..from + count {
        lab.send(&syn(flooder(index), address("192.0.2.9:80")));
        lab.events.clear();
    }
}

#[test]
fn syn_flood_leaves_room_for_those_who_were_there() {
    let mut lab = Lab::new(settings(), Some(RULES));
    let mut conns: Vec<Conversation> = (0..500)
        .map(|host| lab.connect(&format!("10.1.{}.{}:999", host / 250, host % 250), "192.0.2.9:80"))
        .collect();
    let mut control = lab.connect("10.0.0.1:40000", "192.0.2.1:21");
    lab.say(&mut control, S, b"220 ready\r\n");

    syn_flood(&mut lab, 0, 2 * MAX_CONNS);
    let full = lab.engine.tracker().memory();
    assert_eq!(lab.engine.tracker().len(), MAX_CONNS as usize);
    assert!(full <= MAX_CONNS as usize * BYTES_PER_CONN + FIXED, "{full} bytes");

    // A passive transfer in the middle of it.
    lab.say(&mut control, C, b"PASV\r\n");
    syn_flood(&mut lab, 100_000, 20_000);
    lab.say(&mut control, S, b"227 Entering Passive Mode (192,0,2,1,195,81)\r\n");
    syn_flood(&mut lab, 200_000, 20_000);
    let mut data = Conversation::new(address("10.0.0.1:40001"), address("192.0.2.1:50001"));
    let states: Vec<_> = data.handshake().iter().map(|packet| lab.send(packet).state).collect();
    assert_eq!(states, [Some(State::Related), Some(State::Established), Some(State::Established)]);
    syn_flood(&mut lab, 300_000, 20_000);
    assert_eq!(lab.say(&mut data, S, b"file").state, Some(State::Established));

    for conn in &mut conns {
        assert_eq!(lab.say(conn, C, b"still here").state, Some(State::Established));
    }
    assert!(lab.engine.tracker().memory() <= full, "{} > {full} bytes", lab.engine.tracker().memory());
    assert_eq!(lab.engine.tracker().len(), MAX_CONNS as usize);
    assert!(lab.engine.tracker().statistics().early_drop > 60_000);
}

#[test]
fn a_table_full_of_assured_conns_drops_newcomers() {
    let mut settings = settings();
    settings.track.max_conns = 64;
    let mut lab = Lab::new(settings, Some(RULES));
    let mut conns: Vec<Conversation> =
        (0..64).map(|host| lab.connect(&format!("10.1.0.{host}:999"), "192.0.2.9:80")).collect();
    for index in 0..1000 {
        let outcome = lab.send(&syn(flooder(index), address("192.0.2.9:80")));
        assert_eq!((outcome.verdict, outcome.reason), (Verdict::Drop, Some(Reason::TableFull)));
    }
    for conn in &mut conns {
        lab.say(conn, C, b"still here");
    }
    assert_eq!(lab.engine.tracker().statistics().full, 1000);
    // One leaves, one may come.
    lab.send_all(&conns[0].close());
    let comes =
        (1000..2000).any(|index| lab.send(&syn(flooder(index), address("192.0.2.9:80"))).reason.is_none());
    assert!(comes);
}

#[test]
fn fragment_flood() {
    let mut settings = settings();
    settings.defrag = DefragSettings { memory: 64 << 10, ..DefragSettings::default() };
    let mut lab = Lab::new(settings, Some(RULES));
    let mut control = lab.connect("10.0.0.1:40000", "192.0.2.1:21");
    let datagram = udp(address("10.128.0.1:999"), address("192.0.2.9:53"), &[7; 1400]);
    let mut dice = Dice(1);
    for index in 0..50_000u32 {
        // First, middle, tiny, last and overlapping fragments that never make a whole.
        let start = 8 * dice.below(100);
        let length = 8 * (1 + dice.below(60));
        let mut piece = fragment(&datagram, index as u16, start, start + length);
        piece[13] = 128 | (index >> 16) as u8;
        repair_header(&mut piece);
        let outcome = lab.send(&piece);
        assert!(matches!(outcome.verdict, Verdict::Held | Verdict::Drop), "{outcome:?}");
        let held = lab.engine.defragmenter().memory();
        assert!(held <= 64 << 10, "{held} bytes after {index} fragments");
    }
    assert!(lab.engine.defragmenter().statistics().evicted > 1000);
    // Others still get their fragments through, one after the other.
    let command = control.say(C, b"PORT 10,0,0,1,195,81\r\n");
    assert_eq!(lab.send(&fragment(&command, 1, 0, 32)).verdict, Verdict::Held);
    assert_eq!(lab.send(&fragment(&command, 1, 32, 42)).state, Some(State::Established));
    // When the flood is over, so is its memory; the engine asks to be called for that.
    assert!(lab.engine.next_deadline().is_some_and(|next| next <= lab.now.plus_seconds(60)));
    lab.wait(121);
    assert_eq!(lab.engine.defragmenter().memory(), 0);
}

#[test]
fn expectation_flood() {
    let mut settings = settings();
    settings.track.max_expectations = 1000;
    settings.track.max_expectations_per_source = 100;
    let mut lab = Lab::new(settings, Some(RULES));
    let mut peak = 0;
    for host in 1..=200u32 {
        for conn in 0..4 {
            let mut chat = lab.connect(&format!("10.1.0.{host}:{}", 4000 + conn), "192.0.2.1:6667");
            lab.say(&mut chat, C, b"NICK a\r\nUSER a 0 * :a\r\n");
            for port in 0..40u32 {
                let own = 0x0a01_0000 + host;
                let port = 2000 + conn * 100 + port;
                let offer = format!("PRIVMSG b :\x01DCC SEND a {own} {port} 1\x01\r\n");
                lab.say(&mut chat, C, offer.as_bytes());
            }
            lab.events.clear();
            assert!(lab.engine.tracker().expectations().count() <= 1000);
            peak = peak.max(lab.engine.tracker().memory());
        }
    }
    assert_eq!(lab.engine.tracker().expectations().count(), 1000);
    assert!(lab.engine.tracker().statistics().expect_limit > 1000);
    assert!(peak <= 1000 * 1024 + 800 * 2 * BYTES_PER_CONN + FIXED, "{peak} bytes");
    // Their time is up: nothing is left of them.
    lab.wait(301);
    assert_eq!(lab.engine.tracker().expectations().count(), 0);
}

#[test]
fn half_lines_in_many_sessions() {
    const LIMIT: usize = 256 << 10;
    let mut settings = settings();
    settings.helper_memory = LIMIT;
    let mut lab = Lab::new(settings, Some(RULES));
    let mut early = lab.connect("10.0.0.1:40000", "192.0.2.1:21");
    lab.say(&mut early, S, b"220 ready\r\n");
    let mut sessions: Vec<Conversation> = Vec::new();
    for host in 0..2000u32 {
        let mut chat = lab.connect(&format!("10.1.{}.{}:4000", host / 250, host % 250), "192.0.2.1:6667");
        lab.say(&mut chat, C, b"PRIVMSG b :");
        sessions.push(chat);
        assert!(lab.engine.host().memory() <= LIMIT, "{} bytes, {host}", lab.engine.host().memory());
    }
    for chat in &mut sessions {
        // Pieces beyond a hole cost most.
        for hole in 1..40 {
            let packet = chat.at(C, chat.sent(C) + 20 * hole, b"more and more");
            lab.send_all([&packet]);
            assert!(lab.engine.host().memory() <= LIMIT, "{} bytes", lab.engine.host().memory());
        }
    }
    let blind = lab.blind();
    assert!(blind.len() > 1000 && blind.iter().all(|why| *why == BlindReason::BufferFull), "{}", blind.len());
    // Everyone who went blind is told of once, and his conn goes on.
    let mut told: Vec<_> = lab
        .events
        .iter()
        .filter_map(|event| match event {
            Event::HelperBlind { conn, .. } => Some(*conn),
            _ => None,
        })
        .collect();
    told.sort_unstable();
    told.dedup();
    assert_eq!(told.len(), blind.len());
    // Who was there before, and asks for little, is still read.
    lab.say(&mut early, C, b"PORT 10,0,0,1,195,81\r\n");
    assert_eq!(lab.syn("192.0.2.1:20", "10.0.0.1:50001").state, Some(State::Related));
    assert_eq!(lab.blind().len(), blind.len());
    // The memory comes back with the end of the conns.
    for chat in &mut sessions {
        lab.send(&chat.reset(C));
    }
    lab.wait(500_000);
    assert_eq!((lab.engine.host().sessions(), lab.engine.host().memory()), (0, 0));
}

#[test]
fn events_that_nobody_takes() {
    let mut lab = Lab::new(settings(), Some(RULES));
    for index in 0..5000 {
        let (time, link) = (lab.now, pinhole_wire::LinkType::RAW);
        let bytes = syn(flooder(index), address("192.0.2.9:80"));
        let number = u64::from(index);
        lab.engine.handle(&pinhole_engine::Frame {
            number,
            time,
            link,
            bytes: &bytes,
            ingress: None,
            egress: None,
            checksum: pinhole_engine::FrameChecksum::Unknown,
        });
    }
    let waiting = std::iter::from_fn(|| lab.engine.next_event()).count();
    assert_eq!(waiting, 1024);
    assert!(lab.engine.statistics().events_dropped >= 5000 - 1024);
}
