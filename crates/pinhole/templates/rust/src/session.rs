//! The dialogue: what a conn has said so far, and what it asks for.

use crate::notation;
use crate::parse::{self, LINE_LIMIT, Line};
use core::net::SocketAddr;
use core::ops::Range;
use pinhole_helper_sdk::helper::endpoint::admit_port;
use pinhole_helper_sdk::helper::{AddressMatch, BlindReason, Context, Expect, Progress, Refusal, Session};
use pinhole_helper_sdk::wire::{Direction, Protocol};

/// One conn.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    has_opened: bool,
}

impl Session for Lines {
    fn read(&mut self, cx: &mut Context<'_>, from: Direction, bytes: &[u8]) -> Progress {
        // The server announces nothing.
        if from == Direction::Reply {
            return Progress::Consumed(bytes.len());
        }
        let mut at = 0;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            // Where a segment ends means nothing: half a line is shown again with what follows it.
            let end = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
            if end >= LINE_LIMIT {
                let long = BlindReason::MessageTooLong;
                return Progress::Blind(if self.has_opened { long } else { BlindReason::NotThisProtocol });
            }
            let Some((text, _)) = rest.split_at_checked(end).filter(|(_, tail)| !tail.is_empty()) else {
                return Progress::Consumed(at);
            };
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            let line = parse::line(text);
            if !self.has_opened {
                if line != Ok(Line::Hello) {
                    return Progress::Blind(BlindReason::NotThisProtocol);
                }
                self.has_opened = true;
            } else if let Err(refusal) = answer(cx, from, at, text.len(), line) {
                cx.refuse(refusal, cx.span(at, at + text.len()));
            }
            at += end + 1;
        }
    }

    fn longest_message(&self) -> usize {
        LINE_LIMIT - 1
    }
}

/// What follows of a line that stands at `at`.
fn answer(
    cx: &mut Context<'_>,
    from: Direction,
    at: usize,
    length: usize,
    line: Result<Line, Refusal>,
) -> Result<(), Refusal> {
    let Line::Port(port, Range { start, end }) = line? else { return Ok(()) };
    admit_port(port, cx.policy)?;
    let source = AddressMatch::Exact(cx.master.receiver(from).ip());
    let destination = SocketAddr::new(cx.master.sender_seen_by_peer(from).ip(), port);
    let handle = cx.expect(Expect::to(Protocol::TCP, source, destination, cx.span(at, at + length)));
    cx.locate(handle, cx.span(at + start, at + end), notation::DIGITS);
    Ok(())
}
