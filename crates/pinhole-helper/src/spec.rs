//! Descriptions of helpers, and the list of those that a host is given.

use crate::{Helper, Name};
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use pinhole_wire::Protocol;

/// What a helper is: shown by `pinhole helpers NAME`, used for admission limits. A built-in helper's is a `static`; a loadable one owns what
/// its manifest says.
#[derive(Debug)]
pub struct Spec {
    /// Name, as in `ct helper … { type "ftp" … }`.
    pub name: Name,
    /// Other names under which people know it (`ip_conntrack_ftp`).
    pub aliases: Texts,
    /// Layer-4 protocols of the control conn.
    pub protocols: Cow<'static, [Protocol]>,
    /// Conventional ports; information only, nothing attaches by port.
    pub ports: Cow<'static, [u16]>,
    /// Expectation classes; [`crate::Expect::class`] indexes them. At most four.
    pub classes: Cow<'static, [Class]>,
    /// One line.
    pub summary: Cow<'static, str>,
    /// What it reads, an item a line.
    pub reads: Texts,
    /// What it opens, an item a line.
    pub creates: Texts,
    /// What it refuses, an item a line.
    pub refuses: Texts,
    /// Bounds on bytes, messages and numbers, an item a line.
    pub limits: Texts,
    /// What its NAT half does.
    pub nat: Cow<'static, str>,
    /// IPv6 support.
    pub ipv6: Cow<'static, str>,
    /// Specifications.
    pub references: Texts,
}

impl Spec {
    /// Whether this is its name or one of its aliases (ASCII case ignored).
    pub fn is_called(&self, name: &str) -> bool {
        let is = |known: &str| known.eq_ignore_ascii_case(name);
        is(&self.name) || self.aliases.iter().any(is)
    }
}

/// A list of texts.
#[derive(Clone, Debug)]
pub enum Texts {
    /// Of a helper that is built in.
    Built(&'static [&'static str]),
    /// Of a helper that was loaded.
    Loaded(Vec<String>),
}

impl Texts {
    /// The texts in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let (built, loaded): (&[&str], &[String]) = match self {
            Self::Built(texts) => (texts, &[]),
            Self::Loaded(texts) => (&[], texts),
        };
        built.iter().copied().chain(loaded.iter().map(String::as_str))
    }

    /// All of them, with something between each two.
    pub fn join(&self, separator: &str) -> String {
        self.iter().collect::<Vec<_>>().join(separator)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

/// A class of expectations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class {
    /// What it is for (`data`, `rtp`, …).
    pub name: Name,
    /// Most expectations of this class that one master may have at a time (netfilter caps it at 255).
    pub max: u8,
    /// Seconds to live.
    pub timeout: u32,
}

/// Helpers by name, to be handed to a host.
#[derive(Default)]
pub struct Registry {
    helpers: Vec<Box<dyn Helper>>,
}

impl Registry {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a helper. One of the same name is replaced.
    pub fn add(&mut self, helper: impl Helper + 'static) {
        self.helpers.retain(|h| h.spec().name != helper.spec().name);
        self.helpers.push(Box::new(helper));
    }

    /// Finds a helper by name or alias (ASCII case ignored).
    pub fn find(&self, name: &str) -> Option<&dyn Helper> {
        self.iter().find(|helper| helper.spec().is_called(name))
    }

    /// All helpers, in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = &dyn Helper> {
        self.helpers.iter().map(|helper| &**helper)
    }
}

impl IntoIterator for Registry {
    type Item = Box<dyn Helper>;
    type IntoIter = alloc::vec::IntoIter<Box<dyn Helper>>;

    fn into_iter(self) -> Self::IntoIter {
        self.helpers.into_iter()
    }
}
