//! SACK blocks inside a TCP header.

use super::Ledger;
use super::ledger::after;

const END_OF_LIST: u8 = 0;
const NO_OPERATION: u8 = 1;
const SACK: u8 = 5;
/// Two edges of four bytes (RFC 2018 §3).
const BLOCK: usize = 8;

/// Translates the blocks of every SACK option in `options` to the numbers of the sender that they are for. The length of `options`
/// does not change: no-operations fill the place of blocks of which nothing is left.
pub(crate) fn translate_sack(options: &mut [u8], acknowledged: &Ledger) {
    for_each_sack(options, |edges| {
        [acknowledged.original_ceiling(edges[0]), acknowledged.original(edges[1])]
    });
}

/// The other way round: from the numbers of the sender to those of the receiver.
pub(crate) fn translate_sack_to_edited(options: &mut [u8], acknowledged: &Ledger) {
    for_each_sack(options, |edges| [acknowledged.edited_ceiling(edges[0]), acknowledged.edited(edges[1])]);
}

fn for_each_sack(mut options: &mut [u8], translate: impl Fn([u32; 2]) -> [u32; 2]) {
    loop {
        let step = match *options {
            [NO_OPERATION, ..] => 1,
            [kind, length, ..] if kind != END_OF_LIST && length >= 2 => usize::from(length),
            _ => return,
        };
        let Some((option, rest)) = std::mem::take(&mut options).split_at_mut_checked(step) else { return };
        if option.first() == Some(&SACK) {
            translate_option(option, &translate);
        }
        options = rest;
    }
}

fn translate_option(option: &mut [u8], translate: &impl Fn([u32; 2]) -> [u32; 2]) {
    let Some((head, data)) = option.split_first_chunk_mut::<2>() else { return };
    let mut kept = 0;
    let mut at = 0;
    while let Some(block) = data.get(at..).and_then(<[u8]>::first_chunk::<BLOCK>) {
        at += BLOCK;
        let [a, b, c, d, e, f, g, h] = *block;
        let [left, right] = translate([u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h])]);
        if !after(right, left) {
            continue;
        }
        if let Some(place) = data.get_mut(kept..).and_then(<[u8]>::first_chunk_mut::<BLOCK>) {
            let ([a, b, c, d], [e, f, g, h]) = (left.to_be_bytes(), right.to_be_bytes());
            *place = [a, b, c, d, e, f, g, h];
        }
        kept += BLOCK;
    }
    if kept == at {
        return;
    }
    // An option whose length is odd loses its tail as well: it was no block.
    data.get_mut(kept..).unwrap_or_default().fill(NO_OPERATION);
    match kept {
        0 => *head = [NO_OPERATION; 2],
        // At most 40 bytes of options.
        _ => head[1] = (kept + 2) as u8,
    }
}
