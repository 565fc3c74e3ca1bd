//! `--diagram`: one control conn as lifelines, with what it announced and the conns that came of it.
//!
//! While the captures pass, short records of the packets that could matter are kept (a bounded number). At the end a [`Picture`], which
//! is rows of arrows and notes without any geometry, is chosen from them; [`svg`] gives it its shape, [`html`] a page around it.

pub mod html;
mod picture;
pub mod svg;

pub use picture::{Arrow, Lane, Picture, Row, Tone};

use crate::replay::{Headers, Kind, Place, Report, Seen, Sink};
use pinhole_engine::Verdict;
use pinhole_track::State;
use pinhole_wire::link;
use pinhole_wire::{Packet, TcpFlags};
use std::io;

/// Most packets that are kept.
const MOST_PACKETS: usize = 20_000;

/// Bytes of payload that are kept of a packet.
const SNIPPET: usize = 160;

/// Keeps what a picture may need.
#[derive(Debug)]
pub struct Diagram {
    conn: Option<u32>,
    packets: Vec<Kept>,
}

/// A packet that a picture may show.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) place: Place,
    pub(crate) conn: Option<u32>,
    pub(crate) headers: Headers,
    pub(crate) state: Option<State>,
    pub(crate) verdict: Verdict,
    pub(crate) snippet: Box<[u8]>,
    /// The beginning of the payload that left in place of the one that came, if it was rewritten.
    pub(crate) rewritten: Option<Box<[u8]>>,
}

impl Kept {
    pub(crate) fn flags(&self) -> TcpFlags {
        match self.headers.kind {
            Kind::Tcp(flags) => flags,
            _ => TcpFlags::empty(),
        }
    }

    pub(crate) fn survives(&self) -> bool {
        matches!(self.verdict, Verdict::Accept | Verdict::Held)
    }
}

impl Diagram {
    /// Will draw the conn with this number; without one, the first that announced something.
    pub fn new(conn: Option<u32>) -> Self {
        Self { conn, packets: Vec::new() }
    }

    /// The picture.
    ///
    /// # Errors
    /// There is nothing to draw; the text says what is missing.
    pub fn picture(&self, report: &Report) -> Result<Picture, String> {
        let first = || {
            let expected = report.expectations.first().map(|e| e.master);
            expected.or_else(|| report.refusals.first().map(|r| r.master))
        };
        let number = self.conn.or_else(first).ok_or(
            "nothing to draw: no connection announced another one (see --helpers, and --diagram-conn)",
        )?;
        let master = report.conns.get(&number).ok_or_else(|| {
            format!(
                "no diagram of connection {number}: there is none, or it has neither a helper nor a master"
            )
        })?;
        Ok(picture::compose(report, master, &self.packets))
    }
}

impl Sink for Diagram {
    fn wants_packets(&self) -> bool {
        true
    }

    fn packet(&mut self, report: &Report, seen: &Seen<'_>) -> io::Result<()> {
        let conn = seen.conn.and_then(|number| report.conns.get(&number));
        let wanted = match conn {
            Some(conn) => conn.helper.is_some() || conn.master.is_some() || self.conn == Some(conn.number),
            None => matches!(seen.outcome.state, Some(State::New | State::Related)),
        };
        if !wanted || self.packets.len() >= MOST_PACKETS {
            return Ok(());
        }
        let Some(headers) = seen.headers() else { return Ok(()) };
        self.packets.push(Kept {
            place: seen.place,
            conn: seen.conn,
            headers,
            state: seen.outcome.state,
            verdict: seen.outcome.verdict,
            snippet: snippet(seen),
            rewritten: rewritten(seen),
        });
        Ok(())
    }

    fn finish(&mut self, _report: &Report) -> io::Result<()> {
        Ok(())
    }
}

/// The beginning of the payload that left instead.
fn rewritten(seen: &Seen<'_>) -> Option<Box<[u8]>> {
    let text = seen.left_packets()?.into_iter().find_map(|packet| packet.rewritten)?;
    Some(text.get(..SNIPPET).unwrap_or(&text).into())
}

/// The beginning of a packet's payload.
fn snippet(seen: &Seen<'_>) -> Box<[u8]> {
    let packet =
        link::strip(seen.link, seen.bytes).ok().and_then(|n| Packet::parse(seen.bytes, n.offset).ok());
    let payload = packet.as_ref().map_or(&[][..], |packet| packet.payload_bytes(seen.bytes));
    payload.get(..SNIPPET).unwrap_or(payload).into()
}
