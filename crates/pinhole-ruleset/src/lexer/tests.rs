use super::*;

fn lex(text: &str) -> Vec<(Kind, &str)> {
    let tokens = tokens(FileId(0), text).unwrap();
    tokens.iter().map(|t| (t.kind, text.get(t.span.start as usize..t.span.end as usize).unwrap())).collect()
}

fn kinds(text: &str) -> Vec<Kind> {
    lex(text).into_iter().map(|(kind, _)| kind).filter(|k| *k != Kind::End).collect()
}

#[test]
fn the_longest_word_wins() {
    let table: &[(&str, &[(Kind, &str)])] = &[
        ("fe80::1-fe80::2", &[(Kind::Address, "fe80::1"), (Kind::Dash, "-"), (Kind::Address, "fe80::2")]),
        ("10.0.0.1-10.0.0.9", &[(Kind::Address, "10.0.0.1"), (Kind::Dash, "-"), (Kind::Address, "10.0.0.9")]),
        ("10.0.0.0/8", &[(Kind::Address, "10.0.0.0"), (Kind::Slash, "/"), (Kind::Number, "8")]),
        ("22-23", &[(Kind::Number, "22"), (Kind::Dash, "-"), (Kind::Number, "23")]),
        ("1h30m", &[(Kind::Time, "1h30m")]),
        ("5ms", &[(Kind::Time, "5ms")]),
        ("1d2h3m4s5ms", &[(Kind::Time, "1d2h3m4s5ms")]),
        ("10mbytes", &[(Kind::Number, "10"), (Kind::Name, "mbytes")]),
        ("10/second", &[(Kind::Number, "10"), (Kind::Slash, "/"), (Kind::Name, "second")]),
        ("00:16:3e:12:34:56", &[(Kind::Address, "00:16:3e:12:34:56")]),
        ("::", &[(Kind::Address, "::")]),
        ("::ffff:1.2.3.4", &[(Kind::Address, "::ffff:1.2.3.4")]),
        ("22:accept", &[(Kind::Number, "22"), (Kind::Colon, ":"), (Kind::Name, "accept")]),
        ("eth*", &[(Kind::Wildcard, "eth*")]),
        ("eth0.5", &[(Kind::Name, "eth0.5")]),
        ("0xff", &[(Kind::Number, "0xff")]),
        ("ssh-alt", &[(Kind::Name, "ssh-alt")]),
        ("\"a b\"", &[(Kind::Quoted, "a b")]),
        ("\"\"", &[(Kind::Quoted, "")]),
    ];
    for (text, expected) in table {
        let mut found = lex(text);
        found.pop();
        assert_eq!(&found, expected, "{text}");
    }
}

#[test]
fn comments_and_continued_lines_vanish() {
    assert_eq!(kinds("a # b { c\nd"), [Kind::Name, Kind::Newline, Kind::Name]);
    assert_eq!(kinds("a \\\n b"), [Kind::Name, Kind::Name]);
    assert_eq!(kinds("#!/usr/sbin/nft -f\n"), [Kind::Newline]);
}

#[test]
fn operators() {
    assert_eq!(
        kinds("= == != ! < <= << > >= >> & | ^"),
        [
            Kind::Assign,
            Kind::Equal,
            Kind::NotEqual,
            Kind::Not,
            Kind::Less,
            Kind::LessEqual,
            Kind::ShiftLeft,
            Kind::Greater,
            Kind::GreaterEqual,
            Kind::ShiftRight,
            Kind::And,
            Kind::Or,
            Kind::Xor
        ]
    );
}

#[test]
fn mac_addresses() {
    assert_eq!(mac("00:01:02:0a:ff:5"), Some(0x0001_020a_ff05));
    assert_eq!(mac("00:01:02:0a:ff"), None);
    assert_eq!(mac("000:1:2:3:4:5"), None);
}
