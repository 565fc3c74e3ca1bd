//! Port allocation that takes the same time however full the pool is.
//!
//! A [`PortPool`] holds the ports that are in use on one address for one protocol and, if the caller wants a port to serve several
//! destinations (netfilter's default), one destination. It starts as a short sorted list, for most destinations see few conns, and
//! becomes a bitmap of 8 KiB ([`bitmap`](self)) when that list is full; it stays one until it is empty again.
//!
//! Even and odd ports have a bitmap each, so that keeping the parity (RFC 4787 §4.2.2) is no slower. Each has a word for every 64
//! words that says which are full: finding the next free port looks at one word of ports, and at most nine words of summary.
//!
//! # What is chosen
//! [`PortPool::take`] serves a [`Request`]: the wished-for port if it is free and in range ([`Order::Preserve`]), else the next
//! free one after a start that the caller draws (there is no randomness here), going round the range once. If the whole range is in
//! use the answer is [`Exhausted`], after the same work.
//!
//! # Ranges
//! Without a range of its own, a mapping stays in the class of the original port as in netfilter ([`default_range`]). A port block
//! (a run of ports that belongs to one host, RFC 6888 §2) is a range too: see [`block`].

mod bitmap;
mod pool;
#[cfg(test)]
mod tests;

pub use pool::PortPool;

/// First to last port, both included. Not empty as long as `first <= last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PortRange {
    /// Least port.
    pub first: u16,
    /// Greatest port.
    pub last: u16,
}

/// Whether the mapped port must be even or odd like the original one (RTP and RTCP: RFC 4787 §4.2.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Parity {
    /// Any will do.
    #[default]
    Any,
    /// As that of the wished-for port.
    Same,
}

/// In which order ports are tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Order {
    /// The wished-for port first, then from [`Request::start`] on.
    #[default]
    Preserve,
    /// From [`Request::start`] on (`random`, `fully-random`).
    Any,
}

/// What port is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// The original port: wished for, and what parity is kept of.
    pub wish: u16,
    /// From where the port must be.
    pub range: PortRange,
    /// Even or odd.
    pub parity: Parity,
    /// Whether the original port comes first.
    pub order: Order,
    /// Where the search starts, taken modulo the size of the range: drawn by the caller.
    pub start: u16,
}

/// Every port that would do is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("all ports are in use")]
pub struct Exhausted;

/// The ports that a port may become if no range is given: netfilter keeps privileged ports privileged, and those below 512 among
/// themselves.
pub const fn default_range(original: u16) -> PortRange {
    match original {
        0..512 => PortRange { first: 1, last: 511 },
        512..1024 => PortRange { first: 600, last: 1023 },
        1024.. => PortRange { first: 1024, last: 65535 },
    }
}

/// The block number `index` of those of `size` ports that `range` divides into; `None` beyond the last whole one.
pub const fn block(range: PortRange, size: u16, index: u16) -> Option<PortRange> {
    if size == 0 {
        return None;
    }
    let first = range.first as u32 + size as u32 * index as u32;
    let last = first + size as u32 - 1;
    if last > range.last as u32 { None } else { Some(PortRange { first: first as u16, last: last as u16 }) }
}
