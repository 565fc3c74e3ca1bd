//! What a diagram shows, before it has a shape.

use super::super::Text;
use super::super::words::{expected, translation};
use super::Kept;
use crate::replay::record::{Conn, Expectation};
use crate::replay::{Place, Report};
use pinhole_track::State;
use pinhole_wire::{Address, TcpFlags};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Lifelines and what happens between them, top to bottom.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Title.
    pub title: String,
    /// One sentence below it.
    pub subtitle: String,
    /// Lifelines from left to right; the second is the firewall.
    pub lanes: Vec<Lane>,
    /// Rows from top to bottom.
    pub rows: Vec<Row>,
}

/// A lifeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    /// What it is in this conversation.
    pub role: &'static str,
    /// Its address.
    pub address: String,
}

/// How something fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// A first packet.
    New,
    /// Part of what is known.
    Established,
    /// Expected.
    Related,
    /// Dropped, refused or invalid.
    Bad,
    /// Of no weight.
    Quiet,
}

/// One packet.
#[derive(Clone, Debug)]
pub struct Arrow {
    /// Its frame.
    pub frame: u64,
    /// Lane it comes from.
    pub from: usize,
    /// Lane it goes to; it ends at the firewall if it is dropped.
    pub to: usize,
    /// What it says.
    pub label: String,
    /// Whether the label is a quote from the wire.
    pub quote: bool,
    /// Its state at the firewall.
    pub state: &'static str,
    /// How it fares.
    pub tone: Tone,
    /// Whether it passes.
    pub passes: bool,
    /// The expectation that it fulfils, by index among the notes.
    pub fulfils: Option<usize>,
}

/// One row.
#[derive(Clone, Debug)]
pub enum Row {
    /// A packet.
    Arrow(Arrow),
    /// Something that happens at the firewall.
    Note {
        /// Number that arrows refer to.
        index: usize,
        /// Lines; the first is a heading.
        lines: Vec<String>,
        /// How it fares.
        tone: Tone,
    },
    /// Packets that are left out.
    Gap(String),
}

pub(super) fn compose(report: &Report, master: &Conn, packets: &[Kept]) -> Picture {
    let ends = Ends::of(master);
    let related: BTreeSet<u32> = report
        .expectations
        .iter()
        .filter(|e| e.master == master.number)
        .flat_map(|e| e.fulfilled.iter().map(|(_, conn)| *conn))
        .collect();
    let mut composer = Composer {
        report,
        master: master.number,
        related,
        lanes: vec![(ends.client[0], "client"), (ends.server[0], "server")],
        ends,
        rows: Vec::new(),
        skipped: Skipped::default(),
    };
    let own: Vec<&Kept> = packets.iter().filter(|packet| composer.concerns(packet)).collect();
    let shown = composer.choose(&own);
    for (packet, show) in own.iter().zip(shown) {
        composer.add(packet, show);
    }
    composer.flush();
    composer.finish(master)
}

/// The ends of the control conn: each one's own address, and the one that the other end knows it by.
#[derive(Clone, Copy)]
struct Ends {
    client: [IpAddr; 2],
    server: [IpAddr; 2],
}

impl Ends {
    fn of(conn: &Conn) -> Self {
        let ip = |address: Address| address.ip(conn.original.version);
        Self {
            client: [ip(conn.original.source), ip(conn.reply.destination)],
            server: [ip(conn.reply.source), ip(conn.original.destination)],
        }
    }

    /// An end's own address, and the other one if it has another.
    fn label(&self, own: IpAddr) -> String {
        match [self.client, self.server]
            .into_iter()
            .find(|[address, known]| *address == own && known != address)
        {
            Some([_, known]) => format!("{own}, known as {known}"),
            None => own.to_string(),
        }
    }

    /// The own address of the end that is known by this one.
    fn own(&self, address: IpAddr) -> IpAddr {
        let known = [self.client, self.server].into_iter().find(|[_, known]| *known == address);
        known.map_or(address, |[own, _]| own)
    }
}

/// Packets left out since the last one shown.
#[derive(Default)]
struct Skipped {
    packets: u64,
    payload: u64,
    control: u64,
}

