//! What is announced: foreign addresses, low ports, injected answers, odd notations, numbers out of range.

use super::*;

#[test]
fn what_is_announced_in_order_comes_in() {
    let (mut lab, mut control) = ftp();
    lab.assert_shut(FTP_DATA, HOLE);
    lab.say(&mut control, C, b"PORT 10,0,0,1,195,81\r\n");
    lab.say(&mut control, S, b"200 ok\r\n");
    // Only from the server, only to that port.
    lab.assert_shut("192.0.2.2:20", HOLE);
    lab.assert_shut(FTP_DATA, "10.0.0.1:50002");
    lab.assert_shut(FTP_DATA, "10.0.0.2:50001");
    let outcome = lab.syn(FTP_DATA, HOLE);
    assert_eq!((outcome.verdict, outcome.state), (Verdict::Accept, Some(State::Related)));
    // Only once.
    lab.assert_shut("192.0.2.1:2020", HOLE);
    let outcome = lab.syn("192.0.2.1:2020", HOLE);
    assert_eq!(lab.decided_at(&outcome), ("firewall.nft".to_owned(), POLICY_LINE));
}

#[test]
fn attack_1_bounce() {
    for command in [
        "PORT 10,0,0,9,195,81",
        "EPRT |1|10.0.0.9|50001|",
        "LPRT 4,4,10,0,0,9,2,195,81",
        "PORT 192,0,2,1,195,81",
    ] {
        let (mut lab, mut control) = ftp();
        lab.say(&mut control, C, format!("{command}\r\n").as_bytes());
        lab.say(&mut control, S, b"200 ok\r\n");
        assert_refused(&lab, "ftp", &[(Refusal::ForeignAddress, command)]);
        lab.assert_shut(FTP_DATA, "10.0.0.9:50001");
        lab.assert_shut(FTP_DATA, HOLE);
    }
    // A server that sends its client elsewhere.
    let (mut lab, mut control) = ftp();
    lab.say(&mut control, C, b"PASV\r\n");
    lab.say(&mut control, S, b"227 Entering Passive Mode (10,0,0,9,195,81)\r\n");
    let words = "227 Entering Passive Mode (10,0,0,9,195,81)";
    assert_refused(&lab, "ftp", &[(Refusal::ForeignAddress, words)]);
    lab.assert_shut(CLIENT, "10.0.0.9:50001");
}

#[test]
fn attack_2_low_ports() {
    for (port, why) in [
        (22, Refusal::PrivilegedPort),
        (25, Refusal::PrivilegedPort),
        (445, Refusal::PrivilegedPort),
        (1023, Refusal::PrivilegedPort),
        (0, Refusal::PortZero),
    ] {
        let (mut lab, mut control) = ftp();
        let words =
            [format!("PORT 10,0,0,1,{},{}", port / 256, port % 256), format!("EPRT |1|10.0.0.1|{port}|")];
        lab.say(&mut control, C, format!("{}\r\n{}\r\n", words[0], words[1]).as_bytes());
        lab.say(&mut control, S, b"200 ok\r\n200 ok\r\n");
        assert_refused(&lab, "ftp", &[(why, &words[0]), (why, &words[1])]);
        lab.assert_shut(FTP_DATA, &format!("10.0.0.1:{port}"));

        let (mut lab, mut chat) = irc();
        let offer = format!("DCC SEND a 167772161 {port} 10");
        lab.say(&mut chat, C, format!("PRIVMSG b :\x01{offer}\x01\r\n").as_bytes());
        assert_refused(&lab, "irc", &[(why, &offer)]);
        lab.assert_shut("203.0.113.5:999", &format!("10.0.0.1:{port}"));
    }
}

/// VU#328867: the client makes the server say "227" in an error message, and cuts segments so that one starts there.
#[test]
fn attack_3_injected_answers() {
    const ANSWER: &str = "227 Entering Passive Mode (192,0,2,1,195,81)";
    let shut = |lab: &mut Lab| {
        lab.assert_nothing_open();
        lab.assert_shut(CLIENT, "192.0.2.1:50001");
    };
    // Within a line: it is no answer at all, wherever segments start.
    for split in 0..10 {
        let (mut lab, mut control) = ftp();
        lab.say(&mut control, C, format!("NLST {ANSWER}\r\n").as_bytes());
        let echo = format!("550 {ANSWER}: no such file\r\n");
        let (first, rest) = echo.as_bytes().split_at(split);
        lab.say(&mut control, S, first);
        lab.say(&mut control, S, rest);
        assert_eq!((announced(&lab), lab.refusals()), (vec![], vec![]));
        shut(&mut lab);
    }
    // A line of its own, within a multi-line reply.
    let (mut lab, mut control) = ftp();
    lab.say(&mut control, C, b"STAT x\r\nPASV\r\n");
    lab.say(&mut control, S, b"213-status\r\n");
    lab.say(&mut control, S, format!("{ANSWER}\r\n").as_bytes());
    lab.say(&mut control, S, b"213 end\r\n");
    assert_eq!(announced(&lab), Vec::<String>::new());
    shut(&mut lab);
    // A line of its own, as the answer to something else.
    for command in ["NOOP", "EPSV", "STAT x"] {
        let (mut lab, mut control) = ftp();
        lab.say(&mut control, C, format!("{command}\r\n").as_bytes());
        lab.say(&mut control, S, format!("{ANSWER}\r\n").as_bytes());
        assert_refused(&lab, "ftp", &[(Refusal::Unsolicited, ANSWER)]);
        shut(&mut lab);
    }
    // Without any command.
    let (mut lab, mut control) = ftp();
    lab.say(&mut control, S, format!("{ANSWER}\r\n229 Extended (|||50001|)\r\n").as_bytes());
    let second = (Refusal::Unsolicited, "229 Extended (|||50001|)");
    assert_refused(&lab, "ftp", &[(Refusal::Unsolicited, ANSWER), second]);
    shut(&mut lab);
}

