//! CRC32c (Castagnoli), the checksum of SCTP (RFC 9260 appendix A), eight bytes a step.

/// The polynomial, bits reflected.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// `TABLES[n][b]` is the remainder of byte `b` followed by `n` zero bytes.
static TABLES: [[u32; 256]; 8] = tables();

const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0u32; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut remainder = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            remainder = if remainder & 1 != 0 { remainder >> 1 ^ POLYNOMIAL } else { remainder >> 1 };
            bit += 1;
        }
        tables[0][byte] = remainder;
        byte += 1;
    }
    let mut zeros = 1;
    while zeros < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[zeros - 1][byte];
            tables[zeros][byte] = before >> 8 ^ tables[0][(before & 0xff) as usize];
            byte += 1;
        }
        zeros += 1;
    }
    tables
}

/// The CRC32c of `parts`, one after the other.
#[must_use]
pub fn crc32c(parts: &[&[u8]]) -> u32 {
    !parts.iter().fold(!0, |remainder, part| update(remainder, part))
}

fn update(mut remainder: u32, bytes: &[u8]) -> u32 {
    let (blocks, tail) = bytes.as_chunks::<8>();
    for block in blocks {
        let block = u64::from_le_bytes(*block) ^ u64::from(remainder);
        remainder = 0;
        for (table, byte) in TABLES.iter().rev().zip(block.to_le_bytes()) {
            remainder ^= table[usize::from(byte)];
        }
    }
    for &byte in tail {
        let [low, ..] = (remainder ^ u32::from(byte)).to_le_bytes();
        remainder = remainder >> 8 ^ TABLES[0][usize::from(low)];
    }
    remainder
}
