//! pinhole-io
#![forbid(unsafe_code)]
