//! Configuration files, requests, and the journal of a gateway between ports in memory.

use super::answer::{Reply, answer};
use super::config::{Config, ConfigError, Endpoint, FlowtableChoice, StateConfig};
use super::control::Control;
use super::crew::Crew;
use super::metrics::Metrics;
use super::modules::Modules;
use super::request::{ListFormat, Listed, Request};
use super::shard::Gateway;
use super::state::{Recalled, StateFile};
use crate::load::Loader;
use pinhole_engine::{Engine, Filtering, PortMapping, Settings};
use pinhole_gateway::{Bridge, LinkPolicy, RouterSettings, SourceCheck, Treatment};
use pinhole_io::capture::CaptureReader;
use pinhole_io::live::memory::{self, Wire};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

const RULES: &str = "table inet f {
    ct helper ftp { type \"ftp\" protocol tcp; }
    chain p { type filter hook prerouting priority 0; tcp dport 21 ct helper set \"ftp\"; }
    chain c { type filter hook forward priority 0; policy drop;
        ct state established,related counter accept
        tcp dport 21 accept
    }
}";

struct Lab {
    crew: Crew,
    left: Wire,
    rules: tempfile::NamedTempFile,
}

impl Lab {
    fn new() -> Self {
        Self::with(|_| {})
    }

    /// A lab whose engine is prepared before it is used.
    fn with(prepare: impl FnOnce(&mut Engine)) -> Self {
        let mut rules = tempfile::Builder::new().suffix(".nft").tempfile().unwrap();
        rules.write_all(RULES.as_bytes()).unwrap();
        let ruleset = pinhole_ruleset::compile_text("fw.nft", RULES).unwrap();
        let mut engine =
            Engine::new(Settings::default(), pinhole_helpers::registry(), Some(ruleset)).unwrap();
        prepare(&mut engine);
        let ((a, left), (b, _)) = (memory::port("left"), memory::port("right"));
        let bridge = Bridge::new(engine, [Box::new(a), Box::new(b)], LinkPolicy::default());
        let path: PathBuf = rules.path().into();
        Self { crew: Crew::Alone(Box::new(Gateway::for_tests(bridge.into(), path))), left, rules }
    }

    fn gateway(&mut self) -> &mut Gateway {
        let Crew::Alone(gateway) = &mut self.crew else { panic!("it has threads") };
        gateway
    }

    /// Sends the first frames of a demo capture through.
    fn play(&mut self, name: &str, frames: usize) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo").join(name);
        let mut reader = CaptureReader::open(&path).unwrap();
        for _ in 0..frames {
            let Some(frame) = reader.next().unwrap() else { break };
            self.left.send(frame.bytes);
            while self.gateway().turn(|message| panic!("{message}")) {}
        }
    }

    fn ask(&mut self, request: Request) -> Result<String, String> {
        match answer(request, &mut self.crew)? {
            Reply::Lines(text) => Ok(text),
            Reply::Watch => Ok(String::new()),
            Reply::Listing(mut listing) => {
                let mut all = String::new();
                loop {
                    let (lines, more) = listing.next_lines(&mut self.crew)?;
                    all += &lines;
                    if !more {
                        return Ok(all);
                    }
                }
            }
        }
    }

    fn list(&mut self, what: Listed, format: ListFormat) -> String {
        self.ask(Request::List { what, format, flow: None, helper: None, state: None }).unwrap()
    }

    fn explain(&mut self, flow: &str) -> String {
        self.ask(Request::Explain { flow: flow.to_owned() }).unwrap()
    }
}

fn parse(text: &str) -> Result<Config, ConfigError> {
    let mut file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    Config::load(file.path())
}

