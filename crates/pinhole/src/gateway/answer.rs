//! What those who ask over the control socket are told.

use super::daemon::Gateway;
use super::request::{ListFormat, Listed, Request};
use crate::arguments::{Flow, Target};
use crate::render::conntrack::{conn_text, expectation_text};
use crate::render::explain::Explain;
use crate::render::json::{conn_json, expectation_json};
use crate::render::{Palette, words};
use crate::replay::record::{Conn, Expectation};
use crate::replay::{STATES, Sink, VERDICTS};
use pinhole_ruleset::Ruleset;
use pinhole_track::ConnId;
use serde_json::json;
use std::fmt::Write as _;

/// Conns listed at a time, between two batches of frames.
const AT_ONCE: usize = 256;

/// Kinds of drops that `explain` and `stats` show.
const DROP_KINDS: usize = 20;

/// What becomes of a request.
pub(super) enum Reply {
    /// Lines, and that is all.
    Lines(String),
    /// Lines that are made when there is time for it.
    Listing(Listing),
    /// Whatever happens from now on.
    Watch,
}

/// Carries a request out. An error has changed nothing.
pub(super) fn answer(request: Request, gateway: &mut Gateway) -> Result<Reply, String> {
    match request {
        Request::List { what, format, flow } => list(what, format, flow.as_deref(), gateway),
        Request::Monitor {} => Ok(Reply::Watch),
        Request::Explain { flow } => explain(&flow, gateway).map(Reply::Lines),
        Request::Flush {} => {
            let count = gateway.flush();
            Ok(Reply::Lines(format!("{count} connections ended\n")))
        }
        Request::Delete { flow } => {
            let conns = matching(&target(&flow)?, gateway)?;
            let count = gateway.delete(&conns);
            Ok(Reply::Lines(format!("{count} connections ended\n")))
        }
        Request::Stats { json } => Ok(Reply::Lines(statistics(json, gateway))),
        Request::Reload {} => gateway.reload().map(|()| Reply::Lines("the ruleset is in force\n".to_owned())),
    }
}

fn target(text: &str) -> Result<Target, String> {
    match text.parse::<Target>() {
        Ok(Target::Frame(_)) => Err("a gateway keeps no frames: name a flow, or `conn N`".to_owned()),
        Ok(target) => Ok(target),
        Err(_) => Err(format!(
            "`{text}` is neither a flow (10.0.0.1:1234 > 10.0.0.2:21, or a part of one) nor `conn N`"
        )),
    }
}

fn matching(target: &Target, gateway: &Gateway) -> Result<Vec<ConnId>, String> {
    let wanted = |conn: &&Conn| match target {
        Target::Flow(flow) => flow.matches(&conn.original) || flow.matches(&conn.reply),
        Target::Conn(number) => conn.number == *number,
        Target::Everything | Target::Frame(_) => false,
    };
    let found: Vec<ConnId> =
        gateway.journal.report.conns.values().filter(wanted).map(|conn| conn.id).collect();
    if found.is_empty() { Err("there is no such connection".to_owned()) } else { Ok(found) }
}

/// A listing of conns, a slice at a time.
pub(super) struct Listing {
    format: ListFormat,
    flow: Option<Flow>,
    with_helper: bool,
    next: u32,
}

fn list(what: Listed, format: ListFormat, flow: Option<&str>, gateway: &Gateway) -> Result<Reply, String> {
    let flow = match flow.map(target).transpose()? {
        None => None,
        Some(Target::Flow(flow)) => Some(flow),
        Some(_) => {
            return Err("a listing takes a flow: 10.0.0.1:1234 > 10.0.0.2:21, or a part of one".to_owned());
        }
    };
    let conns = |with_helper, flow| Ok(Reply::Listing(Listing { format, flow, with_helper, next: 0 }));
    match what {
        Listed::Conns => conns(false, flow),
        Listed::Helpers => conns(true, flow),
        Listed::Expectations => Ok(Reply::Lines(expectations(format, gateway))),
        Listed::Rules => Ok(Reply::Lines(rules(format, gateway))),
    }
}

