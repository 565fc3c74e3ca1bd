//! RTSP, versions 1 and 2.

use crate::world::{BOTH, Cut, Translation, Way, streams};
use crate::{Host, View, World};
use pinhole_wire::{Direction, Protocol};

const RTSP: &[(&str, &[u16])] = &[("rtsp", &[554])];
const C: Direction = Direction::Original;
const S: Direction = Direction::Reply;

fn message(lines: &[String]) -> Vec<u8> {
    format!("{}\r\n\r\n", lines.join("\r\n")).into_bytes()
}

fn setup(version: &str, number: u32, transport: &str) -> Vec<u8> {
    message(&[
        format!("SETUP rtsp://media.example/{number} RTSP/{version}"),
        format!("CSeq: {number}"),
        format!("Transport: {transport}"),
    ])
}

fn agreed(version: &str, number: u32, transport: &str) -> Vec<u8> {
    message(&[
        format!("RTSP/{version} 200 OK"),
        format!("CSeq: {number}"),
        "Session: 12345678;timeout=60".to_owned(),
        format!("Transport: {transport}"),
    ])
}

fn request(method: &str, number: u32) -> Vec<u8> {
    message(&[
        format!("{method} rtsp://media.example/ RTSP/1.0"),
        format!("CSeq: {number}"),
        "Session: 12345678".to_owned(),
    ])
}

#[test]
fn streams_of_version_1() {
    streams(RTSP, BOTH, |world| {
        let conn = world.open(Protocol::TCP, (Host::Client, 40000), (Host::Server, 554));
        world.say(conn, C, |_| b"DESCRIBE rtsp://media.example/ RTSP/1.0\r\nCSeq: 1\r\n\r\n".to_vec());
        world.say(conn, S, |v| {
            let body = format!("v=0\r\nc=IN IP4 {}\r\nm=video 0 RTP/AVP 96\r\n", v.client.port());
            format!("RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
        });
        world.say(conn, C, |v| {
            let own = v.client.ip();
            let offers = format!(
                "RTP/AVP;unicast;destination={own};client_port=4588-4589,RTP/AVP/TCP;unicast;interleaved=0-1"
            );
            setup("1.0", 2, &offers)
        });
        world.is_strange(Protocol::UDP, (Host::Server, 6250), (Host::Client, 4588));
        world.say(conn, S, |v| {
            let (client, server) = (v.client.ip(), v.server.ip());
            agreed(
                "1.0",
                2,
                &format!(
                    "RTP/AVP/UDP;unicast;destination={client};source={server};client_port=4588-4589;\
                     server_port=6256-6257;ssrc=1234;mode=\"PLAY\""
                ),
            )
        });
        world.say(conn, C, |_| request("PLAY", 3));
        world.comes(Protocol::UDP, (Host::Server, 6256), (Host::Client, 4588));
        world.comes(Protocol::UDP, (Host::Client, 4590), (Host::Server, 6257));
        world.is_strange(Protocol::UDP, (Host::Stranger, 6256), (Host::Client, 4589));
        world.say(conn, C, |_| request("TEARDOWN", 4));
        world.is_strange(Protocol::UDP, (Host::Server, 7000), (Host::Client, 4589));
        world.assert_no_refusals();
    });
}

#[test]
fn streams_of_version_2() {
    streams(RTSP, BOTH, |world| {
        let conn = world.open(Protocol::TCP, (Host::Client, 40000), (Host::Server, 554));
        world.say(conn, C, |_| setup("2.0", 1, "RTP/AVP/UDP;unicast;dest_addr=\":4588\"/\":4589\""));
        world.say(conn, S, |v| {
            let server = |port| std::net::SocketAddr::new(v.server.ip(), port);
            agreed(
                "2.0",
                1,
                &format!(
                    "RTP/AVP/UDP;unicast;dest_addr=\":4588\"/\":4589\";src_addr=\"{}\"/\"{}\"",
                    server(6256),
                    server(6257)
                ),
            )
        });
        world.comes(Protocol::UDP, (Host::Server, 6256), (Host::Client, 4588));
        world.comes(Protocol::UDP, (Host::Client, 4589), (Host::Server, 6257));
        world.assert_no_refusals();
    });
}

/// The port of another host behind the same address: the answer repeats the outer one, and the client reads its own.
#[test]
fn two_players_with_one_port() {
    let way = Way { translation: Translation::Client, cut: Cut::Whole, over_ipv6: false };
    let offer = |_: &View, port: u16| {
        setup("1.0", 1, &format!("RTP/AVP;unicast;client_port={port}-{}", port.wrapping_add(1)))
    };
    let answer = |_: &View, port: u16| {
        let ports = format!("client_port={port}-{};server_port=6256-6257", port.wrapping_add(1));
        agreed("1.0", 1, &format!("RTP/AVP;unicast;{ports}"))
    };
    let mut world = World::new(RTSP, way);
    for (host, port) in [(Host::Neighbour, 40000), (Host::Client, 40001)] {
        let conn = world.open(Protocol::TCP, (host, port), (Host::Server, 554));
        if host == Host::Neighbour {
            world.say(conn, C, |v| offer(v, 4588));
            world.say(conn, S, |v| answer(v, 4588));
            continue;
        }
        let outer = world.say_elsewhere(conn, C, 4588, offer);
        assert_eq!(world.say_elsewhere(conn, S, outer, answer), 4588);
        world.comes_by(Protocol::UDP, (Host::Server, 6256), (Host::Client, 4588), outer);
        world.comes_by(Protocol::UDP, (Host::Server, 6257), (Host::Client, 4589), outer + 1);
    }
    world.comes(Protocol::UDP, (Host::Server, 6256), (Host::Neighbour, 4588));
}
