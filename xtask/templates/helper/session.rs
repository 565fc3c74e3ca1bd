//! The dialogue: greetings, announcements, and the answers that make them count.

use super::notation;
use super::parse::{self, LINE_LIMIT, Line, Listen};
use crate::endpoint::{admit_address, admit_port};
use pinhole_helper::{AddressMatch, BlindReason, Context, Expect, Handle, Progress, Refusal, Session};
use pinhole_wire::{Direction, Protocol};
use std::net::SocketAddr;

/// One conn.
#[derive(Debug, Default)]
pub(super) struct NewcomerSession {
    sides: [Side; 2],
}

/// What is known of one side.
#[derive(Clone, Copy, Debug, Default)]
struct Side {
    greeted: bool,
    /// Its latest announcement, while it waits for the other side's answer.
    asked: Option<Handle>,
}

impl Session for NewcomerSession {
    fn read(&mut self, cx: &mut Context<'_>, from: Direction, bytes: &[u8]) -> Progress {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            // Where a segment ends means nothing: half a line is shown again with what follows it.
            let Some(end) = rest.iter().position(|&byte| byte == b'\n') else { break };
            if end >= LINE_LIMIT {
                return Progress::Blind(BlindReason::MessageTooLong);
            }
            let text = rest.get(..end).unwrap_or_default();
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            if let Err(reason) = self.line(cx, from, at, text) {
                return Progress::Blind(reason);
            }
            at += end + 1;
        }
        Progress::Consumed(at)
    }

    fn longest_message(&self) -> usize {
        LINE_LIMIT - 1
    }
}

impl NewcomerSession {
    /// Reads the line that stands at `at`.
    fn line(
        &mut self,
        cx: &mut Context<'_>,
        from: Direction,
        at: usize,
        text: &[u8],
    ) -> Result<(), BlindReason> {
        let line = parse::line(text);
        let side = &mut self.sides[from.index()];
        if !side.greeted {
            side.greeted = line == Ok(Line::Hello);
            return if side.greeted { Ok(()) } else { Err(BlindReason::NotThisProtocol) };
        }
        let result = match line {
            Ok(Line::Listen(listen)) => self.listen(cx, from, at, &listen),
            Ok(Line::Yes) => self.answered(from).map(|handle| cx.activate(handle)),
            Ok(Line::No) => self.answered(from).map(|handle| cx.cancel(handle)),
            Ok(Line::Hello | Line::Other) => Ok(()),
            Err(refusal) => Err(refusal),
        };
        if let Err(refusal) = result {
            cx.refuse(refusal, cx.span(at, at + text.len()));
        }
        Ok(())
    }

    /// Asks for the expectation of an announcement. It matches nothing yet.
    fn listen(
        &mut self,
        cx: &mut Context<'_>,
        from: Direction,
        at: usize,
        listen: &Listen,
    ) -> Result<(), Refusal> {
        admit_port(listen.port, cx.policy)?;
        let destination = admit_address(listen.address, from, cx.master, cx.policy)?;
        let span = cx.span(at + listen.place.start, at + listen.place.end);
        let source = AddressMatch::Exact(cx.master.receiver(from).ip());
        let destination = SocketAddr::new(destination, listen.port);
        let handle = cx.expect(Expect { active: false, ..Expect::to(Protocol::TCP, source, destination, span) });
        cx.locate(handle, span, notation::TEXT);
        self.sides[from.index()].asked = Some(handle);
        Ok(())
    }

    /// What the other side of `from` asked, if it asked anything.
    fn answered(&mut self, from: Direction) -> Result<Handle, Refusal> {
        self.sides[from.opposite().index()].asked.take().ok_or(Refusal::Unsolicited)
    }
}
