//! What is seen of a packet: the log rules that report it, and their reading.

use std::fmt::{self, Write as _};

use bitflags::bitflags;
use pinhole_wire::Direction;

use super::expectation::ExpectationEvent;

/// Log group of the observing rules.
pub(super) const LOG_GROUP: u16 = 5;

/// State that conntrack gave a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// First of its conn, or of a conn without an answer so far.
    New,
    /// Of a conn that has seen both directions.
    Established,
    /// First of an expected conn, or an ICMP error about a known one.
    Related,
    /// Not trackable.
    Invalid,
    /// Exempt from tracking.
    Untracked,
}

bitflags! {
    /// Status bits of a conn, numbered as the kernel's `IPS_*`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Status: u32 {
        /// It was expected.
        const EXPECTED = 1 << 0;
        /// Packets went both ways.
        const SEEN_REPLY = 1 << 1;
        /// Not to be dropped early.
        const ASSURED = 1 << 2;
        /// It is in the table.
        const CONFIRMED = 1 << 3;
        /// Its source is translated.
        const SRC_NAT = 1 << 4;
        /// Its destination is translated.
        const DST_NAT = 1 << 5;
        /// It is being removed.
        const DYING = 1 << 9;
    }
}

impl fmt::Display for Status {
    /// As nft lists them: `seen-reply,assured`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = STATUSES.iter().filter(|(_, status)| self.contains(*status));
        for (index, (word, _)) in set.enumerate() {
            write!(f, "{}{word}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

/// What the kernel made of one packet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observation {
    /// The packet's state; none if it never passed conntrack: a fragment that waits for others, or a packet that the
    /// kernel's receive path dropped.
    pub state: Option<State>,
    /// Its direction; none unless it belongs to a conn.
    pub direction: Option<Direction>,
    /// Its conn's status just after conntrack saw the packet, before it is confirmed.
    pub status: Status,
    /// The packets that were forwarded because of it: none if it was dropped, several if it completed a fragmented datagram.
    pub forwarded: Vec<Vec<u8>>,
    /// The packets that the router itself sent because of it, such as those of a `reject` rule.
    pub answers: Vec<Vec<u8>>,
    /// What happened to expectations because of it.
    pub expectations: Vec<ExpectationEvent>,
}

impl Observation {
    /// Whether the packet was let through.
    pub fn is_forwarded(&self) -> bool {
        !self.forwarded.is_empty()
    }

    /// Takes in what one of the log rules of [`table`] reports.
    pub(super) fn note(&mut self, prefix: &str) {
        if let Some((_, state)) = STATES.iter().find(|(name, _)| Some(*name) == prefix.strip_prefix("state "))
        {
            self.state = Some(*state);
        } else if let Some((_, direction)) =
            DIRECTIONS.iter().find(|(name, _)| Some(*name) == prefix.strip_prefix("direction "))
        {
            self.direction = Some(*direction);
        } else if let Some((_, status)) =
            STATUSES.iter().find(|(name, _)| Some(*name) == prefix.strip_prefix("status "))
        {
            self.status |= *status;
        }
    }
}

/// The words of nft's `ct state`, `ct direction` and `ct status`.
const STATES: [(&str, State); 5] = [
    ("new", State::New),
    ("established", State::Established),
    ("related", State::Related),
    ("invalid", State::Invalid),
    ("untracked", State::Untracked),
];
const DIRECTIONS: [(&str, Direction); 2] = [("original", Direction::Original), ("reply", Direction::Reply)];
const STATUSES: [(&str, Status); 7] = [
    ("expected", Status::EXPECTED),
    ("seen-reply", Status::SEEN_REPLY),
    ("assured", Status::ASSURED),
    ("confirmed", Status::CONFIRMED),
    ("snat", Status::SRC_NAT),
    ("dnat", Status::DST_NAT),
    ("dying", Status::DYING),
];

/// A table whose log rules report every packet that enters by `ingress`, right after conntrack (priority -200) and before all
/// customary priorities. It changes nothing about the packets.
pub(super) fn table(ingress: &str) -> String {
    let mut table = format!(
        "table inet pinhole_oracle {{\n chain observe {{\n  type filter hook prerouting priority -199; policy accept;\n  \
         iifname != \"{ingress}\" return\n"
    );
    let words = STATES
        .iter()
        .map(|(word, _)| ("state", word))
        .chain(DIRECTIONS.iter().map(|(word, _)| ("direction", word)))
        .chain(STATUSES.iter().map(|(word, _)| ("status", word)));
    for (key, word) in words {
        // Writing to a String cannot fail.
        let _ = writeln!(table, "  ct {key} {word} log prefix \"{key} {word}\" group {LOG_GROUP}");
    }
    table + " }\n}\n"
}
