//! What those who ask over the control socket are told.

use super::daemon::Gateway;
use super::request::{ListFormat, Listed, Request};
use crate::arguments::{Flow, Target};
use crate::render::conntrack::{conn_text, expectation_text};
use crate::render::explain::Explain;
use crate::render::json::{conn_json, expectation_json};
use crate::render::{Palette, words};
use crate::replay::record::{Conn, Dropped, Expectation};
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
        Request::List { what, format, flow, helper, state } => {
            let only = Only { flow: flow.as_deref().map(flow_of).transpose()?, helper, state };
            Ok(list(what, format, only, gateway))
        }
        Request::Switch { helper, enabled, nat } => gateway.switch(&helper, enabled, nat).map(Reply::Lines),
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
        Request::Load { names, allow } => gateway.load(&names, &allow).map(Reply::Lines),
        Request::Unload { names, force } => gateway.unload(&names, force).map(Reply::Lines),
        Request::ReloadModule { names } => gateway.reload_modules(&names).map(Reply::Lines),
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
        gateway.journal.report.conns.values().map(AsRef::as_ref).filter(wanted).map(|conn| conn.id).collect();
    if found.is_empty() { Err("there is no such connection".to_owned()) } else { Ok(found) }
}

/// A listing of conns, a slice at a time.
pub(super) struct Listing {
    format: ListFormat,
    what: Listed,
    only: Only,
    next: u32,
}

/// What is to be listed of all.
struct Only {
    flow: Option<Flow>,
    helper: Option<String>,
    state: Option<String>,
}

impl Only {
    fn admits(&self, conn: &Conn) -> bool {
        let is = |wanted: &Option<String>, has: Option<&str>| {
            wanted.as_ref().is_none_or(|wanted| has.is_some_and(|has| has.eq_ignore_ascii_case(wanted)))
        };
        is(&self.helper, conn.helper.as_ref().map(|helper| helper.name.as_str()))
            && is(&self.state, conn.protocol_state)
            && self.flow.as_ref().is_none_or(|f| f.matches(&conn.original) || f.matches(&conn.reply))
    }

    fn admits_expectation(&self, expectation: &Expectation) -> bool {
        let may_be = |flow: &Flow| flow.may_be(&expectation.expect);
        let helper = self.helper.as_ref();
        helper.is_none_or(|wanted| expectation.quote.helper.eq_ignore_ascii_case(wanted))
            && self.flow.as_ref().is_none_or(may_be)
    }
}

fn flow_of(text: &str) -> Result<Flow, String> {
    match target(text)? {
        Target::Flow(flow) => Ok(flow),
        _ => Err("a listing takes a flow: 10.0.0.1:1234 > 10.0.0.2:21, or a part of one".to_owned()),
    }
}

fn list(what: Listed, format: ListFormat, only: Only, gateway: &Gateway) -> Reply {
    match what {
        Listed::Expectations => Reply::Lines(expectations(format, &only, gateway)),
        Listed::Modules => Reply::Lines(gateway.modules.list(gateway.datapath.engine(), format)),
        Listed::Rules => Reply::Lines(rules(format, gateway)),
        Listed::Conns | Listed::Helpers | Listed::Control | Listed::Nat => {
            Reply::Listing(Listing { format, what, only, next: 0 })
        }
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
            let wanted = match self.what {
                Listed::Helpers => conn.helper.is_some(),
                Listed::Control => conn.helper.is_some() || conn.master.is_some(),
                Listed::Nat => conn.is_translated(),
                _ => true,
            };
            if wanted && self.only.admits(conn) {
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
        "{:>6} {:<11} {:>8} {:>9} {:<8} {}{}{}",
        conn.number,
        conn.protocol_state.unwrap_or("-"),
        conn.packets(),
        crate::render::bytes(conn.bytes()),
        conn.helper.as_ref().map_or("-", |helper| helper.name.as_str()),
        words::tuple(&conn.original),
        if conn.is_translated() {
            format!(", answered by {}", words::tuple(&conn.reply))
        } else {
            String::new()
        },
        conn.master.map_or_else(String::new, |master| format!(", related to conn {master}")),
    )
}

fn expectations(format: ListFormat, only: &Only, gateway: &Gateway) -> String {
    let (report, now) = (&gateway.journal.report, gateway.now());
    let mut lines = String::new();
    let waiting = |e: &&Expectation| e.end.is_none() && only.admits_expectation(e);
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
        ("carried_conns", datapath.carried() as u64),
        ("carried_packets", own.carried_packets),
        ("carried_bytes", own.carried_bytes),
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
        value["drops"] = drops(gateway)
            .map(|(dropped, by, ends)| {
                json!({"verdict": dropped.key.verdict.name(), "packets": dropped.packets, "by": by, "ends": ends})
            })
            .collect();
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
    for (dropped, by, ends) in drops(gateway) {
        let _ = writeln!(text, "{} {} by {by} {ends}", dropped.key.verdict.name(), dropped.packets);
    }
    text
}

/// The most frequent kinds of drops, with what decided and between whom.
fn drops(gateway: &Gateway) -> impl Iterator<Item = (&Dropped, String, String)> {
    let report = &gateway.journal.report;
    let mut drops: Vec<&Dropped> = report.drops.iter().collect();
    drops.sort_by_key(|dropped| std::cmp::Reverse(dropped.packets));
    drops.into_iter().take(DROP_KINDS).map(|dropped| {
        let rule = dropped.key.rule.and_then(|rule| report.rule(rule));
        let by = rule
            .map_or_else(|| dropped.key.reason.unwrap_or("no rule").to_owned(), |rule| rule.location.clone());
        let ends = dropped.key.ends.map_or_else(String::new, |e| {
            let port = e.destination_port.map_or_else(String::new, |port| format!(":{port}"));
            format!("{} {} > {}{port}", e.protocol, e.source, e.destination)
        });
        (dropped, by, ends)
    })
}
