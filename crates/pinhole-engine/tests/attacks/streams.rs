//! How it gets here: other protocols, unseen beginnings, segments and fragments that firewall and server read differently.

use super::*;

/// A browser is made to send commands within a form: NAT slipstreaming, version 1, and its forerunners.
#[test]
fn attacks_4_and_17_commands_in_the_body_of_another_protocol() {
    for (server, payload) in [
        (FTP_SERVER, "PORT 10,0,0,1,195,81\r\n"),
        (FTP_SERVER, "EPRT |1|10.0.0.1|50001|\r\n"),
        (IRC_SERVER, "PRIVMSG x :\x01DCC SEND a 167772161 50001 10\x01\r\n"),
    ] {
        // The body is filled up so that the command starts a segment, whatever segment size the server was made to ask for.
        for size in [1460, 1400, 536, 100] {
            let head = "POST / HTTP/1.1\r\nHost: evil.example:21\r\nContent-Type: text/plain\r\n\r\n";
            let filled = head.len().next_multiple_of(size) + size;
            let filler = "A".repeat(filled - head.len() - 2);
            let body = format!("{head}{filler}\r\n{payload}");
            assert!(body[filled..].starts_with(payload));
            let mut lab = lab();
            let mut browser = lab.connect(CLIENT, server);
            for segment in body.as_bytes().chunks(size) {
                lab.say(&mut browser, C, segment);
            }
            lab.say(&mut browser, S, b"200 ok\r\n");
            assert_eq!(lab.blind(), [BlindReason::NotThisProtocol], "{server} {size}");
            assert_refused(&lab, "", &[]);
            lab.assert_shut(FTP_DATA, HOLE);
            lab.assert_shut("203.0.113.5:999", HOLE);
        }
    }
    for server in [FTP_SERVER, IRC_SERVER] {
        let openings: [(&[u8], BlindReason); 6] = [
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", BlindReason::Encrypted),
            (b"GET /PORT HTTP/1.1\r\n", BlindReason::NotThisProtocol),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", BlindReason::NotThisProtocol),
            (b"REGISTER sip:x SIP/2.0\r\n", BlindReason::NotThisProtocol),
            (b"\x00\x01\x00\x08\x21\x12\xa4\x42", BlindReason::NotThisProtocol),
            (b"SSH-2.0-x\r\n", BlindReason::NotThisProtocol),
        ];
        for (opening, why) in openings {
            let mut lab = lab();
            let mut browser = lab.connect(CLIENT, server);
            lab.say(&mut browser, C, opening);
            lab.say(&mut browser, C, b"\r\nPORT 10,0,0,1,195,81\r\n");
            lab.say(&mut browser, C, b"PRIVMSG x :\x01DCC SEND a 167772161 50001 10\x01\r\n");
            assert_eq!(lab.blind(), [why], "{server} {}", text(opening));
            lab.assert_nothing_open();
            lab.assert_shut(FTP_DATA, HOLE);
        }
    }
}

/// The firewall forgets the conn, or never saw its beginning: the next segment would be the beginning of the stream.
#[test]
fn a_stream_whose_beginning_was_not_seen_opens_nothing() {
    for (server, payload) in [
        (FTP_SERVER, &b"PORT 10,0,0,1,195,81\r\n"[..]),
        (IRC_SERVER, b"PRIVMSG x :\x01DCC SEND a 167772161 50001 10\x01\r\n"),
    ] {
        let mut lab = lab();
        let mut middle = Conversation::new(address(CLIENT), address(server));
        lab.say(&mut middle, C, payload);
        assert_eq!(lab.blind(), [BlindReason::MidStream]);
        lab.assert_nothing_open();
        lab.assert_shut(FTP_DATA, HOLE);
    }
    // The other way round: the server's side opens the conn for the tracker, and its port is no helper's.
    let mut lab = lab();
    let mut middle = Conversation::new(address(CLIENT), address(FTP_SERVER));
    let outcome = lab.send(&middle.say(S, b"227 Entering Passive Mode (192,0,2,1,195,81)\r\n"));
    assert_eq!((outcome.verdict, outcome.state), (Verdict::Drop, Some(State::New)));
}

