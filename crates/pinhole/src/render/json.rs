//! JSON Lines, as `docs/json.md` describes them.
//!
//! Packet lines are written by hand into one buffer that is reused, because there are millions of them; all others by serde.

mod lines;

use super::Text;
use crate::render::words;
use crate::replay::{Change, LeftPacket, Place, Report, STATES, Seen, Sink, VERDICTS};
use lines::{conn_line, event_lines, expectation_line};
pub(crate) use lines::{conn_line as conn_json, expectation_line as expectation_json};
use pinhole_engine::RuleRef;
use pinhole_wire::{Protocol, Time};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{self, Write};
use std::net::IpAddr;

/// Version of the schema. Goes up when a field changes its meaning or goes away; new fields and new types of lines do not count.
pub const SCHEMA: u32 = 1;

/// Writes JSON Lines.
pub struct Json<W> {
    out: W,
    line: Vec<u8>,
    /// Capture names and rule locations as JSON strings.
    captures: Vec<Vec<u8>>,
    rules: HashMap<RuleRef, Vec<u8>>,
    ruleset: Option<String>,
    arguments: Value,
    started: bool,
}

impl<W: Write> Json<W> {
    /// JSON Lines; `settings` goes into the header.
    pub fn new(out: W, ruleset: Option<String>, settings: Value) -> Self {
        Self {
            out,
            line: Vec::with_capacity(512),
            captures: Vec::new(),
            rules: HashMap::new(),
            ruleset,
            arguments: settings,
            started: false,
        }
    }

    fn start(&mut self, report: &Report) -> io::Result<()> {
        if self.started {
            return Ok(());
        }
        self.started = true;
        self.captures = report.captures.iter().map(|c| quoted(&c.name)).collect();
        let captures: Vec<&str> = report.captures.iter().map(|c| c.name.as_str()).collect();
        self.value(&json!({
            "type": "header",
            "schema": SCHEMA,
            "pinhole": env!("CARGO_PKG_VERSION"),
            "captures": captures,
            "rules": self.ruleset,
            "settings": self.arguments,
        }))
    }

    fn value(&mut self, value: &Value) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, value)?;
        self.out.write_all(b"\n")
    }
}

fn quoted(text: &str) -> Vec<u8> {
    serde_json::to_vec(text).unwrap_or_default()
}

impl<W: Write> Sink for Json<W> {
    fn wants_packets(&self) -> bool {
        true
    }

    fn packet(&mut self, report: &Report, seen: &Seen<'_>) -> io::Result<()> {
        self.start(report)?;
        let (outcome, headers) = (seen.outcome, seen.headers());
        let rule = outcome.rule.map(|rule| {
            &*self
                .rules
                .entry(rule)
                .or_insert_with(|| quoted(report.rule(rule).map_or("", |r| r.location.as_str())))
        });
        let mut line =
            Line::start(&mut self.line, b"packet", self.captures.get(seen.place.capture()), seen.place);
        line.number("conn", seen.conn.map(u64::from));
        line.name("state", outcome.state.map(pinhole_track::State::name));
        let direction = words::direction(outcome.direction);
        line.name("direction", seen.conn.map(|_| direction));
        line.name("verdict", Some(outcome.verdict.name()));
        line.raw("rule", rule.map(Vec::as_slice));
        line.name("reason", outcome.reason.as_ref().map(pinhole_engine::Reason::name));
        match &outcome.reason {
            None => line.raw("message", None),
            Some(reason) => line.raw("message", Some(&quoted(&reason.to_string()))),
        }
        line.number("about", seen.about.map(u64::from));
        match headers.map(|h| h.protocol) {
            Some(protocol) if protocol.name().is_none() => line.display("proto", Some(protocol)),
            named => line.name("proto", named.and_then(Protocol::name)),
        }
        line.address("src", headers.map(|h| h.source));
        line.number("sport", headers.and_then(|h| h.source_port).map(u64::from));
        line.address("dst", headers.map(|h| h.destination));
        line.number("dport", headers.and_then(|h| h.destination_port).map(u64::from));
        line.number("length", Some(u64::from(seen.original_length)));
        line.time("time", seen.time);
        match seen.left_packets() {
            None => line.raw("left", None),
            Some(packets) => line.raw("left", Some(&left(&packets))),
        }
        self.out.write_all(line.end())
    }

    fn change(&mut self, report: &Report, change: Change) -> io::Result<()> {
        self.start(report)?;
        match change {
            Change::ConnEnd(number, _) => match report.conns.get(&number) {
                Some(conn) => self.value(&conn_line(report, conn)),
                None => Ok(()),
            },
            other => match event_lines(report, other) {
                Some(value) => self.value(&value),
                None => Ok(()),
            },
        }
    }

    fn finish(&mut self, report: &Report) -> io::Result<()> {
        self.start(report)?;
        for expectation in &report.expectations {
            self.value(&expectation_line(report, expectation))?;
        }
        for conn in report.conns.values() {
            self.value(&conn_line(report, conn))?;
        }
        for warning in &report.warnings {
            self.value(&json!({"type": "warning", "message": warning}))?;
        }
        self.value(&summary(report))?;
        self.out.flush()
    }
}

