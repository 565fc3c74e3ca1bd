//! pinhole-ruleset
#![forbid(unsafe_code)]
