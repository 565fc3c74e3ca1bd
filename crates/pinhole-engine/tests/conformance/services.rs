//! TFTP, Amanda, SANE, SNMP and PPTP.

use crate::support::conversation::{repair_header, udp};
use crate::world::{BOTH, Cut, IPV4, Translation, Way, datagrams, streams};
use crate::{Host, View, World};
use pinhole_track::State;
use pinhole_wire::{Direction, Protocol};
use std::net::{IpAddr, SocketAddr};

const C: Direction = Direction::Original;
const S: Direction = Direction::Reply;
const TFTP: &[(&str, &[u16])] = &[("tftp", &[69])];
const AMANDA: &[(&str, &[u16])] = &[("amanda", &[10080])];
const SANE: &[(&str, &[u16])] = &[("sane", &[6566])];
const SNMP: &[(&str, &[u16])] = &[("snmp", &[161, 162])];
const PPTP: &[(&str, &[u16])] = &[("pptp", &[1723])];

#[test]
fn tftp_transfers() {
    for request in [
        &b"\0\x01boot.img\0octet\0"[..],
        b"\0\x02upload\0NetASCII\0",
        b"\0\x01boot.img\0octet\0blksize\x001428\0tsize\x000\0timeout\x005\0windowsize\x0064\0",
    ] {
        datagrams(TFTP, BOTH, |world| {
            let conn = world.open(Protocol::UDP, (Host::Client, 40000), (Host::Server, 69));
            world.say(conn, C, |_| request.to_vec());
            world.is_strange(Protocol::UDP, (Host::Stranger, 50000), (Host::Client, 40000));
            // The server's answer and what follows.
            let transfer = world.open_related(Protocol::UDP, (Host::Server, 50000), (Host::Client, 40000));
            world.say(transfer, C, |_| b"\0\x06blksize\x001428\0".to_vec());
            world.say(transfer, S, |_| b"\0\x04\0\0".to_vec());
            world.assert_no_refusals();
        });
    }
}

const BACKUP: &[u8] = b"Amanda 2.6 REQ HANDLE 000-40F45D09 SEQ 1389783132\nSERVICE sendbackup\nOPTIONS \n";

fn connect(port: u16) -> Vec<u8> {
    let ports = format!("CONNECT DATA {port} MESG 50004 INDEX 50005\n\nOPTIONS ;\n");
    format!("Amanda 2.6 REP HANDLE 000-40F45D09 SEQ 1389783132\n{ports}").into_bytes()
}

#[test]
fn amanda_backups() {
    datagrams(AMANDA, BOTH, |world| {
        let conn = world.open(Protocol::UDP, (Host::Client, 850), (Host::Server, 10080));
        world.say(conn, C, |_| BACKUP.to_vec());
        world.say(conn, S, |_| b"Amanda 2.6 ACK HANDLE 000-40F45D09 SEQ 1389783132\n".to_vec());
        world.say(conn, S, |_| connect(50003));
        for port in 50003..=50005 {
            world.is_strange(Protocol::TCP, (Host::Stranger, 40000), (Host::Server, port));
            world.comes(Protocol::TCP, (Host::Client, 40000), (Host::Server, port));
        }
        world.assert_no_refusals();
    });
    // The same port a second time is another one outside; the datagram may change its length.
    let way = Way { translation: Translation::Server, cut: Cut::Whole, over_ipv6: false };
    let mut world = World::new(AMANDA, way);
    let first = world.open(Protocol::UDP, (Host::Client, 850), (Host::Server, 10080));
    world.say(first, C, |_| BACKUP.to_vec());
    world.say(first, S, |_| connect(50003));
    let second = world.open(Protocol::UDP, (Host::Client, 851), (Host::Server, 10080));
    world.say(second, C, |_| BACKUP.to_vec());
    let answer = |_: &View, port: u16| {
        format!("Amanda 2.6 REP HANDLE 000-40F45D09 SEQ 1389783132\nCONNECT DATA {port} MESG 0\n")
            .into_bytes()
    };
    let outer = world.say_elsewhere(second, S, 50003, answer);
    world.comes_by(Protocol::TCP, (Host::Client, 40001), (Host::Server, 50003), outer);
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// The user's name, as NET_INIT has it.
fn greeting() -> Vec<u8> {
    [words(&[0, 0x0100_0003, 5]), b"user\0".to_vec()].concat()
}

/// An answer to NET_START: status, port, byte order, no resource.
fn started(port: u16) -> Vec<u8> {
    words(&[0, port.into(), 0x1234, 0])
}

#[test]
fn sane_scans() {
    streams(SANE, BOTH, |world| {
        let conn = world.open(Protocol::TCP, (Host::Client, 40000), (Host::Server, 6566));
        world.say(conn, C, |_| greeting());
        world.say(conn, S, |_| words(&[0, 0x0100_0003]));
        world.say(conn, C, |_| words(&[7, 0]));
        world.say(conn, S, |_| started(50123));
        world.is_strange(Protocol::TCP, (Host::Stranger, 40001), (Host::Server, 50123));
        world.comes(Protocol::TCP, (Host::Client, 40001), (Host::Server, 50123));
        world.assert_no_refusals();
    });
    let way = Way { translation: Translation::Server, cut: Cut::Whole, over_ipv6: false };
    let mut world = World::new(SANE, way);
    let mut outer = Vec::new();
    for port in [40000, 40001] {
        let conn = world.open(Protocol::TCP, (Host::Client, port), (Host::Server, 6566));
        world.say(conn, C, |_| greeting());
        world.say(conn, S, |_| words(&[0, 0x0100_0003]));
        world.say(conn, C, |_| words(&[7, 0]));
        if port == 40000 {
            world.say(conn, S, |_| started(50123));
        } else {
            outer.push(world.say_elsewhere(conn, S, 50123, |_, port| started(port)));
        }
    }
    world.comes_by(Protocol::TCP, (Host::Client, 40003), (Host::Server, 50123), outer[0]);
}

/// A BER element of less than 128 octets.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag, content.len() as u8], content].concat()
}