/// Who picks up in mid-stream may read a single forged packet. Until the other end has spoken it announces nothing.
#[test]
fn a_picked_up_stream_opens_nothing_before_it_is_answered() {
    for (server, payload) in [
        (FTP_SERVER, &b"PORT 10,0,0,1,195,81\r\n"[..]),
        (IRC_SERVER, b"PRIVMSG x :\x01DCC SEND a 167772161 50001 10\x01\r\n"),
    ] {
        let mut lab = Lab::new(Settings { pickup: Pickup::Lenient, ..Settings::default() }, Some(RULES));
        let mut middle = Conversation::new(address(CLIENT), address(server));
        lab.say(&mut middle, C, payload);
        assert_eq!(lab.refusals().len(), 1);
        assert_eq!(lab.refusals()[0].0, Refusal::Unanswered);
        lab.assert_nothing_open();
        lab.assert_shut(FTP_DATA, HOLE);
        lab.send(&middle.acknowledge(S));
        lab.say(&mut middle, C, payload);
        assert_eq!(lab.refusals().len(), 1);
        assert_eq!(lab.expected().count(), 1, "the other end has answered");
    }
}

/// The server ignores such segments; so must the helper.
#[test]
fn attack_5_segments_that_the_server_ignores() {
    const PORT: &[u8] = b"PORT 10,0,0,1,195,81\r\n";
    let (mut lab, mut control) = ftp();
    let outcome = lab.send(&control.at(C, 200_000, PORT));
    assert_invalid(&lab, &outcome, Invalid::TcpAboveWindow);
    let outcome = lab.send(&control.flagged(C, TcpFlags::PSH, 0, PORT));
    assert_invalid(&lab, &outcome, Invalid::TcpFlags);
    let outcome = lab.send(&control.flagged(C, TcpFlags::SYN | TcpFlags::FIN, 0, PORT));
    assert_invalid(&lab, &outcome, Invalid::TcpFlags);
    let mut broken = control.at(C, 0, PORT);
    *broken.last_mut().unwrap() ^= 1;
    let outcome = lab.send(&broken);
    assert_invalid(&lab, &outcome, Invalid::Checksum);
    let mut liar = control.clone();
    liar.deliver(S, 100_000);
    let outcome = lab.send(&liar.at(C, 0, PORT));
    assert_invalid(&lab, &outcome, Invalid::TcpAckNeverSent);
    assert_refused(&lab, "ftp", &[]);
    lab.assert_shut(FTP_DATA, HOLE);
    // None of it became a part of the stream.
    lab.say(&mut control, C, b"PORT 10,0,0,1,195,82\r\n");
    assert_eq!(announced(&lab), ["PORT 10,0,0,1,195,82"]);
    // The text of a RST is not of the stream either.
    let (mut lab, control) = ftp();
    lab.send(&control.flagged(C, TcpFlags::RST | TcpFlags::ACK, 0, PORT));
    assert_refused(&lab, "ftp", &[]);
    lab.assert_shut(FTP_DATA, HOLE);
}

#[test]
fn attack_6_overlap_with_other_data() {
    let shut = |lab: &mut Lab| {
        assert_eq!(lab.blind(), [BlindReason::Conflict]);
        lab.assert_nothing_open();
        lab.assert_shut(FTP_DATA, HOLE);
        lab.assert_shut(FTP_DATA, "10.0.0.1:50002");
    };
    // The other reading arrives after the first: which one the server took is not known.
    let (mut lab, control) = ftp();
    let first = control.at(C, 0, b"PORT 10,0,0,1,195,81\r\n");
    let second = control.at(C, 0, b"PORT 10,0,0,1,195,82\r\n");
    lab.send_all([&first, &second]);
    assert_eq!(announced(&lab), ["PORT 10,0,0,1,195,81"]);
    assert_eq!(ends(&lab), [EndCause::Cancelled]);
    shut(&mut lab);
    // Beyond a hole, before anything is read.
    let (mut lab, control) = ftp();
    let first = control.at(C, 5, b"10,0,0,1,195,81\r\n");
    let second = control.at(C, 10, b"9,0,1,195,81\r\n");
    let hole = control.at(C, 0, b"PORT ");
    lab.send_all([&first, &second, &hole]);
    assert_eq!(announced(&lab), Vec::<String>::new());
    shut(&mut lab);
    // A longer retransmission whose beginning differs.
    let (mut lab, control) = ftp();
    let first = control.at(C, 0, b"NOOP\r\n");
    let second = control.at(C, 0, b"PORT 10,0,0,1,195,81\r\n");
    lab.send_all([&first, &second]);
    assert_eq!(announced(&lab), Vec::<String>::new());
    shut(&mut lab);
}

