//! Dialogues over UDP and TCP, the grammar's corners, attacks.

use super::*;
use crate::transcript::{Said, Wire, master, run_every_way};
use pinhole_helper::{
    Action, AddressMatch, BlindReason, Condition, End, Expect, Handle, Lifetime, MediaSource, Pickup,
    PortMatch, Reader, Refusal as Why,
};
use pinhole_wire::Direction::{self, Original as C, Reply as S};
use pinhole_wire::Time;
use proptest::prelude::*;
use std::collections::BTreeSet;

const PHONE: &str = "10.0.0.1:5060";
const PROXY: &str = "192.0.2.1:5060";

/// A UDP conn, and what its session asked for.
struct Talk {
    reader: Reader,
    clock: u64,
    actions: Vec<Action>,
    quotes: Vec<(Why, String)>,
}

impl Talk {
    fn new() -> Self {
        Self::with(PHONE, PROXY, Policy::default())
    }

    fn with(phone: &str, proxy: &str, policy: Policy) -> Self {
        let master = Master { protocol: Protocol::UDP, ..master(phone, proxy) };
        let reader = Reader::new(&Sip, master, policy, Pickup::Strict);
        Self { reader, clock: 0, actions: Vec::new(), quotes: Vec::new() }
    }

    fn say(&mut self, from: Direction, text: &str) -> Vec<Action> {
        self.clock += 1;
        let mut actions = Vec::new();
        self.reader.datagram(Time::from_seconds(self.clock), from, text.as_bytes(), &mut actions);
        for action in &actions {
            if let Action::Refuse(why, span) = action {
                let quote = String::from_utf8_lossy(self.reader.quote(from, *span)).into_owned();
                self.quotes.push((*why, quote));
            }
        }
        self.actions.extend(actions.iter().cloned());
        actions
    }

    /// Ports of what was asked for and not cancelled.
    fn open(&self) -> Vec<u16> {
        let cancelled: BTreeSet<Handle> = self
            .actions
            .iter()
            .filter_map(|action| if let Action::Cancel(handle) = action { Some(*handle) } else { None })
            .collect();
        let activated: BTreeSet<Handle> = self
            .actions
            .iter()
            .filter_map(|action| if let Action::Activate(handle) = action { Some(*handle) } else { None })
            .collect();
        expects(&self.actions)
            .filter(|(handle, e)| !cancelled.contains(handle) && (e.active || activated.contains(handle)))
            .map(|(_, expect)| port(expect))
            .collect()
    }

    fn refusals(&self) -> Vec<Why> {
        self.quotes.iter().map(|(why, _)| *why).collect()
    }
}

fn expects(actions: &[Action]) -> impl Iterator<Item = (Handle, &Expect)> {
    actions.iter().filter_map(|action| match action {
        Action::Expect(handle, expect) => Some((*handle, expect)),
        _ => None,
    })
}

fn port(expect: &Expect) -> u16 {
    match expect.destination_port {
        PortMatch::Exact(port) => port,
        other => panic!("{other:?}"),
    }
}

/// A message with a body; Content-Length is filled in.
fn message(start: &str, fields: &str, content_type: &str, body: &str) -> String {
    let fields = fields.replace('\n', "\r\n");
    let body = body.replace('\n', "\r\n");
    let kind =
        if content_type.is_empty() { String::new() } else { format!("Content-Type: {content_type}\r\n") };
    format!("{start}\r\n{fields}{kind}Content-Length: {}\r\n\r\n{body}", body.len())
}

const COMMON: &str = "Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\nFrom: \"A, B\" <sip:a@10.0.0.1>;tag=a\n";

fn request(method: &str, number: u32, to_tag: &str, body: &str) -> String {
    let to = if to_tag.is_empty() { String::new() } else { format!(";tag={to_tag}") };
    let fields = format!("{COMMON}To: <sip:b@example.org>{to}\nCall-ID: call-1\nCSeq: {number} {method}\n");
    let kind = if body.is_empty() { "" } else { "application/sdp" };
    message(&format!("{method} sip:b@example.org SIP/2.0"), &fields, kind, body)
}

fn answer(code: u16, number: u32, method: &str, to_tag: &str, body: &str) -> String {
    let fields =
        format!("{COMMON}To: <sip:b@example.org>;tag={to_tag}\nCall-ID: call-1\nCSeq: {number} {method}\n");
    let kind = if body.is_empty() { "" } else { "application/sdp" };
    message(&format!("SIP/2.0 {code} Whatever"), &fields, kind, body)
}

fn sdp(address: &str, media: &str) -> String {
    let family = if address.contains(':') { "IP6" } else { "IP4" };
    format!("v=0\no=- 1 1 IN {family} {address}\ns=-\nc=IN {family} {address}\nt=0 0\n{media}\n")
}

fn audio(address: &str, port: u16) -> String {
    sdp(address, &format!("m=audio {port} RTP/AVP 0"))
}

/// One offer of the phone.
fn offered(body: &str) -> Talk {
    let mut talk = Talk::new();
    talk.say(C, &request("INVITE", 1, "", body));
    talk
}

