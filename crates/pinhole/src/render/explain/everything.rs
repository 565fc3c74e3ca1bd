//! All that is worth explaining in a capture.

use super::super::text::grouped;
use super::super::words::{self, sight, tuple};
use super::super::{Count, Palette};
use super::origin;
use super::why::{circumstances, describe_drop};
use crate::replay::Report;
use crate::replay::record::Dropped;
use std::io::{self, Write};

pub(super) fn tell(out: &mut dyn Write, p: &Palette, report: &Report, limit: usize) -> io::Result<()> {
    expectations(out, p, report)?;
    refusals(out, p, report)?;
    unread(out, p, report)?;
    not_rewritten(out, p, report)?;
    drops(out, p, report, limit)?;
    if report.expectations.is_empty()
        && report.refusals.is_empty()
        && report.unread.is_empty()
        && report.drops.is_empty()
    {
        writeln!(
            out,
            "Nothing was expected, refused or dropped: {} passed.",
            Count(report.totals.packets, "packet")
        )?;
        let with_helper = report.conns.values().any(|conn| conn.helper.is_some());
        if !with_helper {
            writeln!(out, "No helper read any connection; see --helpers, or `ct helper set` in a ruleset.")?;
        }
    }
    Ok(())
}

fn expectations(out: &mut dyn Write, p: &Palette, report: &Report) -> io::Result<()> {
    for e in &report.expectations {
        writeln!(out, "{}expectation {}{}", p.heading, e.id, p.heading.end())?;
        for line in origin::of_expectation(p, report, e) {
            writeln!(out, "  {line}")?;
        }
        for (_, number) in &e.fulfilled {
            if let Some(conn) = report.conns.get(number) {
                writeln!(
                    out,
                    "  conn {number}: {} · {}, {}",
                    tuple(&conn.original),
                    Count(conn.packets(), "packet"),
                    super::super::bytes(conn.bytes())
                )?;
            }
        }
        writeln!(out)?;
    }
    Ok(())
}

fn refusals(out: &mut dyn Write, p: &Palette, report: &Report) -> io::Result<()> {
    for refused in &report.refusals {
        writeln!(out, "{}refused{} {}", p.bad, p.bad.end(), refused.reason.name())?;
        writeln!(out, "  {}", origin::announcement(p, report, &refused.quote, refused.master))?;
        writeln!(out, "  {}: nothing is expected", refused.reason)?;
        writeln!(out, "  {}\n", origin::attached(report, &refused.quote))?;
    }
    Ok(())
}

fn unread(out: &mut dyn Write, p: &Palette, report: &Report) -> io::Result<()> {
    for unread in &report.unread {
        writeln!(out, "{}unread{} conn {}", p.warn, p.warn.end(), unread.conn)?;
        if let Some(conn) = report.conns.get(&unread.conn) {
            writeln!(out, "  {}", tuple(&conn.original))?;
        }
        writeln!(out, "  {}: {}\n", report.frame(unread.place), sight(unread))?;
    }
    Ok(())
}

fn not_rewritten(out: &mut dyn Write, p: &Palette, report: &Report) -> io::Result<()> {
    for conn in report.conns.values() {
        if let Some(why) = words::not_rewritten(report, conn) {
            writeln!(out, "{}not rewritten{} conn {}", p.warn, p.warn.end(), conn.number)?;
            writeln!(out, "  {}", tuple(&conn.original))?;
            writeln!(out, "  {why}\n")?;
        }
    }
    Ok(())
}

/// Kinds of drops for which an explanation is sought before they are sorted.
const FREQUENT: usize = 1_000;

fn drops(out: &mut dyn Write, p: &Palette, report: &Report, limit: usize) -> io::Result<()> {
    let mut drops: Vec<&Dropped> = report.drops.iter().collect();
    drops.sort_by_key(|d| (std::cmp::Reverse(d.packets), d.first));
    // Of the most frequent ones, what can be explained comes first.
    if let Some(frequent) = drops.get_mut(..FREQUENT.min(report.drops.len())) {
        frequent.sort_by_cached_key(|d| circumstances(report, d).is_empty());
    }
    for dropped in drops.iter().take(limit) {
        writeln!(
            out,
            "{}{}{} {}",
            p.bad,
            dropped.key.verdict.name(),
            p.bad.end(),
            describe_drop(report, dropped)
        )?;
        match dropped.key.rule.and_then(|rule| report.rule(rule)) {
            Some(line) => writeln!(out, "  by {}", origin::rule_text(line))?,
            None => writeln!(out, "  before it came to the rules")?,
        }
        for circumstance in circumstances(report, dropped) {
            writeln!(out, "  {}→ {circumstance}{}", p.warn, p.warn.end())?;
        }
        writeln!(out)?;
    }
    if drops.len() > limit {
        let rest = (drops.len() - limit) as u64;
        writeln!(out, "{}and {} more kinds of drops (--all){}", p.dim, grouped(rest), p.dim.end())?;
    }
    Ok(())
}
