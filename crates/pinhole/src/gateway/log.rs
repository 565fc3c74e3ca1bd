//! What a gateway writes about itself, on standard error: lines of text, or of JSON.
//!
//! Two kinds: messages, the same one at most once a second; and the packets that `log` statements name, in the words of netfilter's own log, a few a
//! second. Nothing is written about a packet that no rule wants logged; `monitor` and `--record` are for that.

mod packet;
#[cfg(test)]
mod tests;

use super::config::LogFormat;
use packet::Fields;
use pinhole_engine::{Logged, Topology};
use pinhole_wire::Time;
use serde_json::json;
use std::io::Write as _;

/// Packets that are written in a second.
const PACKETS_PER_SECOND: u32 = 20;

/// Standard error, in one of two forms.
#[derive(Default)]
pub(super) struct Log {
    format: LogFormat,
    latest: String,
    told: Time,
    second: u64,
    packets: u32,
}

impl Log {
    pub(super) fn new(format: LogFormat) -> Self {
        Self { format, ..Self::default() }
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