#[test]
fn a_call_opens_a_pair_on_each_side() {
    let mut talk = Talk::new();
    let offer = talk.say(C, &request("INVITE", 1, "", &audio("10.0.0.1", 30000)));
    let pair: Vec<_> = expects(&offer).collect();
    assert_eq!(pair.iter().map(|(_, e)| port(e)).collect::<Vec<_>>(), [30000, 30001]);
    for (_, expect) in &pair {
        assert_eq!(expect.source, AddressMatch::Exact("192.0.2.1".parse().unwrap()));
        assert_eq!(expect.destination, "10.0.0.1".parse::<std::net::IpAddr>().unwrap());
        assert_eq!((expect.class, expect.protocol, expect.lifetime), (1, Protocol::UDP, Lifetime::OneShot));
        assert!(expect.active && expect.group == pair[0].1.group && expect.group.is_some());
    }
    talk.say(S, &answer(100, 1, "INVITE", "b", ""));
    let answer = talk.say(S, &answer(200, 1, "INVITE", "b", &audio("192.0.2.1", 40000)));
    let ports: Vec<_> = expects(&answer).map(|(_, e)| port(e)).collect();
    assert_eq!(ports, [40000, 40001]);
    assert_eq!(talk.open(), [30000, 30001, 40000, 40001]);
    talk.say(S, &request("BYE", 7, "a", "").replacen("tag=a\r\n", "tag=b\r\n", 1));
    assert_eq!((talk.open(), talk.refusals()), (vec![], vec![]));
}

#[test]
fn media_come_from_where_the_other_end_has_them() {
    let far = audio("198.51.100.9", 40000);
    for (media_source, expected) in [
        (MediaSource::Announced, AddressMatch::Exact("198.51.100.9".parse().unwrap())),
        (MediaSource::Signalling, AddressMatch::Exact("192.0.2.1".parse().unwrap())),
        (MediaSource::Anyone, AddressMatch::Any),
    ] {
        let mut talk = Talk::with(PHONE, PROXY, Policy { media_source, ..Policy::default() });
        talk.say(S, &request("INVITE", 1, "", &far).replace(";tag=a", ";tag=z"));
        let answer = talk.say(C, &answer(200, 1, "INVITE", "b", &audio("10.0.0.1", 30000)));
        assert!(expects(&answer).all(|(_, expect)| expect.source == expected), "{answer:?}");
        // What the other end has elsewhere is not opened.
        assert_eq!((talk.open(), talk.refusals()), (vec![30000, 30001], vec![Why::ForeignAddress; 2]));
    }
}

#[test]
fn a_new_description_replaces_the_old_one() {
    let mut talk = offered(&audio("10.0.0.1", 30000));
    talk.say(C, &request("INVITE", 1, "", &audio("10.0.0.1", 30000)));
    assert_eq!(talk.open(), [30000, 30001]);
    talk.say(S, &answer(183, 1, "INVITE", "b", &audio("192.0.2.1", 40000)));
    talk.say(S, &answer(200, 1, "INVITE", "b", &audio("192.0.2.1", 40000)));
    talk.say(C, &request("INVITE", 2, "b", &audio("10.0.0.1", 30002)));
    assert_eq!(talk.open(), [40000, 40001, 30002, 30003]);
}

#[test]
fn branches_of_a_forked_call_stand_side_by_side() {
    let mut talk = offered(&audio("10.0.0.1", 30000));
    talk.say(S, &answer(183, 1, "INVITE", "b", &audio("192.0.2.1", 40000)));
    talk.say(S, &answer(183, 1, "INVITE", "c", &audio("192.0.2.1", 40010)));
    assert_eq!(talk.open(), [30000, 30001, 40000, 40001, 40010, 40011]);
    // One of them ends; the call goes on.
    talk.say(C, &request("BYE", 2, "b", ""));
    assert_eq!(talk.open(), [30000, 30001, 40010, 40011]);
    talk.say(C, &request("BYE", 3, "c", ""));
    assert_eq!(talk.open(), []);
}

#[test]
fn a_failed_or_cancelled_request_takes_its_media_along() {
    for code in [401, 407, 408, 486, 488, 503, 603] {
        let mut talk = offered(&audio("10.0.0.1", 30000));
        talk.say(S, &answer(183, 1, "INVITE", "b", &audio("192.0.2.1", 40000)));
        talk.say(S, &answer(code, 1, "OPTIONS", "b", ""));
        talk.say(S, &answer(code, 2, "INVITE", "b", ""));
        assert_eq!(talk.open().len(), 4);
        talk.say(S, &answer(code, 1, "INVITE", "b", ""));
        assert_eq!(talk.open(), [], "{code}");
    }
    let mut talk = offered(&audio("10.0.0.1", 30000));
    talk.say(C, &request("CANCEL", 1, "", ""));
    assert_eq!(talk.open(), []);
}

#[test]
fn calls_do_not_disturb_each_other() {
    let mut talk = offered(&audio("10.0.0.1", 30000));
    let other = |text: String| text.replace("call-1", "call-2");
    talk.say(C, &other(request("INVITE", 1, "", &audio("10.0.0.1", 30010))));
    assert_eq!(talk.open(), [30000, 30001, 30010, 30011]);
    talk.say(S, &other(answer(486, 1, "INVITE", "b", "")));
    assert_eq!(talk.open(), [30000, 30001]);
}

#[test]
fn answers_count_only_for_a_request() {
    let mut talk = offered("");
    talk.say(S, &answer(200, 9, "INVITE", "b", &audio("192.0.2.1", 40000)));
    talk.say(S, &answer(200, 1, "INVITE", "b", &audio("192.0.2.1", 40000)).replace("call-1", "call-9"));
    talk.say(C, &answer(200, 1, "INVITE", "b", &audio("10.0.0.1", 30000)));
    assert_eq!((talk.open(), talk.refusals()), (vec![], vec![Why::Unsolicited; 3]));
    // A delayed offer is answered in the ACK.
    talk.say(S, &answer(200, 1, "INVITE", "b", &audio("192.0.2.1", 40000)));
    talk.say(C, &request("ACK", 1, "b", &audio("10.0.0.1", 30000)));
    assert_eq!(talk.open(), [40000, 40001, 30000, 30001]);
    // A conn that opens with an answer: the request passed while another conn had these ends.
    let mut talk = Talk::new();
    talk.say(S, &answer(200, 1, "INVITE", "b", &audio("192.0.2.1", 40000)));
    assert_eq!(talk.open(), [40000, 40001]);
    // Answers that are no answers to an offer.
    let mut talk = offered("");
    talk.say(S, &answer(200, 1, "OPTIONS", "b", &audio("192.0.2.1", 40000)));
    talk.say(S, &answer(488, 1, "INVITE", "b", &audio("192.0.2.1", 40000)));
    talk.say(C, &request("MESSAGE", 3, "", &audio("10.0.0.1", 30000)));
    assert_eq!((talk.open(), talk.refusals()), (vec![], vec![]));
}