struct Composer<'a> {
    report: &'a Report,
    master: u32,
    related: BTreeSet<u32>,
    lanes: Vec<(IpAddr, &'static str)>,
    ends: Ends,
    rows: Vec<Row>,
    skipped: Skipped,
}

impl Composer<'_> {
    /// The control conn, the conns that it announced, and what was dropped on its way to an announced end.
    fn concerns(&self, packet: &Kept) -> bool {
        match packet.conn {
            Some(conn) => conn == self.master || self.related.contains(&conn),
            None => {
                let h = &packet.headers;
                let port = h.destination_port.unwrap_or(0);
                let announced =
                    |e: &Expectation| e.master == self.master && e.covers(h.protocol, h.destination, port);
                !packet.survives()
                    && (self.report.expectations.iter().any(announced)
                        || self.report.refusals_about(h.destination, port).any(|r| r.master == self.master))
            }
        }
    }

    /// Which packets are shown: handshakes, announcements and what arms them, the lines around them, and first packets.
    fn choose(&self, packets: &[&Kept]) -> Vec<bool> {
        let mut marked: BTreeSet<Place> = BTreeSet::new();
        for e in self.report.expectations.iter().filter(|e| e.master == self.master) {
            marked.insert(e.quote.place);
            marked.extend(e.active);
            marked.extend(e.fulfilled.iter().map(|(place, _)| *place));
        }
        marked.extend(self.report.refusals.iter().filter(|r| r.master == self.master).map(|r| r.quote.place));
        marked.extend(self.report.unread.iter().filter(|u| u.conn == self.master).map(|u| u.place));
        let control = |packet: &Kept| packet.conn == Some(self.master) && packet.headers.payload > 0;
        let lines: Vec<usize> =
            (0..packets.len()).filter(|&i| packets.get(i).is_some_and(|p| control(p))).collect();
        let mut shown: Vec<bool> = packets
            .iter()
            .map(|p| marked.contains(&p.place) || p.flags().contains(TcpFlags::SYN) || !p.survives())
            .collect();
        // The line before an announcement is its question (PASV), the one after it its answer or use (200, RETR).
        for (order, index) in lines.iter().enumerate() {
            let is_marked = |n: Option<usize>| {
                n.and_then(|n| lines.get(n))
                    .and_then(|&i| packets.get(i))
                    .is_some_and(|packet| marked.contains(&packet.place))
            };
            if (is_marked(order.checked_sub(1)) || is_marked(Some(order + 1)))
                && let Some(show) = shown.get_mut(*index)
            {
                *show = true;
            }
        }
        shown
    }

    fn add(&mut self, packet: &Kept, show: bool) {
        if show {
            self.flush();
            let arrow = self.arrow(packet);
            self.rows.push(Row::Arrow(arrow));
        } else {
            self.skipped.packets += 1;
            self.skipped.payload += u64::from(packet.headers.payload);
            self.skipped.control += u64::from(packet.conn == Some(self.master));
        }
        self.notes(packet);
    }

    fn arrow(&mut self, packet: &Kept) -> Arrow {
        let h = &packet.headers;
        let (from, to) = (self.lane(h.source), self.lane(h.destination));
        let line = first_line(&packet.snippet);
        let (label, quote) = if packet.conn == Some(self.master) && !line.is_empty() {
            (line, true)
        } else {
            let port = |port: Option<u16>| port.map_or_else(|| "?".to_owned(), |port| port.to_string());
            let kind = h.kind.to_string();
            (format!("{} {kind} :{} → :{}", h.protocol, port(h.source_port), port(h.destination_port)), false)
        };
        let fulfils = self
            .report
            .expectations
            .iter()
            .position(|e| e.fulfilled.iter().any(|(place, _)| *place == packet.place));
        let passes = packet.survives();
        let tone = match packet.state {
            _ if !passes => Tone::Bad,
            Some(State::New) => Tone::New,
            Some(State::Established) => Tone::Established,
            Some(State::Related) => Tone::Related,
            Some(State::Invalid) => Tone::Bad,
            Some(State::Untracked) | None => Tone::Quiet,
        };
        let state = packet.state.map_or("-", State::name);
        Arrow { frame: packet.place.frame(), from, to, label, quote, state, tone, passes, fulfils }
    }

    fn lane(&mut self, address: IpAddr) -> usize {
        let address = self.ends.own(address);
        let index = self.lanes.iter().position(|(known, _)| *known == address).unwrap_or_else(|| {
            self.lanes.push((address, "peer"));
            self.lanes.len() - 1
        });
        // The firewall stands between the first and the others.
        if index == 0 { 0 } else { index + 1 }
    }

    /// What happened at the firewall with this frame.
    fn notes(&mut self, packet: &Kept) {
        let place = packet.place;
        let mut notes = Vec::new();
        let report = self.report;
        for (index, e) in report.expectations.iter().enumerate().filter(|(_, e)| e.master == self.master) {
            if e.quote.place == place {
                let mut lines = vec![
                    format!("expectation {} · helper {}", e.id, e.quote.helper),
                    format!("“{}”", Text(&e.quote.bytes)),
                    format!("expects {}", expected(e)),
                ];
                if let Some(text) = &packet.rewritten {
                    lines.push(format!("leaves as “{}”", first_line(text)));
                }
                if e.active != Some(place) {
                    lines.push("inactive until the other end agrees".to_owned());
                }
                notes.push(Row::Note { index, lines, tone: Tone::Related });
            } else if e.active == Some(place) {
                let lines = vec![format!("expectation {} is armed", e.id)];
                notes.push(Row::Note { index, lines, tone: Tone::Related });
            }
        }
        for refused in report.refusals.iter().filter(|r| r.master == self.master && r.quote.place == place) {
            let quote = format!("“{}”", Text(&refused.quote.bytes));
            let lines =
                vec![format!("refused: {}", refused.reason.name()), quote, refused.reason.to_string()];
            notes.push(Row::Note { index: usize::MAX, lines, tone: Tone::Bad });
        }
        for unread in report.unread.iter().filter(|u| u.conn == self.master && u.place == place) {
            let lines = vec![super::super::words::sight(unread)];
            notes.push(Row::Note { index: usize::MAX, lines, tone: Tone::Bad });
        }
        if !notes.is_empty() && self.skipped.packets > 0 {
            self.flush();
        }
        self.rows.extend(notes);
    }

    fn flush(&mut self) {
        let skipped = std::mem::take(&mut self.skipped);
        // An acknowledgement or two, with nothing in them, are no gap.
        if skipped.payload == 0 && skipped.packets <= 2 {
            return;
        }
        let packets = super::super::Count(skipped.packets, "packet");
        let payload = super::super::bytes(skipped.payload);
        let of = match skipped.control {
            0 => " of the related connection",
            n if n == skipped.packets => " of the control connection",
            _ => "",
        };
        self.rows.push(Row::Gap(format!("{packets}{of}, {payload} of payload")));
    }

    fn finish(self, master: &Conn) -> Picture {
        let helper = master.helper.map_or_else(|| "no helper".to_owned(), |h| format!("helper {}", h.name));
        let expectations = self.report.expectations.iter().filter(|e| e.master == self.master).count() as u64;
        let mut lanes: Vec<Lane> = self
            .lanes
            .into_iter()
            .map(|(address, role)| Lane { role, address: self.ends.label(address) })
            .collect();
        let translation = translation(master);
        let parts = if translation.is_some() { "conntrack + helper + NAT" } else { "conntrack + helper" };
        lanes.insert(1, Lane { role: "firewall", address: parts.to_owned() });
        let translation = translation.map_or_else(String::new, |text| format!(" · {text}"));
        Picture {
            title: super::super::words::tuple(&master.original),
            subtitle: format!(
                "conn {}{translation} · {helper} · {} · {}",
                master.number,
                super::super::Count(expectations, "expectation"),
                super::super::Count(self.related.len() as u64, "related connection"),
            ),
            lanes,
            rows: self.rows,
        }
    }
}

/// The first line of a payload. Passwords are left out: pictures are made to be shown.
fn first_line(payload: &[u8]) -> String {
    let end = payload.iter().position(|&b| b == b'\n').map_or(payload.len(), |n| n + 1);
    let line = Text(payload.get(..end).unwrap_or_default()).to_string();
    match line.split_once(' ') {
        Some((command, _)) if command.eq_ignore_ascii_case("PASS") => format!("{command} ····"),
        _ => line,
    }
}
