//! `pinhole demo`: what a helper is good for, on captures and rulesets that are part of the program.

use super::{Failure, Terminal};
use crate::arguments::Clock;
use crate::exit;
use crate::render::words::{expected, tuple};
use crate::render::{Count, Palette, Text, bytes};
use crate::replay::record::{Dropped, Expectation};
use crate::replay::{End, Keep, Replay, Report};
use pinhole_engine::{ChecksumPolicy, Engine, Settings};
use pinhole_io::capture::{CaptureReader, Merge};
use std::io::{self, Cursor, Write};

/// One scene of the demo.
struct Scene {
    title: &'static str,
    file: &'static str,
    capture: &'static [u8],
}

const SCENES: [Scene; 3] = [
    Scene {
        title: "FTP, active: the server opens the data connection",
        file: "ftp-active.pcap",
        capture: include_bytes!("../../demo/ftp-active.pcap"),
    },
    Scene {
        title: "FTP, passive: the client opens it, to a port that the server names",
        file: "ftp-passive.pcap",
        capture: include_bytes!("../../demo/ftp-passive.pcap"),
    },
    Scene {
        title: "IRC: two users exchange a file and chat, past their server (DCC)",
        file: "irc-dcc.pcap",
        capture: include_bytes!("../../demo/irc-dcc.pcap"),
    },
];

const WITHOUT: (&str, &str) = ("without-helper.nft", include_str!("../../demo/without-helper.nft"));
const WITH: (&str, &str) = ("with-helper.nft", include_str!("../../demo/with-helper.nft"));

/// Plays all scenes.
///
/// # Errors
/// Writing failed.
pub fn run(terminal: &mut Terminal) -> Result<u8, Failure> {
    let p = terminal.palette;
    let out = &mut terminal.out;
    let (strong, end) = (p.strong, p.strong.end());
    writeln!(
        out,
        "Three recorded transfers through a firewall that drops what no rule accepts. Its rules, {strong}without{end} helper:\n"
    )?;
    rules(out, &p, WITHOUT.1)?;
    writeln!(
        out,
        "\nand {strong}with{end} one for each protocol, which reads the control connection and expects what it announces:\n"
    )?;
    rules(out, &p, WITH.1)?;
    for (number, scene) in (1..).zip(&SCENES) {
        writeln!(out, "\n{}{number} · {}{}", p.heading, scene.title, p.heading.end())?;
        without(out, &p, &replay(scene, WITHOUT)?)?;
        with(out, &p, &replay(scene, WITH)?)?;
    }
    writeln!(
        out,
        "\nNow your own: {strong}pinhole replay capture.pcap --rules firewall.nft{end}  (--explain, --events, --diagram picture.svg)\n\
         Without a ruleset: {strong}pinhole replay capture.pcap --helpers ftp --helpers irc{end}"
    )?;
    out.flush()?;
    Ok(exit::OK)
}

/// The lines of a ruleset that decide.
fn rules(out: &mut dyn Write, p: &Palette, text: &str) -> io::Result<()> {
    for line in text.lines().map(str::trim).filter(|line| line.starts_with("ct state")) {
        writeln!(out, "    {}{line}{}", p.quote, p.quote.end())?;
    }
    Ok(())
}

fn replay(scene: &Scene, (name, text): (&str, &str)) -> Result<Report, Failure> {
    let ruleset = pinhole_ruleset::compile_text(name, text).map_err(Failure::Ruleset)?;
    let settings = Settings { checksums: ChecksumPolicy::Ignore, ..Settings::default() };
    let engine = Engine::new(settings, pinhole_helpers::registry(), Some(ruleset)).map_err(Failure::Setup)?;
    let reader = CaptureReader::new(scene.file, Cursor::new(scene.capture))?;
    Ok(Replay::new(Merge::new(vec![reader]), engine, Clock::Capture, Keep::All).run(&mut [], |_| ())?)
}

fn without(out: &mut dyn Write, p: &Palette, report: &Report) -> io::Result<()> {
    // What opens a data connection; the packets after it, recorded where it did pass, are dropped like it.
    let opening =
        |d: &&Dropped| d.key.state.is_some_and(|s| s == pinhole_track::State::New) && !is_answer(report, d);
    let total: u64 = report.drops.iter().map(|d| d.packets).sum();
    for dropped in report.drops.iter().filter(opening) {
        let Some(ends) = dropped.key.ends else { continue };
        let rule = dropped.key.rule.and_then(|rule| report.rule(rule));
        writeln!(
            out,
            "  without  {}✗{} {}: {} {} > {} is {}NEW, dropped{} by {}{}{}",
            p.bad,
            p.bad.end(),
            report.frame(dropped.first),
            ends.protocol,
            End(ends.source, dropped.source_port),
            End(ends.destination, ends.destination_port),
            p.bad,
            p.bad.end(),
            p.dim,
            rule.map_or("", |line| line.location.as_str()),
            p.dim.end(),
        )?;
    }
    writeln!(out, "           {} dropped, no data arrived", Count(total, "packet"))
}

/// Whether a dropped packet goes the other way of one that was dropped before.
fn is_answer(report: &Report, dropped: &Dropped) -> bool {
    report.drops.iter().take_while(|d| d.first < dropped.first).any(|d| {
        match (d.key.ends, dropped.key.ends) {
            (Some(one), Some(other)) => {
                (one.source, one.destination) == (other.destination, other.source)
                    && d.source_port == other.destination_port
            }
            _ => false,
        }
    })
}

fn with(out: &mut dyn Write, p: &Palette, report: &Report) -> io::Result<()> {
    for e in &report.expectations {
        writeln!(
            out,
            "  with     {}: {}\"{}\"{} expects {}{}",
            report.frame(e.quote.place),
            p.quote,
            Text(&e.quote.bytes),
            p.quote.end(),
            expected(e),
            armed(report, e),
        )?;
        for (place, number) in &e.fulfilled {
            let Some(conn) = report.conns.get(number) else { continue };
            writeln!(
                out,
                "           {}✓{} {}: {} is {}RELATED, accepted{}: {}, {}",
                p.good,
                p.good.end(),
                report.frame(*place),
                tuple(&conn.original),
                p.related,
                p.related.end(),
                Count(conn.packets(), "packet"),
                bytes(conn.bytes()),
            )?;
        }
    }
    for refused in &report.refusals {
        writeln!(
            out,
            "  with     {}: {}\"{}\"{} refused: {}",
            report.frame(refused.quote.place),
            p.quote,
            Text(&refused.quote.bytes),
            p.quote.end(),
            refused.reason
        )?;
    }
    Ok(())
}

fn armed(report: &Report, e: &Expectation) -> String {
    match e.active {
        Some(place) if place != e.quote.place => format!(" once {} agrees", report.frame(place)),
        _ => String::new(),
    }
}
