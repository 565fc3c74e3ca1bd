//! Several shards between ports in memory: what is asked of all, what none of them does, and one that hangs.

use super::super::census::Census;
use super::super::modules::Modules;
use super::super::state::{Recalled, StateFile};
use super::*;
use pinhole_engine::{Engine, Settings, Spread, Steering};
use pinhole_gateway::shards::Share;
use pinhole_gateway::{Bridge, LinkPolicy};
use pinhole_io::live::memory;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

const RULES: &str = "table inet f { chain c { type filter hook forward priority 0; policy drop; accept } }";

struct Lab {
    crew: Crew,
    rules: tempfile::NamedTempFile,
}

fn steering(count: usize) -> Steering {
    Steering::new(count as u8, 7, Spread::ByOutside)
}

fn engines(count: usize) -> Vec<Engine> {
    let ruleset = pinhole_ruleset::compile_text("fw.nft", RULES).unwrap();
    let engine = |index| {
        let part = ruleset.clone().divided((index, count));
        Engine::new(Settings::default(), pinhole_helpers::registry(), Some(part)).unwrap()
    };
    (0..count).map(engine).collect()
}

impl Lab {
    fn new(engines: Vec<Engine>) -> Self {
        let mut rules = tempfile::Builder::new().suffix(".nft").tempfile().unwrap();
        rules.write_all(RULES.as_bytes()).unwrap();
        let ruleset = pinhole_ruleset::compile_text("fw.nft", RULES).unwrap();
        let steering = steering(engines.len());
        let exchange = Arc::new(Exchange::new(engines.len()).unwrap());
        let clock = Clock::new();
        let gateways = engines.into_iter().enumerate().map(|(index, engine)| {
            let ((a, _), (b, _)) = (memory::port("left"), memory::port("right"));
            let mut bridge = Bridge::new(engine, [Box::new(a), Box::new(b)], LinkPolicy::default());
            bridge.join(Share::new(index, steering.clone(), exchange.clone()));
            bridge.steer_by(steering.clone());
            Gateway::new(bridge.into(), rules.path().into(), Modules::default(), clock)
        });
        let gateways = gateways.collect();
        let ports = ["left".to_owned(), "right".to_owned()];
        let spreading = Spreading::new(steering, None, &ports, &ruleset);
        let crew = Crew::start(gateways, Some((spreading, exchange)), rules.path().into()).unwrap();
        Self { crew, rules }
    }

    fn write(&self, rules: &str) {
        std::fs::write(self.rules.path(), rules).unwrap();
    }

    /// Rules in force, by shard.
    fn rules(&mut self) -> Vec<u32> {
        self.crew.ask(|gateway| gateway.datapath.engine().ruleset().unwrap().rule_count()).unwrap()
    }
}

#[test]
fn all_are_asked_and_answer_in_their_order() {
    let mut lab = Lab::new(engines(3));
    let indices = lab.crew.ask(|gateway| (gateway.index(), gateway.numbers(4))).unwrap();
    assert_eq!(indices, [(0, true), (1, false), (2, false)]);
    let census = Census::together(lab.crew.ask(Census::of).unwrap());
    assert_eq!((census.shards, census.ports.len()), (3, 2));
    assert_eq!(lab.crew.flush(), Ok(0));
    assert_eq!(lab.crew.stop().unwrap().len(), 3);
}

#[test]
fn a_ruleset_is_in_force_in_all_or_in_none() {
    let mut lab = Lab::new(engines(2));
    lab.write("table inet f { chain");
    assert!(lab.crew.reload().unwrap_err().starts_with("the ruleset stays as it was"));
    lab.write("table inet f { quota q { 1 mbytes }\n chain c { type filter hook forward priority 0; quota name \"q\" drop; } }");
    assert!(lab.crew.reload().unwrap_err().contains("several shards do not"));
    // Of two engines one has no such helper.
    lab.crew
        .ask(
            |gateway| {
                if gateway.index() == 1 { gateway.switch("ftp", false, false).map(drop) } else { Ok(()) }
            },
        )
        .unwrap();
    lab.write("table inet f { ct helper h { type \"ftp\" protocol tcp; }\n chain c { type filter hook forward priority 0; accept\n accept\n } }");
    let refused = lab.crew.reload();
    if refused.is_err() {
        assert_eq!(lab.rules(), [1, 1], "{refused:?}");
    }
    lab.write("table inet f { chain c { type filter hook forward priority 0; accept\n accept\n } }");
    lab.crew.reload().unwrap();
    assert_eq!(lab.rules(), [2, 2]);
}

#[test]
fn what_the_first_refuses_no_other_does() {
    let mut lab = Lab::new(engines(3));
    let done = Arc::new(AtomicUsize::new(0));
    let counted = done.clone();
    let likelihood = |gateway: &mut Gateway| usize::from(gateway.index() == 2);
    let refused = lab.crew.in_turn(likelihood, move |gateway| match gateway.index() {
        2 => Err("in use".to_owned()),
        _ => Ok(counted.fetch_add(1, Ordering::SeqCst).to_string()),
    });
    assert_eq!(refused, Err("in use".to_owned()));
    assert_eq!(done.load(Ordering::SeqCst), 0);
    assert_eq!(
        lab.crew.switch("ftp", false, false).unwrap(),
        "helper ftp is disabled; 0 connections are not read any more\n"
    );
}

#[test]
fn one_that_hangs_or_ends_is_noticed() {
    let mut lab = Lab::new(engines(2));
    assert_eq!(lab.crew.troubles().count(), 0);
    let Crew::Several(several) = &lab.crew else { panic!("it has no threads") };
    several.order(|gateway| {
        if gateway.index() == 1 {
            std::thread::sleep(Duration::from_secs(5));
        }
    });
    let asked = lab.crew.ask(|gateway| gateway.index());
    assert_eq!(asked, Err("shard 1 does not answer".to_owned()));
    std::thread::sleep(Duration::from_millis(1_500));
    assert_eq!(lab.crew.troubles().collect::<Vec<_>>(), [Trouble::Hangs(1)]);
    assert_eq!(lab.crew.stop().map(|_| ()).unwrap_err().to_string(), Trouble::Hangs(1).to_string());
}

#[test]
fn a_state_of_several_is_read_by_any_number() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let config: super::super::config::StateConfig =
        toml::from_str(&format!("file = {path:?}\nevery = 1\n")).unwrap();
    let mut lab = Lab::new(engines(3));
    let mut state = StateFile::of(&config, lab.crew.now(), 99).unwrap();
    let later = lab.crew.now().plus_seconds(2);
    while !path.exists() {
        assert_eq!(state.proceed(later, &mut lab.crew), None);
    }
    let states = lab.crew.stop().unwrap().iter_mut().map(Gateway::save_last).collect();
    state.finish(states).unwrap();
    for count in [1, 2, 3, 5] {
        let now = Clock::new().now();
        let recalled = Recalled::of(&config, now).unwrap();
        assert_eq!(recalled.secret(), Some(99));
        let told = recalled.restore(&config, &mut engines(count), Some(&steering(count)), now).unwrap();
        assert!(told.unwrap().starts_with("0 connections, 0 expectations"), "{count}");
    }
    let mut cut = std::fs::read(&path).unwrap();
    cut.pop();
    std::fs::write(&path, cut).unwrap();
    let warning = Recalled::of(&config, later).unwrap();
    let told = warning.restore(&config, &mut engines(2), None, later).unwrap();
    assert!(told.unwrap().contains("no connection is known"));
}
