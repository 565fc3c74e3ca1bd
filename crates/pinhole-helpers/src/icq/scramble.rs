//! How clients of versions 4 and 5 scramble what they send, and the check codes from which the keys are made.
//!
//! | | version 4 | version 5 |
//! |---|---|---|
//! | check code at | 0x10 | 0x14, its bits shuffled |
//! | key | length · 0x66756b65 + check code | length · 0x68656c6c + check code |
//! | scrambled | the first quarter in words, without version and check code | from 0x0a on, without the check code |
//!
//! A word at offset `i` is XORed with the key plus byte `i` (modulo 256) of a table. A check code is made of four bytes of the plain
//! header, an offset into the packet and the byte there, an offset into the table and the byte there. All numbers are little-endian.

use crate::binary::array;

/// Which scrambling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Four,
    Five,
}

/// What check codes hide their second halves behind.
const MASK: u32 = 0x00ff_00ff;

/// Version 4's table: the program's tips of the day.
const TIPS: &[u8; 256] = b"\n[1] You can modify the sounds ICQ makes. Just select \"Sounds\" from the \"preferences/misc\" in \
ICQ or from the \"Sounds\" in the control panel. Credit: Eran\n[2] Can't remember what was said?  Double-click on a user to get a \
dialog of all messages sent incomin";

/// Version 5's table.
const TABLE: &[u8; 256] = b"Y`7kebFHSaLY`W[=^4m6P?ogSaLY@Gc9P__?oGCiH31d5ZJBV@gSA\x07lIX;MFhCiH31DebFHSA\x07liH3QT\
]NlI8KUJbFH3Q4m6P___?oGcY@g31d5ZjRn<Q4m6P__?O7K5ZJbfX;MfX[]NlIX;MfX;MFHSaLY@g31dUj2>DERn<1dUjRNliHSaL90oGcY`W[=>d5::ZjRN\
liHSalIX;MFhc9P__?ogSA%A<QT=^T]NL9P___?oGCiH3QT]n<1d5Z\0\0";

/// The bits of version 5's check code as they are sent: each group moves to the left by so many places (to the right, if negative).
const SHUFFLE: [(u32, i32); 5] =
    [(0x0000_001f, 12), (0x03e0_03e0, 1), (0xf800_0400, -10), (0x0000_f800, 16), (0x041f_0000, -15)];

impl Version {
    fn table(self) -> &'static [u8; 256] {
        match self {
            Self::Four => TIPS,
            Self::Five => TABLE,
        }
    }

    fn check_at(self) -> usize {
        match self {
            Self::Four => 0x10,
            Self::Five => 0x14,
        }
    }

    fn header(self) -> usize {
        self.check_at() + 4
    }

    fn key(self, length: usize, check: u32) -> u32 {
        let factor = match self {
            Self::Four => 0x6675_6b65,
            Self::Five => 0x6865_6c6c,
        };
        // Modulo 2^32, as the number in the packet is.
        (length as u32).wrapping_mul(factor).wrapping_add(check)
    }

    /// Offsets of the words that are scrambled, and how many bytes are.
    fn words(self, length: usize) -> impl Iterator<Item = usize> {
        let (start, end) = match self {
            Self::Four => (0, length.div_ceil(4)),
            Self::Five => (0x0a, length),
        };
        (start..end).step_by(4)
    }

    /// Whether the byte at an offset within a scrambled word is left alone.
    fn is_plain(self, at: usize) -> bool {
        let check = self.check_at();
        (check..check + 4).contains(&at) || (self == Self::Four && at < 2)
    }

    /// The check code of a packet, as it is used.
    fn check(self, packet: &[u8]) -> Option<u32> {
        let sent = u32::from_le_bytes(array(packet, self.check_at())?);
        Some(match self {
            Self::Four => sent,
            Self::Five => {
                SHUFFLE.iter().fold(0, |code, &(group, places)| code | moved(sent, -places) & group)
            }
        })
    }

    fn set_check(self, packet: &mut [u8], check: u32) {
        let sent = match self {
            Self::Four => check,
            Self::Five => {
                SHUFFLE.iter().fold(0, |sent, &(group, places)| sent | moved(check & group, places))
            }
        };
        let field = packet.get_mut(self.check_at()..).and_then(<[u8]>::first_chunk_mut);
        if let Some(field) = field {
            *field = sent.to_le_bytes();
        }
    }

    /// Scrambles, or unscrambles, a packet of some length, of which this is the beginning, with a check code.
    fn apply(self, packet: &mut [u8], length: usize, check: u32) {
        let (key, here) = (self.key(length, check), packet.len());
        for word in self.words(length).take_while(|word| *word < here) {
            let mask = key.wrapping_add(u32::from(self.table()[word & 0xff]));
            for (at, mask) in (word..).zip(mask.to_le_bytes()) {
                if let Some(byte) = packet.get_mut(at).filter(|_| !self.is_plain(at)) {
                    *byte ^= mask;
                }
            }
        }
    }
}

