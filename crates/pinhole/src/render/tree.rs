//! The tree: control conns, what they announced and what came of it; then totals, drops and warnings.

use super::explain::why::{circumstances, describe_drop};
use super::text::grouped;
use super::words::{conn_state, expected, fate, not_rewritten, sight, translation, tuple};
use super::{Count, Palette, Text, bytes, seconds};
use crate::replay::record::{Conn, Dropped, Expectation, Refused, Unread};
use crate::replay::{Report, STATES, Sink, VERDICTS};
use pinhole_engine::RuleRef;
use pinhole_track::State;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Announcements shown of one conn, as a multiple of the limit.
const TWIGS: usize = 5;

/// Writes the tree when the captures are at their end.
pub struct Tree<W> {
    out: W,
    palette: Palette,
    limit: usize,
    ruleset: Option<String>,
}

impl<W: Write> Tree<W> {
    /// A tree that shows at most `limit` of the conns that are not notable, and of the drops.
    pub fn new(out: W, palette: Palette, limit: usize, ruleset: Option<String>) -> Self {
        Self { out, palette, limit, ruleset }
    }
}

impl<W: Write> Sink for Tree<W> {
    fn finish(&mut self, report: &Report) -> io::Result<()> {
        let out = &mut self.out;
        let p = &self.palette;
        heading(out, p, report, self.ruleset.as_deref())?;
        let branches = Branches::of(report, p, self.limit.saturating_mul(TWIGS));
        for conn in report.conns.values().filter(|conn| is_root(report, conn)) {
            writeln!(out)?;
            branches.root(out, conn)?;
        }
        others(out, p, report, self.limit)?;
        totals(out, p, report)?;
        drops(out, p, report, self.limit)?;
        out.flush()
    }
}

fn heading(out: &mut dyn Write, p: &Palette, report: &Report, ruleset: Option<&str>) -> io::Result<()> {
    let names: Vec<&str> = report.captures.iter().map(|capture| capture.name.as_str()).collect();
    let span = report.totals.span.map_or(0, |(first, last)| last.since(first));
    writeln!(
        out,
        "{}{}{} · {} · {} · {} · {}",
        p.strong,
        names.join(" + "),
        p.strong.end(),
        Count(report.totals.packets, "packet"),
        Count(report.conns_seen().into(), "connection"),
        seconds(span),
        ruleset
            .map_or_else(|| "no ruleset: everything accepted".to_owned(), |name| format!("ruleset {name}")),
    )
}

/// What hangs on each conn.
struct Branches<'a> {
    report: &'a Report,
    palette: &'a Palette,
    /// Most twigs shown of one conn.
    most: usize,
    twigs: BTreeMap<u32, Vec<Twig<'a>>>,
}

/// Deeper chains of conns that expect conns are cut: no protocol has them, and a hostile capture could.
const DEEPEST: usize = 8;

impl<'a> Branches<'a> {
    fn of(report: &'a Report, palette: &'a Palette, most: usize) -> Self {
        let mut twigs: BTreeMap<u32, Vec<Twig<'a>>> = BTreeMap::new();
        for expectation in &report.expectations {
            twigs.entry(expectation.master).or_default().push(Twig::Expectation(expectation));
        }
        for refused in &report.refusals {
            twigs.entry(refused.master).or_default().push(Twig::Refusal(refused));
        }
        for unread in &report.unread {
            twigs.entry(unread.conn).or_default().push(Twig::Unread(unread));
        }
        // Conns expected by a `ct expectation` object: no announcement to hang them on.
        for conn in report.conns.values() {
            let announced = conn.expectation.is_some_and(|id| report.expectation(id).is_some());
            if let Some(master) = conn.master
                && !announced
            {
                twigs.entry(master).or_default().push(Twig::Conn(conn));
            }
        }
        for of_one in twigs.values_mut() {
            of_one.sort_by_key(Twig::place);
        }
        Self { report, palette, most, twigs }
    }

    fn root(&self, out: &mut dyn Write, conn: &Conn) -> io::Result<()> {
        writeln!(out, "{}", conn_line(self.palette, self.report, conn))?;
        self.below(out, conn, "", 0)
    }

