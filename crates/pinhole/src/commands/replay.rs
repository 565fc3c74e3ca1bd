//! `pinhole replay`.

use super::{Failure, Terminal};
use crate::arguments::{FailOn, Format, ReplayArguments, Target, nat_rules};
use crate::load::Loaded;
use crate::render::conntrack::{Events, Listing};
use crate::render::diagram::{self, Diagram};
use crate::render::explain::Explain;
use crate::render::json::Json;
use crate::render::table::Table;
use crate::render::tree::Tree;
use crate::render::write::Survivors;
use crate::replay::{Keep, OneSided, Replay, Report, Sink, Translation};
use crate::{exit, files};
use indicatif::{ProgressBar, ProgressStyle};
use pinhole_engine::{Engine, Verdict};
use pinhole_helper::NatHelper;
use pinhole_io::capture::{CaptureReader, Merge};
use pinhole_ruleset::{Diagnostic, Ruleset};
use serde_json::{Value, json};
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

/// Sends captures through a firewall and shows what becomes of them.
///
/// # Errors
/// A capture cannot be opened, the ruleset is wrong, or output cannot be written.
pub fn run(mut arguments: ReplayArguments, terminal: &mut Terminal) -> Result<u8, Failure> {
    let target = arguments.resolve_explain().map_err(|error| Failure::Usage(error.to_string()))?;
    if arguments.captures.is_empty() {
        return Err(Failure::Usage("no capture is given (see `pinhole replay --help`)".to_owned()));
    }
    let loaded = helpers(&arguments)?;
    let ruleset = ruleset(&arguments).map_err(Failure::Ruleset)?;
    let translation = translation(&arguments, ruleset.as_ref());
    let mut engine = Engine::new(arguments.settings(), loaded.registry, ruleset).map_err(Failure::Setup)?;
    for half in loaded.halves.into_iter().filter(|half| arguments.nat_helpers.wants(half.name())) {
        engine.load_nat(half);
    }
    let nat_helpers = engine.nat_helpers().map(str::to_owned).collect();
    let merge = open(&arguments)?;
    let bar = progress_bar(&merge, terminal.interactive);
    let replay = Replay::new(merge, engine, arguments.clock, keep(&arguments, target.as_ref()))
        .translating(translation, nat_helpers);

    let mut format = format(&arguments, target, terminal);
    let mut survivors =
        arguments.write.as_deref().map(|path| survivors(path, arguments.write_all)).transpose()?;
    let mut diagram = arguments.diagram.as_ref().map(|_| Diagram::new(arguments.diagram_conn));
    let mut sinks: Vec<&mut dyn Sink> = vec![&mut *format];
    sinks.extend(survivors.as_mut().map(|sink| sink as &mut dyn Sink));
    sinks.extend(diagram.as_mut().map(|sink| sink as &mut dyn Sink));
    let report = replay.run(&mut sinks, |bytes| bar.set_position(bytes))?;
    bar.finish_and_clear();
    drop(format);

    if let (Some(diagram), Some(path)) = (diagram, &arguments.diagram) {
        draw(&diagram, &report, path)?;
    }
    for message in &report.warnings {
        terminal.warn(message)?;
    }
    Ok(exit_code(&arguments, &report))
}

/// All helpers, and whether those exist that the arguments name.
fn helpers(arguments: &ReplayArguments) -> Result<Loaded, Failure> {
    let loader = arguments.loading.loader().map_err(|error| Failure::Usage(error.to_string()))?;
    let loaded = loader.load()?;
    let named = arguments.helpers.iter().try_for_each(|helper| helper.check(&loaded.registry));
    named.map_err(Failure::Usage)?;
    arguments.nat_helpers.check(loaded.halves.iter().map(NatHelper::name)).map_err(Failure::Usage)?;
    Ok(loaded)
}

/// The ruleset of `--rules` and `--nat`.
fn ruleset(arguments: &ReplayArguments) -> Result<Option<Ruleset>, Vec<Diagnostic>> {
    let path = arguments.rules.as_deref();
    if arguments.nat.is_empty() {
        return path.map(files::load).transpose();
    }
    files::load_with(path, &nat_rules(&arguments.nat)).map(Some)
}

/// Whether and how addresses are translated.
fn translation(arguments: &ReplayArguments, ruleset: Option<&Ruleset>) -> Option<Translation> {
    if arguments.one_sided {
        return Some(Translation::OneSided(OneSided::new(arguments.nat.clone())));
    }
    ruleset.is_some_and(files::translates).then_some(Translation::AsCaptured)
}

