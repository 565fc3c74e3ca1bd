//! The files of `helpers/`.

use super::transcript::{Said, Wire, run_every_way};
use super::{Declaration, Declared, Need, helper};
use pinhole_helper::{
    Action, AddressMatch, BlindReason, Expect, Helper, Lifetime, Master, Policy, PortMatch, Reader,
    Refusal as Why,
};
use pinhole_wire::Direction::{Original as C, Reply as S};
use pinhole_wire::Protocol;

const RSH: &str = include_str!("../../../../helpers/rsh.toml");
const QUAKE3: &str = include_str!("../../../../helpers/quake3.toml");
const PORTMAP: &str = include_str!("../../../../helpers/portmap.toml");

fn needs(text: &str) -> Vec<Need> {
    Declaration::read(text).unwrap().needs().collect()
}

fn expectations(wire: &Wire) -> Vec<Expect> {
    let expect = |action: &Action| match action {
        Action::Expect(_, expect) => Some(expect.clone()),
        _ => None,
    };
    wire.noted.iter().filter_map(|noted| expect(&noted.action)).collect()
}

/// A conn of datagrams, read as a host would let this helper read it.
fn datagrams(helper: &Declared, server: &str) -> Wire {
    let master = super::transcript::master("10.0.0.1:40000", server);
    Wire::datagrams_of(helper, Master { protocol: Protocol::UDP, ..master }, helper.bound(Policy::default()))
}

#[test]
fn what_has_to_be_allowed() {
    assert_eq!(needs(RSH), [Need::PrivilegedPorts]);
    assert_eq!(needs(QUAKE3), [Need::Introduce]);
    assert_eq!(needs(PORTMAP), [Need::PrivilegedPorts]);
    assert_eq!(needs(include_str!("../../../../helpers/relay.toml")), []);
    assert_eq!(helper(RSH).bound(Policy::default()).lowest_port, 1);
    assert_eq!(helper(QUAKE3).bound(Policy::default()), Policy::default());
    assert!(helper(QUAKE3).introduces(0) && !helper(QUAKE3).introduces(1) && !helper(RSH).introduces(0));
}

/// The client's first text, and what comes of it under the policy that the helper is granted.
fn rsh(first: &[u8]) -> (Vec<Expect>, Vec<Why>, Option<BlindReason>) {
    let helper = helper(RSH);
    let mut found = None;
    // Whole, and byte by byte.
    for cut in [first.len(), 1] {
        let master = super::transcript::master("10.0.0.1:1021", "10.0.0.2:514");
        let policy = helper.bound(Policy::default());
        let mut wire = Wire::with(Reader::new(&helper, master, policy, pinhole_helper::Pickup::Strict));
        wire.handshake();
        for chunk in first.chunks(cut) {
            wire.say(C, chunk);
        }
        let report = (expectations(&wire), wire.refusals(), wire.reader.blind());
        assert_eq!(*found.get_or_insert(report.clone()), report);
    }
    found.unwrap()
}

#[test]
fn rsh_announces_where_standard_error_goes() {
    let (expected, refusals, blind) = rsh(b"1022\0me\0you\0ls\0");
    let [expect] = &expected[..] else { panic!("{expected:?}") };
    assert_eq!((refusals, blind), (vec![], None));
    assert_eq!(expect.destination_port, PortMatch::Exact(1022));
    assert_eq!(expect.source, AddressMatch::Exact("10.0.0.2".parse().unwrap()));
    assert_eq!(expect.source_port, PortMatch::Range(512, 1023));
    assert_eq!((expect.lifetime, expect.timeout), (Lifetime::OneShot, Some(300)));
    for nothing in [&b"\0me\0you\0ls\0"[..], b"0\0me\0you\0ls\0"] {
        assert_eq!(rsh(nothing), (vec![], vec![], None));
    }
    // Users are called as they like.
    assert_eq!(rsh(b"0\x001022\x001023\0ls\0").0, []);
}

#[test]
fn rsh_announces_nothing_else() {
    for (first, why) in [
        (&b"1024\0"[..], Why::Policy),
        (b"65535\0", Why::Policy),
        (b"22\0", Why::PrivilegedPort),
        (b"00\0", Why::PortZero),
        (b"66558\0", Why::BadNumber),
    ] {
        assert_eq!(rsh(first), (vec![], vec![why], None), "{first:?}");
    }
    for foreign in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"1 22\0", b"-1022\0", b"101022\0"] {
        assert_eq!(rsh(foreign), (vec![], vec![], Some(BlindReason::NotThisProtocol)), "{foreign:?}");
    }
}

#[test]
fn quake3_opens_the_way_to_listed_servers() {
    let helper = helper(QUAKE3);
    let mut wire = datagrams(&helper, "10.0.0.2:27950");
    wire.datagram(C, b"\xff\xff\xff\xffgetservers 68 full empty\n");
    let noted = wire.datagram(
        S,
        b"\xff\xff\xff\xffgetserversResponse\\\xcb\0\x71\x05\x6d\x38\\\xc6\x33\x64\x07\x6d\x39\\\x7f\0\0\x01\x6d\x38\\\x0a\0\0\x02\0\x50\\EOT\0\0\0",
    );
    let expected = expectations(&wire);
    let ends: Vec<String> = expected
        .iter()
        .map(|expect| format!("{} {:?}", expect.destination, expect.destination_port))
        .collect();
    assert_eq!(ends, ["203.0.113.5 Exact(27960)", "198.51.100.7 Exact(27961)"]);
    let asker = AddressMatch::Exact("10.0.0.1".parse().unwrap());
    assert!(expected.iter().all(|expect| expect.source == asker));
    assert_eq!(wire.refusals(), [Why::ForeignAddress, Why::PrivilegedPort]);
    assert_eq!(noted[0].quote, b"\\\xcb\0\x71\x05\x6d\x38");
    // The list goes on in the next datagram, and nobody asked for a third one of another master.
    wire.datagram(S, b"\xff\xff\xff\xffgetserversResponse\\\xcb\0\x71\x06\x6d\x38");
    assert_eq!(wire.ports().len(), 3);
    wire.datagram(S, b"\xff\xff\xff\xffgetserversResponse\\\xcb\0\x71\x06\x6d");
    assert_eq!(wire.refusals().last(), Some(&Why::Malformed));
    let mut unasked = datagrams(&helper, "10.0.0.2:27950");
    unasked.datagram(S, b"\xff\xff\xff\xffgetserversResponse\\\xcb\0\x71\x06\x6d\x38");
    assert_eq!((unasked.ports(), unasked.refusals()), (vec![], vec![Why::Unsolicited]));
}

