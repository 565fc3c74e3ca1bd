//! Messages out of one direction of a stream, wherever segments end.
//!
//! *Life of a message.* [`Framing::next`] waits for its start line, judges it, and waits for the end of its head ([`Unit::Head`]). The
//! caller reads the head and says either how many bytes it wants to see at once ([`Framing::need`]; the head comes again with them) or
//! that the message is dealt with, but for so many bytes of a body to be passed over ([`Framing::finish`]).
//!
//! What is judged does not depend on how much is there already; work is in proportion to the bytes that arrive.

use super::{HEAD_LIMIT, START_LINE_LIMIT, first_line, head_end};
use crate::opening::foreign_byte;
use pinhole_helper::BlindReason;
use serde::{Deserialize, Serialize};

/// Reading state of one direction.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Framing {
    /// A message was recognised.
    opened: bool,
    /// The first line may be the end of a message whose beginning was not seen.
    doubt: bool,
    /// The start line of the message at hand is one of this protocol.
    started: bool,
    /// Bytes of the message at hand that are known not to hold the end of its head.
    searched: usize,
    /// Bytes of the message at hand that are to be here before it is looked at again.
    needed: usize,
    /// Bytes of a body that is not read.
    skip: usize,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// So many bytes mean nothing.
    Nothing(usize),
    /// More bytes are needed.
    Wait,
    /// The head of a message has so many bytes.
    Head(usize),
    /// The stream cannot be read any further.
    Blind(BlindReason),
}

impl Framing {
    /// Begins in the middle: lines go by until one is a start line.
    pub(crate) fn in_the_middle() -> Self {
        Self { doubt: true, ..Self::default() }
    }

    /// Whether a message was recognised in this direction.
    pub(crate) fn is_open(&self) -> bool {
        self.opened
    }

    /// Whether the next byte begins a message, or something between messages.
    pub(crate) fn is_between(&self) -> bool {
        !self.started && self.skip == 0
    }

    /// What comes next in `rest`, which is not empty. `is_start` knows start lines.
    pub(crate) fn next(&mut self, rest: &[u8], is_start: impl Fn(&[u8]) -> bool) -> Unit {
        if self.skip > 0 {
            let count = self.skip.min(rest.len());
            self.skip -= count;
            return Unit::Nothing(count);
        }
        if rest.len() < self.needed {
            return Unit::Wait;
        }
        if !self.started
            && let Some(unit) = self.start(rest, is_start)
        {
            return unit;
        }
        let end = head_end(rest, self.searched);
        self.searched = rest.len();
        match end {
            _ if end.unwrap_or(rest.len()) > HEAD_LIMIT => Unit::Blind(BlindReason::MessageTooLong),
            Some(end) => Unit::Head(end),
            None => Unit::Wait,
        }
    }

    /// The message is to be shown again with so many bytes.
    pub(crate) fn need(&mut self, bytes: usize) {
        (self.needed, self.searched) = (bytes, 0);
    }

    /// The message is dealt with, but for so many bytes of its body, which are passed over.
    pub(crate) fn finish(&mut self, skip: usize) {
        *self = Self { opened: true, skip, ..Self::default() };
    }

    /// So many bytes that are no part of a message follow.
    pub(crate) fn pass(&mut self, bytes: usize) {
        self.skip = bytes;
    }

    /// Judges the start line; `None`: it is one.
    fn start(&mut self, rest: &[u8], is_start: impl Fn(&[u8]) -> bool) -> Option<Unit> {
        // Empty lines between messages are keep-alives (RFC 5626 §3.5.1).
        if let blanks @ 1.. = rest.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count() {
            return Some(Unit::Nothing(blanks));
        }
        if let Some(reason) = rest.first().and_then(|&first| foreign_byte(first))
            && !self.doubt
        {
            return Some(Unit::Blind(reason));
        }
        let line = first_line(rest).filter(|line| line.len() <= START_LINE_LIMIT);
        match line {
            Some(line) if rest.get(line.clone()).is_some_and(is_start) => {
                (self.started, self.doubt) = (true, false);
                None
            }
            // The rest of what was not seen goes by, line by line.
            Some(line) if self.doubt => Some(Unit::Nothing(line.end)),
            None if rest.len() <= START_LINE_LIMIT => Some(Unit::Wait),
            None if self.doubt => Some(Unit::Nothing(START_LINE_LIMIT)),
            _ => Some(Unit::Blind(BlindReason::NotThisProtocol)),
        }
    }
}