#[test]
fn kinds_of_media() {
    let open = |media: &str| {
        let talk = offered(&sdp("10.0.0.1", media));
        assert_eq!(talk.refusals(), [], "{media}");
        talk.open()
    };
    assert_eq!(open("m=audio 0 RTP/AVP 0"), []);
    assert_eq!(open("m=audio 30000 RTP/AVP 0\nm=video 30002 RTP/SAVPF 96"), [30000, 30001, 30002, 30003]);
    assert_eq!(open("m=image 30000 udptl t38"), [30000]);
    assert_eq!(open("m=application 30000 UDP/BFCP *"), [30000]);
    assert_eq!(open("m=text 30000 RTP/AVP 98\nm=hologram 30010 RTP/AVP 0"), [30000, 30001, 30010]);
    assert_eq!(open("m=audio 30001 RTP/AVP 0"), [30001, 30002]);
    assert_eq!(open("m=audio 30000/2 RTP/AVP 0"), [30000, 30001, 30002, 30003]);
    assert_eq!(open("m=audio 30000 RTP/AVP 0\na=rtcp:30011"), [30000, 30011]);
    assert_eq!(open("m=audio 30000 RTP/AVP 0\na=rtcp:30011 IN IP4 10.0.0.1"), [30000, 30011]);
    assert_eq!(open("m=audio 30000 RTP/AVP 0\na=rtcp:30000"), [30000]);
    assert_eq!(open("m=audio 30000 RTP/AVP 0\na=rtcp-mux-only"), [30000]);
    assert_eq!(open("m=audio 65535 RTP/AVP 0"), [65535]);
    // A medium on hold, in the old way.
    assert_eq!(open("m=audio 30000 RTP/AVP 0\nc=IN IP4 0.0.0.0"), []);
    // The medium's address goes before the session's.
    let talk = offered(&sdp("198.51.100.9", "m=audio 30000 RTP/AVP 0\nc=IN IP4 10.0.0.1"));
    assert_eq!((talk.open(), talk.refusals()), (vec![30000, 30001], vec![]));
    // Bundled media share a port.
    assert_eq!(open("a=group:BUNDLE 1 2\nm=audio 30000 RTP/AVP 0\nm=video 30000 RTP/AVP 96"), [30000, 30001]);
    // MSRP over TCP: who connects opens nothing.
    assert_eq!(open("m=message 30000 TCP/MSRP *\na=setup:passive"), [30000]);
    assert_eq!(open("m=message 9 TCP/MSRP *\na=setup:active"), []);
    let both = "a=setup:active\nm=message 9 TCP/MSRP *\nm=message 30000 TCP/MSRP *\na=setup:passive\nm=audio 30002 RTP/AVP 0";
    assert_eq!(open(both), [30000, 30002, 30003]);
    let talk = offered(&sdp("10.0.0.1", "m=message 30000 TCP/MSRP *"));
    assert!(expects(&talk.actions).all(|(_, e)| e.protocol == Protocol::TCP && e.class == class::OTHER));
}

#[test]
fn rtcp_shares_the_port_if_both_agree() {
    let mux = |address, port| sdp(address, &format!("m=audio {port} RTP/AVP 0\na=rtcp-mux"));
    let mut talk = offered(&mux("10.0.0.1", 30000));
    assert_eq!(talk.open(), [30000, 30001]);
    talk.say(S, &answer(200, 1, "INVITE", "b", &mux("192.0.2.1", 40000)));
    assert_eq!(talk.open(), [30000, 40000]);
}

#[test]
fn candidates_of_the_own_host() {
    let talk = offered(&sdp(
        "10.0.0.1",
        "m=audio 30000 RTP/AVP 0\na=rtcp-mux-only\na=candidate:1 1 UDP 2130706431 10.0.0.1 30000 typ host\n\
         a=candidate:2 1 UDP 2130706431 10.0.0.1 30020 typ host\n\
         a=candidate:3 1 UDP 1694498815 203.0.113.7 45664 typ srflx raddr 10.0.0.1 rport 30000\n\
         a=candidate:4 1 TCP 1 10.0.0.1 9 typ host tcptype active\n\
         a=candidate:5 1 UDP 1 fe80::1 30000 typ host\na=candidate:6 1 UDP 1 172.17.0.1 30000 typ host",
    ));
    assert_eq!((talk.open(), talk.refusals()), (vec![30000, 30020], vec![Why::ForeignAddress]));
}

