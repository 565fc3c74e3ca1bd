//! What tables are made of.

use crate::h323::schema::Mark;

/// What a value looks like in an encoding.
#[derive(Debug)]
pub(crate) enum Type {
    /// No bits at all.
    Null,
    /// This many BOOLEANs in a row.
    Flags(u8),
    /// INTEGER of a range: its lower bound, and how far the upper one lies above it.
    Integer(i32, u32),
    /// INTEGER of a range behind which others may be added.
    ExtensibleInteger(i32, u32),
    /// INTEGER without an upper bound, or without any.
    Unbounded,
    /// OCTET STRING.
    Octets(Size),
    /// BIT STRING.
    Bits(Size),
    /// A string of characters that take this many bits each.
    Text(u8, Size),
    /// OBJECT IDENTIFIER, or a string of characters of varying width: a length and octets.
    Opaque,
    /// SEQUENCE OF, SET OF: what it is a list of.
    List(&'static Component, Size),
    /// SEQUENCE; made by [`sequence`].
    Sequence {
        /// How many of the components ahead of the extension marker may be missing.
        optional: usize,
        /// Components ahead of the extension marker.
        root: &'static [Component],
        /// Whether there is an extension marker.
        extensible: bool,
        /// The first additions behind it; later ones are stepped over.
        additions: &'static [Component],
    },
    /// CHOICE.
    Choice {
        /// Alternatives ahead of the extension marker.
        root: &'static [Component],
        /// Whether there is an extension marker.
        extensible: bool,
        /// The first alternatives behind it; later ones are stepped over.
        additions: &'static [Component],
    },
    /// CHOICE of this many alternatives, each of them NULL.
    Alternatives {
        /// How many stand ahead of the extension marker.
        count: u8,
        /// Whether there is an extension marker.
        extensible: bool,
    },
    /// An addition that nobody needs to look into.
    Any,
}

impl Type {
    /// Whether it is made of other values.
    pub(super) fn is_compound(&self) -> bool {
        matches!(self, Self::List(..) | Self::Sequence { .. } | Self::Choice { .. })
    }
}

/// How many elements, characters, octets or bits a value has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Size {
    /// Always as many.
    Exactly(u16),
    /// From, to.
    Between(u16, u16),
    /// Unconstrained.
    Any,
}

/// A component of a sequence, or an alternative of a choice.
#[derive(Debug)]
pub(crate) struct Component {
    /// As the Recommendation calls it.
    #[cfg_attr(not(test), expect(dead_code, reason = "for those who read the tables, and for their test"))]
    pub(super) name: &'static str,
    pub(super) kind: &'static Type,
    pub(super) optional: bool,
    pub(super) mark: Option<Mark>,
}

impl Component {
    /// The same component, shown to the visitor as `mark`.
    pub(crate) const fn marked(mut self, mark: Mark) -> Self {
        self.mark = Some(mark);
        self
    }
}

/// SEQUENCE: its components, whether there is an extension marker, the first additions behind it.
pub(crate) const fn sequence(
    root: &'static [Component],
    extensible: bool,
    additions: &'static [Component],
) -> Type {
    let mut optional = 0;
    let mut rest = root;
    while let [component, others @ ..] = rest {
        optional += component.optional as usize;
        rest = others;
    }
    Type::Sequence { optional, root, extensible, additions }
}

/// A component that is always there, or an alternative.
pub(crate) const fn required(name: &'static str, kind: &'static Type) -> Component {
    Component { name, kind, optional: false, mark: None }
}

/// A component that may be missing.
pub(crate) const fn optional(name: &'static str, kind: &'static Type) -> Component {
    Component { name, kind, optional: true, mark: None }
}
