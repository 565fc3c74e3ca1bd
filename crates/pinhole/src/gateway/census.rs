//! Everything that is counted, of one shard or of all of them together: what `stats` and the metrics show.

use super::journal::Tallies;
use super::request::ListFormat;
use super::shard::Gateway;
use crate::replay::Totals;
use crate::replay::record::Dropped;
use pinhole_engine::NatStatistics;
use pinhole_gateway::shards::{Share, ShareStatistics};
use pinhole_gateway::{PortStatistics, Statistics};
use pinhole_ruleset::Ruleset;
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Kinds of drops that are shown.
pub(super) const DROP_KINDS: usize = 20;

/// Kinds of drops that one shard tells of: one that is frequent in all is frequent in some.
const TOLD_KINDS: usize = 10 * DROP_KINDS;

/// Rows of drops by cause: rules and reasons, so few, but a ruleset may be large.
const MOST_CAUSES: usize = 1_000;

/// What was counted.
#[derive(Clone, Default)]
pub(super) struct Census {
    pub(super) shards: u64,
    pub(super) conns: u64,
    pub(super) most_conns: u64,
    pub(super) table_bytes: u64,
    pub(super) expectations: u64,
    pub(super) sessions: u64,
    pub(super) session_bytes: u64,
    pub(super) carried: u64,
    pub(super) track: pinhole_track::Statistics,
    pub(super) engine: pinhole_engine::engine::Statistics,
    pub(super) datapath: Statistics,
    pub(super) share: ShareStatistics,
    pub(super) ports: Vec<PortCensus>,
    /// Sessions by helper.
    pub(super) helpers: BTreeMap<String, u64>,
    pub(super) tallies: Tallies,
    pub(super) nat: NatStatistics,
    pub(super) nat_ports: u64,
    pub(super) nat_mappings: u64,
    pub(super) totals: Totals,
    /// The most frequent kinds.
    pub(super) drops: Vec<DropCensus>,
    /// Packets by verdict, reason and rule.
    pub(super) causes: BTreeMap<(&'static str, &'static str, String), u64>,
}

/// What was counted of a port.
#[derive(Clone, Default)]
pub(super) struct PortCensus {
    pub(super) name: String,
    pub(super) count: PortStatistics,
    pub(super) overruns: u64,
}

/// A kind of drop: what decided, and between whom.
#[derive(Clone)]
pub(super) struct DropCensus {
    pub(super) verdict: &'static str,
    pub(super) by: String,
    pub(super) ends: String,
    pub(super) packets: u64,
}

impl Census {
    /// Of one gateway.
    pub(super) fn of(gateway: &mut Gateway) -> Self {
        let overruns: Vec<u64> =
            gateway.datapath.ports_mut().iter_mut().map(|port| port.overruns()).collect();
        let datapath = &gateway.datapath;
        let (engine, report) = (datapath.engine(), &gateway.journal.report);
        let tracker = engine.tracker();
        let ports = datapath.ports().iter().zip(&datapath.statistics().ports).zip(overruns);
        let mut helpers = BTreeMap::new();
        for (helper, sessions) in engine.host().helpers() {
            *helpers.entry(helper.spec().name.to_string()).or_default() += sessions as u64;
        }
        let mut census = Self {
            shards: 1,
            conns: tracker.len() as u64,
            most_conns: tracker.capacity() as u64,
            table_bytes: tracker.memory() as u64,
            expectations: tracker.expectations().count() as u64,
            sessions: engine.host().sessions() as u64,
            session_bytes: engine.host().memory() as u64,
            carried: datapath.carried() as u64,
            track: *tracker.statistics(),
            engine: engine.statistics(),
            datapath: datapath.statistics().clone(),
            share: datapath.share().map(Share::statistics).unwrap_or_default(),
            ports: ports
                .map(|((port, count), overruns)| PortCensus {
                    name: port.name().to_owned(),
                    count: *count,
                    overruns,
                })
                .collect(),
            helpers,
            tallies: gateway.journal.tallies.clone(),
            nat: engine.nat_statistics(),
            nat_ports: engine.nat_ports(),
            nat_mappings: engine.nat_mappings() as u64,
            totals: report.totals,
            drops: Vec::new(),
            causes: BTreeMap::new(),
        };
        census.count_drops(gateway);
        census
    }

    fn count_drops(&mut self, gateway: &Gateway) {
        let report = &gateway.journal.report;
        let rule = |dropped: &Dropped| {
            let rule = dropped.key.rule.and_then(|rule| report.rule(rule));
            rule.map_or_else(String::new, |line| line.location.clone())
        };
        for dropped in &report.drops {
            let cause = (dropped.key.verdict.name(), dropped.key.reason.unwrap_or("rule"), rule(dropped));
            if self.causes.len() < MOST_CAUSES || self.causes.contains_key(&cause) {
                *self.causes.entry(cause).or_default() += dropped.packets;
            }
        }
        let mut frequent: Vec<&Dropped> = report.drops.iter().collect();
        frequent.sort_by_key(|dropped| std::cmp::Reverse(dropped.packets));
        self.drops.extend(frequent.into_iter().take(TOLD_KINDS).map(|dropped| {
            let by = Some(rule(dropped)).filter(|rule| !rule.is_empty());
            let ends = dropped.key.ends.map_or_else(String::new, |e| {
                let port = e.destination_port.map_or_else(String::new, |port| format!(":{port}"));
                format!("{} {} > {}{port}", e.protocol, e.source, e.destination)
            });
            DropCensus {
                verdict: dropped.key.verdict.name(),
                by: by.unwrap_or_else(|| dropped.key.reason.unwrap_or("no rule").to_owned()),
                ends,
                packets: dropped.packets,
            }
        }));
    }

