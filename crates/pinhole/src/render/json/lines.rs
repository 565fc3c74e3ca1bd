//! The lines of which there are few: expectations, refusals, conns and what helpers saw.

use super::lossy;
use crate::render::words;
use crate::replay::record::{Attached, Conn, Expectation, Quote, Sight, exact_port};
use crate::replay::{Change, Place, Report};
use pinhole_engine::{RuleRef, TranslatedBy};
use pinhole_helper::{AddressMatch, Condition, Lifetime, PortMatch};
use pinhole_ruleset::RuleId;
use pinhole_track::{DestroyCause, EndCause, Status, Tuple};
use pinhole_wire::Protocol;
use serde_json::{Map, Value, json};

/// The line of a change that is told when it happens; `None` for those told at the end, or by other lines.
pub(super) fn event_lines(report: &Report, change: Change) -> Option<Value> {
    Some(match change {
        Change::Refused(index) => {
            let refused = report.refusals.get(index)?;
            let mut line = quote_fields("refusal", report, &refused.quote);
            line.insert("master".into(), refused.master.into());
            line.insert("reason".into(), refused.reason.name().into());
            line.insert("message".into(), refused.reason.to_string().into());
            Value::Object(line)
        }
        Change::Unread(index) => {
            let unread = report.unread.get(index)?;
            let (kind, reason, message) = match unread.what {
                Sight::Blind(reason) => ("blind", reason.name(), reason.to_string()),
                Sight::Changed(Condition::Encrypted) => {
                    ("condition", "encrypted", "the connection is encrypted for now".to_owned())
                }
                Sight::Changed(Condition::Reading) => {
                    ("condition", "reading", "the helper reads again".to_owned())
                }
            };
            json!({
                "type": kind, "capture": capture(report, unread.place), "frame": unread.place.frame(),
                "helper": unread.helper.as_str(), "conn": unread.conn, "reason": reason, "message": message,
            })
        }
        Change::Log(place, rule) => json!({
            "type": "log", "capture": capture(report, place), "frame": place.frame(),
            "rule": rule_location(report, rule),
        }),
        _ => return None,
    })
}

pub(crate) fn expectation_line(report: &Report, e: &Expectation) -> Value {
    let mut line = quote_fields("expectation", report, &e.quote);
    let expect = &e.expect;
    let range = match expect.destination_port {
        PortMatch::Range(low, high) => json!([low, high]),
        PortMatch::Exact(_) | PortMatch::Any => Value::Null,
    };
    let prefix = match expect.source {
        AddressMatch::Prefix(ip, length) => json!(format!("{ip}/{length}")),
        AddressMatch::Exact(_) | AddressMatch::Any => Value::Null,
    };
    let fulfilled = e.fulfilled.first();
    for (key, value) in [
        ("id", json!(e.id)),
        ("proto", json!(expect.protocol.to_string())),
        ("src", json!(e.source())),
        ("src_prefix", prefix),
        ("sport", json!(exact_port(expect.source_port))),
        ("dst", json!(expect.destination)),
        ("dport", json!(exact_port(expect.destination_port))),
        ("dport_range", range),
        ("master", json!(e.master)),
        ("permanent", json!(expect.lifetime == Lifetime::Permanent)),
        ("attached_by", json!(e.quote.attached_by.map(|rule| rule_location(report, rule)))),
        ("active_frame", json!(e.active.map(Place::frame))),
        ("fulfilled_by", json!(fulfilled.map(|(place, _)| place.frame()))),
        ("fulfilled_capture", json!(fulfilled.map(|(place, _)| capture(report, *place)))),
        ("conns", json!(e.fulfilled.iter().map(|(_, conn)| *conn).collect::<Vec<_>>())),
        ("ended", json!(e.end.map(|(_, cause)| end_cause(cause)))),
        ("ended_frame", json!(e.end.map(|(place, _)| place.frame()).filter(|&frame| frame != 0))),
    ] {
        line.insert(key.into(), value);
    }
    Value::Object(line)
}

