//! One direction of a TCP conn as a helper reads it: bytes in order, once, however they were cut into segments.

/// In-order view of one direction of a TCP conn.
#[derive(Debug, Default)]
pub struct Stream {}
