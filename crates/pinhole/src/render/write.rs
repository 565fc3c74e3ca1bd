//! `--write`: packets into a pcapng file as they leave the firewall, each with a comment that Wireshark shows.

use crate::render::words;
use crate::replay::{Left, Report, Seen, Sink};
use pinhole_engine::Verdict;
use pinhole_io::capture::{PcapngWriter, Record};
use pinhole_track::State;
use pinhole_wire::LinkType;
use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::io::{self, Write};

/// Writes the packets that survive, or all.
pub struct Survivors<W: Write> {
    writer: Option<PcapngWriter<W>>,
    all: bool,
    /// (capture, its interface, link type) → the file's own interface.
    interfaces: HashMap<(usize, u32, LinkType), u32>,
    comment: String,
}

impl<W: Write> Survivors<W> {
    /// Starts the file.
    ///
    /// # Errors
    /// Writing failed.
    pub fn new(out: W, all: bool) -> io::Result<Self> {
        let writer = PcapngWriter::new(out, concat!("pinhole ", env!("CARGO_PKG_VERSION")))?;
        Ok(Self { writer: Some(writer), all, interfaces: HashMap::new(), comment: String::new() })
    }
}

impl<W: Write> Survivors<W> {
    /// Writes one frame with the comment at hand.
    fn record(
        &mut self,
        report: &Report,
        seen: &Seen<'_>,
        link: LinkType,
        bytes: &[u8],
        original_length: u32,
    ) -> io::Result<()> {
        let Some(writer) = self.writer.as_mut() else { return Ok(()) };
        let key = (seen.place.capture(), seen.interface, link);
        let interface = match self.interfaces.get(&key) {
            Some(&interface) => interface,
            None => {
                let named = seen.described.and_then(|described| described.name.as_deref());
                let capture = report.captures.get(seen.place.capture()).map_or("", |c| c.name.as_str());
                let interface = writer.add_interface(link, named.unwrap_or(capture))?;
                self.interfaces.insert(key, interface);
                interface
            }
        };
        writer.write(&Record {
            interface,
            time: seen.time,
            bytes,
            original_length,
            direction: None,
            comment: Some(&self.comment),
        })
    }
}

impl<W: Write> Sink for Survivors<W> {
    fn wants_packets(&self) -> bool {
        true
    }

    fn packet(&mut self, report: &Report, seen: &Seen<'_>) -> io::Result<()> {
        // A held fragment has done nothing wrong; whether its datagram survives is said at its last fragment.
        let survives = !matches!(seen.outcome.verdict, Verdict::Drop | Verdict::Reject(_));
        if !survives && !self.all {
            return Ok(());
        }
        self.comment.clear();
        // Writing to memory cannot fail.
        let _ = write!(self.comment, "{}", Comment { report, seen });
        match seen.left {
            Left::Changed(frames) if survives => {
                for frame in frames {
                    self.record(report, seen, frame.link, &frame.bytes, frame.bytes.len() as u32)?;
                }
                Ok(())
            }
            _ => self.record(report, seen, seen.link, seen.bytes, seen.original_length),
        }
    }

    fn finish(&mut self, _report: &Report) -> io::Result<()> {
        match self.writer.take() {
            Some(writer) => writer.finish().map(|_| ()),
            None => Ok(()),
        }
    }
}

/// `pinhole: drop, new, by fw.nft:14 "tcp dport 23 drop"`
struct Comment<'a> {
    report: &'a Report,
    seen: &'a Seen<'a>,
}

impl fmt::Display for Comment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = self.seen.outcome;
        write!(f, "pinhole: {}", outcome.verdict.name())?;
        if let Some(state) = outcome.state {
            write!(f, ", {}", State::name(state))?;
        }
        if let Some(conn) = self.seen.conn {
            let direction = words::direction(outcome.direction);
            write!(f, ", conn {conn} {direction}")?;
            if let Some(master) = self.report.conns.get(&conn).and_then(|conn| conn.master) {
                write!(f, " of master {master}")?;
            }
        }
        if let Some(rule) = outcome.rule.and_then(|rule| self.report.rule(rule)) {
            write!(f, ", by {} \"{}\"", rule.location, rule.text)?;
        }
        match &outcome.reason {
            Some(reason) => write!(f, ", {reason} ({})", reason.name()),
            None => Ok(()),
        }
    }
}
