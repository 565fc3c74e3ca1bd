//! Logins of all versions, their ends, users online, scrambling under NAT, and attacks.

use super::*;
use crate::transcript::{Wire, master};
use pinhole_helper::{
    Action, AddressMatch, BlindReason, Lifetime, NatHelper as _, PortMatch, Refusal as Why,
};
use pinhole_wire::Direction::{Original as C, Reply as S};
use proptest::prelude::*;
use scramble::Version;
use std::net::{IpAddr, SocketAddr};

const CLIENT: &str = "10.1.0.2:1027";
const SERVER: &str = "205.188.252.19:4000";
const LOGIN: u16 = 0x03e8;
const KEEP_ALIVE: u16 = 0x042e;
const LOG_OUT: u16 = 0x0438;
const LOGIN_REPLY: u16 = 0x005a;
const USER_ONLINE: u16 = 0x006e;
const MULTI: u16 = 0x0212;
const LISTENS: u32 = 50123;

fn wire() -> Wire {
    Wire::datagrams(&Icq, CLIENT, SERVER)
}

/// A client's packet; versions 4 and 5 scrambled, with a check code about the byte at `covered`.
fn packet_covering(version: u16, command: u16, data: &[u8], covered: u8) -> Vec<u8> {
    let uin = 123_456_u32.to_le_bytes();
    let (seq, command) = (7u16.to_le_bytes(), command.to_le_bytes());
    let start = version.to_le_bytes();
    let mut packet = match version {
        2 => [&start[..], &command, &seq, &uin].concat(),
        3 => [&start[..], &command, &seq, &seq, &uin].concat(),
        4 => [&start[..], &[0x9c, 0x21, 0, 0], &command, &seq, &seq, &uin, &[0; 4]].concat(),
        5 => [&start[..], &[0; 4], &uin, &0x0bad_cafe_u32.to_le_bytes(), &command, &seq, &seq, &[0; 4]]
            .concat(),
        _ => panic!("no such version"),
    };
    packet.extend(data);
    if let Some(scrambling) = parse::scrambling(&packet) {
        scramble::seal(scrambling, &mut packet, covered, 77);
    }
    packet
}

fn packet(version: u16, command: u16, data: &[u8]) -> Vec<u8> {
    packet_covering(version, command, data, 6)
}

fn login_data(version: u16, port: u32, address: [u8; 4]) -> Vec<u8> {
    let mut data = if version == 2 { vec![] } else { vec![1, 2, 3, 0x38] };
    data.extend(port.to_le_bytes());
    data.extend([7, 0]);
    data.extend(b"secret\0");
    data.extend([0x98, 0, 0, 0]);
    data.extend(address);
    data.push(4);
    data.extend([0; 24]);
    data
}

fn login(version: u16, port: u32, address: [u8; 4]) -> Vec<u8> {
    packet(version, LOGIN, &login_data(version, port, address))
}

fn from_server(version: u16, command: u16, data: &[u8]) -> Vec<u8> {
    let (start, command) = (version.to_le_bytes(), command.to_le_bytes());
    let mut packet = match version {
        2 => [&start[..], &command, &[9, 0]].concat(),
        5 => [&start[..], &[0; 5], &command, &[9, 0, 9, 0], &[1; 8]].concat(),
        _ => [&start[..], &command, &[9, 0, 9, 0], &[1; 8]].concat(),
    };
    packet.extend(data);
    packet
}

fn user(address: [u8; 4], port: u32) -> Vec<u8> {
    [&[1, 0, 0, 0][..], &address, &port.to_le_bytes(), &[192, 168, 1, 2], &[4], &[0; 6]].concat()
}

#[test]
fn logins_of_all_versions() {
    for version in 2..=5 {
        let mut wire = wire();
        wire.datagram(C, &login(version, LISTENS, [10, 1, 0, 2]));
        assert_eq!(wire.ports(), [LISTENS as u16], "version {version}: {:?}", wire.noted);
        assert_eq!(wire.open_ports(), [], "not before the server has replied");
        let Action::Expect(_, expect) = &wire.noted[0].action else { panic!("{:?}", wire.noted) };
        assert_eq!((expect.source, expect.lifetime), (AddressMatch::Any, Lifetime::Permanent));
        assert_eq!(expect.destination, "10.1.0.2".parse::<IpAddr>().unwrap());
        wire.datagram(S, &from_server(version, LOGIN_REPLY, &[0; 16]));
        assert_eq!((wire.open_ports(), wire.refusals()), (vec![LISTENS as u16], vec![]));
        let noted = wire.datagram(C, &packet(version, KEEP_ALIVE, &[0; 4]));
        let kept: Vec<_> = noted.iter().map(|noted| &noted.action).collect();
        assert!(matches!(kept[..], [Action::Prolong(300), Action::Extend(_, 300)]), "{kept:?}");
        wire.datagram(C, &packet(version, LOG_OUT, &[0; 4]));
        assert_eq!(wire.open_ports(), []);
    }
}

