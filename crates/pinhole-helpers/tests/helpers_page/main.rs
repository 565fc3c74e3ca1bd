//! `docs/helpers.md` says what the helpers say of themselves.
//!
//! The page is made from each helper's `Spec` and from the facts about other systems in `elsewhere`; with `PINHOLE_UPDATE=1` this test writes
//! it instead of comparing.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap is the test's message")]

mod elsewhere;

use elsewhere::ELSEWHERE;
use pinhole_helper::{Helper, Spec};
use std::fmt::Write;
use std::path::Path;

const HEAD: &str = "\
# Helpers

What each helper reads, opens, refuses, and how it is bounded. This page is made from the helpers' own descriptions (`pinhole helpers NAME` shows the
same); `PINHOLE_UPDATE=1 cargo test -p pinhole-helpers --test helpers_page` writes it anew.

No helper reads anything unless a rule (`ct helper set`) or `--helpers` attaches it; the ports are conventions. What holds for all of them:
the announced address is the announcer's own, the port is at least 1024, answers count only for their questions, everything is bounded, and
a connection that does not open with the protocol is never read. See CONTRIBUTING.md for the rules, [divergences.md](divergences.md) for
where Linux does otherwise.

## Who has what

T: tracks, N: tracks and translates, 6: IPv6 too, –: nothing. *commercial* names who of Cisco ASA, Juniper SRX and Fortinet has it, by
their documentation.

";

#[test]
fn the_page_is_what_the_helpers_say() {
    let page = page();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/helpers.md");
    if std::env::var_os("PINHOLE_UPDATE").is_some_and(|value| value == "1") {
        return std::fs::write(&path, page).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    let remedy = "PINHOLE_UPDATE=1 writes it anew";
    for (number, (is, shall)) in (1..).zip(committed.lines().zip(page.lines())) {
        assert_eq!(is, shall, "docs/helpers.md:{number} ({remedy})");
    }
    assert_eq!(
        committed.lines().count(),
        page.lines().count(),
        "docs/helpers.md: number of lines ({remedy})"
    );
}

#[test]
fn every_helper_is_compared() {
    for helper in pinhole_helpers::registry().iter() {
        let name = helper.spec().name;
        let compared = ELSEWHERE.iter().any(|row| row.helpers.contains(&name.as_str()));
        assert!(compared, "`{name}` has no row in `elsewhere`");
    }
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    compare(&mut page);
    for helper in pinhole_helpers::registry().iter() {
        describe(&mut page, helper.spec());
    }
    page
}

fn compare(page: &mut String) {
    page.push_str("| protocol | pinhole | Linux 6.18 | conntrack-tools | patch-o-matic and other modules | Open vSwitch | libalias | commercial |\n");
    page.push_str("|---|---|---|---|---|---|---|---|\n");
    for row in ELSEWHERE {
        let cells =
            [row.protocol, &ours(row.helpers), row.linux, row.tools, row.modules, row.ovs, row.libalias];
        writeln!(page, "| {} | {} |", cells.join(" | "), row.commercial).unwrap();
    }
}

/// What this build has, in the table's letters.
fn ours(names: &[&str]) -> String {
    let registry = pinhole_helpers::registry();
    let Some(spec) = names.iter().find_map(|name| registry.find(name)).map(Helper::spec) else {
        return "–".to_owned();
    };
    let translates = pinhole_helpers::nat_helpers().iter().any(|half| half.name() == spec.name);
    let letter = if translates { 'N' } else { 'T' };
    let six = if spec.ipv6.starts_with("none") { "" } else { "6" };
    format!("**{letter}{six}**")
}

fn describe(page: &mut String, spec: &Spec) {
    let protocols: Vec<String> = spec.protocols.iter().map(ToString::to_string).collect();
    let ports: Vec<String> = spec.ports.iter().map(ToString::to_string).collect();
    let (protocols, ports) = (protocols.join("/"), ports.join(", "));
    write!(page, "\n## {}\n\n{}. Conventionally {protocols} {ports}.", spec.name, spec.summary).unwrap();
    if !spec.aliases.is_empty() {
        let aliases: Vec<String> = spec.aliases.iter().map(|alias| format!("`{alias}`")).collect();
        write!(page, " Also called {}.", aliases.join(", ")).unwrap();
    }
    page.push_str("\n\n");
    let expectations: Vec<String> = spec
        .classes
        .iter()
        .map(|class| format!("{}: at most {} at a time, {} s each", class.name, class.max, class.timeout))
        .collect();
    for (title, items) in [
        ("Reads", &*spec.reads.join("; ")),
        ("Opens", &spec.creates.join("; ")),
        ("Expectations", &expectations.join("; ")),
        ("Refuses", &spec.refuses.join("; ")),
        ("Limits", &spec.limits.join("; ")),
        ("NAT", &spec.nat),
        ("IPv6", &spec.ipv6),
        ("Specifications", &spec.references.join("; ")),
    ] {
        if !items.is_empty() {
            writeln!(page, "* **{title}:** {items}").unwrap();
        }
    }
}
