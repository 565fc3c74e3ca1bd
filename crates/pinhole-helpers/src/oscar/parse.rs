//! Frames, SNACs and TLVs. All numbers are in network order.

use crate::binary::array;
use std::net::Ipv4Addr;
use std::ops::Range;

/// Longest frame that is read whole; longer ones announce nothing. Servers refuse ICBMs of more than 8000 bytes.
pub const MESSAGE_LIMIT: usize = 8192;
/// Bytes of a frame before its data.
pub(super) const FLAP_HEADER: usize = 6;
/// Bytes of a SNAC before its data.
const SNAC_HEADER: usize = 10;
/// Flag of a SNAC: a block of TLVs, preceded by its length, stands before the data.
const HAS_VERSION: u16 = 0x8000;

/// The channels of frames (FLAP).
pub(super) mod channel {
    pub(in super::super) const SIGN_ON: u8 = 1;
    pub(in super::super) const SNAC: u8 = 2;
    pub(in super::super) const KEEP_ALIVE: u8 = 5;
}

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flap {
    pub(super) channel: u8,
    /// Bytes of data.
    pub(super) length: usize,
}

/// Reads the head of a frame: `0x2a, channel, sequence number (2), length (2)`. `Err`: it is none.
pub(super) fn flap(bytes: &[u8]) -> Result<Option<Flap>, ()> {
    match *bytes {
        [] | [0x2a] => Ok(None),
        [0x2a, channel @ 1..=5, ref rest @ ..] => {
            let length = array(rest, 2).map(u16::from_be_bytes);
            Ok(length.map(|length| Flap { channel, length: usize::from(length) }))
        }
        _ => Err(()),
    }
}

/// What a SNAC is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    /// Family 4, subtype 6: an ICBM to the server.
    MessageToServer,
    /// Family 4, subtype 7: an ICBM to the client.
    MessageToClient,
    /// Family 1, subtype 0x1e: the client's status.
    Status,
    /// Family 3, subtype 0x0b: a contact has come online, or changed.
    Contact,
    Other,
}

/// The topic of a SNAC, of which the first four bytes are needed.
pub(super) fn topic(snac: &[u8]) -> Option<Topic> {
    Some(match array::<4>(snac, 0)? {
        [0, 4, 0, 6] => Topic::MessageToServer,
        [0, 4, 0, 7] => Topic::MessageToClient,
        [0, 1, 0, 0x1e] => Topic::Status,
        [0, 3, 0, 0x0b] => Topic::Contact,
        _ => Topic::Other,
    })
}

/// Where a SNAC's data begins.
pub(super) fn data(snac: &[u8]) -> Option<usize> {
    let flags = u16::from_be_bytes(array(snac, 4)?);
    if flags & HAS_VERSION == 0 {
        return Some(SNAC_HEADER);
    }
    let extra = u16::from_be_bytes(array(snac, SNAC_HEADER)?);
    Some(SNAC_HEADER + 2 + usize::from(extra))
}

/// The TLVs in a part of some bytes: types, and where their values stand. The last one may be cut short; it is left out then.
pub(super) fn tlvs(bytes: &[u8], part: Range<usize>) -> impl Iterator<Item = (u16, Range<usize>)> + '_ {
    let mut at = part.start;
    std::iter::from_fn(move || {
        let [high, low, long, short] = array(bytes, at)?;
        let start = at + 4;
        at = start + usize::from(u16::from_be_bytes([long, short]));
        (at <= part.end).then_some((u16::from_be_bytes([high, low]), start..at))
    })
}

/// The rendezvous block (TLV 5) of an ICBM of channel 2; `None`: it is another message.
///
/// `cookie (8), channel (2), length of the name (1), name`, and to the client also `warning level (2), number of TLVs (2), TLVs about the
/// sender`; then the message's TLVs.
pub(super) fn rendezvous(snac: &[u8], to_client: bool) -> Option<Range<usize>> {
    let start = data(snac)?;
    if array(snac, start + 8)? != [0, 2] {
        return None;
    }
    let name = usize::from(*snac.get(start + 10)?);
    let after = start + 11 + name;
    let messages = if to_client { user(snac, after)?.end } else { after };
    tlvs(snac, messages..snac.len()).find(|(kind, _)| *kind == 5).map(|(_, value)| value)
}

/// Where the TLVs about a user stand, before which are his `warning level (2), number of TLVs (2)`.
fn user(snac: &[u8], at: usize) -> Option<Range<usize>> {
    let count = u16::from_be_bytes(array(snac, at + 2)?);
    let start = at + 4;
    if count == 0 {
        return Some(start..start);
    }
    let last = tlvs(snac, start..snac.len()).nth(usize::from(count) - 1)?;
    Some(start..last.1.end)
}

/// Which way a rendezvous goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Propose,
    /// Cancelled, or refused by the other side.
    Cancel,
    Accept,
}

/// What a rendezvous is for, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A connection between two users.
    Direct,
    /// A room of the server's, or a message that only has this form.
    ThroughServer,
    Unknown,
}

/// An address or a port, and where it stands.
pub(super) type Placed<T> = (T, Range<usize>);