#[test]
fn version_3_with_a_check_code() {
    let data = [&[0xaa, 0xbb, 0xcc, 0xdd][..], &login_data(3, LISTENS, [10, 1, 0, 2])].concat();
    let mut wire = wire();
    wire.datagram(C, &packet(3, LOGIN, &data));
    assert_eq!(wire.ports(), [LISTENS as u16]);
}

#[test]
fn logins_that_fail() {
    for command in [0x0028, 0x0064, 0x00f0, 0x00fa] {
        let mut wire = wire();
        wire.datagram(C, &login(5, LISTENS, [10, 1, 0, 2]));
        wire.datagram(S, &from_server(5, command, &[0; 16]));
        wire.datagram(S, &from_server(5, LOGIN_REPLY, &[0; 16]));
        assert_eq!(wire.open_ports(), [], "{command:#x}");
    }
}

#[test]
fn logging_in_again() {
    let mut wire = wire();
    wire.datagram(C, &login(5, LISTENS, [10, 1, 0, 2]));
    wire.datagram(S, &from_server(5, LOGIN_REPLY, &[0; 16]));
    let noted = wire.datagram(C, &login(5, LISTENS, [10, 1, 0, 2]));
    assert!(matches!(&noted[0].action, Action::Expect(_, expect) if expect.active), "sent again");
    let noted = wire.datagram(C, &login(5, LISTENS + 1, [10, 1, 0, 2]));
    assert!(matches!(noted[0].action, Action::Cancel(_)));
    assert!(matches!(&noted[1].action, Action::Expect(_, expect) if !expect.active), "another port");
}

#[test]
fn users_online() {
    // At the server's own address, for instance through its relay.
    let own = user([205, 188, 252, 19], 4099);
    let foreign = user([198, 51, 100, 7], 4099);
    for (version, command) in [(2, USER_ONLINE), (3, USER_ONLINE), (4, 0x024e), (5, USER_ONLINE)] {
        let mut wire = wire();
        wire.datagram(C, &packet(version, KEEP_ALIVE, &[0; 4]));
        wire.datagram(S, &from_server(version, command, &foreign));
        assert_eq!((wire.ports(), wire.refusals()), (vec![], vec![Why::ForeignAddress]));
        let noted = wire.datagram(S, &from_server(version, command, &own));
        let Action::Expect(_, expect) = &noted[0].action else { panic!("{noted:?}") };
        assert_eq!(expect.source, AddressMatch::Exact("10.1.0.2".parse().unwrap()));
        assert_eq!(noted[0].quote, [&[205, 188, 252, 19][..], &4099u32.to_le_bytes()].concat());
        assert!(matches!(noted[1].action, Action::Locate(_, _, notation::USER)));
        assert_eq!(wire.open_ports(), [4099]);
    }
    let policy = Policy { third_party: true, ..Policy::default() };
    let mut udp = master(CLIENT, SERVER);
    udp.protocol = Protocol::UDP;
    let mut wire = Wire::datagrams_of(&Icq, udp, policy);
    wire.datagram(C, &packet(5, KEEP_ALIVE, &[0; 4]));
    wire.datagram(S, &from_server(5, USER_ONLINE, &foreign));
    assert_eq!(wire.open_ports(), [4099]);
}

