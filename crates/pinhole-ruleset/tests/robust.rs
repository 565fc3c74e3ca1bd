//! Hostile text: no panic, no deep recursion, bounded work.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use pinhole_ruleset::{LoadError, Loader, compile_text, load};
use proptest::prelude::*;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

const WORDS: &[&str] = &[
    "table",
    "inet",
    "ip",
    "t",
    "chain",
    "c",
    "{",
    "}",
    "{",
    "}",
    ";",
    "\n",
    "type",
    "filter",
    "hook",
    "input",
    "priority",
    "0",
    "-",
    "+",
    "policy",
    "drop",
    "ct",
    "state",
    "established",
    ",",
    "related",
    "accept",
    "tcp",
    "dport",
    "22",
    "-",
    "ip",
    "saddr",
    "10.0.0.0",
    "/",
    "8",
    "@s",
    "set",
    "map",
    "vmap",
    ":",
    "elements",
    "=",
    "define",
    "x",
    "$x",
    "$",
    "include",
    "\"f\"",
    "jump",
    "goto",
    "c",
    "flags",
    "&",
    "|",
    "(",
    ")",
    "!=",
    "==",
    "counter",
    "limit",
    "rate",
    "1",
    "second",
    "log",
    "prefix",
    "\"p\"",
    "reject",
    "with",
    "icmp",
    "helper",
    "\"ftp\"",
    "protocol",
    "meta",
    "mark",
    "add",
    "rule",
    "element",
    "delete",
    "flush",
    "ruleset",
    ".",
    "*",
    "eth*",
    "::1",
    "1h30m",
    "dnat",
    "to",
    "snat",
    "masquerade",
    "[",
    "]",
    "interval",
    "typeof",
    "ct_state",
    "0xff",
    "timeout",
    "\\\n",
    "#",
    "!",
    "<",
    ">>",
    "comment",
    "redefine",
    "undefine",
    "quota",
    "expectation",
    "queue",
    "fib",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_answered(text in "\\PC*") {
        let _ = compile_text("fuzz.nft", &text);
    }

    #[test]
    fn any_words_are_answered(words in prop::collection::vec(prop::sample::select(WORDS), 0..200)) {
        if let Err(errors) = compile_text("fuzz.nft", &words.join(" ")) {
            prop_assert!(!errors.is_empty() && errors.len() <= 20);
            for error in errors {
                prop_assert!(error.source_line.get(error.span.clone()).is_some());
                error.render(true);
            }
        }
    }

    #[test]
    fn any_words_in_a_chain_are_answered(words in prop::collection::vec(prop::sample::select(WORDS), 0..30)) {
        let text = format!("table inet t {{\n set s {{ type ipv4_addr; }}\n chain c {{ {} \n}}\n}}\n", words.join(" "));
        let _ = compile_text("fuzz.nft", &text);
    }
}

fn refused(text: &str) -> String {
    compile_text("deep.nft", text).expect_err("must be refused")[0].message.clone()
}

#[test]
fn deep_nesting_is_an_error() {
    let many = 100_000;
    for (open, close) in [("(", ")"), ("{", "}")] {
        let text = format!("define x = {}1{}\n", open.repeat(many), close.repeat(many));
        assert!(refused(&text).contains("nested more than 64"), "{open}");
    }
    let ors =
        format!("table ip t {{ chain c {{ tcp flags & (syn{}) == 0 accept\n }}\n}}\n", "|syn".repeat(many));
    assert!(refused(&ors).contains("nested more than 64"));
    let mut variables = "define x0 = { 1 }\n".to_owned();
    for i in 1..1000 {
        let _ = writeln!(variables, "define x{i} = {{ $x{} }}", i - 1);
    }
    assert!(refused(&variables).contains("nested more than 64"));
}

#[test]
fn variables_that_multiply_are_bounded() {
    let mut text = "define x0 = { 1, 2 }\n".to_owned();
    for i in 1..28 {
        let _ = writeln!(text, "define x{i} = {{ $x{0}, $x{0} }}", i - 1);
    }
    text += "table ip t { chain c { tcp dport $x27 accept\n }\n}\n";
    let start = Instant::now();
    assert!(refused(&text).contains("more than"));
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[test]
fn long_chains_of_jumps_are_an_error_not_an_overflow() {
    let mut text = "table ip t {\n".to_owned();
    for i in 0..20_000 {
        let _ = writeln!(text, " chain c{i} {{ jump c{}\n }}", i + 1);
    }
    text += " chain c20000 {\n }\n}\n";
    assert!(refused(&text).contains("jumps nest more than 15 deep"));
}

struct Files(HashMap<&'static str, String>);

impl Loader for Files {
    fn resolve(&self, _from: &str, pattern: &str) -> Result<Vec<String>, LoadError> {
        if let Some(stem) = pattern.strip_suffix('*') {
            let mut names: Vec<String> =
                self.0.keys().filter(|n| n.starts_with(stem)).map(|n| (*n).into()).collect();
            names.sort();
            return Ok(names);
        }
        if self.0.contains_key(pattern) {
            Ok(vec![pattern.into()])
        } else {
            Err(LoadError("no such file".into()))
        }
    }

    fn read(&self, name: &str, _limit: usize) -> Result<String, LoadError> {
        self.0.get(name).cloned().ok_or_else(|| LoadError("no such file".into()))
    }
}

#[test]
fn includes_are_read_in_place() {
    let files = Files(HashMap::from([
        (
            "root",
            "include \"defs\"\ntable ip t {\n chain c {\n  include \"rules/*\"\n  tcp dport 3 accept\n }\n}"
                .into(),
        ),
        ("defs", "define one = 1".into()),
        ("rules/a", "tcp dport $one accept".into()),
        ("rules/b", "# a comment\ntcp dport 2 accept # no end of line".into()),
    ]));
    let ruleset = load("root", &files).unwrap();
    let texts: Vec<&str> = (0..3).map(|r| ruleset.rule_text(pinhole_ruleset::RuleId(r))).collect();
    assert_eq!(texts, ["tcp dport $one accept", "tcp dport 2 accept", "tcp dport 3 accept"]);
    assert_eq!(ruleset.location(pinhole_ruleset::RuleId(1)).unwrap().to_string(), "rules/b:2");
}

#[test]
fn include_bombs_are_bounded() {
    let once = Files(HashMap::from([("root", "include \"root\"\n".into())]));
    assert!(load("root", &once).unwrap_err()[0].message.contains("more than 16 deep"));
    let twice = Files(HashMap::from([("root", "include \"root\"\ninclude \"root\"\n".into())]));
    assert_eq!(load("root", &twice).unwrap_err().len(), 20);
    let missing = Files(HashMap::from([("root", "include \"nowhere\"\n".into())]));
    assert_eq!(load("root", &missing).unwrap_err()[0].message, "cannot include `nowhere`: no such file");
    assert_eq!(load("gone", &missing).unwrap_err()[0].message, "cannot read `gone`: no such file");
}
