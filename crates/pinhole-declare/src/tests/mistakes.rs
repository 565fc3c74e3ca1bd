//! What is wrong with a file is said, and where.

use super::Declaration;
use crate::LONGEST_FILE;
use proptest::prelude::*;

const GOOD: &str = r#"name = "x"
summary = "for a test"
protocol = "tcp"

[expect.data]
timeout = 60

[[message]]
name = "ask"
from = "client"
when = "always"
match = 'ASK'

[[message]]
name = "go"
from = "server"
when = "always"
match = 'GO {port}'
answers = "ask"
expects = "data"
"#;

/// The problems of the good file with one thing changed: what they are about, and what they say.
fn problems(from: &str, to: &str) -> Vec<(String, String)> {
    assert!(GOOD.contains(from), "{from}");
    let text = GOOD.replacen(from, to, 1);
    let problems = Declaration::read(&text).err().unwrap_or_default();
    problems.into_iter().map(|problem| (text[problem.span].to_owned(), problem.message)).collect()
}

#[test]
fn the_good_file_is_good() {
    assert!(Declaration::read(GOOD).is_ok());
}

#[test]
fn mistakes_and_their_places() {
    for (from, to, about, message) in [
        ("name = \"x\"\n", "", "", "the file lacks `name`"),
        ("protocol = \"tcp\"\n", "", "", "the file lacks `protocol`"),
        ("\"tcp\"", "\"sctp\"", "\"sctp\"", "`protocol` cannot be \"sctp\""),
        ("\"x\"", "\"x y\"", "\"x y\"", "\"x y\" cannot be a helper's name"),
        ("\"x\"", "7", "7", "`name` is a text in quotes"),
        (
            "\"for a test\"",
            "\"for \\u001b[31m\"",
            "\"for \\u001b[31m\"",
            "`summary` is shown to people: no control characters",
        ),
        (
            "\"for a test\"",
            "'for \u{202e}'",
            "\u{202e}",
            "`summary` is shown to people: no control characters",
        ),
        ("timeout", "timout", "timout", "[expect.data] has no key `timout`"),
        ("= 60", "= 0", "0", "`timeout` is a number from 1 to 86400"),
        ("= 60", "= -1", "-1", "`timeout` is a number from 1 to 86400"),
        ("= 60", "= 0xffffffffffff", "0xffffffffffff", "`timeout` is a number from 1 to 86400"),
        ("timeout = 60", "ports = \"9-8\"", "\"9-8\"", "`ports` is a port or a range of ports"),
        ("timeout = 60", "port = \"there\"", "\"there\"", "`port` cannot be \"there\""),
        ("timeout = 60", "source = \"all\"", "\"all\"", "`source` cannot be \"all\""),
        ("match = 'ASK'", "", "[[message]]", "[[message]] lacks `match`"),
        ("'GO {port}'", "'GO {prt}'", "{prt}", "there is no field `prt`"),
        ("'GO {port}'", "\"GO {prt}\"", "{prt}", "there is no field `prt`"),
        ("'GO {port}'", "\"GO\\\\t{prt}\"", "\"GO\\\\t{prt}\"", "there is no field `prt`"),
        ("'GO {port}'", "\"GO\\t{port}\"", "\"GO\\t{port}\"", "control characters are written as escapes"),
        ("'GO {port}'", "'{items}'", "[[message]]", "`go` holds {items}, and there is no `item`"),
        ("'GO {port}'", "'GO'", "[[message]]", "'GO' announces no port"),
        ("'GO {port}'", "'GO {key:word} {port}'", "[[message]]", "`go` has a {key}, `ask` has none"),
        ("expects = \"data\"", "expects = \"date\"", "\"date\"", "there is no [expect.date]"),
        ("answers = \"ask\"", "answers = \"ak\"", "\"ak\"", "`answers` names no message"),
        (
            "answers = \"ask\"",
            "recalls = \"ask\"",
            "[[message]]",
            "`go` never meets `ask`: the wrong side says it",
        ),
        (
            "answers = \"ask\"",
            "activates = \"ask\"",
            "[[message]]",
            "`ask` announces nothing that could be activated",
        ),
        ("name = \"go\"", "name = \"ask\"", "[[message]]", "a second message is called `ask`"),
        ("'ASK'", "'{_:text}'", "[[message]]", "`ask` opens a connection, and any bytes fit it"),
        ("[expect.data]", "[framing]\nby = \"byte\"\n[expect.data]", "[framing]", "[framing] lacks `end`"),
        (
            "[expect.data]",
            "[framing]\nby = \"datagram\"\n[expect.data]",
            "\"datagram\"",
            "`by` cannot be \"datagram\"",
        ),
        ("[expect.data]", "[expect.none]\n[expect.data]", "none", "no message expects `none`"),
        (
            "timeout = 60",
            "address = \"any\"\nsource = \"anyone\"",
            "data",
            "[expect.data] lets anyone connect to anyone",
        ),
        ("name = \"x\"", "name = ", "", "not TOML: "),
    ] {
        let found = problems(from, to);
        let hit = found.iter().any(|(at, said)| at.contains(about) && said.starts_with(message));
        assert!(hit, "{to}: {found:?}");
    }
}

#[test]
fn who_announces_must_open() {
    let found = problems("when = \"always\"\nmatch = 'GO", "match = 'GO");
    assert_eq!(found[0].1, "`go` counts without its sender having opened with the protocol");
}

#[test]
fn what_announces_nothing_is_no_helper() {
    let found = problems("expects = \"data\"", "");
    assert!(found.iter().any(|(_, message)| message == "no message announces anything"), "{found:?}");
    assert!(
        found.iter().any(|(_, message)| message.starts_with("`go` holds an address or a port")),
        "{found:?}"
    );
}

#[test]
fn a_file_is_bounded() {
    let long = format!("{GOOD}#{}", "x".repeat(LONGEST_FILE));
    assert_eq!(Declaration::read(&long).unwrap_err().len(), 1);
    let deep = format!("a = {}{}", "[".repeat(10_000), "]".repeat(10_000));
    assert!(Declaration::read(&deep).is_err());
    let many = "[[message]]\nfrom = \"client\"\nmatch = 'x'\n".repeat(33);
    let problems = Declaration::read(&format!("{GOOD}{many}")).unwrap_err();
    assert!(problems.iter().any(|problem| problem.message.starts_with("35 [[message]] tables: at most 32")));
    assert!(problems.len() <= 20);
}

proptest! {
    /// Any change of a byte gives a declaration, or a problem at a place of the file that there is.
    #[test]
    fn any_change(at in 0..GOOD.len(), to in any::<char>(), length in 0usize..3) {
        let mut text = GOOD.to_owned();
        let end = (at + length).min(GOOD.len());
        text.replace_range(at..end, &to.to_string());
        if let Err(problems) = Declaration::read(&text) {
            prop_assert!(!problems.is_empty());
            for problem in problems {
                prop_assert!(problem.span.start <= problem.span.end && problem.span.end <= text.len(), "{:?}", problem);
                prop_assert!(!problem.message.is_empty());
            }
        }
    }
}