#[test]
fn several_packets_in_one() {
    let inner = |data: &[u8]| {
        let packet = from_server(5, USER_ONLINE, data);
        [&(packet.len() as u16).to_le_bytes()[..], &packet].concat()
    };
    let host = [205, 188, 252, 19];
    let mut data = vec![3];
    data.extend(inner(&user(host, 4001)));
    data.extend(inner(&user(host, 4002)));
    // Not among the three: the count is to be kept.
    data.extend(inner(&user(host, 80)));
    data.extend(inner(&user(host, 4003)));
    let mut wire = wire();
    wire.datagram(C, &packet(5, KEEP_ALIVE, &[0; 4]));
    wire.datagram(S, &from_server(5, MULTI, &data));
    assert_eq!((wire.open_ports(), wire.refusals()), (vec![4001, 4002], vec![Why::PrivilegedPort]));
    // A packet within a packet within a packet is not read.
    let nested = [vec![1], inner(&[])].concat();
    let mut deep = from_server(5, MULTI, &nested);
    deep.extend(inner(&user(host, 4004)));
    let data = [&[1][..], &(deep.len() as u16).to_le_bytes(), &deep].concat();
    wire.datagram(S, &from_server(5, MULTI, &data));
    assert_eq!(wire.open_ports(), [4001, 4002]);
    // Lengths that lie.
    for length in [0u16, 5, 40, 0xffff] {
        let data = [&[255][..], &length.to_le_bytes(), &from_server(5, USER_ONLINE, &user(host, 4005))[..30]]
            .concat();
        wire.datagram(S, &from_server(5, MULTI, &data));
        assert!(!wire.open_ports().contains(&4005));
    }
}

#[test]
fn attack_1_third_parties_2_low_ports_and_9_numbers() {
    for (port, address, why) in [
        (LISTENS, [10, 1, 0, 9], Why::ForeignAddress),
        (LISTENS, [205, 188, 252, 19], Why::ForeignAddress),
        (1023, [10, 1, 0, 2], Why::PrivilegedPort),
        (0, [10, 1, 0, 2], Why::PortZero),
        (LISTENS + 65536, [10, 1, 0, 2], Why::BadNumber),
    ] {
        let mut wire = wire();
        wire.datagram(C, &login(5, port, address));
        wire.datagram(S, &from_server(5, LOGIN_REPLY, &[0; 16]));
        assert_eq!((wire.open_ports(), wire.refusals()), (vec![], vec![why]));
    }
    // Longer than can be rewritten at once.
    let mut long = wire();
    let mut packet = login(2, LISTENS, [10, 1, 0, 2]);
    packet.resize(513, 0);
    long.datagram(C, &packet);
    assert_eq!((long.open_ports(), long.refusals()), (vec![], vec![Why::Limit]));
    // A client that does not know its address leaves it out; the server takes the one that it sees.
    let mut unknown = wire();
    unknown.datagram(C, &login(5, LISTENS, [0; 4]));
    unknown.datagram(S, &from_server(5, LOGIN_REPLY, &[0; 16]));
    assert_eq!(unknown.open_ports(), [LISTENS as u16]);
}

#[test]
fn what_is_no_icq() {
    let qq = b"\x02\x3b\x0b\x00\x01\x00\x00\x17\x56\x1f\x0c\x7b\x00\x00\x00\x00\x00\x00\x00\x03";
    for datagram in
        [&qq[..], b"GET / HTTP/1.0\r\n\r\n", b"", b"\x05\x00\x00", b"\x01\x00aaaaaaaaaaaaaaaaaaaaaaaaa"]
    {
        let mut wire = wire();
        wire.datagram(C, datagram);
        assert_eq!((wire.reader.blind(), wire.noted.len()), (Some(BlindReason::NotThisProtocol), 0));
    }
    // The server does not begin.
    let mut early = wire();
    early.datagram(S, &from_server(5, LOGIN_REPLY, &[0; 16]));
    assert_eq!(early.reader.blind(), Some(BlindReason::NotThisProtocol));
    let mut later = wire();
    later.datagram(C, &login(2, LISTENS, [10, 1, 0, 2]));
    later.datagram(C, b"\x05\x00\x00");
    later.datagram(S, b"\x05\x00\x00");
    assert_eq!(later.refusals(), [Why::Malformed, Why::Malformed]);
}

#[test]
fn nothing_over_ipv6() {
    for address in [[0; 4], [10, 1, 0, 2]] {
        let mut wire = Wire::datagrams(&Icq, "[2001:db8::1]:1027", "[2001:db8::2]:4000");
        wire.datagram(C, &login(5, LISTENS, address));
        assert_eq!((wire.ports(), wire.refusals()), (vec![], vec![Why::AddressFamily]));
    }
}

