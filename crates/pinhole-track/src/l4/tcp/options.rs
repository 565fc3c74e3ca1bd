//! The TCP options that tracking needs: window scale (RFC 7323 §2) and selective acknowledgement (RFC 2018).

/// Largest shift of the window scale option (RFC 7323 §2.3).
const MAX_SCALE: u8 = 14;

const END: u8 = 0;
const NO_OPERATION: u8 = 1;
const WINDOW_SCALE: u8 = 3;
const SACK_PERMITTED: u8 = 4;
const SACK: u8 = 5;

/// What a SYN announces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SynOptions {
    /// Window scale, at most 14.
    pub(super) scale: Option<u8>,
    /// SACK permitted.
    pub(super) sack: bool,
}

/// Reads the options of a SYN; what follows a malformed option is not read.
pub(super) fn of_syn(options: &[u8]) -> SynOptions {
    let mut found = SynOptions::default();
    for (kind, body) in Walk(options) {
        match (kind, body) {
            (WINDOW_SCALE, [scale]) => found.scale = Some((*scale).min(MAX_SCALE)),
            (SACK_PERMITTED, []) => found.sack = true,
            _ => {}
        }
    }
    found
}

/// The highest of `acknowledgement` and the right edges of the first SACK option.
pub(super) fn highest_sack(options: &[u8], acknowledgement: u32) -> u32 {
    // The bare timestamp option, aligned as RFC 7323 appendix A advises: nearly every segment of an open conn.
    if let [NO_OPERATION, NO_OPERATION, 8, 10, _, _, _, _, _, _, _, _] = options {
        return acknowledgement;
    }
    let is_sack = |(kind, body): &(u8, &[u8])| *kind == SACK && !body.is_empty() && body.len() % 8 == 0;
    let Some((_, blocks)) = Walk(options).find(is_sack) else {
        return acknowledgement;
    };
    blocks
        .chunks_exact(8)
        .filter_map(|block| block.last_chunk().copied().map(u32::from_be_bytes))
        .fold(acknowledgement, |highest, edge| if super::after(edge, highest) { edge } else { highest })
}

/// Walks kind-length-value options; ends at the first malformed one.
struct Walk<'a>(&'a [u8]);

impl<'a> Iterator for Walk<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match *self.0 {
                [] | [END, ..] => return None,
                [NO_OPERATION, ref rest @ ..] => self.0 = rest,
                [kind, length, ref rest @ ..] => {
                    let (body, rest) = rest.split_at_checked(usize::from(length).checked_sub(2)?)?;
                    self.0 = rest;
                    return Some((kind, body));
                }
                [_] => return None,
            }
        }
    }
}
