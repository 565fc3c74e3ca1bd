//! The story of one frame, one conn, one flow.

use super::super::table::{state_style, verdict_style};
use super::super::words::{conn_state, direction, left_packet, sight, tuple};
use super::super::{Count, Palette, Text, bytes};
use super::Kept;
use super::origin::{self, rule_text};
use super::why::circumstances;
use crate::arguments::Flow;
use crate::replay::record::{Conn, Dropped};
use crate::replay::{Place, Report};
use pinhole_engine::Verdict;
use pinhole_track::State;
use pinhole_wire::Time;
use std::io::{self, Write};

pub(super) fn frame(out: &mut dyn Write, p: &Palette, report: &Report, packet: &Kept) -> io::Result<()> {
    let outcome = &packet.outcome;
    write!(out, "{}{}{} · ", p.strong, report.frame(packet.place), p.strong.end())?;
    match &packet.headers {
        Some(headers) => {
            writeln!(out, "{headers} {} · {} of payload", headers.kind, bytes(headers.payload.into()))?;
        }
        None => writeln!(out, "{} of {}, not readable as IP", bytes(packet.length.into()), packet.link)?,
    }
    let state = state_style(p, outcome.state);
    let name = outcome.state.map_or("none", State::name);
    writeln!(out, "  state    {state}{name}{}: {}", state.end(), meaning(report, packet))?;
    if let Some(conn) = packet.conn.and_then(|number| report.conns.get(&number)) {
        let direction = direction(outcome.direction);
        writeln!(out, "  conn     {} ({}), {direction} direction", conn.number, tuple(&conn.original))?;
        if outcome.state == Some(State::Related) || conn.first == packet.place {
            for line in born_of(p, report, conn) {
                writeln!(out, "           {line}")?;
            }
        }
        if let Some(attached) = &conn.helper {
            writeln!(out, "  helper   {}", origin::helper(report, attached))?;
        }
        for line in origin::translation(report, conn) {
            writeln!(out, "  nat      {line}")?;
        }
    }
    let verdict = verdict_style(p, outcome.verdict);
    write!(out, "  verdict  {verdict}{}{}", outcome.verdict.name(), verdict.end())?;
    match outcome.rule.and_then(|rule| report.rule(rule)) {
        Some(line) => writeln!(out, " by {}", rule_text(line))?,
        None if outcome.reason.is_some() || outcome.verdict == Verdict::NotIp => {
            writeln!(out, ", before any rule")?;
        }
        None => writeln!(out, ": no rule decided")?,
    }
    if let Some(left) = &packet.left {
        if left.is_empty() {
            writeln!(
                out,
                "  left     nothing yet: it is held back, because an announcement in it may have to be rewritten"
            )?;
        }
        for packet in left {
            writeln!(out, "  left     {}", left_packet(packet))?;
        }
    }
    if let Some(dropped) = dropped_of(report, packet) {
        for circumstance in circumstances(report, dropped) {
            writeln!(out, "  {}→ {circumstance}{}", p.warn, p.warn.end())?;
        }
    }
    for line in said_in(p, report, packet.place) {
        writeln!(out, "  {line}")?;
    }
    Ok(())
}

/// What a state means for this packet.
fn meaning(report: &Report, packet: &Kept) -> String {
    let outcome = &packet.outcome;
    if let Some(reason) = &outcome.reason {
        let about = packet.about.map(|number| format!(", by the state of conn {number}")).unwrap_or_default();
        return format!("{reason} ({}){about}", reason.name());
    }
    match outcome.state {
        None if outcome.verdict == Verdict::NotIp => "not an IP packet".to_owned(),
        None => "it never came to tracking".to_owned(),
        Some(State::New) => match packet.conn.and_then(|n| report.conns.get(&n)) {
            Some(conn) if conn.first != packet.place => "its connection has seen no answer yet".to_owned(),
            Some(_) => "it opens a connection that nothing announced".to_owned(),
            None => "it would have opened a connection; nothing announced it".to_owned(),
        },
        Some(State::Established) => "its connection has seen packets both ways".to_owned(),
        Some(State::Related) => match packet.conn.and_then(|n| report.conns.get(&n)) {
            Some(conn) if conn.master.is_some() => "it opens a connection that was expected".to_owned(),
            Some(_) => "an ICMP error about a known connection".to_owned(),
            None => "it would have opened a connection that was expected".to_owned(),
        },
        Some(State::Invalid) => "it cannot belong to any connection".to_owned(),
        Some(State::Untracked) => "exempt from tracking".to_owned(),
    }
}

