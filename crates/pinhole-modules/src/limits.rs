//! What a module may use.

/// Bounds of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the file.
    pub file: usize,
    /// Fuel of one call: an operator each, counted by the block, so that code which is jumped over may count, too.
    pub fuel: u64,
    /// Fuel besides for each byte that is shown to a call: a superframe may hold thousands of lines.
    pub fuel_per_byte: u64,
    /// Bytes of memory of an instance.
    pub memory: usize,
    /// Bytes of the value stack.
    pub stack: usize,
    /// Calls deep.
    pub depth: usize,
    /// Bytes that a session remembers.
    pub state: usize,
    /// Requests of one call.
    pub records: usize,
    /// Bytes that replace one field.
    pub replacement: usize,
    /// Faults, in all sessions together, after which the module is quarantined.
    pub faults: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file: 4 << 20,
            fuel: 1_000_000,
            fuel_per_byte: 1000,
            memory: 4 << 20,
            stack: 512 << 10,
            depth: 512,
            state: 64 << 10,
            records: pinhole_abi::record::MOST,
            replacement: 512,
            faults: 16,
        }
    }
}

/// Longest time that a module may ask for, in seconds: a day.
pub(crate) const LONGEST_TIME: u32 = 86_400;
