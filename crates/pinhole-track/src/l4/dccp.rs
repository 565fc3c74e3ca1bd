//! DCCP (RFC 4340 §8): a client asks with Request, the server answers with Response, the client acknowledges.
//!
//! Roles belong to the ends, not to the conn's directions: after a conn is over, either end may open it anew. A packet that may open a conn
//! although ours seems to stand is let through; a Response to such a Request shows that the ends agree, and ours follows.

use super::{Invalid, L4Settings, Step};
use crate::timeouts::Timeout;
use crate::{Status, Timeouts};
use pinhole_wire::{Dccp as Header, Direction};
use serde::{Deserialize, Serialize};

/// State of a DCCP conn as netfilter names it (until Linux 6.16, which was the last to track DCCP).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DccpState {
    /// Nothing yet.
    None,
    /// Request sent.
    Request,
    /// Response sent.
    Respond,
    /// Response acknowledged by the client.
    Partopen,
    /// Acknowledged by the server, too.
    Open,
    /// The server wants the client to close.
    Closereq,
    /// Close sent.
    Closing,
    /// Reset sent.
    Timewait,
}

impl DccpState {
    /// The name that `conntrack` prints.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Request => "REQUEST",
            Self::Respond => "RESPOND",
            Self::Partopen => "PARTOPEN",
            Self::Open => "OPEN",
            Self::Closereq => "CLOSEREQ",
            Self::Closing => "CLOSING",
            Self::Timewait => "TIMEWAIT",
        }
    }

    /// Whether an end has begun to close: such a conn may be dropped early although assured.
    pub const fn is_closing(self) -> bool {
        matches!(self, Self::Closereq | Self::Closing | Self::Timewait)
    }

    /// The timeout of this state.
    pub const fn timeout(self) -> Timeout {
        match self {
            Self::None | Self::Request => Timeout::DccpRequest,
            Self::Respond => Timeout::DccpRespond,
            Self::Partopen => Timeout::DccpPartopen,
            Self::Open => Timeout::DccpOpen,
            Self::Closereq => Timeout::DccpClosereq,
            Self::Closing => Timeout::DccpClosing,
            Self::Timewait => Timeout::DccpTimewait,
        }
    }
}

/// Packet types (RFC 4340 §5.1).
mod kind {
    pub(super) const REQUEST: u8 = 0;
    pub(super) const RESPONSE: u8 = 1;
    pub(super) const DATA: u8 = 2;
    pub(super) const ACK: u8 = 3;
    pub(super) const DATA_ACK: u8 = 4;
    pub(super) const CLOSE_REQUEST: u8 = 5;
    pub(super) const CLOSE: u8 = 6;
    pub(super) const RESET: u8 = 7;
    pub(super) const SYNC: u8 = 8;
    pub(super) const SYNC_ACK: u8 = 9;
}

/// What a packet means in a state.
enum Move {
    To(DccpState),
    Ignore,
    Invalid,
}

/// State of a DCCP conn.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Dccp {
    /// Sequence number of the Response, which the client must acknowledge.
    response: u64,
    /// The direction in which the client sends.
    client: Direction,
    last_kind: u8,
    last_direction: Direction,
    state: DccpState,
}

impl Dccp {
    /// Judges a conn's first packet.
    ///
    /// # Errors
    /// It is neither a Request nor (with [`L4Settings::dccp_loose`]) a packet of an open conn.
    pub fn open(header: &Header, settings: &L4Settings) -> Result<Self, Invalid> {
        match from_client(header.kind, DccpState::None) {
            Move::To(DccpState::Request) => {}
            Move::To(_) if settings.dccp_loose => {}
            _ => return Err(Invalid::DccpOpen),
        }
        Ok(Self {
            response: 0,
            client: Direction::Original,
            last_kind: kind::REQUEST,
            last_direction: Direction::Original,
            state: DccpState::None,
        })
    }

    /// Its state.
    pub const fn state(&self) -> DccpState {
        self.state
    }