pub(crate) fn conn_line(report: &Report, conn: &Conn) -> Value {
    let [original, reply] = conn.counters;
    json!({
        "type": "conn",
        "capture": capture(report, conn.first),
        "frame": conn.first.frame(),
        "conn": conn.number,
        "original": tuple(&conn.original),
        "reply": tuple(&conn.reply),
        "translated_by": conn.is_translated().then(|| translated_by(report, conn)),
        "nat_helper": report.is_rewritten(conn),
        "protocol_state": conn.protocol_state,
        "status": conn.status.iter_names().map(|(name, _)| status_name(name)).collect::<Vec<_>>(),
        "helper": conn.helper.as_ref().map(|h| h.name.as_str()),
        "helper_by": helper_by(report, conn.helper),
        "master": conn.master,
        "expectation": conn.expectation.and_then(|id| report.expectation(id)).map(|e| e.id),
        "mark": conn.mark,
        "packets": [original.packets, reply.packets],
        "bytes": [original.bytes, reply.bytes],
        "timeout": conn.timeout,
        "ended": conn.end.map(|(_, cause)| destroy_cause(cause)),
        "ended_frame": conn.end.map(|(place, _)| place.frame()).filter(|&frame| frame != 0),
        "assured": conn.status.contains(Status::ASSURED),
    })
}

fn translated_by(report: &Report, conn: &Conn) -> Value {
    let words = |by| match by {
        TranslatedBy::Rule(rule) => rule_location(report, rule),
        TranslatedBy::Setting => "--nat".to_owned(),
        TranslatedBy::Mapping => "--nat-mapping".to_owned(),
        TranslatedBy::Hairpin => "--nat-hairpin".to_owned(),
    };
    let [source, destination] = conn.translated_by.map(|by| by.map(words));
    json!({"source": source, "destination": destination})
}

fn helper_by(report: &Report, helper: Option<Attached>) -> Option<String> {
    let rule = helper?.rule;
    Some(rule.map_or_else(|| "--helpers".to_owned(), |rule| rule_location(report, rule)))
}

fn quote_fields(kind: &str, report: &Report, quote: &Quote) -> Map<String, Value> {
    let direction = words::direction(quote.direction);
    let mut line = Map::new();
    for (key, value) in [
        ("type", json!(kind)),
        ("capture", json!(capture(report, quote.place))),
        ("frame", json!(quote.place.frame())),
        ("helper", json!(quote.helper.as_str())),
        ("direction", json!(direction)),
        ("offset", json!(quote.span.start)),
        ("bytes", json!(lossy(&quote.bytes))),
    ] {
        line.insert(key.into(), value);
    }
    line
}

fn tuple(tuple: &Tuple) -> Value {
    let icmp = matches!(tuple.protocol, Protocol::ICMP | Protocol::ICMPV6);
    let mut value = json!({
        "proto": tuple.protocol.to_string(),
        "src": tuple.source.ip(tuple.version),
        "sport": (!icmp).then_some(tuple.source_port),
        "dst": tuple.destination.ip(tuple.version),
        "dport": (!icmp).then_some(tuple.destination_port),
    });
    if icmp && let Some(fields) = value.as_object_mut() {
        fields.insert("type".into(), (tuple.destination_port >> 8).into());
        fields.insert("code".into(), (tuple.destination_port & 0xff).into());
        fields.insert("id".into(), tuple.source_port.into());
    }
    value
}

fn capture(report: &Report, place: Place) -> &str {
    report.captures.get(place.capture()).map_or("", |capture| capture.name.as_str())
}

fn rule_location(report: &Report, rule: RuleId) -> String {
    report.rule(RuleRef::Rule(rule)).map(|line| line.location.clone()).unwrap_or_default()
}

/// `SEEN_REPLY` as nft spells it: `seen-reply`.
fn status_name(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}

const fn end_cause(cause: EndCause) -> &'static str {
    match cause {
        EndCause::Fulfilled => "fulfilled",
        EndCause::SiblingHit => "sibling-hit",
        EndCause::Timeout => "timeout",
        EndCause::Cancelled => "cancelled",
        EndCause::Evicted => "evicted",
        EndCause::Replaced => "replaced",
        EndCause::MasterGone => "master-gone",
        EndCause::Request => "request",
    }
}

const fn destroy_cause(cause: DestroyCause) -> &'static str {
    match cause {
        DestroyCause::Timeout => "timeout",
        DestroyCause::Closed => "closed",
        DestroyCause::EarlyDrop => "early-drop",
        DestroyCause::Request => "request",
    }
}
