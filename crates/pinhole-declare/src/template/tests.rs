//! What fits, what is refused, and that nothing is too odd.

use super::*;
use proptest::prelude::*;

fn template(text: &str) -> Template {
    Template::parse(text, false).unwrap_or_else(|mistake| panic!("{text}: {mistake:?}"))
}

/// The texts of address, port and key.
fn fields(template: &Template, message: &str) -> Option<[String; 3]> {
    let Fit::Whole(found) = template.fit(message.as_bytes()) else { return None };
    let text = |range: Option<std::ops::Range<usize>>| {
        range.map_or(String::new(), |range| message[range].to_owned())
    };
    Some([
        text(found.address.map(|(range, _)| range)),
        text(found.port.map(|(range, _)| range)),
        text(found.key),
    ])
}

#[test]
fn fields_take_what_has_their_shape() {
    for (text, message, expected) in [
        ("OFFER {key:word} {address} {port}", "OFFER tea 10.0.0.1 50000", ["10.0.0.1", "50000", "tea"]),
        ("at {address}:{port}/{_:text}", "at 10.0.0.1:80/x/y:z", ["10.0.0.1", "80", ""]),
        ("at [{address}]:{port}", "at [2001:db8::1]:80", ["2001:db8::1", "80", ""]),
        ("PORT {address:comma},{port:comma}", "PORT 10,0,0,1,195,80", ["10,0,0,1", "195,80", ""]),
        ("{port}", "1022", ["", "1022", ""]),
        ("a{_:blanks}:{_:blanks}{port}{_:blanks}", "a : \t7 ", ["", "7", ""]),
        ("{key:4}{address:hex}{port:hex}", "id770a000001c350", ["0a000001", "c350", "id77"]),
        ("<{_:text}> {port}", "<a <b> c> 5", ["", "", ""]),
        ("<{_:text}> {port}", "<a <b c> 5", ["", "5", ""]),
        ("{_:word}@{key:word} {port}", "me@here 5", ["", "5", "here"]),
    ] {
        let found = fields(&template(text), message);
        let expected = (expected != ["", "", ""]).then(|| expected.map(str::to_owned));
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn a_template_fits_the_whole_message() {
    let offer = template("OFFER {port}");
    assert!(matches!(offer.fit(b"OFFER 5"), Fit::Whole(_)));
    for begun in ["OFFER ", "OFFER 5 ", "OFFER 5x", "OFFER -5", "OFFER x"] {
        assert_eq!(offer.fit(begun.as_bytes()), Fit::Begun, "{begun}");
    }
    for other in ["", "OFFE", "offer 5", " OFFER 5"] {
        assert_eq!(offer.fit(other.as_bytes()), Fit::No, "{other}");
    }
    let any_case = Template::parse("OFFER {port}", true).unwrap();
    assert!(matches!(any_case.fit(b"oFFer 5"), Fit::Whole(_)));
    // Without a beginning of its own there is nothing by which it could be recognised.
    assert_eq!(template("{port}").fit(b"x"), Fit::No);
}

#[test]
fn escapes_stand_for_bytes() {
    let binary = template(r"\xff\x00\0\r\n\t\\\{\}{port:be16}é");
    let mut message = b"\xff\0\0\r\n\t\\{}\x12\x34".to_vec();
    message.extend("é".as_bytes());
    let Fit::Whole(found) = binary.fit(&message) else { panic!("no fit") };
    assert_eq!(found.port, Some((9..11, PortNotation::Big)));
}

#[test]
fn beginnings_of_messages() {
    let offer = template("OFFER {port}");
    for beginning in ["", "O", "OFFER", "OFFER ", "OFFER 5", "OFFER x"] {
        assert!(offer.may_begin(beginning.as_bytes()), "{beginning}");
    }
    assert!(!offer.may_begin(b"OFFR"));
    assert!(!offer.may_begin(b"X"));
}

#[test]
fn long_keys_do_not_fit() {
    let keyed = template("K {key:word} {port}");
    let message = |length: usize| format!("K {} 5", "k".repeat(length));
    assert!(matches!(keyed.fit(message(LONGEST_KEY).as_bytes()), Fit::Whole(_)));
    assert_eq!(keyed.fit(message(LONGEST_KEY + 1).as_bytes()), Fit::Begun);
}

#[test]
fn mistakes_are_told_where_they_are() {
    for (text, range, message) in [
        ("a{port", 1..6, "the field has no end"),
        ("a}b", 1..2, "no field begins here"),
        (r"a\q", 1..3, "an unknown escape"),
        (r"\x1", 0..2, "`\\x` is followed by two hexadecimal digits"),
        (r"\xé", 0..2, "`\\x` is followed by two hexadecimal digits"),
        ("{adress}", 0..8, "there is no field `adress`"),
        ("{address:dotted}", 0..16, "`dotted` is no notation of addresses"),
        ("{port:be64}", 0..11, "`be64` is no notation of ports"),
        ("{_}", 0..3, "the field does not say what it takes"),
        ("{_:0}", 0..5, "`0` is no kind of field"),
        ("{key:33}", 0..8, "a key has at most 32 bytes"),
        ("{port} {port:hex}", 7..17, "a template has one such field at most"),
        ("{items}x", 0..7, "{items} is the last field of its template"),
        ("{port}5", 6..7, "this could never follow: the field takes all digits"),
        ("{_:word}{port}", 8..14, "it is not clear where this field begins"),
        ("{_:text}{_:blanks}", 8..18, "it is not clear where this field begins"),
        ("{_:text}{items}", 8..15, "it is not clear where this field begins"),
    ] {
        let mistake = Template::parse(text, false).unwrap_err();
        assert_eq!((mistake.range, mistake.message.as_str()), (range, message), "{text}");
    }
    let long = "x".repeat(LONGEST_TEMPLATE + 1);
    assert!(Template::parse(&long, false).is_err());
}

proptest! {
    /// Any text is a template or a mistake at a place that there is; any template matches any bytes, or not.
    #[test]
    fn any_template_and_any_message(
        text in r"([a-z{}:_ 0-9\\]|\{(address|port|key|_|items)(:(word|number|text|blanks|4|be16|be32|comma|hex))?\}|é){0,12}",
        message: Vec<u8>, fold: bool,
    ) {
        match Template::parse(&text, fold) {
            Ok(template) => {
                let _ = template.may_begin(&message);
                if let Fit::Whole(found) = template.fit(&message) {
                    let ranges = [
                        found.address.map(|(range, _)| range),
                        found.port.map(|(range, _)| range),
                        found.key,
                    ];
                    for range in ranges.into_iter().flatten() {
                        prop_assert!(message.get(range).is_some());
                    }
                    prop_assert!(found.items.is_none_or(|at| at <= message.len()));
                    prop_assert!(template.may_begin(&message));
                }
            }
            Err(mistake) => {
                prop_assert!(text.get(mistake.range.clone()).is_some(), "{:?}", mistake);
                prop_assert!(!mistake.message.is_empty());
            }
        }
    }

    /// Fields are found as they were put in.
    #[test]
    fn fields_are_found_again(key in "[a-z]{1,32}", four: u32, port: u16, junk in "[^\r\n>]{0,20}") {
        let address = std::net::Ipv4Addr::from(four);
        let message = format!("GO <{junk}> {key} {address}:{port}");
        let found = fields(&template("GO <{_:text}> {key:word} {address}:{port}"), &message);
        prop_assert_eq!(found, Some([address.to_string(), port.to_string(), key]));
    }
}
