//! Calls and registrations, over UDP and TCP.

use crate::world::{BOTH, Cut, IPV4, Translation, Way, datagrams, streams};
use crate::{Host, View, World};
use pinhole_wire::{Direction, Protocol};
use std::net::SocketAddr;

const SIP: &[(&str, &[u16])] = &[("sip", &[5060])];
const C: Direction = Direction::Original;
const S: Direction = Direction::Reply;

const PHONE: (Host, u16) = (Host::Client, 5060);
const PROXY: (Host, u16) = (Host::Server, 5060);

/// What a message says besides its start line and its body.
pub(crate) struct Message<'a> {
    pub(crate) transport: &'a str,
    pub(crate) call: &'a str,
    pub(crate) number: u32,
    pub(crate) method: &'a str,
    /// More fields, each with its line end.
    pub(crate) fields: &'a str,
    pub(crate) body: &'a str,
}

impl Message<'_> {
    /// A request of either end.
    pub(crate) fn request(&self, from: SocketAddr, to: SocketAddr) -> Vec<u8> {
        let start = format!("{} sip:user@{to} SIP/2.0", self.method);
        let via = format!("Via: SIP/2.0/{} {from};branch=z9hG4bK{};rport", self.transport, self.number);
        self.write(&start, &via, [from, to])
    }

    /// The answer to a request that `from` has sent to `to`.
    pub(crate) fn answer(&self, status: &str, from: SocketAddr, to: SocketAddr) -> Vec<u8> {
        let via = format!(
            "v: SIP/2.0/{} {from};branch=z9hG4bK{};received={};rport={}",
            self.transport,
            self.number,
            from.ip(),
            from.port()
        );
        self.write(&format!("SIP/2.0 {status}"), &via, [from, to])
    }

    fn write(&self, start: &str, via: &str, [from, to]: [SocketAddr; 2]) -> Vec<u8> {
        let Self { call, number, method, fields, body, .. } = self;
        let kind = match body.split_once("\r\n\r\n") {
            _ if body.is_empty() => "",
            Some(_) => "Content-Type: multipart/mixed; boundary=\"b\"\r\n",
            None => "c: application/sdp\r\n",
        };
        let length = body.len();
        format!(
            "{start}\r\n{via}\r\nFrom: \"A, b\" <sip:user@{from}>;tag=one\r\nt: <sip:user@{to}>;tag=two\r\n\
             i: {call}@x\r\nCSeq: {number}\r\n {method}\r\n{fields}{kind}l:   {length}\r\n\r\n{body}"
        )
        .into_bytes()
    }
}

fn family(end: SocketAddr) -> &'static str {
    if end.is_ipv4() { "IP4" } else { "IP6" }
}

/// A session description of an end.
pub(crate) fn description(end: SocketAddr, media: &str) -> String {
    let (family, ip) = (family(end), end.ip());
    format!("v=0\r\no=- 7 8 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n{media}")
}

const AUDIO: &str = "m=audio 30000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\n";

