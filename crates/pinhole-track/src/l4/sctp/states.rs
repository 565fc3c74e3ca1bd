//! Which chunk leads from which state to which.

use super::chunks::Chunk;
use crate::timeouts::Timeout;
use pinhole_wire::Direction;
use serde::{Deserialize, Serialize};

/// State of an association's path as netfilter names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SctpState {
    /// Nothing yet.
    None,
    /// INIT sent, or over.
    Closed,
    /// INIT ACK seen.
    CookieWait,
    /// COOKIE ECHO seen.
    CookieEchoed,
    /// COOKIE ACK or HEARTBEAT ACK seen.
    Established,
    /// SHUTDOWN in original direction.
    ShutdownSent,
    /// SHUTDOWN in reply direction.
    ShutdownRecd,
    /// SHUTDOWN ACK seen.
    ShutdownAckSent,
    /// A path that opens with HEARTBEAT.
    HeartbeatSent,
}

impl SctpState {
    /// The name that `conntrack` prints.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Closed => "CLOSED",
            Self::CookieWait => "COOKIE_WAIT",
            Self::CookieEchoed => "COOKIE_ECHOED",
            Self::Established => "ESTABLISHED",
            Self::ShutdownSent => "SHUTDOWN_SENT",
            Self::ShutdownRecd => "SHUTDOWN_RECD",
            Self::ShutdownAckSent => "SHUTDOWN_ACK_SENT",
            Self::HeartbeatSent => "HEARTBEAT_SENT",
        }
    }

    /// Whether the association is being shut down, or not yet up: it may be dropped early although assured.
    pub const fn is_closing(self) -> bool {
        matches!(self, Self::ShutdownSent | Self::ShutdownRecd | Self::ShutdownAckSent)
    }

    /// The timeout of this state.
    pub const fn timeout(self) -> Timeout {
        match self {
            Self::None | Self::Closed => Timeout::SctpClosed,
            Self::CookieWait => Timeout::SctpCookieWait,
            Self::CookieEchoed => Timeout::SctpCookieEchoed,
            Self::Established => Timeout::SctpEstablished,
            Self::ShutdownSent => Timeout::SctpShutdownSent,
            Self::ShutdownRecd => Timeout::SctpShutdownRecd,
            Self::ShutdownAckSent => Timeout::SctpShutdownAckSent,
            Self::HeartbeatSent => Timeout::SctpHeartbeatSent,
        }
    }
}

impl SctpState {
    /// The state after a chunk; `None` if the chunk cannot occur.
    pub(super) const fn next(self, direction: Direction, chunk: Chunk) -> Option<Self> {
        match (direction, self) {
            (_, _) if !chunk.is_control() => Some(self),
            (Direction::Original, Self::None) => Some(self.opened_by(chunk)),
            (Direction::Original, Self::HeartbeatSent) => Some(self.path_original(chunk)),
            (Direction::Original, _) => Some(self.original(chunk)),
            // A conn is never without a first packet in original direction.
            (Direction::Reply, Self::None) => None,
            (Direction::Reply, Self::HeartbeatSent) => self.path_reply(chunk),
            (Direction::Reply, _) => Some(self.reply(chunk)),
        }
    }

    const fn opened_by(self, chunk: Chunk) -> Self {
        match chunk {
            Chunk::ShutdownAck => Self::ShutdownAckSent,
            Chunk::Heartbeat => Self::HeartbeatSent,
            _ => Self::Closed,
        }
    }

    /// The end that sent the first HEARTBEAT of a path.
    const fn path_original(self, chunk: Chunk) -> Self {
        match chunk {
            Chunk::Init => Self::CookieWait,
            Chunk::ShutdownAck => Self::ShutdownAckSent,
            Chunk::Heartbeat | Chunk::HeartbeatAck => self,
            _ => Self::Closed,
        }
    }

    /// The end that is to answer it.
    const fn path_reply(self, chunk: Chunk) -> Option<Self> {
        match chunk {
            Chunk::HeartbeatAck => Some(Self::Established),
            Chunk::Heartbeat => Some(self),
            Chunk::Abort => Some(Self::Closed),
            _ => None,
        }
    }

    const fn original(self, chunk: Chunk) -> Self {
        match (chunk, self) {
            (Chunk::Abort, _) => Self::Closed,
            (Chunk::Init, Self::ShutdownSent | Self::ShutdownRecd) => Self::Closed,
            (Chunk::Shutdown, Self::Established) => Self::ShutdownSent,
            (Chunk::CookieEcho, Self::CookieWait) => Self::CookieEchoed,
            (Chunk::CookieAck, Self::CookieEchoed) => Self::Established,
            _ => self.shutting_down(chunk),
        }
    }

    const fn reply(self, chunk: Chunk) -> Self {
        match (chunk, self) {
            (Chunk::Abort, _) => Self::Closed,
            (Chunk::InitAck, Self::Closed) => Self::CookieWait,
            (Chunk::Shutdown, Self::Established) => Self::ShutdownRecd,
            // The cookie was stale (RFC 9260 §5.2.6).
            (Chunk::Error, Self::CookieEchoed) => Self::Closed,
            // Both ends have sent INIT, and this one echoes first.
            (Chunk::CookieEcho, Self::CookieWait) => Self::CookieEchoed,
            (Chunk::CookieAck, Self::CookieEchoed) => Self::Established,
            _ => self.shutting_down(chunk),
        }
    }

    /// The same both ways.
    const fn shutting_down(self, chunk: Chunk) -> Self {
        match (chunk, self) {
            (Chunk::ShutdownAck, Self::ShutdownSent | Self::ShutdownRecd) => Self::ShutdownAckSent,
            (Chunk::ShutdownComplete, Self::ShutdownAckSent) => Self::Closed,
            _ => self,
        }
    }
}
