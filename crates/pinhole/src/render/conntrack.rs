//! The lines of the `conntrack` tool: `-L -o id`, `-L expect`, and with `--events` those of `-E`.
//!
//! Ids are the report's own numbers, small and in order. What the tool cannot tell, the frame and why a conn ended, comes after its fields.

use crate::replay::record::{Conn, Expectation, exact_port};
use crate::replay::{Change, Place, Report, Sink};
use pinhole_engine::RuleRef;
use pinhole_helper::{AddressMatch, PortMatch};
use pinhole_track::{Counters, DestroyCause, Status, Tuple};
use pinhole_wire::{Direction, Protocol, Time};
use std::fmt;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Lists conns and expectations when the captures are at their end.
pub struct Listing<W>(W);

impl<W: Write> Listing<W> {
    /// A listing.
    pub fn new(out: W) -> Self {
        Self(out)
    }
}

impl<W: Write> Sink for Listing<W> {
    fn finish(&mut self, report: &Report) -> io::Result<()> {
        let out = &mut self.0;
        for conn in report.conns.values() {
            write!(out, "{}", Line { conn, counters: true, timeout: conn.end.is_none() })?;
            if let Some((place, cause)) = conn.end {
                write!(out, " [ENDED] cause={}", cause_name(cause))?;
                frame(out, report, place)?;
            }
            writeln!(out)?;
        }
        let now = report.totals.span.map(|(_, last)| last).unwrap_or_default();
        for expectation in report.expectations.iter().filter(|e| e.end.is_none()) {
            let left = expectation.deadline.since(now) / 1_000_000_000;
            writeln!(out, "{}", Expected { report, expectation, left })?;
        }
        out.flush()
    }
}

/// Writes events as they happen.
pub struct Events<W>(W);

impl<W: Write> Events<W> {
    /// An event log.
    pub fn new(out: W) -> Self {
        Self(out)
    }

    fn conn(&mut self, report: &Report, tag: &str, number: u32, place: Place) -> io::Result<()> {
        let Some(conn) = report.conns.get(&number) else { return Ok(()) };
        let ended = conn.end.is_some();
        write!(self.0, "{tag:>9} {}", Line { conn, counters: ended, timeout: !ended })?;
        if let Some((_, cause)) = conn.end {
            write!(self.0, " cause={}", cause_name(cause))?;
        }
        self.end(report, place)
    }

    fn expectation(&mut self, report: &Report, tag: &str, index: usize, place: Place) -> io::Result<()> {
        let Some(expectation) = report.expectations.get(index) else { return Ok(()) };
        let left = expectation.deadline.since(expectation.quote.time) / 1_000_000_000;
        write!(self.0, "{tag:>9} {}", Expected { report, expectation, left })?;
        self.end(report, place)
    }

    fn end(&mut self, report: &Report, place: Place) -> io::Result<()> {
        frame(&mut self.0, report, place)?;
        writeln!(self.0)
    }
}

impl<W: Write> Sink for Events<W> {
    fn change(&mut self, report: &Report, change: Change) -> io::Result<()> {
        match change {
            Change::ConnNew(number, place) => self.conn(report, "[NEW]", number, place),
            Change::ConnUpdate(number, place) => self.conn(report, "[UPDATE]", number, place),
            Change::ConnEnd(number, place) => self.conn(report, "[DESTROY]", number, place),
            Change::Announced(index) => {
                let place = report.expectations.get(index).map(|e| e.quote.place).unwrap_or_default();
                self.expectation(report, "[NEW]", index, place)
            }
            Change::Updated(index, place) => self.expectation(report, "[UPDATE]", index, place),
            Change::Ended(index, place) => self.expectation(report, "[DESTROY]", index, place),
            Change::Refused(index) => {
                let Some(refused) = report.refusals.get(index) else { return Ok(()) };
                let quote = &refused.quote;
                write!(
                    self.0,
                    "{:>9} helper={} master={} reason={} \"{}\"",
                    "[REFUSE]",
                    quote.helper,
                    refused.master,
                    refused.reason.name(),
                    super::Text(&quote.bytes)
                )?;
                self.end(report, quote.place)
            }
            Change::Unread(index) => {
                let Some(unread) = report.unread.get(index) else { return Ok(()) };
                write!(self.0, "{:>9} conn={} {}", "[HELPER]", unread.conn, super::words::sight(unread))?;
                self.end(report, unread.place)
            }
            Change::Log(place, rule) => {
                let location = report.rule(RuleRef::Rule(rule)).map_or("", |line| line.location.as_str());
                write!(self.0, "{:>9} rule={location}", "[LOG]")?;
                self.end(report, place)
            }
            Change::Attached(_) | Change::Fulfilled(..) => Ok(()),
        }
    }

    fn finish(&mut self, _report: &Report) -> io::Result<()> {
        self.0.flush()
    }
}

fn frame(out: &mut dyn Write, report: &Report, place: Place) -> io::Result<()> {
    if place.frame() == 0 {
        return Ok(());
    }
    write!(out, " frame={}", place.frame())?;
    match report.captures.get(place.capture()) {
        Some(capture) if report.captures.len() > 1 => write!(out, " capture={}", capture.name),
        _ => Ok(()),
    }
}

const fn cause_name(cause: DestroyCause) -> &'static str {
    match cause {
        DestroyCause::Timeout => "timeout",
        DestroyCause::Closed => "closed",
        DestroyCause::EarlyDrop => "early-drop",
        DestroyCause::Request => "request",
    }
}