/// A call: offer, provisional answer that is acknowledged, answer, media both ways, media that are added, the end.
fn call(world: &mut World, transport: &str, phone: (Host, u16)) {
    let protocol = if transport == "TCP" { Protocol::TCP } else { Protocol::UDP };
    let conn = world.open(protocol, phone, PROXY);
    let message = |number, method, fields: &'static str, body| Message {
        transport,
        call: "1",
        number,
        method,
        fields,
        body,
    };
    let invite = |number: u32, media: &'static str| {
        move |v: &View| {
            let contact = format!("m: <sip:user@{};ob>\r\nRoute: <sip:{};lr>\r\n", v.client, v.server);
            let body = description(v.client, media);
            let message =
                Message { transport, call: "1", number, method: "INVITE", fields: &contact, body: &body };
            message.request(v.client, v.server)
        }
    };
    let accept = |number: u32, status: &'static str, media: &'static str| {
        move |v: &View| {
            let contact =
                format!("Contact: <sip:user@{}>\r\nRecord-Route: <sip:{};lr>\r\n", v.server, v.server);
            let body = description(v.server, media);
            let message =
                Message { transport, call: "1", number, method: "INVITE", fields: &contact, body: &body };
            message.answer(status, v.client, v.server)
        }
    };
    world.say(conn, C, invite(1, AUDIO));
    world.say(conn, S, |v| message(1, "INVITE", "", "").answer("100 Trying", v.client, v.server));
    world.say(conn, S, accept(1, "183 Session Progress", "m=audio 40000 RTP/AVP 0\r\na=rtcp:40009\r\n"));
    world.say(conn, C, |v| message(2, "PRACK", "RAck: 1 1 INVITE\r\n", "").request(v.client, v.server));
    world.say(conn, S, |v| message(2, "PRACK", "", "").answer("200 OK", v.client, v.server));
    world.comes(Protocol::UDP, (Host::Server, 40000), (Host::Client, 30000));
    world.say(conn, S, accept(1, "200 OK", "m=audio 40000 RTP/AVP 0\r\na=rtcp:40009\r\n"));
    world.say(conn, C, |v| message(1, "ACK", "", "").request(v.client, v.server));
    world.comes(Protocol::UDP, (Host::Server, 40001), (Host::Client, 30001));
    world.comes(Protocol::UDP, (Host::Client, 30003), (Host::Server, 40009));
    world.is_strange(Protocol::UDP, (Host::Client, 30004), (Host::Server, 40001));
    world.is_strange(Protocol::UDP, (Host::Stranger, 40002), (Host::Client, 30002));
    // Video is added, its control protocol on the same port.
    const MORE: &str = "m=audio 30000 RTP/AVP 0\r\nm=video 30010/1 RTP/AVP 96\r\na=rtcp-mux\r\n";
    world.say(conn, C, invite(3, MORE));
    world.say(
        conn,
        S,
        accept(3, "200 OK", "m=audio 40000 RTP/AVP 0\r\nm=video 40010 RTP/AVP 96\r\na=rtcp-mux\r\n"),
    );
    world.say(conn, C, |v| message(3, "ACK", "", "").request(v.client, v.server));
    world.comes(Protocol::UDP, (Host::Server, 40010), (Host::Client, 30010));
    world.comes(Protocol::UDP, (Host::Client, 30012), (Host::Server, 40010));
    // Requests of the other end, without a session.
    for method in ["OPTIONS", "INFO", "MESSAGE", "NOTIFY", "REFER", "SUBSCRIBE"] {
        world.say(conn, S, |v| message(70, method, "", "").request(v.server, v.client));
        world.say(conn, C, |v| message(70, method, "", "").answer("200 OK", v.server, v.client));
    }
    // A transfer: the parties are named in fields of their own.
    world.say(conn, S, |v| {
        let fields = format!(
            "r: <sip:user@{}?Replaces=1%40x>\r\nReferred-By: sip:user@{}\r\nP-Asserted-Identity: \"A\" <sip:user@{}>, <tel:+1>\r\n",
            v.client, v.server, v.server
        );
        Message { transport, call: "1", number: 69, method: "REFER", fields: &fields, body: "" }
            .request(v.server, v.client)
    });
    world.say(conn, S, |v| message(71, "BYE", "", "").request(v.server, v.client));
    world.say(conn, C, |v| message(71, "BYE", "", "").answer("200 OK", v.server, v.client));
    world.is_strange(Protocol::UDP, (Host::Server, 40020), (Host::Client, 30011));
    world.assert_no_refusals();
}

#[test]
fn calls_over_udp() {
    datagrams(SIP, BOTH, |world| call(world, "UDP", PHONE));
}

#[test]
fn calls_over_tcp() {
    streams(SIP, BOTH, |world| call(world, "TCP", (Host::Client, 49152)));
}

/// A call through a proxy: the other phone is a third host, which the proxy's answers name.
fn through_a_proxy(world: &mut World, transport: &str, phone: (Host, u16)) {
    let protocol = if transport == "TCP" { Protocol::TCP } else { Protocol::UDP };
    let conn = world.open(protocol, phone, PROXY);
    let other = SocketAddr::new(world.way.real(Host::Stranger), 0);
    let plain = Message { transport, call: "8", number: 1, method: "INVITE", fields: "", body: "" };
    world.say(conn, C, |v| {
        Message { body: &description(v.client, AUDIO), ..plain }.request(v.client, v.server)
    });
    for status in ["183 Session Progress", "200 OK"] {
        world.say(conn, S, |v| {
            let body = description(other, "m=audio 40000 RTP/AVP 0\r\n");
            Message { body: &body, ..plain }.answer(status, v.client, v.server)
        });
    }
    world.is_strange(Protocol::UDP, (Host::Server, 40000), (Host::Client, 30000));
    world.comes(Protocol::UDP, (Host::Stranger, 40000), (Host::Client, 30000));
    world.comes(Protocol::UDP, (Host::Stranger, 40001), (Host::Client, 30001));
    world.is_strange(Protocol::UDP, (Host::Stranger, 40003), (Host::Client, 30000));
}

