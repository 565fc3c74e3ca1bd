//! The real nft as an oracle: both accept, or both reject. Divergences are listed, each with its reason.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Write as _;
use std::process::{Command, Stdio};

const RULES: &str = include_str!("corpus/rules.txt");
const RULESETS: &str = include_str!("corpus/rulesets.txt");

/// What nft accepts and this crate refuses (with a hint), and what it accepts that nft does not.
const DIVERGENCES: &[(&str, &str)] = &[
    // Not supported, said so.
    ("meta hour", "needs a time zone"),
    ("meta day", "needs a time zone"),
    ("meta skuid", "no sockets"),
    ("meta priority", "no queueing"),
    ("meta nftrace", "everything is explained"),
    ("iiftype", "interfaces are names"),
    ("cpu 1", "no CPUs"),
    ("fib saddr", "no routes"),
    ("rt mtu", "no routes"),
    ("ct count", "no conn limits"),
    ("ct event", "no netlink"),
    ("vlan id", "rules see the inner datagram"),
    ("@th,", "raw payload"),
    ("@nh,", "raw payload"),
    ("frag more-fragments", "reassembled before the rules"),
    ("tcp option sack", "only maxseg"),
    ("size set 1360", "no header edits"),
    ("dscp set cs1", "no header edits"),
    ("daddr set 1.2.3.4", "no header edits"),
    ("table arp", "only IPv4 and IPv6"),
    ("flags dynamic", "sets are constant"),
    ("queue", "depends on the kernel's modules"),
    // Refused because they cannot mean anything.
    ("tcp flags > syn", "flags have no order"),
    ("ct state > new", "flags have no order"),
    ("iifname > \"eth\"", "names have no order"),
    ("ip saddr localhost", "names are not looked up"),
    ("chain c { icmpv6 type", "an IPv4 table sees no ICMPv6"),
    ("oifname \"wan\" masquerade", "the kernel checks this on commit only"),
    ("chain a { jump b\n }\n chain b { jump a", "the kernel checks loops on commit only"),
    // Accepted though nft 1.0.6 cannot say the type.
    ("ct mark >> 8 == 1", "nft 1.0.6 loses the type of a shift"),
    ("ct original proto-dst 22", "nft 1.0.6 needs the protocol before"),
    ("log prefix \"aa$bb\"", "both refuse where the variable is unknown"),
];

fn nft_works() -> bool {
    let probe = Command::new("unshare").args(["-n", "nft", "list", "ruleset"]).output();
    probe.is_ok_and(|o| o.status.success())
}

fn nft_accepts(text: &str) -> bool {
    let mut child = Command::new("unshare")
        .args(["-n", "nft", "-c", "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("nft was found a moment ago");
    child.stdin.take().expect("piped").write_all(text.as_bytes()).expect("nft reads");
    child.wait().expect("nft ends").success()
}

fn compare(text: &str, shown: &str, failures: &mut Vec<String>) {
    if DIVERGENCES.iter().any(|(part, _)| shown.contains(part)) {
        return;
    }
    let nft = nft_accepts(text);
    let ours = pinhole_ruleset::compile_text("corpus.nft", text);
    if nft != ours.is_ok() {
        let why = ours.err().map(|d| d.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
        failures.push(format!("nft accepts: {nft}, we: {}\n{shown}\n{}", !nft, why.unwrap_or_default()));
    }
}

#[test]
fn both_accept_or_both_reject() {
    if !nft_works() {
        eprintln!("SKIPPED both_accept_or_both_reject: needs root and nft");
        return;
    }
    let mut failures = Vec::new();
    for rule in RULES.lines().filter(|l| !l.starts_with('#')) {
        let text = format!(
            "table inet t {{\n chain y {{\n }}\n chain p {{ type filter hook input priority 0; {rule}\n }}\n chain x {{ \
             type nat hook postrouting priority 0; }}\n }}\n"
        );
        compare(&text, rule, &mut failures);
    }
    for ruleset in RULESETS.split("%\n") {
        compare(&format!("{ruleset}\n"), ruleset, &mut failures);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n----\n"));
}

#[test]
fn the_shipped_examples_pass_both() {
    for file in ["ftp-server.nft", "restrictive-lan.nft"] {
        let path = format!("{}/../../examples/{file}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).expect("the example is there");
        if let Err(diagnostics) = pinhole_ruleset::compile_text(file, &text) {
            panic!("{}", diagnostics.iter().map(|d| d.render(false)).collect::<String>());
        }
        if nft_works() {
            assert!(nft_accepts(&text), "nft refuses {file}");
        } else {
            eprintln!("SKIPPED the_shipped_examples_pass_both (nft half): needs root and nft");
        }
    }
}
