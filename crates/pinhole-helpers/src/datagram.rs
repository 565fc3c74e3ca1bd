//! What sessions of datagram protocols share.

use pinhole_helper::{Context, Span};

/// Longest run of bytes of a refused datagram that is kept.
const QUOTED: usize = 64;

/// The span of a datagram's beginning, to tell what was refused.
pub(crate) fn head(cx: &Context<'_>, bytes: &[u8]) -> Span {
    cx.span(0, bytes.len().min(QUOTED))
}