impl Listing {
    /// The next lines, and whether there are more.
    pub(super) fn next_lines(&mut self, gateway: &mut Gateway) -> (String, bool) {
        let mut lines = String::new();
        if self.next == 0 && self.format == ListFormat::Table {
            let _ = writeln!(
                lines,
                "{:>6} {:<11} {:>8} {:>9} {:<8} flow",
                "conn", "state", "packets", "bytes", "helper"
            );
        }
        let report = &gateway.journal.report;
        let slice: Vec<(u32, ConnId)> =
            report.conns.range(self.next..).take(AT_ONCE).map(|(number, conn)| (*number, conn.id)).collect();
        let Some(&(last, _)) = slice.last() else { return (lines, false) };
        self.next = last.saturating_add(1);
        for (number, id) in slice {
            gateway.refresh(id);
            let report = &gateway.journal.report;
            let Some(conn) = report.conns.get(&number) else { continue };
            let wanted =
                self.flow.as_ref().is_none_or(|f| f.matches(&conn.original) || f.matches(&conn.reply));
            if wanted && (!self.with_helper || conn.helper.is_some()) {
                let _ = match self.format {
                    ListFormat::Conntrack => writeln!(lines, "{}", conn_text(conn)),
                    ListFormat::Json => writeln!(lines, "{}", conn_json(report, conn)),
                    ListFormat::Table => writeln!(lines, "{}", row(conn)),
                };
            }
        }
        (lines, true)
    }
}

/// One line of a table.
fn row(conn: &Conn) -> String {
    format!(
        "{:>6} {:<11} {:>8} {:>9} {:<8} {}{}",
        conn.number,
        conn.protocol_state.unwrap_or("-"),
        conn.packets(),
        crate::render::bytes(conn.bytes()),
        conn.helper.as_ref().map_or("-", |helper| helper.name.as_str()),
        words::tuple(&conn.original),
        conn.master.map_or_else(String::new, |master| format!(", related to conn {master}")),
    )
}

fn expectations(format: ListFormat, gateway: &Gateway) -> String {
    let (report, now) = (&gateway.journal.report, gateway.now());
    let mut lines = String::new();
    let waiting = |e: &&Expectation| e.end.is_none();
    for expectation in report.expectations.iter().filter(waiting) {
        let _ = match format {
            ListFormat::Json => writeln!(lines, "{}", expectation_json(report, expectation)),
            ListFormat::Conntrack | ListFormat::Table => {
                writeln!(lines, "{}", expectation_text(report, expectation, now))
            }
        };
    }
    lines
}

fn rules(format: ListFormat, gateway: &Gateway) -> String {
    let engine = gateway.datapath.engine();
    let (Some(ruleset), Some(state)) = (engine.ruleset(), engine.ruleset_state()) else {
        return String::new();
    };
    let mut lines = String::new();
    for reading in Ruleset::counters(ruleset, state) {
        let text = reading.name.split_whitespace().collect::<Vec<_>>().join(" ");
        let (packets, bytes) = (reading.count.packets, reading.count.bytes);
        let location = reading.location.to_string();
        let _ = match format {
            ListFormat::Json => writeln!(
                lines,
                "{}",
                json!({"type": "counter", "rule": location, "text": text, "packets": packets, "bytes": bytes})
            ),
            ListFormat::Conntrack | ListFormat::Table => {
                writeln!(lines, "{location} packets {packets} bytes {bytes} {text}")
            }
        };
    }
    lines
}

fn explain(text: &str, gateway: &mut Gateway) -> Result<String, String> {
    let target = target(text)?;
    if let Ok(conns) = matching(&target, gateway) {
        conns.into_iter().for_each(|conn| gateway.refresh(conn));
    }
    let mut out = Vec::new();
    let mut format = Explain::new(&mut out, Palette::new(false), target, DROP_KINDS);
    let journal = &gateway.journal;
    journal
        .show_drops(&mut format)
        .and_then(|()| format.finish(&journal.report))
        .map_err(|error| error.to_string())?;
    drop(format);
    Ok(String::from_utf8_lossy(&out).into_owned())
}

