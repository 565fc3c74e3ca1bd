//! For every helper, words that open something.

#[path = "../../../pinhole-helpers/src/h323/tests/encoder.rs"]
#[allow(dead_code, reason = "the helper's own tests use the rest")]
mod encoder;

use crate::frames::{Ntalk, flap, icq, oscar};
use pinhole_wire::{Direction, Protocol};
use std::net::{Ipv4Addr, SocketAddr};

const C: Direction = Direction::Original;
const S: Direction = Direction::Reply;

/// What the two ends say, in turn.
pub(crate) type Said = Vec<(Direction, Vec<u8>)>;

/// Who talks to the server, and from which port.
pub(crate) const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
pub(crate) const PORT: u16 = 40000;
const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const EVERYONE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 255);

/// A protocol's words.
pub(crate) struct Bait {
    pub(crate) helper: &'static str,
    pub(crate) protocol: Protocol,
    pub(crate) server: (Ipv4Addr, u16),
    /// What comes before the first announcement.
    pub(crate) opening: fn() -> Said,
    /// The announcement of an endpoint, with the answer that it needs. Who announces is the client, or else the server.
    pub(crate) announce: fn(Ipv4Addr, u16) -> Said,
    pub(crate) names: Names,
}

/// What an announcement names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    AddressAndPort,
    Port,
    /// Something that is no endpoint (a call id), or nothing.
    Neither,
}

fn text(from: Direction, words: String) -> (Direction, Vec<u8>) {
    (from, words.into_bytes())
}

fn nothing() -> Said {
    Vec::new()
}

fn end(host: Ipv4Addr, port: u16) -> SocketAddr {
    SocketAddr::from((host, port))
}

fn ftp(host: Ipv4Addr, port: u16) -> Said {
    vec![text(C, format!("EPRT |1|{host}|{port}|\r\n")), text(S, "200 ok\r\n".to_owned())]
}

fn irc(host: Ipv4Addr, port: u16) -> Said {
    vec![text(C, format!("PRIVMSG b :\u{1}DCC SEND a {} {port} 10\u{1}\r\n", u32::from(host)))]
}

