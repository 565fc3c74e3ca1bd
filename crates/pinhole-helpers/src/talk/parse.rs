//! Datagrams of talk, ntalk and ntalk2. All numbers are in network order.
//!
//! | | talk request | ntalk request | talk answer | ntalk answer |
//! |---|---|---|---|---|
//! | version | – | 0 | – | 0 |
//! | type | 0 | 1 | 0 | 1 |
//! | answer | – | – | 1 | 2 |
//! | length of extended data (ntalk2) | – | 3 | – | – |
//! | addr | 44 | 8 | 8 | 8 |
//! | ctl_addr | 60 | 24 | – | – |
//! | length | 76 | 84 | 24 | 24 (ntalk2: or 36) |
//!
//! An address is a 4.3BSD `sockaddr` of 16 bytes: family, port, IPv4 address, eight bytes of nothing.

use crate::binary::array;
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::Range;

const TALK_REQUEST: usize = 76;
const NTALK_REQUEST: usize = 84;
const ANSWER: usize = 24;
/// ntalk2 may append the callee's name.
const NAMED_ANSWER: usize = ANSWER + 12;
/// `AF_INET`; machines that wrote it in their own order wrote it as [`INET_SWAPPED`].
const INET: u16 = 2;
const INET_SWAPPED: u16 = 0x0200;

/// Which protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Dialect {
    /// 4.2BSD, port 517.
    Talk,
    /// 4.3BSD and its extension, port 518.
    Ntalk,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    LeaveInvite,
    LookUp,
    Delete,
    Announce,
    /// ntalk2 only.
    ReplyQuery,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        [Self::LeaveInvite, Self::LookUp, Self::Delete, Self::Announce, Self::ReplyQuery]
            .get(usize::from(byte))
            .copied()
    }
}

/// An address and where its port and IPv4 address stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) socket: SocketAddrV4,
    pub(super) place: Range<usize>,
}

impl Placed {
    /// Where the IPv4 address alone stands.
    pub(super) fn address(&self) -> Range<usize> {
        self.place.start + 2..self.place.end
    }
}

/// A request to a daemon. An address is `None` if it is none of IPv4's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) dialect: Dialect,
    pub(super) kind: Kind,
    pub(super) address: Option<Placed>,
    pub(super) control: Option<Placed>,
}

/// A daemon's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) kind: Kind,
    pub(super) success: bool,
    /// Holds garbage unless a look-up succeeded.
    pub(super) address: Option<Placed>,
}

/// Reads a request.
pub(super) fn request(bytes: &[u8]) -> Option<Request> {
    let (dialect, kind, address, control) = match bytes.len() {
        TALK_REQUEST => (Dialect::Talk, Kind::of(*bytes.first()?)?, 44, 60),
        length => {
            let [version, kind, _, extended] = array(bytes, 0)?;
            let expected = match version {
                1 => NTALK_REQUEST,
                2 => NTALK_REQUEST + usize::from(extended),
                _ => return None,
            };
            if length != expected {
                return None;
            }
            (Dialect::Ntalk, Kind::of(kind)?, 8, 24)
        }
    };
    if kind == Kind::ReplyQuery && dialect == Dialect::Talk {
        return None;
    }
    Some(Request { dialect, kind, address: placed(bytes, address), control: placed(bytes, control) })
}

/// Reads an answer. `dialect`: that of the request; if it was not seen, the answer tells.
pub(super) fn answer(bytes: &[u8], dialect: Option<Dialect>) -> Option<Answer> {
    if bytes.len() != ANSWER && bytes.len() != NAMED_ANSWER {
        return None;
    }
    let head: [u8; 4] = array(bytes, 0)?;
    let (kind, answer) = match (dialect, head) {
        (Some(Dialect::Talk), [kind, answer, ..]) if bytes.len() == ANSWER => (kind, answer),
        (Some(Dialect::Ntalk), [1 | 2, kind, answer, _]) => (kind, answer),
        // Versions of ntalk are types of talk too; what follows tells them apart nearly always, and never opens more than its sender.
        (None, [1 | 2, kind @ 1..=3, answer, _]) => (kind, answer),
        (None, [kind @ 1..=3, answer, ..]) if bytes.len() == ANSWER => (kind, answer),
        _ => return None,
    };
    Some(Answer { kind: Kind::of(kind)?, success: answer == 0, address: placed(bytes, 8) })
}

fn placed(bytes: &[u8], at: usize) -> Option<Placed> {
    let family = u16::from_be_bytes(array(bytes, at)?);
    if family != INET && family != INET_SWAPPED {
        return None;
    }
    let port = u16::from_be_bytes(array(bytes, at + 2)?);
    let address = Ipv4Addr::from(array::<4>(bytes, at + 4)?);
    Some(Placed { socket: SocketAddrV4::new(address, port), place: at + 2..at + 8 })
}
