//! `--explain`: why, in words.
//!
//! While the captures pass, the packets that were asked about are kept (a bounded number); at the end, when it is known what became of
//! expectations, their story is told.

mod everything;
mod origin;
mod story;
pub(crate) mod why;

use super::Palette;
use crate::arguments::Target;
use crate::replay::{Headers, LeftPacket, Place, Report, Seen, Sink};
use pinhole_engine::Outcome;
use pinhole_wire::{LinkType, Time};
use std::io::{self, Write};

/// Most packets of a flow that are kept.
const MOST_PACKETS: usize = 2_000;

/// Explains when the captures are at their end.
pub struct Explain<W> {
    out: W,
    palette: Palette,
    target: Target,
    limit: usize,
    packets: Vec<Kept>,
    omitted: u64,
}

/// A packet that was asked about.
#[derive(Clone, Debug)]
struct Kept {
    place: Place,
    time: Time,
    link: LinkType,
    length: u32,
    headers: Option<Headers>,
    outcome: Outcome,
    conn: Option<u32>,
    about: Option<u32>,
    /// What left in its place, if not the packet itself.
    left: Option<Vec<LeftPacket>>,
}

impl<W: Write> Explain<W> {
    /// Explains `target`; of drops that are alike in their rule, at most `limit` kinds.
    pub fn new(out: W, palette: Palette, target: Target, limit: usize) -> Self {
        Self { out, palette, target, limit, packets: Vec::new(), omitted: 0 }
    }

    fn asked_about(&self, seen: &Seen<'_>, headers: Option<&Headers>) -> bool {
        match &self.target {
            Target::Everything => false,
            Target::Frame(frame) => seen.place.frame() == *frame,
            Target::Conn(conn) => seen.conn == Some(*conn),
            Target::Flow(flow) => headers.is_some_and(|h| {
                let end = |address, port: Option<u16>| (address, port.unwrap_or(0));
                flow.matches_ends(
                    h.protocol,
                    end(h.source, h.source_port),
                    end(h.destination, h.destination_port),
                )
            }),
        }
    }
}

impl<W: Write> Sink for Explain<W> {
    fn wants_packets(&self) -> bool {
        self.target != Target::Everything
    }

    fn packet(&mut self, _report: &Report, seen: &Seen<'_>) -> io::Result<()> {
        let headers = seen.headers();
        if !self.asked_about(seen, headers.as_ref()) {
            return Ok(());
        }
        if self.packets.len() >= MOST_PACKETS {
            self.omitted += 1;
            return Ok(());
        }
        self.packets.push(Kept {
            place: seen.place,
            time: seen.time,
            link: seen.link,
            length: seen.original_length,
            headers,
            outcome: *seen.outcome,
            conn: seen.conn,
            about: seen.about,
            left: seen.left_packets(),
        });
        Ok(())
    }

    fn finish(&mut self, report: &Report) -> io::Result<()> {
        let (out, p) = (&mut self.out, &self.palette);
        match &self.target {
            Target::Everything => everything::tell(out, p, report, self.limit)?,
            Target::Frame(frame) => {
                if self.packets.is_empty() {
                    writeln!(
                        out,
                        "there is no frame {frame}: the captures hold {} packets",
                        report.totals.packets
                    )?;
                }
                for (index, packet) in self.packets.iter().enumerate() {
                    if index > 0 {
                        writeln!(out)?;
                    }
                    story::frame(out, p, report, packet)?;
                }
            }
            Target::Conn(number) => match report.conns.get(number) {
                Some(conn) => story::conn(out, p, report, conn, &self.packets, self.omitted)?,
                None => writeln!(out, "there is no connection {number}: {} were seen", report.conns_seen())?,
            },
            Target::Flow(flow) => story::flow(out, p, report, flow, &self.packets, self.omitted)?,
        }
        out.flush()
    }
}
