//! Helpers that come and go while conns live.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap is the test's message")]

mod support;

use pinhole_engine::{Event, LoadError, Settings, UnloadError, Verdict};
use pinhole_helper::{BlindReason, Helper, Master, Name, Policy, Session, Spec, Texts};
use pinhole_helpers::ftp::Ftp;
use pinhole_wire::{Direction, Protocol};
use support::lab::Lab;

const RULES: &str = r#"table inet firewall {
    ct helper ftp-reader { type "ftp" protocol tcp; }
    chain forward {
        type filter hook forward priority filter; policy drop;
        ct state established,related accept
        ct state new tcp dport 21 ct helper set "ftp-reader" accept
    }
}
"#;

const C: Direction = Direction::Original;
const S: Direction = Direction::Reply;

fn expectations(lab: &Lab) -> usize {
    lab.events.iter().filter(|event| matches!(event, Event::ExpectationNew(_))).count()
}

/// A new session that announces a port; whether it is expected.
fn transfers(lab: &mut Lab, client: &str) -> bool {
    let mut control = lab.connect(client, "198.51.100.7:21");
    lab.say(&mut control, S, b"220 ready\r\n");
    let before = expectations(lab);
    let host = client.split(':').next().unwrap().replace('.', ",");
    let outcome = lab.say(&mut control, C, format!("PORT {host},200,10\r\n").as_bytes());
    assert_eq!(outcome.verdict, Verdict::Accept);
    expectations(lab) > before
}

#[test]
fn a_helper_in_use_stays_unless_forced_out() {
    let mut lab = Lab::new(Settings::default(), Some(RULES));
    assert!(transfers(&mut lab, "10.0.0.1:40000"));
    assert_eq!(lab.engine.unload(lab.now, "ftp", false), Err(UnloadError::InUse(1)));
    assert!(transfers(&mut lab, "10.0.0.2:40000"));
    assert_eq!(lab.engine.unload(lab.now, "ip_conntrack_ftp", true), Ok(2));
    lab.wait(0);
    let unloaded = |event: &&Event| matches!(event, Event::HelperBlind { reason: BlindReason::Unloaded, .. });
    assert_eq!(lab.events.iter().filter(unloaded).count(), 2);
    assert_eq!(lab.engine.host().sessions(), 0);
    // What was expected before stays; conns pass on unread.
    assert_eq!(lab.engine.tracker().expectations().count(), 2);
    assert!(!transfers(&mut lab, "10.0.0.3:40000"));
    assert_eq!(lab.engine.unload(lab.now, "ftp", true), Err(UnloadError::Unknown));
}

#[test]
fn a_helper_takes_its_place_again() {
    let mut lab = Lab::new(Settings::default(), Some(RULES));
    assert_eq!(lab.engine.unload(lab.now, "ftp", false), Ok(0));
    assert!(!transfers(&mut lab, "10.0.0.1:40000"));
    lab.engine.load(Ftp).unwrap();
    assert!(transfers(&mut lab, "10.0.0.2:40000"));
}

#[test]
fn sessions_outlive_the_change_of_their_helper() {
    let mut lab = Lab::new(Settings::default(), Some(RULES));
    let mut control = lab.connect("10.0.0.1:40000", "198.51.100.7:21");
    lab.say(&mut control, S, b"220 ready\r\n");
    lab.say(&mut control, C, b"PORT 10,0,0,1,");
    lab.engine.load(Ftp).unwrap();
    lab.say(&mut control, C, b"200,10\r\n");
    assert_eq!(expectations(&lab), 1);
    assert!(transfers(&mut lab, "10.0.0.2:40000"));
    assert_eq!(lab.engine.unload(lab.now, "ftp", false), Err(UnloadError::InUse(2)));
}

/// A helper that owns its description.
struct Usurper(Spec);

impl Usurper {
    fn called(name: &str) -> Self {
        let nothing = || Texts::Loaded(Vec::new());
        Self(Spec {
            name: Name::try_from(name).unwrap(),
            aliases: nothing(),
            protocols: vec![Protocol::UDP].into(),
            ports: Vec::new().into(),
            classes: Vec::new().into(),
            summary: String::from("takes others' names").into(),
            reads: nothing(),
            creates: nothing(),
            refuses: nothing(),
            limits: nothing(),
            nat: String::new().into(),
            ipv6: String::new().into(),
            references: nothing(),
        })
    }
}

impl Helper for Usurper {
    fn spec(&self) -> &Spec {
        &self.0
    }

    fn attach(&self, master: &Master, policy: &Policy) -> Box<dyn Session> {
        Ftp.attach(master, policy)
    }
}

#[test]
fn what_cannot_be_loaded() {
    let mut lab = Lab::new(Settings::default(), Some(RULES));
    let before = lab.engine.host().helpers().count();
    lab.engine.load(Ftp).unwrap();
    lab.engine.load(Usurper::called("new")).unwrap();
    assert_eq!(lab.engine.host().helpers().count(), before + 1);
    // Somebody else has its name.
    let taken = lab.engine.load(Usurper::called("nf_conntrack_ftp"));
    assert_eq!(taken, Err(LoadError::NameTaken(Name::new("ftp"))));
    // Rules count on TCP.
    assert_eq!(lab.engine.load(Usurper::called("ftp")), Err(LoadError::Protocols));
    assert!(transfers(&mut lab, "10.0.0.1:40000"));
}
