//! pinhole-helpers
#![forbid(unsafe_code)]
