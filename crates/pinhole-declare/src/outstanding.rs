//! What has been said and waits for what belongs to it: answers, activations, ends.

use crate::template::LONGEST_KEY;
use pinhole_helper::{Context, Handle};
use pinhole_wire::Direction;
use std::collections::VecDeque;

/// Most messages of a conn that are remembered; the oldest is forgotten first, with what it announced and nobody has activated.
pub(crate) const MOST_OUTSTANDING: usize = 32;

/// The messages that wait.
#[derive(Debug, Default)]
pub(crate) struct Outstanding(VecDeque<Waiting>);

/// A message that waits.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// Index of the message among those of the declaration.
    message: u8,
    from: Direction,
    key: Option<Key>,
    /// How many answers to it still count.
    answers: u8,
    /// What it announced: so many handles from this one on.
    first: Handle,
    count: u32,
    is_active: bool,
}

/// What a message and those that belong to it have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    bytes: [u8; LONGEST_KEY],
    length: u8,
}

impl Key {
    /// `None`: it is longer than any key.
    pub(crate) fn new(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; LONGEST_KEY];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        Some(Self { bytes, length: u8::try_from(text.len()).ok()? })
    }
}

/// Which message is looked for: the latest that fits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sought {
    pub(crate) message: u8,
    pub(crate) from: Direction,
    /// `None`: any.
    pub(crate) key: Option<Key>,
}

impl Outstanding {
    /// Remembers a message that announced these expectations.
    pub(crate) fn push(
        &mut self,
        cx: &mut Context<'_>,
        said: Sought,
        answers: u8,
        announced: &[Handle],
        is_active: bool,
    ) {
        if self.0.len() >= MOST_OUTSTANDING
            && let Some(oldest) = self.0.pop_front().filter(|oldest| !oldest.is_active)
        {
            oldest.handles().for_each(|handle| cx.cancel(handle));
        }
        self.0.push_back(Waiting {
            message: said.message,
            from: said.from,
            key: said.key,
            answers,
            first: announced.first().copied().unwrap_or(Handle(0)),
            count: u32::try_from(announced.len()).unwrap_or(0),
            is_active,
        });
    }

    /// Whether such a message waits.
    pub(crate) fn has(&self, sought: Sought) -> bool {
        self.position(sought).is_some()
    }

    /// One of its answers has come.
    pub(crate) fn answer(&mut self, sought: Sought) {
        let Some(position) = self.position(sought) else { return };
        let is_last = self.0.get_mut(position).is_none_or(|waiting| {
            waiting.answers = waiting.answers.saturating_sub(1);
            waiting.answers == 0
        });
        if is_last {
            self.0.remove(position);
        }
    }

    /// What it announced is to match from now on.
    pub(crate) fn activate(&mut self, cx: &mut Context<'_>, sought: Sought) {
        let position = self.position(sought);
        if let Some(waiting) = position.and_then(|position| self.0.get_mut(position)) {
            waiting.is_active = true;
            waiting.handles().for_each(|handle| cx.activate(handle));
        }
    }

    /// What it announced is over.
    pub(crate) fn end(&mut self, cx: &mut Context<'_>, sought: Sought) {
        let position = self.position(sought);
        if let Some(waiting) = position.and_then(|position| self.0.remove(position)) {
            waiting.handles().for_each(|handle| cx.cancel(handle));
        }
    }

    /// Nothing that was said before is certain any more.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Bytes of memory besides its own size.
    pub(crate) fn memory(&self) -> usize {
        self.0.capacity() * size_of::<Waiting>()
    }

    fn position(&self, sought: Sought) -> Option<usize> {
        self.0.iter().rposition(|waiting| {
            waiting.message == sought.message
                && waiting.from == sought.from
                && (sought.key.is_none() || waiting.key == sought.key)
        })
    }
}

impl Waiting {
    fn handles(&self) -> impl Iterator<Item = Handle> + use<> {
        let first = self.first.0;
        (0..self.count).map(move |number| Handle(first.wrapping_add(number)))
    }
}
