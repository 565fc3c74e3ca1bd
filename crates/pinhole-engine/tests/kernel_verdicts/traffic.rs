//! The packets that both judges are shown: the demo captures, packets made to order, and some of the shared captures.

use crate::support;
use crate::support::conversation::{Conversation, Dice, Segment, fragment, ping, syn, tcp, udp, unreachable};
use etherparse::{IcmpEchoHeader, Icmpv4Type, Icmpv6Type, IpNumber, PacketBuilder};
use pinhole_io::kernel::{Repair, repair};
use pinhole_wire::link::{NetworkKind, strip};
use pinhole_wire::{Direction, Packet, TcpFlags};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

const C: Direction = Direction::Original;
const S: Direction = Direction::Reply;

/// The demo captures, one after the other.
pub(crate) fn demos() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pinhole/demo");
    support::captures(&folder).iter().flat_map(|path| capture(path)).collect()
}

/// The datagrams of a capture that a router forwards if no rule forbids it, made fit to be sent once more.
pub(crate) fn capture(path: &Path) -> Vec<Vec<u8>> {
    let datagrams = support::frames(path).into_iter().filter_map(|frame| {
        let network = strip(frame.link, &frame.bytes).ok()?;
        if matches!(network.kind, NetworkKind::Other(_)) {
            return None;
        }
        repair(frame.bytes.get(network.offset as usize..)?, Repair::Checksums)
    });
    datagrams.filter(|datagram| is_routed(datagram)).collect()
}

/// Whether a router forwards it, as far as addresses and IP options tell.
fn is_routed(datagram: &[u8]) -> bool {
    let Ok(packet) = Packet::parse_network(datagram, 0) else { return false };
    let ends = [packet.source, packet.destination].map(|address| address.ip(packet.version));
    let routed = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => (1..224).contains(&ip.octets()[0]) && !ip.is_loopback(),
        IpAddr::V6(ip) => {
            !ip.is_unspecified() && !ip.is_loopback() && !ip.is_multicast() && !ip.is_unicast_link_local()
        }
    };
    ends.iter().all(routed)
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Conversations of every kind that rules can tell apart.
pub(crate) fn made_to_order() -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    for (client, server) in [
        ("10.0.0.1:40000", "192.0.2.80:80"),
        ("10.0.0.2:1024", "192.0.2.80:443"),
        ("[2001:db8:1::1]:40000", "[2001:db8:2::80]:80"),
    ] {
        tcp_life(&mut packets, address(client), address(server));
    }
    for (client, server) in [
        ("10.0.0.1:5353", "192.0.2.53:53"),
        ("10.0.1.7:40000", "192.0.2.80:4000"),
        ("[2001:db8:1::1]:5353", "[2001:db8:2::53]:53"),
    ] {
        let (client, server) = (address(client), address(server));
        for size in [10, 200] {
            packets.push(udp(client, server, &vec![b'q'; size]));
            packets.push(udp(server, client, &vec![b'a'; 2 * size]));
        }
        packets.push(unreachable(client.ip(), server.ip(), packets.last().unwrap()));
        packets.push(udp(client, server, b"more"));
    }
    pings(&mut packets);
    oddities(&mut packets);
    for packet in &mut packets {
        *packet = repair(packet, Repair::Checksums).unwrap();
    }
    packets
}

/// From the handshake to the last ACK and beyond, with a retransmission, a stray segment and another conn that is reset.
fn tcp_life(packets: &mut Vec<Vec<u8>>, client: SocketAddr, server: SocketAddr) {
    let mut life = Conversation::new(client, server);
    packets.push(syn(server, client));
    let handshake = life.handshake();
    packets.push(handshake[0].clone());
    packets.extend(handshake);
    packets.push(life.say(C, b"GET / HTTP/1.0\r\n\r\n"));
    packets.push(life.say(S, &[b'x'; 700]));
    packets.push(life.at(S, 0, &[b'x'; 700]));
    packets.push(life.flagged(C, TcpFlags::ACK | TcpFlags::URG, 18, b"!"));
    packets.push(life.at(C, 5_000_000, b"out of window"));
    packets.extend(life.close());
    packets.push(life.reset(S));
    let refused = Conversation::new(SocketAddr::new(client.ip(), client.port() + 1), server);
    packets.push(refused.handshake()[0].clone());
    packets.push(tcp(
        server,
        refused.client,
        &Segment {
            flags: TcpFlags::RST | TcpFlags::ACK,
            sequence: 0,
            acknowledgement: u32::MAX - 19,
            ..Segment::default()
        },
    ));
    let mut reset = Conversation::new(SocketAddr::new(client.ip(), client.port() + 2), server);
    packets.extend(reset.handshake());
    packets.push(reset.say(C, b"hello"));
    packets.push(reset.reset(C));
    packets.push(reset.say(S, b"late"));
    // In mid-stream, and flags that no stack sends.
    let middle = Conversation::new(SocketAddr::new(client.ip(), client.port() + 3), server);
    packets.push(middle.at(C, 1000, b"middle"));
    packets.push(middle.at(S, 1000, b"answer"));
    for flags in [TcpFlags::empty(), TcpFlags::FIN, TcpFlags::SYN | TcpFlags::FIN, TcpFlags::all()] {
        packets.push(middle.flagged(C, flags, 1006, b""));
    }
}

