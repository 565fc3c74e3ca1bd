//! Q.931 messages as H.225.0 §7.2 has them: protocol discriminator, call reference, message type, information elements.
//!
//! One element matters: user-user, whose length takes two octets here and whose first octet says that ASN.1 follows.

use std::ops::Range;

const PROTOCOL_DISCRIMINATOR: u8 = 0x08;
const USER_USER: u8 = 0x7e;
/// X.680 and X.690 coded user information, of which H.225.0 makes PER.
const CODED_IN_ASN1: u8 = 0x05;
/// Message type RELEASE COMPLETE.
pub(super) const RELEASE_COMPLETE: u8 = 0x5a;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// Call reference value, without its flag.
    pub(super) call: u16,
    /// The flag: the sender did not allocate the call reference.
    pub(super) to_originator: bool,
    /// Message type.
    pub(super) kind: u8,
    /// Octets of the H323-UserInformation.
    pub(super) user: Option<Range<usize>>,
}

/// Reads a message; `None` if it is malformed.
pub(super) fn parse(bytes: &[u8]) -> Option<Message> {
    let [PROTOCOL_DISCRIMINATOR, length, rest @ ..] = bytes else { return None };
    // H.225.0 §7.2.2.3: two octets; the dummy and global references of Q.931 have none or one.
    let (reference, rest) = rest.split_at_checked((length & 0x0f).into())?;
    let (call, to_originator) = match *reference {
        [high, low] => (u16::from_be_bytes([high & 0x7f, low]), high & 0x80 != 0),
        [only] => (u16::from(only & 0x7f), only & 0x80 != 0),
        [] => (0, false),
        _ => return None,
    };
    let (&kind, elements) = rest.split_first()?;
    let start = bytes.len() - elements.len();
    let user = user_user(elements)?.map(|octets| start + octets.start..start + octets.end);
    Some(Message { call, to_originator, kind, user })
}

/// Where the ASN.1 of the user-user element stands. `None` if an element does not end within the message.
fn user_user(elements: &[u8]) -> Option<Option<Range<usize>>> {
    let mut at = 0;
    while let Some(rest) = elements.get(at..).filter(|rest| !rest.is_empty()) {
        let (header, length) = match *rest {
            [identifier, ..] if identifier & 0x80 != 0 => (1, 0),
            [USER_USER, high, low, ..] => (3, usize::from(u16::from_be_bytes([high, low]))),
            [identifier, length, ..] if identifier != USER_USER => (2, length.into()),
            _ => return None,
        };
        let contents = rest.get(header..header + length)?;
        if rest.first() == Some(&USER_USER) && contents.first() == Some(&CODED_IN_ASN1) {
            return Some(Some(at + header + 1..at + header + length));
        }
        at += header + length;
    }
    Some(None)
}
