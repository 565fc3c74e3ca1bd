//! What those who ask over the control socket are told.

use super::census::{self, Census, DropCensus, PortCensus};
use super::crew::Crew;
use super::modules::listing;
use super::request::{ListFormat, Listed, Request};
use super::shard::Gateway;
use crate::arguments::{Flow, Target};
use crate::render::conntrack::{conn_text, expectation_text};
use crate::render::explain::Explain;
use crate::render::json::{conn_json, expectation_json};
use crate::render::{Palette, words};
use crate::replay::record::{Conn, Expectation};
use crate::replay::{Keep, Report, STATES, Sink, VERDICTS};
use pinhole_track::ConnId;
use serde_json::json;
use std::fmt::Write as _;

/// Conns listed at a time, between two batches of frames.
const AT_ONCE: usize = 256;

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
pub(super) fn answer(request: Request, crew: &mut Crew) -> Result<Reply, String> {
    match request {
        Request::List { what, format, flow, helper, state } => {
            let only = Only { flow: flow.as_deref().map(flow_of).transpose()?, helper, state };
            list(what, format, only, crew)
        }
        Request::Switch { helper, enabled, nat } => crew.switch(&helper, enabled, nat).map(Reply::Lines),
        Request::Monitor {} => Ok(Reply::Watch),
        Request::Explain { flow } => explain(&flow, crew).map(Reply::Lines),
        Request::Flush {} => Ok(Reply::Lines(format!("{} connections ended\n", crew.flush()?))),
        Request::Delete { flow } => delete(&flow, crew).map(Reply::Lines),
        Request::Stats { json } => {
            Ok(Reply::Lines(statistics(json, &Census::together(crew.ask(Census::of)?))))
        }
        Request::Load { names, allow } => crew.load(&names, &allow).map(Reply::Lines),
        Request::Unload { names, force } => crew.unload(&names, force).map(Reply::Lines),
        Request::ReloadModule { names } => crew.reload_modules(&names).map(Reply::Lines),
        Request::Reload {} => crew.reload().map(|()| Reply::Lines("the ruleset is in force\n".to_owned())),
    }
}