fn open(arguments: &ReplayArguments) -> Result<Merge, Failure> {
    if arguments.captures.iter().filter(|path| path.as_os_str() == "-").count() > 1 {
        return Err(Failure::Usage("standard input (`-`) can be only one of the captures".to_owned()));
    }
    let readers: Result<Vec<CaptureReader>, _> = arguments
        .captures
        .iter()
        .map(|path| if path.as_os_str() == "-" { CaptureReader::stdin() } else { CaptureReader::open(path) })
        .collect();
    Ok(Merge::new(readers?))
}

/// Which conns the format needs after their end.
fn keep(arguments: &ReplayArguments, target: Option<&Target>) -> Keep {
    match (arguments.format, target) {
        (_, Some(Target::Everything)) => Keep::Notable,
        (_, Some(_)) => Keep::All,
        (Format::Json, None) if !arguments.events => Keep::None,
        (Format::Conntrack, None) => Keep::All,
        _ if arguments.all => Keep::All,
        _ => Keep::Notable,
    }
}

fn format<'a>(
    arguments: &ReplayArguments,
    target: Option<Target>,
    terminal: &'a mut Terminal,
) -> Box<dyn Sink + 'a> {
    let palette = terminal.palette;
    let out = &mut terminal.out;
    let ruleset = arguments.rules.as_deref().map(|path| path.display().to_string());
    let limit = if arguments.all { usize::MAX } else { arguments.limit };
    if let Some(target) = target {
        return Box::new(Explain::new(out, palette, target, limit));
    }
    if arguments.events {
        return Box::new(Events::new(out));
    }
    match arguments.format {
        Format::Tree => Box::new(Tree::new(out, palette, limit, ruleset)),
        Format::Table => Box::new(Table::new(out, palette)),
        Format::Conntrack => Box::new(Listing::new(out)),
        Format::Json => Box::new(Json::new(out, ruleset, settings_json(arguments))),
    }
}

fn settings_json(arguments: &ReplayArguments) -> Value {
    json!({
        "helpers": arguments.helpers.iter().map(|h| json!({"name": h.0.helper, "ports": h.0.ports})).collect::<Vec<_>>(),
        "loaded": arguments.loading.load.iter().map(|path| path.display().to_string()).collect::<Vec<_>>(),
        "on_fault": format!("{:?}", arguments.on_fault).to_lowercase(),
        "pickup": format!("{:?}", arguments.pickup).to_lowercase(),
        "clock": format!("{:?}", arguments.clock).to_lowercase(),
        "checksum": format!("{:?}", arguments.checksum).to_lowercase(),
        "third_party": arguments.third_party,
        "wait_for_answer": arguments.wait_for_answer,
        "media_source": arguments.media_source.name(),
        "any_caller": arguments.any_caller,
        "introductions": arguments.introductions,
        "tcp_be_liberal": arguments.tcp_be_liberal,
        "tcp_loose": !arguments.no_tcp_loose,
        "max_conns": arguments.max_conns,
        "nat": arguments.nat.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "nat_helpers": arguments.nat_helpers.to_string(),
        "nat_options": arguments.nat_options.json(),
        "one_sided": arguments.one_sided,
    })
}

fn survivors(path: &Path, all: bool) -> Result<Survivors<BufWriter<File>>, Failure> {
    let cannot = |error| Failure::File(path.display().to_string(), error);
    let file = File::create(path).map_err(cannot)?;
    Survivors::new(BufWriter::new(file), all).map_err(cannot)
}

fn draw(diagram: &Diagram, report: &Report, path: &Path) -> Result<(), Failure> {
    let picture = diagram.picture(report).map_err(Failure::Usage)?;
    let text = match path.extension().and_then(|e| e.to_str()) {
        Some("svg") => diagram::svg::render(&picture),
        _ => diagram::html::render(&picture),
    };
    std::fs::write(path, text).map_err(|error| Failure::File(path.display().to_string(), error))
}

fn exit_code(arguments: &ReplayArguments, report: &Report) -> u8 {
    let failed = |what: &FailOn| match what {
        FailOn::Drop => {
            report.drops.iter().any(|d| matches!(d.key.verdict, Verdict::Drop | Verdict::Reject(_)))
        }
        FailOn::Refusal => !report.refusals.is_empty() || !report.unread.is_empty(),
    };
    if report.incomplete {
        exit::INPUT
    } else if arguments.fail_on.iter().any(failed) {
        exit::FAILED_ON
    } else {
        exit::OK
    }
}

/// Captures shorter than this are read before a bar could be seen.
const LONG: u64 = 64 << 20;

fn progress_bar(merge: &Merge, interactive: bool) -> ProgressBar {
    let total: Option<u64> = merge.readers().iter().map(CaptureReader::total_bytes).sum();
    match total {
        Some(total) if interactive && total >= LONG => {
            let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {eta}");
            let bar = ProgressBar::new(total);
            style.map_or(bar.clone(), |style| bar.with_style(style))
        }
        _ => ProgressBar::hidden(),
    }
}
