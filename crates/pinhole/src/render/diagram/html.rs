//! A page around the picture, with its text as a list for those who cannot see it.

use super::svg::{self, escape};
use super::{Picture, Row};
use std::fmt::Write;

/// The picture as a page without any outside resource.
pub fn render(picture: &Picture) -> String {
    let mut page = String::new();
    // Writing to memory cannot fail.
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{}</title>\n<style>\n  :root {{ color-scheme: light dark; }}\n  body {{ margin: 1rem auto; max-width: 75rem; font: 15px/1.5 system-ui, sans-serif; }}\n\
         \x20 svg {{ max-width: 100%; height: auto; }}\n  code {{ font: 13px ui-monospace, monospace; }}\n</style>\n{}<details>\n<summary>As text</summary>\n<ol>\n",
        escape(&picture.title),
        svg::render(picture)
    );
    for row in &picture.rows {
        let _ = match row {
            Row::Arrow(arrow) => {
                let name = |lane: usize| picture.lanes.get(lane).map_or("", |lane| lane.role);
                writeln!(
                    page,
                    "<li>frame {}: {} → {}: <code>{}</code> is {}{}</li>",
                    arrow.frame,
                    name(arrow.from),
                    name(arrow.to),
                    escape(&arrow.label),
                    arrow.state.to_uppercase(),
                    if arrow.passes { "" } else { " and dropped" }
                )
            }
            Row::Note { lines, .. } => writeln!(page, "<li>{}</li>", escape(&lines.join(" · "))),
            Row::Gap(text) => writeln!(page, "<li>… {}</li>", escape(text)),
        };
    }
    page.push_str("</ol>\n</details>\n</html>\n");
    page
}
