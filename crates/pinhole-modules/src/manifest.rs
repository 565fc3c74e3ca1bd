//! What a module says about itself.

use crate::Grants;
use pinhole_abi::VERSION;
use pinhole_helper::{Class, Name, Spec, Texts};
use pinhole_wire::Protocol;
use serde::Deserialize;
use toml::Spanned;

/// Longest manifest.
const LONGEST: usize = 16 << 10;
/// Most classes (NF_CT_MAX_EXPECT_CLASSES).
const CLASSES: usize = 4;

/// Which half of a helper a module is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Half {
    /// It reads control conns.
    Conntrack,
    /// It writes translated endpoints.
    Nat,
}

impl Half {
    /// What the module's name begins with.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Conntrack => "conntrack_",
            Self::Nat => "nat_",
        }
    }
}

/// A manifest that was found to be in order.
#[derive(Debug)]
pub struct Manifest {
    /// Which half it is.
    pub half: Half,
    /// The module's own version.
    pub version: String,
    /// Its licence.
    pub license: String,
    /// The module that it needs (`conntrack_ftp`).
    pub depends: Option<String>,
    /// What it asks for.
    pub grants: Grants,
    /// The helper's description. That of a NAT half has no more than name and summary.
    pub spec: Spec,
}

impl Manifest {
    /// The module's name: `conntrack_ftp`, `nat_ftp`.
    pub fn module(&self) -> String {
        format!("{}{}", self.half.prefix(), self.spec.name)
    }
}

/// What is wrong with a manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("manifest{}: {message}", line.map(|line| format!(", line {line}")).unwrap_or_default())]
pub struct ManifestError {
    /// Where, if it is in one place.
    pub line: Option<usize>,
    /// What.
    pub message: String,
}

