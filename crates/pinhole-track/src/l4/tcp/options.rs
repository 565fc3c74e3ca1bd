//! The TCP options that tracking needs: window scale (RFC 7323 §2) and selective acknowledgement (RFC 2018).

use super::after;
use pinhole_wire::{TcpOption, TcpOptions};

/// Largest shift of the window scale option (RFC 7323 §2.3).
pub(super) const MAX_SCALE: u8 = 14;

/// What a SYN announces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SynOptions {
    /// Window scale, at most 14.
    pub(super) scale: Option<u8>,
    /// SACK permitted.
    pub(super) sack: bool,
}

/// Reads the options of a SYN.
pub(super) fn of_syn(options: &TcpOptions<'_>) -> SynOptions {
    let mut found = SynOptions::default();
    for option in options.clone() {
        if let Some(scale) = option.window_scale() {
            found.scale = Some(scale.min(MAX_SCALE));
        }
        found.sack |= option.is_sack_permitted();
    }
    found
}

/// The highest of `acknowledgement` and the right edges of the first SACK option.
#[inline]
pub(super) fn highest_sack(mut options: TcpOptions<'_>, acknowledgement: u32) -> u32 {
    if options.only_timestamps().is_some() {
        return acknowledgement;
    }
    let whole_blocks =
        |option: &TcpOption<'_>| option.data.len().is_multiple_of(8) && option.sack_blocks().next().is_some();
    let Some(sack) = options.find(whole_blocks) else {
        return acknowledgement;
    };
    let later = |highest, (_, right)| if after(right, highest) { right } else { highest };
    sack.sack_blocks().fold(acknowledgement, later)
}