/// A command whose time to live ends between firewall and server. It can claim no more than an honest one, and the command that the server
/// gets in its place ends the helper's trust.
#[test]
fn attack_7_commands_that_never_arrive() {
    let (mut lab, mut control) = ftp();
    control.hop_limit = 1;
    let foreign = control.at(C, 0, b"PORT 10,0,0,9,195,81\r\n");
    lab.send_all([&foreign]);
    assert_refused(&lab, "ftp", &[(Refusal::ForeignAddress, "PORT 10,0,0,9,195,81")]);

    // A checksum of zero looks like one that a network card has yet to fill in; the server drops it.
    for by_checksum in [false, true] {
        let (mut lab, mut control) = ftp();
        control.hop_limit = if by_checksum { 64 } else { 1 };
        let mut fake = control.at(C, 0, b"PORT 10,0,0,1,195,81\r\n");
        if by_checksum {
            fake[36..38].fill(0);
        }
        lab.send_all([&fake]);
        assert_eq!(announced(&lab), ["PORT 10,0,0,1,195,81"]);
        control.hop_limit = 64;
        let real = control.at(C, 0, b"RETR a file of length\r\n");
        lab.send_all([&real]);
        assert_eq!(lab.blind(), [BlindReason::Conflict]);
        assert_eq!(ends(&lab), [EndCause::Cancelled]);
        lab.assert_nothing_open();
        lab.assert_shut(FTP_DATA, HOLE);
    }
}