#[test]
fn what_is_refused() {
    for (body, why, times) in [
        (audio("10.0.0.9", 30000), Why::ForeignAddress, 2),
        (audio("192.0.2.1", 30000), Why::ForeignAddress, 2),
        (audio("239.1.1.1/127", 30000), Why::ForeignAddress, 2),
        (audio("127.0.0.1", 30000), Why::ForeignAddress, 2),
        (audio("::1", 30000), Why::AddressFamily, 2),
        (audio("10.0.0.1", 1000), Why::PrivilegedPort, 2),
        (sdp("10.0.0.1", "m=audio 65536 RTP/AVP 0"), Why::BadNumber, 2),
        (sdp("10.0.0.1", "m=audio -30000 RTP/AVP 0"), Why::BadNumber, 2),
        (sdp("10.0.0.1", "m=audio 30000/60000 RTP/AVP 0"), Why::Limit, 2),
        (sdp("10.0.0.1", "m=audio 30000 RTP/AVP 0\na=rtcp:22"), Why::PrivilegedPort, 2),
        (sdp("10.0.0.1", "m=audio 30000 RTP/AVP 0\na=rtcp:30001 IN IP4 10.0.0.9"), Why::ForeignAddress, 2),
        (sdp("host.example.org", "m=audio 30000 RTP/AVP 0"), Why::Unsupported, 2),
        (sdp("10,0.0.1", "m=audio 30000 RTP/AVP 0"), Why::Malformed, 2),
        (sdp("10.0.0.01", "m=audio 30000 RTP/AVP 0"), Why::Malformed, 2),
        ("v=0\ns=-\nm=audio 30000 RTP/AVP 0\n".to_owned(), Why::Malformed, 2),
        (sdp("10.0.0.9", "m=image 30000 udptl t38"), Why::ForeignAddress, 1),
    ] {
        let talk = offered(&body);
        assert_eq!((talk.open(), talk.refusals()), (vec![], vec![why; times]), "{body}");
        assert!(talk.quotes.iter().all(|(_, quote)| quote.starts_with("m=")), "{:?}", talk.quotes);
    }
    let media: String = (0..20).map(|i| format!("m=image {} udptl t38\n", 30000 + i)).collect();
    let talk = offered(&sdp("10.0.0.1", &media));
    assert_eq!((talk.open().len(), talk.refusals()), (sdp::MEDIA_LIMIT, vec![Why::Limit]));
}

#[test]
fn descriptions_inside_other_bodies() {
    let inner = audio("10.0.0.1", 30000).replace('\n', "\r\n");
    let part = |kind: &str, text: &str| format!("--b1\r\nContent-Type: {kind}\r\n\r\n{text}\r\n");
    let mixed = format!(
        "preamble\r\n{}{}--b1--\r\n",
        part("application/isup;version=x", "\x01\x02"),
        part("application/sdp", &inner)
    );
    for (kind, body, open) in [
        ("multipart/mixed;boundary=b1", mixed.as_str(), true),
        ("multipart/mixed; boundary=\"b1\"", &mixed, true),
        ("multipart/mixed; boundary=b2", &mixed, false),
        ("multipart/mixed", &mixed, false),
        ("Application/SDP; charset=utf-8", &inner, true),
        ("application / sdp ;charset=utf-8", &inner, true),
        ("multipart /\r\n mixed; boundary=b1", &mixed, true),
        ("", &inner, true),
        ("text/plain", &inner, false),
        ("application/sdpx", &inner, false),
        ("application", &inner, false),
    ] {
        let text = request("INVITE", 1, "", "");
        let head = text.split("Content-Length").next().unwrap();
        let kind = if kind.is_empty() { String::new() } else { format!("c: {kind}\r\n") };
        let mut talk = Talk::new();
        talk.say(C, &format!("{head}{kind}l: {}\r\n\r\n{body}", body.len()));
        assert_eq!(talk.open().len(), if open { 2 } else { 0 }, "{kind}");
    }
}

#[test]
fn odd_but_legal_messages() {
    let body = audio("10.0.0.1", 30000).replace('\n', "\r\n");
    let text = format!(
        "INVITE sip:b@example.org;user=phone SIP/2.0\r\n\
         v:  SIP  / 2.0  / UDP 10.0.0.1 ;branch=z9\r\n\
         F: \"J Rosenberg \\\\\\\"\" <sip:jdrosen@example.com>\r\n  ;\r\n  tag = 98asjd8\r\n\
         TO :\r\n sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n\r\n\
         i: call-1\r\n\
         cseq: 0009\r\n  INVITE\r\n\
         NewFangledHeader:   newfangled value\r\n continued newfangled value\r\n\
         C: application/sdp\r\nl:{}\r\n\r\n{body}",
        body.len()
    );
    let mut talk = Talk::new();
    talk.say(C, &text);
    assert_eq!((talk.open(), talk.refusals()), (vec![30000, 30001], vec![]));
    talk.say(S, &answer(486, 9, "INVITE", "1918181833n", ""));
    assert_eq!(talk.open(), []);
    // Line feeds alone, and no Content-Length on UDP.
    let bare = request("INVITE", 1, "", &audio("10.0.0.1", 30000)).replace("\r\n", "\n");
    let bare: String =
        bare.lines().filter(|l| !l.starts_with("Content-Length")).map(|l| format!("{l}\n")).collect();
    let mut talk = Talk::new();
    talk.say(C, &bare);
    assert_eq!(talk.open(), [30000, 30001]);
}

#[test]
fn bodies_that_are_cut_short_are_not_read() {
    let whole = request("INVITE", 1, "", &audio("10.0.0.1", 30000));
    let mut talk = Talk::new();
    talk.say(C, &whole[..whole.len() - 4]);
    assert_eq!((talk.open(), talk.refusals()), (vec![], vec![Why::Malformed]));
    // What follows a body is not part of it.
    let mut talk = Talk::new();
    talk.say(C, &format!("{whole}m=audio 30100 RTP/AVP 0\r\n"));
    assert_eq!((talk.open(), talk.refusals()), (vec![30000, 30001], vec![Why::Malformed; 2]));
    for length in ["4294967296", "-1", "x", "10\r\nContent-Length: 11"] {
        let start = whole.find("Content-Length: ").unwrap() + 16;
        let end = start + whole[start..].find('\r').unwrap();
        let mut talk = Talk::new();
        talk.say(C, &format!("{}{length}{}", &whole[..start], &whole[end..]));
        assert_eq!((talk.open(), talk.refusals()), (vec![], vec![Why::Malformed]), "{length}");
    }
}

