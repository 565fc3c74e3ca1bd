//! The picture, and what keys do to it.

#[cfg(test)]
mod tests;

use crate::render::bytes;
use serde_json::Value;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Instant;

/// Rows of drops at most.
const DROPS: usize = 6;

/// What the gateway answered at one moment.
pub(super) struct Snapshot {
    /// Control conns and those that they announced, as JSON.
    pub(super) conns: Vec<Value>,
    /// `stats --json`.
    pub(super) counters: Value,
}

/// What is shown, and how.
#[derive(Default)]
pub(super) struct Screen {
    rows: Vec<Row>,
    counters: Value,
    rates: Rates,
    /// Packets and bytes of each conn at the latest answer.
    before: HashMap<u64, [u64; 2]>,
    taken: Option<Instant>,
    order: Order,
    filter: String,
    typing: bool,
}

/// Per second, of the whole gateway.
#[derive(Default)]
struct Rates {
    packets: f64,
    dropped: f64,
}

struct Row {
    number: u64,
    master: Option<u64>,
    state: String,
    helper: String,
    flow: String,
    packets: f64,
    bytes: f64,
    total: u64,
}

/// By what conns are sorted; those that were announced stay with whoever announced them.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Order {
    #[default]
    Number,
    Bytes,
    Packets,
    Total,
}

impl Order {
    const fn next(self) -> Self {
        match self {
            Self::Number => Self::Bytes,
            Self::Bytes => Self::Packets,
            Self::Packets => Self::Total,
            Self::Total => Self::Number,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Bytes => "bytes a second",
            Self::Packets => "packets a second",
            Self::Total => "bytes",
        }
    }
}

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Character(char),
    Enter,
    Escape,
    Backspace,
    Interrupt,
}

impl Key {
    /// The keys that these bytes of a terminal are. Sequences of function keys mean nothing here.
    pub(super) fn of(bytes: &[u8]) -> Vec<Self> {
        if bytes.len() > 1 && bytes.first() == Some(&0x1b) {
            return Vec::new();
        }
        let key = |character| match character {
            '\r' | '\n' => Some(Self::Enter),
            '\x1b' => Some(Self::Escape),
            '\x7f' | '\x08' => Some(Self::Backspace),
            '\x03' | '\x04' => Some(Self::Interrupt),
            other if other.is_control() => None,
            other => Some(Self::Character(other)),
        };
        String::from_utf8_lossy(bytes).chars().filter_map(key).collect()
    }
}

impl Screen {
    /// Takes an answer in.
    pub(super) fn take(&mut self, snapshot: Snapshot, now: Instant) {
        let seconds = self.taken.map_or(0.0, |taken| now.duration_since(taken).as_secs_f64());
        let rate = |new: u64, old: u64| {
            if seconds > 0.0 { new.saturating_sub(old) as f64 / seconds } else { 0.0 }
        };
        let dropped = |counters: &Value| verdict(counters, "drop") + verdict(counters, "reject");
        self.rates = Rates {
            packets: rate(all(&snapshot.counters), all(&self.counters)),
            dropped: rate(dropped(&snapshot.counters), dropped(&self.counters)),
        };
        let mut before = HashMap::with_capacity(snapshot.conns.len());
        self.rows = snapshot.conns.iter().filter_map(Row::of).collect();
        for (row, conn) in
            self.rows.iter_mut().zip(snapshot.conns.iter().filter(|conn| Row::of(conn).is_some()))
        {
            let now = totals(conn);
            if let Some(old) = self.before.get(&row.number) {
                row.packets = rate(now[0], old[0]);
                row.bytes = rate(now[1], old[1]);
            }
            before.insert(row.number, now);
        }
        (self.before, self.counters, self.taken) = (before, snapshot.counters, Some(now));
    }

    /// Does what a key says. `false`: it says to end.
    pub(super) fn press(&mut self, key: Key) -> bool {
        match (key, self.typing) {
            (Key::Interrupt, _) | (Key::Character('q'), false) => return false,
            (Key::Character('s'), false) => self.order = self.order.next(),
            (Key::Character('/'), false) => {
                self.filter.clear();
                self.typing = true;
            }
            (Key::Character(character), true) => self.filter.push(character),
            (Key::Backspace, true) => drop(self.filter.pop()),
            (Key::Enter, true) => self.typing = false,
            (Key::Escape, _) => {
                self.typing = false;
                self.filter.clear();
            }
            _ => {}
        }
        true
    }

    /// The picture for a terminal of this size: so many lines, each as long as the terminal is wide.
    pub(super) fn draw(&self, columns: u16, rows: u16) -> String {
        let mut lines = vec![self.head(), self.table(), String::new()];
        let drops = self.drops();
        let room = usize::from(rows).saturating_sub(lines.len() + drops.len() + 2);
        lines.push(format!(
            "{:>8} {:<12} {:>9} {:>11} {:>10} {:<8} flow",
            "conn", "state", "packets/s", "bytes/s", "bytes", "helper"
        ));
        let shown = self.in_order();
        let count = shown.len();
        lines.extend(shown.into_iter().take(room.saturating_sub(1)).map(Row::line));
        lines.resize(usize::from(rows).saturating_sub(drops.len() + 1), String::new());
        lines.extend(drops);
        lines.push(self.foot(count));
        let mut picture = String::new();
        for line in lines.iter().take(usize::from(rows)) {
            let width = usize::from(columns);
            // A control character in a name must not reach the terminal.
            let clean = line.chars().map(|c| if c.is_control() { '.' } else { c });
            let cut: String = clean.take(width).collect();
            // Writing to memory cannot fail.
            let _ = write!(picture, "{}{cut:<width$}", if picture.is_empty() { "" } else { "\r\n" });
        }
        picture
    }