/// FTP sessions over both IP versions up to their banners, and the command that names the client's own port.
fn ftp_over_both() -> [(Lab, Conversation, &'static str); 2] {
    let (lab, conversation) = ftp();
    let mut lab6 = self::lab();
    let mut conversation6 = lab6.connect("[2001:db8:a::1]:40000", "[2001:db8:b::1]:21");
    lab6.say(&mut conversation6, S, b"220 ready\r\n");
    [(lab, conversation, "PORT 10,0,0,1,195,81"), (lab6, conversation6, "EPRT |2|2001:db8:a::1|50001|")]
}

fn held(outcome: &Outcome) {
    assert_eq!(outcome.verdict, Verdict::Held, "{outcome:?}");
}

fn dropped(outcome: &Outcome, why: DefragDrop) {
    assert_eq!((outcome.verdict, outcome.reason), (Verdict::Drop, Some(Reason::Defragment(why))));
}

#[test]
fn attack_22_commands_in_fragments() {
    for (mut lab, mut control, command) in ftp_over_both() {
        let whole = control.say(C, format!("{command}\r\n").as_bytes());
        // In pieces, the last first: the whole datagram counts.
        held(&lab.send(&fragment(&whole, 1, 32, usize::MAX)));
        held(&lab.send(&fragment(&whole, 1, 24, 32)));
        assert_eq!(announced(&lab), Vec::<String>::new());
        let outcome = lab.send(&fragment(&whole, 1, 0, 24));
        assert_eq!((outcome.verdict, outcome.state), (Verdict::Accept, Some(State::Established)));
        assert_eq!(announced(&lab), [command]);
    }
    // IPv4 alone allows the TCP header itself to be cut.
    let (mut lab, mut control) = ftp();
    let whole = control.say(C, b"PORT 10,0,0,1,195,81\r\n");
    held(&lab.send(&fragment(&whole, 1, 16, usize::MAX)));
    held(&lab.send(&fragment(&whole, 1, 8, 16)));
    assert_eq!(lab.send(&fragment(&whole, 1, 0, 8)).state, Some(State::Established));
    assert_eq!(announced(&lab), ["PORT 10,0,0,1,195,81"]);
}

/// Two readings of the command: which one the server takes depends on its system. Neither is taken.
#[test]
fn attack_22_overlapping_fragments() {
    for (mut lab, control, command) in ftp_over_both() {
        let first = control.at(C, 0, format!("{command}\r\n").as_bytes());
        let other = control.at(C, 0, format!("NOOP{}\r\n", &command[4..]).as_bytes());
        held(&lab.send(&fragment(&first, 2, 0, 24)));
        dropped(&lab.send(&fragment(&other, 2, 16, 32)), DefragDrop::Overlap);
        dropped(&lab.send(&fragment(&first, 2, 24, usize::MAX)), DefragDrop::DatagramDropped);
        dropped(&lab.send(&fragment(&first, 2, 0, 24)), DefragDrop::DatagramDropped);
        assert_refused(&lab, "ftp", &[]);
        lab.assert_shut(FTP_DATA, HOLE);
        lab.assert_shut("[2001:db8:b::1]:20", "[2001:db8:a::1]:50001");
        // Identical copies do no harm.
        held(&lab.send(&fragment(&first, 3, 0, 24)));
        dropped(&lab.send(&fragment(&first, 3, 0, 24)), DefragDrop::Duplicate);
        assert_eq!(lab.send(&fragment(&first, 3, 24, usize::MAX)).state, Some(State::Established));
        assert_eq!(announced(&lab), [command]);
    }
}

/// Lenient pick-up is a choice; what it may open is still the announcer's own.
#[test]
fn lenient_pick_up_keeps_all_other_rules() {
    let settings = Settings { pickup: Pickup::Lenient, ..Settings::default() };
    let mut lab = Lab::new(settings, Some(RULES));
    let mut middle = Conversation::new(address(CLIENT), address(FTP_SERVER));
    lab.say(&mut middle, C, b"PORT 10,0,0,9,195,81\r\nPORT 10,0,0,1,0,22\r\n");
    let words =
        [(Refusal::ForeignAddress, "PORT 10,0,0,9,195,81"), (Refusal::PrivilegedPort, "PORT 10,0,0,1,0,22")];
    assert_refused(&lab, "ftp", &words);
    let mut lab = Lab::new(Settings { pickup: Pickup::Lenient, ..Settings::default() }, Some(RULES));
    let mut browser = Conversation::new(address(CLIENT), address(IRC_SERVER));
    lab.say(&mut browser, C, b"POST / HTTP/1.1\r\n\r\nPRIVMSG b :\x01DCC SEND a 167772161 50001 10\x01\r\n");
    assert_eq!(lab.blind(), [BlindReason::NotThisProtocol]);
    lab.assert_nothing_open();
}

/// One packet with a forged source must not open its victim's port: a SYN's text counts for nothing before the server has taken it.
#[test]
fn text_in_a_syn_announces_nothing() {
    for (server, text) in [
        (FTP_SERVER, &b"USER a\r\nPORT 10,0,0,1,195,81\r\n"[..]),
        (IRC_SERVER, b"NICK a\r\nPRIVMSG b :\x01DCC SEND a 167772161 50001 10\x01\r\n"),
    ] {
        let mut lab = lab();
        let forged = Segment { payload: text, ..Segment::default() };
        let outcome = lab.send(&tcp(address(CLIENT), address(server), &forged));
        assert_eq!((outcome.verdict, outcome.state), (Verdict::Accept, Some(State::New)));
        assert_refused(&lab, "", &[]);
        lab.assert_shut(FTP_DATA, HOLE);
    }
    // The text is sent again after the handshake, as to every server without TCP Fast Open: it is read once.
    let mut lab = lab();
    let mut control = Conversation::new(address(CLIENT), address(FTP_SERVER));
    let text = b"PORT 10,0,0,1,195,81\r\n";
    let [_, answer, last] = control.handshake();
    lab.send_all([&control.opening(text), &answer, &last]);
    assert_eq!(announced(&lab), Vec::<String>::new());
    lab.say(&mut control, S, b"220 ready\r\n");
    lab.say(&mut control, C, text);
    assert_eq!(announced(&lab), ["PORT 10,0,0,1,195,81"]);
}
