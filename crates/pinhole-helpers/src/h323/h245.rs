//! A conn that carries H.245 messages, and nothing else, in TPKT packets.

use super::announce::{Announcements, Ledger};
use super::control::{Channels, Message};
use super::errors::Errors;
use super::tpkt::PacketReader;
use pinhole_helper::{BlindReason, Context};
use pinhole_wire::Direction;
use serde::{Deserialize, Serialize};

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct ControlReader {
    channels: Channels,
    ledger: Ledger,
}

impl PacketReader for ControlReader {
    /// One message after the other, each from an octet of its own on (H.245 §A.1, H.323 §6.2.8).
    fn packet(
        &mut self,
        cx: &mut Context<'_>,
        from: Direction,
        packet: &[u8],
        base: usize,
        errors: &mut Errors,
    ) -> Result<(), BlindReason> {
        let mut at = 0;
        while let Some(rest) = packet.get(at..).filter(|rest| !rest.is_empty()) {
            let mut message = Message::default();
            let Ok(length) = message.read(rest, base + at) else {
                let span = cx.span(base + at, base + packet.len());
                return errors.malformed(cx, from, span);
            };
            errors.understood(from);
            let mut announcements = Announcements::new(cx, from, &mut self.ledger);
            self.channels.message(&mut announcements, 0, &message);
            at += length;
        }
        Ok(())
    }

    fn forget(&mut self) {
        self.channels = Channels::default();
    }
}
