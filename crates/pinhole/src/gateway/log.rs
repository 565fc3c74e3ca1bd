//! What a gateway writes about itself, on standard error: lines of text, or of JSON.
//!
//! Messages, the same one at most once a second; the packets that `log` statements name, in the words of netfilter's own log, a few a second; and,
//! at the level `trace` only, what became of every packet that was judged.

mod packet;
#[cfg(test)]
mod tests;

use super::config::{LogFormat, LogLevel};
use crate::render::words;
use crate::replay::Headers;
use packet::Fields;
use pinhole_engine::{Logged, Outcome, Topology};
use pinhole_track::State;
use pinhole_wire::Time;
use serde_json::json;
use std::io::Write as _;

/// Packets that are written in a second.
const PACKETS_PER_SECOND: u32 = 20;

/// Standard error, in one of two forms.
#[derive(Default)]
pub(super) struct Log {
    format: LogFormat,
    level: LogLevel,
    latest: String,
    told: Time,
    second: u64,
    packets: u32,
}

/// A packet that is traced.
pub(super) struct Traced<'a> {
    pub(super) time: Time,
    pub(super) port: &'a str,
    pub(super) frame: u64,
    pub(super) headers: Option<Headers>,
    pub(super) outcome: &'a Outcome,
    pub(super) rule: Option<&'a str>,
    /// The conn's number, as `list` shows it.
    pub(super) conn: Option<u32>,
}

impl Log {
    pub(super) fn new(format: LogFormat, level: LogLevel) -> Self {
        Self { format, level, ..Self::default() }
    }

    /// Whether every packet is to be traced.
    pub(super) fn traces(&self) -> bool {
        self.level == LogLevel::Trace
    }

    /// What became of a packet.
    pub(super) fn trace(&self, traced: &Traced<'_>) {
        self.write(&self.trace_line(traced));
    }

    fn trace_line(&self, traced: &Traced<'_>) -> String {
        let Traced { time, port, frame, headers, outcome, rule, conn } = traced;
        let flow = headers.map(|headers| format!("{headers} {}", headers.kind));
        let verdict = outcome.verdict.name();
        let state = outcome.state.map(State::name);
        let reason = outcome.reason.map(|reason| reason.name());
        let direction = conn.map(|_| words::direction(outcome.direction));
        if self.format == LogFormat::Json {
            return json!({
                "time": seconds(*time), "type": "trace", "port": port, "frame": frame, "flow": flow, "conn": conn, "state": state,
                "direction": direction, "verdict": verdict, "rule": rule, "reason": reason,
            })
            .to_string();
        }
        let mut line = format!("trace: {port} {frame}: {}", flow.as_deref().unwrap_or("not IP"));
        for (name, value) in [
            ("conn", conn.map(|conn| conn.to_string())),
            ("direction", direction.map(str::to_owned)),
            ("state", state.map(str::to_owned)),
            ("verdict", Some(verdict.to_owned())),
            ("rule", rule.map(str::to_owned)),
            ("reason", reason.map(str::to_owned)),
        ] {
            if let Some(value) = value {
                line.push_str(&format!(" {name}={value}"));
            }
        }
        line
    }

    /// A message.
    pub(super) fn tell(&mut self, now: Time, message: &str) {
        if message == self.latest && now.since(self.told) < 1_000_000_000 {
            return;
        }
        message.clone_into(&mut self.latest);
        self.told = now;
        self.write(&self.message(now, message));
    }

    fn message(&self, now: Time, message: &str) -> String {
        match self.format {
            LogFormat::Text => message.to_owned(),
            LogFormat::Json => {
                json!({"time": seconds(now), "type": "message", "message": message}).to_string()
            }
        }
    }

    /// A packet that a rule wants logged.
    pub(super) fn packet(&mut self, now: Time, logged: &Logged, rule: &str, topology: &Topology) {
        if self.second != now.seconds() {
            let omitted = self.packets.saturating_sub(PACKETS_PER_SECOND);
            if omitted > 0 {
                let message = format!("{omitted} more packets were to be logged in the second before");
                self.write(&self.message(now, &message));
            }
            (self.second, self.packets) = (now.seconds(), 0);
        }
        self.packets = self.packets.saturating_add(1);
        if self.packets <= PACKETS_PER_SECOND {
            self.write(&self.packet_line(now, logged, rule, topology));
        }
    }

    fn packet_line(&self, now: Time, logged: &Logged, rule: &str, topology: &Topology) -> String {
        let fields = Fields::of(logged, topology);
        match self.format {
            LogFormat::Text => format!("{}{fields}", logged.prefix),
            LogFormat::Json => {
                let mut line = json!({
                    "time": seconds(now), "type": "packet", "level": logged.level, "prefix": &*logged.prefix,
                    "rule": rule,
                });
                if let Some(object) = line.as_object_mut() {
                    object.extend(fields.json());
                }
                line.to_string()
            }
        }
    }

    fn write(&self, line: &str) {
        // What a packet or a rule says must not look like another line. Nobody is left to be told if this cannot be written.
        let line = line.replace('\n', "\\n");
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}

fn seconds(time: Time) -> f64 {
    (time.0 / 1_000_000) as f64 / 1_000.0
}
