//! The exchange block, and the functions of a module.

use crate::bytes::{put, word};

/// Bytes of the block.
pub const SIZE: usize = 64;

/// Least capacity of the input area.
pub const LEAST_INPUT: u32 = 4096;
/// Greatest capacity of the input area, and of the state area.
pub const GREATEST_AREA: u32 = 1 << 20;
/// Least capacity of the output area.
pub const LEAST_OUTPUT: u32 = 1024;
/// Greatest capacity of the output area.
pub const GREATEST_OUTPUT: u32 = 256 << 10;

/// What stands for the longest message if a module leaves the field zero.
pub const LONGEST_MESSAGE: u32 = 8192;

/// Offsets of the fields that change from call to call.
pub mod offset {
    /// Bytes of the state area in use.
    pub const STATE_LENGTH: usize = 28;
    /// Bytes of answer in the output area.
    pub const OUTPUT_LENGTH: usize = 32;
    /// Longest message that a session waits for.
    pub const LONGEST_MESSAGE: usize = 36;
    /// Arrival of the packet.
    pub const NOW: usize = 40;
    /// Stream offset of the input.
    pub const STREAM_OFFSET: usize = 48;
}

/// A part of a module's memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Area {
    /// Address of its first byte.
    pub address: u32,
    /// Its size.
    pub capacity: u32,
}

/// The fields that a module writes once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Areas {
    /// What the host shows.
    pub input: Area,
    /// What the module answers.
    pub output: Area,
    /// What a session remembers.
    pub state: Area,
}

/// Why a module's block is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadAreas {
    /// It is of another version of the interface.
    Version(u32),
    /// The block or an area lies outside the memory, is too small, too large, or not aligned.
    Place(&'static str),
    /// Two of them overlap.
    Overlap,
}

impl core::fmt::Display for BadAreas {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Version(version) => {
                write!(f, "its exchange block is of version {version}, this host's of {}", crate::VERSION)
            }
            Self::Place(what) => {
                write!(f, "its {what} lies outside its memory, or has a size that is not allowed")
            }
            Self::Overlap => f.write_str("its areas overlap"),
        }
    }
}

impl core::error::Error for BadAreas {}

impl Areas {
    /// Reads the block at `address` of a module's memory, and checks it.
    ///
    /// # Errors
    /// It is not as the interface demands.
    pub fn read(memory: &[u8], address: u32) -> Result<Self, BadAreas> {
        let size = memory.len() as u64;
        let fits = |area: Area| u64::from(area.address) + u64::from(area.capacity) <= size;
        let block = Area { address, capacity: SIZE as u32 };
        if !fits(block) || !address.is_multiple_of(8) {
            return Err(BadAreas::Place("exchange block"));
        }
        let bytes = memory.get(address as usize..).unwrap_or_default();
        let version = word(bytes, 0);
        if version != crate::VERSION {
            return Err(BadAreas::Version(version));
        }
        let area = |at| Area { address: word(bytes, at), capacity: word(bytes, at + 4) };
        let areas = Self { input: area(4), output: area(12), state: area(20) };
        let allowed = [
            ("input area", areas.input, LEAST_INPUT..=GREATEST_AREA, 1),
            ("output area", areas.output, LEAST_OUTPUT..=GREATEST_OUTPUT, 4),
            ("state area", areas.state, 0..=GREATEST_AREA, 1),
        ];
        for (what, area, sizes, alignment) in allowed {
            if !fits(area) || !sizes.contains(&area.capacity) || !area.address.is_multiple_of(alignment) {
                return Err(BadAreas::Place(what));
            }
        }
        let mut all = [block, areas.input, areas.output, areas.state];
        all.sort_unstable_by_key(|area| area.address);
        let apart = |pair: &[Area]| match pair {
            [first, second] => {
                u64::from(first.address) + u64::from(first.capacity) <= u64::from(second.address)
            }
            _ => true,
        };
        if all.windows(2).all(apart) { Ok(areas) } else { Err(BadAreas::Overlap) }
    }

    /// Writes the fields that a module writes once into its block.
    pub fn write(&self, block: &mut [u8]) {
        put(block, 0, &crate::VERSION.to_le_bytes());
        for (at, area) in [(4, self.input), (12, self.output), (20, self.state)] {
            put(block, at, &area.address.to_le_bytes());
            put(block, at + 4, &area.capacity.to_le_bytes());
        }
    }
}

/// A function that a module exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Function {
    /// Where the exchange block is.
    Exchange,
    /// A session begins.
    Attach,
    /// Bytes are read.
    Read,
    /// A conn is picked up in mid-stream.
    PickUp,
    /// Bytes are lost.
    Resynchronise,
    /// Whether an incomplete message may hold an announcement.
    MayAnnounce,
    /// The state area is as it was before the host was restarted.
    Restore,
    /// An endpoint is written.
    Encode,
}

impl Function {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Exchange,
        Self::Attach,
        Self::Read,
        Self::PickUp,
        Self::Resynchronise,
        Self::MayAnnounce,
        Self::Restore,
        Self::Encode,
    ];

    /// The name of its export.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exchange => "pinhole_exchange",
            Self::Attach => "pinhole_attach",
            Self::Read => "pinhole_read",
            Self::PickUp => "pinhole_pick_up",
            Self::Resynchronise => "pinhole_resynchronise",
            Self::MayAnnounce => "pinhole_may_announce",
            Self::Restore => "pinhole_restore",
            Self::Encode => "pinhole_encode",
        }
    }

    /// How many numbers it takes, all of them `i32`.
    pub const fn parameters(self) -> usize {
        match self {
            Self::Exchange | Self::Attach | Self::Restore => 0,
            Self::PickUp | Self::Resynchronise => 1,
            Self::Read | Self::MayAnnounce => 2,
            Self::Encode => 3,
        }
    }

    /// Whether it returns an `i64`; the others return an `i32`.
    pub const fn returns_long(self) -> bool {
        matches!(self, Self::Read)
    }

    /// 0 to 7.
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// What `pinhole_read` returns.
pub mod progress {
    use pinhole_helper::Progress;

    /// Packs it.
    pub fn pack(progress: Progress) -> i64 {
        let (upper, lower) = match progress {
            Progress::Consumed(count) => (0, u32::try_from(count).unwrap_or(u32::MAX)),
            Progress::Blind(reason) => (1, crate::number::of_blind(reason)),
            Progress::Done => (2, 0),
        };
        upper << 32 | i64::from(lower)
    }

    /// Unpacks it. `None`: it means nothing, or more was consumed than shown.
    pub fn unpack(packed: i64, shown: usize) -> Option<Progress> {
        // The lower half, whatever the upper one is.
        let lower = packed as u32;
        match (packed >> 32, lower) {
            (0, count) => Some(count as usize).filter(|&count| count <= shown).map(Progress::Consumed),
            (1, reason) => crate::number::blind(reason).map(Progress::Blind),
            (2, 0) => Some(Progress::Done),
            _ => None,
        }
    }
}
