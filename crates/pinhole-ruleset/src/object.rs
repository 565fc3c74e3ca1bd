//! Named objects, as the engine sees them.

use crate::ruleset::Family;

/// Which named object of a ruleset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId(pub u32);

/// A `ct helper` object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HelperObject {
    /// Its id in [`Effects::set_helper`](crate::Effects::set_helper).
    pub id: ObjectId,
    /// Name in the ruleset.
    pub name: String,
    /// Which helper: `ftp`, `irc`. Whether it exists is for the engine to say.
    pub helper: String,
    /// Layer 4 protocol (6 or 17).
    pub l4_protocol: u8,
    /// Family, if one was given or the table has one.
    pub family: Option<Family>,
    /// File and line of the declaration.
    pub location: (String, u32),
}

/// A `ct timeout` object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeoutObject {
    /// Its id in [`Effects::set_timeout_policy`](crate::Effects::set_timeout_policy).
    pub id: ObjectId,
    /// Name in the ruleset.
    pub name: String,
    /// Layer 4 protocol.
    pub l4_protocol: u8,
    /// Family, if one was given or the table has one.
    pub family: Option<Family>,
    /// State of the protocol, as nft spells it, and its timeout in seconds.
    pub policy: Vec<(String, u32)>,
    /// File and line of the declaration.
    pub location: (String, u32),
}

/// A `ct expectation` object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectationObject {
    /// Its id in [`Effects::set_expectation`](crate::Effects::set_expectation).
    pub id: ObjectId,
    /// Name in the ruleset.
    pub name: String,
    /// Layer 4 protocol.
    pub l4_protocol: u8,
    /// Family, if one was given or the table has one.
    pub family: Option<Family>,
    /// Destination port that is expected.
    pub port: u16,
    /// Lifetime in milliseconds.
    pub timeout_milliseconds: u32,
    /// Most expectations at once.
    pub size: u8,
    /// File and line of the declaration.
    pub location: (String, u32),
}