fn register(number: u32, contact: &str, more: &str) -> String {
    let fields = format!(
        "{COMMON}To: <sip:a@example.org>\nCall-ID: reg\nCSeq: {number} REGISTER\nContact: {contact}\n{more}"
    );
    message("REGISTER sip:example.org SIP/2.0", &fields, "", "")
}

fn registered(code: u16, number: u32, more: &str) -> String {
    let fields =
        format!("{COMMON}To: <sip:a@example.org>;tag=r\nCall-ID: reg\nCSeq: {number} REGISTER\n{more}");
    message(&format!("SIP/2.0 {code} Whatever"), &fields, "", "")
}

/// What is not for the NAT half.
fn asked_of_host(actions: Vec<Action>) -> Vec<Action> {
    actions.into_iter().filter(|action| !matches!(action, Action::Mention(..) | Action::Locate(..))).collect()
}

/// Seconds of the latest extension.
fn extension(actions: &[Action]) -> Option<u32> {
    actions.iter().rev().find_map(|action| if let Action::Extend(_, s) = action { Some(*s) } else { None })
}

#[test]
fn a_registration_lives_as_granted() {
    let mut talk = Talk::new();
    let asked = talk.say(C, &register(1, "<sip:a@10.0.0.1:5060>", "Expires: 1800\n"));
    let (handle, expect) = expects(&asked).next().unwrap();
    assert_eq!(expect.source, AddressMatch::Exact("192.0.2.1".parse().unwrap()));
    assert_eq!(
        (expect.lifetime, expect.active, expect.helper),
        (Lifetime::Permanent, false, Some(pinhole_helper::Name::new("sip")))
    );
    assert_eq!((expect.class, expect.protocol, port(expect)), (0, Protocol::UDP, 5060));
    // A challenge, and the request again.
    assert_eq!(asked_of_host(talk.say(S, &registered(401, 1, ""))), [Action::Cancel(handle)]);
    let asked = talk.say(C, &register(2, "<sip:a@10.0.0.1:5060>", "Expires: 1800\n"));
    let (handle, _) = expects(&asked).next().unwrap();
    assert_eq!(asked_of_host(talk.say(S, &registered(100, 2, ""))), []);
    let contact = "Contact: <sip:other@198.51.100.1>;expires=7, <sip:a@10.0.0.1:5060>;expires=600\n";
    let granted = asked_of_host(talk.say(S, &registered(200, 2, contact)));
    assert_eq!(granted, [Action::Activate(handle), Action::Extend(handle, 600), Action::Prolong(600)]);
    assert_eq!(talk.open(), [5060]);
    // A refresh leaves it open, whatever comes of it; a longer time than was asked for is not granted.
    assert_eq!(expects(&talk.say(C, &register(3, "<sip:a@10.0.0.1>", "Expires: 600\n"))).count(), 0);
    talk.say(S, &registered(401, 3, ""));
    talk.say(C, &register(4, "<sip:a@10.0.0.1>", "Expires: 600\n"));
    assert_eq!(extension(&talk.say(S, &registered(200, 4, "Expires: 90000\n"))), Some(600));
    assert_eq!(talk.open(), [5060]);
    // The end of it.
    talk.say(C, &register(5, "<sip:a@10.0.0.1>;expires=0", ""));
    assert_eq!(talk.open(), [5060]);
    talk.say(S, &registered(200, 5, ""));
    assert_eq!(talk.open(), []);
}

#[test]
fn what_registrations_grant() {
    let grant = |contact: &str, request: &str, answer: &str| {
        let mut talk = Talk::new();
        talk.say(C, &register(1, contact, request));
        let granted = extension(&talk.say(S, &registered(200, 1, answer)));
        (granted, talk.open(), talk.refusals())
    };
    let open = |seconds| (Some(seconds), vec![5060], vec![]);
    assert_eq!(grant("<sip:10.0.0.1>", "", ""), open(3600));
    assert_eq!(grant("sip:a@10.0.0.1;expires=60", "Expires: 1800\n", ""), open(60));
    assert_eq!(grant("<sip:10.0.0.1>", "Expires: 4294967295\n", ""), open(86400));
    assert_eq!(
        grant("<sip:10.0.0.1;transport=tcp>", "", "m: <sip:10.0.0.1;transport=tcp>;expires=9\n"),
        open(9)
    );
    // Not listed, not granted.
    assert_eq!(grant("<sip:10.0.0.1>", "", "Contact: <sip:10.0.0.1:5070>\n"), (None, vec![], vec![]));
    assert_eq!(grant("<sip:10.0.0.1>", "", "Contact: <sip:10.0.0.1>;expires=0\n"), (None, vec![], vec![]));
    assert_eq!(grant("<sip:10.0.0.1>", "Expires: 0\n", ""), (None, vec![], vec![]));
    assert_eq!(grant("<tel:+1234>", "", ""), (None, vec![], vec![]));
    for (contact, why) in [
        ("<sip:a@10.0.0.9>", Why::ForeignAddress),
        ("<sip:a@192.0.2.1>", Why::ForeignAddress),
        ("<sip:a@10.0.0.1@10.0.0.9>", Why::Malformed),
        ("<sip:a@host.example.org>", Why::Unsupported),
        ("<sip:a@10.0.0.1:22>", Why::PrivilegedPort),
        ("<sip:a@10.0.0.1:0>", Why::PortZero),
        ("<sip:a@10.0.0.1:70596>", Why::Malformed),
        ("<sip:a@[::ffff:10.0.0.1]>", Why::AddressFamily),
        ("<sip:a@10.0.0.1;transport=sctp>", Why::Unsupported),
    ] {
        assert_eq!(grant(contact, "", ""), (None, vec![], vec![why]), "{contact}");
    }
    // Only the registrar may grant.
    let mut talk = Talk::new();
    talk.say(C, &register(1, "<sip:10.0.0.1>", ""));
    talk.say(C, &registered(200, 1, ""));
    talk.say(S, &registered(200, 2, ""));
    assert_eq!(talk.open(), []);
}