#[test]
fn quake3_lists_are_bounded() {
    let helper = helper(QUAKE3);
    let mut wire = datagrams(&helper, "10.0.0.2:27950");
    wire.datagram(C, b"\xff\xff\xff\xffgetserversExt Quake3Arena 68 ipv4\n");
    let mut list = b"\xff\xff\xff\xffgetserversExtResponse".to_vec();
    list.extend(b"\\\xcb\0\x71\x05\x6d\x38".repeat(9000));
    wire.datagram(S, &list);
    assert_eq!((wire.ports().len(), wire.refusals()), (255, vec![Why::Limit]));
}

#[test]
fn quake3_over_ipv6() {
    let helper = helper(QUAKE3);
    let mut wire = Wire::datagrams_of(
        &helper,
        Master {
            protocol: Protocol::UDP,
            ..super::transcript::master("[2001:db8::1]:40000", "[2001:db8::2]:27950")
        },
        helper.bound(Policy::default()),
    );
    wire.datagram(C, b"\xff\xff\xff\xffgetserversExt Quake3Arena 68 ipv6\n");
    let mut list = b"\xff\xff\xff\xffgetserversExtResponse/".to_vec();
    list.extend("2001:db8::7".parse::<std::net::Ipv6Addr>().unwrap().octets());
    list.extend(b"\x6d\x38\\\xcb\0\x71\x05\x6d\x38\\EOT");
    wire.datagram(S, &list);
    assert_eq!((wire.ports(), wire.refusals()), (vec![27960], vec![Why::AddressFamily]));
}

const CALL: &[u8] = b"XID1\0\0\0\0\0\0\0\x02\0\x01\x86\xa0\0\0\0\x02\0\0\0\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x86\xa3\0\0\0\x03";

#[test]
fn portmap_answers_count_for_their_calls() {
    let helper = helper(PORTMAP);
    let mut wire = datagrams(&helper, "10.0.0.2:111");
    let call = |protocol: u8| [CALL, &[0, 0, 0, protocol, 0, 0, 0, 0]].concat();
    let reply = |xid: &[u8], port: u16| {
        let [high, low] = port.to_be_bytes();
        [xid, &b"\0\0\0\x01"[..], &[0; 16], &[0, 0, high, low]].concat()
    };
    wire.datagram(C, &call(17));
    wire.datagram(S, &reply(b"XID2", 2049));
    assert_eq!((wire.ports(), wire.refusals()), (vec![], vec![Why::Unsolicited]));
    wire.datagram(S, &reply(b"XID1", 2049));
    wire.datagram(C, &call(6));
    wire.datagram(S, &reply(b"XID1", 635));
    // Not registered.
    wire.datagram(C, &call(6));
    wire.datagram(S, &reply(b"XID1", 0));
    let found: Vec<_> = expectations(&wire)
        .iter()
        .map(|expect| (expect.protocol, expect.destination_port, expect.lifetime))
        .collect();
    let permanent = Lifetime::Permanent;
    assert_eq!(
        found,
        [
            (Protocol::UDP, PortMatch::Exact(2049), permanent),
            (Protocol::TCP, PortMatch::Exact(635), permanent)
        ]
    );
    assert_eq!(wire.refusals().len(), 1);
}

#[test]
fn pages_say_what_the_files_say() {
    let helper = helper(RSH);
    let creates: Vec<&str> = helper.spec().creates.iter().collect();
    assert_eq!(
        creates,
        ["stderr: TCP from the other end, ports 512 to 1023 to the sender, the announced port, 512 to 1023"]
    );
    let relay = super::helper(include_str!("../../../../helpers/relay.toml"));
    let creates: Vec<&str> = relay.spec().creates.iter().collect();
    assert_eq!(
        creates,
        ["offer, once take was said: TCP from the other end to the announcer's address, the announced port"]
    );
    let refuses: Vec<&str> = relay.spec().refuses.iter().collect();
    assert!(refuses.contains(&"take without offer"), "{refuses:?}");
}

#[test]
fn a_relay_goes_on_after_other_lines() {
    let helper = super::helper(include_str!("../../../../helpers/relay.toml"));
    let said: [Said<'_>; 4] = [
        (C, b"RELAY/1 me\n"),
        (S, b"RELAY/1 you\n"),
        (C, b"\nNOISE\n\xff\xfe\nOFFER x 10.0.0.1 50000\n"),
        (S, b"TAKE x\n"),
    ];
    let wire = run_every_way(&helper, "10.0.0.1:40000", "10.0.0.2:7788", &said);
    assert_eq!(wire.open_ports(), [50000]);
}