/// Whatever the check code covers, the edited login is a right one.
#[test]
fn nat_rewrites_logins() {
    let outside: SocketAddr = "203.0.113.1:61000".parse().unwrap();
    for version in 2..=5u16 {
        for covered in 0..70 {
            let data = [login_data(version, LISTENS, [10, 1, 0, 2]), vec![0; 60]].concat();
            let old = packet_covering(version, LOGIN, &data, covered);
            let mut new = b"before".to_vec();
            assert_eq!(IcqNat.encode(notation::LOGIN, outside, &old, &mut new), Ok(()));
            let new = new.strip_prefix(b"before").unwrap();
            let data = [login_data(version, 61000, [203, 0, 113, 1]), vec![0; 60]].concat();
            assert_eq!(new, packet_covering(version, LOGIN, &data, covered), "version {version}, {covered}");
        }
    }
}

#[test]
fn nat_keeps_foreign_check_codes_and_what_is_left_out() {
    let outside: SocketAddr = "203.0.113.1:61000".parse().unwrap();
    for scrambling in [Version::Four, Version::Five] {
        let version = if scrambling == Version::Four { 4 } else { 5 };
        let mut old = login(version, LISTENS, [0; 4]);
        let length = old.len();
        scramble::unscramble(scrambling, &mut old, length).unwrap();
        let mut forged = old.clone();
        scramble::seal_with(scrambling, &mut forged, 0xdead_beef);
        let mut new = Vec::new();
        assert_eq!(IcqNat.encode(notation::LOGIN, outside, &forged, &mut new), Ok(()));
        let mut room = [0; parse::BEGINNING];
        let plain = parse::plain(&new, &mut room).unwrap();
        let Some(parse::Client::Login(login)) = parse::client(plain) else { panic!("{plain:?}") };
        assert_eq!((login.port, login.address.octets()), (61000, [0; 4]));
    }
    let mut out = Vec::new();
    let other = packet(5, KEEP_ALIVE, &[0; 4]);
    assert!(IcqNat.encode(notation::LOGIN, outside, &other, &mut out).is_err() && out.is_empty());
    let six = "[2001:db8::1]:1".parse().unwrap();
    assert!(IcqNat.encode(notation::USER, six, &[0; 8], &mut out).is_err() && out.is_empty());
    assert_eq!(IcqNat.encode(notation::USER, outside, &[0; 8], &mut out), Ok(()));
    assert_eq!(out, [203, 0, 113, 1, 0x48, 0xee, 0, 0]);
}

proptest! {
    /// Whatever is said, only own addresses and allowed ports are opened.
    #[test]
    fn any_datagrams(datagrams in prop::collection::vec((any::<bool>(), any_datagram()), 0..6)) {
        let mut wire = wire();
        for (server, datagram) in &datagrams {
            let (from, own) = if *server { (S, "205.188.252.19") } else { (C, "10.1.0.2") };
            for noted in wire.datagram(from, datagram) {
                let Action::Expect(_, expect) = noted.action else { continue };
                prop_assert_eq!(expect.destination.to_string(), own);
                let PortMatch::Exact(port) = expect.destination_port else { panic!("{expect:?}") };
                prop_assert!(port >= 1024);
            }
        }
        prop_assert!(wire.peak < 4096);
    }
}

/// Datagrams that are nearly right.
fn any_datagram() -> impl Strategy<Value = Vec<u8>> {
    let address = prop_oneof![Just([10, 1, 0, 2]), Just([205, 188, 252, 19]), any::<[u8; 4]>()];
    let made =
        (0..4u8, 2..6u16, any::<u16>(), address).prop_map(|(form, version, port, address)| match form {
            0 => login(version, u32::from(port), address),
            1 => from_server(version, LOGIN_REPLY, &[0; 16]),
            2 => from_server(version, USER_ONLINE, &user(address, u32::from(port))),
            _ => {
                let inner = from_server(version, USER_ONLINE, &user(address, u32::from(port)));
                let data = [&[2][..], &(inner.len() as u16).to_le_bytes(), &inner].concat();
                from_server(version, MULTI, &data)
            }
        });
    let noise = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
    prop_oneof![
        (made, noise).prop_map(|(mut bytes, noise)| {
            for (index, byte) in noise {
                let at = index.index(bytes.len());
                bytes[at] = byte;
            }
            bytes
        }),
        prop::collection::vec(any::<u8>(), 0..100),
    ]
}
