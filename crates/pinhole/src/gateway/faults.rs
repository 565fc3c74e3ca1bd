//! `[faults]`: a wire that is worse than the real one, for tests of what runs through a gateway.

use pinhole_io::live::fault::Faults;
use serde::Deserialize;

/// `[faults]`: what happens to the frames that come in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct FaultsConfig {
    loss: Share,
    duplication: Share,
    corruption: Share,
    reordering: Share,
    hold_ms: u32,
    delay_ms: u32,
    seed: u64,
}

/// A part of all frames, from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(try_from = "f64")]
struct Share(f64);

impl TryFrom<f64> for Share {
    type Error = String;

    fn try_from(part: f64) -> Result<Self, String> {
        let is_part = (0.0..=1.0).contains(&part);
        if is_part { Ok(Self(part)) } else { Err(format!("{part} is not a part of all frames: 0.0 to 1.0")) }
    }
}

impl Share {
    fn parts_per_million(self) -> u32 {
        (self.0 * 1e6).round() as u32
    }
}

impl FaultsConfig {
    /// For one of the ports: each has its own chances.
    pub(super) fn of_port(&self, index: usize) -> (Faults, u64) {
        let nanoseconds = |milliseconds: u32| u64::from(milliseconds) * 1_000_000;
        let faults = Faults {
            loss: self.loss.parts_per_million(),
            duplication: self.duplication.parts_per_million(),
            corruption: self.corruption.parts_per_million(),
            reordering: self.reordering.parts_per_million(),
            hold: nanoseconds(self.hold_ms),
            delay: nanoseconds(self.delay_ms),
        };
        (faults, self.seed.wrapping_add(index as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_times() {
        let config: FaultsConfig = toml::from_str("loss = 0.01\nhold-ms = 5\nseed = 7\n").unwrap();
        let (faults, seed) = config.of_port(1);
        assert_eq!(faults, Faults { loss: 10_000, hold: 5_000_000, ..Faults::default() });
        assert_eq!(seed, 8);
        for wrong in ["loss = 1.5", "loss = -0.1", "loss = nan", "hold-ms = -1", "lost = 0.1"] {
            assert!(toml::from_str::<FaultsConfig>(wrong).is_err(), "{wrong}");
        }
    }
}
