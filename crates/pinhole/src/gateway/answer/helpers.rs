//! Helpers that are switched while the gateway runs.

use super::super::daemon::Gateway;
use std::fmt::Write as _;

/// A line for each helper that there is: whether it and its NAT half are enabled, and how many sessions it has.
pub(super) fn list(gateway: &Gateway) -> String {
    let engine = gateway.datapath.engine();
    let mut lines = String::new();
    let _ = writeln!(lines, "{:<12} {:<9} {:<9} {:>8}", "helper", "state", "NAT half", "sessions");
    let names = engine.host().helpers().map(|(helper, _)| helper.spec().name);
    let built_in = pinhole_helpers::registry();
    let mut all: Vec<_> = names.chain(built_in.iter().map(|helper| helper.spec().name)).collect();
    all.sort_unstable();
    all.dedup();
    for name in all {
        let loaded = engine.host().helpers().find(|(helper, _)| helper.spec().name == name);
        let half = if engine.nat_helpers().any(|half| half == name.as_str()) {
            "enabled"
        } else if pinhole_helpers::nat_helpers().iter().any(|half| half.name() == name.as_str()) {
            "disabled"
        } else {
            "-"
        };
        let state = if loaded.is_some() { "enabled" } else { "disabled" };
        let sessions = loaded.map_or(0, |(_, sessions)| sessions);
        let _ = writeln!(lines, "{:<12} {state:<9} {half:<9} {sessions:>8}", name.as_str());
    }
    lines
}

/// Enables or disables a helper with its NAT half, or that half alone. Conns that a disabled one has read are blind from then on.
pub(super) fn switch(name: &str, enabled: bool, nat: bool, gateway: &mut Gateway) -> Result<String, String> {
    let built_in = pinhole_helpers::registry().into_iter().find(|helper| helper.spec().is_called(name));
    let unknown = || format!("no helper is called `{name}`");
    // One that is loaded may be none of the build's own.
    let loaded = gateway.datapath.engine().host().helpers().find(|(helper, _)| helper.spec().is_called(name));
    let known = loaded.map(|(helper, _)| helper.spec().name);
    let own = known.or_else(|| built_in.as_ref().map(|helper| helper.spec().name)).ok_or_else(unknown)?;
    let half = pinhole_helpers::nat_helpers().iter().find(|half| half.name() == own.as_str()).copied();
    let now = gateway.now();
    let engine = gateway.datapath.engine_mut();
    let mut told = String::new();
    if !nat {
        match (enabled, known.is_some()) {
            (true, true) => told = format!("helper {own} is enabled already\n"),
            (true, false) => {
                let helper = built_in.ok_or_else(unknown)?;
                engine.load_boxed(helper).map_err(|error| format!("helper {own}: {error}"))?;
                told = format!("helper {own} is enabled\n");
            }
            (false, false) => told = format!("helper {own} is disabled already\n"),
            (false, true) => {
                let sessions =
                    engine.unload(now, &own, true).map_err(|error| format!("helper {own}: {error}"))?;
                told = format!("helper {own} is disabled; {sessions} connections are not read any more\n");
            }
        }
    }
    match (half, enabled) {
        (Some(half), true) => engine.load_nat(half),
        (Some(half), false) => drop(engine.unload_nat(half.name())),
        (None, _) if nat => return Err(format!("helper {own} has no NAT half")),
        (None, _) => {}
    }
    if nat {
        told = format!("the NAT half of helper {own} is {}\n", if enabled { "enabled" } else { "disabled" });
    }
    gateway.tell_events();
    Ok(told)
}
