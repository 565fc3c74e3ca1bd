//! The divergences that docs/divergences.md names.
//!
//! The document is for people. Where a divergence shows in a comparison, a comment beside its text tells how to recognise it:
//!
//! ```text
//! <!-- divergence: ID KEY=WORD|WORD… KEY=… -->
//! ```
//!
//! Later differences in the same conn bear the same name. Every KEY must hold for the frame: `kernel` and `pinhole` (state), `kernel-direction`, `pinhole-direction`, `kernel-verdict`,
//! `pinhole-verdict`, `reason` (the short name that pinhole gives), `protocol` (a number, or a name as conntrack prints it, or `other`), `port` (of
//! either end), `first-header` (IPv6: the number of what follows the fixed header), `cast` (what the addresses are to a router: `unicast`,
//! `multicast`, `martian`), `length` (UDP: `surplus` where the datagram goes on after the UDP length),
//! `options` (IPv4: `present` where the header has any).

use crate::Fault;
use std::fs;
use std::path::Path;

const KEYS: [&str; 13] = [
    "kernel",
    "pinhole",
    "kernel-direction",
    "pinhole-direction",
    "kernel-verdict",
    "pinhole-verdict",
    "reason",
    "protocol",
    "port",
    "cast",
    "first-header",
    "length",
    "options",
];

/// A frame that the two judges see differently, as keys and words. A key may stand more than once.
pub(crate) type Facts = Vec<(&'static str, String)>;

/// All named divergences.
pub(crate) struct Divergences(Vec<Divergence>);

struct Divergence {
    id: String,
    patterns: Vec<(String, Vec<String>)>,
}

impl Divergences {
    pub(crate) fn read(document: &Path) -> Result<Self, Fault> {
        let text =
            fs::read_to_string(document).map_err(|error| format!("{}: {error}", document.display()))?;
        Self::parse(&text).map_err(|error| format!("{}: {error}", document.display()).into())
    }

    fn parse(document: &str) -> Result<Self, String> {
        let mut divergences: Vec<Divergence> = Vec::new();
        for comment in document.split("<!-- divergence:").skip(1) {
            let text = comment.split_once("-->").ok_or("a `<!-- divergence:` without its `-->`")?.0;
            let mut words = text.split_whitespace();
            let id = words.next().ok_or("a divergence without an id")?.to_owned();
            let patterns = words.map(|word| pattern(&id, word)).collect::<Result<Vec<_>, _>>()?;
            if patterns.is_empty() {
                return Err(format!("divergence {id} says nothing about the frame"));
            }
            divergences.push(Divergence { id, patterns });
        }
        Ok(Self(divergences))
    }

    /// The first divergence that a frame is.
    pub(crate) fn name(&self, facts: &Facts) -> Option<&str> {
        self.0.iter().find(|divergence| divergence.holds(facts)).map(|divergence| divergence.id.as_str())
    }
}

fn pattern(id: &str, word: &str) -> Result<(String, Vec<String>), String> {
    let (key, words) =
        word.split_once('=').ok_or_else(|| format!("divergence {id}: `{word}` is not KEY=WORD"))?;
    if !KEYS.contains(&key) {
        return Err(format!("divergence {id}: `{key}` is none of {}", KEYS.join(", ")));
    }
    Ok((key.to_owned(), words.split('|').map(str::to_owned).collect()))
}

impl Divergence {
    fn holds(&self, facts: &Facts) -> bool {
        self.patterns
            .iter()
            .all(|(key, words)| facts.iter().any(|(k, word)| k == key && words.contains(word)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        vec![("kernel", "new".to_owned()), ("port", "20".to_owned()), ("port", "50000".to_owned())]
    }

    #[test]
    fn every_key_must_hold() {
        let document = "text <!-- divergence: a kernel=new|related port=21 --> and <!-- divergence: b kernel=new port=50000 -->";
        let divergences = Divergences::parse(document).unwrap();
        assert_eq!(divergences.name(&facts()), Some("b"));
        assert_eq!(divergences.name(&vec![("kernel", "new".to_owned())]), None);
    }

    #[test]
    fn mistakes_are_told() {
        let error = |document| Divergences::parse(document).err().unwrap();
        assert!(error("<!-- divergence: a kernell=new -->").contains("`kernell` is none of"));
        assert!(error("<!-- divergence: a new -->").contains("is not KEY=WORD"));
        assert!(error("<!-- divergence: a -->").contains("says nothing"));
        assert!(error("<!-- divergence: a kernel=new").contains("without its"));
    }
}