#[test]
fn a_whole_file_is_understood() {
    let config = parse(
        "mode = \"bridge\"\nports = [\"a\", \"b\"]\nrules = \"fw.nft\"\ncontrol = \"/tmp/s\"\ncontrol-users = [33]\n\
         [bridge]\narp = \"drop\"\nneighbour-discovery = \"rules\"\nbridge-protocols = \"drop\"\nother = \"pass\"\n\
         [conntrack]\nmax-conns = 7\nmax-expectations = 8\ntcp-loose = false\ntcp-be-liberal = true\n\
         [helpers]\nattach = [\"ftp=2121\"]\nthird-party = true\nwait-for-answer = true\n\
         media-source = \"anyone\"\nany-caller = true\nintroductions = true\non-fault = \"drop\"\n",
    )
    .unwrap();
    config.check().unwrap();
    assert!(config.rules.as_ref().unwrap().is_absolute(), "it counts from the file's folder");
    let policy = config.link_policy();
    assert_eq!((policy.arp, policy.neighbour_discovery), (Treatment::Drop, Treatment::Rules));
    assert_eq!((policy.bridge_protocols, policy.other), (Treatment::Drop, Treatment::Pass));
    let settings = config.settings([1, 2]).unwrap();
    assert_eq!((settings.track.max_conns, settings.track.max_expectations), (7, 8));
    assert!(!settings.track.l4.tcp_loose && settings.track.l4.tcp_be_liberal);
    assert!(settings.policy.third_party && settings.policy.wait_for_answer && settings.policy.any_caller);
    assert!(settings.policy.introductions);
    assert_eq!(settings.on_fault, pinhole_engine::OnFault::Drop);
    assert_eq!(settings.policy.media_source, pinhole_helper::MediaSource::Anyone);
    assert_eq!(settings.attachments[0].ports, [2121]);
}