/// Forms that servers understand open what servers understand; all others nothing.
#[test]
fn attack_8_telnet_case_blanks_and_line_ends() {
    let ports = |line: &[u8]| {
        let (mut lab, mut control) = ftp();
        lab.say(&mut control, C, line);
        lab.say(&mut control, S, b"200 ok\r\n");
        let opens = lab.syn(FTP_DATA, HOLE).state == Some(State::Related);
        (announced(&lab).len(), opens, lab.refusals().iter().map(|(why, _)| *why).collect::<Vec<_>>())
    };
    for line in [
        &b"PO\xff\xf6RT 10,0,0,1,195,81\r\n"[..],
        b"\xff\xfb\x0aPORT 10,0,0,1,195,81\r\n",
        b"PORT 10,0,0,1,195,\xff\xfa\x01PORT\xff\xf081\r\n",
        b"port 10,0,0,1,195,81\r\n",
        b"PORT   10,0,0,1,195,81  \r\n",
        b"PORT\t10,0,0,1,195,81\r\n",
        b"PORT 10,0,0,1,195,81\n",
    ] {
        assert_eq!(ports(line), (1, true, vec![]), "{}", text(line));
    }
    for (line, why) in [
        (&b"PORT 10,0,0,1,195,81\rNOOP\r\n"[..], vec![Refusal::Malformed]),
        (b"PORT 10,0,0,1, 195,81\r\n", vec![Refusal::Malformed]),
        (b"PORT 10,0,0,1,195,\xff\xff81\r\n", vec![Refusal::Malformed]),
        (b" PORT 10,0,0,1,195,81\r\n", vec![]),
        (b"XPORT 10,0,0,1,195,81\r\n", vec![]),
        (b"PO RT 10,0,0,1,195,81\r\n", vec![]),
        (b"PORT 10,0,0,1,195,81", vec![]),
    ] {
        assert_eq!(ports(line), (0, false, why), "{}", text(line));
    }
}

#[test]
fn attack_9_numbers() {
    for (command, why) in [
        ("PORT 10,0,0,1,256,81", Refusal::BadNumber),
        ("PORT 10,0,0,1,195,337", Refusal::BadNumber),
        ("PORT 266,0,0,1,195,81", Refusal::BadNumber),
        ("PORT 10,0,0,1,0195,81", Refusal::BadNumber),
        ("PORT 10,0,0,1,+195,81", Refusal::Malformed),
        ("PORT 10,0,0,1,195,-81", Refusal::Malformed),
        ("PORT 10,0,0,1,0xc3,81", Refusal::Malformed),
        ("PORT 10,0,0,1,195,81,1", Refusal::Malformed),
        ("EPRT |1|10.0.0.1|65558|", Refusal::BadNumber),
        ("EPRT |1|10.0.0.1|115537|", Refusal::BadNumber),
        ("EPRT |1|10.0.0.1|-1|", Refusal::BadNumber),
        ("EPRT |1|012.0.0.1|50001|", Refusal::Malformed),
        ("EPRT |1|167772161|50001|", Refusal::Malformed),
    ] {
        let (mut lab, mut control) = ftp();
        lab.say(&mut control, C, format!("{command}\r\n").as_bytes());
        lab.say(&mut control, S, b"200 ok\r\n");
        assert_refused(&lab, "ftp", &[(why, command)]);
        lab.assert_shut(FTP_DATA, HOLE);
        lab.assert_shut(FTP_DATA, "10.0.0.1:22");
    }
    for (offer, why) in [
        // 65536 + 22: NAT pinning, 2010.
        ("DCC SEND a 167772161 65558 10", Refusal::BadNumber),
        ("DCC SEND a 167772161 -1 10", Refusal::BadNumber),
        ("DCC SEND a 4462739457 50001 10", Refusal::BadNumber),
        ("DCC SEND a +167772161 50001 10", Refusal::Malformed),
        ("DCC SEND a 0xa000001 50001 10", Refusal::Malformed),
    ] {
        let (mut lab, mut chat) = irc();
        lab.say(&mut chat, C, format!("PRIVMSG b :\x01{offer}\x01\r\n").as_bytes());
        assert_refused(&lab, "irc", &[(why, offer)]);
        lab.assert_shut("203.0.113.5:999", HOLE);
        lab.assert_shut("203.0.113.5:999", "10.0.0.1:22");
    }
}