fn pings(packets: &mut Vec<Vec<u8>>) {
    let (client, server) = ([10, 0, 0, 1], [192, 0, 2, 80]);
    let (client6, server6) = (address("[2001:db8:1::1]:0"), address("[2001:db8:2::80]:0"));
    let (IpAddr::V6(client6), IpAddr::V6(server6)) = (client6.ip(), server6.ip()) else { return };
    for id in [7, 0x1234] {
        packets.push(ping(IpAddr::from(client), IpAddr::from(server), id));
        let about = packets.last().unwrap().clone();
        let mut reply = Vec::new();
        PacketBuilder::ipv4(server, client, 64)
            .icmpv4(Icmpv4Type::EchoReply(IcmpEchoHeader { id, seq: 1 }))
            .write(&mut reply, b"pong")
            .unwrap();
        packets.push(reply.clone());
        packets.push(reply);
        packets.push(unreachable(IpAddr::from([198, 51, 100, 1]), IpAddr::from(client), &about));
        packets.push(ping(client6.into(), server6.into(), id));
        let about = packets.last().unwrap().clone();
        let mut reply = Vec::new();
        PacketBuilder::ipv6(server6.octets(), client6.octets(), 64)
            .icmpv6(Icmpv6Type::EchoReply(IcmpEchoHeader { id, seq: 1 }))
            .write(&mut reply, b"pong")
            .unwrap();
        packets.push(reply);
        packets.push(unreachable(server6.into(), client6.into(), &about));
        let mut too_big = Vec::new();
        PacketBuilder::ipv6(server6.octets(), client6.octets(), 64)
            .icmpv6(Icmpv6Type::PacketTooBig { mtu: 1280 })
            .write(&mut too_big, &about)
            .unwrap();
        packets.push(too_big);
    }
    // An answer and an error that nobody asked for; a kind that conntrack does not know.
    let mut other = Vec::new();
    PacketBuilder::ipv4(server, client, 64)
        .icmpv4(Icmpv4Type::EchoReply(IcmpEchoHeader { id: 99, seq: 1 }))
        .write(&mut other, b"pong")
        .unwrap();
    packets.push(other);
    let unknown = udp(address("10.0.0.1:1"), address("192.0.2.80:2"), b"never sent");
    packets.push(unreachable(IpAddr::from(server), IpAddr::from(client), &unknown));
    let mut other = Vec::new();
    PacketBuilder::ipv4(client, server, 64)
        .icmpv4(Icmpv4Type::Unknown { type_u8: 42, code_u8: 3, bytes5to8: [1, 2, 3, 4] })
        .write(&mut other, b"?")
        .unwrap();
    packets.push(other);
}

/// Traffic class, fragments, protocols without ports, headers that are cut.
fn oddities(packets: &mut Vec<Vec<u8>>) {
    let (client, server) = (address("10.0.0.3:4000"), address("192.0.2.80:4001"));
    let whole = udp(client, server, &[b'f'; 100]);
    packets.push(fragment(&whole, 77, 0, 56));
    packets.push(fragment(&whole, 77, 56, 108));
    packets.push(fragment(&whole, 78, 56, 108));
    let mut marked = udp(client, server, b"expedited");
    marked[1] = 46 << 2 | 1;
    marked[6] = 0x40;
    packets.push(marked);
    for protocol in [47, 50, 89, 132, 253] {
        let mut bytes = Vec::new();
        PacketBuilder::ipv4([10, 0, 0, 3], [192, 0, 2, 80], 64)
            .write(&mut bytes, IpNumber(protocol), &[0, 80, 0x12, 0x34, 0, 0, 0, 9, 0, 0, 0, 0, 1, 0, 0, 4])
            .unwrap();
        packets.push(bytes);
    }
    for (protocol, length) in [(6, 10), (17, 4), (1, 4)] {
        let mut bytes = Vec::new();
        PacketBuilder::ipv4([10, 0, 0, 3], [192, 0, 2, 80], 64)
            .write(&mut bytes, IpNumber(protocol), &vec![0; length])
            .unwrap();
        packets.push(bytes);
    }
}

/// The traffic of one generated ruleset: everything, now and then with packets lost, repeated or swapped.
pub(crate) fn shaken(packets: &[Vec<u8>], dice: &mut Dice) -> Vec<Vec<u8>> {
    let mut shaken: Vec<Vec<u8>> = Vec::new();
    for packet in packets {
        match dice.below(24) {
            0 => {}
            1 => shaken.extend([packet.clone(), packet.clone()]),
            2 if !shaken.is_empty() => shaken.insert(shaken.len() - 1, packet.clone()),
            _ => shaken.push(packet.clone()),
        }
    }
    shaken
}
