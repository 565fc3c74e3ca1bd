//! Tuples, states and the fates of expectations, in words that several formats share.

use super::Text;
use crate::replay::record::{Conn, Expectation, Sight, Unread};
use crate::replay::{End, LeftPacket, Place, Report};
use pinhole_helper::{AddressMatch, Condition, PortMatch};
use pinhole_track::{EndCause, Status, Tuple};
use pinhole_wire::{Address, Direction, Protocol};

/// `tcp 10.0.0.1:1234 > 10.0.0.2:21`
pub(crate) fn tuple(tuple: &Tuple) -> String {
    let icmp = matches!(tuple.protocol, Protocol::ICMP | Protocol::ICMPV6);
    let ports = !icmp && (tuple.source_port != 0 || tuple.destination_port != 0);
    let source = End(tuple.source.ip(tuple.version), ports.then_some(tuple.source_port));
    let destination = End(tuple.destination.ip(tuple.version), ports.then_some(tuple.destination_port));
    if icmp {
        let (kind, code) = (tuple.destination_port >> 8, tuple.destination_port & 0xff);
        return format!(
            "{} {source} > {destination} type {kind} code {code} id {}",
            tuple.protocol, tuple.source_port
        );
    }
    format!("{} {source} > {destination}", tuple.protocol)
}

/// `source 10.0.0.5:40000 as 203.0.113.7:40000`: how a conn is translated; `None` if it is not.
pub(crate) fn translation(conn: &Conn) -> Option<String> {
    let (original, reply) = (&conn.original, &conn.reply);
    let has_ports = !matches!(original.protocol, Protocol::ICMP | Protocol::ICMPV6 | Protocol::GRE);
    let end = |address: Address, port: u16| {
        End(address.ip(original.version), (has_ports && port != 0).then_some(port)).to_string()
    };
    let change = |name: &str, before: String, verb: &str, after: String| {
        (before != after).then(|| format!("{name} {before} {verb} {after}"))
    };
    let source = change(
        "source",
        end(original.source, original.source_port),
        "as",
        end(reply.destination, reply.destination_port),
    );
    let destination = change(
        "destination",
        end(original.destination, original.destination_port),
        "is",
        end(reply.source, reply.source_port),
    );
    let parts: Vec<String> = [source, destination].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Why announcements of a translated conn are not rewritten, if they are not.
pub(crate) fn not_rewritten(report: &Report, conn: &Conn) -> Option<String> {
    let helper = conn.helper.filter(|_| report.is_rewritten(conn) == Some(false))?;
    Some(format!("NAT helper {} is not loaded: announcements are not rewritten", helper.name))
}

/// `203.0.113.7:40000 > 192.0.2.1:21 "PORT 203,0,113,7,195,101"`: the ends of a packet as it left, and its text if that was rewritten.
pub(crate) fn left_packet(packet: &LeftPacket) -> String {
    let ends = packet.headers.map_or_else(String::new, |h| {
        format!("{} > {}", End(h.source, h.source_port), End(h.destination, h.destination_port))
    });
    match &packet.rewritten {
        Some(text) => format!("{ends} \"{}\"", Text(text.get(..SHOWN).unwrap_or(text))),
        None => ends,
    }
}

/// Bytes shown of a rewritten payload.
const SHOWN: usize = 120;

/// `ESTABLISHED`, or for protocols without states whether there was an answer.
pub(crate) fn conn_state(conn: &Conn) -> &'static str {
    conn.protocol_state.unwrap_or(if conn.status.contains(Status::SEEN_REPLY) {
        "replied"
    } else {
        "unreplied"
    })
}

/// `tcp 10.0.0.1 > 10.0.0.2:50021`
pub(crate) fn expected(e: &Expectation) -> String {
    let source = match e.expect.source {
        AddressMatch::Exact(ip) => ip.to_string(),
        AddressMatch::Prefix(ip, length) => format!("{ip}/{length}"),
        AddressMatch::Any => "any".to_owned(),
    };
    let source_port = match e.expect.source_port {
        PortMatch::Exact(port) => format!(":{port}"),
        PortMatch::Range(low, high) => format!(":{low}-{high}"),
        PortMatch::Any => String::new(),
    };
    let destination = match e.expect.destination_port {
        PortMatch::Exact(port) => End(e.expect.destination, Some(port)).to_string(),
        PortMatch::Range(low, high) => format!("{} ports {low}-{high}", e.expect.destination),
        PortMatch::Any => e.expect.destination.to_string(),
    };
    format!("{} {source}{source_port} > {destination}", e.expect.protocol)
}

/// What is remarkable about an expectation's life; nothing if a conn came as expected.
pub(crate) fn fate(report: &Report, e: &Expectation) -> String {
    let mut parts = Vec::new();
    match e.active {
        None => parts.push("never confirmed by the other end, so it matched nothing".to_owned()),
        Some(place) if place != e.quote.place => parts.push(format!("armed by {}", report.frame(place))),
        Some(_) => {}
    }
    if e.fulfilled.is_empty() {
        parts.push(match e.end {
            None => "nothing came".to_owned(),
            Some((place, cause)) => format!("nothing came; {}", ended(report, place, cause)),
        });
    }
    parts.join("; ")
}

/// `timed out at frame 30`
pub(crate) fn ended(report: &Report, place: Place, cause: EndCause) -> String {
    let what = match cause {
        EndCause::Fulfilled => "fulfilled",
        EndCause::SiblingHit => "cancelled because the other one of its group was hit",
        EndCause::Timeout => "timed out",
        EndCause::Cancelled => "cancelled by the protocol",
        EndCause::Evicted => "made room for a newer one",
        EndCause::Replaced => "announced anew",
        EndCause::MasterGone => "its control connection ended",
        EndCause::Request => "removed",
    };
    if place.frame() == 0 { what.to_owned() } else { format!("{what} at {}", report.frame(place)) }
}

/// What a helper saw, or did not.
pub(crate) fn sight(unread: &Unread) -> String {
    match unread.what {
        Sight::Blind(reason) => format!("helper {} is blind from here on: {reason}", unread.helper),
        Sight::Changed(Condition::Encrypted) => {
            format!("helper {} cannot read for now: the connection is encrypted", unread.helper)
        }
        Sight::Changed(Condition::Reading) => format!("helper {} reads again", unread.helper),
    }
}

/// Which way a packet of a conn goes.
pub(crate) const fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Original => "original",
        Direction::Reply => "reply",
    }
}
