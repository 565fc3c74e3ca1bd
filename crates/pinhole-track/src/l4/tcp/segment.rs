//! One TCP segment, reduced to what tracking needs.

use super::states::TcpKind;
use pinhole_wire::{Tcp as Header, TcpFlags, TcpOptions};

/// A segment with legal flags.
#[derive(Clone, Debug)]
pub(super) struct Segment<'a> {
    pub(super) kind: TcpKind,
    pub(super) sequence: u32,
    /// Sequence number after the last one that this segment occupies (SYN and FIN occupy one each).
    pub(super) end: u32,
    pub(super) acknowledgement: u32,
    /// Unscaled.
    pub(super) window: u16,
    pub(super) has_ack: bool,
    pub(super) has_options: bool,
    pub(super) options: TcpOptions<'a>,
}

impl<'a> Segment<'a> {
    /// `kind` is that of the header's flags.
    #[inline(always)]
    pub(super) fn of(kind: TcpKind, header: &Header, options: TcpOptions<'a>) -> Self {
        let is_syn = matches!(kind, TcpKind::Syn | TcpKind::SynAck);
        let occupied = header.payload_length + u32::from(is_syn) + u32::from(kind == TcpKind::Fin);
        Self {
            kind,
            sequence: header.sequence,
            end: header.sequence.wrapping_add(occupied),
            acknowledgement: header.acknowledgement,
            window: header.window,
            has_ack: match kind {
                TcpKind::Syn => false,
                TcpKind::SynAck | TcpKind::Fin | TcpKind::Ack => true,
                TcpKind::Rst => header.flags.contains(TcpFlags::ACK),
            },
            has_options: header.header_length > 20,
            options,
        }
    }

    #[inline]
    pub(super) fn is_syn(&self) -> bool {
        matches!(self.kind, TcpKind::Syn | TcpKind::SynAck)
    }
}
