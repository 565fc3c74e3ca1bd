//! `pinhole helpers`: the helpers' own descriptions.

use super::{Failure, Terminal};
use crate::arguments::{HelpersArguments, Plainness};
use crate::exit;
use crate::load::{Loaded, Origin};
use crate::render::Palette;
use pinhole_helper::{Helper, Spec, Texts};
use pinhole_modules::Module;
use serde_json::{Value, json};
use std::io::{self, Write};

/// Lists all helpers, or describes one.
///
/// # Errors
/// No helper has the name asked for, or writing failed.
pub fn run(arguments: &HelpersArguments, terminal: &mut Terminal) -> Result<u8, Failure> {
    #[cfg(target_os = "linux")]
    if let Some(socket) = &arguments.live {
        return live(socket, arguments.format, terminal);
    }
    let loader = arguments.loading.loader().map_err(|error| Failure::Usage(error.to_string()))?;
    let Loaded { registry, origins, .. } = loader.load()?;
    let specs: Vec<&Spec> = match &arguments.name {
        None => registry.iter().map(Helper::spec).collect(),
        Some(name) => match registry.find(name) {
            Some(helper) => vec![helper.spec()],
            None => {
                let known: Vec<&str> = registry.iter().map(|helper| helper.spec().name.as_str()).collect();
                let known = known.join(", ");
                return Err(Failure::Usage(format!("no helper is called `{name}`; there are: {known}")));
            }
        },
    };
    let (out, palette) = (&mut terminal.out, &terminal.palette);
    match (arguments.format, &arguments.name) {
        (Plainness::Json, _) => {
            for spec in specs {
                writeln!(out, "{}", describe_json(spec, origin_of(&origins, spec)))?;
            }
        }
        (Plainness::Text, None) => list(out, palette, &specs)?,
        (Plainness::Text, Some(_)) => {
            for spec in specs {
                describe(out, palette, spec, origin_of(&origins, spec))?;
            }
        }
    }
    out.flush()?;
    Ok(exit::OK)
}

/// The helpers of a running gateway.
#[cfg(target_os = "linux")]
fn live(socket: &std::path::Path, format: Plainness, terminal: &mut Terminal) -> Result<u8, Failure> {
    use crate::gateway::request::{ListFormat, Listed, Request};
    let format = match format {
        Plainness::Text => ListFormat::Table,
        Plainness::Json => ListFormat::Json,
    };
    let request = Request::List { what: Listed::Modules, format, flow: None, helper: None, state: None };
    crate::gateway::client::ask(socket, &request, terminal)
}

fn list(out: &mut dyn Write, p: &Palette, specs: &[&Spec]) -> io::Result<()> {
    let width = specs.iter().map(|spec| spec.name.len()).max().unwrap_or(0);
    let conventional: Vec<String> = specs.iter().map(|spec| endpoints(spec)).collect();
    let ports_width = conventional.iter().map(String::len).max().unwrap_or(0);
    for (spec, ports) in specs.iter().zip(&conventional) {
        let (bold, end) = (p.strong, p.strong.end());
        writeln!(out, "{bold}{:width$}{end}  {ports:ports_width$}  {}", spec.name, spec.summary)?;
    }
    writeln!(
        out,
        "\nNo helper reads anything unless a rule (`ct helper set`) or --helpers attaches it; the ports are conventions.\n\
         `pinhole helpers NAME` tells what one reads, opens, refuses and how it is bounded."
    )
}

/// The file of a helper that is not built in.
fn origin_of<'a>(origins: &'a [Origin], spec: &Spec) -> Option<&'a Origin> {
    origins.iter().find(|origin| origin.helper == spec.name)
}

fn describe(out: &mut dyn Write, p: &Palette, spec: &Spec, origin: Option<&Origin>) -> io::Result<()> {
    writeln!(out, "{}{}{} · {}", p.strong, spec.name, p.strong.end(), spec.summary)?;
    if !spec.aliases.is_empty() {
        writeln!(out, "also called {}", spec.aliases.join(", "))?;
    }
    writeln!(out, "control connection: {}", endpoints(spec))?;
    if let Some(origin) = origin {
        match &origin.module {
            None => writeln!(out, "declared in {}", origin.path.display())?,
            Some(module) => {
                let (manifest, hash) = (module.manifest(), module.hash());
                let (version, license) = (&manifest.version, &manifest.license);
                writeln!(out, "module {}, version {version}, {license}", origin.path.display())?;
                writeln!(out, "sha256 {hash}")?;
            }
        }
        if let Some(signed) = &origin.signed {
            writeln!(out, "signed: {signed}")?;
        }
    }
    let classes: Vec<String> = spec
        .classes
        .iter()
        .map(|class| format!("{}: at most {} at a time, {} s each", class.name, class.max, class.timeout))
        .collect();
    for (title, items) in [
        ("reads", lines(&spec.reads)),
        ("opens", lines(&spec.creates)),
        ("expectations", classes.iter().map(String::as_str).collect()),
        ("refuses", lines(&spec.refuses)),
        ("limits", lines(&spec.limits)),
        ("IPv6", vec![&*spec.ipv6]),
        ("NAT", vec![&*spec.nat]),
        ("specifications", lines(&spec.references)),
    ] {
        writeln!(out, "\n{}{title}{}", p.heading, p.heading.end())?;
        for item in items {
            writeln!(out, "  {item}")?;
        }
    }
    Ok(())
}

fn lines(texts: &Texts) -> Vec<&str> {
    texts.iter().collect()
}

/// `tcp 21`
fn endpoints(spec: &Spec) -> String {
    let protocols: Vec<String> = spec.protocols.iter().map(ToString::to_string).collect();
    format!("{} {}", protocols.join("/"), ranges(&spec.ports))
}

/// `6660-6669,7000`
fn ranges(ports: &[u16]) -> String {
    let mut runs: Vec<(u16, u16)> = Vec::new();
    for &port in ports {
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(port) => *last = port,
            _ => runs.push((port, port)),
        }
    }
    let texts: Vec<String> = runs
        .into_iter()
        .map(|(first, last)| if first == last { first.to_string() } else { format!("{first}-{last}") })
        .collect();
    texts.join(",")
}

fn describe_json(spec: &Spec, origin: Option<&Origin>) -> Value {
    json!({
        "name": spec.name.as_str(),
        "aliases": lines(&spec.aliases),
        "protocols": spec.protocols.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "ports": spec.ports,
        "classes": spec.classes.iter().map(|class| json!({
            "name": class.name.as_str(), "max": class.max, "timeout": class.timeout,
        })).collect::<Vec<_>>(),
        "summary": spec.summary,
        "reads": lines(&spec.reads),
        "creates": lines(&spec.creates),
        "refuses": lines(&spec.refuses),
        "limits": lines(&spec.limits),
        "nat": spec.nat,
        "ipv6": spec.ipv6,
        "origin": origin.map_or_else(|| "built-in".to_owned(), |origin| origin.path.display().to_string()),
        "sha256": origin.and_then(|origin| origin.module.as_ref()).map(Module::hash),
        "signed": origin.and_then(|origin| origin.signed.as_ref()).map(ToString::to_string),
        "references": lines(&spec.references),
    })
}