    fn below(&self, out: &mut dyn Write, conn: &Conn, indent: &str, depth: usize) -> io::Result<()> {
        let (p, report) = (self.palette, self.report);
        let Some(twigs) = self.twigs.get(&conn.number).filter(|_| depth <= DEEPEST) else { return Ok(()) };
        let shown = twigs.get(..self.most).unwrap_or(twigs);
        let rest = twigs.len() - shown.len();
        for (index, twig) in shown.iter().enumerate() {
            let deeper = self.branch(out, indent, index + 1 == twigs.len())?;
            match twig {
                Twig::Expectation(expectation) => {
                    expectation_line(out, p, report, expectation)?;
                    let conns: Vec<&Conn> = expectation
                        .fulfilled
                        .iter()
                        .filter_map(|(_, n)| report.conns.get(n).map(AsRef::as_ref))
                        .collect();
                    for (index, related) in conns.iter().enumerate() {
                        let below = self.branch(out, &deeper, index + 1 == conns.len())?;
                        self.related(out, related, &below, depth)?;
                    }
                }
                Twig::Refusal(refused) => refusal_line(out, p, report, refused)?,
                Twig::Unread(unread) => unread_line(out, p, report, unread)?,
                Twig::Conn(related) => self.related(out, related, &deeper, depth)?,
            }
        }
        if rest > 0 {
            self.branch(out, indent, true)?;
            writeln!(out, "{}and {} more (--all){}", p.dim, grouped(rest as u64), p.dim.end())?;
        }
        Ok(())
    }

    /// Draws the beginning of a line; returns the indentation of what hangs below it.
    fn branch(&self, out: &mut dyn Write, indent: &str, last: bool) -> io::Result<String> {
        let dim = self.palette.dim;
        let (branch, trunk) = if last { ("└─", "   ") } else { ("├─", "│  ") };
        write!(out, "{dim}{indent}{branch}{} ", dim.end())?;
        Ok(format!("{indent}{trunk}"))
    }

    fn related(&self, out: &mut dyn Write, conn: &Conn, indent: &str, depth: usize) -> io::Result<()> {
        writeln!(out, "{}", related_line(self.palette, self.report, conn))?;
        self.below(out, conn, indent, depth + 1)
    }
}

fn is_root(report: &Report, conn: &Conn) -> bool {
    conn.notable && conn.master.is_none_or(|master| !report.conns.contains_key(&master))
}