fn sip(host: Ipv4Addr, port: u16) -> Said {
    let body = format!("v=0\r\ns=-\r\nc=IN IP4 {host}\r\nm=audio {port} RTP/AVP 0\r\n");
    vec![text(
        C,
        format!(
            "INVITE sip:b@x SIP/2.0\r\nVia: SIP/2.0/UDP {CLIENT}\r\nFrom: <sip:a@x>;tag=a\r\nTo: <sip:b@x>\r\n\
             Call-ID: {port}\r\nCSeq: 1 INVITE\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ),
    )]
}

fn rtsp(host: Ipv4Addr, port: u16) -> Said {
    let transport = format!("RTP/AVP;unicast;destination={host};client_port={port}");
    vec![
        text(C, format!("SETUP rtsp://x/{port} RTSP/1.0\r\nCSeq: {port}\r\nTransport: {transport}\r\n\r\n")),
        text(S, format!("RTSP/1.0 200 OK\r\nCSeq: {port}\r\nSession: 4\r\nTransport: {transport}\r\n\r\n")),
    ]
}

fn setup(host: Ipv4Addr, port: u16) -> Said {
    let call = encoder::Call { h245: Some(end(host, port)), ..encoder::Call::default() };
    vec![(C, encoder::setup(port & 0x7fff, &call))]
}

fn register(host: Ipv4Addr, port: u16) -> Said {
    let ras = end(CLIENT, PORT);
    vec![
        (C, encoder::registration_request(port, &[end(host, port)], &[ras], Some(300), false)),
        (S, encoder::registration_confirm(port, &[end(SERVER, 1720)], Some(300))),
    ]
}

fn signed_on() -> Said {
    vec![(S, flap(1, &[0, 0, 0, 1])), (C, flap(1, &[0, 0, 0, 1]))]
}

fn propose(host: Ipv4Addr, port: u16) -> Said {
    vec![(C, oscar::proposal((port & 0xff) as u8, 1, host.octets(), port))]
}

fn talk(host: Ipv4Addr, port: u16) -> Said {
    let mut request = Ntalk::Announce.request(host.octets(), port, PORT);
    // Its control address is its own.
    request[28..32].copy_from_slice(&CLIENT.octets());
    vec![(C, request), (S, Ntalk::Announce.answer(0, [0; 4], 0))]
}

fn log_in(host: Ipv4Addr, port: u16) -> Said {
    vec![(C, icq::login(host.octets(), port.into())), (S, icq::login_reply())]
}

fn control(kind: u8, size: u8, fields: &[u16]) -> Vec<u8> {
    let mut bytes = vec![0, size, 0, 1, 0x1a, 0x2b, 0x3c, 0x4d, 0, kind, 0, 0];
    bytes.extend(fields.iter().flat_map(|field| field.to_be_bytes()));
    bytes.resize(usize::from(size), 0);
    bytes
}

fn started() -> Said {
    vec![(C, control(1, 156, &[0x0100])), (S, control(2, 156, &[0x0100, 0x0100]))]
}

fn dial(_: Ipv4Addr, id: u16) -> Said {
    vec![(C, control(7, 168, &[id, 1])), (S, control(8, 32, &[id, id, 0x0100]))]
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn init() -> Said {
    vec![(C, [words(&[0, 0x0100_0003, 5]), b"user\0".to_vec()].concat()), (S, words(&[0, 0x0100_0003]))]
}

fn scan(_: Ipv4Addr, port: u16) -> Said {
    vec![(C, words(&[7, 0])), (S, words(&[0, port.into(), 0x1234, 0]))]
}

fn backup(_: Ipv4Addr, port: u16) -> Said {
    let of = |kind: &str| format!("Amanda 2.6 {kind} HANDLE 000-40F45D09 SEQ {port}\n");
    vec![
        text(C, format!("{}SERVICE sendbackup\n", of("REQ"))),
        text(S, format!("{}CONNECT DATA {port} MESG 0\n", of("REP"))),
    ]
}

fn read(_: Ipv4Addr, number: u16) -> Said {
    vec![text(C, format!("\0\u{1}file{number}\0octet\0"))]
}

fn ask_everyone(_: Ipv4Addr, number: u16) -> Said {
    let mut question = vec![(number >> 8) as u8, number as u8, 1, 0x10, 0, 1, 0, 0, 0, 0, 0, 0, 0x20];
    question.extend([b'C'; 32]);
    question.extend([0, 0, 0x20, 0, 1]);
    vec![(C, question)]
}

fn poll_everyone(_: Ipv4Addr, number: u16) -> Said {
    let mut request = b"\x30\x26\x02\x01\x01\x04\x06public\xa0\x19\x02\x01".to_vec();
    request.push((number & 0x7f) as u8);
    request.extend(b"\x02\x01\0\x02\x01\0\x30\x0e\x30\x0c\x06\x08\x2b\x06\x01\x02\x01\x01\x01\0\x05\0");
    vec![(C, request)]
}

/// All of them.
pub(crate) const BAITS: &[Bait] = &[
    Bait {
        helper: "ftp",
        protocol: Protocol::TCP,
        server: (SERVER, 21),
        opening: || vec![text(S, "220 ready\r\n".to_owned())],
        announce: ftp,
        names: Names::AddressAndPort,
    },
    Bait {
        helper: "irc",
        protocol: Protocol::TCP,
        server: (SERVER, 6667),
        opening: || {
            vec![
                text(C, "NICK a\r\nUSER a 0 * :a\r\n".to_owned()),
                text(S, ":irc 001 a :hello\r\n".to_owned()),
            ]
        },
        announce: irc,
        names: Names::AddressAndPort,
    },
    Bait {
        helper: "sip",
        protocol: Protocol::TCP,
        server: (SERVER, 5060),
        opening: nothing,
        announce: sip,
        names: Names::AddressAndPort,
    },
    Bait {
        helper: "sip",
        protocol: Protocol::UDP,
        server: (SERVER, 5060),
        opening: nothing,
        announce: sip,
        names: Names::AddressAndPort,
    },
    Bait {
        helper: "rtsp",
        protocol: Protocol::TCP,
        server: (SERVER, 554),
        opening: nothing,
        announce: rtsp,
        names: Names::AddressAndPort,
    },
    Bait {
        helper: "Q.931",
        protocol: Protocol::TCP,
        server: (SERVER, 1720),
        opening: nothing,
        announce: setup,
        names: Names::AddressAndPort,
    },
    Bait {
        helper: "RAS",
        protocol: Protocol::UDP,
        server: (SERVER, 1719),
        opening: nothing,
        announce: register,
        names: Names::AddressAndPort,
    },
    Bait {
        helper: "oscar",
        protocol: Protocol::TCP,
        server: (SERVER, 5190),
        opening: signed_on,
        announce: propose,
        names: Names::AddressAndPort,
    },
    Bait {
        helper: "talk",
        protocol: Protocol::UDP,
        server: (SERVER, 518),
        opening: nothing,
        announce: talk,
        names: Names::AddressAndPort,
    },
    Bait {
        helper: "icq",
        protocol: Protocol::UDP,
        server: (SERVER, 4000),
        opening: nothing,
        announce: log_in,
        names: Names::AddressAndPort,
    },
    Bait {
        helper: "pptp",
        protocol: Protocol::TCP,
        server: (SERVER, 1723),
        opening: started,
        announce: dial,
        names: Names::Neither,
    },
    Bait {
        helper: "sane",
        protocol: Protocol::TCP,
        server: (SERVER, 6566),
        opening: init,
        announce: scan,
        names: Names::Port,
    },
    Bait {
        helper: "amanda",
        protocol: Protocol::UDP,
        server: (SERVER, 10080),
        opening: nothing,
        announce: backup,
        names: Names::Port,
    },
    Bait {
        helper: "tftp",
        protocol: Protocol::UDP,
        server: (SERVER, 69),
        opening: nothing,
        announce: read,
        names: Names::Neither,
    },
    Bait {
        helper: "netbios-ns",
        protocol: Protocol::UDP,
        server: (EVERYONE, 137),
        opening: nothing,
        announce: ask_everyone,
        names: Names::Neither,
    },
    Bait {
        helper: "snmp",
        protocol: Protocol::UDP,
        server: (EVERYONE, 161),
        opening: nothing,
        announce: poll_everyone,
        names: Names::Neither,
    },
];

/// Every helper has its bait, but for the one that comes with its master only. (A helper that is being written may do without for a while.)
#[test]
fn no_helper_is_left_out() {
    const HELPERS: [&str; 15] = [
        "ftp",
        "irc",
        "sip",
        "rtsp",
        "talk",
        "icq",
        "oscar",
        "RAS",
        "Q.931",
        "tftp",
        "pptp",
        "amanda",
        "sane",
        "netbios-ns",
        "snmp",
    ];
    let registry = pinhole_helpers::registry();
    for name in HELPERS {
        assert!(registry.find(name).is_some() && BAITS.iter().any(|bait| bait.helper == name), "{name}");
    }
}