    /// Of all shards together.
    pub(super) fn together(parts: Vec<Self>) -> Self {
        let mut parts = parts.into_iter();
        let mut all = parts.next().unwrap_or_default();
        for part in parts {
            all.add(part);
        }
        all.drops.sort_by_key(|kind| std::cmp::Reverse(kind.packets));
        all.drops.truncate(DROP_KINDS);
        all
    }

    fn add(&mut self, other: Self) {
        macro_rules! sum {
            ($($($field:ident).+),+ $(,)?) => { $(self.$($field).+ += other.$($field).+;)+ };
        }
        sum!(
            shards,
            conns,
            most_conns,
            table_bytes,
            expectations,
            sessions,
            session_bytes,
            carried,
            track.new,
            track.abandoned,
            track.destroyed,
            track.invalid,
            track.clash,
            track.full,
            track.early_drop,
            track.events_lost,
            track.expect_new,
            track.expect_hit,
            track.expect_ended,
            track.expect_limit,
            track.expect_clash,
            engine.frames,
            engine.not_ip,
            engine.malformed,
            engine.fragments,
            engine.bad_checksums,
            engine.events_dropped,
            datapath.link_passed,
            datapath.link_dropped,
            datapath.answers,
            datapath.answers_suppressed,
            datapath.fragments_lost,
            datapath.unresolved,
            datapath.carried_packets,
            datapath.carried_bytes,
            share.handed_over,
            share.frames_lost,
            share.notices_lost,
            share.clashes,
            nat.conns,
            nat.packets,
            nat.exhausted,
            nat.no_address,
            nat.untranslatable,
            nat.late,
            nat_ports,
            nat_mappings,
        );
        for (port, more) in self.ports.iter_mut().zip(other.ports) {
            port.count.received += more.count.received;
            port.count.received_bytes += more.count.received_bytes;
            port.count.sent += more.count.sent;
            port.count.lost += more.count.lost;
            port.overruns += more.overruns;
        }
        for (helper, sessions) in other.helpers {
            *self.helpers.entry(helper).or_default() += sessions;
        }
        self.tallies.add(other.tallies);
        self.totals.add(&other.totals);
        for (cause, packets) in other.causes {
            *self.causes.entry(cause).or_default() += packets;
        }
        for kind in other.drops {
            let is_it = |known: &&mut DropCensus| {
                (known.verdict, &known.by, &known.ends) == (kind.verdict, &kind.by, &kind.ends)
            };
            match self.drops.iter_mut().find(is_it) {
                Some(known) => known.packets += kind.packets,
                None => self.drops.push(kind),
            }
        }
    }
}

/// A counter of the ruleset.
#[derive(Clone)]
pub(super) struct RuleCensus {
    location: String,
    text: String,
    packets: u64,
    bytes: u64,
}

/// The counters of the ruleset in force.
pub(super) fn rules(gateway: &Gateway) -> Vec<RuleCensus> {
    let engine = gateway.datapath.engine();
    let (Some(ruleset), Some(state)) = (engine.ruleset(), engine.ruleset_state()) else { return Vec::new() };
    let reading = Ruleset::counters(ruleset, state).map(|reading| RuleCensus {
        location: reading.location.to_string(),
        text: reading.name.split_whitespace().collect::<Vec<_>>().join(" "),
        packets: reading.count.packets,
        bytes: reading.count.bytes,
    });
    reading.collect()
}

/// Those of all shards together, which have the same ruleset, as lines.
pub(super) fn rule_lines(shards: Vec<Vec<RuleCensus>>, format: ListFormat) -> String {
    let mut shards = shards.into_iter();
    let mut all = shards.next().unwrap_or_default();
    for shard in shards {
        for (counter, more) in all.iter_mut().zip(shard) {
            counter.packets += more.packets;
            counter.bytes += more.bytes;
        }
    }
    let mut lines = String::new();
    for RuleCensus { location, text, packets, bytes } in all {
        // Writing into memory does not fail.
        let _ = match format {
            ListFormat::Json => writeln!(
                lines,
                "{}",
                json!({"type": "counter", "rule": location, "text": text, "packets": packets, "bytes": bytes})
            ),
            ListFormat::Conntrack | ListFormat::Table => {
                writeln!(lines, "{location} packets {packets} bytes {bytes} {text}")
            }
        };
    }
    lines
}