/// The expectation that brought a conn in.
fn born_of(p: &Palette, report: &Report, conn: &Conn) -> Vec<String> {
    match conn.expectation.and_then(|id| report.expectation(id)) {
        Some(expectation) => origin::of_expectation(p, report, expectation),
        None => conn.master.map(|master| format!("expected by conn {master}")).into_iter().collect(),
    }
}

/// The group of drops to which a packet belongs.
fn dropped_of<'a>(report: &'a Report, packet: &Kept) -> Option<&'a Dropped> {
    if !matches!(packet.outcome.verdict, Verdict::Drop | Verdict::Reject(_)) {
        return None;
    }
    let headers = packet.headers?;
    report.drops.iter().find(|d| {
        d.key.rule == packet.outcome.rule
            && d.key.state == packet.outcome.state
            && (d.first..=d.last).contains(&packet.place)
            && d.key.ends.is_some_and(|ends| {
                (ends.source, ends.destination, ends.destination_port)
                    == (headers.source, headers.destination, headers.destination_port)
            })
    })
}

/// What helpers made of a frame.
fn said_in(p: &Palette, report: &Report, place: Place) -> Vec<String> {
    let mut lines = Vec::new();
    for e in report.expectations.iter().filter(|e| e.quote.place == place) {
        lines.push(format!("{}announces expectation {}{}", p.strong, e.id, p.strong.end()));
        lines.extend(origin::of_expectation(p, report, e).into_iter().map(|line| format!("  {line}")));
    }
    for e in report.expectations.iter().filter(|e| e.active == Some(place) && e.quote.place != place) {
        let text = Text(&e.quote.bytes);
        lines.push(format!(
            "arms expectation {}, announced in {} as \"{text}\"",
            e.id,
            report.frame(e.quote.place)
        ));
    }
    for refused in report.refusals.iter().filter(|r| r.quote.place == place) {
        let (bad, end) = (p.bad, p.bad.end());
        lines.push(format!("{bad}refused{end} \"{}\": {}", Text(&refused.quote.bytes), refused.reason));
    }
    lines.extend(report.unread.iter().filter(|u| u.place == place).map(sight));
    lines
}

pub(super) fn flow(
    out: &mut dyn Write,
    p: &Palette,
    report: &Report,
    flow: &Flow,
    packets: &[Kept],
    omitted: u64,
) -> io::Result<()> {
    let conns: Vec<&Conn> = report
        .conns
        .values()
        .map(AsRef::as_ref)
        .filter(|c| flow.matches(&c.original) || flow.matches(&c.reply))
        .collect();
    let strays: Vec<Kept> = packets
        .iter()
        .filter(|packet| !conns.iter().any(|c| packet.conn == Some(c.number)))
        .cloned()
        .collect();
    if conns.is_empty() && strays.is_empty() {
        return writeln!(out, "no packet of the captures is of this flow");
    }
    for (index, entry) in conns.iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        let own: Vec<Kept> =
            packets.iter().filter(|packet| packet.conn == Some(entry.number)).cloned().collect();
        conn(out, p, report, entry, &own, 0)?;
    }
    if !strays.is_empty() {
        let gap = if conns.is_empty() { "" } else { "\n" };
        writeln!(
            out,
            "{gap}{}packets of this flow that opened or joined no connection{}",
            p.heading,
            p.heading.end()
        )?;
        timeline(out, p, report, &strays)?;
        let mut told: Vec<&Dropped> = strays.iter().filter_map(|stray| dropped_of(report, stray)).collect();
        told.sort_by_key(|dropped| dropped.first);
        told.dedup_by_key(|dropped| dropped.key);
        let mut said = Vec::new();
        for circumstance in told.into_iter().flat_map(|dropped| circumstances(report, dropped)) {
            // Several kinds of packets may have one cause.
            if !said.contains(&circumstance) {
                writeln!(out, "  {}→ {circumstance}{}", p.warn, p.warn.end())?;
                said.push(circumstance);
            }
        }
    }
    if omitted > 0 {
        writeln!(out, "  {}and {}{}", p.dim, Count(omitted, "more packet"), p.dim.end())?;
    }
    Ok(())
}