#[test]
fn several_shards_have_their_parts_and_their_conditions() {
    let text = "mode = \"router\"\nports = [\"a\", \"b\"]\nrules = \"fw.nft\"\n";
    assert_eq!(parse(text).unwrap().shards(), 1);
    let config =
        parse(&format!("{text}shards = 3\n[conntrack]\nmax-conns = 10\n[nat]\ninside = [\"10.0.0.0/8\"]\n"))
            .unwrap();
    config.check().unwrap();
    assert_eq!((config.shards(), config.inside().map(|inside| inside.len())), (3, Some(1)));
    assert_eq!(
        config.settings([1, 2]).unwrap().track.max_conns,
        4,
        "together at least as many as were asked for"
    );
    for (more, why) in [
        ("shards = 33\n", "at most 32 shards"),
        ("shards = 2\n[nat]\nports-per-host = 512\n", "`nat.ports-per-host` is for `shards = 1`"),
        ("shards = 2\n[nat]\nmapping = \"endpoint-independent\"\n", "takes `nat.inside"),
    ] {
        let error = parse(&format!("{text}{more}")).unwrap().check().unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
    parse(&format!("{text}shards = 2\n[nat]\ninside = [\"fd00::/8\"]\nmapping = \"endpoint-independent\"\n"))
        .unwrap()
        .check()
        .unwrap();
    assert!(parse(&format!("{text}shards = 0\n")).is_err());
    assert!(parse(&format!("{text}[nat]\ninside = [\"10.0.0.1/8\"]\n")).is_err());
}

#[test]
fn a_router_has_settings_of_its_own() {
    let text = "mode = \"router\"\nports = [\"a\", \"b\", \"c\"]\nrules = \"fw.nft\"\n";
    let config = parse(text).unwrap();
    config.check().unwrap();
    assert_eq!(config.router_settings(), RouterSettings::default());
    let all = config.settings([1, 2]).unwrap().nat.helpers;
    assert_eq!(all.iter().count(), pinhole_helpers::nat_helpers().len());
    assert_eq!((config.flowtable(), config.flowtable_size()), (FlowtableChoice::Auto, 65_536));
    for (more, expected) in [
        ("[router]\nflowtable = \"off\"\n", FlowtableChoice::Off),
        ("[router]\nflowtable = \"on\"\n", FlowtableChoice::On),
        ("record = \"x\"\n", FlowtableChoice::Off),
        ("log-level = \"trace\"\n", FlowtableChoice::Off),
        ("[faults]\n", FlowtableChoice::Off),
    ] {
        let config = parse(&format!("{text}{more}")).unwrap();
        config.check().unwrap();
        assert_eq!(config.flowtable(), expected, "{more}");
    }
    let more = "[router]\nsource-check = \"loose\"\nlink-scope = \"pass\"\n[helpers]\nnat = [\"irc\"]\n\
                [nat]\nmapping = \"endpoint-independent\"\nfiltering = \"address-dependent\"\nports-per-host = 512\n";
    let config = parse(&format!("{text}{more}")).unwrap();
    let expected = RouterSettings { source_check: SourceCheck::Loose, link_scope: true };
    assert_eq!(config.router_settings(), expected);
    let behaviour = config.settings([1, 2]).unwrap().nat.behaviour;
    assert_eq!(behaviour.mapping, PortMapping::EndpointIndependent(Filtering::AddressDependent));
    assert_eq!(behaviour.ports_per_host.map(std::num::NonZero::get), Some(512));
    let some = config.settings([1, 2]).unwrap().nat.helpers;
    assert_eq!(some.iter().map(pinhole_helper::NatHelper::name).collect::<Vec<_>>(), ["irc"]);
}

#[test]
fn mistakes_in_a_file_are_named_with_their_line() {
    for (text, expected) in [
        ("ports = [\"a\", \"b\"]\nrule = \"x\"\n", "line 2"),
        ("[bridge]\narp = \"maybe\"\n", "line 2"),
        ("mode = \"switch\"\n", "unknown variant `switch`"),
        ("mode = \"router\"\n[router]\nsource-check = \"lax\"\n", "line 3"),
        ("[helpers]\nnat = [\"nosuch\"]\n", "no NAT helper is called `nosuch`"),
        ("[conntrack]\nmax-conns = -1\n", "line 2"),
        ("[helpers]\nattach = [\"nosuch\"]\n", "no helper is called `nosuch`"),
    ] {
        let message = parse(text).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
        assert!(message.contains(".toml: "), "{message}");
    }
    for (text, expected) in [
        ("ports = [\"a\", \"a\"]\n", "two ports are the same interface, a"),
        ("ports = [\"a\", \"b\", \"c\"]\n", "a bridge has two ports, 3 given"),
        ("mode = \"router\"\nports = [\"a\"]\n", "a router has 2 to 64 ports, 1 given"),
        (
            "ports = [\"a\", \"b\"]\n[nat]\nfiltering = \"endpoint-independent\"\n",
            "`nat.filtering` takes a `nat.mapping`",
        ),
        ("ports = [\"a\", \"b\"]\n[router]\n", "`[router]` is for `mode = \"router\"`"),
        ("mode = \"router\"\nports = [\"a\", \"b\"]\n[bridge]\n", "`[bridge]` is for `mode = \"bridge\"`"),
        (
            "mode = \"router\"\nports = [\"a\", \"b\"]\nrecord = \"x\"\n[router]\nflowtable = \"on\"\n",
            "`router.flowtable = \"on\"` contradicts `record`",
        ),
    ] {
        let message = parse(text).unwrap().check().unwrap_err().to_string();
        assert!(message.starts_with(expected), "{message}");
    }
    assert!(parse("rules = \"x\"\n").unwrap().check().unwrap_err().to_string().contains("0 given"));
}

#[test]
fn requests_with_unknown_fields_are_refused() {
    for text in [
        r#"{"command":"flush","all":true}"#,
        r#"{"command":"list","what":"conns","format":"json","flow":null,"x":1}"#,
        r#"{"command":"nosuch"}"#,
        r#"{"command":"list"}"#,
        r#"{}"#,
        "[]",
    ] {
        assert!(serde_json::from_str::<Request>(text).is_err(), "{text}");
    }
    let request = Request::List {
        what: Listed::Conns,
        format: ListFormat::Json,
        flow: None,
        helper: None,
        state: None,
    };
    let text = serde_json::to_string(&request).unwrap();
    assert_eq!(serde_json::from_str::<Request>(&text).unwrap(), request);
}

#[test]
fn what_passes_is_listed_and_explained() {
    let mut lab = Lab::new();
    lab.play("ftp-active.pcap", 16);
    let conns = lab.list(Listed::Conns, ListFormat::Conntrack);
    assert!(
        conns.contains("tcp      6 ") && conns.contains("dport=21") && conns.contains("helper=ftp"),
        "{conns}"
    );
    let expectations = lab.list(Listed::Expectations, ListFormat::Conntrack);
    assert!(expectations.contains("dport=37333") && expectations.contains("helper=ftp"), "{expectations}");

    lab.play("ftp-active.pcap", 30);
    let table = lab.list(Listed::Conns, ListFormat::Table);
    assert!(table.contains("related to conn 1"), "{table}");
    let rules = lab.list(Listed::Rules, ListFormat::Conntrack);
    assert!(rules.contains("ct state established,related counter accept"), "{rules}");
    let story = lab.explain("conn 2");
    assert!(story.contains("PORT 192,0,2,10,145,213"), "{story}");
    assert!(lab.list(Listed::Helpers, ListFormat::Json).lines().count() == 1);
    let statistics = lab.ask(Request::Stats { json: true }).unwrap();
    let value: serde_json::Value = serde_json::from_str(&statistics).unwrap();
    assert_eq!(value["expectations_fulfilled"], 1, "{statistics}");
}

#[test]
fn drops_are_remembered_with_their_rule() {
    let mut lab = Lab::new();
    lab.play("irc-dcc.pcap", 1);
    let story = lab.explain("tcp 192.0.2.10 > 198.51.100.20");
    assert!(story.contains("fw.nft:4") && story.contains("new         drop"), "{story}");
}

#[test]
fn a_reload_keeps_conns_and_a_bad_one_changes_nothing() {
    let mut lab = Lab::new();
    lab.play("ftp-active.pcap", 10);
    std::fs::write(lab.rules.path(), "table inet f { chain c {").unwrap();
    let message = lab.ask(Request::Reload {}).unwrap_err();
    assert!(message.contains("the ruleset stays as it was\nerror: "), "{message}");
    assert_eq!(lab.list(Listed::Conns, ListFormat::Conntrack).lines().count(), 1);

    std::fs::write(lab.rules.path(), RULES.replace("policy drop", "policy accept")).unwrap();
    lab.ask(Request::Reload {}).unwrap();
    lab.play("irc-dcc.pcap", 1);
    assert_eq!(lab.list(Listed::Conns, ListFormat::Conntrack).lines().count(), 2);
}

#[test]
fn conns_end_on_request() {
    let mut lab = Lab::new();
    lab.play("ftp-active.pcap", 36);
    assert!(lab.ask(Request::Delete { flow: "10.9.9.9".to_owned() }).is_err());
    assert_eq!(lab.ask(Request::Delete { flow: "conn 2".to_owned() }).unwrap(), "1 connections ended\n");
    assert_eq!(lab.list(Listed::Conns, ListFormat::Conntrack).lines().count(), 1);
    lab.ask(Request::Flush {}).unwrap();
    assert_eq!(lab.list(Listed::Conns, ListFormat::Conntrack), "");
}

#[test]
fn the_journal_forgets_what_is_over() {
    let mut lab = Lab::new();
    for _ in 0..300 {
        lab.play("ftp-active.pcap", 16);
        lab.ask(Request::Flush {}).unwrap();
    }
    lab.play("ftp-active.pcap", 36);
    let report = &mut lab.gateway().journal.report;
    report.compact(10);
    assert_eq!(report.expectations.len(), 1);
    assert_eq!(report.expectations[0].id, 301);
    assert!(report.conns.len() <= 2);
    let story = lab.explain("tcp 198.51.100.20 > 192.0.2.10:37333");
    assert!(story.contains("PORT 192,0,2,10,145,213"), "{story}");
}

/// What a client reads who sends this.
fn over_the_socket(lab: &mut Lab, sent: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let mut control = Control::bind(&path, Vec::new()).unwrap();
    assert!(Control::bind(&path, Vec::new()).is_err(), "there is one already");
    let mut client = UnixStream::connect(&path).unwrap();
    client.set_nonblocking(true).unwrap();
    let mut answer = Vec::new();
    for piece in sent.chunks(4096) {
        // Who sends too much is not listened to until the end.
        let _ = client.write_all(piece);
        control.serve(&mut lab.crew);
        let _ = client.read_to_end(&mut answer);
    }
    for _ in 0..3 {
        control.serve(&mut lab.crew);
        let _ = client.read_to_end(&mut answer);
    }
    drop(control);
    assert!(!path.exists());
    String::from_utf8(answer).unwrap()
}

#[test]
fn the_socket_answers_requests_in_turn() {
    let mut lab = Lab::new();
    lab.play("ftp-active.pcap", 10);
    let list = b"{\"command\":\"list\",\"what\":\"conns\",\"format\":\"json\",\"flow\":null}\n";
    let flush = b"{\"command\":\"flush\"}\n";
    let answer = over_the_socket(&mut lab, &[&list[..], flush, list].concat());
    let lines: Vec<&str> = answer.lines().collect();
    assert_eq!(lines.len(), 5, "{answer}");
    assert!(lines[0].starts_with("{\"line\":\"{\\\"type\\\":\\\"conn\\\""), "{answer}");
    assert_eq!(lines[1], "{\"done\":true}");
    assert_eq!(lines[2], "{\"line\":\"1 connections ended\"}");
    assert_eq!(lines[4], "{\"done\":true}");
}

#[test]
fn the_socket_refuses_what_it_does_not_understand_and_nothing_changes() {
    let mut lab = Lab::new();
    lab.play("ftp-active.pcap", 10);
    let long = vec![b'x'; 40_000];
    for sent in [&b"{\"command\":\"flush\",\"now\":true}\n"[..], b"\xff\xfe\n", b"\n", b"[[[[\n", &long] {
        let answer = over_the_socket(&mut lab, sent);
        assert!(answer.starts_with("{\"error\":"), "{answer}");
        assert_eq!(answer.lines().count(), 1, "{answer}");
    }
    assert_eq!(lab.list(Listed::Conns, ListFormat::Conntrack).lines().count(), 1);
}

#[test]
fn who_watches_is_told_what_happens() {
    let mut lab = Lab::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let mut control = Control::bind(&path, Vec::new()).unwrap();
    let mut client = UnixStream::connect(&path).unwrap();
    client.write_all(b"{\"command\":\"monitor\"}\n").unwrap();
    control.serve(&mut lab.crew);
    lab.play("ftp-active.pcap", 1);
    lab.play("irc-dcc.pcap", 1);
    control.serve(&mut lab.crew);
    control.serve(&mut lab.crew);
    client.set_nonblocking(true).unwrap();
    let mut told = Vec::new();
    let _ = client.read_to_end(&mut told);
    let told = String::from_utf8(told).unwrap();
    assert!(
        told.contains("[NEW] tcp") && told.contains("[DROP] tcp") && told.contains("rule=fw.nft:4"),
        "{told}"
    );
    drop(client);
    control.serve(&mut lab.crew);
    assert!(!control.is_watched());
}

fn state_config(text: &str) -> StateConfig {
    parse(&format!("[state]\n{text}")).unwrap().state
}

#[test]
fn what_is_known_outlives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let config = state_config(&format!("file = {path:?}\nevery = 1\n"));
    let mut lab = Lab::new();
    lab.play("ftp-active.pcap", 16);
    let mut state = StateFile::of(&config, lab.crew.now(), 0).unwrap();
    // Now and then, beside the loop.
    let later = lab.gateway().now().plus_seconds(2);
    while !path.exists() {
        assert_eq!(state.proceed(later, &mut lab.crew), None);
    }
    assert!(Recalled::of(&config, later).unwrap().saved() >= later, "it is whole");
    // And at the stop.
    let last = lab.gateway().save_last();
    state.finish(vec![last]).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");

    let now = lab.gateway().now();
    let mut told = None;
    let mut lab = Lab::with(|engine| {
        let engines = std::slice::from_mut(engine);
        told = Recalled::of(&config, now).unwrap().restore(&config, engines, None, now).unwrap();
    });
    lab.gateway().introduce();
    assert!(told.unwrap().starts_with("1 connections, 1 expectations and 1 helper sessions go on"));
    let conns = lab.list(Listed::Helpers, ListFormat::Conntrack);
    assert!(conns.contains("dport=21") && conns.contains("helper=ftp"), "{conns}");
    assert!(lab.list(Listed::Expectations, ListFormat::Conntrack).contains("dport=37333"));
}