fn statistics(as_json: bool, gateway: &mut Gateway) -> String {
    let overruns: Vec<u64> = gateway.datapath.ports_mut().iter_mut().map(|port| port.overruns()).collect();
    let datapath = &gateway.datapath;
    let (own, engine) = (datapath.statistics(), datapath.engine());
    let (track, tracker) = (engine.tracker().statistics(), engine.tracker());
    let totals = &gateway.journal.report.totals;
    let ports: Vec<_> = datapath.ports().iter().zip(&own.ports).zip(overruns).collect();
    let counters = [
        ("conns", tracker.len() as u64),
        ("expectations", tracker.expectations().count() as u64),
        ("conns_opened", track.new),
        ("conns_ended", track.destroyed),
        ("table_full", track.full),
        ("early_drop", track.early_drop),
        ("invalid", track.invalid),
        ("expectations_entered", track.expect_new),
        ("expectations_fulfilled", track.expect_hit),
        ("sessions", engine.host().sessions() as u64),
        ("session_bytes", engine.host().memory() as u64),
        ("link_passed", own.link_passed),
        ("link_dropped", own.link_dropped),
        ("answers", own.answers),
        ("answers_suppressed", own.answers_suppressed),
        ("fragments_lost", own.fragments_lost),
        ("unresolved", own.unresolved),
        ("events_lost", track.events_lost + engine.statistics().events_dropped),
    ];
    if as_json {
        let mut value = json!({"type": "stats"});
        for (name, count) in counters {
            value[name] = count.into();
        }
        value["ports"] = ports
            .iter()
            .map(|((port, count), overruns)| {
                json!({
                    "name": port.name(), "received": count.received, "received_bytes": count.received_bytes,
                    "sent": count.sent, "lost": count.lost, "overruns": overruns,
                })
            })
            .collect();
        for (column, verdict) in VERDICTS.iter().enumerate() {
            value["verdicts"][*verdict] = totals.verdict(column).into();
        }
        return format!("{value}\n");
    }
    let mut text = String::new();
    for ((port, count), overruns) in ports {
        let _ = writeln!(
            text,
            "port {:<15} received {} ({}), sent {}, could not send {}, overrun {overruns}",
            port.name(),
            count.received,
            crate::render::bytes(count.received_bytes),
            count.sent,
            count.lost
        );
    }
    for (name, count) in counters {
        let _ = writeln!(text, "{:<23} {count}", name.replace('_', " "));
    }
    for (row, state) in STATES.iter().enumerate() {
        for (column, verdict) in VERDICTS.iter().enumerate() {
            let count = totals.cell(row, column);
            if count > 0 {
                let state = state.map_or("not tracked", pinhole_track::State::name);
                let _ = writeln!(text, "{:<23} {count}", format!("{state}, {verdict}"));
            }
        }
    }
    let mut drops: Vec<_> = gateway.journal.report.drops.iter().collect();
    drops.sort_by_key(|dropped| std::cmp::Reverse(dropped.packets));
    for dropped in drops.into_iter().take(DROP_KINDS) {
        let rule = dropped.key.rule.and_then(|rule| gateway.journal.report.rule(rule));
        let by = rule
            .map_or_else(|| dropped.key.reason.unwrap_or("no rule").to_owned(), |rule| rule.location.clone());
        let ends = dropped.key.ends.map_or_else(String::new, |e| {
            let port = e.destination_port.map_or_else(String::new, |port| format!(":{port}"));
            format!(" {} {} > {}{port}", e.protocol, e.source, e.destination)
        });
        let _ = writeln!(text, "{} {} by {by}{ends}", dropped.key.verdict.name(), dropped.packets);
    }
    text
}
