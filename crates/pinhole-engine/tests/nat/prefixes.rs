//! IPv6: announcements of hidden hosts and servers, and prefixes that stand for prefixes (RFC 6296).

use crate::ftp::{Session, ftp};
use crate::support::conversation::{Segment, syn, tcp, unreachable};
use crate::support::lab::{Lab, address};
use crate::{ends, ends_of, with};
use pinhole_engine::{Attachment, NatRule, Settings};
use pinhole_nat::prefix::{Nptv6, Prefix};
use pinhole_track::State;
use pinhole_wire::{Direction, IpVersion, Packet, TcpFlags};
use std::net::Ipv6Addr;

const SERVER: &str = "[2001:db8:2::21]:21";

fn hidden() -> Settings {
    with(&[NatRule::Snat { from: "fd00::/16".parse().unwrap(), to: "2001:db8:ffff::7".parse().unwrap() }])
}

/// The prefixes of RFC 6296 §3.2 and §3.5.
fn prefixes() -> Settings {
    let prefix = |address: &str, length| {
        let address: Ipv6Addr = address.parse().unwrap();
        Prefix::new(IpVersion::V6, pinhole_wire::Address::v6(address.octets()), length).unwrap()
    };
    let mapping = Nptv6::new(prefix("fd01:203:405::", 48), prefix("2001:db8:1::", 48)).unwrap();
    let (inside, outside) = ("fd01:203:405::/48".parse().unwrap(), "2001:db8:1::/48".parse().unwrap());
    with(&[NatRule::Nptv6 { inside, outside, mapping }])
}

#[test]
fn a_hidden_client_announces_the_outer_address() {
    let mut session = Session::open(ftp(hidden(), &[]), "[fd00::5]:4000", SERVER);
    session.greet();
    let line = session.say(Direction::Original, "EPRT |2|fd00::5|5001|\r\n");
    assert_eq!(line, "EPRT |2|2001:0db8:ffff:0000:0000:0000:0000:0007|5001|\r\n");
    session.say(Direction::Reply, "200 ok\r\n");
    let data = session.lab.send(&syn(address("[2001:db8:2::21]:20"), address("[2001:db8:ffff::7]:5001")));
    assert_eq!(data.state, Some(State::Related));
    let made = session.lab.left[0].clone();
    assert_eq!(ends(&made), (address("[2001:db8:2::21]:20"), address("[fd00::5]:5001")));
    // RFC 1639 in its long form: text that grows and shrinks.
    let line = session.say(Direction::Original, "LPRT 6,16,253,0,0,0,0,0,0,0,0,0,0,0,0,0,0,5,2,19,139\r\n");
    assert_eq!(line, "LPRT 6,16,32,1,13,184,255,255,0,0,0,0,0,0,0,0,0,7,2,19,139\r\n");
    let line = session.say(Direction::Original, "NOOP\r\n");
    assert_eq!(line, "NOOP\r\n");
}

#[test]
fn a_server_behind_an_outer_address() {
    let rule =
        NatRule::Dnat { to: "2001:db8:ffff::7/128".parse().unwrap(), target: "fd00::21".parse().unwrap() };
    let mut session = Session::open(ftp(with(&[rule]), &[]), "[2001:db8::9]:4000", "[2001:db8:ffff::7]:21");
    session.greet();
    session.say(Direction::Original, "EPSV\r\n");
    session.say(Direction::Reply, "229 Entering Extended Passive Mode (|||30001|)\r\n");
    let data = session.lab.send(&syn(address("[2001:db8::9]:4001"), address("[2001:db8:ffff::7]:30001")));
    assert_eq!(data.state, Some(State::Related));
    let made = session.lab.left[0].clone();
    assert_eq!(ends(&made), (address("[2001:db8::9]:4001"), address("[fd00::21]:30001")));
}

