use super::*;
use crate::transcript::{Noted, Wire, master};
use pinhole_helper::{Action, Lifetime, PortMatch, Refusal as Why};
use proptest::prelude::*;

const CLIENT: &str = "10.0.0.1:2001";
const SERVER: &str = "192.0.2.1:69";
const C: Direction = Direction::Original;
const S: Direction = Direction::Reply;
const READ: &[u8] = b"\0\x01boot/pxe.0\0octet\0";

fn asked(request: &[u8]) -> Wire {
    let mut wire = Wire::datagrams(&Tftp, CLIENT, SERVER);
    wire.datagram(C, request);
    wire
}

#[test]
fn requests_open_the_port_that_asked_to_the_server() {
    for (client, server) in [(CLIENT, SERVER), ("[fd00::1]:2001", "[2001:db8::1]:69")] {
        for request in [
            READ,
            b"\0\x02a\0NetASCII\0",
            b"\0\x01a\0octet\0blksize\x001468\0TSIZE\x000\0",
            b"\0\x01a\0octet\0tsize\x0018446744073709551615\0",
            b"\0\x01a\0octet\0multicast\0\0",
            b"\0\x01r\xc3\xa9sum\xc3\xa9\0mail\0x-unknown\0?\0",
        ] {
            let mut wire = Wire::datagrams(&Tftp, client, server);
            let noted = wire.datagram(C, request);
            let [Noted { action: Action::Expect(_, expect), quote, .. }] = noted.as_slice() else {
                panic!("{request:?}: {noted:?}")
            };
            let ends = master(client, server).original;
            assert_eq!(expect.source, AddressMatch::Exact(ends.1.ip()));
            assert_eq!((expect.source_port, expect.lifetime), (PortMatch::Any, Lifetime::OneShot));
            assert_eq!(expect.destination, ends.0.ip());
            assert_eq!(expect.destination_port, PortMatch::Exact(2001));
            assert_eq!(quote, request);
        }
    }
}

/// Both stand in captures of real clients.
#[test]
fn an_empty_name_and_padding() {
    assert_eq!(asked(b"\0\x01\0octet\0").open_ports(), [2001]);
    assert_eq!(asked(b"\0\x01\0\0\0\0\0\0octet\0").open_ports(), [2001]);
    assert_eq!(asked(b"\0\x01a\0octet\0\0\0\0").open_ports(), [2001]);
}

#[test]
fn attack_14_what_is_no_request() {
    for (bytes, why) in [
        (&b"\0\x01"[..], Why::Malformed),
        (b"", Why::Malformed),
        (b"\0\x01a\0octet", Why::Malformed),
        (b"\0\x01a\0", Why::Malformed),
        (b"\0\x01\0\0", Why::Malformed),
        (b"\0\x03\0\x01data", Why::Malformed),
        (b"\x01\x01a\0octet\0", Why::Malformed),
        (b"\0\x01a\nb\0octet\0", Why::Malformed),
        (b"\0\x01a\0binary\0", Why::Unsupported),
        (b"\0\x01a\0octet\0blksize\0", Why::Malformed),
        (b"\0\x01a\0octet\0blksize\x007\0", Why::BadNumber),
        (b"\0\x01a\0octet\0blksize\x0065465\0", Why::BadNumber),
        (b"\0\x01a\0octet\0timeout\x00-1\0", Why::BadNumber),
        (b"\0\x01a\0octet\0timeout\x00256\0", Why::BadNumber),
        (b"\0\x01a\0octet\0tsize\0\0", Why::BadNumber),
        (b"\0\x01a\0octet\0\0blksize\x00512\0", Why::Malformed),
        (b"\0\x01\x21\x12\xa4\x42", Why::Malformed),
    ] {
        let wire = asked(bytes);
        assert_eq!((wire.ports(), wire.refusals()), (vec![], vec![why]), "{bytes:?}");
        assert_eq!(wire.reader.blind(), Some(BlindReason::NotThisProtocol));
    }
    let long = [b"\0\x01", &[b'a'; REQUEST_LIMIT][..], b"\0octet\0"].concat();
    assert_eq!(asked(&long).refusals(), [Why::Malformed]);
}

#[test]
fn a_service_of_the_client_stays_shut() {
    let mut wire = Wire::datagrams(&Tftp, "10.0.0.1:53", SERVER);
    wire.datagram(C, READ);
    assert_eq!((wire.ports(), wire.refusals()), (vec![], vec![Why::PrivilegedPort]));
}

#[test]
fn only_the_client_asks() {
    let mut wire = asked(READ);
    wire.datagram(S, READ);
    assert_eq!((wire.open_ports(), wire.refusals()), (vec![2001], vec![Why::OutOfSequence]));
    let mut wire = Wire::datagrams(&Tftp, CLIENT, SERVER);
    wire.datagram(S, READ);
    assert_eq!(wire.open_ports(), []);
}

#[test]
fn an_answer_from_the_port_that_was_asked_needs_no_other() {
    let mut wire = asked(READ);
    wire.datagram(S, b"\0\x05\0\x01not found\0");
    assert_eq!(wire.open_ports(), []);
    // Nor does what follows open anything; another request does.
    wire.datagram(C, b"\0\x04\0\x01");
    assert_eq!((wire.open_ports(), wire.refusals()), (vec![], vec![Why::Malformed]));
    wire.datagram(C, READ);
    assert_eq!(wire.open_ports(), [2001]);
}

#[test]
fn nothing_is_translated() {
    let mut out = Vec::new();
    let endpoint = "203.0.113.7:1024".parse().expect("an endpoint");
    assert_eq!(TftpNat.encode(Field::Port(0), endpoint, b"", &mut out), Err(Unencodable::Notation));
}

proptest! {
    #[test]
    fn what_opens_is_a_request(bytes in prop::collection::vec(prop_oneof![Just(0u8), Just(1), any::<u8>()], 0..40)) {
        let wire = asked(&bytes);
        if !wire.ports().is_empty() {
            prop_assert!(bytes[0] == 0 && (bytes[1] == 1 || bytes[1] == 2) && bytes.last() == Some(&0));
        }
    }
}