fn delete(flow: &str, crew: &mut Crew) -> Result<String, String> {
    let target = target(flow)?;
    let found = crew.ask(move |gateway| {
        let conns = matching(&target, gateway);
        (conns.len(), gateway.delete(&conns))
    })?;
    if found.iter().all(|(found, _)| *found == 0) {
        return Err("there is no such connection".to_owned());
    }
    let ended: usize = found.iter().map(|(_, ended)| ended).sum();
    Ok(format!("{ended} connections ended\n"))
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

fn matching(target: &Target, gateway: &Gateway) -> Vec<ConnId> {
    let wanted = |conn: &&Conn| match target {
        Target::Flow(flow) => flow.matches(&conn.original) || flow.matches(&conn.reply),
        Target::Conn(number) => conn.number == *number,
        Target::Everything | Target::Frame(_) => false,
    };
    gateway.journal.report.conns.values().map(AsRef::as_ref).filter(wanted).map(|conn| conn.id).collect()
}

/// A listing of conns, a slice at a time.
pub(super) struct Listing {
    page: Page,
    next: u32,
}

/// What is to be listed, and how.
#[derive(Clone)]
struct Page {
    format: ListFormat,
    what: Listed,
    only: Only,
}

/// What is to be listed of all.
#[derive(Clone)]
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

fn list(what: Listed, format: ListFormat, only: Only, crew: &mut Crew) -> Result<Reply, String> {
    Ok(match what {
        Listed::Expectations => {
            let lines = crew.ask(move |gateway| expectations(format, &only, gateway))?;
            Reply::Lines(lines.concat())
        }
        Listed::Modules => {
            let lines = crew.ask(|gateway| gateway.modules.lines(gateway.datapath.engine()))?;
            Reply::Lines(listing::listing(lines, format))
        }
        Listed::Rules => {
            Reply::Lines(census::rule_lines(crew.ask(|gateway| census::rules(gateway))?, format))
        }
        Listed::Conns | Listed::Helpers | Listed::Control | Listed::Nat => {
            Reply::Listing(Listing { page: Page { format, what, only }, next: 0 })
        }
    })
}

impl Listing {
    /// The next lines, in the order of the conns' numbers, and whether there are more.
    pub(super) fn next_lines(&mut self, crew: &mut Crew) -> Result<(String, bool), String> {
        let mut text = String::new();
        if self.next == 0 && self.page.format == ListFormat::Table {
            let _ = writeln!(
                text,
                "{:>6} {:<11} {:>8} {:>9} {:<8} flow",
                "conn", "state", "packets", "bytes", "helper"
            );
        }
        let (page, next) = (self.page.clone(), self.next);
        let slices = crew.ask(move |gateway| page.slice(next, gateway))?;
        // A shard that has more to list has listed all up to a number.
        let until = slices.iter().filter_map(|slice| slice.more).min().unwrap_or(u32::MAX);
        let more = slices.iter().any(|slice| slice.more.is_some());
        let mut lines: Vec<(u32, String)> = slices.into_iter().flat_map(|slice| slice.lines).collect();
        lines.retain(|(number, _)| *number <= until);
        lines.sort_unstable_by_key(|(number, _)| *number);
        lines.iter().for_each(|(_, line)| text.push_str(line));
        self.next = until.saturating_add(1);
        Ok((text, more))
    }
}

/// What one shard lists at a time.
struct Slice {
    /// By the numbers of their conns.
    lines: Vec<(u32, String)>,
    /// The last number that was looked at, if there may be more behind it.
    more: Option<u32>,
}

impl Page {
    fn slice(&self, next: u32, gateway: &mut Gateway) -> Slice {
        let conns = gateway.journal.report.conns.range(next..).take(AT_ONCE);
        let slice: Vec<(u32, ConnId)> = conns.map(|(number, conn)| (*number, conn.id)).collect();
        let more = slice.last().map(|(last, _)| *last).filter(|_| slice.len() == AT_ONCE);
        let lines = slice.into_iter().filter_map(|(number, id)| {
            gateway.refresh(id);
            let report = &gateway.journal.report;
            let conn = report.conns.get(&number)?;
            let wanted = match self.what {
                Listed::Helpers => conn.helper.is_some(),
                Listed::Control => conn.helper.is_some() || conn.master.is_some(),
                Listed::Nat => conn.is_translated(),
                _ => true,
            };
            let line = match self.format {
                _ if !wanted || !self.only.admits(conn) => return None,
                ListFormat::Conntrack => format!("{}\n", conn_text(conn)),
                ListFormat::Json => format!("{}\n", conn_json(report, conn)),
                ListFormat::Table => format!("{}\n", row(conn)),
            };
            Some((number, line))
        });
        Slice { lines: lines.collect(), more }
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

fn explain(text: &str, crew: &mut Crew) -> Result<String, String> {
    let target = target(text)?;
    let told = crew.ask(move |gateway| match target {
        // Another shard has it, or had it.
        Target::Conn(number) if !gateway.numbers(number) && number > 0 => Ok(None),
        _ => explain_one(&target, gateway).map(Some),
    })?;
    let told: Vec<(String, bool)> =
        told.into_iter().filter_map(Result::transpose).collect::<Result<_, _>>()?;
    let any = told.iter().any(|(_, found)| *found);
    let mut texts: Vec<String> =
        told.into_iter().filter(|(_, found)| *found == any).map(|(text, _)| text).collect();
    if !any {
        texts.truncate(1);
    }
    Ok(texts.join("\n"))
}

/// What one shard knows of it, and whether that is anything.
fn explain_one(target: &Target, gateway: &mut Gateway) -> Result<(String, bool), String> {
    for conn in matching(target, gateway) {
        gateway.refresh(conn);
    }
    let journal = &gateway.journal;
    let about = |report: &Report, drops: bool| {
        let mut out = Vec::new();
        let mut format = Explain::new(&mut out, Palette::new(false), target.clone(), census::DROP_KINDS);
        let shown = if drops { journal.show_drops(&mut format) } else { Ok(()) };
        shown.and_then(|()| format.finish(report)).map_err(|error| error.to_string())?;
        drop(format);
        Ok::<_, String>(String::from_utf8_lossy(&out).into_owned())
    };
    let text = about(&journal.report, true)?;
    let nothing = about(&Report::new(Vec::new(), Keep::None), false)?;
    let found = text != nothing;
    Ok((text, found))
}

fn statistics(as_json: bool, census: &Census) -> String {
    let (own, track, share) = (&census.datapath, &census.track, &census.share);
    let mut counters = vec![
        ("conns", census.conns),
        ("expectations", census.expectations),
        ("conns_opened", track.new),
        ("conns_ended", track.destroyed),
        ("table_full", track.full),
        ("early_drop", track.early_drop),
        ("invalid", track.invalid),
        ("expectations_entered", track.expect_new),
        ("expectations_fulfilled", track.expect_hit),
        ("sessions", census.sessions),
        ("session_bytes", census.session_bytes),
        ("link_passed", own.link_passed),
        ("link_dropped", own.link_dropped),
        ("answers", own.answers),
        ("answers_suppressed", own.answers_suppressed),
        ("fragments_lost", own.fragments_lost),
        ("unresolved", own.unresolved),
        ("carried_conns", census.carried),
        ("carried_packets", own.carried_packets),
        ("carried_bytes", own.carried_bytes),
        ("events_lost", track.events_lost + census.engine.events_dropped),
    ];
    if census.shards > 1 {
        counters.extend([
            ("shards", census.shards),
            ("handed_over", share.handed_over),
            ("handed_over_lost", share.frames_lost),
            ("notices_lost", share.notices_lost),
            ("clashes", share.clashes),
        ]);
    }
    if as_json {
        let mut value = json!({"type": "stats"});
        for (name, count) in counters {
            value[name] = count.into();
        }
        value["ports"] = census
            .ports
            .iter()
            .map(|PortCensus { name, count, overruns }| {
                json!({
                    "name": name, "received": count.received, "received_bytes": count.received_bytes,
                    "sent": count.sent, "lost": count.lost, "overruns": overruns,
                })
            })
            .collect();
        for (column, verdict) in VERDICTS.iter().enumerate() {
            value["verdicts"][*verdict] = census.totals.verdict(column).into();
        }
        value["drops"] = census
            .drops
            .iter()
            .map(|DropCensus { verdict, by, ends, packets }| {
                json!({"verdict": verdict, "packets": packets, "by": by, "ends": ends})
            })
            .collect();
        return format!("{value}\n");
    }
    let mut text = String::new();
    for PortCensus { name, count, overruns } in &census.ports {
        let _ = writeln!(
            text,
            "port {name:<15} received {} ({}), sent {}, could not send {}, overrun {overruns}",
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
            let count = census.totals.cell(row, column);
            if count > 0 {
                let state = state.map_or("not tracked", pinhole_track::State::name);
                let _ = writeln!(text, "{:<23} {count}", format!("{state}, {verdict}"));
            }
        }
    }
    for DropCensus { verdict, by, ends, packets } in &census.drops {
        let _ = writeln!(text, "{verdict} {packets} by {by} {ends}");
    }
    text
}
