//! Names of modules: `conntrack_NAME` and `nat_NAME`, the kernel's spellings of them, and globs.

use crate::load::Origin;
use pinhole_modules::Half;

/// A half of a helper by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Wanted {
    pub(super) is_nat: bool,
    pub(super) helper: String,
}

impl Wanted {
    /// The half of a helper that has this name of its own.
    pub(super) fn half(is_nat: bool, helper: &str) -> Self {
        Self { is_nat, helper: helper.replace('-', "_").to_lowercase() }
    }

    /// Understands a name; the helper's part of it may be a glob.
    pub(super) fn parse(name: &str) -> Self {
        let name = name.replace('-', "_");
        let without = |prefixes: [&str; 3]| prefixes.iter().find_map(|prefix| name.strip_prefix(prefix));
        let nat = without(["nat_", "ip_nat_", "nf_nat_"]);
        let conntrack = without(["conntrack_", "ip_conntrack_", "nf_conntrack_"]);
        Self { is_nat: nat.is_some(), helper: nat.or(conntrack).unwrap_or(&name).to_owned() }
    }

    pub(super) fn of(origin: &Origin) -> Self {
        let is_nat = origin.module.as_ref().is_some_and(|module| module.manifest().half == Half::Nat);
        Self { is_nat, helper: origin.helper.replace('-', "_") }
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        self.is_nat == other.is_nat && matches(&self.helper, &other.helper)
    }

    pub(super) fn name(&self) -> String {
        format!("{}{}", if self.is_nat { Half::Nat.prefix() } else { Half::Conntrack.prefix() }, self.helper)
    }
}

/// Whether a text is what a glob stands for: `*` any bytes, `?` one.
fn matches(glob: &str, text: &str) -> bool {
    let (glob, text) = (glob.as_bytes(), text.as_bytes());
    let (mut g, mut t) = (0, 0);
    // Where the latest star is, and where it ends for now.
    let mut star = None;
    while let Some(&byte) = text.get(t) {
        match glob.get(g) {
            Some(b'*') => {
                star = Some((g, t));
                g += 1;
            }
            Some(&wanted) if wanted == b'?' || wanted == byte => (g, t) = (g + 1, t + 1),
            _ => {
                let Some((at, end)) = star else { return false };
                star = Some((at, end + 1));
                (g, t) = (at + 1, end + 1);
            }
        }
    }
    glob.get(g..).unwrap_or_default().iter().all(|&byte| byte == b'*')
}

/// The built-in halves that a name stands for.
pub(super) fn built_in(wanted: &Wanted) -> Vec<Wanted> {
    let name = |helper: &str| Wanted::half(wanted.is_nat, helper);
    let mut found: Vec<Wanted> = if wanted.is_nat {
        pinhole_helpers::nat_helpers().iter().map(|half| name(half.name())).collect()
    } else {
        pinhole_helpers::registry().iter().map(|helper| name(&helper.spec().name)).collect()
    };
    found.retain(|built_in| wanted.is(built_in));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_kernel() {
        for (name, is_nat, helper) in [
            ("conntrack_ftp", false, "ftp"),
            ("ip_conntrack_ftp", false, "ftp"),
            ("nf-conntrack-ftp", false, "ftp"),
            ("ftp", false, "ftp"),
            ("nat_ftp", true, "ftp"),
            ("ip_nat_ftp", true, "ftp"),
            ("nf_nat_netbios-ns", true, "netbios_ns"),
            ("conntrack_*", false, "*"),
        ] {
            assert_eq!(Wanted::parse(name), Wanted { is_nat, helper: helper.to_owned() });
        }
    }

    #[test]
    fn globs() {
        for (glob, text, is_match) in [
            ("*", "ftp", true),
            ("*", "", true),
            ("f?p", "ftp", true),
            ("f?p", "fp", false),
            ("*p", "ftpp", true),
            ("f*t*", "fxt", true),
            ("f*t", "fxtx", false),
            ("", "x", false),
            ("ftp", "ftp", true),
        ] {
            assert_eq!(matches(glob, text), is_match, "{glob} {text}");
        }
    }
}