enum Twig<'a> {
    Expectation(&'a Expectation),
    Refusal(&'a Refused),
    Unread(&'a Unread),
    Conn(&'a Conn),
}

impl Twig<'_> {
    fn place(&self) -> (u64, u64) {
        match self {
            Self::Expectation(e) => (e.quote.place.number(), e.quote.span.start),
            Self::Refusal(r) => (r.quote.place.number(), r.quote.span.start),
            Self::Unread(u) => (u.place.number(), u64::MAX),
            Self::Conn(c) => (c.first.number(), 0),
        }
    }
}

fn conn_line(p: &Palette, report: &Report, conn: &Conn) -> String {
    let mut line = format!(
        "{}conn {}{} {} · {}",
        p.strong,
        conn.number,
        p.strong.end(),
        tuple(&conn.original),
        conn_state(conn)
    );
    if let Some(translation) = translation(conn) {
        line.push_str(&format!(" · {translation}"));
    }
    if let Some(helper) = &conn.helper {
        let by = helper
            .rule
            .and_then(|rule| report.rule(RuleRef::Rule(rule)))
            .map_or_else(|| "--helpers".to_owned(), |rule| rule.location.clone());
        line.push_str(&format!(" · helper {}{}{} ({by})", p.strong, helper.name, p.strong.end()));
    }
    if let Some(why) = not_rewritten(report, conn) {
        line.push_str(&format!(" · {}{why}{}", p.warn, p.warn.end()));
    }
    line.push_str(&format!(" · {}, {}", Count(conn.packets(), "packet"), bytes(conn.bytes())));
    line
}

fn related_line(p: &Palette, report: &Report, conn: &Conn) -> String {
    format!(
        "{} {}RELATED{} {}",
        report.frame(conn.first),
        p.related,
        p.related.end(),
        conn_line(p, report, conn)
    )
}

fn expectation_line(out: &mut dyn Write, p: &Palette, report: &Report, e: &Expectation) -> io::Result<()> {
    let quote = &e.quote;
    let fate = fate(report, e);
    writeln!(
        out,
        "{} {}\"{}\"{} expects {}{}",
        report.frame(quote.place),
        p.quote,
        Text(&quote.bytes),
        p.quote.end(),
        expected(e),
        if fate.is_empty() { String::new() } else { format!("{} · {fate}{}", p.dim, p.dim.end()) },
    )
}

fn refusal_line(out: &mut dyn Write, p: &Palette, report: &Report, refused: &Refused) -> io::Result<()> {
    writeln!(
        out,
        "{} {}\"{}\"{} {}refused{}: {} ({})",
        report.frame(refused.quote.place),
        p.quote,
        Text(&refused.quote.bytes),
        p.quote.end(),
        p.bad,
        p.bad.end(),
        refused.reason,
        refused.reason.name(),
    )
}

fn unread_line(out: &mut dyn Write, p: &Palette, report: &Report, unread: &Unread) -> io::Result<()> {
    let text = sight(unread);
    writeln!(out, "{} {}{text}{}", report.frame(unread.place), p.warn, p.warn.end())
}

fn others(out: &mut dyn Write, p: &Palette, report: &Report, limit: usize) -> io::Result<()> {
    let mut plain: Vec<&Conn> =
        report.conns.values().map(AsRef::as_ref).filter(|conn| !conn.notable).collect();
    let count = plain.len() as u64 + report.folded.conns.values().sum::<u64>();
    if count == 0 {
        return Ok(());
    }
    let packets = plain.iter().map(|conn| conn.packets()).sum::<u64>() + report.folded.packets;
    let size = plain.iter().map(|conn| conn.bytes()).sum::<u64>() + report.folded.bytes;
    writeln!(
        out,
        "\n{}other connections{}  {} · {}, {}",
        p.heading,
        p.heading.end(),
        grouped(count),
        Count(packets, "packet"),
        bytes(size)
    )?;
    plain.sort_by_key(|conn| (std::cmp::Reverse(conn.bytes()), conn.number));
    let shown = limit.min(plain.len());
    for conn in plain.iter().take(shown) {
        writeln!(out, "  {}", conn_line(p, report, conn))?;
    }
    let rest = count - shown as u64;
    if rest > 0 {
        writeln!(out, "  {}and {} more (--all){}", p.dim, grouped(rest), p.dim.end())?;
    }
    Ok(())
}

fn totals(out: &mut dyn Write, p: &Palette, report: &Report) -> io::Result<()> {
    let totals = &report.totals;
    let columns: Vec<usize> = (0..VERDICTS.len()).filter(|&v| v < 2 || totals.verdict(v) > 0).collect();
    write!(out, "\n{}packets{}     ", p.heading, p.heading.end())?;
    for &column in &columns {
        write!(out, "{:>12}", VERDICTS.get(column).copied().unwrap_or_default())?;
    }
    writeln!(out)?;
    for (row, state) in STATES.iter().enumerate() {
        if columns.iter().all(|&column| totals.cell(row, column) == 0) {
            continue;
        }
        write!(out, "  {:<10}", state.map_or("not tracked", State::name))?;
        for &column in &columns {
            match totals.cell(row, column) {
                0 => write!(out, "{:>12}", "·")?,
                count if column == 0 || column > 2 => write!(out, "{:>12}", grouped(count))?,
                count => write!(out, "{}{:>12}{}", p.bad, grouped(count), p.bad.end())?,
            }
        }
        writeln!(out)?;
    }
    Ok(())
}

/// A verdict and the rule or policy that gave it.
type Decision = (&'static str, Option<RuleRef>);

fn drops(out: &mut dyn Write, p: &Palette, report: &Report, limit: usize) -> io::Result<()> {
    let mut groups: Vec<(Decision, Vec<&Dropped>)> = Vec::new();
    for dropped in &report.drops {
        let key = (dropped.key.verdict.name(), dropped.key.rule);
        match groups.iter_mut().find(|(k, _)| *k == key) {
            Some((_, members)) => members.push(dropped),
            None => groups.push((key, vec![dropped])),
        }
    }
    if groups.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}dropped{}", p.heading, p.heading.end())?;
    for ((verdict, rule), mut members) in groups {
        let packets = members.iter().map(|d| d.packets).sum();
        let (location, text) = match rule.and_then(|rule| report.rule(rule)) {
            Some(line) => (line.location.as_str(), line.text.as_str()),
            None => ("before the rules", ""),
        };
        let count = Count(packets, "packet");
        writeln!(
            out,
            "  {}{verdict}{} by {}{location}{}  {}{text}{}  {count}",
            p.bad,
            p.bad.end(),
            p.strong,
            p.strong.end(),
            p.dim,
            p.dim.end(),
        )?;
        members.sort_by_key(|d| (std::cmp::Reverse(d.packets), d.first));
        for dropped in members.iter().take(limit) {
            writeln!(out, "    {}", describe_drop(report, dropped))?;
            for circumstance in circumstances(report, dropped) {
                writeln!(out, "      {}→ {circumstance}{}", p.warn, p.warn.end())?;
            }
        }
        if members.len() > limit {
            let rest = (members.len() - limit) as u64;
            writeln!(out, "    {}and {} more kinds (--all){}", p.dim, grouped(rest), p.dim.end())?;
        }
    }
    Ok(())
}
