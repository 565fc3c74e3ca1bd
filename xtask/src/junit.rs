//! What a report of tests (nextest's JUnit file, or the output of `cargo test -- --show-output`) says about them.

/// Marks the line by which a test says that it, or a part of it, did not run.
const MARK: &str = "SKIPPED";

/// How many tests a JUnit file counts.
pub(crate) fn count(report: &str) -> usize {
    let attribute = report.split_once("<testsuites ").and_then(|(_, rest)| rest.split_once(" tests=\""));
    let number = attribute.and_then(|(_, rest)| rest.split_once('"'));
    number.and_then(|(number, _)| number.parse().ok()).unwrap_or(0)
}

/// The reasons that tests gave for skipping, each once, in the order of their first mention.
pub(crate) fn skips(report: &str) -> Vec<String> {
    let mut reasons = Vec::new();
    for line in report.lines() {
        let Some((_, reason)) = line.split_once(MARK) else { continue };
        let reason = reason.split("</").next().unwrap_or(reason);
        let reason = unescape(reason.trim_start_matches([':', ' ']).trim_end());
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    reasons
}

fn unescape(text: &str) -> String {
    let quotes =
        text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'");
    quotes.replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="pinhole" tests="213" failures="0" errors="0">
  <testsuite name="a" tests="2">
    <system-err>SKIPPED: no ../shared &amp; no root</system-err>
    <system-err>SKIPPED: no ../shared &amp; no root
SKIPPED nft is &lt;old&gt;</system-err>"#;

    #[test]
    fn tests_are_counted_once() {
        assert_eq!(count(REPORT), 213);
        assert_eq!(count("<testsuite tests=\"3\">"), 0);
    }

    #[test]
    fn each_reason_is_told_once() {
        assert_eq!(skips(REPORT), ["no ../shared & no root", "nft is <old>"]);
    }
}
