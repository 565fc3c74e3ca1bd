//! What a file says, understood and checked.

use crate::framing::Framing;
use crate::template::Template;
use crate::{Problem, document, file};
use pinhole_helper::{Lifetime, PortMatch};
use pinhole_wire::{Direction, Protocol};
use std::ops::RangeInclusive;

/// Longest file, in bytes.
pub const LONGEST_FILE: usize = 64 * 1024;

/// Ports that need no permission to be announced.
pub(crate) const UNPRIVILEGED: RangeInclusive<u16> = 1024..=u16::MAX;

/// A protocol, as a file declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declaration {
    pub(crate) name: String,
    pub(crate) aliases: Vec<String>,
    pub(crate) summary: String,
    pub(crate) license: Option<String>,
    pub(crate) references: Vec<String>,
    /// TCP or UDP.
    pub(crate) protocol: Protocol,
    pub(crate) ports: Vec<u16>,
    pub(crate) version: Option<String>,
    pub(crate) framing: Framing,
    /// Longest message, in bytes.
    pub(crate) limit: usize,
    /// Longer messages are skipped; else they end the reading.
    pub(crate) skips_longer: bool,
    /// At most four: they are the classes of the helper.
    pub(crate) expected: Vec<Expected>,
    pub(crate) messages: Vec<Message>,
}

/// What a helper opens only if its operator has allowed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// Conns from others than the ends of the control conn.
    AnySource,
    /// Conns of the announcer's peer to third hosts.
    Introduce,
    /// Ports below 1024.
    PrivilegedPorts,
}

impl Need {
    /// All, with their names in files and on command lines.
    pub const ALL: [(&'static str, Self); 3] = [
        ("any-source", Self::AnySource),
        ("introduce", Self::Introduce),
        ("privileged-ports", Self::PrivilegedPorts),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::AnySource => "any-source",
            Self::Introduce => "introduce",
            Self::PrivilegedPorts => "privileged-ports",
        }
    }
}

/// A kind of expected conns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) name: String,
    pub(crate) protocol: Protocol,
    pub(crate) source: Source,
    pub(crate) source_port: PortMatch,
    pub(crate) address: AddressOf,
    /// `None`: the one in the message.
    pub(crate) port: Option<PortOf>,
    /// Which ports may be announced.
    pub(crate) allowed: RangeInclusive<u16>,
    /// How many ports, from the announced one on.
    pub(crate) count: u16,
    pub(crate) lifetime: Lifetime,
    pub(crate) timeout: u32,
    pub(crate) max: u8,
}

impl Expected {
    pub(crate) fn needs(&self, need: Need) -> bool {
        match need {
            Need::AnySource => self.source == Source::Anyone,
            Need::Introduce => self.address == AddressOf::ThirdParty,
            Need::PrivilegedPorts => {
                let fixed = matches!(self.port, Some(PortOf::Number(port)) if !UNPRIVILEGED.contains(&port));
                fixed || !UNPRIVILEGED.contains(self.allowed.start())
            }
        }
    }
}

/// Who may open an expected conn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The other end of the control conn.
    Peer,
    Anyone,
}

/// Which addresses may be announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AddressOf {
    /// The announcer's own.
    Sender,
    /// Any host's, for the other end to connect to.
    ThirdParty,
}

/// The port that is expected if the message holds none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PortOf {
    /// The one that the announcer's packets come from.
    Sender,
    Number(u16),
}

/// A message that means something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) name: String,
    pub(crate) from: Sides,
    pub(crate) when: When,
    /// It has one of these forms.
    pub(crate) forms: Vec<Template>,
    /// What the list in it is made of.
    pub(crate) list: Option<List>,
    /// Index of what it announces.
    pub(crate) expects: Option<u8>,
    /// It counts only as the answer to this message of the other side.
    pub(crate) answers: Option<u8>,
    /// How many answers to it count.
    pub(crate) answered: u8,
    /// It makes what that message of the other side announced match.
    pub(crate) activates: Option<u8>,
    /// It ends what that message of the other side announced.
    pub(crate) cancels: Option<u8>,
    /// It ends what that message of the same side announced.
    pub(crate) recalls: Option<u8>,
    /// What it announces matches nothing yet.
    pub(crate) is_pending: bool,
    /// Some message answers, activates, cancels or recalls it.
    pub(crate) is_remembered: bool,
    /// The control conn lives at least so many seconds after it.
    pub(crate) prolongs: Option<u32>,
    pub(crate) then: Then,
}

/// The items of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct List {
    /// An item has one of these forms.
    pub(crate) items: Vec<Template>,
    /// What stands behind the last item.
    pub(crate) until: Option<Template>,
}

/// Which sides say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sides {
    Client,
    Server,
    Either,
}

impl Sides {
    pub(crate) fn has(self, from: Direction) -> bool {
        match self {
            Self::Client => from == Direction::Original,
            Self::Server => from == Direction::Reply,
            Self::Either => true,
        }
    }

    /// Whether some side says both.
    pub(crate) fn meets(self, other: Self) -> bool {
        [Direction::Original, Direction::Reply].iter().any(|&from| self.has(from) && other.has(from))
    }

    /// The other sides than these.
    pub(crate) fn opposite(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
            Self::Either => Self::Either,
        }
    }
}

/// When in what a side says it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// As the first message only.
    First,
    /// After the first message.
    Later,
    /// Always.
    Always,
}

/// What follows a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// More messages.
    GoOn,
    /// Nothing that is read.
    Done,
    /// Encryption.
    Encrypted,
}

impl Declaration {
    /// Understands a file.
    ///
    /// # Errors
    /// Everything that is wrong with it, by place.
    pub fn read(text: &str) -> Result<Self, Vec<Problem>> {
        document::parse(text).and_then(|document| file::read(text, &document))
    }

    /// The helper's name, as in `ct helper … { type "NAME" … }`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its operator must allow.
    pub fn needs(&self) -> impl Iterator<Item = Need> {
        let needed = |need: &Need| self.expected.iter().any(|expected| expected.needs(*need));
        Need::ALL.into_iter().map(|(_, need)| need).filter(needed)
    }

    /// Whether a message holds what NAT may have to rewrite: something of the announcer's own.
    pub(crate) fn is_located(&self, message: &Message) -> bool {
        let has = |template: &Template| template.has_address() || template.has_port();
        let expected = message.expects.and_then(|class| self.expected.get(usize::from(class)));
        expected.is_some_and(|expected| expected.address == AddressOf::Sender)
            && message.announcing().iter().any(has)
    }

    /// Whether the first message of a side tells whether it speaks the protocol.
    pub(crate) fn has_opening(&self, from: Direction) -> bool {
        self.messages.iter().any(|message| message.from.has(from) && message.when != When::Later)
    }
}

impl Message {
    /// Whether it counts as the first, or as a later, message of a side.
    pub(crate) fn counts(&self, from: Direction, is_first: bool) -> bool {
        self.from.has(from)
            && match self.when {
                When::First => is_first,
                When::Later => !is_first,
                When::Always => true,
            }
    }

    /// The templates that hold what is announced.
    pub(crate) fn announcing(&self) -> &[Template] {
        self.list.as_ref().map_or(&self.forms, |list| &list.items)
    }
}
