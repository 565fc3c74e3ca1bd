//! tshark decodes, field by field, the frames that the other tests feed to the helpers, and what the NAT halves make of them: an
//! independent witness that both follow the protocols. Skipped, loudly, where there is no tshark.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap is the test's message")]

#[path = "messengers/frames.rs"]
mod frames;
mod support;

use frames::{flap, icq, oscar};
use pinhole_helper::{Action, Context, End, Handle, Master, NatHelper, Policy, Session, Span};
use pinhole_wire::{Direction, IpVersion, Protocol, Time};
use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use support::conversation::{Conversation, udp};
use support::lab::address;

const CLIENT: &str = "10.1.0.2:40000";
const OUTSIDE: &str = "203.0.113.1:61000";

/// What tshark prints of these packets. `None`: there is no tshark.
fn tshark(test: &str, packets: &[Vec<u8>], options: &[&str]) -> Option<String> {
    if Command::new("tshark").arg("--version").output().is_err() {
        eprintln!("SKIPPED {test}: no tshark (apt-get install tshark)");
        return None;
    }
    let path = std::env::temp_dir().join(format!("pinhole-witness-{}-{test}.pcap", std::process::id()));
    // A classic capture of raw IP datagrams.
    let mut capture = b"\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\xff\xff\0\0\x65\0\0\0".to_vec();
    for packet in packets {
        let length = (packet.len() as u32).to_le_bytes();
        capture.extend([[0; 4], [0; 4], length, length].concat());
        capture.extend(packet);
    }
    fs::write(&path, capture).unwrap();
    let output = Command::new("tshark").arg("-r").arg(&path).arg("-n").args(options).output().unwrap();
    fs::remove_file(path).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

/// Holds what tshark says of a packet against lines that must be there, in this order, as `name: value`.
fn assert_says(packet: &str, expected: &[&str]) {
    let mut lines = packet.lines().map(str::trim);
    for line in expected {
        assert!(lines.any(|said| said == *line), "`{line}` is not there, or not in its place:\n{packet}");
    }
}

/// What a session asks for when it has read some datagrams or messages of one direction each.
fn read(helper: &dyn pinhole_helper::Helper, protocol: Protocol, said: &[(Direction, &[u8])]) -> Vec<Action> {
    let (client, server): (SocketAddr, SocketAddr) = (address(CLIENT), address("192.0.2.1:5190"));
    let master =
        Master { version: IpVersion::V4, protocol, original: (client, server), reply: (server, client) };
    let policy = Policy::default();
    let mut session: Box<dyn Session> = helper.attach(&master, &policy);
    let (mut actions, mut next) = (Vec::new(), 0);
    for (from, bytes) in said {
        actions.clear();
        let mut context = Context::new(&master, &policy, Time(0), 0, &mut actions, &mut next);
        session.read(&mut context, *from, bytes);
    }
    actions
}

/// The message with everything that was located or mentioned in it written anew, as behind NAT.
fn translated(nat: &dyn NatHelper, message: &[u8], actions: &[Action]) -> Vec<u8> {
    let mut new = message.to_vec();
    let mut count = 0;
    for action in actions {
        let (span, field) = match action {
            Action::Locate(Handle(_), span, field) | Action::Mention(End::Sender, span, field) => {
                (span, field)
            }
            _ => continue,
        };
        let Span { start, end } = *span;
        let place = start as usize..end as usize;
        let mut bytes = Vec::new();
        nat.encode(*field, address(OUTSIDE), &message[place.clone()], &mut bytes).unwrap();
        assert_eq!(bytes.len(), place.len());
        new[place].copy_from_slice(&bytes);
        count += 1;
    }
    assert!(count > 0, "nothing located: {actions:?}");
    new
}

fn from_client(payload: &[u8]) -> Vec<u8> {
    udp(address(CLIENT), address("192.0.2.1:4000"), payload)
}

fn from_server(payload: &[u8]) -> Vec<u8> {
    udp(address("192.0.2.1:4000"), address(CLIENT), payload)
}

/// Bodies of the server's packets are beyond tshark 4.0: it takes every one for malformed after its header.
#[test]
fn icq() {
    let login = icq::login([10, 1, 0, 2], 50123);
    let actions = read(&pinhole_helpers::icq::Icq, Protocol::UDP, &[(Direction::Original, &login)]);
    let rewritten = translated(&pinhole_helpers::icq::IcqNat, &login, &actions);
    let packets = [
        from_client(&login),
        from_client(&rewritten),
        from_client(&icq::keep_alive()),
        from_server(&icq::login_reply()),
        from_server(&icq::user_online([198, 51, 100, 7], 4099)),
    ];
    let Some(text) = tshark("icq", &packets, &["-O", "icq"]) else { return };
    let said: Vec<&str> = text.split("\nICQv5\n").skip(1).collect();
    assert_eq!(said.len(), packets.len());
    let login = |port, address| {
        ["Client command: CMD_LOGIN (1000)", "Time: 943920000 = Nov 30, 1999 00:00:00 UTC", port, address]
    };
    assert_says(said[0], &login("Port: 50123", "IP: 10.1.0.2"));
    assert_says(said[1], &login("Port: 61000", "IP: 203.0.113.1"));
    assert_says(said[2], &["Client command: CMD_KEEP_ALIVE (1070)", "Random: 0x04030201"]);
    for client in &said[..3] {
        assert_says(client, &["[Client/Server: Client]", "UIN: 7654321", "Session ID: 0x0badcafe"]);
        assert_says(client, &["Seq Number 1: 0x1234", "Seq Number 2: 0x0001"]);
    }
    assert_says(said[3], &["Session ID: 0x0badcafe", "Server command: SRV_LOGIN_REPLY (90)", "UIN: 7654321"]);
    assert_says(
        said[4],
        &["Session ID: 0x0badcafe", "Server command: SRV_USER_ONLINE (110)", "UIN: 7654321"],
    );
}

#[test]
fn oscar() {
    let sign_on = flap(1, &[0, 0, 0, 1]);
    let own = |message: &[u8]| {
        let said = [(Direction::Original, sign_on.as_slice()), (Direction::Original, message)];
        let actions = read(&pinhole_helpers::oscar::Oscar, Protocol::TCP, &said);
        translated(&pinhole_helpers::oscar::OscarNat, message, &actions)
    };
    let proposal = oscar::proposal(1, 1, [10, 1, 0, 2], 50123);
    let status = oscar::status([10, 1, 0, 2], 23456);
    let messages = [
        (Direction::Original, own(&proposal)),
        (Direction::Original, proposal),
        (Direction::Original, oscar::cancel(1)),
        (Direction::Reply, oscar::relayed(2, 2, [192, 168, 1, 2], 4443, [198, 51, 100, 7])),
        (Direction::Original, own(&status)),
        (Direction::Original, status),
    ];
    let mut conversation = Conversation::new(address(CLIENT), address("192.0.2.1:5190"));
    let mut packets = conversation.handshake().to_vec();
    packets.extend(messages.iter().map(|(from, message)| conversation.say(*from, message)));
    let options = ["-d", "tcp.port==5190,aim", "-O", "aim,aim_messaging,aim_generic"];
    let Some(text) = tshark("oscar", &packets, &options) else { return };
    assert!(!text.contains("Malformed"), "{text}");
    let said: Vec<&str> = text.split("\nAOL Instant Messenger\n").skip(1).collect();
    assert_eq!(said.len(), messages.len());
    let offer = |address: &str, inverse: &str, port: &str, inverse_port: &str| {
        [
            ("Message Type", "Request (0x0000)"),
            ("ICBM Cookie", "0102030405060708"),
            ("Value ID", "Sequence Number (0x000a)"),
            ("Value", "1"),
            ("Value ID", "Rendezvous IP (0x0002)"),
            ("Value", address),
            ("Value ID", "XORed Rendezvous IP (0x0016)"),
            ("Value", inverse),
            ("Value ID", "Internal IP (0x0003)"),
            ("Value", address),
            ("Value ID", "External Port (0x0005)"),
            ("Value", port),
            ("Value ID", "XORed Port (0x0017)"),
            ("Value", inverse_port),
        ]
        .map(|(name, value)| format!("{name}: {value}"))
    };
    for (said, expected) in [
        (said[0], offer("203.0.113.1", "52.255.142.254", "61000", "4535")),
        (said[1], offer("10.1.0.2", "245.254.255.253", "50123", "15412")),
    ] {
        let head = ["FNAC Family ID: AIM Messaging (0x0004)", "FNAC Subtype ID: Outgoing (0x0006)"];
        assert_says(said, &[&head[..], &["Message Channel ID: 0x0002", "Buddy Name: ScreenName"]].concat());
        assert_says(said, &expected.each_ref().map(String::as_str));
        assert_says(said, &["Send File {09461343-4c7f-11d1-8222-444553540000}"]);
    }
    assert_says(said[2], &["Message Type: Cancel (0x0001)", "ICBM Cookie: 0102030405060708"]);
    assert_says(said[3], &["FNAC Subtype ID: Incoming (0x0007)", "Warning Level: 0", "TLV Count: 1"]);
    assert_says(
        said[3],
        &["Value: 2", "Value ID: External IP (0x0004)", "Value: 198.51.100.7", "Value: 192.168.1.2"],
    );
    let status =
        |address, port| ["Value ID: DC Info (0x000c)", address, port, "Authorization Cookie: aabbccdd"];
    assert_says(said[4], &status("Internal IP address: 203.0.113.1", "TCP Port: 61000"));
    assert_says(said[5], &status("Internal IP address: 10.1.0.2", "TCP Port: 23456"));
}