#[test]
fn attack_10_addresses_of_the_other_family() {
    let mut lab = lab();
    let mut control = lab.connect("[2001:db8:a::1]:40000", "[2001:db8:b::1]:21");
    lab.say(&mut control, S, b"220 ready\r\n");
    let commands = [
        "EPRT |2|::ffff:10.0.0.1|50001|",
        "EPRT |1|10.0.0.1|50001|",
        "PORT 10,0,0,1,195,81",
        "EPRT |2|::10.0.0.1|50001|",
    ];
    for command in commands {
        lab.say(&mut control, C, format!("{command}\r\n").as_bytes());
        lab.say(&mut control, S, b"200 ok\r\n");
    }
    let family = Refusal::AddressFamily;
    let why = [family, family, family, Refusal::ForeignAddress];
    let expected: Vec<_> = why.into_iter().zip(commands).collect();
    assert_refused(&lab, "ftp", &expected);
    lab.assert_shut("[2001:db8:b::1]:20", "[::ffff:10.0.0.1]:50001");
    lab.assert_shut("[2001:db8:b::1]:20", "[2001:db8:a::1]:50001");
    lab.assert_shut(FTP_DATA, HOLE);

    let (mut lab, mut control) = ftp();
    lab.say(&mut control, C, b"EPRT |2|::ffff:10.0.0.1|50001|\r\nEPRT |2|2001:db8:a::1|50001|\r\n");
    lab.say(&mut control, S, b"200 ok\r\n200 ok\r\n");
    assert_refused(&lab, "ftp", &[(family, commands[0]), (family, "EPRT |2|2001:db8:a::1|50001|")]);
}

#[test]
fn attack_11_offers_that_are_none() {
    const OFFER: &str = "DCC SEND a 167772161 50001 10";
    let long = format!("PRIVMSG b :{}\x01{OFFER}\x01\r\n", "x".repeat(480));
    for (line, why) in [
        (format!("PRIVMSG #all :\x01{OFFER}\x01\r\n"), vec![(Refusal::Policy, OFFER)]),
        (format!("PRIVMSG b,&all :\x01{OFFER}\x01\r\n"), vec![(Refusal::Policy, OFFER)]),
        (format!("PRIVMSG b :{OFFER}\r\n"), vec![(Refusal::Malformed, OFFER)]),
        (format!("PRIVMSG b :hear: {OFFER}\r\n"), vec![]),
        (format!("TOPIC b :\x01{OFFER}\x01\r\n"), vec![]),
        (format!("PRIVMSG b \x01{OFFER}\x01\r\n"), vec![]),
        (long, vec![(Refusal::Malformed, OFFER)]),
        // CTCP quoting: what the other user takes for a chunk is not what the bytes say.
        (format!("PRIVMSG b :\\a{OFFER}\\a\r\n"), vec![]),
        (
            "PRIVMSG b :\x01DCC SEND a 16777\\a2161 50001 10\x01\r\n".to_owned(),
            vec![(Refusal::Malformed, "DCC SEND a 16777\\\\a2161 50001 10")],
        ),
        (
            "PRIVMSG b :\x01DCC SEND \"a 167772161 50001 10\x01\r\n".to_owned(),
            vec![(Refusal::Malformed, "DCC SEND \\\"a 167772161 50001 10")],
        ),
    ] {
        let (mut lab, mut chat) = irc();
        lab.say(&mut chat, C, line.as_bytes());
        assert_refused(&lab, "irc", &why);
        lab.assert_shut("203.0.113.5:999", HOLE);
    }
    // The server's side: another user's offer opens nothing towards him, and none on the client's behalf.
    let (mut lab, mut chat) = irc();
    lab.say(&mut chat, S, format!(":e!e@evil PRIVMSG a :\x01{OFFER}\x01\r\n").as_bytes());
    lab.say(&mut chat, S, b":e!e@evil PRIVMSG a :\x01DCC SEND a 3405803781 50001 10\x01\r\n");
    let third = (Refusal::ForeignAddress, "DCC SEND a 3405803781 50001 10");
    assert_refused(&lab, "irc", &[(Refusal::ForeignAddress, OFFER), third]);
    lab.assert_shut("203.0.113.5:999", HOLE);
    lab.assert_shut(CLIENT, "203.0.113.5:50001");
    // A server that makes the client's answer look like an offer opens nothing: a PING's text is not a PRIVMSG.
    let (mut lab, mut chat) = irc();
    lab.say(&mut chat, S, format!("PING :PRIVMSG b :\x01{OFFER}\x01\r\n").as_bytes());
    lab.say(&mut chat, C, format!("PONG :PRIVMSG b :\x01{OFFER}\x01\r\n").as_bytes());
    assert_refused(&lab, "irc", &[]);
}
