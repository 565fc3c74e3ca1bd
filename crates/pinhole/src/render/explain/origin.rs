//! Where an expectation came from, in words.

use super::super::words::{self, ended, expected};
use super::super::{Palette, Text};
use crate::replay::record::{Attached, Conn, Expectation, Quote};
use crate::replay::{Report, RuleLine};
use pinhole_engine::{RuleRef, TranslatedBy};
use pinhole_ruleset::RuleId;
use pinhole_wire::Direction;

/// The story of an expectation, a sentence a line.
pub(super) fn of_expectation(p: &Palette, report: &Report, e: &Expectation) -> Vec<String> {
    let mut lines = vec![announcement(p, report, &e.quote, e.master), attached(report, &e.quote)];
    lines.push(format!("so {}{}{} is expected", p.strong, expected(e), p.strong.end()));
    lines.push(match e.active {
        Some(place) if place == e.quote.place => "the expectation matches from that frame on".to_owned(),
        Some(place) => {
            format!("the other end agreed in {}: the expectation matches from then on", report.frame(place))
        }
        None => "the other end never agreed: the expectation matched nothing".to_owned(),
    });
    for (place, conn) in &e.fulfilled {
        lines.push(format!(
            "{}{}{} opened conn {conn}, which is {}RELATED{} for that reason",
            p.strong,
            report.frame(*place),
            p.strong.end(),
            p.related,
            p.related.end()
        ));
    }
    if e.fulfilled.is_empty() {
        lines.push(match e.end {
            Some((place, cause)) => format!("no connection came: {}", ended(report, place, cause)),
            None => "no connection came until the end of the capture".to_owned(),
        });
    }
    lines
}

/// `frame 15: 10.0.0.1, the opener of conn 1, said "PORT …" (bytes 63 to 86 of its stream)`
pub(super) fn announcement(p: &Palette, report: &Report, quote: &Quote, master: u32) -> String {
    let role = match quote.direction {
        Direction::Original => "the opener",
        Direction::Reply => "the answering end",
    };
    let who = report.conns.get(&master).map_or_else(String::new, |conn| {
        let tuple = match quote.direction {
            Direction::Original => &conn.original,
            Direction::Reply => &conn.reply,
        };
        format!("{}, ", tuple.source.ip(tuple.version))
    });
    format!(
        "{}: {who}{role} of conn {master}, said {}\"{}\"{} (bytes {} to {} of its stream)",
        report.frame(quote.place),
        p.quote,
        Text(&quote.bytes),
        p.quote.end(),
        quote.span.start,
        quote.span.end
    )
}

/// How a conn is translated, and why.
pub(super) fn translation(report: &Report, conn: &Conn) -> Vec<String> {
    let Some(what) = words::translation(conn) else { return Vec::new() };
    let mut lines = vec![what];
    lines.extend(conn.translated_by.into_iter().flatten().map(|by| match by {
        TranslatedBy::Rule(rule) => {
            format!("by {}", report.rule(RuleRef::Rule(rule)).map_or_else(String::new, rule_text))
        }
        TranslatedBy::Setting => "by --nat".to_owned(),
        TranslatedBy::Mapping => {
            "because that end stands for this one, whoever asks for it (--nat-mapping)".to_owned()
        }
        TranslatedBy::Hairpin => "because it turns round here (--nat-hairpin)".to_owned(),
    }));
    if conn.translated_by == [None; 2] {
        lines.push(match conn.master {
            Some(master) => format!("because conn {master}, which announced it, is translated"),
            None => "because its answers would look like another conn's packets".to_owned(),
        });
    }
    lines.extend(words::not_rewritten(report, conn));
    lines
}

/// Who made the helper read.
pub(super) fn attached(report: &Report, quote: &Quote) -> String {
    by_rule(report, &quote.helper, quote.attached_by)
}

/// Who made the helper read a conn.
pub(super) fn helper(report: &Report, attached: &Attached) -> String {
    by_rule(report, &attached.name, attached.rule)
}

fn by_rule(report: &Report, helper: &str, rule: Option<RuleId>) -> String {
    match rule.and_then(|rule| report.rule(RuleRef::Rule(rule))) {
        Some(line) => format!("helper {helper} reads that connection because of {}", rule_text(line)),
        None => format!("helper {helper} reads that connection because of --helpers"),
    }
}

/// ``fw.nft:12 `tcp dport 21 accept` ``
pub(super) fn rule_text(line: &RuleLine) -> String {
    if line.text.is_empty() { line.location.clone() } else { format!("{} `{}`", line.location, line.text) }
}
