//! The options of a pcapng interface description that matter here: its name, and how its time stamps count.

use pinhole_wire::Time;

use super::error::Problem;
use super::order::ByteOrder;

/// Option codes (draft-ietf-opsawg-pcapng §3.5, §4.2).
const END_OF_OPTIONS: u16 = 0;
const NAME: u16 = 2;
const TIME_RESOLUTION: u16 = 9;
const TIME_OFFSET: u16 = 14;

/// Most bytes of an interface's name that are kept.
const NAME_LIMIT: usize = 255;

/// What an interface's options say.
pub(super) struct Description {
    pub(super) name: Option<String>,
    pub(super) clock: Clock,
}

impl Description {
    /// Reads the options that follow an interface description's fixed part.
    pub(super) fn read(mut options: &[u8], order: ByteOrder) -> Result<Self, Problem> {
        let mut description = Self { name: None, clock: Clock::default() };
        while let Some((&[c0, c1, l0, l1], rest)) = options.split_first_chunk() {
            let (code, length) = (order.u16([c0, c1]), order.u16([l0, l1]));
            if code == END_OF_OPTIONS {
                break;
            }
            let Some(value) = rest.get(..usize::from(length)) else {
                return Err(Problem::Option { code, length });
            };
            match (code, value) {
                (NAME, _) => description.name = Some(name(value)),
                (TIME_RESOLUTION, &[resolution]) => description.clock.resolution = resolution,
                (TIME_OFFSET, _) => {
                    if let Some(seconds) = value.first_chunk() {
                        description.clock.offset = order.i64(*seconds);
                    }
                }
                _ => {}
            }
            options = rest.get(usize::from(length).next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(description)
    }
}

fn name(value: &[u8]) -> String {
    let kept = value.get(..NAME_LIMIT).unwrap_or(value);
    String::from_utf8_lossy(kept).trim_end_matches('\0').to_owned()
}

/// How an interface's time stamps count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    /// `if_tsresol`: ticks per second are 2^n if the upper bit is set, otherwise 10^n.
    pub(super) resolution: u8,
    /// `if_tsoffset`: seconds to add.
    pub(super) offset: i64,
}

impl Default for Clock {
    /// Microseconds since the epoch.
    fn default() -> Self {
        Self { resolution: 6, offset: 0 }
    }
}

impl Clock {
    /// The time of a stamp; what lies outside the range of [`Time`] becomes its nearest end.
    #[inline]
    pub(super) fn time(self, ticks: u64) -> Time {
        match (self.resolution, self.offset) {
            (6, 0) => Time(ticks.saturating_mul(1_000)),
            (9, 0) => Time(ticks),
            _ => self.scaled(ticks),
        }
    }

    fn scaled(self, ticks: u64) -> Time {
        const NANOS: u128 = 1_000_000_000;
        let exponent = u32::from(self.resolution & 0x7f);
        let ticks = u128::from(ticks);
        let nanos = if self.resolution & 0x80 == 0 {
            // Beyond 10^38 ticks a second, no 64-bit stamp reaches a nanosecond.
            10u128.checked_pow(exponent).map_or(0, |per_second| ticks * NANOS / per_second)
        } else {
            (ticks * NANOS) >> exponent
        };
        // At most 2^64 · 10^9 < 2^94 and 2^63 · 10^9: both fit, and so does their sum.
        let total = nanos as i128 + i128::from(self.offset) * NANOS as i128;
        Time(u64::try_from(total).unwrap_or(if total < 0 { 0 } else { u64::MAX }))
    }
}
