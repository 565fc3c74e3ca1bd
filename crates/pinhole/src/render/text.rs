//! Colours, counts and quotes.

use std::fmt;

/// A style that writes its own beginning when displayed, or nothing where there are no colours.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    style: anstyle::Style,
    colored: bool,
}

impl fmt::Display for Style {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.colored { self.style.render().fmt(f) } else { Ok(()) }
    }
}

impl Style {
    /// What ends the style.
    pub fn end(self) -> impl fmt::Display {
        if self.colored { "\x1b[0m" } else { "" }
    }
}

/// The styles of all text output.
#[derive(Clone, Copy, Debug)]
pub struct Palette {
    /// Whether there are colours at all.
    pub colored: bool,
    /// Names and numbers to look for.
    pub strong: Style,
    /// What is less important.
    pub dim: Style,
    /// Titles.
    pub heading: Style,
    /// What passes.
    pub good: Style,
    /// What is dropped or refused.
    pub bad: Style,
    /// What needs attention.
    pub warn: Style,
    /// Bytes from the wire.
    pub quote: Style,
    /// Related conns.
    pub related: Style,
}

impl Palette {
    /// The palette, or one without colours.
    pub fn new(colored: bool) -> Self {
        use anstyle::{AnsiColor, Style as S};
        let style = |style| Style { style, colored };
        let color = |color: AnsiColor| style(S::new().fg_color(Some(color.into())));
        Self {
            colored,
            strong: style(S::new().bold()),
            dim: style(S::new().dimmed()),
            heading: style(S::new().bold().underline()),
            good: color(AnsiColor::Green),
            bad: style(S::new().bold().fg_color(Some(AnsiColor::Red.into()))),
            warn: color(AnsiColor::Yellow),
            quote: color(AnsiColor::Cyan),
            related: style(S::new().bold().fg_color(Some(AnsiColor::Green.into()))),
        }
    }
}

/// A count with its noun: `1 packet`, `1 234 packets`.
#[derive(Clone, Copy, Debug)]
pub struct Count(pub u64, pub &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(count, noun) = self;
        write!(f, "{} {noun}{}", grouped(*count), if *count == 1 { "" } else { "s" })
    }
}

/// Digits in groups of three.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// `512 B`, `3.4 kB`, `1.2 MB`.
pub fn bytes(count: u64) -> String {
    let mut value = count as f64;
    let mut units = ["kB", "MB", "GB", "TB"].iter();
    let mut unit = "B";
    while value >= 999.95
        && let Some(next) = units.next()
    {
        value /= 1000.0;
        unit = next;
    }
    if unit == "B" { format!("{count} B") } else { format!("{value:.1} {unit}") }
}

/// `1.204 s`, `12 ms`.
pub fn seconds(nanos: u64) -> String {
    match nanos {
        0..1_000_000 => format!("{} µs", nanos / 1_000),
        1_000_000..1_000_000_000 => format!("{} ms", nanos / 1_000_000),
        _ => format!("{:.3} s", nanos as f64 / 1e9),
    }
}

/// Bytes from the wire as text: what does not print is written `\r`, `\n`, `\t` or `\xNN`, a backslash `\\`. Line ends at the very end of a
/// quote are left out.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a>(pub &'a [u8]);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut quoted = self.0;
        while let [rest @ .., b'\r' | b'\n'] = quoted {
            quoted = rest;
        }
        for &byte in quoted {
            match byte {
                b'\\' => f.write_str("\\\\")?,
                b'\r' => f.write_str("\\r")?,
                b'\n' => f.write_str("\\n")?,
                b'\t' => f.write_str("\\t")?,
                b' '..=b'~' => fmt::Write::write_char(f, char::from(byte))?,
                _ => write!(f, "\\x{byte:02x}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_show_every_byte_but_the_line_end() {
        assert_eq!(Text(b"PORT 10,0,0,2,195,101\r\n").to_string(), "PORT 10,0,0,2,195,101");
        assert_eq!(Text(b"\x01DCC\x01 \\ \xff\r\nx").to_string(), "\\x01DCC\\x01 \\\\ \\xff\\r\\nx");
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_000), "1.0 kB");
        assert_eq!(bytes(999_960), "1.0 MB");
        assert_eq!(Count(1, "packet").to_string(), "1 packet");
        assert_eq!(Count(1_234_567, "packet").to_string(), "1 234 567 packets");
        assert_eq!(seconds(1_204_000_000), "1.204 s");
        assert_eq!(seconds(12_999_999), "12 ms");
    }
}
