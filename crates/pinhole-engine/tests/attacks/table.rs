//! What the table makes of it: exhaustion, masters that are gone, ICMP errors, rival claims, the wrong side, the wrong zone.

use super::*;

#[test]
fn attack_15_exhaustion() {
    let mut settings = Settings::default();
    settings.track.max_expectations = 600;
    settings.track.max_expectations_per_source = 256;
    let mut lab = Lab::new(settings, Some(RULES));
    let mut victim = lab.connect(CLIENT, FTP_SERVER);
    lab.say(&mut victim, S, b"220 ready\r\n");
    lab.say(&mut victim, C, b"PORT 10,0,0,1,195,81\r\n");
    let offers = |port: u16| {
        (port..port + 8)
            .map(|port| format!("PRIVMSG b :\x01DCC SEND a 167772226 {port} 10\x01\r\n"))
            .collect::<String>()
    };
    // One host, many conns, every one with all the expectations that it may have.
    for index in 0..60u16 {
        let mut chat = irc_of(&mut lab, &format!("10.0.0.66:{}", 10_000 + index));
        lab.say(&mut chat, C, offers(2000 + 8 * index).as_bytes());
    }
    assert_eq!(lab.engine.tracker().expectations().count(), 1 + 256);
    let refused = lab.refusals();
    assert_eq!(refused.len(), 60 * 8 - 256);
    assert_eq!(refused[0], (Refusal::Limit, "DCC SEND a 167772226 2256 10".to_owned()));
    // One conn: its own oldest give way.
    let before = lab.engine.tracker().statistics().expect_new;
    for port in 0..1000 {
        lab.say(&mut victim, C, format!("EPRT |1|10.0.0.1|{}|\r\n", 20_000 + port).as_bytes());
        lab.say(&mut victim, S, b"200 ok\r\n");
    }
    assert_eq!(lab.engine.tracker().statistics().expect_new - before, 1000);
    assert!(lab.engine.tracker().expectations().count() <= 8 + 256);
    let outcome = lab.syn(FTP_DATA, "10.0.0.1:20999");
    assert_eq!(outcome.state, Some(State::Related));
    // More hosts, until the table is full: still nobody gives way to them.
    lab.say(&mut victim, C, b"PORT 10,0,0,1,195,81\r\n");
    for host in 67..72u16 {
        for index in 0..32u16 {
            let mut chat = irc_of(&mut lab, &format!("10.0.0.{host}:{}", 10_000 + index));
            let own = 0x0a00_0000 + u32::from(host);
            let offers = offers(2000 + 8 * index).replace("167772226", &own.to_string());
            lab.say(&mut chat, C, offers.as_bytes());
        }
    }
    assert_eq!(lab.engine.tracker().expectations().count(), 600);
    let outcome = lab.syn(FTP_DATA, HOLE);
    assert_eq!((outcome.verdict, outcome.state), (Verdict::Accept, Some(State::Related)));
}

#[test]
fn attack_16_expectations_end_with_their_master() {
    let announce = |rules: &str| {
        let mut lab = Lab::new(Settings::default(), Some(rules));
        let mut control = lab.connect(CLIENT, FTP_SERVER);
        lab.say(&mut control, S, b"220 ready\r\n");
        lab.say(&mut control, C, b"PORT 10,0,0,1,195,81\r\n");
        assert_eq!(announced(&lab).len(), 1);
        (lab, control)
    };
    let gone = |lab: &mut Lab| {
        lab.assert_shut(FTP_DATA, HOLE);
        assert_eq!(ends(lab), [EndCause::MasterGone]);
        assert_eq!(lab.engine.host().sessions(), 0);
        assert_eq!(lab.engine.host().memory(), 0);
    };
    // Reset: gone with the conn, ten seconds later (tcp_timeout_close), though nobody had a look in between.
    let (mut lab, control) = announce(RULES);
    lab.send_all([&control.reset(S)]);
    lab.jump(11);
    gone(&mut lab);
    // Closed in order.
    let (mut lab, mut control) = announce(RULES);
    lab.send_all(&control.close());
    lab.jump(121);
    gone(&mut lab);
    // Timed out.
    let short = RULES
        .replace("chain forward", "ct timeout short { protocol tcp; l3proto ip; policy = { established : 20 }; }\n    chain forward")
        .replace("ct helper set \"ftp-reader\"", "ct timeout set \"short\" ct helper set \"ftp-reader\"");
    let (mut lab, _) = announce(&short);
    lab.jump(21);
    gone(&mut lab);
    // A new conn on the ports of the old one does not inherit.
    let (mut lab, mut control) = announce(RULES);
    lab.send_all(&control.close());
    let outcome = lab.syn(CLIENT, FTP_SERVER);
    assert_eq!(outcome.state, Some(State::New));
    lab.assert_shut(FTP_DATA, HOLE);
    assert_eq!(ends(&lab), [EndCause::MasterGone]);
    assert_eq!(lab.engine.host().sessions(), 1);
}

