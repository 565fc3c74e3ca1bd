//! A gateway as its operator sees it: confinement, signals, logs, counters, `top`, privileges that are missing.

use crate::bench::{Bench, command_output, missing};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const RULES: &str = "table inet f {
    chain c { type filter hook forward priority 0; policy drop;
        ct state established,related accept
        tcp dport 9 log prefix \"discard: \" drop
    }
}";

#[test]
#[ignore = "takes root and network namespaces"]
fn it_is_confined_and_still_does_its_work() {
    let bench = Bench::new("oc");
    let state = bench.folder().join("state");
    let metrics = bench.folder().join("metrics.sock");
    let more =
        format!("log = \"json\"\nlog-level = \"trace\"\nmetrics = {metrics:?}\n[state]\nfile = {state:?}\n");
    let gateway = bench.gateway_with(RULES, &more);
    // CAP_NET_ADMIN and CAP_NET_RAW, and no way to others.
    assert_eq!(gateway.process_status("CapEff"), "0000000000003000");
    assert_eq!(gateway.process_status("CapBnd"), "0000000000003000");
    assert_eq!(gateway.process_status("NoNewPrivs"), "1");
    assert_eq!(gateway.process_status("Seccomp"), "2", "a filter");

    // SIGHUP reads the ruleset again; one that is wrong changes nothing.
    bench.write("fw.nft", "table inet f { chain c { oops } }");
    gateway.signal("HUP");
    bench.reaches("10.9.0.2");
    assert!(gateway.ask(&["list", "rules"]).is_empty(), "no counters, and no failure");
    let counters =
        command_output(&["curl", "-s", "--unix-socket", metrics.to_str().unwrap(), "http://x/metrics"]);
    assert!(counters.ends_with("# EOF\n"), "{counters}");
    let drops = "pinhole_drops_total{verdict=\"drop\",reason=\"rule\",rule=\"";
    assert!(counters.lines().any(|line| line.starts_with(drops) && line.contains("fw.nft:4")), "{counters}");

    let start = Instant::now();
    let socket = gateway.socket().to_owned();
    gateway.stop();
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    let told = std::fs::read_to_string(bench.folder().join("stderr")).unwrap();
    let lines: Vec<serde_json::Value> =
        told.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let packet = lines.iter().find(|line| line["type"] == "packet").unwrap_or_else(|| panic!("{told}"));
    assert_eq!(
        (&packet["prefix"], &packet["dpt"], &packet["in"]),
        (&"discard: ".into(), &9.into(), &"pg0".into())
    );
    let message =
        |text: &str| lines.iter().any(|line| line["message"].as_str().is_some_and(|m| m.contains(text)));
    assert!(message("the ruleset stays as it was"), "{told}");
    let traced = |line: &&serde_json::Value| {
        line["type"] == "trace" && line["state"] == "new" && line["verdict"] == "drop"
    };
    let traced = lines.iter().find(traced).unwrap_or_else(|| panic!("{told}"));
    assert!(traced["flow"].as_str().is_some_and(|flow| flow.contains("> 10.9.0.2:9 ")), "{traced}");
    assert!(traced["rule"].as_str().is_some_and(|rule| rule.contains("fw.nft:")), "{traced}");
    assert!(state.exists() && !socket.exists() && !metrics.exists(), "what is its own is put away");
}

#[test]
#[ignore = "takes root and network namespaces"]
fn top_shows_it_on_a_terminal_and_refuses_anything_else() {
    if missing(&["script"]) {
        return;
    }
    let bench = Bench::new("ot");
    let gateway = bench.gateway(RULES);
    bench.reaches("10.9.0.2");
    let program = format!("{} top --socket {}", env!("CARGO_BIN_EXE_pinhole"), gateway.socket().display());
    let mut script = Command::new("script")
        .args(["-qec", &program, "/dev/null"])
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(1_500));
    for key in [b"s", b"q"] {
        std::io::Write::write_all(script.stdin.as_mut().unwrap(), key).unwrap();
        std::thread::sleep(Duration::from_millis(500));
    }
    let output = script.wait_with_output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{shown}");
    assert!(shown.contains("connections") && shown.contains("q quit"), "{shown}");
    assert!(
        shown.contains("fw.nft:4 tcp 10.9.0.1 > 10.9.0.2:9") && shown.contains("sort: bytes a second"),
        "{shown}"
    );
    assert!(shown.ends_with("\u{1b}[?25h\u{1b}[?1049l"), "the terminal is given back: {shown:?}");

    let output = Command::new(env!("CARGO_BIN_EXE_pinhole"))
        .args(["top", "--socket"])
        .arg(gateway.socket())
        .env("TERM", "dumb")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("takes a terminal"), "{told}");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
#[ignore = "takes root"]
fn each_missing_privilege_is_explained() {
    let bench = Bench::new("op");
    bench.write("fw.nft", RULES);
    let binary = bench.folder().join("pinhole");
    std::fs::copy(env!("CARGO_BIN_EXE_pinhole"), &binary).unwrap();
    let raw = "CAP_NET_RAW (to receive and send frames)";
    let admin = "CAP_NET_ADMIN (to keep the host\'s own stack away from the interfaces)";
    for (held, lacking) in
        [("-all", vec![raw, admin]), ("-all,+net_raw", vec![admin]), ("-all,+net_admin", vec![raw])]
    {
        let output = Command::new("setpriv")
            .args([
                "--inh-caps",
                held,
                "--ambient-caps",
                held,
                "--reuid",
                "65534",
                "--regid",
                "65534",
                "--clear-groups",
            ])
            .arg(&binary)
            .args(["run", "--port", "pg0", "--port", "pg1", "--rules"])
            .arg(bench.folder().join("fw.nft"))
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(6), "{told}");
        assert!(told.contains("missing privileges: ") && told.contains("or `setcap"), "{told}");
        for name in [raw, admin] {
            assert_eq!(told.contains(name), lacking.contains(&name), "{held}: {told}");
        }
    }
}