/// A message of a rendezvous: `step (2), cookie (8), purpose (16), TLVs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) step: Step,
    pub(super) cookie: [u8; 8],
    pub(super) purpose: Purpose,
    /// 1: the first proposal; 2: a redirect; 3: the proxy.
    pub(super) sequence: u16,
    pub(super) proxy: bool,
    /// TLV 2: where to connect to.
    pub(super) address: Option<Placed<Ipv4Addr>>,
    /// TLV 3: the proposer's own idea of its address.
    pub(super) internal: Option<Placed<Ipv4Addr>>,
    /// TLV 4: the proposer's address as the server sees it. Servers add it, clients do not.
    pub(super) verified: Option<Ipv4Addr>,
    /// TLV 5.
    pub(super) port: Option<Placed<u16>>,
    /// TLV 0x16: the address of TLV 2, restored from its inverse.
    pub(super) address_check: Option<Placed<Ipv4Addr>>,
    /// TLV 0x17: the port, restored from its inverse.
    pub(super) port_check: Option<Placed<u16>>,
}

impl Message {
    /// Whether the inverted copies, if there are any, say what the others say.
    pub(super) fn is_consistent(&self) -> bool {
        fn agrees<T: PartialEq>(plain: &Option<Placed<T>>, check: &Option<Placed<T>>) -> bool {
            check.is_none()
                || plain.as_ref().map(|(value, _)| value) == check.as_ref().map(|(value, _)| value)
        }
        agrees(&self.address, &self.address_check) && agrees(&self.port, &self.port_check)
    }
}

/// Reads a rendezvous block.
pub(super) fn message(snac: &[u8], block: Range<usize>) -> Option<Message> {
    let bytes = snac.get(..block.end)?;
    let step = match array(bytes, block.start)? {
        [0, 0] => Step::Propose,
        [0, 2] => Step::Accept,
        [0, 1 | 3] => Step::Cancel,
        _ => return None,
    };
    let mut message = Message {
        step,
        cookie: array(bytes, block.start + 2)?,
        purpose: purpose(array(bytes, block.start + 10)?),
        sequence: 1,
        proxy: false,
        address: None,
        internal: None,
        verified: None,
        port: None,
        address_check: None,
        port_check: None,
    };
    for (kind, place) in tlvs(bytes, block.start + 26..block.end) {
        let address = || Some((Ipv4Addr::from(sized::<4>(bytes, &place)?), place.clone()));
        let number = || Some((u16::from_be_bytes(sized(bytes, &place)?), place.clone()));
        match kind {
            0x02 => message.address = address(),
            0x03 => message.internal = address(),
            0x04 => message.verified = address().map(|(address, _)| address),
            0x05 => message.port = number(),
            0x0a => message.sequence = number().map_or(0, |(number, _)| number),
            0x10 => message.proxy = true,
            0x16 => message.address_check = address().map(|(address, place)| (!address, place)),
            0x17 => message.port_check = number().map(|(port, place)| (!port, place)),
            _ => {}
        }
    }
    Some(message)
}

/// A value that has exactly this size.
fn sized<const N: usize>(bytes: &[u8], place: &Range<usize>) -> Option<[u8; N]> {
    bytes.get(place.clone())?.try_into().ok()
}

/// The purposes that clients have had, by their capability: `0946xxxx-4c7f-11d1-8222-444553540000` but for chat.
fn purpose(capability: [u8; 16]) -> Purpose {
    const TAIL: [u8; 12] = [0x4c, 0x7f, 0x11, 0xd1, 0x82, 0x22, 0x44, 0x45, 0x53, 0x54, 0, 0];
    const CHAT: [u8; 16] =
        [0x74, 0x8f, 0x24, 0x20, 0x62, 0x87, 0x11, 0xd1, 0x82, 0x22, 0x44, 0x45, 0x53, 0x54, 0, 0];
    let [head @ .., _, _, _, _, _, _, _, _, _, _, _, _] = capability;
    if capability == CHAT {
        return Purpose::ThroughServer;
    }
    if !capability.ends_with(&TAIL) {
        return Purpose::Unknown;
    }
    match head {
        // Voice, video, file transfer, direct conversation, icon, add-ins, list of files, games.
        [9, 0x46, 0x13, 0x41..=0x43 | 0x45..=0x48 | 0x4a] => Purpose::Direct,
        // ICQ's messages of the second type, and lists of contacts.
        [9, 0x46, 0x13, 0x44 | 0x49 | 0x4b] => Purpose::ThroughServer,
        _ => Purpose::Unknown,
    }
}

/// Where an ICQ client listens (TLV 0x0c): `address (4), port (4), type (1), …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Direct {
    pub(super) address: Ipv4Addr,
    pub(super) port: u32,
    /// 4: others may connect; the rest: not at all, or through a proxy.
    pub(super) kind: u8,
    /// Where address and port stand.
    pub(super) place: Range<usize>,
}

/// The type of [`Direct`] that means that others may connect.
pub(super) const DIRECT_NORMAL: u8 = 4;

/// Where the client listens, by its status.
pub(super) fn status(snac: &[u8]) -> Option<Direct> {
    direct(snac, data(snac)?..snac.len())
}

/// Where a contact listens: `length of the name (1), name, warning level (2), number of TLVs (2), TLVs`.
pub(super) fn contact(snac: &[u8]) -> Option<Direct> {
    let start = data(snac)?;
    let name = usize::from(*snac.get(start)?);
    direct(snac, user(snac, start + 1 + name)?)
}

fn direct(snac: &[u8], part: Range<usize>) -> Option<Direct> {
    let (_, value) = tlvs(snac, part).find(|(kind, _)| *kind == 0x0c)?;
    let bytes = snac.get(value.clone())?;
    let port = u32::from_be_bytes(array(bytes, 4)?);
    let (address, kind) = (Ipv4Addr::from(array::<4>(bytes, 0)?), *bytes.get(8)?);
    Some(Direct { address, port, kind, place: value.start..value.start + 8 })
}
