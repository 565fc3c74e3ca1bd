//! Messages of SIP: what of them is translated, and those that are longer than what is held until it is complete, which pass as they are.

use crate::ftp::Session;
use crate::hidden;
use pinhole_engine::{Attachment, NatHelpers, Reason, Verdict};
use pinhole_wire::Direction;

/// An INVITE whose description has so many bytes more than it needs.
fn invite(more: usize) -> String {
    let filler = "a=x:0123456789\r\n".repeat(more / 16);
    let body = format!("v=0\r\nc=IN IP4 10.0.0.5\r\nm=audio 30000 RTP/AVP 0\r\n{filler}");
    format!(
        "INVITE sip:b@x SIP/2.0\r\nVia: SIP/2.0/TCP 10.0.0.5:4000\r\nFrom: <sip:a@x>;tag=a\r\nTo: <sip:b@x>\r\n\
         Call-ID: 1\r\nCSeq: 1 INVITE\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// What the server reads of a message in segments, and why the last one passed as it did.
fn sent(message: &str) -> (Session, String, Option<Reason>) {
    let mut settings = hidden();
    settings.attachments = vec![Attachment { helper: "sip".to_owned(), ports: vec![5060] }];
    settings.nat.helpers = NatHelpers::new(pinhole_helpers::nat_helpers());
    let mut session = Session::open(settings, "10.0.0.5:4000", "192.0.2.21:5060");
    let from = Direction::Original;
    let mut last = None;
    for part in message.as_bytes().chunks(1400) {
        let segment = session.ends[from.index()].say(from, part);
        let outcome = session.transmit(from, &segment);
        assert!(matches!(outcome.verdict, Verdict::Accept | Verdict::Held), "{outcome:?}");
        last = outcome.reason;
        let answer = session.ends[from.opposite().index()].acknowledge(from.opposite());
        session.transmit(from.opposite(), &answer);
    }
    let read = String::from_utf8(session.received[from.index()].clone()).unwrap();
    (session, read, last)
}

#[test]
fn what_can_be_held_is_translated() {
    let message = invite(12_000);
    let (session, read, reason) = sent(&message);
    assert!(read.contains("c=IN IP4 203.0.113.7\r\n") && !read.contains("10.0.0.5"), "{read}");
    assert_eq!((reason, session.lab.engine.nat_statistics().late), (None, 0));
}

#[test]
fn what_is_too_long_to_be_held_passes_as_it_is_and_is_told() {
    let message = invite(24_000);
    let (session, read, reason) = sent(&message);
    assert_eq!(read, message);
    assert!(matches!(reason, Some(Reason::EditsLate)), "{reason:?}");
    assert_eq!(session.lab.engine.nat_statistics().late, 1);
    assert!(session.lab.engine.tracker().expectations().all(|it| it.active));
}

#[test]
fn an_end_that_is_not_translated_stays_as_it_stands() {
    // The server by its address, with and without its port.
    let named = |client: &str| {
        format!(
            "OPTIONS sip:192.0.2.21 SIP/2.0\r\nVia: SIP/2.0/TCP {client};branch=z9hG4bK1\r\nFrom: <sip:a@{client}>;tag=a\r\n\
             To: <sip:b@192.0.2.21:5060>\r\nRoute: <sip:192.0.2.21;lr>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        )
    };
    let (_, read, _) = sent(&named("10.0.0.5:4000"));
    assert_eq!(read, named("203.0.113.7:4000"));
}