#[test]
fn calls_through_a_proxy() {
    datagrams(SIP, BOTH, |world| through_a_proxy(world, "UDP", PHONE));
    streams(SIP, IPV4, |world| through_a_proxy(world, "TCP", (Host::Client, 49152)));
}

/// More places at which an end is named than edits are remembered of a stream.
#[test]
fn messages_full_of_addresses_over_tcp() {
    streams(SIP, BOTH, |world| {
        let conn = world.open(Protocol::TCP, (Host::Client, 49152), PROXY);
        world.say(conn, C, |v| {
            let routes: String = (0..150)
                .map(|n| {
                    let end = if n % 2 == 0 { v.client } else { v.server };
                    format!("Route: <sip:{end};n={n}>\r\n")
                })
                .collect();
            let body = description(v.client, AUDIO);
            Message { transport: "TCP", call: "9", number: 1, method: "INVITE", fields: &routes, body: &body }
                .request(v.client, v.server)
        });
        world.comes(Protocol::UDP, (Host::Server, 40000), (Host::Client, 30000));
        world.assert_no_refusals();
    });
}

/// UPDATE with an offer, a multipart body, candidates, a medium over TCP, one that is held.
fn other_descriptions(world: &mut World, transport: &str) {
    let protocol = if transport == "TCP" { Protocol::TCP } else { Protocol::UDP };
    let conn = world.open(protocol, PHONE, PROXY);
    world.say(conn, C, |v| {
        let (family, ip) = (family(v.client), v.client.ip());
        let media = format!(
            "m=audio 30000 RTP/AVP 0\r\na=rtcp:30005 IN {family} {ip}\r\n\
             a=candidate:1 1 UDP 2130706431 {ip} 30000 typ host\r\n\
             a=candidate:1 2 UDP 2130706430 {ip} 30005 typ host\r\n\
             m=image 0 udptl t38\r\n\
             m=message 30020 TCP/MSRP *\r\na=setup:passive\r\n"
        );
        let inner = description(v.client, &media);
        let body = format!(
            "--b\r\nContent-Type: text/plain\r\n\r\nm=audio 1 x\r\n\
             --b\r\nContent-Type: application/sdp\r\n\r\n{inner}\r\n--b--\r\n"
        );
        let message = Message { transport, call: "2", number: 1, method: "UPDATE", fields: "", body: &body };
        message.request(v.client, v.server)
    });
    world.say(conn, S, |v| {
        let body = description(
            v.server,
            "m=audio 40000 RTP/AVP 0\r\nm=image 0 udptl t38\r\nm=message 0 TCP/MSRP *\r\n",
        );
        let message = Message { transport, call: "2", number: 1, method: "UPDATE", fields: "", body: &body };
        message.answer("200 OK", v.client, v.server)
    });
    world.comes(Protocol::UDP, (Host::Server, 40000), (Host::Client, 30000));
    world.comes(Protocol::UDP, (Host::Server, 40001), (Host::Client, 30005));
    world.comes(Protocol::TCP, (Host::Server, 40020), (Host::Client, 30020));
    world.is_strange(Protocol::UDP, (Host::Server, 40003), (Host::Client, 30001));
    world.assert_no_refusals();
}

#[test]
fn other_descriptions_over_udp() {
    datagrams(SIP, BOTH, |world| other_descriptions(world, "UDP"));
}

#[test]
fn other_descriptions_over_tcp() {
    streams(SIP, IPV4, |world| other_descriptions(world, "TCP"));
}