fn moved(bits: u32, places: i32) -> u32 {
    if places >= 0 { bits << places } else { bits >> -places }
}

/// Unscrambles the beginning of a client's packet of some length in place. `None`: it is shorter than a header.
pub(super) fn unscramble(version: Version, beginning: &mut [u8], length: usize) -> Option<()> {
    let check = version.check(beginning).filter(|_| beginning.len() >= version.header())?;
    version.apply(beginning, length, check);
    Some(())
}

/// Edits a scrambled packet: unscrambles it, lets `edit` change it, makes its check code anew if it was right before, and scrambles it
/// again. `None`: it is too short, or `edit` gives up; the packet is to be thrown away then.
pub(super) fn edited(
    version: Version,
    packet: &mut [u8],
    edit: impl FnOnce(&mut [u8]) -> Option<()>,
) -> Option<()> {
    let length = packet.len();
    unscramble(version, packet, length)?;
    let check = version.check(packet)?;
    let renewed = Check::of(version, packet, check);
    edit(packet)?;
    let check = renewed.map_or(check, |renewed| renewed.code(packet));
    version.set_check(packet, check);
    version.apply(packet, length, check);
    Some(())
}

/// The parts of a check code that was made by the rules.
struct Check {
    table_byte: u8,
    table_offset: u8,
    offset: u8,
}

impl Check {
    /// `None` if the code does not match the packet.
    fn of(version: Version, plain: &[u8], code: u32) -> Option<Self> {
        let [table_byte, table_offset, byte, offset] = (code ^ head(plain)? ^ MASK).to_le_bytes();
        let known = plain.get(usize::from(offset)) == Some(&byte);
        let right = known && version.table()[usize::from(table_offset)] == table_byte;
        right.then_some(Self { table_byte, table_offset, offset })
    }

    fn code(&self, plain: &[u8]) -> u32 {
        let byte = plain.get(usize::from(self.offset)).copied().unwrap_or_default();
        let tail = u32::from_le_bytes([self.table_byte, self.table_offset, byte, self.offset]);
        head(plain).unwrap_or_default() ^ tail ^ MASK
    }
}

/// The half of a check code that is made of the header.
fn head(plain: &[u8]) -> Option<u32> {
    let [_, _, two, _, four, _, six, _, eight] = array(plain, 0)?;
    Some(u32::from_be_bytes([eight, four, two, six]))
}

/// Gives a plain packet a check code about the bytes at two offsets, of itself and of the table, and scrambles it, as clients do.
#[cfg(test)]
pub(super) fn seal(version: Version, packet: &mut [u8], offset: u8, table_offset: u8) {
    // The code itself is not there yet when it is made, and never written over while it is read.
    let check = Check { table_byte: version.table()[usize::from(table_offset)], table_offset, offset };
    let code = check.code(packet);
    seal_with(version, packet, code);
}

/// Scrambles a plain packet with a check code.
#[cfg(test)]
pub(super) fn seal_with(version: Version, packet: &mut [u8], code: u32) {
    let length = packet.len();
    version.set_check(packet, code);
    version.apply(packet, length, code);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tables() {
        // The ends that the published tables have.
        assert_eq!((TABLE[0], TABLE[53], TABLE[253], TABLE[255]), (0x59, 0x07, 0x5a, 0));
        assert_eq!((TIPS[0], TIPS[255]), (0x0a, b'n'));
    }

    #[test]
    fn shuffling_moves_every_bit_once() {
        assert_eq!(SHUFFLE.iter().fold(0, |bits, (group, _)| bits ^ group), u32::MAX);
        let mut seen = 0u32;
        for bit in 0..32 {
            let mut packet = [0; 0x18];
            Version::Five.set_check(&mut packet, 1 << bit);
            seen |= u32::from_le_bytes(array(&packet, 0x14).unwrap());
            assert_eq!(Version::Five.check(&packet), Some(1 << bit));
        }
        assert_eq!(seen, u32::MAX);
    }

    proptest! {
        #[test]
        fn twice_is_as_it_was(four in any::<bool>(), packet in prop::collection::vec(any::<u8>(), 0..120)) {
            let version = if four { Version::Four } else { Version::Five };
            let mut twice = packet.clone();
            let length = packet.len();
            let done = unscramble(version, &mut twice, length).and_then(|()| unscramble(version, &mut twice, length));
            prop_assert_eq!(done.is_some(), packet.len() >= version.header());
            prop_assert_eq!(&twice, &packet);
            // Without a change, editing changes nothing.
            let _ = edited(version, &mut twice, |_| Some(()));
            prop_assert_eq!(&twice, &packet);
        }
    }
}