#[test]
fn attack_21_icmp_errors() {
    let (client, server) = (address(CLIENT), address(FTP_SERVER));
    let (mut lab, mut control) = ftp();
    let words = b"PORT 10,0,0,1,195,81\r\n";
    let error =
        |from: &str, to: &str, about: &[u8]| unreachable(from.parse().unwrap(), to.parse().unwrap(), about);
    // About conns that nobody knows.
    let unknown = syn(address("10.0.0.1:777"), address("192.0.2.9:80"));
    let outcome = lab.send(&error("192.0.2.9", "10.0.0.1", &unknown));
    assert_invalid(&lab, &outcome, Invalid::IcmpErrorUnknown);
    // Too little of a quote.
    let outcome = lab.send(&error("192.0.2.1", "10.0.0.1", &unknown[..22]));
    assert_invalid(&lab, &outcome, Invalid::IcmpErrorQuote);
    // About a conn that is only expected: it is not one yet, and still expected afterwards.
    lab.say(&mut control, C, b"PORT 10,0,0,1,195,82\r\n");
    let expected = syn(address(FTP_DATA), address("10.0.0.1:50002"));
    let outcome = lab.send(&error("10.0.0.1", "192.0.2.1", &expected));
    assert_invalid(&lab, &outcome, Invalid::IcmpErrorUnknown);
    // About the control conn, with a command in the quote: related to it, but nobody's words.
    let at = control.sent(C);
    let quoted = control.at(C, at, words);
    let outcome = lab.send(&error("203.0.113.5", "10.0.0.1", &quoted));
    assert_eq!(outcome.state, Some(State::Related));
    // The same to somebody else.
    let outcome = lab.send(&error("203.0.113.5", "10.0.0.2", &quoted));
    assert_invalid(&lab, &outcome, Invalid::IcmpErrorAddress);
    assert_eq!(announced(&lab), ["PORT 10,0,0,1,195,82"]);
    lab.assert_shut(FTP_DATA, HOLE);
    // An error ends and refreshes nothing.
    assert_eq!(lab.send(&expected).state, Some(State::Related));
    lab.say(&mut control, S, b"200 ok\r\n");
    // A quote of a quote is no quote.
    let nested = error("192.0.2.1", "10.0.0.1", &tcp(client, server, &Segment::default()));
    let outcome = lab.send(&error("192.0.2.1", "192.0.2.1", &nested));
    assert_eq!(outcome.state, Some(State::Invalid), "{outcome:?}");
}

#[test]
fn attack_23_two_hosts_claim_one_port() {
    let mut lab = lab();
    let mut first = irc_of(&mut lab, "10.0.0.1:40000");
    let mut second = irc_of(&mut lab, "10.0.0.2:40000");
    lab.say(&mut first, C, b"PRIVMSG b :\x01DCC SEND a 167772161 50001 10\x01\r\n");
    // The other host claims the first one's port, and then the same of its own.
    lab.say(&mut second, C, b"PRIVMSG b :\x01DCC SEND a 167772161 50001 10\x01\r\n");
    lab.say(&mut second, C, b"PRIVMSG b :\x01DCC SEND a 167772162 50001 10\x01\r\n");
    let words = "DCC SEND a 167772161 50001 10";
    assert_eq!(lab.refusals(), [(Refusal::ForeignAddress, words.to_owned())]);
    // The same host, in another conn: the first expectation stays as it is.
    let mut third = irc_of(&mut lab, "10.0.0.1:40001");
    lab.say(&mut third, C, b"PRIVMSG b :\x01DCC SEND a 167772161 50001 10\x01\r\n");
    assert_eq!(lab.refusals().last(), Some(&(Refusal::Clash, words.to_owned())));
    assert_eq!(ends(&lab), []);

    let master = lab.expected().next().unwrap().expectation.master;
    let outcome = lab.syn("203.0.113.5:999", HOLE);
    assert_eq!(outcome.state, Some(State::Related));
    assert_eq!(lab.engine.tracker().master(outcome.conn.unwrap()), Some(master));
    assert_eq!(lab.syn("203.0.113.5:999", "10.0.0.2:50001").state, Some(State::Related));
    lab.assert_shut("203.0.113.5:998", HOLE);
}

