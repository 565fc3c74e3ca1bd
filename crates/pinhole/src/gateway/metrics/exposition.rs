//! The counters as text: one family after the other, each with its type and what it means.

use super::super::daemon::Gateway;
use crate::replay::{STATES, VERDICTS};
use pinhole_track::State;
use pinhole_wire::Time;
use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

/// Rows of drops at most: rules and reasons, so few, but a ruleset may be large.
const MOST_DROPS: usize = 1000;

/// Everything there is to count.
pub(super) fn of(gateway: &mut Gateway, now: Time) -> String {
    let overruns: Vec<u64> = gateway.datapath.ports_mut().iter_mut().map(|port| port.overruns()).collect();
    let mut text = Text::default();
    build(&mut text, gateway, now);
    table(&mut text, gateway);
    packets(&mut text, gateway);
    ports(&mut text, gateway, &overruns);
    helpers(&mut text, gateway);
    nat(&mut text, gateway);
    text.0.push_str("# EOF\n");
    text.0
}

fn build(text: &mut Text, gateway: &Gateway, now: Time) {
    text.family("pinhole_build", "info", "The program that runs.");
    text.sample("pinhole_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    text.one("pinhole_uptime_seconds", "gauge", "Since the start.", gateway.uptime(now));
}

fn table(text: &mut Text, gateway: &Gateway) {
    let engine = gateway.datapath.engine();
    let (tracker, track) = (engine.tracker(), engine.tracker().statistics());
    text.one("pinhole_conns", "gauge", "Connections in the table.", tracker.len());
    text.one("pinhole_conns_limit", "gauge", "Most connections that the table takes.", tracker.capacity());
    text.one("pinhole_table_bytes", "gauge", "Memory of the table.", tracker.memory());
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
            track.events_lost + engine.statistics().events_dropped,
        ),
    ] {
        text.counter(name, help, count);
    }
    let waiting = tracker.expectations().count();
    text.one("pinhole_expectations", "gauge", "Expectations that wait.", waiting);
}

fn packets(text: &mut Text, gateway: &Gateway) {
    let report = &gateway.journal.report;
    text.family("pinhole_packets", "counter", "Packets by state and verdict.");
    for (row, state) in STATES.iter().enumerate() {
        for (column, verdict) in VERDICTS.iter().enumerate() {
            let count = report.totals.cell(row, column);
            if count > 0 {
                let state = state.map_or("none", State::name);
                text.sample("pinhole_packets_total", &[("state", state), ("verdict", verdict)], count);
            }
        }
    }
    let mut drops: BTreeMap<(&str, &str, &str), u64> = BTreeMap::new();
    for dropped in &report.drops {
        let rule =
            dropped.key.rule.and_then(|rule| report.rule(rule)).map_or("", |line| line.location.as_str());
        let reason = dropped.key.reason.unwrap_or("rule");
        if drops.len() < MOST_DROPS || drops.contains_key(&(dropped.key.verdict.name(), reason, rule)) {
            *drops.entry((dropped.key.verdict.name(), reason, rule)).or_default() += dropped.packets;
        }
    }
    text.family(
        "pinhole_drops",
        "counter",
        "Packets that did not survive, by reason and by the rule that decided.",
    );
    for ((verdict, reason, rule), count) in drops {
        text.sample(
            "pinhole_drops_total",
            &[("verdict", verdict), ("reason", reason), ("rule", rule)],
            count,
        );
    }
    let engine = gateway.datapath.engine().statistics();
    for (name, help, count) in [
        ("pinhole_malformed", "Datagrams that cannot be parsed.", engine.malformed),
        ("pinhole_fragments", "Fragments kept or put together.", engine.fragments),
        ("pinhole_bad_checksums", "Transport checksums that are wrong.", engine.bad_checksums),
    ] {
        text.counter(name, help, count);
    }
}

fn ports(text: &mut Text, gateway: &Gateway, overruns: &[u64]) {
    let statistics = gateway.datapath.statistics();
    let all = || gateway.datapath.ports().iter().zip(&statistics.ports).zip(overruns);
    for (name, help, of) in [
        ("pinhole_port_received_frames", "Frames received.", 0),
        ("pinhole_port_received_bytes", "Bytes received.", 1),
        ("pinhole_port_sent_frames", "Frames sent.", 2),
        ("pinhole_port_lost_frames", "Frames that could not be sent.", 3),
        ("pinhole_port_overrun_frames", "Frames that came faster than they were taken.", 4),
    ] {
        text.family(name, "counter", help);
        for ((port, count), overruns) in all() {
            let value = [count.received, count.received_bytes, count.sent, count.lost, *overruns];
            let value = value.get(of).copied().unwrap_or_default();
            text.sample(&format!("{name}_total"), &[("port", port.name())], value);
        }
    }
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

fn helpers(text: &mut Text, gateway: &Gateway) {
    let host = gateway.datapath.engine().host();
    text.family("pinhole_helper_sessions", "gauge", "Connections that a helper reads.");
    for (helper, sessions) in host.helpers() {
        text.sample("pinhole_helper_sessions", &[("helper", helper.spec().name.as_str())], sessions);
    }
    text.one("pinhole_helper_bytes", "gauge", "Memory of all sessions.", host.memory());
    let tallies = &gateway.journal.tallies;
    text.family("pinhole_helper_refusals", "counter", "Announcements that open nothing.");
    for ((helper, reason), count) in &tallies.refusals {
        text.sample("pinhole_helper_refusals_total", &[("helper", helper), ("reason", reason)], *count);
    }
    text.family("pinhole_helper_blind", "counter", "Connections that a helper stopped to read.");
    for ((helper, reason), count) in &tallies.blind {
        text.sample("pinhole_helper_blind_total", &[("helper", helper), ("reason", reason)], *count);
    }
}

fn nat(text: &mut Text, gateway: &Gateway) {
    let engine = gateway.datapath.engine();
    let nat = engine.nat_statistics();
    text.one("pinhole_nat_ports", "gauge", "Ports in use by translated sources.", engine.nat_ports());
    text.one("pinhole_nat_mappings", "gauge", "Inner ends with one outer end.", engine.nat_mappings());
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
