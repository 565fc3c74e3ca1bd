//! Static descriptions of helpers, and the list of those that a host knows.

use crate::Helper;
use pinhole_wire::Protocol;

/// What a helper is: shown by `pinhole helpers NAME`, used for admission limits.
#[derive(Debug)]
pub struct Spec {
    /// Name, as in `ct helper … { type "ftp" … }`.
    pub name: &'static str,
    /// Other names under which people know it (`ip_conntrack_ftp`).
    pub aliases: &'static [&'static str],
    /// Layer-4 protocols of the control conn.
    pub protocols: &'static [Protocol],
    /// Conventional ports; information only, nothing attaches by port.
    pub ports: &'static [u16],
    /// Expectation classes; [`crate::Expect::class`] indexes them. At most four.
    pub classes: &'static [Class],
    /// One line.
    pub summary: &'static str,
    /// What it reads, an item a line.
    pub reads: &'static [&'static str],
    /// What it opens, an item a line.
    pub creates: &'static [&'static str],
    /// What it refuses, an item a line.
    pub refuses: &'static [&'static str],
    /// Bounds on bytes, messages and numbers, an item a line.
    pub limits: &'static [&'static str],
    /// What its NAT half does.
    pub nat: &'static str,
    /// IPv6 support.
    pub ipv6: &'static str,
    /// Specifications.
    pub references: &'static [&'static str],
}

/// A class of expectations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class {
    /// What it is for (`data`, `rtp`, …).
    pub name: &'static str,
    /// Most expectations of this class that one master may have at a time (netfilter caps it at 255).
    pub max: u8,
    /// Seconds to live.
    pub timeout: u32,
}

/// The helpers that a host knows, by name.
#[derive(Clone, Default)]
pub struct Registry {
    helpers: Vec<&'static dyn Helper>,
}

impl Registry {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a helper. One of the same name is replaced.
    pub fn add(&mut self, helper: &'static dyn Helper) {
        self.helpers.retain(|h| h.spec().name != helper.spec().name);
        self.helpers.push(helper);
    }

    /// Finds a helper by name or alias (ASCII case ignored).
    pub fn find(&self, name: &str) -> Option<&'static dyn Helper> {
        let is = |n: &str| n.eq_ignore_ascii_case(name);
        self.helpers.iter().copied().find(|h| is(h.spec().name) || h.spec().aliases.iter().any(|a| is(a)))
    }

    /// All helpers, in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = &'static dyn Helper> + '_ {
        self.helpers.iter().copied()
    }
}