#[test]
fn attack_24_the_other_side_opens_first() {
    // The expected conn leads to the client; the client may not open it.
    let (mut lab, mut control) = ftp();
    lab.say(&mut control, C, b"PORT 10,0,0,1,195,81\r\n");
    lab.assert_shut(HOLE, FTP_DATA);
    assert_eq!(lab.syn(FTP_DATA, HOLE).state, Some(State::Related));
    // Simultaneous open (RFC 9293 §3.5): the client's SYN is now an answer, and one conn it is.
    let conns = lab.engine.tracker().len();
    let outcome = lab.syn(HOLE, FTP_DATA);
    assert_eq!((outcome.verdict, outcome.direction), (Verdict::Accept, S));
    assert_eq!(lab.engine.tracker().len(), conns);
    // Passive: the server may not use its own announcement to come in.
    let (mut lab, mut control) = ftp();
    lab.say(&mut control, C, b"PASV\r\n");
    lab.say(&mut control, S, b"227 Entering Passive Mode (192,0,2,1,195,81)\r\n");
    lab.assert_shut("192.0.2.1:50001", "10.0.0.1:45000");
    assert_eq!(lab.syn("10.0.0.1:45000", "192.0.2.1:50001").state, Some(State::Related));
    // What opens an expected conn is a SYN (or an ACK, as a pick-up); a RST, a FIN or a SYN-ACK does not.
    for flags in [TcpFlags::RST, TcpFlags::FIN | TcpFlags::ACK, TcpFlags::SYN | TcpFlags::ACK] {
        let (mut lab, mut control) = ftp();
        lab.say(&mut control, C, b"PORT 10,0,0,1,195,81\r\n");
        let packet = tcp(address(FTP_DATA), address(HOLE), &Segment { flags, ..Segment::default() });
        let outcome = lab.send(&packet);
        assert_eq!((outcome.verdict, outcome.state), (Verdict::Drop, Some(State::Invalid)), "{flags:?}");
        assert_eq!(lab.syn(FTP_DATA, HOLE).state, Some(State::Related));
    }
}

#[test]
fn attack_25_the_wrong_zone() {
    let rules = format!(
        r#"table inet zones {{
    chain raw {{
        type filter hook prerouting priority raw; policy accept;
        iifname "red" ct zone set 1
        iifname "blue" ct zone set 2
    }}
}}
{RULES}"#
    );
    let mut settings = Settings::default();
    let [red, blue]: [InterfaceId; 2] = ["red", "blue"].map(|name| settings.topology.interface(name));
    let mut lab = Lab::new(settings, Some(&rules));
    let mut control = Conversation::new(address(CLIENT), address(FTP_SERVER));
    for packet in control.handshake() {
        assert_eq!(lab.send_by(Some(red), &packet).verdict, Verdict::Accept);
    }
    assert_eq!(lab.send_by(Some(red), &control.say(S, b"220 ready\r\n")).state, Some(State::Established));
    lab.send_by(Some(red), &control.say(C, b"PORT 10,0,0,1,195,81\r\n"));
    assert_eq!(announced(&lab).len(), 1);
    let data = syn(address(FTP_DATA), address(HOLE));
    // The same addresses in another zone, and in none, are other hosts.
    for elsewhere in [Some(blue), None] {
        let outcome = lab.send_by(elsewhere, &data);
        assert_eq!((outcome.verdict, outcome.state), (Verdict::Drop, Some(State::New)));
    }
    // Nor is the control conn known there: its next words are not read.
    let outcome = lab.send_by(Some(blue), &control.say(C, b"PORT 10,0,0,1,195,82\r\n"));
    assert_eq!(outcome.state, Some(State::New));
    assert_eq!(announced(&lab).len(), 1);
    let outcome = lab.send_by(Some(red), &data);
    assert_eq!((outcome.verdict, outcome.state), (Verdict::Accept, Some(State::Related)));
}