fn address(end: SocketAddr) -> Vec<u8> {
    let IpAddr::V4(ip) = end.ip() else { panic!("{end}") };
    element(0x40, &ip.octets())
}

fn message(version: u8, unit: Vec<u8>) -> Vec<u8> {
    element(0x30, &[element(2, &[version]), element(4, b"public"), unit].concat())
}

fn binding(value: Vec<u8>) -> Vec<u8> {
    element(0x30, &[element(6, &[0x2b, 6, 1, 2, 1, 4, 20, 1, 1]), value].concat())
}

/// Addresses of the two ends are those that the receiver knows; others stay.
#[test]
fn snmp_addresses() {
    datagrams(SNMP, IPV4, |world| {
        let polling = world.open(Protocol::UDP, (Host::Client, 40000), (Host::Server, 161));
        let zero = || element(2, &[0]);
        world.say(polling, C, |_| {
            let request =
                [element(2, &[7]), zero(), zero(), element(0x30, &binding(element(5, &[])))].concat();
            message(1, element(0xa0, &request))
        });
        world.say(polling, S, |v| {
            let other = element(0x40, &[198, 51, 100, 1]);
            let values = [binding(address(v.server)), binding(address(v.client)), binding(other)].concat();
            message(1, element(0xa2, &[element(2, &[7]), zero(), zero(), element(0x30, &values)].concat()))
        });
        let alarms = world.open(Protocol::UDP, (Host::Client, 40001), (Host::Server, 162));
        world.say(alarms, C, |v| {
            let time = element(0x43, &[1]);
            let bindings = element(0x30, &binding(address(v.client)));
            let trap = [element(6, &[0x2b, 6]), address(v.client), zero(), zero(), time, bindings].concat();
            message(0, element(0xa4, &trap))
        });
        world.assert_no_refusals();
    });
}

/// A control message of its full size.
fn control(kind: u8, size: u8, fields: &[u16]) -> Vec<u8> {
    let mut bytes = vec![0, size, 0, 1, 0x1a, 0x2b, 0x3c, 0x4d, 0, kind, 0, 0];
    bytes.extend(fields.iter().flat_map(|field| field.to_be_bytes()));
    bytes.resize(usize::from(size), 0);
    bytes
}

/// The id of a hidden client's call becomes the outer port of its control conn: it is that already.
#[test]
fn pptp_calls() {
    streams(PPTP, BOTH, |world| {
        let conn = world.open(Protocol::TCP, (Host::Client, 40000), (Host::Server, 1723));
        world.say(conn, C, |_| control(1, 156, &[0x0100]));
        world.say(conn, S, |_| control(2, 156, &[0x0100, 0x0100]));
        world.say(conn, C, |v| control(7, 168, &[v.client.port(), 1]));
        world.say(conn, S, |v| control(8, 32, &[999, v.client.port(), 0x0100]));
        let calls = world.lab.engine.tracker().expectations().filter(|e| e.expect.protocol == Protocol::GRE);
        assert_eq!(calls.count(), 2);
        world.say(conn, S, |v| control(15, 24, &[v.client.port()]));
        world.say(conn, C, |_| control(12, 16, &[40000]));
        world.assert_no_refusals();
    });
}

/// A packet of a call; it names its receiver's id only (RFC 2637 §4.1).
fn gre(source: SocketAddr, destination: SocketAddr, id: u16) -> Vec<u8> {
    let mut bytes = udp(source, destination, &[0, 0, 0, 1, 0xff, 3, 0xc0, 0x21]);
    bytes[9] = Protocol::GRE.0;
    bytes[20..26].copy_from_slice(&[0x30, 0x01, 0x88, 0x0b, 0, 4]);
    bytes[26..28].copy_from_slice(&id.to_be_bytes());
    repair_header(&mut bytes);
    bytes
}

/// Whichever end sends first, the client gets the id that it gave, and the server the one that it was told.
#[test]
fn a_hidden_clients_call_has_another_id_outside() {
    let way = Way { translation: Translation::Client, cut: Cut::Whole, over_ipv6: false };
    for server_begins in [true, false] {
        let mut world = World::new(PPTP, way);
        let [own, public] =
            [Host::Client, Host::Server].map(|seen_by| world.at((Host::Client, 40000), seen_by));
        let server = world.at((Host::Server, 1723), Host::Server);
        let id = |v: &View| if v.client == own { 7 } else { 40000 };
        let conn = world.open(Protocol::TCP, (Host::Client, 40000), (Host::Server, 1723));
        world.say(conn, C, |_| control(1, 156, &[0x0100]));
        world.say(conn, S, |_| control(2, 156, &[0x0100, 0x0100]));
        world.say(conn, C, |v| control(7, 168, &[id(v), 1]));
        world.say(conn, S, |v| control(8, 32, &[999, id(v), 0x0100]));
        let mut packets = [
            (gre(server, public, 40000), gre(server, own, 7)),
            (gre(own, server, 999), gre(public, server, 999)),
        ];
        if !server_begins {
            packets.reverse();
        }
        for ((arrives, leaves), state) in packets.into_iter().zip([State::Related, State::Established]) {
            assert_eq!(world.lab.send(&arrives).state, Some(state), "{server_begins}");
            assert_eq!(world.lab.left, [leaves], "{server_begins}");
        }
    }
}
