//! The counters as text: one family after the other, each with its type and what it means.

use super::super::census::Census;
use crate::replay::{STATES, VERDICTS};
use pinhole_track::State;
use std::fmt::{Display, Write as _};

/// Everything there is to count.
pub(super) fn of(census: &Census, uptime: u64) -> String {
    let mut text = Text::default();
    build(&mut text, census, uptime);
    table(&mut text, census);
    packets(&mut text, census);
    ports(&mut text, census);
    helpers(&mut text, census);
    nat(&mut text, census);
    text.0.push_str("# EOF\n");
    text.0
}

fn build(text: &mut Text, census: &Census, uptime: u64) {
    text.family("pinhole_build", "info", "The program that runs.");
    text.sample("pinhole_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    text.one("pinhole_uptime_seconds", "gauge", "Since the start.", uptime);
    text.one("pinhole_shards", "gauge", "Engines that share the work.", census.shards);
    let share = &census.share;
    for (name, help, count) in [
        (
            "pinhole_shard_frames_handed_over",
            "Frames that came in by another shard's port.",
            share.handed_over,
        ),
        ("pinhole_shard_frames_lost", "Frames that another shard had no room for.", share.frames_lost),
        (
            "pinhole_shard_notices_lost",
            "Connections that another shard could not be told of.",
            share.notices_lost,
        ),
        ("pinhole_shard_clashes", "Connections that two shards had.", share.clashes),
    ] {
        text.counter(name, help, count);
    }
}

fn table(text: &mut Text, census: &Census) {
    let track = &census.track;
    text.one("pinhole_conns", "gauge", "Connections in the table.", census.conns);
    text.one("pinhole_conns_limit", "gauge", "Most connections that the table takes.", census.most_conns);
    text.one("pinhole_table_bytes", "gauge", "Memory of the table.", census.table_bytes);
    for (name, help, count) in [
        ("pinhole_conns_opened", "Connections that entered the table.", track.new),
        ("pinhole_conns_ended", "Connections that left it.", track.destroyed),
        (
            "pinhole_conns_abandoned",
            "First packets whose connection did not survive the rules.",
            track.abandoned,
        ),
        ("pinhole_conns_clashed", "First packets whose tuple another connection took.", track.clash),
        (
            "pinhole_conns_dropped_early",
            "Connections that gave way to others in a full table.",
            track.early_drop,
        ),
        ("pinhole_table_full", "First packets for which there was no room.", track.full),
        ("pinhole_expectations_entered", "Expectations entered.", track.expect_new),
        ("pinhole_expectations_fulfilled", "Connections that were expected.", track.expect_hit),
        ("pinhole_expectations_unfulfilled", "Expectations that ended without one.", track.expect_ended),
        (
            "pinhole_events_lost",
            "Events that nobody took in time.",
            track.events_lost + census.engine.events_dropped,
        ),
    ] {
        text.counter(name, help, count);
    }
    text.one("pinhole_expectations", "gauge", "Expectations that wait.", census.expectations);
}

fn packets(text: &mut Text, census: &Census) {
    text.family("pinhole_packets", "counter", "Packets by state and verdict.");
    for (row, state) in STATES.iter().enumerate() {
        for (column, verdict) in VERDICTS.iter().enumerate() {
            let count = census.totals.cell(row, column);
            if count > 0 {
                let state = state.map_or("none", State::name);
                text.sample("pinhole_packets_total", &[("state", state), ("verdict", verdict)], count);
            }
        }
    }
    text.family(
        "pinhole_drops",
        "counter",
        "Packets that did not survive, by reason and by the rule that decided.",
    );
    for ((verdict, reason, rule), count) in &census.causes {
        text.sample(
            "pinhole_drops_total",
            &[("verdict", verdict), ("reason", reason), ("rule", rule)],
            *count,
        );
    }
    let engine = &census.engine;
    for (name, help, count) in [
        ("pinhole_malformed", "Datagrams that cannot be parsed.", engine.malformed),
        ("pinhole_fragments", "Fragments kept or put together.", engine.fragments),
        ("pinhole_bad_checksums", "Transport checksums that are wrong.", engine.bad_checksums),
    ] {
        text.counter(name, help, count);
    }
}

fn ports(text: &mut Text, census: &Census) {
    for (name, help, of) in [
        ("pinhole_port_received_frames", "Frames received.", 0),
        ("pinhole_port_received_bytes", "Bytes received.", 1),
        ("pinhole_port_sent_frames", "Frames sent.", 2),
        ("pinhole_port_lost_frames", "Frames that could not be sent.", 3),
        ("pinhole_port_overrun_frames", "Frames that came faster than they were taken.", 4),
    ] {
        text.family(name, "counter", help);
        for port in &census.ports {
            let count = &port.count;
            let value = [count.received, count.received_bytes, count.sent, count.lost, port.overruns];
            let value = value.get(of).copied().unwrap_or_default();
            text.sample(&format!("{name}_total"), &[("port", &port.name)], value);
        }
    }
    let statistics = &census.datapath;
    for (name, help, count) in [
        ("pinhole_answers", "Answers to rejected packets.", statistics.answers),
        (
            "pinhole_answers_suppressed",
            "Answers not given because there were too many.",
            statistics.answers_suppressed,
        ),
        ("pinhole_link_frames_passed", "Frames beside IP that link policy passed.", statistics.link_passed),
        (
            "pinhole_link_frames_dropped",
            "Frames beside IP that link policy dropped.",
            statistics.link_dropped,
        ),
    ] {
        text.counter(name, help, count);
    }
}

fn helpers(text: &mut Text, census: &Census) {
    text.family("pinhole_helper_sessions", "gauge", "Connections that a helper reads.");
    for (helper, sessions) in &census.helpers {
        text.sample("pinhole_helper_sessions", &[("helper", helper)], *sessions);
    }
    text.one("pinhole_helper_bytes", "gauge", "Memory of all sessions.", census.session_bytes);
    let tallies = &census.tallies;
    text.family("pinhole_helper_refusals", "counter", "Announcements that open nothing.");
    for ((helper, reason), count) in &tallies.refusals {
        text.sample("pinhole_helper_refusals_total", &[("helper", helper), ("reason", reason)], *count);
    }
    text.family("pinhole_helper_blind", "counter", "Connections that a helper stopped to read.");
    for ((helper, reason), count) in &tallies.blind {
        text.sample("pinhole_helper_blind_total", &[("helper", helper), ("reason", reason)], *count);
    }
}

fn nat(text: &mut Text, census: &Census) {
    let nat = &census.nat;
    text.one("pinhole_nat_ports", "gauge", "Ports in use by translated sources.", census.nat_ports);
    text.one("pinhole_nat_mappings", "gauge", "Inner ends with one outer end.", census.nat_mappings);
    for (name, help, count) in [
        ("pinhole_nat_conns", "Connections that were translated.", nat.conns),
        ("pinhole_nat_packets", "Packets that were translated.", nat.packets),
        ("pinhole_nat_exhausted", "First packets dropped because no port was free.", nat.exhausted),
        ("pinhole_nat_no_address", "First packets dropped because there was no address.", nat.no_address),
        ("pinhole_nat_late", "Announcements that were forwarded before they could be translated.", nat.late),
        ("pinhole_nat_untranslatable", "Packets that cannot be translated.", nat.untranslatable),
    ] {
        text.counter(name, help, count);
    }
}

/// Text that grows.
#[derive(Default)]
struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to memory cannot fail.
        let _ = writeln!(self.0, "# TYPE {name} {kind}\n# HELP {name} {help}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (index, (label, content)) in labels.iter().enumerate() {
            self.0.push(if index == 0 { '{' } else { ',' });
            let _ = write!(self.0, "{label}=\"");
            for character in content.chars() {
                match character {
                    '\\' => self.0.push_str("\\\\"),
                    '"' => self.0.push_str("\\\""),
                    '\n' => self.0.push_str("\\n"),
                    other => self.0.push(other),
                }
            }
            self.0.push('"');
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, "counter", help);
        self.sample(&format!("{name}_total"), &[], value);
    }
}