#[test]
fn a_file_that_is_not_whole_is_put_aside_or_no_reason_to_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let now = Lab::new().crew.now();
    let aside = state_config(&format!("file = {path:?}\n"));
    assert!(
        Recalled::of(&aside, now).unwrap().restore(&aside, &mut [engine()], None, now).unwrap().is_none()
    );
    for (content, why) in [
        (&b"not a state file"[..], "it is not a state file of pinhole"),
        (b"pinhole\x1a\x09\0\0\0", "it has version 9 of the form, and this pinhole reads version 2"),
        (b"pinhole\x1a\x02\0\0\0\x05\0\0\0\0\0\0\0abcd", "it is 24 bytes long and should be 29"),
        (b"pinhole\x1a\x02\0\0\0\0\0\0\0\0\0\0\0abcd", "it is damaged: its checksum is wrong"),
    ] {
        std::fs::write(&path, content).unwrap();
        let strict = state_config(&format!("file = {path:?}\ndamaged = \"refuse\"\n"));
        let error = Recalled::of(&strict, now).map(drop).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
        let warning =
            Recalled::of(&aside, now).unwrap().restore(&aside, &mut [engine()], None, now).unwrap().unwrap();
        assert!(warning.contains(why) && warning.contains("no connection is known"), "{warning}");
        assert!(!path.exists() && folder.path().join("state.damaged").exists());
    }
    let future = engine().save(now.plus_seconds(2 * 86_400));
    std::fs::write(&path, future).unwrap();
    let warning =
        Recalled::of(&aside, now).unwrap().restore(&aside, &mut [engine()], None, now).unwrap().unwrap();
    assert!(warning.contains("it was written in the future"), "{warning}");
}