fn summary(report: &Report) -> Value {
    let states: serde_json::Map<String, Value> = STATES
        .iter()
        .enumerate()
        .map(|(row, state)| {
            let cells: serde_json::Map<String, Value> = VERDICTS
                .iter()
                .enumerate()
                .map(|(column, verdict)| ((*verdict).to_owned(), report.totals.cell(row, column).into()))
                .filter(|(_, count)| count != &Value::from(0))
                .collect();
            (state.map_or("none", pinhole_track::State::name).to_owned(), Value::Object(cells))
        })
        .filter(|(_, cells)| cells.as_object().is_some_and(|c| !c.is_empty()))
        .collect();
    json!({
        "type": "summary",
        "packets": report.totals.packets,
        "conns": report.conns_seen(),
        "expectations": report.expectations.len(),
        "fulfilled": report.expectations.iter().filter(|e| !e.fulfilled.is_empty()).count(),
        "refusals": report.refusals.len(),
        "states": states,
        "complete": !report.incomplete,
    })
}

/// The packets that left in place of one.
fn left(packets: &[LeftPacket]) -> Vec<u8> {
    let packet = |packet: &LeftPacket| {
        let headers = packet.headers;
        json!({
            "src": headers.map(|h| h.source),
            "sport": headers.and_then(|h| h.source_port),
            "dst": headers.map(|h| h.destination),
            "dport": headers.and_then(|h| h.destination_port),
            "length": packet.length,
            "bytes": packet.rewritten.as_deref().map(lossy),
        })
    };
    let packets: Vec<Value> = packets.iter().map(packet).collect();
    serde_json::to_vec(&packets).unwrap_or_default()
}

/// The name, as `bytes` fields hold it.
fn lossy(bytes: &[u8]) -> String {
    Text(bytes).to_string()
}

/// One line being written by hand. Names and numbers need no escapes; anything else comes in as JSON.
struct Line<'a>(&'a mut Vec<u8>);

impl<'a> Line<'a> {
    fn start(buffer: &'a mut Vec<u8>, kind: &[u8], capture: Option<&Vec<u8>>, place: Place) -> Self {
        buffer.clear();
        let mut line = Self(buffer);
        line.0.extend_from_slice(b"{\"type\":\"");
        line.0.extend_from_slice(kind);
        line.0.push(b'"');
        line.raw("capture", capture.map(Vec::as_slice));
        line.number("frame", Some(place.frame()));
        line
    }

    fn key(&mut self, key: &str) {
        self.0.extend_from_slice(b",\"");
        self.0.extend_from_slice(key.as_bytes());
        self.0.extend_from_slice(b"\":");
    }

    fn raw(&mut self, key: &str, json: Option<&[u8]>) {
        self.key(key);
        self.0.extend_from_slice(json.unwrap_or(b"null"));
    }

    fn number(&mut self, key: &str, number: Option<u64>) {
        match number {
            Some(number) => self.raw(key, Some(itoa::Buffer::new().format(number).as_bytes())),
            None => self.raw(key, None),
        }
    }

    fn name(&mut self, key: &str, name: Option<&'static str>) {
        match name {
            Some(name) => {
                self.key(key);
                self.0.push(b'"');
                self.0.extend_from_slice(name.as_bytes());
                self.0.push(b'"');
            }
            None => self.raw(key, None),
        }
    }

    fn address(&mut self, key: &str, address: Option<IpAddr>) {
        let Some(IpAddr::V4(v4)) = address else { return self.display(key, address) };
        self.key(key);
        self.0.push(b'"');
        for (index, octet) in v4.octets().into_iter().enumerate() {
            if index > 0 {
                self.0.push(b'.');
            }
            self.0.extend_from_slice(itoa::Buffer::new().format(octet).as_bytes());
        }
        self.0.push(b'"');
    }

    /// Seconds with nine decimals.
    fn time(&mut self, key: &str, time: Time) {
        self.key(key);
        self.0.push(b'"');
        self.0.extend_from_slice(itoa::Buffer::new().format(time.seconds()).as_bytes());
        self.0.push(b'.');
        let mut digits = [b'0'; 9];
        let mut nanos = time.0 % 1_000_000_000;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (nanos % 10) as u8;
            nanos /= 10;
        }
        self.0.extend_from_slice(&digits);
        self.0.push(b'"');
    }

    /// A value whose text needs no escapes.
    fn display(&mut self, key: &str, value: Option<impl std::fmt::Display>) {
        let Some(value) = value else { return self.raw(key, None) };
        self.key(key);
        self.0.push(b'"');
        // Writing to memory cannot fail.
        let _ = write!(self.0, "{value}");
        self.0.push(b'"');
    }

    fn end(self) -> &'a [u8] {
        self.0.extend_from_slice(b"}\n");
        self.0
    }
}
