//! pinhole-engine
#![forbid(unsafe_code)]
