//! NetBIOS name service over UDP (RFC 1001, RFC 1002 §4.2).
//!
//! A host asks everyone on its subnet who has a name, or tells that it wants one; whoever has it answers from the name service's port to
//! the port that asked. The helper reads the questions; `crate::broadcast` says who may answer.

use crate::broadcast::Answers;
use crate::datagram::head;
use pinhole_helper::{
    BlindReason, Class, Context, Helper, Master, Name, Policy, Progress, Refusal, Session, Spec, Texts, saved,
};
use pinhole_wire::{Direction, Protocol};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Seconds that an answer may take.
const ANSWER_TIME: u32 = 3;

/// The NetBIOS name service helper.
#[derive(Clone, Copy, Debug, Default)]
pub struct NetbiosNs;

static SPEC: Spec = Spec {
    name: Name::new("netbios-ns"),
    aliases: Texts::Built(&["netbios_ns", "ip_conntrack_netbios_ns", "nf_conntrack_netbios_ns"]),
    protocols: Cow::Borrowed(&[Protocol::UDP]),
    ports: Cow::Borrowed(&[137]),
    classes: Cow::Borrowed(&[Class { name: Name::new("answers"), max: 1, timeout: ANSWER_TIME }]),
    summary: Cow::Borrowed("NetBIOS name service: lets the answers to broadcast questions in"),
    reads: Texts::Built(&[
        "name queries, registrations, releases and refreshes to the broadcast address of the asker's subnet",
    ]),
    creates: Texts::Built(&[
        "UDP from that subnet, from the port that was asked, to the very port that asked; any number of answers",
    ]),
    refuses: Texts::Built(&[
        "questions to one host, which need nothing: its answers belong to the connection",
        "255.255.255.255, which does not tell the subnet",
        "broadcasts to another subnet",
        "connections that do not open with a question, for ever",
    ]),
    limits: Texts::Built(&[
        "3 s after the latest question",
        "the subnet is the widest that the address asked can be the broadcast address of, from /24 to /8",
    ]),
    nat: Cow::Borrowed("none: a broadcast is not translated"),
    ipv6: Cow::Borrowed("none: there is neither NetBIOS nor broadcast"),
    references: Texts::Built(&["RFC 1001", "RFC 1002 §4.2"]),
};

impl Helper for NetbiosNs {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn attach(&self, _master: &Master, _policy: &Policy) -> Box<dyn Session> {
        Box::new(NetbiosNsSession::default())
    }