/// A living conn as `conntrack -L` prints it.
pub(crate) fn conn_text(conn: &Conn) -> impl fmt::Display + '_ {
    Line { conn, counters: true, timeout: true }
}

/// A waiting expectation as `conntrack -L expect` prints it.
pub(crate) fn expectation_text<'a>(
    report: &'a Report,
    expectation: &'a Expectation,
    now: Time,
) -> impl fmt::Display + 'a {
    Expected { report, expectation, left: expectation.deadline.since(now) / 1_000_000_000 }
}

/// A conn as `conntrack` prints it.
struct Line<'a> {
    conn: &'a Conn,
    counters: bool,
    timeout: bool,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let conn = self.conn;
        let protocol = conn.original.protocol;
        write!(f, "{:<8} {} ", protocol.name().unwrap_or("unknown"), protocol.0)?;
        if self.timeout {
            write!(f, "{} ", conn.timeout)?;
        }
        if let Some(state) = conn.protocol_state {
            write!(f, "{state} ")?;
        }
        let counters = |direction: Direction| self.counters.then(|| conn.counters[direction.index()]);
        write!(f, "{}", Half(&conn.original, counters(Direction::Original)))?;
        if !conn.status.contains(Status::SEEN_REPLY) {
            f.write_str(" [UNREPLIED]")?;
        }
        write!(f, " {}", Half(&conn.reply, counters(Direction::Reply)))?;
        if conn.status.contains(Status::OFFLOAD) {
            f.write_str(" [OFFLOAD]")?;
        } else if conn.status.contains(Status::ASSURED) {
            f.write_str(" [ASSURED]")?;
        }
        write!(f, " mark={}", conn.mark)?;
        if let Some(helper) = &conn.helper {
            write!(f, " helper={}", helper.name)?;
        }
        write!(f, " use=1 id={}", conn.number)?;
        match conn.master {
            Some(master) => write!(f, " master={master}"),
            None => Ok(()),
        }
    }
}

/// One tuple, with its counters.
struct Half<'a>(&'a Tuple, Option<Counters>);

impl fmt::Display for Half<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(tuple, counters) = self;
        write!(f, "src={} dst={}", tuple.source.ip(tuple.version), tuple.destination.ip(tuple.version))?;
        match tuple.protocol {
            Protocol::ICMP | Protocol::ICMPV6 => {
                let (kind, code) = (tuple.destination_port >> 8, tuple.destination_port & 0xff);
                write!(f, " type={kind} code={code} id={}", tuple.source_port)?;
            }
            Protocol::GRE => {
                write!(f, " srckey={:#x} dstkey={:#x}", tuple.source_port, tuple.destination_port)?;
            }
            _ if tuple.source_port != 0 || tuple.destination_port != 0 => {
                write!(f, " sport={} dport={}", tuple.source_port, tuple.destination_port)?;
            }
            _ => {}
        }
        match counters {
            Some(counters) => write!(f, " packets={} bytes={}", counters.packets, counters.bytes),
            None => Ok(()),
        }
    }
}

/// An expectation as `conntrack -L expect` prints it.
struct Expected<'a> {
    report: &'a Report,
    expectation: &'a Expectation,
    left: u64,
}

impl fmt::Display for Expected<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let expect = &self.expectation.expect;
        let v4 = expect.destination.is_ipv4();
        let any: IpAddr = if v4 { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let (source, length) = match expect.source {
            AddressMatch::Exact(ip) => (ip, if v4 { 32 } else { 128 }),
            AddressMatch::Prefix(ip, length) => (ip, length),
            AddressMatch::Any => (any, 0),
        };
        write!(
            f,
            "{} proto={} src={source} dst={} sport={} dport={} mask-src={} mask-dst={} sport={} dport={}",
            self.left,
            expect.protocol.0,
            expect.destination,
            exact_port(expect.source_port).unwrap_or(0),
            first_port(expect.destination_port),
            mask(v4, length),
            mask(v4, if v4 { 32 } else { 128 }),
            port_mask(expect.source_port),
            port_mask(expect.destination_port),
        )?;
        if let Some(master) = self.report.conns.get(&self.expectation.master) {
            let tuple = &master.original;
            write!(
                f,
                " master-src={} master-dst={} sport={} dport={}",
                tuple.source.ip(tuple.version),
                tuple.destination.ip(tuple.version),
                tuple.source_port,
                tuple.destination_port
            )?;
        }
        if self.expectation.active.is_none() {
            f.write_str(" INACTIVE")?;
        }
        write!(
            f,
            " class={} helper={} id={}",
            expect.class, self.expectation.quote.helper, self.expectation.id
        )
    }
}

fn first_port(port: PortMatch) -> u16 {
    match port {
        PortMatch::Exact(port) | PortMatch::Range(port, _) => port,
        PortMatch::Any => 0,
    }
}

fn port_mask(port: PortMatch) -> u16 {
    match port {
        PortMatch::Exact(_) => u16::MAX,
        PortMatch::Range(..) | PortMatch::Any => 0,
    }
}

fn mask(v4: bool, length: u8) -> IpAddr {
    if v4 {
        Ipv4Addr::from(u32::MAX.checked_shl(32 - u32::from(length.min(32))).unwrap_or(0)).into()
    } else {
        Ipv6Addr::from(u128::MAX.checked_shl(128 - u32::from(length.min(128))).unwrap_or(0)).into()
    }
}
