//! Exit codes; `docs/exit-codes.md` describes them.

/// All went well.
pub const OK: u8 = 0;
/// A capture could not be read, or not to its end. Results up to there are shown.
pub const INPUT: u8 = 1;
/// The command line is wrong.
pub const USAGE: u8 = 2;
/// The ruleset is wrong, or a helper of a file.
pub const RULESET: u8 = 3;
/// What `--fail-on` names has happened.
pub const FAILED_ON: u8 = 4;
/// Output could not be written.
pub const OUTPUT: u8 = 5;
/// A gateway cannot start, does not answer, or refuses.
pub const GATEWAY: u8 = 6;