#[derive(Deserialize)]
struct Contract {
    contract: Spanned<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct File {
    #[serde(rename = "contract")]
    _contract: u32,
    half: Half,
    name: Spanned<String>,
    version: Spanned<String>,
    license: Spanned<String>,
    summary: Spanned<String>,
    depends: Option<Spanned<String>>,
    protocols: Option<Spanned<Vec<ProtocolName>>>,
    ports: Option<Vec<u16>>,
    aliases: Option<Vec<Spanned<String>>>,
    classes: Option<Spanned<Vec<ClassFile>>>,
    grants: Option<GrantsFile>,
    page: Option<Page>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ProtocolName {
    Number(u8),
    Name(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClassFile {
    name: Spanned<String>,
    max: u8,
    timeout: Spanned<u32>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct GrantsFile {
    third_party: bool,
    privileged_ports: bool,
    any_source: bool,
    introduces: Vec<Spanned<u8>>,
    attaches: Vec<Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Page {
    reads: Vec<Spanned<String>>,
    creates: Vec<Spanned<String>>,
    refuses: Vec<Spanned<String>>,
    limits: Vec<Spanned<String>>,
    references: Vec<Spanned<String>>,
    nat: Option<Spanned<String>>,
    ipv6: Option<Spanned<String>>,
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// It is not as the interface demands.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let whole = |message: &str| ManifestError { line: None, message: message.to_owned() };
        if bytes.len() > LONGEST {
            return Err(whole("it is longer than 16 KiB"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| whole("it is not UTF-8"))?;
        let reader = Reader { text };
        let contract: Contract = reader.parse()?;
        if *contract.contract.get_ref() != VERSION {
            let found = contract.contract.get_ref();
            let message = format!("it is written for contract {found}, this program has contract {VERSION}");
            return Err(reader.error(&contract.contract, message));
        }
        let file: File = reader.parse()?;
        reader.check(file)
    }
}

struct Reader<'a> {
    text: &'a str,
}

impl Reader<'_> {
    fn parse<T: serde::de::DeserializeOwned>(&self) -> Result<T, ManifestError> {
        toml::from_str(self.text).map_err(|error| ManifestError {
            line: error.span().map(|span| self.line(span.start)),
            message: error.message().to_owned(),
        })
    }

    fn check(&self, file: File) -> Result<Manifest, ManifestError> {
        let name = self.helper_name(&file.name)?;
        let page = file.page.unwrap_or_default();
        let grants = file.grants.unwrap_or_default();
        let classes = self.classes(file.classes.as_ref())?;
        if file.half == Half::Nat {
            let beside = file.protocols.is_some() || file.ports.is_some() || file.aliases.is_some();
            if beside || !classes.is_empty() {
                return Err(self.error(&file.name, "a NAT half has no protocols, ports, aliases or classes"));
            }
            if file.depends.as_ref().map(|depends| depends.get_ref().as_str())
                != Some(&*format!("conntrack_{name}"))
            {
                return Err(
                    self.error(&file.name, format!("a NAT half needs depends = \"conntrack_{name}\""))
                );
            }
        } else if let Some(depends) = &file.depends {
            return Err(self.error(depends, "a conntrack half depends on nothing"));
        }
        let introduces = grants.introduces.iter().map(|class| {
            let exists = usize::from(*class.get_ref()) < classes.len();
            exists.then_some(*class.get_ref()).ok_or_else(|| self.error(class, "there is no such class"))
        });
        let introduces = introduces.collect::<Result<_, _>>()?;
        let attaches = grants.attaches.iter().map(|name| self.name(name)).collect::<Result<_, _>>()?;
        let protocols = self.protocols(&file.name, file.half, file.protocols.as_ref())?;
        let aliases = file.aliases.unwrap_or_default();
        for alias in &aliases {
            self.name(alias)?;
        }
        Ok(Manifest {
            half: file.half,
            version: self.line_of_text(file.version)?,
            license: self.line_of_text(file.license)?,
            depends: file.depends.map(Spanned::into_inner),
            grants: Grants {
                third_party: grants.third_party,
                privileged_ports: grants.privileged_ports,
                any_source: grants.any_source,
                introduces,
                attaches,
            },
            spec: Spec {
                name,
                aliases: Texts::Loaded(self.lines(aliases)?),
                protocols: protocols.into(),
                ports: file.ports.unwrap_or_default().into(),
                classes: classes.into(),
                summary: self.line_of_text(file.summary)?.into(),
                reads: Texts::Loaded(self.lines(page.reads)?),
                creates: Texts::Loaded(self.lines(page.creates)?),
                refuses: Texts::Loaded(self.lines(page.refuses)?),
                limits: Texts::Loaded(self.lines(page.limits)?),
                nat: self.optional(page.nat)?.into(),
                ipv6: self.optional(page.ipv6)?.into(),
                references: Texts::Loaded(self.lines(page.references)?),
            },
        })
    }

    /// A name that can be a file's.
    fn helper_name(&self, name: &Spanned<String>) -> Result<Name, ManifestError> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if !name.get_ref().bytes().all(allowed) {
            return Err(self.error(name, "a name consists of a-z, 0-9 and -"));
        }
        self.name(name)
    }

    fn name(&self, name: &Spanned<String>) -> Result<Name, ManifestError> {
        Name::try_from(name.get_ref().as_str()).map_err(|why| self.error(name, why.to_string()))
    }

    fn protocols(
        &self,
        name: &Spanned<String>,
        half: Half,
        protocols: Option<&Spanned<Vec<ProtocolName>>>,
    ) -> Result<Vec<Protocol>, ManifestError> {
        let Some(listed) = protocols.filter(|listed| !listed.get_ref().is_empty()) else {
            return match half {
                Half::Conntrack => {
                    Err(self.error(name, "a conntrack half names the protocols that it reads"))
                }
                Half::Nat => Ok(Vec::new()),
            };
        };
        let number = |protocol: &ProtocolName| match protocol {
            ProtocolName::Number(number) => Ok(Protocol(*number)),
            ProtocolName::Name(text) => (0..=u8::MAX)
                .map(Protocol)
                .find(|protocol| protocol.name() == Some(text))
                .ok_or_else(|| self.error(listed, "a protocol is unknown")),
        };
        listed.get_ref().iter().map(number).collect()
    }

    fn classes(&self, classes: Option<&Spanned<Vec<ClassFile>>>) -> Result<Vec<Class>, ManifestError> {
        let Some(listed) = classes else { return Ok(Vec::new()) };
        if listed.get_ref().len() > CLASSES {
            return Err(self.error(listed, "there are at most 4 classes"));
        }
        let class = |class: &ClassFile| {
            let timeout = *class.timeout.get_ref();
            if timeout == 0 || timeout > crate::limits::LONGEST_TIME {
                return Err(self.error(&class.timeout, "a timeout has 1 to 86400 seconds"));
            }
            Ok(Class { name: self.name(&class.name)?, max: class.max, timeout })
        };
        listed.get_ref().iter().map(class).collect()
    }

    fn lines(&self, texts: Vec<Spanned<String>>) -> Result<Vec<String>, ManifestError> {
        texts.into_iter().map(|text| self.line_of_text(text)).collect()
    }

    fn optional(&self, text: Option<Spanned<String>>) -> Result<String, ManifestError> {
        text.map_or(Ok(String::new()), |text| self.line_of_text(text))
    }

    /// Text that may be shown on a terminal.
    fn line_of_text(&self, text: Spanned<String>) -> Result<String, ManifestError> {
        if text.get_ref().chars().any(char::is_control) {
            return Err(self.error(&text, "a text is one line, without control characters"));
        }
        Ok(text.into_inner())
    }

    fn error<T>(&self, place: &Spanned<T>, message: impl Into<String>) -> ManifestError {
        ManifestError { line: Some(self.line(place.span().start)), message: message.into() }
    }

    fn line(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().get(..offset).unwrap_or_default();
        before.iter().filter(|&&byte| byte == b'\n').count() + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "contract = 1\nhalf = \"conntrack\"\nname = \"x\"\nversion = \"1\"\nlicense = \"MIT\"\n\
                        summary = \"s\"\nprotocols = [\"tcp\", 17]\n[[classes]]\nname = \"data\"\nmax = 8\ntimeout = 300\n";

    #[test]
    fn in_order() {
        let manifest = Manifest::parse(GOOD.as_bytes()).unwrap();
        assert_eq!(manifest.module(), "conntrack_x");
        assert_eq!(*manifest.spec.protocols, [Protocol::TCP, Protocol::UDP]);
        assert_eq!(manifest.grants.asked().count(), 0);
    }

    #[test]
    fn out_of_order() {
        for (from, to, line, message) in [
            ("contract = 1", "contract = 2", Some(1), "contract 2"),
            ("name = \"x\"", "name = \"X\"", Some(3), "a-z"),
            ("name = \"x\"", "name = \"../x\"", Some(3), "a-z"),
            ("name = \"x\"", "name = \"\"", Some(3), "1 to 31"),
            ("\"conntrack\"", "\"nat\"", Some(3), "NAT half"),
            ("\"conntrack\"", "\"other\"", Some(2), "unknown variant"),
            ("summary = \"s\"", "summary = \"\\u001b[31m\"", Some(6), "control"),
            ("summary = \"s\"\n", "", Some(1), "missing field"),
            ("\"tcp\"", "\"tpc\"", Some(7), "protocol"),
            ("protocols = [\"tcp\", 17]\n", "", Some(3), "protocols"),
            ("max = 8", "max = 256", Some(10), "u8"),
            ("timeout = 300", "timeout = 0", Some(11), "86400"),
            ("timeout = 300", "timeout = 300\nmin = 3", Some(12), "unknown field"),
            ("timeout = 300", "timeout = 300\n[grants]\nintroduces = [1]", Some(13), "no such class"),
            ("timeout = 300", "timeout = 300\n[grants]\neverything = true", Some(13), "unknown field"),
        ] {
            let error = Manifest::parse(GOOD.replacen(from, to, 1).as_bytes()).unwrap_err();
            assert!(error.message.contains(message), "{to}: {error}");
            assert_eq!(error.line, line, "{to}: {error}");
        }
        assert!(Manifest::parse(&[b'#'; 20_000]).unwrap_err().message.contains("16 KiB"));
        assert!(Manifest::parse(&[0xff]).unwrap_err().message.contains("UTF-8"));
    }
}
