//! What a module asks for beyond its own conns, and what whoever loads it allows.

use pinhole_helper::Name;
use std::fmt;
use std::str::FromStr;

/// A kind of permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Grant {
    /// Announce addresses that are not the sender's.
    ThirdParty,
    /// Announce ports below 1024.
    PrivilegedPorts,
    /// Expect conns from a prefix, or from anyone.
    AnySource,
    /// Lead the peer, and nobody else, to a third host.
    Introduce,
    /// Attach helpers to what is expected.
    Attach,
}

impl Grant {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::ThirdParty, Self::PrivilegedPorts, Self::AnySource, Self::Introduce, Self::Attach];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ThirdParty => "third-party",
            Self::PrivilegedPorts => "privileged-ports",
            Self::AnySource => "any-source",
            Self::Introduce => "introduce",
            Self::Attach => "attach",
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A word that is no grant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no grant is called `{0}`; there are: third-party, privileged-ports, any-source, introduce, attach")]
pub struct UnknownGrant(pub String);

impl FromStr for Grant {
    type Err = UnknownGrant;

    fn from_str(text: &str) -> Result<Self, UnknownGrant> {
        Self::ALL.into_iter().find(|grant| grant.name() == text).ok_or_else(|| UnknownGrant(text.to_owned()))
    }
}

/// What whoever loads a module allows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed(Vec<Grant>);

impl Allowed {
    /// Whether a grant is allowed.
    pub fn contains(&self, grant: Grant) -> bool {
        self.0.contains(&grant)
    }
}

impl FromIterator<Grant> for Allowed {
    fn from_iter<I: IntoIterator<Item = Grant>>(grants: I) -> Self {
        Self(grants.into_iter().collect())
    }
}

/// What a module asks for, and after its loading: what it has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// [`Grant::ThirdParty`].
    pub third_party: bool,
    /// [`Grant::PrivilegedPorts`].
    pub privileged_ports: bool,
    /// [`Grant::AnySource`].
    pub any_source: bool,
    /// [`Grant::Introduce`]: in these classes.
    pub introduces: Vec<u8>,
    /// [`Grant::Attach`]: these helpers.
    pub attaches: Vec<Name>,
}

impl Grants {
    /// What it asks for.
    pub fn asked(&self) -> impl Iterator<Item = Grant> {
        [
            (self.third_party, Grant::ThirdParty),
            (self.privileged_ports, Grant::PrivilegedPorts),
            (self.any_source, Grant::AnySource),
            (!self.introduces.is_empty(), Grant::Introduce),
            (!self.attaches.is_empty(), Grant::Attach),
        ]
        .into_iter()
        .filter_map(|(asked, grant)| asked.then_some(grant))
    }
}
