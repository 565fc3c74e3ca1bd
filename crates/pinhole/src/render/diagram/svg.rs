//! The shape of a picture: SVG, for light and dark pages.

use super::{Arrow, Picture, Row, Tone};
use std::collections::HashMap;
use std::fmt::Write;

const LANE_GAP: u32 = 330;
const LEFT: u32 = 150;
const RIGHT: u32 = 120;
const TOP: u32 = 150;
const ARROW_HEIGHT: u32 = 40;
const GAP_HEIGHT: u32 = 34;
const NOTE_LINE: u32 = 17;
const NOTE_WIDTH: u32 = 310;
/// Width of a character of a 12-pixel monospaced font, in tenths of a pixel.
const CHARACTER: u32 = 73;

/// What does not depend on the page being light or dark.
const SHAPE: &str = "
  text { font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
  .title { font: 600 17px system-ui, sans-serif; }
  .subtitle, .role { font: 13px system-ui, sans-serif; }
  .lane { font: 600 13px system-ui, sans-serif; }
  .frame, .gap { font-size: 11px; }
  .life { stroke-width: 1.5; }
  .arrow { stroke-width: 1.6; fill: none; }
  .badge rect, .note rect { stroke-width: 1.2; }
  .badge text { font: 600 11px system-ui, sans-serif; text-anchor: middle; }
  .note text { text-anchor: middle; }
  .note .head { font: 600 12px system-ui, sans-serif; }
  .link { stroke-width: 4; opacity: .45; }
";

/// Colours of one kind of page.
struct Theme {
    ink: &'static str,
    soft: &'static str,
    faint: &'static str,
    paper: &'static str,
    note: &'static str,
    /// In the order of [`TONES`].
    tones: [&'static str; 5],
}

const TONES: [Tone; 5] = [Tone::New, Tone::Established, Tone::Related, Tone::Bad, Tone::Quiet];

const LIGHT: Theme = Theme {
    ink: "#1f2328",
    soft: "#656d76",
    faint: "#d0d7de",
    paper: "#ffffff",
    note: "#f6f8fa",
    tones: ["#9a6700", "#0969da", "#1a7f37", "#cf222e", "#656d76"],
};

const DARK: Theme = Theme {
    ink: "#e6edf3",
    soft: "#8d96a0",
    faint: "#3d444d",
    paper: "#0d1117",
    note: "#161b22",
    tones: ["#d29922", "#4493f8", "#3fb950", "#f85149", "#8d96a0"],
};

impl Theme {
    fn rules(&self) -> String {
        let Self { ink, soft, faint, paper, note, tones } = self;
        let mut rules = format!(
            "  text {{ fill: {ink}; }}\n  .subtitle, .role, .frame, .gap {{ fill: {soft}; }}\n  .life {{ stroke: {faint}; }}\n\
             \x20 .paper, .badge rect {{ fill: {paper}; }}\n  .note rect {{ fill: {note}; }}\n"
        );
        for (tone, color) in TONES.into_iter().zip(tones) {
            let class = class(tone);
            let _ = writeln!(
                rules,
                "  .{class} .arrow, .{class} .badge rect, .{class} rect, .{class} .tip {{ stroke: {color}; }}\n\
                 \x20 .{class} .tip, .{class} .badge text, .{class} .head {{ fill: {color}; }}"
            );
            if tone == Tone::Related {
                let _ = writeln!(rules, "  .link {{ stroke: {color}; }}");
            }
        }
        rules
    }
}

fn style() -> String {
    let (light, dark) = (LIGHT.rules(), DARK.rules());
    format!("{SHAPE}{light}  @media (prefers-color-scheme: dark) {{\n{dark}  }}\n")
}

/// The picture as a document of its own. The same picture gives the same bytes.
pub fn render(picture: &Picture) -> String {
    let lanes = u32::try_from(picture.lanes.len()).unwrap_or(u32::MAX).min(32);
    let width = LEFT + LANE_GAP * lanes.saturating_sub(1) + RIGHT;
    let height = TOP + picture.rows.iter().map(row_height).sum::<u32>() + 30;
    let mut svg = String::new();
    let s = &mut svg;
    // Writing to memory cannot fail, here and below.
    let _ = write!(
        s,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\">\n\
         <title>{title}</title>\n<style>{style}</style>\n<rect class=\"paper\" width=\"{width}\" height=\"{height}\"/>\n\
         <text class=\"title\" x=\"24\" y=\"34\">{title}</text>\n<text class=\"subtitle\" x=\"24\" y=\"56\">{}</text>\n",
        escape(&picture.subtitle),
        title = escape(&picture.title),
        style = style(),
    );
    for (index, lane) in picture.lanes.iter().enumerate() {
        let x = lane_x(index);
        let _ = write!(
            s,
            "<text class=\"lane\" x=\"{x}\" y=\"96\" text-anchor=\"middle\">{}</text>\n\
             <text class=\"role\" x=\"{x}\" y=\"113\" text-anchor=\"middle\">{}</text>\n\
             <line class=\"life\" x1=\"{x}\" y1=\"124\" x2=\"{x}\" y2=\"{}\"/>\n",
            lane.role,
            escape(&lane.address),
            height - 16
        );
    }
    links(s, picture);
    let mut y = TOP;
    for row in &picture.rows {
        match row {
            Row::Arrow(shown) => arrow(s, shown, y),
            Row::Note { lines, tone, .. } => note(s, lines, *tone, y),
            Row::Gap(text) => {
                let x = lane_x(1);
                let middle = y + GAP_HEIGHT / 2;
                let half = (text_width(text) / 2 + 8).min(LANE_GAP);
                let _ = writeln!(
                    s,
                    "<rect class=\"paper\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"20\"/>\
                     <text class=\"gap\" x=\"{x}\" y=\"{}\" text-anchor=\"middle\">⋯ {}</text>",
                    x - half,
                    middle - 10,
                    half * 2,
                    middle + 4,
                    escape(text)
                );
            }
        }
        y += row_height(row);
    }
    svg.push_str("</svg>\n");
    svg
}

/// A thick line from the latest note of each expectation to the packet that fulfils it.
fn links(s: &mut String, picture: &Picture) {
    let x = lane_x(1);
    let mut y = TOP;
    let mut notes: HashMap<usize, u32> = HashMap::new();
    for row in &picture.rows {
        match row {
            Row::Note { index, .. } => {
                notes.insert(*index, y + row_height(row) / 2);
            }
            Row::Arrow(Arrow { fulfils: Some(index), .. }) => {
                if let Some(start) = notes.get(index) {
                    let end = y + ARROW_HEIGHT - 8;
                    let _ = writeln!(
                        s,
                        "<line class=\"link\" x1=\"{x}\" y1=\"{start}\" x2=\"{x}\" y2=\"{end}\"/>"
                    );
                }
            }
            _ => {}
        }
        y += row_height(row);
    }
}

fn arrow(s: &mut String, arrow: &Arrow, top: u32) {
    let y = top + ARROW_HEIGHT - 8;
    let (from, to) = (lane_x(arrow.from), lane_x(arrow.to));
    let firewall = lane_x(1);
    let rightwards = to > from;
    let tone = class(arrow.tone);
    let end = if arrow.passes {
        to
    } else if rightwards {
        firewall - 42
    } else {
        firewall + 42
    };
    let (tip, wing) = if rightwards { (end, end.saturating_sub(9)) } else { (end, end + 9) };
    let _ = write!(s, "<g class=\"{tone}\">");
    let _ = write!(s, "<path class=\"arrow\" d=\"M{from} {y}H{wing}\"/>");
    if arrow.passes {
        let _ = write!(s, "<path class=\"tip\" d=\"M{tip} {y}L{wing} {}V{}Z\"/>", y - 4, y + 4);
    } else {
        let _ = write!(s, "<path class=\"arrow\" d=\"M{0} {1}l8 8m0 -8l-8 8\"/>", wing.min(tip), y - 4);
    }
    // The label stands over the sender's half.
    let (start, anchor) = if rightwards { (from + 10, "start") } else { (from.saturating_sub(10), "end") };
    let room = from.abs_diff(firewall).saturating_sub(60) * 10 / CHARACTER;
    let text = cut(&arrow.label, room as usize, arrow.quote);
    let _ =
        write!(s, "<text x=\"{start}\" y=\"{}\" text-anchor=\"{anchor}\">{}</text>", y - 7, escape(&text));
    let badge =
        if arrow.passes { arrow.state.to_uppercase() } else { format!("{} ✕", arrow.state.to_uppercase()) };
    let half = 8 + u32::try_from(badge.chars().count()).unwrap_or(0) * 4;
    let _ = writeln!(
        s,
        "<g class=\"badge\"><rect rx=\"5\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"18\"/><text x=\"{firewall}\" y=\"{}\">{badge}</text></g></g>\
         <text class=\"frame\" x=\"24\" y=\"{}\">frame {}</text>",
        firewall - half,
        y - 9,
        half * 2,
        y + 4,
        y + 4,
        arrow.frame
    );
}

fn note(s: &mut String, lines: &[String], tone: Tone, top: u32) {
    let x = lane_x(1);
    let widest = lines.iter().map(|line| text_width(line) + 24).max().unwrap_or(0).max(NOTE_WIDTH);
    let height = note_height(lines) - 14;
    let _ = write!(
        s,
        "<g class=\"note {}\"><rect rx=\"5\" x=\"{}\" y=\"{}\" width=\"{widest}\" height=\"{height}\"/>",
        class(tone),
        x.saturating_sub(widest / 2),
        top + 8
    );
    let mut y = top + 24;
    for (index, line) in lines.iter().enumerate() {
        let head = if index == 0 { " class=\"head\"" } else { "" };
        let _ = write!(s, "<text{head} x=\"{x}\" y=\"{y}\">{}</text>", escape(line));
        y += NOTE_LINE;
    }
    s.push_str("</g>\n");
}

fn lane_x(index: usize) -> u32 {
    LEFT + LANE_GAP * u32::try_from(index.min(32)).unwrap_or(0)
}

fn row_height(row: &Row) -> u32 {
    match row {
        Row::Arrow(_) => ARROW_HEIGHT,
        Row::Note { lines, .. } => note_height(lines),
        Row::Gap(_) => GAP_HEIGHT,
    }
}

fn note_height(lines: &[String]) -> u32 {
    NOTE_LINE * u32::try_from(lines.len()).unwrap_or(0) + 24
}

fn text_width(text: &str) -> u32 {
    u32::try_from(text.chars().count()).unwrap_or(0) * CHARACTER / 10
}

const fn class(tone: Tone) -> &'static str {
    match tone {
        Tone::New => "new",
        Tone::Established => "established",
        Tone::Related => "related",
        Tone::Bad => "bad",
        Tone::Quiet => "quiet",
    }
}

/// A label of at most `room` characters, in quotation marks if it is one.
fn cut(text: &str, room: usize, quote: bool) -> String {
    let room = room.saturating_sub(if quote { 2 } else { 0 });
    let short: String = if text.chars().count() > room {
        text.chars().take(room.saturating_sub(1)).chain(['…']).collect()
    } else {
        text.to_owned()
    };
    if quote { format!("“{short}”") } else { short }
}

pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}
