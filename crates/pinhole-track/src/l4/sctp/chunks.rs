//! The chunks of an SCTP packet (RFC 9260 §3.2).

use crate::l4::{Invalid, View};

/// What tracking tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Chunk {
    Data,
    Init,
    InitAck,
    Heartbeat,
    HeartbeatAck,
    Abort,
    Shutdown,
    ShutdownAck,
    Error,
    CookieEcho,
    CookieAck,
    ShutdownComplete,
    /// SACK and all others: no concern of the association's state.
    Other,
}

impl Chunk {
    /// By the chunk type (RFC 9260 §3.2, table 1).
    const fn of(kind: u8) -> Self {
        match kind {
            0 => Self::Data,
            1 => Self::Init,
            2 => Self::InitAck,
            4 => Self::Heartbeat,
            5 => Self::HeartbeatAck,
            6 => Self::Abort,
            7 => Self::Shutdown,
            8 => Self::ShutdownAck,
            9 => Self::Error,
            10 => Self::CookieEcho,
            11 => Self::CookieAck,
            14 => Self::ShutdownComplete,
            _ => Self::Other,
        }
    }

    /// Whether it can change the association's state.
    pub(super) const fn is_control(self) -> bool {
        !matches!(self, Self::Data | Self::Other)
    }

    /// INIT, INIT ACK and SHUTDOWN COMPLETE must not be bundled (RFC 9260 §6.10).
    const fn stands_alone(self) -> bool {
        matches!(self, Self::Init | Self::InitAck | Self::ShutdownComplete)
    }

    /// COOKIE ECHO and COOKIE ACK must come first (RFC 9260 §5.1).
    const fn comes_first(self) -> bool {
        matches!(self, Self::CookieEcho | Self::CookieAck)
    }
}

/// One chunk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    pub(super) kind: Chunk,
    /// The T bit of ABORT and SHUTDOWN COMPLETE: the verification tag is the sender's own.
    pub(super) reflects_tag: bool,
    /// The initiate tag of INIT and INIT ACK, if their fixed part (RFC 9260 §3.3.2) is there.
    pub(super) initiate_tag: Option<u32>,
    /// As it stands in the header.
    length: u16,
}

/// Walks the chunks of a packet as far as present; every step takes at least four bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunks<'a>(&'a [u8]);

impl<'a> Chunks<'a> {
    pub(super) fn of(view: &View<'a>) -> Self {
        Self(view.packet.payload_bytes(view.bytes))
    }

    /// Checks how the chunks are bundled, and notes which there are.
    pub(super) fn check(self) -> Result<Seen, Invalid> {
        let mut seen = Seen(0);
        let mut alone = false;
        for (index, item) in self.enumerate() {
            alone |= item.kind.stands_alone();
            if item.length == 0 || (index > 0 && (alone || item.kind.comes_first())) {
                return Err(Invalid::SctpChunks);
            }
            seen.0 |= 1 << item.kind as u16;
        }
        if seen.0 == 0 { Err(Invalid::SctpChunks) } else { Ok(seen) }
    }
}

impl Iterator for Chunks<'_> {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        let ([kind, flags, high, low], value) = self.0.split_first_chunk()?;
        let length = u16::from_be_bytes([*high, *low]);
        // Chunks are padded to four bytes; the length does not count the padding.
        self.0 = self.0.get(usize::from(length).next_multiple_of(4).max(4)..).unwrap_or_default();
        Some(Item {
            kind: Chunk::of(*kind),
            reflects_tag: flags & 1 != 0,
            initiate_tag: value.first_chunk::<16>().map(|v| u32::from_be_bytes([v[0], v[1], v[2], v[3]])),
            length,
        })
    }
}

/// The kinds of chunk in a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen(u16);

impl Seen {
    pub(super) const fn has(self, kind: Chunk) -> bool {
        self.0 & 1 << kind as u16 != 0
    }

    /// Whether a chunk has its own rule for the verification tag (RFC 9260 §8.5.1), or may come out of the blue.
    pub(super) const fn has_own_tag_rule(self) -> bool {
        self.has(Chunk::Init)
            || self.has(Chunk::ShutdownComplete)
            || self.has(Chunk::CookieEcho)
            || self.has(Chunk::Abort)
            || self.has(Chunk::ShutdownAck)
            || self.has(Chunk::Heartbeat)
            || self.has(Chunk::HeartbeatAck)
    }
}