#[test]
fn contacts_are_limited_and_can_all_be_removed() {
    let contacts: Vec<String> = (0..10).map(|i| format!("<sip:10.0.0.1:{}>", 5070 + i)).collect();
    let mut talk = Talk::new();
    talk.say(C, &register(1, &contacts.join(", "), ""));
    talk.say(S, &registered(200, 1, ""));
    assert_eq!((talk.open().len(), talk.refusals()), (8, vec![Why::Limit; 2]));
    talk.say(C, &register(2, "*", "Expires: 0\n"));
    talk.say(S, &registered(200, 2, ""));
    assert_eq!(talk.open(), []);
}

#[test]
fn the_control_conn_lives_as_long_as_it_is_needed() {
    let prolonged = |actions: &[Action]| {
        actions.iter().find_map(|action| if let Action::Prolong(s) = action { Some(*s) } else { None })
    };
    let mut talk = Talk::new();
    assert_eq!(prolonged(&talk.say(C, &request("OPTIONS", 1, "", ""))), None);
    assert_eq!(prolonged(&talk.say(C, &request("INVITE", 2, "", &audio("10.0.0.1", 30000)))), Some(3600));
    assert_eq!(prolonged(&talk.say(C, "\r\n\r\n")), Some(3600));
    assert_eq!(prolonged(&talk.say(S, &answer(486, 2, "INVITE", "b", ""))), None);
}

#[test]
fn what_opens_otherwise_is_never_read() {
    let invite = request("INVITE", 1, "", &audio("10.0.0.1", 30000));
    let opens = |first: &[u8]| {
        let wire = run_every_way(&Sip, "10.0.0.1:40000", PROXY, &[(C, first), (C, invite.as_bytes())]);
        assert_eq!(wire.ports(), []);
        wire.reader.blind()
    };
    assert_eq!(opens(b"POST /a HTTP/1.1\r\nHost: x\r\n\r\n"), Some(BlindReason::NotThisProtocol));
    assert_eq!(opens(b"\x16\x03\x01\x02\x00\x01\x00"), Some(BlindReason::Encrypted));
    assert_eq!(opens(b"\x00\x03\x00\x50\x21\x12\xa4\x42"), Some(BlindReason::NotThisProtocol));
    assert_eq!(opens(b"INVITE sip:a@b SIP/3.0\r\n\r\n"), Some(BlindReason::NotThisProtocol));
    assert_eq!(opens(&[b'a'; 5000]), Some(BlindReason::NotThisProtocol));
    for first in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x00\x03\x00\x50\x21\x12\xa4\x42username"] {
        let mut talk = Talk::new();
        talk.say(C, &String::from_utf8_lossy(first));
        assert_eq!(talk.reader.blind(), Some(BlindReason::NotThisProtocol));
    }
    let mut talk = Talk::new();
    talk.reader.datagram(Time(0), C, b"\x16\xfe\xfd\x00", &mut Vec::new());
    assert_eq!(talk.reader.blind(), Some(BlindReason::Encrypted));
    assert_eq!(talk.reader.condition(), Condition::Encrypted);
    // A damaged message is not another protocol; neither is a keep-alive.
    let mut talk = Talk::new();
    talk.say(C, &invite.replacen("INVITE ", "INVITEx", 1));
    assert_eq!((talk.open(), talk.reader.blind()), (vec![], None));
    // Later junk is passed over, for a while.
    let mut talk = Talk::new();
    for junk in ["", "\r\n\r\n", "\0\0\0\0"] {
        talk.say(C, junk);
    }
    talk.say(C, &request("OPTIONS", 1, "", ""));
    for _ in 0..32 {
        talk.say(C, "hello\r\n");
    }
    talk.say(C, &invite);
    assert_eq!(talk.open(), [30000, 30001]);
    talk.say(C, "hello\r\n");
    assert_eq!(talk.reader.blind(), Some(BlindReason::TooManyErrors));
}

const CLIENT: &str = "10.0.0.1:40000";

fn call_over_tcp() -> [(Direction, String); 6] {
    [
        (C, format!("\r\n\r\n{}", request("OPTIONS", 1, "", "hello, this is no description"))),
        (C, request("INVITE", 2, "", &audio("10.0.0.1", 30000))),
        (S, answer(100, 2, "INVITE", "b", "") + &answer(183, 2, "INVITE", "b", &audio("192.0.2.1", 40000))),
        (S, "\r\n\r\n".to_owned() + &answer(200, 2, "INVITE", "b", &audio("192.0.2.1", 40000))),
        (C, request("ACK", 2, "b", "") + &register(3, "<sip:a@10.0.0.1:5060;transport=tcp>", "")),
        (
            S,
            registered(200, 3, "Expires: 60\n")
                + &request("BYE", 9, "a", "").replacen("tag=a\r\n", "tag=b\r\n", 1),
        ),
    ]
}