    fn restore(&self, saved: &[u8]) -> Option<Box<dyn Session>> {
        saved::session::<NetbiosNsSession>(saved)
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct NetbiosNsSession {
    has_opened: bool,
    answers: Answers,
}

impl Session for NetbiosNsSession {
    fn read(&mut self, cx: &mut Context<'_>, from: Direction, bytes: &[u8]) -> Progress {
        if from == Direction::Reply {
            return Progress::Consumed(bytes.len());
        }
        match question(bytes) {
            Some(length) => {
                self.has_opened = true;
                let span = cx.span(0, length);
                self.answers.expect(cx, ANSWER_TIME, span);
                Progress::Consumed(bytes.len())
            }
            None if self.has_opened => {
                cx.refuse(Refusal::Malformed, head(cx, bytes));
                Progress::Consumed(bytes.len())
            }
            None => Progress::Blind(BlindReason::NotThisProtocol),
        }
    }

    fn save(&self) -> Option<Vec<u8>> {
        saved::encode(self)
    }
}

/// Length of header and question, if a datagram asks something (RFC 1002 §4.2.1).
fn question(bytes: &[u8]) -> Option<usize> {
    let &[_, _, flags, _, 0, 1, 0, 0, 0, 0, 0, additional, ..] = bytes.first_chunk::<12>()? else {
        return None;
    };
    let (is_answer, opcode) = (flags & 0x80 != 0, flags >> 3 & 0x0f);
    // Query, registration, release, refresh (8, or 9 by a misprint that became usage), multi-homed registration.
    if is_answer || !matches!(opcode, 0 | 5 | 6 | 8 | 9 | 15) || additional > 1 {
        return None;
    }
    let end = 12 + name(bytes.get(12..)?)?;
    let kind_and_class = bytes.get(end..)?.first_chunk::<4>()?;
    // NB or NBSTAT, of the internet.
    matches!(kind_and_class, [0, 0x20 | 0x21, 0, 1]).then_some(end + 4)
}

/// Length of a name: 16 bytes written as 32 letters, then the labels of its scope (RFC 1001 §14.1).
fn name(bytes: &[u8]) -> Option<usize> {
    let (&[32], letters) = bytes.split_first_chunk()? else { return None };
    let letters = letters.first_chunk::<32>()?;
    if !letters.iter().all(|letter| (b'A'..=b'P').contains(letter)) {
        return None;
    }
    let mut end = 33;
    loop {
        match usize::from(*bytes.get(end)?) {
            0 => return Some(end + 1),
            // RFC 883: 63 bytes a label, 255 a name.
            label if label <= 63 && end + label < 254 => end += 1 + label,
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcript::Wire;
    use pinhole_helper::{Action, AddressMatch, Lifetime, PortMatch};
    use proptest::prelude::*;

    const C: Direction = Direction::Original;
    const EVERYONE: &str = "10.0.5.255:137";

    fn query(flags: [u8; 2]) -> Vec<u8> {
        let head = [0x12, 0x34, flags[0], flags[1], 0, 1, 0, 0, 0, 0, 0, 0, 32];
        [&head[..], b"CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", &[0, 0, 0x20, 0, 1]].concat()
    }

    fn asked(asker: &str, asked: &str, bytes: &[u8]) -> Wire {
        let mut wire = Wire::datagrams(&NetbiosNs, asker, asked);
        wire.datagram(C, bytes);
        wire
    }

    #[test]
    fn the_subnet_may_answer_the_port_that_asked() {
        for flags in [[0x01, 0x10], [0x29, 0x10], [0x30, 0x10], [0x40, 0x10], [0x78, 0x10]] {
            let wire = asked("10.0.4.131:137", EVERYONE, &query(flags));
            let Action::Expect(_, expect) = &wire.noted[0].action else { panic!("{:?}", wire.noted) };
            let everyone = "10.0.5.255".parse().expect("an address");
            assert_eq!(expect.source, AddressMatch::Prefix(everyone, 23));
            assert_eq!(expect.source_port, PortMatch::Exact(137));
            assert_eq!(expect.destination_port, PortMatch::Exact(137));
            assert_eq!((expect.lifetime, expect.timeout), (Lifetime::Permanent, Some(3)));
        }
        let wire = asked("10.0.4.131:53826", EVERYONE, &query([0x01, 0x10]));
        assert_eq!(wire.open_ports(), [53826]);
    }

    #[test]
    fn a_question_within_the_time_prolongs_it() {
        let mut wire = asked("10.0.4.131:137", EVERYONE, &query([0x01, 0x10]));
        wire.datagram(C, &query([0x01, 0x10]));
        assert!(matches!(wire.noted[1].action, Action::Extend(_, 3)), "{:?}", wire.noted);
        wire.wait(3);
        wire.datagram(C, &query([0x01, 0x10]));
        assert!(matches!(wire.noted[2].action, Action::Expect(..)), "{:?}", wire.noted);
    }

    #[test]
    fn what_opens_nothing() {
        for everyone in ["10.0.5.9:137", "10.0.9.255:137", "255.255.255.255:137", "224.0.0.1:137"] {
            let wire = asked("10.0.4.131:137", everyone, &query([0x01, 0x10]));
            assert_eq!((wire.noted.len(), wire.reader.blind()), (0, None), "{everyone}");
        }
        let mut answer = Wire::datagrams(&NetbiosNs, "10.0.4.131:137", EVERYONE);
        answer.datagram(Direction::Reply, &query([0x01, 0x10]));
        assert_eq!(answer.noted, []);
    }

    #[test]
    fn what_is_no_question() {
        let good = query([0x01, 0x10]);
        for (offset, byte) in [(2, 0x85), (2, 0x08), (5, 0), (5, 2), (7, 1), (11, 2), (12, 31), (13, b'Q')] {
            let mut bad = good.clone();
            bad[offset] = byte;
            let wire = asked("10.0.4.131:137", EVERYONE, &bad);
            assert_eq!(wire.reader.blind(), Some(BlindReason::NotThisProtocol), "{offset}");
        }
        for end in 0..good.len() {
            assert_eq!(asked("10.0.4.131:137", EVERYONE, &good[..end]).noted, []);
        }
        let mut wire = asked("10.0.4.131:137", EVERYONE, &good);
        wire.datagram(C, b"GET / HTTP/1.1\r\n");
        assert_eq!((wire.refusals(), wire.reader.blind()), (vec![Refusal::Malformed], None));
    }

    #[test]
    fn scopes() {
        let mut scoped = query([0x01, 0x10]);
        let end = scoped.len() - 5;
        scoped.splice(end..end, *b"\x03com");
        assert_eq!(asked("10.0.4.131:137", EVERYONE, &scoped).open_ports(), [137]);
        let endless: Vec<u8> = std::iter::repeat_n(*b"\x03com", 80).flatten().collect();
        scoped.splice(end..end, endless);
        assert_eq!(asked("10.0.4.131:137", EVERYONE, &scoped).open_ports(), []);
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..80), keep in 0usize..60) {
            let good = query([0x01, 0x10]);
            let keep = keep.min(good.len()).min(bytes.len());
            bytes[..keep].copy_from_slice(&good[..keep]);
            let wire = asked("10.0.4.131:137", EVERYONE, &bytes);
            prop_assert!(wire.noted.len() <= 1);
        }
    }
}
