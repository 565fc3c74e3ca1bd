//! Transactions, framings, lists: each conversation also cut, reordered, repeated and lost in a hundred and fifty ways.

use super::helper;
use super::transcript::{Said, Wire, run, run_every_way};
use pinhole_helper::{
    Action, AddressMatch, BlindReason, Expect, Field, Helper, Lifetime, PortMatch, Refusal as Why,
};
use pinhole_wire::Direction::{Original as C, Reply as S};
use pinhole_wire::Protocol;

const CLIENT: &str = "10.0.0.1:40000";
const SERVER: &str = "10.0.0.2:7788";
const RELAY: &str = include_str!("../../../../helpers/relay.toml");
const HELLOS: [Said<'_>; 2] = [(C, b"RELAY/1 me\r\n"), (S, b"RELAY/1 you\r\n")];
const OFFER: Said<'_> = (C, b"OFFER tea 10.0.0.1 50000\r\n");

fn relay(said: &[Said<'_>]) -> Wire {
    run_every_way(&helper(RELAY), CLIENT, SERVER, &[&HELLOS, said].concat())
}

fn expectations(wire: &Wire) -> Vec<Expect> {
    let expect = |action: &Action| match action {
        Action::Expect(_, expect) => Some(expect.clone()),
        _ => None,
    };
    wire.noted.iter().filter_map(|noted| expect(&noted.action)).collect()
}

#[test]
fn an_offer_counts_once_it_is_taken() {
    assert_eq!(relay(&[OFFER]).open_ports(), []);
    let wire = relay(&[OFFER, (S, b"TAKE tea\r\n")]);
    assert_eq!((wire.open_ports(), wire.refusals()), (vec![50000], vec![]));
    assert_eq!(wire.noted[0].quote, b"OFFER tea 10.0.0.1 50000");
    for end in [(S, &b"LEAVE tea\n"[..]), (C, b"RECALL tea\n")] {
        let wire = relay(&[OFFER, end, (S, b"TAKE tea\n")]);
        assert_eq!((wire.open_ports(), wire.refusals()), (vec![], vec![Why::Unsolicited]));
    }
}

#[test]
fn an_offer_that_was_taken_can_be_recalled() {
    let wire = relay(&[OFFER, (S, b"TAKE tea\n"), (C, b"RECALL tea\n")]);
    assert_eq!((wire.ports(), wire.open_ports()), (vec![50000], vec![]));
}

#[test]
fn keys_tell_offers_apart() {
    let wire = relay(&[
        (C, b"OFFER tea 10.0.0.1 50000\nOFFER silk 10.0.0.1 50001\n"),
        (S, b"OFFER tea 10.0.0.2 60000\nTAKE silk\nTAKE sil\nTAKE silkk\n"),
        (C, b"TAKE tea\n"),
    ]);
    assert_eq!(wire.open_ports(), [50001, 60000]);
    assert_eq!(wire.refusals(), [Why::Unsolicited, Why::Unsolicited]);
}

#[test]
fn the_oldest_of_many_offers_is_forgotten_and_cancelled() {
    let offers: String = (0..33).map(|n| format!("OFFER n{n} 10.0.0.1 {}\n", 50000 + n)).collect();
    let wire = run(
        &helper(RELAY),
        CLIENT,
        SERVER,
        &[&HELLOS[..], &[(C, offers.as_bytes()), (S, b"TAKE n0\nTAKE n1\n")]].concat(),
    );
    assert_eq!((wire.open_ports(), wire.refusals()), (vec![50001], vec![Why::Unsolicited]));
    let cancelled = wire.noted.iter().filter(|noted| matches!(noted.action, Action::Cancel(_)));
    assert_eq!(cancelled.count(), 1);
}

#[test]
fn encryption_ends_the_reading() {
    let wire = relay(&[(C, b"SECURE\n"), (S, b"SECURED\n"), OFFER]);
    assert_eq!((wire.ports(), wire.reader.blind()), (vec![], Some(BlindReason::Encrypted)));
    // Nobody asked for it.
    let wire = relay(&[(S, b"SECURED\n"), OFFER]);
    assert_eq!((wire.ports(), wire.refusals()), (vec![50000], vec![Why::Unsolicited]));
    let wire = run_every_way(&helper(RELAY), CLIENT, SERVER, &[(C, b"\x16\x03\x01\x02\0\x01\0")]);
    assert_eq!(wire.reader.blind(), Some(BlindReason::Encrypted));
}

#[test]
fn fields_are_located_for_nat() {
    let wire = relay(&[OFFER]);
    let located: Vec<(Field, &[u8])> = wire
        .noted
        .iter()
        .filter_map(|noted| match noted.action {
            Action::Locate(_, _, field) => Some((field, noted.quote.as_slice())),
            _ => None,
        })
        .collect();
    let expected: [(Field, &[u8]); 2] = [(Field::Address(0), b"10.0.0.1"), (Field::Port(0), b"50000")];
    assert_eq!(located, expected);
    let reading = relay(&[]).reader;
    drop(reading);
    let mut wire = run(&helper(RELAY), CLIENT, SERVER, &HELLOS);
    for (partial, may) in [(&b"OFF"[..], true), (b"ER tea 10.", true)] {
        wire.say(C, partial);
        assert_eq!(wire.reader.awaits_announcement(C), may);
    }
    wire.say(S, b"TAK");
    assert!(!wire.reader.awaits_announcement(S));
}

#[test]
fn a_gap_forgets_what_was_said() {
    use pinhole_helper::Pickup;
    let mut wire = Wire::mid_stream(&helper(RELAY), CLIENT, SERVER, Pickup::Lenient);
    wire.handshake();
    for (from, bytes) in [HELLOS[0], HELLOS[1], OFFER] {
        wire.say(from, bytes);
    }
    // The server's next bytes are lost, and more than can be waited for follows.
    let junk = vec![b'x'; 60_000];
    for (index, chunk) in junk.chunks(1000).enumerate() {
        wire.at(S, 100 + index as u32 * 1000, chunk);
    }
    wire.at(S, 60_100, b"\nTAKE tea\nOFFER oil 10.0.0.2 50002\n");
    assert_eq!(wire.reader.blind(), None);
    assert_eq!(wire.open_ports(), []);
    assert_eq!(wire.refusals(), [Why::Unsolicited]);
    assert_eq!(wire.ports(), [50000, 50002]);
}

/// A protocol of framed messages: type, length, then what the type says.
const FRAMED: &str = r#"
name = "framed"
summary = "for a test"
protocol = "tcp"

[framing]
by = "length"
header = 4
at = 2
size = 2
order = "little"
limit = 32
longer = "skip"

[expect.media]
protocol = "udp"
source = "anyone"
source-ports = 5004
lifetime = "permanent"
count = 2
timeout = 60

[[message]]
name = "hello"
from = "client"
when = "first"
match = '\x01\0{_:text}'

[[message]]
name = "media"
from = "client"
match = '\x02\0{_:2}{address:le32}{port:le32}{_:text}'
expects = "media"
prolongs = 600
"#;

#[test]
fn binary_messages() {
    let helper = helper(FRAMED);
    let media = b"\x02\0\x0a\0\x01\0\0\x0a\x50\xc3\0\0zz";
    let mut stream = b"\x01\0\0\0".to_vec();
    stream.extend(b"\x07\0\x40\0");
    stream.extend([0x02; 64]);
    stream.extend(media);
    let wire = run_every_way(&helper, CLIENT, SERVER, &[(C, &stream)]);
    let [expect] = &expectations(&wire)[..] else { panic!("{:?}", wire.noted) };
    assert_eq!(expect.protocol, Protocol::UDP);
    assert_eq!(expect.source, AddressMatch::Any);
    assert_eq!(expect.source_port, PortMatch::Exact(5004));
    assert_eq!(expect.destination.to_string(), "10.0.0.1");
    assert_eq!(expect.destination_port, PortMatch::Range(50000, 50001));
    assert_eq!((expect.lifetime, expect.timeout), (Lifetime::Permanent, Some(60)));
    assert!(wire.noted.iter().any(|noted| noted.action == Action::Prolong(600)));
}

#[test]
fn a_pair_of_ports_does_not_wrap() {
    let wire = run_every_way(
        &helper(FRAMED),
        CLIENT,
        SERVER,
        &[(C, b"\x01\0\0\0\x02\0\x08\0\x01\0\0\x0a\xff\xff\0\0")],
    );
    assert_eq!((expectations(&wire).len(), wire.refusals()), (0, vec![Why::BadNumber]));
}

#[test]
fn long_messages_are_skipped_or_end_the_reading() {
    let long = format!("OFFER tea 10.0.0.1 50000 {}\n", "x".repeat(600));
    let wire = relay(&[(C, long.as_bytes()), OFFER]);
    assert_eq!((wire.ports(), wire.reader.blind()), (vec![], Some(BlindReason::MessageTooLong)));
    let skipping =
        RELAY.replace("[expect.file]", "[framing]\nby = \"line\"\nlonger = \"skip\"\n\n[expect.file]");
    let said = [&HELLOS[..], &[(C, long.as_bytes()), OFFER]].concat();
    let wire = run_every_way(&helper(&skipping), CLIENT, SERVER, &said);
    assert_eq!((wire.ports(), wire.reader.blind()), (vec![50000], None));
}

/// FTP's own announcements, as far as patterns go.
const FTP: &str = r#"
name = "ftp-declared"
summary = "for a test"
protocol = "tcp"
ports = [21]

[expect.data]
source = "peer"
max = 8

[[message]]
name = "greeting"
from = "server"
when = "first"
match = ['220{_:text}', '120{_:text}']

[[message]]
name = "user"
from = "client"
when = "first"
ignore-case = true
match = ['USER {_:text}', 'AUTH {_:text}', 'FEAT', 'SYST', 'HELP', 'QUIT']

[[message]]
name = "port"
from = "client"
ignore-case = true
match = 'PORT {address:comma},{port:comma}'
expects = "data"

[[message]]
name = "failure"
from = "server"
match = ['4{_:text}', '5{_:text}']
cancels = "port"

[[message]]
name = "pasv"
from = "client"
ignore-case = true
match = 'PASV'

[[message]]
name = "passive"
from = "server"
match = '227 {_:text}({address:comma},{port:comma}){_:text}'
answers = "pasv"
expects = "data"
"#;

#[test]
fn what_ftp_announces() {
    let ftp = helper(FTP);
    let dialogue = |said: &[Said<'_>]| {
        let opening: [Said<'_>; 2] = [(S, b"220 hello\r\n"), (C, b"USER me\r\n")];
        run_every_way(&ftp, CLIENT, "10.0.0.2:21", &[&opening, said].concat())
    };
    let wire = dialogue(&[(C, b"port 10,0,0,1,195,80\r\n")]);
    assert_eq!((wire.open_ports(), wire.refusals()), (vec![50000], vec![]));
    let wire = dialogue(&[(C, b"PORT 10,0,0,1,195,80\r\n"), (S, b"500 no\r\n")]);
    assert_eq!(wire.open_ports(), []);
    let passive: Said<'_> = (S, b"227 Entering Passive Mode (10,0,0,2,195,80).\r\n");
    assert_eq!(dialogue(&[(C, b"PASV\r\n"), passive]).open_ports(), [50000]);
    assert_eq!(dialogue(&[passive]).refusals(), [Why::Unsolicited]);
    assert_eq!(dialogue(&[(C, b"PASV\r\n"), passive, passive]).refusals(), [Why::Unsolicited]);
    let foreign = dialogue(&[(C, b"PORT 10,0,0,9,195,80\r\n")]);
    assert_eq!((foreign.ports(), foreign.refusals()), (vec![], vec![Why::ForeignAddress]));
    let wrapped = dialogue(&[(C, b"PORT 10,0,0,1,256,22\r\n")]);
    assert_eq!((wrapped.ports(), wrapped.refusals()), (vec![], vec![Why::BadNumber]));
}

/// TFTP: the answer comes from another port, to the port that asked.
const TFTP: &str = r#"
name = "tftp-declared"
summary = "for a test"
protocol = "udp"
ports = [69]

[expect.transfer]
source = "peer"
port = "sender"

[[message]]
name = "request"
from = "client"
when = "always"
ignore-case = true
match = ['\0\x01{_:text}\0octet\0{_:text}', '\0\x02{_:text}\0octet\0{_:text}']
expects = "transfer"

[[message]]
name = "answer"
from = "server"
match = '{_:text}'
cancels = "request"
"#;

#[test]
fn datagrams_that_hold_no_endpoint() {
    let tftp = helper(TFTP);
    let mut wire = Wire::datagrams(&tftp, CLIENT, "10.0.0.2:69");
    wire.datagram(C, b"\0\x01file\0OCTET\0blksize\x001400\0");
    let [expect] = &expectations(&wire)[..] else { panic!("{:?}", wire.noted) };
    assert_eq!(
        (expect.destination.to_string().as_str(), expect.destination_port),
        ("10.0.0.1", PortMatch::Exact(40000))
    );
    assert_eq!(expect.source, AddressMatch::Exact("10.0.0.2".parse().unwrap()));
    wire.datagram(S, b"\0\x05\0\x01no\0");
    assert_eq!(wire.open_ports(), []);
    let mut other = Wire::datagrams(&tftp, CLIENT, "10.0.0.2:69");
    other.datagram(C, b"");
    assert_eq!(other.reader.blind(), Some(BlindReason::NotThisProtocol));
    assert!(tftp.spec().nat.contains("no endpoint"));
}