pub(super) fn conn(
    out: &mut dyn Write,
    p: &Palette,
    report: &Report,
    conn: &Conn,
    packets: &[Kept],
    omitted: u64,
) -> io::Result<()> {
    writeln!(
        out,
        "{}conn {}{} · {} · {}",
        p.strong,
        conn.number,
        p.strong.end(),
        tuple(&conn.original),
        conn_state(conn)
    )?;
    let status: Vec<String> =
        conn.status.iter_names().map(|(name, _)| name.to_ascii_lowercase().replace('_', "-")).collect();
    writeln!(out, "  status   {}", status.join(" "))?;
    let [original, reply] = conn.counters;
    writeln!(
        out,
        "  traffic  original {}, {}; reply {}, {}",
        Count(original.packets, "packet"),
        bytes(original.bytes),
        Count(reply.packets, "packet"),
        bytes(reply.bytes)
    )?;
    if let Some(attached) = &conn.helper {
        writeln!(out, "  helper   {}", origin::helper(report, attached))?;
    }
    if let Some(unread) = report.unread.iter().rev().find(|unread| unread.conn == conn.number) {
        writeln!(out, "  reading  {}", sight(unread))?;
    }
    for line in origin::translation(report, conn) {
        writeln!(out, "  nat      {line}")?;
    }
    if conn.master.is_some() {
        writeln!(out, "  expected")?;
        for line in born_of(p, report, conn) {
            writeln!(out, "    {line}")?;
        }
    }
    if let Some((place, cause)) = conn.end {
        let cause = format!("{cause:?}").to_lowercase();
        writeln!(out, "  ended    {} ({cause})", report.frame(place))?;
    }
    if !packets.is_empty() {
        writeln!(out, "  {}timeline{}", p.heading, p.heading.end())?;
        timeline(out, p, report, packets)?;
    }
    if omitted > 0 {
        writeln!(out, "  {}and {}{}", p.dim, Count(omitted, "more packet"), p.dim.end())?;
    }
    Ok(())
}

fn timeline(out: &mut dyn Write, p: &Palette, report: &Report, packets: &[Kept]) -> io::Result<()> {
    let first = report.totals.span.map_or(Time(0), |(first, _)| first);
    for packet in packets {
        let outcome = &packet.outcome;
        let (state, verdict) = (state_style(p, outcome.state), verdict_style(p, outcome.verdict));
        write!(
            out,
            "  {:>7} {:>11.6}  {:<8} {state}{:<11}{} {verdict}{:<6}{}",
            packet.place.frame(),
            packet.time.since(first) as f64 / 1e9,
            direction(outcome.direction),
            outcome.state.map_or("-", State::name),
            state.end(),
            outcome.verdict.name(),
            verdict.end(),
        )?;
        if let Some(headers) = &packet.headers {
            write!(out, " {} {} B", headers.kind, headers.payload)?;
        }
        for left in packet.left.iter().flatten().filter(|left| left.rewritten.is_some()) {
            write!(out, "  → {}", left_packet(left))?;
        }
        let rule = outcome.rule.and_then(|rule| report.rule(rule)).map_or("", |line| line.location.as_str());
        write!(out, "  {}{rule}{}", p.dim, p.dim.end())?;
        match &outcome.reason {
            Some(reason) => writeln!(out, "  {reason}")?,
            None => writeln!(out)?,
        }
        for line in said_in(p, report, packet.place) {
            writeln!(out, "          {line}")?;
        }
    }
    Ok(())
}
