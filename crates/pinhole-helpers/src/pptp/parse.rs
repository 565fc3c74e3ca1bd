//! Control messages (RFC 2637 §2).

/// Bytes before the fields of a message: length, message type, cookie, control message type, reserved.
const HEADER: usize = 12;
/// RFC 2637 §1.4.
const COOKIE: [u8; 4] = [0x1a, 0x2b, 0x3c, 0x4d];
/// Longest message that is understood: the longest that the RFC has is 220 bytes.
pub(super) const MESSAGE_LIMIT: usize = 1024;

/// A field of two bytes, and where in the message it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id {
    pub(super) value: u16,
    pub(super) place: usize,
}

/// What a message says, as far as calls are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message {
    StartRequest,
    StartReply {
        accepted: bool,
    },
    StopRequest,
    OutgoingRequest {
        id: Id,
    },
    OutgoingReply {
        id: Id,
        peer: Id,
        connected: bool,
    },
    IncomingRequest {
        id: Id,
    },
    IncomingReply {
        id: Id,
        peer: Id,
        accepted: bool,
    },
    IncomingConnected {
        peer: Id,
    },
    ClearRequest {
        id: Id,
    },
    Disconnect {
        id: Id,
    },
    /// Errors on the wire, link information.
    Notice {
        peer: Id,
    },
    /// Echoes; messages that the RFC does not have.
    Other,
}

/// What the next bytes of a stream are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Message(Message, usize),
    /// More bytes are needed.
    Incomplete,
    /// Not a message.
    Foreign,
}

/// Reads the first message. What cannot become one is foreign as early as that can be told.
pub(super) fn next(bytes: &[u8]) -> Next {
    let head = bytes.get(..bytes.len().min(8)).unwrap_or_default();
    // Control messages only: the RFC defines no management messages.
    let expected =
        [None, None, Some(0), Some(1), Some(COOKIE[0]), Some(COOKIE[1]), Some(COOKIE[2]), Some(COOKIE[3])];
    if head.iter().zip(expected).any(|(&byte, expected)| expected.is_some_and(|expected| byte != expected)) {
        return Next::Foreign;
    }
    let Some(length) = word(bytes, 0).map(|id| usize::from(id.value)) else { return Next::Incomplete };
    if !(HEADER..=MESSAGE_LIMIT).contains(&length) {
        return Next::Foreign;
    }
    let Some(kind) = word(bytes, 8).map(|id| id.value) else { return Next::Incomplete };
    if size(kind).is_some_and(|size| length < size) {
        return Next::Foreign;
    }
    let Some(whole) = bytes.get(..length) else { return Next::Incomplete };
    Next::Message(message(kind, whole).unwrap_or(Message::Other), length)
}

/// Sizes of the messages (RFC 2637 §2.1 to §2.15); a longer one may come from a later version.
fn size(kind: u16) -> Option<usize> {
    const SIZES: [usize; 15] = [156, 156, 16, 16, 16, 20, 168, 32, 220, 24, 28, 16, 148, 40, 24];
    SIZES.get(usize::from(kind).checked_sub(1)?).copied()
}

fn message(kind: u16, bytes: &[u8]) -> Option<Message> {
    let byte = |at: usize| bytes.get(at).copied();
    let id = || word(bytes, HEADER);
    let peer = || word(bytes, HEADER + 2);
    /// Result code of a success, in all replies.
    const SUCCESS: u8 = 1;
    Some(match kind {
        1 => Message::StartRequest,
        2 => Message::StartReply { accepted: byte(14)? == SUCCESS },
        3 => Message::StopRequest,
        7 => Message::OutgoingRequest { id: id()? },
        8 => Message::OutgoingReply { id: id()?, peer: peer()?, connected: byte(16)? == SUCCESS },
        9 => Message::IncomingRequest { id: id()? },
        10 => Message::IncomingReply { id: id()?, peer: peer()?, accepted: byte(16)? == SUCCESS },
        11 => Message::IncomingConnected { peer: id()? },
        12 => Message::ClearRequest { id: id()? },
        13 => Message::Disconnect { id: id()? },
        14 | 15 => Message::Notice { peer: id()? },
        _ => Message::Other,
    })
}

fn word(bytes: &[u8], place: usize) -> Option<Id> {
    let value = u16::from_be_bytes(*bytes.get(place..)?.first_chunk()?);
    Some(Id { value, place })
}
