//! Expectation exhaustion through each protocol: one conn has no more than its classes allow, one host no more than it may, nobody else's
//! announcement gives way, and what is remembered is bounded.

use crate::baits::BAITS;
use crate::support::lab::Lab;
use crate::{Talk, baits, lab};
use pinhole_engine::{Attachment, Settings};
use pinhole_track::State;
use pinhole_wire::Direction;

/// Most bytes that the session of one conn may come to hold.
const SESSION_MEMORY: usize = 128 * 1024;

#[test]
fn one_conn_has_what_its_classes_allow() {
    let registry = pinhole_helpers::registry();
    for bait in BAITS {
        let classes: usize = registry
            .iter()
            .find(|helper| helper.spec().name == bait.helper)
            .map(|helper| helper.spec().classes.iter().map(|class| usize::from(class.max)).sum())
            .unwrap();
        let mut lab = lab(bait);
        let mut talk = Talk::open(&mut lab, bait, baits::PORT);
        talk.say(&mut lab, &(bait.opening)());
        let mut most = 0;
        for number in 0..1500u16 {
            talk.say(&mut lab, &(bait.announce)(baits::CLIENT, 2000 + 2 * number));
            most = most.max(lab.engine.tracker().expectations().count());
            let memory = lab.engine.host().memory();
            assert!(memory < SESSION_MEMORY, "{}: {memory} bytes after {number}", bait.helper);
            lab.events.clear();
        }
        assert!(most > 0 && most <= classes, "{}: {most} of {classes}", bait.helper);
    }
}

#[test]
fn one_host_cannot_use_up_the_table() {
    for bait in BAITS {
        let attach = |helper: &str, port| Attachment { helper: helper.to_owned(), ports: vec![port] };
        let mut settings = Settings {
            attachments: vec![attach(bait.helper, bait.server.1), attach("ftp", 2121)],
            ..Settings::default()
        };
        settings.track.max_expectations = 400;
        settings.track.max_expectations_per_source = 200;
        let mut lab = Lab::new(settings, None);
        let mut victim = lab.connect("10.0.0.77:40000", "192.0.2.1:2121");
        lab.say(&mut victim, Direction::Reply, b"220 ready\r\n");
        lab.say(&mut victim, Direction::Original, b"EPRT |1|10.0.0.77|50001|\r\n");
        for conn in 0..120u16 {
            let mut talk = Talk::open(&mut lab, bait, 41000 + conn);
            talk.say(&mut lab, &(bait.opening)());
            for number in 0..20 {
                talk.say(&mut lab, &(bait.announce)(baits::CLIENT, 2000 + 60 * conn + 2 * number));
            }
            lab.events.clear();
        }
        let count = lab.engine.tracker().expectations().count();
        // What GRE calls open is counted against both of their ends.
        assert!(count <= 1 + 2 * 200, "{}: {count}", bait.helper);
        let outcome = lab.syn("192.0.2.1:20", "10.0.0.77:50001");
        assert_eq!(outcome.state, Some(State::Related), "{}", bait.helper);
    }
}
