//! Commands that await their final reply, in the order they were sent.
//!
//! Replies carry no name of their command, only their place in the order (RFC 959 §5.4), so no command may ever lose its place. Those
//! of no interest are counted in runs, which bounds the queue whatever a client pipelines: once it is full, further commands join
//! such a run.

use alloc::collections::VecDeque;
use pinhole_helper::Handle;
use serde::{Deserialize, Serialize};

/// Most commands of interest (and runs of others between them) that may be unanswered at a time.
pub const OUTSTANDING_LIMIT: usize = 32;

/// A command, or a run of commands, that awaits its final reply.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) enum Command {
    /// So many commands of no interest.
    Others(u32),
    /// PORT, EPRT or LPRT.
    Active(Handle),
    /// PASV, EPSV or LPSV, and the code that grants it.
    Passive(u16),
    /// EPSV ALL.
    ExtendedOnly,
    /// AUTH; whether for TLS.
    Auth { tls: bool },
    /// ABOR, which some servers never answer on its own.
    Abort,
}

/// The queue. At most one run more than [`OUTSTANDING_LIMIT`] entries.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Outstanding {
    queue: VecDeque<Command>,
}

impl Outstanding {
    /// Whether a further command of interest would be counted as one of the others.
    pub(super) fn is_full(&self) -> bool {
        self.queue.len() >= OUTSTANDING_LIMIT
    }

    /// Queues a command.
    pub(super) fn push(&mut self, command: Command) {
        let command = if self.is_full() { Command::Others(1) } else { command };
        if let (Some(Command::Others(run)), Command::Others(1)) = (self.queue.back_mut(), command) {
            *run = run.saturating_add(1);
        } else {
            self.queue.push_back(command);
        }
    }

    /// Takes the command that a final reply with this code answers.
    ///
    /// ABOR is answered by 225, 226 or an error (RFC 959 §5.4). Any other code answers the command after it: the server combined
    /// ABOR's answer with the transfer's.
    pub(super) fn answer(&mut self, code: u16) -> Option<Command> {
        let may_answer_abort = code == 225 || code == 226 || code >= 400;
        if !may_answer_abort && matches!(self.queue.front(), Some(Command::Abort)) {
            self.queue.pop_front();
        }
        if let Some(Command::Others(run @ 2..)) = self.queue.front_mut() {
            *run -= 1;
            return Some(Command::Others(1));
        }
        self.queue.pop_front()
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.queue.clear();
    }

    /// Forgets all but the command sent last.
    pub(super) fn keep_last(&mut self) {
        let last = self.queue.pop_back();
        self.queue.clear();
        self.queue.extend(last.map(|last| match last {
            Command::Others(_) => Command::Others(1),
            last => last,
        }));
    }

    /// Bytes of memory held.
    pub(super) fn memory(&self) -> usize {
        self.queue.capacity() * size_of::<Command>()
    }
}
