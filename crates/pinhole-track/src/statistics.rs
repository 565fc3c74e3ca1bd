//! Counters of what happened, as `conntrack -S` shows them.

/// Counters since the tracker was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Conns confirmed.
    pub new: u64,
    /// Unconfirmed conns that were given up.
    pub abandoned: u64,
    /// Conns that ended.
    pub destroyed: u64,
    /// Invalid packets.
    pub invalid: u64,
    /// Conns not confirmed because another one had the same tuple by then.
    pub clash: u64,
    /// Packets refused because the table was full.
    pub full: u64,
    /// Conns dropped early to make room.
    pub early_drop: u64,
    /// Events lost because nobody took them in time.
    pub events_lost: u64,
    /// Expectations entered.
    pub expect_new: u64,
    /// Expectations fulfilled.
    pub expect_hit: u64,
    /// Expectations that ended otherwise.
    pub expect_ended: u64,
    /// Requests refused because of a limit.
    pub expect_limit: u64,
    /// Requests refused because another expectation was in the way.
    pub expect_clash: u64,
}