#[test]
fn messages_over_tcp_however_they_are_cut() {
    let said = call_over_tcp();
    let said: Vec<Said<'_>> = said.iter().map(|(from, text)| (*from, text.as_bytes())).collect();
    let wire = run_every_way(&Sip, CLIENT, PROXY, &said);
    assert_eq!(wire.ports(), [30000, 30001, 40000, 40001, 40000, 40001, 5060]);
    assert_eq!((wire.open_ports(), wire.refusals()), (vec![5060], vec![]));
}

#[test]
fn a_stream_that_loses_its_framing_is_not_read() {
    let invite = request("INVITE", 1, "", &audio("10.0.0.1", 30000));
    for (length, why) in [
        ("x", BlindReason::TooManyErrors),
        ("4294967296", BlindReason::TooManyErrors),
        ("1\r\nl: 2", BlindReason::TooManyErrors),
        ("3", BlindReason::NotThisProtocol),
    ] {
        let options =
            format!("OPTIONS sip:b SIP/2.0\r\nCSeq: 1 OPTIONS\r\nContent-Length: {length}\r\n\r\nabcdef\r\n");
        let wire = run_every_way(&Sip, CLIENT, PROXY, &[(C, options.as_bytes()), (C, invite.as_bytes())]);
        assert_eq!((wire.ports(), wire.reader.blind()), (vec![], Some(why)), "{length}");
    }
    // The text of a body is no message.
    let options = format!("OPTIONS sip:b SIP/2.0\r\nl: {}\r\n\r\n{invite}", invite.len());
    let wire = run_every_way(&Sip, CLIENT, PROXY, &[(C, options.as_bytes())]);
    assert_eq!((wire.ports(), wire.reader.blind()), (vec![], None));
}

#[test]
fn a_long_head_ends_the_reading_and_a_long_body_is_passed_over() {
    let mut wire = Wire::open(&Sip, CLIENT, PROXY);
    wire.say(C, b"OPTIONS sip:b SIP/2.0\r\n");
    for _ in 0..2000 {
        wire.say(C, b"X: 0123456789\r\n");
    }
    assert_eq!(wire.reader.blind(), Some(BlindReason::MessageTooLong));
    assert!(wire.peak < 64 * 1024, "{}", wire.peak);
    let mut wire = Wire::open(&Sip, CLIENT, PROXY);
    let head = request("INVITE", 1, "", "v=0");
    wire.say(C, head.replace("Content-Length: 3\r\n\r\nv=0", "Content-Length: 100000\r\n\r\n").as_bytes());
    assert_eq!(wire.refusals(), [Why::Malformed]);
    for _ in 0..100 {
        wire.say(C, &[b'x'; 1000]);
    }
    wire.say(C, request("INVITE", 2, "", &audio("10.0.0.1", 30000)).as_bytes());
    assert_eq!(wire.ports(), [30000, 30001]);
    assert!(wire.peak < 64 * 1024, "{}", wire.peak);
}

#[test]
fn a_stream_in_the_middle() {
    let invite = request("INVITE", 1, "", &audio("10.0.0.1", 30000));
    let mut wire = Wire::mid_stream(&Sip, CLIENT, PROXY, Pickup::Lenient);
    wire.say(C, b"nonsense of a message\r\nthat began before\r\n");
    wire.say(C, invite.as_bytes());
    assert_eq!(wire.ports(), [30000, 30001]);
    wire.say(S, answer(200, 1, "INVITE", "b", &audio("192.0.2.1", 40000)).as_bytes());
    assert_eq!(wire.open_ports(), [30000, 30001, 40000, 40001]);
}

#[test]
fn ipv6() {
    let mut talk = Talk::with("[2001:db8::1]:5060", "[2001:db8::2]:5060", Policy::default());
    talk.say(C, &request("INVITE", 1, "", &audio("2001:db8::1", 30000)));
    talk.say(C, &register(2, "<sip:a@[2001:db8::1]:5070>", ""));
    talk.say(S, &registered(200, 2, ""));
    assert_eq!((talk.open(), talk.refusals()), (vec![30000, 30001, 5070], vec![]));
    talk.say(C, &request("INVITE", 3, "", &audio("::ffff:10.0.0.1", 30000)));
    assert_eq!(talk.refusals(), [Why::AddressFamily; 2]);
}

/// The text of each place that NAT may change, and what stands for what.
fn places(text: &str, actions: &[Action]) -> Vec<(String, &'static str)> {
    let quote = |span: &pinhole_helper::Span| text[span.start as usize..span.end as usize].to_owned();
    actions
        .iter()
        .filter_map(|action| match action {
            Action::Mention(End::Sender, span, _) => Some((quote(span), "sender")),
            Action::Mention(End::Peer, span, _) => Some((quote(span), "peer")),
            Action::Locate(_, span, _) => Some((quote(span), "port")),
            Action::Length(digits, body) => {
                assert_eq!(quote(body).len().to_string(), quote(digits));
                Some((quote(digits), "length"))
            }
            _ => None,
        })
        .collect()
}

