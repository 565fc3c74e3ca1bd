//! Why a packet that did not survive might have: what was announced about it before, and what was not read.

use super::super::words::{ended, expected};
use super::super::{Count, Text};
use crate::replay::record::{Conn, DropKey, Dropped, Ends, Sight};
use crate::replay::{End, Report};
use pinhole_helper::Condition;
use pinhole_track::State;
use std::net::IpAddr;

/// Most circumstances told of one drop.
const MOST: usize = 3;

/// `12 packets (new): tcp 10.0.0.2:20 > 10.0.0.1:50021, first frame 14`
pub(crate) fn describe_drop(report: &Report, dropped: &Dropped) -> String {
    let DropKey { state, ends, .. } = dropped.key;
    let state = state.map_or("not tracked", State::name);
    let ends = ends.map_or_else(
        || "to various places".to_owned(),
        |Ends { protocol, source, destination, destination_port }| {
            let source = End(source, dropped.source_port.filter(|_| dropped.packets == 1));
            format!("{protocol} {source} > {}", End(destination, destination_port))
        },
    );
    let frames = if dropped.packets == 1 {
        report.frame(dropped.first)
    } else {
        format!("first {}", report.frame(dropped.first))
    };
    let reason = dropped.message.as_deref().map(|message| format!(": {message}")).unwrap_or_default();
    format!("{} {state}, {ends}, {frames}{reason}", Count(dropped.packets, "packet"))
}

/// What happened before that explains why nothing expected these packets.
pub(crate) fn circumstances(report: &Report, dropped: &Dropped) -> Vec<String> {
    let mut told = Vec::new();
    if !matches!(dropped.key.state, Some(State::New | State::Related)) {
        return told;
    }
    let Some(Ends { protocol, source, destination, destination_port }) = dropped.key.ends else {
        return told;
    };
    let Some(port) = destination_port else {
        // Keys of GRE are no ports: what was announced about them cannot be told from here.
        told.extend(unseen(report, dropped, source, destination));
        return told;
    };
    let end = End(destination, Some(port));
    let refusals = report.refusals_about(destination, port).filter(|r| r.quote.place < dropped.first);
    for refused in refusals.take(MOST) {
        told.push(format!(
            "{} announced {end} (\"{}\"), refused: {}",
            report.frame(refused.quote.place),
            Text(&refused.quote.bytes),
            refused.reason
        ));
    }
    let earlier = report
        .expectations_about(destination)
        .filter(|e| e.covers(protocol, destination, port) && e.quote.place <= dropped.first);
    for e in earlier {
        let announced =
            format!("{} announced {end} (\"{}\")", report.frame(e.quote.place), Text(&e.quote.bytes));
        let over = e.end.filter(|(place, _)| *place <= dropped.first);
        told.push(match (e.active, over) {
            (None, None) => format!("{announced}, but the other end never agreed"),
            (_, Some((place, cause))) => {
                format!("{announced}, but that was over: {}", ended(report, place, cause))
            }
            (Some(since), None) if since > dropped.first => {
                format!("{announced}, agreed only in {}", report.frame(since))
            }
            _ if dropped.key.state == Some(State::Related) => {
                format!("{announced}; the connection is related, but the rules drop it all the same")
            }
            _ if e.source().is_some_and(|ip| ip != source) => format!("{announced}, but for {}", expected(e)),
            _ => continue,
        });
    }
    if told.is_empty() {
        told.extend(unseen(report, dropped, source, destination));
    }
    told.truncate(MOST);
    told
}

/// A control conn between the same hosts that no helper could read, or that had none.
fn unseen(report: &Report, dropped: &Dropped, source: IpAddr, destination: IpAddr) -> Option<String> {
    let between = |number: u32| {
        report.conns.get(&number).is_some_and(|conn| {
            let (a, b) = (
                conn.original.source.ip(conn.original.version),
                conn.original.destination.ip(conn.original.version),
            );
            (a, b) == (source, destination) || (b, a) == (source, destination)
        })
    };
    let blind = report.unread.iter().rev().find(|u| {
        u.place < dropped.first && !matches!(u.what, Sight::Changed(Condition::Reading)) && between(u.conn)
    });
    if let Some(unread) = blind {
        let why = match unread.what {
            Sight::Blind(reason) => reason.to_string(),
            Sight::Changed(_) => "the connection is encrypted".to_owned(),
        };
        return Some(format!(
            "conn {} between the same hosts was unreadable to helper {} since {}: {why}",
            unread.conn,
            unread.helper,
            report.frame(unread.place)
        ));
    }
    let helpable = report.helpable(source, destination)?;
    let (conn, helper, port) = (helpable.conn, helpable.helper, helpable.port);
    // The control conn itself needs no helper to be let in; one that comes back to the same port may.
    let is_server = |conn: &Conn| {
        let version = conn.original.version;
        [conn.original.destination.ip(version), conn.reply.source.ip(version)].contains(&destination)
    };
    if dropped.key.ends.is_some_and(|ends| ends.destination_port == Some(port))
        && report.conns.get(&conn).is_some_and(|conn| is_server(conn))
    {
        return None;
    }
    Some(format!(
        "conn {conn} between the same hosts has no helper: a rule with `ct helper set` and type \"{helper}\" (or --helpers \
         {helper}={port}) would have read what it announces"
    ))
}