/// The example of RFC 6296 §3.2, both ways, with conns that begin on either side. No checksum changes.
#[test]
fn a_prefix_stands_for_a_prefix_and_no_checksum_changes() {
    let mut lab = Lab::new(prefixes(), None);
    let (inner, outer) = ("[fd01:203:405:1::1234]:4000", "[2001:db8:1:d550::1234]:4000");
    let server = address("[2001:db8:2::80]:80");
    let came = syn(address(inner), server);
    let out = lab.forward(&came).unwrap();
    assert_eq!(ends(&out), (address(outer), server));
    assert_eq!(out[40..], came[40..], "the transport header is as it was, its checksum included");
    let answer =
        Segment { flags: TcpFlags::SYN | TcpFlags::ACK, acknowledgement: 1001, ..Segment::default() };
    let came = tcp(server, address(outer), &answer);
    let back = lab.forward(&came).unwrap();
    assert_eq!(ends(&back), (server, address(inner)));
    assert_eq!(back[40..], came[40..]);

    let unasked = syn(address("[2001:db8:2::81]:999"), address("[2001:db8:1:d550::1234]:22"));
    let inward = lab.forward(&unasked).unwrap();
    assert_eq!(ends(&inward).1, address("[fd01:203:405:1::1234]:22"));
    assert_eq!(inward[40..], unasked[40..]);

    let error =
        lab.forward(&unreachable("2001:db8:5::1".parse().unwrap(), address(outer).ip(), &out)).unwrap();
    let packet = Packet::parse(&error, 0).unwrap();
    assert_eq!(ends_of(&packet.quoted(&error).unwrap().unwrap()), (address(inner), server));
    // Ports are each host's own: there is nothing to give back.
    assert_eq!(lab.engine.nat_mappings(), 0);
}

/// What an application writes down is not checksum-neutral: the NAT half rewrites it, and the sums follow.
#[test]
fn announcements_through_a_prefix() {
    let mut session = Session::open(ftp(prefixes(), &[]), "[fd01:203:405:1::1234]:4000", SERVER);
    session.greet();
    let line = session.say(Direction::Original, "EPRT |2|fd01:203:405:1::1234|5001|\r\n");
    assert_eq!(line, "EPRT |2|2001:0db8:0001:d550:0000:0000:0000:1234|5001|\r\n");
    session.say(Direction::Reply, "200 ok\r\n");
    let data = syn(address("[2001:db8:2::21]:20"), address("[2001:db8:1:d550::1234]:5001"));
    assert_eq!(session.lab.send(&data).state, Some(State::Related));
    let made = session.lab.left[0].clone();
    assert_eq!(ends(&made).1, address("[fd01:203:405:1::1234]:5001"));
}

/// DCC names addresses in text, of either translation.
#[test]
fn direct_connections_of_irc() {
    for (settings, inner, outer) in [
        (hidden(), "fd00::5", "2001:db8:ffff::7"),
        (prefixes(), "fd01:203:405:1::1234", "2001:db8:1:d550::1234"),
    ] {
        let attachments = vec![Attachment { helper: "irc".to_owned(), ports: vec![6667] }];
        let settings = Settings { attachments, ..ftp(settings, &[]) };
        let mut session = Session::open(settings, &format!("[{inner}]:4000"), "[2001:db8:2::21]:6667");
        session.say(Direction::Original, "NICK alice\r\nUSER a 0 * :a\r\n");
        session.say(Direction::Reply, ":irc 001 alice :hello\r\n");
        let offer = |address: &str| format!("PRIVMSG bob :\x01DCC SEND a {address} 5001 10\x01\r\n");
        assert_eq!(session.say(Direction::Original, &offer(inner)), offer(outer));
        // The conversation goes on in the numbers of both ends.
        assert_eq!(session.say(Direction::Original, "PING x\r\n"), "PING x\r\n");
        let data = syn(address("[2001:db8:9::1]:2000"), address(&format!("[{outer}]:5001")));
        assert_eq!(session.lab.send(&data).state, Some(State::Related));
        let made = session.lab.left[0].clone();
        assert_eq!(ends(&made).1, address(&format!("[{inner}]:5001")));
        // Somebody else's address is nothing that the client may announce, translated or not.
        let foreign = offer("2001:db8:5::5");
        assert_eq!(session.say(Direction::Original, &foreign), foreign);
        let data = syn(address("[2001:db8:9::1]:2001"), address("[2001:db8:5::5]:5001"));
        assert_eq!(session.lab.send(&data).state, Some(State::New));
    }
}

/// An address whose subnet is 0xffff is not translated (RFC 6296 §3.4): it does not leave as it is, either.
#[test]
fn an_address_that_cannot_be_translated_does_not_leave() {
    let mut lab = Lab::new(prefixes(), None);
    let outcome = lab.send(&syn(address("[fd01:203:405:ffff::1]:4000"), address("[2001:db8:2::80]:80")));
    assert_eq!(outcome.reason.map(|reason| reason.name()), Some("nat-no-address"), "{outcome:?}");
    assert!(lab.engine.output().next().is_none());
}