fn engine() -> Engine {
    Engine::new(Settings::default(), pinhole_helpers::registry(), None).unwrap()
}

#[test]
fn counters_are_read_by_http() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics.sock");
    let mut lab = Lab::new();
    lab.play("ftp-active.pcap", 16);
    lab.play("irc-dcc.pcap", 1);
    let mut metrics = Metrics::bind(&Endpoint::Path(path.clone())).unwrap();
    let mut ask = |request: &str| {
        let mut client = UnixStream::connect(&path).unwrap();
        client.write_all(request.as_bytes()).unwrap();
        for _ in 0..3 {
            let now = lab.gateway().now();
            metrics.serve(now, &mut lab.crew);
        }
        client.set_nonblocking(true).unwrap();
        let mut answer = Vec::new();
        let _ = client.read_to_end(&mut answer);
        String::from_utf8(answer).unwrap()
    };
    let answer = ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\nContent-Type: application/openmetrics-text"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
    assert!(body.ends_with("# EOF\n"));
    for line in [
        "pinhole_conns 1",
        "pinhole_conns_limit 262144",
        "pinhole_expectations_entered_total 1",
        "pinhole_helper_sessions{helper=\"ftp\"} 1",
        "pinhole_drops_total{verdict=\"drop\",reason=\"rule\",rule=\"fw.nft:4\"} 1",
        "pinhole_port_received_frames_total{port=\"left\"} 17",
    ] {
        assert!(body.lines().any(|found| found == line), "{line} is not in\n{body}");
    }
    // Every sample is of the family that was declared last.
    let mut family = "";
    for line in body.lines() {
        match line.strip_prefix("# TYPE ") {
            Some(declared) => family = declared.split_once(' ').unwrap().0,
            None if line.starts_with('#') => {}
            None => assert!(line.starts_with(family), "{line} after {family}"),
        }
    }
    assert!(ask("HEAD /metrics HTTP/1.1\r\n\r\n").ends_with("\r\n\r\n"));
    assert!(ask("DELETE /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
    assert!(ask("GET /etc/passwd HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
    assert!(ask("\u{16}\u{3}\u{1}\0").starts_with("HTTP/1.1 400 "));
}

#[test]
fn listings_are_filtered() {
    let mut lab = Lab::new();
    lab.play("ftp-active.pcap", 24);
    let mut list = |what, flow: Option<&str>, helper: Option<&str>, state: Option<&str>| {
        let [flow, helper, state] = [flow, helper, state].map(|text| text.map(str::to_owned));
        let format = ListFormat::Conntrack;
        lab.ask(Request::List { what, format, flow, helper, state }).unwrap().lines().count()
    };
    assert_eq!(list(Listed::Conns, None, None, None), 2);
    assert_eq!(list(Listed::Control, None, None, None), 2, "the control conn and what it announced");
    assert_eq!(list(Listed::Helpers, None, None, None), 1);
    assert_eq!(list(Listed::Nat, None, None, None), 0);
    assert_eq!(list(Listed::Conns, None, Some("FTP"), None), 1);
    assert_eq!(list(Listed::Conns, None, Some("irc"), None), 0);
    assert_eq!(list(Listed::Conns, None, None, Some("established")), 2);
    assert_eq!(list(Listed::Conns, None, None, Some("time_wait")), 0);
    assert_eq!(list(Listed::Conns, Some("198.51.100.20:21"), None, None), 1);
}

#[test]
fn helpers_are_switched() {
    let mut lab = Lab::new();
    lab.play("ftp-active.pcap", 10);
    let switch = |enabled, nat| Request::Switch { helper: "ip_conntrack_ftp".to_owned(), enabled, nat };
    let line = |lab: &mut Lab| {
        let all = lab.list(Listed::Modules, ListFormat::Table);
        let words = |half: &str| {
            let line = all.lines().find(|line| line.starts_with(half)).unwrap();
            line.split_whitespace().skip(1).take(2).collect::<Vec<_>>().join(" ")
        };
        format!("{}, {}", words("conntrack_ftp "), words("nat_ftp "))
    };
    assert_eq!(line(&mut lab), "enabled 1, disabled built-in");
    let told = lab.ask(switch(false, false)).unwrap();
    assert_eq!(told, "helper ftp is disabled; 1 connections are not read any more\n");
    assert_eq!(line(&mut lab), "disabled 0, disabled built-in");
    let blind: Vec<_> = lab.gateway().journal.tallies.blind.keys().map(|(_, reason)| *reason).collect();
    assert_eq!(blind, ["unloaded"]);
    assert_eq!(lab.ask(switch(false, false)).unwrap(), "helper ftp is disabled already\n");
    assert_eq!(lab.ask(switch(true, false)).unwrap(), "helper ftp is enabled\n");
    assert_eq!(line(&mut lab), "enabled 0, enabled built-in");
    assert_eq!(lab.ask(switch(false, true)).unwrap(), "the NAT half of helper ftp is disabled\n");
    assert_eq!(line(&mut lab), "enabled 0, disabled built-in");
    let unknown = Request::Switch { helper: "nosuch".to_owned(), enabled: true, nat: false };
    assert_eq!(lab.ask(unknown).unwrap_err(), "no helper is called `nosuch`");
}

/// What is said of the conntrack half of FTP.
fn module_line(lab: &mut Lab) -> Vec<String> {
    let all = lab.list(Listed::Modules, ListFormat::Table);
    let line = all.lines().find(|line| line.starts_with("conntrack_ftp ")).unwrap();
    line.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn modules_come_and_go() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/guests");
    let folder = std::env::var_os("PINHOLE_GUESTS").map_or(folder, PathBuf::from);
    if !folder.join("conntrack_ftp.wasm").is_file() {
        eprintln!("SKIPPED modules come and go: no modules in {} (cargo xtask guests)", folder.display());
        return;
    }
    let mut lab = Lab::new();
    lab.gateway().modules = Modules::new(Vec::new(), Loader::default(), vec![folder.clone()]);
    let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let load = |names: &[&str]| Request::Load {
        names: names.iter().map(|n| (*n).to_owned()).collect(),
        allow: vec![],
    };
    let unload = |name: &str, force| Request::Unload { names: vec![name.to_owned()], force };
    // Built-in code answers as to modprobe.
    assert_eq!(lab.ask(load(&["ip_conntrack_ftp"])).unwrap(), "conntrack_ftp is built in\n");
    assert_eq!(lab.ask(unload("nf_conntrack_ftp", true)).unwrap_err(), "conntrack_ftp is built in");
    assert!(
        lab.ask(load(&["conntrack_nosuch"])).unwrap_err().contains("no module is called `conntrack_nosuch`")
    );
    // Files take its place.
    let done = lab.ask(load(&[&file("conntrack_ftp.wasm"), &file("nat_ftp.wasm")])).unwrap();
    assert!(
        done.contains("conntrack_ftp is loaded from") && done.contains("nat_ftp is loaded from"),
        "{done}"
    );
    // Disabled it stays loaded, and comes back as what it was.
    let switch = |enabled| Request::Switch { helper: "ftp".to_owned(), enabled, nat: false };
    let module = file("conntrack_ftp.wasm");
    lab.ask(switch(false)).unwrap();
    assert_eq!(module_line(&mut lab)[..4], ["conntrack_ftp", "disabled", "0", &module]);
    lab.ask(switch(true)).unwrap();
    assert_eq!(module_line(&mut lab)[..4], ["conntrack_ftp", "enabled", "0", &module]);
    lab.play("ftp-active.pcap", 15);
    assert!(lab.list(Listed::Expectations, ListFormat::Conntrack).contains("helper=ftp"));
    let modules = lab.list(Listed::Modules, ListFormat::Table);
    let line = modules.lines().find(|line| line.starts_with("conntrack_ftp")).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[1..4], ["enabled", "1", &file("conntrack_ftp.wasm")], "{line}");
    assert!(line.contains(" calls=") && line.contains(" fuel=") && line.contains(" memory="), "{line}");
    assert!(line.contains(" faults=0") && line.contains(" sha256="), "{line}");
    assert!(modules.lines().any(|line| line.starts_with("conntrack_irc") && line.contains("built-in")));
    // In use, needed, read again, forced out: the built-in is back.
    let error = lab.ask(unload("conntrack_ftp", false)).unwrap_err();
    assert!(error.contains("needed by nat_ftp"), "{error}");
    assert_eq!(lab.ask(unload("ip_nat_*", false)).unwrap(), "nat_ftp is unloaded\n");
    let error = lab.ask(unload("ftp", false)).unwrap_err();
    assert!(error.contains("in use by a session"), "{error}");
    let again = lab.ask(Request::ReloadModule { names: vec!["conntrack_ftp".to_owned()] }).unwrap();
    assert!(again.contains("conntrack_ftp is loaded from"), "{again}");
    assert_eq!(lab.ask(unload("ftp", true)).unwrap(), "conntrack_ftp is unloaded\n");
    assert!(lab.explain("conn 1").contains("the helper was unloaded"), "{}", lab.explain("conn 1"));
    assert_eq!(module_line(&mut lab), ["conntrack_ftp", "enabled", "0", "built-in"]);
    assert_eq!(lab.ask(unload("ftp", true)).unwrap_err(), "conntrack_ftp is built in");
}