#[test]
fn what_nat_may_change() {
    let body = "v=0\no=- 1 1 IN IP4 10.0.0.1\ns=-\nc=IN IP4 10.0.0.1\nt=0 0\nm=audio 30000 RTP/AVP 0\na=rtcp:30011\n";
    let fields = "Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z;rport, SIP/2.0/UDP 10.0.0.1\n\
                  From: <sip:a@10.0.0.1>;tag=a\nTo: <sip:b@192.0.2.1:5060>\nCall-ID: call-1\nCSeq: 1 INVITE\n\
                  Record-Route: <sip:10.0.0.1;lr>, <sip:10.0.0.1:5070;lr>\nRoute: <sip:192.0.2.1>\nContact: <sip:a@10.0.0.1>\n";
    let text = message("INVITE sip:b@192.0.2.1 SIP/2.0", fields, "application/sdp", body);
    let mut talk = Talk::new();
    let actions = talk.say(C, &text);
    let length = body.replace('\n', "\r\n").len().to_string();
    let expected = [
        ("192.0.2.1", "peer"),
        ("10.0.0.1:5060", "sender"),
        ("10.0.0.1", "sender"),
        ("192.0.2.1:5060", "peer"),
        ("10.0.0.1", "sender"),
        ("192.0.2.1", "peer"),
        ("10.0.0.1", "sender"),
        (length.as_str(), "length"),
        ("10.0.0.1", "sender"),
        ("10.0.0.1", "sender"),
        ("30000", "port"),
        ("30011", "port"),
    ];
    assert_eq!(places(&text, &actions), expected.map(|(text, what)| (text.to_owned(), what)));

    let fields = "Via: SIP/2.0/UDP 10.0.0.1;received=10.0.0.1;rport=5060;branch=z\n\
                  From: <sip:a@example.org>;tag=a\nTo: <sip:b@example.org>;tag=b\nCall-ID: call-1\nCSeq: 1 INVITE\n";
    let text = message("SIP/2.0 180 Ringing", fields, "", "");
    let actions = talk.say(S, &text);
    let expected = [("10.0.0.1", "peer"), ("10.0.0.1", "peer"), ("5060", "peer")];
    assert_eq!(places(&text, &actions), expected.map(|(text, what)| (text.to_owned(), what)));

    // Blanks around everything that separates, in Via; in a URI they are none (RFC 3261 §25.1).
    let fields = "Via : SIP / 2.0 / UDP  10.0.0.1 : 5060 ; received = 10.0.0.1 ;branch=z\n\
                  From: <sip:a@10.0.0.1 :5060>;tag=a\nTo: <sip:b@example.org>;tag=b\nCall-ID: call-1\nCSeq: 1 INVITE\n";
    let text = message("SIP/2.0 180 Ringing", fields, "", "");
    let actions = talk.say(S, &text);
    let expected = [("10.0.0.1 : 5060", "peer"), ("10.0.0.1", "peer"), ("10.0.0.1", "peer")];
    assert_eq!(places(&text, &actions), expected.map(|(text, what)| (text.to_owned(), what)));
}

proptest! {
    /// Nothing on the wire makes it panic, hold much, or ask for what it must not.
    #[test]
    fn any_datagrams(pieces in prop::collection::vec((any::<bool>(), prop::sample::select(PIECES)), 1..60), cut in 0..400usize) {
        let mut talk = Talk::new();
        let mut text = String::new();
        for (is_server, piece) in pieces {
            text.push_str(piece);
            if text.len() > cut {
                let from = if is_server { S } else { C };
                for (_, expect) in expects(&talk.say(from, &text)) {
                    let own = if is_server { "192.0.2.1" } else { "10.0.0.1" };
                    prop_assert_eq!(expect.destination.to_string(), own);
                    prop_assert!(port(expect) >= 1024);
                }
                text.clear();
            }
        }
        prop_assert!(talk.reader.memory() < 64 * 1024);
    }

    /// Any bytes, as a datagram and as a stream.
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let mut talk = Talk::new();
        talk.say(C, &String::from_utf8_lossy(&bytes));
        let mut wire = Wire::open(&Sip, CLIENT, PROXY);
        wire.say(C, b"OPTIONS sip:b SIP/2.0\r\n\r\n");
        wire.say(C, &bytes);
    }
}

const PIECES: &[&str] = &[
    "INVITE sip:b@192.0.2.1 SIP/2.0\r\n",
    "REGISTER sip:192.0.2.1 SIP/2.0\r\n",
    "BYE sip:b SIP/2.0\r\n",
    "SIP/2.0 200 OK\r\n",
    "SIP/2.0 486 Busy\r\n",
    "CSeq: 1 INVITE\r\n",
    "CSeq: 1 REGISTER\r\n",
    "Call-ID: x\r\n",
    "i: y\r\n",
    "From: <sip:a@10.0.0.1>;tag=a\r\n",
    "t: \"<,\\\" \" <sip:b@[::1>;tag=b\r\n",
    "Contact: <sip:a@10.0.0.1:5070>, <sip:10.0.0.9>;expires=0, *\r\n",
    "Contact: *\r\nExpires: 0\r\n",
    "Via: SIP/2.0/UDP 10.0.0.1;rport=1\r\n",
    "Content-Type: application/sdp\r\n",
    "Content-Type: multipart/mixed;boundary=b\r\n",
    "Content-Length: 50\r\n",
    "l: 4294967296\r\n",
    "\r\n",
    " ",
    "--b\r\n",
    "v=0\r\n",
    "c=IN IP4 10.0.0.1\r\n",
    "c=IN IP6 ::\r\n",
    "o=- 1 1 IN IP4 10.0.0.1\r\n",
    "m=audio 30000 RTP/AVP 0\r\n",
    "m=video 65535/4 RTP/AVP 0\r\n",
    "m=image 1023 udptl t38\r\n",
    "a=rtcp:99999\r\n",
    "a=rtcp-mux\r\n",
    "a=candidate:1 1 UDP 1 10.0.0.1 30010 typ host\r\n",
    "m=",
    "=;<>\"",
];
