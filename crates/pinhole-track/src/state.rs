//! Packet states and conn status bits.

use bitflags::bitflags;
use std::fmt;

/// State of a packet, as `ct state` matches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// First packets of a conn that has seen no answer yet.
    New,
    /// Belongs to a conn that has seen packets both ways.
    Established,
    /// Starts a conn that was expected, or is an ICMP error about a known conn.
    Related,
    /// Cannot belong to any conn.
    Invalid,
    /// Exempt from tracking.
    Untracked,
}

impl State {
    /// nft's bit for this state: invalid 1, established 2, related 4, new 8, untracked 64.
    pub const fn nft_bit(self) -> u32 {
        match self {
            Self::Invalid => 1,
            Self::Established => 2,
            Self::Related => 4,
            Self::New => 8,
            Self::Untracked => 64,
        }
    }

    /// Lower-case name, as nft spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Established => "established",
            Self::Related => "related",
            Self::Invalid => "invalid",
            Self::Untracked => "untracked",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

bitflags! {
    /// Status bits of a conn, numbered as netfilter's `IPS_*` are (what `ct status` and conntrack tools see).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Status: u32 {
        /// It was expected.
        const EXPECTED = 1 << 0;
        /// Packets went both ways.
        const SEEN_REPLY = 1 << 1;
        /// Never dropped early.
        const ASSURED = 1 << 2;
        /// Its first packet survived; it is in the table.
        const CONFIRMED = 1 << 3;
        /// Its source is translated.
        const SRC_NAT = 1 << 4;
        /// Its destination is translated.
        const DST_NAT = 1 << 5;
        /// Its TCP sequence numbers are adjusted.
        const SEQ_ADJUST = 1 << 6;
        /// Source translation is decided.
        const SRC_NAT_DONE = 1 << 7;
        /// Destination translation is decided.
        const DST_NAT_DONE = 1 << 8;
        /// About to be removed.
        const DYING = 1 << 9;
        /// Its timeout is fixed.
        const FIXED_TIMEOUT = 1 << 10;
        /// Not to be confirmed by packets that bypass the rules.
        const TEMPLATE = 1 << 11;
        /// A helper is attached.
        const HELPER = 1 << 13;
        /// Somebody else carries its packets for now.
        const OFFLOAD = 1 << 14;
    }
}