    fn head(&self) -> String {
        let count = |name: &str| self.counters[name].as_u64().unwrap_or(0);
        format!(
            "pinhole · {:.0} packets/s, {:.0} dropped/s · {} connections, {} expectations, {} sessions",
            self.rates.packets,
            self.rates.dropped,
            count("conns"),
            count("expectations"),
            count("sessions"),
        )
    }

    fn table(&self) -> String {
        let ports = self.counters["ports"].as_array().into_iter().flatten();
        let port = |port: &Value| {
            let count = |name: &str| port[name].as_u64().unwrap_or(0);
            format!("{} {} in, {} out", port["name"].as_str().unwrap_or(""), count("received"), count("sent"))
        };
        ports.map(port).collect::<Vec<_>>().join(" · ")
    }

    fn drops(&self) -> Vec<String> {
        let all = self.counters["drops"].as_array().into_iter().flatten();
        let line = |drop: &Value| {
            let text = |name: &str| drop[name].as_str().unwrap_or("").to_owned();
            format!(
                "  {} {} by {} {}",
                text("verdict"),
                drop["packets"].as_u64().unwrap_or(0),
                text("by"),
                text("ends")
            )
        };
        let mut lines: Vec<String> = all.take(DROPS).map(line).collect();
        if !lines.is_empty() {
            lines.insert(0, "dropped".to_owned());
        }
        lines
    }

    fn foot(&self, count: usize) -> String {
        let filter = match (self.typing, self.filter.is_empty()) {
            (true, _) => format!("filter: {}_", self.filter),
            (false, true) => "/ filter".to_owned(),
            (false, false) => format!("filter: {} (Esc: all)", self.filter),
        };
        format!("q quit · s sort: {} · {filter} · {count} shown", self.order.name())
    }

    /// Those that pass the filter: each control conn with what it announced behind it.
    fn in_order(&self) -> Vec<&Row> {
        let passes = |row: &Row| {
            let text = format!("{} {} {}", row.flow, row.helper, row.state).to_lowercase();
            text.contains(&self.filter.to_lowercase())
        };
        let family = |head: &Row| {
            self.rows
                .iter()
                .filter(|row| row.master == Some(head.number))
                .map(|row| row.number)
                .collect::<Vec<_>>()
        };
        let is_head = |row: &&Row| {
            row.master.is_none_or(|master| !self.rows.iter().any(|other| other.number == master))
        };
        let mut heads: Vec<&Row> = self.rows.iter().filter(is_head).collect();
        let weight = |row: &Row| match self.order {
            Order::Number => 0.0,
            Order::Bytes => row.bytes,
            Order::Packets => row.packets,
            Order::Total => row.total as f64,
        };
        let whole = |head: &Row| {
            let members = family(head);
            let children = self.rows.iter().filter(|row| members.contains(&row.number));
            weight(head) + children.map(weight).sum::<f64>()
        };
        heads.sort_by(|a, b| whole(b).total_cmp(&whole(a)).then(a.number.cmp(&b.number)));
        let mut shown = Vec::new();
        for head in heads {
            let members = family(head);
            let children: Vec<&Row> = self.rows.iter().filter(|row| members.contains(&row.number)).collect();
            if passes(head) || children.iter().any(|row| passes(row)) {
                shown.push(head);
                shown.extend(children);
            }
        }
        shown
    }
}

impl Row {
    fn of(conn: &Value) -> Option<Self> {
        let original = &conn["original"];
        let end = |address: &str, port: &str| {
            let address = original[address].as_str().unwrap_or("?");
            match original[port].as_u64() {
                Some(port) if address.contains(':') => format!("[{address}]:{port}"),
                Some(port) => format!("{address}:{port}"),
                None => address.to_owned(),
            }
        };
        let text = |name: &str| conn[name].as_str().unwrap_or("-").to_owned();
        Some(Self {
            number: conn["conn"].as_u64()?,
            master: conn["master"].as_u64(),
            state: text("protocol_state"),
            helper: text("helper"),
            flow: format!(
                "{} {} > {}",
                original["proto"].as_str().unwrap_or("?"),
                end("src", "sport"),
                end("dst", "dport")
            ),
            packets: 0.0,
            bytes: 0.0,
            total: totals(conn)[1],
        })
    }

    fn line(&self) -> String {
        let mark = if self.master.is_some() { "└ " } else { "" };
        format!(
            "{:>8} {:<12} {:>9.0} {:>11} {:>10} {:<8} {mark}{}",
            self.number,
            self.state,
            self.packets,
            bytes(self.bytes as u64),
            bytes(self.total),
            self.helper,
            self.flow
        )
    }
}

/// Packets and bytes of both directions.
fn totals(conn: &Value) -> [u64; 2] {
    ["packets", "bytes"].map(|what| {
        let directions = conn[what].as_array().into_iter().flatten();
        directions.filter_map(Value::as_u64).fold(0, u64::saturating_add)
    })
}

fn verdict(counters: &Value, name: &str) -> u64 {
    counters["verdicts"][name].as_u64().unwrap_or(0)
}

fn all(counters: &Value) -> u64 {
    counters["verdicts"].as_object().into_iter().flatten().filter_map(|(_, count)| count.as_u64()).sum()
}