/// A phone registers another port than it sends from, is called there, and answers.
#[test]
fn registered_phones_are_called() {
    datagrams(SIP, BOTH, |world| {
        let conn = world.open(Protocol::UDP, (Host::Client, 40000), PROXY);
        let contact = |v: &View| SocketAddr::new(v.client.ip(), 5070);
        let register = |v: &View, fields: &str| {
            Message { transport: "UDP", call: "3", number: 1, method: "REGISTER", fields, body: "" }
                .request(v.client, v.server)
        };
        world.say(conn, C, |v| register(v, &format!("Contact: <sip:user@{}>;expires=900\r\n", contact(v))));
        world.is_strange(Protocol::UDP, (Host::Server, 5062), (Host::Client, 5070));
        world.say(conn, S, |v| {
            let fields = format!("Contact: <sip:user@{}>;expires=600\r\nExpires: 600\r\n", contact(v));
            Message { transport: "UDP", call: "3", number: 1, method: "REGISTER", fields: &fields, body: "" }
                .answer("200 OK", v.client, v.server)
        });
        world.lab.wait(500);
        let call = world.open_related(Protocol::UDP, PROXY, (Host::Client, 5070));
        world.say(call, C, |v| {
            let body = description(v.client, "m=audio 40000 RTP/AVP 0\r\n");
            Message { transport: "UDP", call: "4", number: 1, method: "INVITE", fields: "", body: &body }
                .request(v.client, v.server)
        });
        world.say(call, S, |v| {
            let body = description(v.server, AUDIO);
            Message { transport: "UDP", call: "4", number: 1, method: "INVITE", fields: "", body: &body }
                .answer("200 OK", v.client, v.server)
        });
        world.comes(Protocol::UDP, (Host::Server, 40000), (Host::Client, 30000));
        world.comes(Protocol::UDP, (Host::Client, 30002), (Host::Server, 40000));
        world.lab.wait(601);
        world.is_strange(Protocol::UDP, (Host::Server, 5063), (Host::Client, 5070));
        world.assert_no_refusals();
    });
}

/// Several messages in one segment, and one that is longer than several.
#[test]
fn long_and_short_messages_share_a_stream() {
    streams(SIP, IPV4, |world| {
        let conn = world.open(Protocol::TCP, (Host::Client, 49152), PROXY);
        let options = |v: &View, number| {
            Message { transport: "TCP", call: "5", number, method: "OPTIONS", fields: "", body: "" }
                .request(v.client, v.server)
        };
        world.say(conn, C, |v| {
            let long = format!(
                "{AUDIO}{}",
                "a=fmtp:96 profile-level-id=42e01f;packetization-mode=1\r\n".repeat(120)
            );
            let body = description(v.client, &long);
            let invite =
                Message { transport: "TCP", call: "6", number: 9, method: "INVITE", fields: "", body: &body }
                    .request(v.client, v.server);
            [options(v, 1), b"\r\n\r\n".to_vec(), options(v, 2), invite, options(v, 3)].concat()
        });
        world.comes(Protocol::UDP, (Host::Server, 40000), (Host::Client, 30000));
        world.assert_no_refusals();
    });
}

/// A port that another phone behind the same address has announced.
#[test]
fn two_phones_with_one_port() {
    let way = Way { translation: Translation::Client, cut: Cut::Whole, over_ipv6: false };
    let invite = |v: &View, port: u16| {
        let body = description(v.client, &format!("m=audio {port} RTP/AVP 0\r\n"));
        Message { transport: "UDP", call: "7", number: 1, method: "INVITE", fields: "", body: &body }
            .request(v.client, v.server)
    };
    let mut world = World::new(SIP, way);
    let first = world.open(Protocol::UDP, (Host::Neighbour, 5061), PROXY);
    world.say(first, C, |v| invite(v, 30000));
    let second = world.open(Protocol::UDP, (Host::Client, 5062), PROXY);
    let outer = world.say_elsewhere(second, C, 30000, invite);
    assert_eq!(outer % 2, 0);
    world.comes_by(Protocol::UDP, (Host::Server, 40000), (Host::Client, 30000), outer);
    world.comes_by(Protocol::UDP, (Host::Server, 40001), (Host::Client, 30001), outer + 1);
    world.comes(Protocol::UDP, (Host::Server, 40000), (Host::Neighbour, 30000));
}