    pub(super) fn update(
        &mut self,
        header: &Header,
        direction: Direction,
        status: Status,
        timeouts: &Timeouts,
    ) -> Step {
        if header.kind == kind::RESET && !status.contains(Status::SEEN_REPLY) {
            // The first answer is a refusal: there never was a conn.
            return Step::Kill;
        }
        let old = self.state;
        let by_client = direction == self.client;
        let moved = if by_client { from_client(header.kind, old) } else { from_server(header.kind, old) };
        let mut assure = false;
        let new = match moved {
            Move::Invalid => return Step::Invalid(Invalid::DccpState),
            Move::Ignore if self.answers_ignored_request(header, direction) => {
                self.client = direction.opposite();
                self.response = header.sequence;
                DccpState::Respond
            }
            Move::Ignore => {
                (self.last_kind, self.last_direction) = (header.kind, direction);
                return Step::Ignore;
            }
            Move::To(new) => {
                match (old, new) {
                    // Opened anew by the former server.
                    (DccpState::Timewait, DccpState::Request) if !by_client => self.client = direction,
                    (DccpState::Request, DccpState::Respond) => self.response = header.sequence,
                    (DccpState::Respond, DccpState::Partopen) => {
                        assure = header.kind == kind::ACK && header.acknowledgement == Some(self.response);
                    }
                    _ => {}
                }
                new
            }
        };
        (self.last_kind, self.last_direction) = (header.kind, direction);
        self.state = new;
        assure &= !status.contains(Status::ASSURED);
        Step::Accept { timeout: timeouts[new.timeout()], assure, changed: new != old }
    }

    fn answers_ignored_request(&self, header: &Header, direction: Direction) -> bool {
        header.kind == kind::RESPONSE
            && self.last_kind == kind::REQUEST
            && self.last_direction == direction.opposite()
    }
}

fn from_client(kind: u8, state: DccpState) -> Move {
    use DccpState as S;
    match (kind, state) {
        (kind::REQUEST, S::None | S::Request | S::Timewait) => Move::To(S::Request),
        (kind::REQUEST, _) => Move::Ignore,
        // Perhaps the answer to a Request that was let through.
        (kind::RESPONSE, S::None | S::Timewait) => Move::Invalid,
        (kind::RESPONSE, _) => Move::Ignore,
        (kind::ACK | kind::DATA_ACK | kind::DATA, S::None) => Move::To(S::Open),
        (kind::ACK | kind::DATA_ACK, S::Respond) => Move::To(S::Partopen),
        // Until the server has answered, only DataAck will do (RFC 4340 §8.1.5).
        (kind::DATA, S::Respond | S::Partopen) => Move::Invalid,
        (kind::ACK | kind::DATA_ACK | kind::DATA, S::Request | S::Timewait) => Move::Invalid,
        (kind::ACK | kind::DATA_ACK | kind::DATA, _) => Move::To(state),
        (kind::CLOSE, S::Partopen | S::Open | S::Closereq | S::Closing) => Move::To(S::Closing),
        _ => from_either(kind, state),
    }
}

fn from_server(kind: u8, state: DccpState) -> Move {
    use DccpState as S;
    match (kind, state) {
        (_, S::None) => Move::Invalid,
        (kind::REQUEST, S::Timewait) => Move::To(S::Request),
        (kind::REQUEST, _) => Move::Ignore,
        (kind::RESPONSE, S::Request | S::Respond) => Move::To(S::Respond),
        (kind::RESPONSE, S::Timewait) => Move::Invalid,
        (kind::RESPONSE, _) => Move::Ignore,
        (kind::ACK | kind::DATA_ACK | kind::DATA, S::Partopen) => Move::To(S::Open),
        (kind::ACK | kind::DATA_ACK | kind::DATA, S::Open | S::Closereq | S::Closing) => Move::To(state),
        (kind::CLOSE_REQUEST, S::Partopen | S::Open | S::Closereq | S::Closing) => Move::To(S::Closereq),
        (kind::CLOSE, S::Partopen | S::Open | S::Closing) => Move::To(S::Closing),
        _ => from_either(kind, state),
    }
}

fn from_either(kind: u8, state: DccpState) -> Move {
    use DccpState as S;
    match (kind, state) {
        (_, S::None) => Move::Invalid,
        (kind::RESET, S::Timewait) => Move::Ignore,
        (kind::RESET, _) => Move::To(S::Timewait),
        (kind::SYNC | kind::SYNC_ACK, _) => Move::Ignore,
        _ => Move::Invalid,
    }
}
