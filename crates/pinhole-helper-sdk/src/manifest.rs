//! The manifest of a module, written while it is compiled.

use alloc::borrow::Cow;
use pinhole_helper::{Class, Spec, Texts};

/// What a module is, besides what its helper is.
#[derive(Clone, Copy, Debug)]
pub struct Module {
    /// The module's own version.
    pub version: &'static str,
    /// An SPDX expression.
    pub license: &'static str,
    /// What it asks for.
    pub grants: Grants,
}

/// What a module asks for beyond its own conns.
#[derive(Clone, Copy, Debug)]
pub struct Grants {
    /// Announce addresses that are not the sender's.
    pub third_party: bool,
    /// Announce ports below 1024.
    pub privileged_ports: bool,
    /// Expect conns from a prefix, or from anyone.
    pub any_source: bool,
    /// Classes that may lead the peer to a third host.
    pub introduces: &'static [u8],
    /// Helpers that it attaches to what it expects.
    pub attaches: &'static [&'static str],
}

impl Grants {
    /// Nothing.
    pub const NONE: Self = Self {
        third_party: false,
        privileged_ports: false,
        any_source: false,
        introduces: &[],
        attaches: &[],
    };
}

/// The manifest of a conntrack half, as much of it as `N` bytes hold, and its length.
pub const fn conntrack<const N: usize>(spec: &Spec, module: &Module) -> ([u8; N], usize) {
    let mut out = Writer::<N>::new();
    out.head("conntrack", name(&spec.name), text(&spec.summary), module);
    out.raw("protocols = [");
    if let Cow::Borrowed(protocols) = &spec.protocols {
        let mut index = 0;
        while index < protocols.len() {
            out.number(protocols[index].0 as u32);
            out.raw(", ");
            index += 1;
        }
    }
    out.raw("]\nports = [");
    if let Cow::Borrowed(ports) = &spec.ports {
        let mut index = 0;
        while index < ports.len() {
            out.number(ports[index] as u32);
            out.raw(", ");
            index += 1;
        }
    }
    out.raw("]\n");
    out.list("aliases", texts(&spec.aliases));
    if let Cow::Borrowed(classes) = &spec.classes {
        let mut index = 0;
        while index < classes.len() {
            out.class(&classes[index]);
            index += 1;
        }
    }
    out.grants(&module.grants);
    out.raw("[page]\n");
    out.list("reads", texts(&spec.reads));
    out.list("creates", texts(&spec.creates));
    out.list("refuses", texts(&spec.refuses));
    out.list("limits", texts(&spec.limits));
    out.list("references", texts(&spec.references));
    out.string("nat", text(&spec.nat));
    out.string("ipv6", text(&spec.ipv6));
    (out.bytes, out.length)
}

/// The manifest of a NAT half, as much of it as `N` bytes hold, and its length.
pub const fn nat<const N: usize>(name: &str, summary: &str, module: &Module) -> ([u8; N], usize) {
    let mut out = Writer::<N>::new();
    out.head("nat", name.as_bytes(), summary, module);
    out.raw("depends = \"conntrack_");
    out.bytes(name.as_bytes());
    out.raw("\"\n");
    (out.bytes, out.length)
}

#[allow(clippy::ptr_arg, reason = "only a `Cow` can be told to be borrowed")]
const fn text(text: &Cow<'static, str>) -> &'static str {
    match text {
        Cow::Borrowed(text) => text,
        // A `const` owns no memory.
        Cow::Owned(_) => "",
    }
}

const fn texts(texts: &Texts) -> &'static [&'static str] {
    match texts {
        Texts::Built(texts) => texts,
        Texts::Loaded(_) => &[],
    }
}

const fn name(name: &pinhole_helper::Name) -> &[u8] {
    name.as_bytes()
}

/// Counts what it writes, and keeps as much as fits.
struct Writer<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Writer<N> {
    const fn new() -> Self {
        Self { bytes: [0; N], length: 0 }
    }

    const fn byte(&mut self, byte: u8) {
        if self.length < N {
            self.bytes[self.length] = byte;
        }
        self.length += 1;
    }

    const fn bytes(&mut self, bytes: &[u8]) {
        let mut index = 0;
        while index < bytes.len() {
            self.byte(bytes[index]);
            index += 1;
        }
    }

    const fn raw(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    const fn number(&mut self, number: u32) {
        if number >= 10 {
            self.number(number / 10);
        }
        self.byte(b'0' + (number % 10) as u8);
    }

    /// A basic string of TOML.
    const fn quoted(&mut self, text: &[u8]) {
        self.byte(b'"');
        let mut index = 0;
        while index < text.len() {
            match text[index] {
                b'\n' => self.raw("\\n"),
                byte => {
                    if byte == b'"' || byte == b'\\' {
                        self.byte(b'\\');
                    }
                    self.byte(byte);
                }
            }
            index += 1;
        }
        self.byte(b'"');
    }

    const fn string(&mut self, key: &str, text: &str) {
        self.raw(key);
        self.raw(" = ");
        self.quoted(text.as_bytes());
        self.raw("\n");
    }

    const fn list(&mut self, key: &str, items: &[&str]) {
        self.raw(key);
        self.raw(" = [");
        let mut index = 0;
        while index < items.len() {
            self.quoted(items[index].as_bytes());
            self.raw(", ");
            index += 1;
        }
        self.raw("]\n");
    }

    const fn flag(&mut self, key: &str, set: bool) {
        self.raw(key);
        self.raw(if set { " = true\n" } else { " = false\n" });
    }

    const fn head(&mut self, half: &str, name: &[u8], summary: &str, module: &Module) {
        self.raw("contract = ");
        self.number(pinhole_abi::VERSION);
        self.raw("\n");
        self.string("half", half);
        self.raw("name = ");
        self.quoted(name);
        self.raw("\n");
        self.string("version", module.version);
        self.string("license", module.license);
        self.string("summary", summary);
    }

    const fn class(&mut self, class: &Class) {
        self.raw("[[classes]]\nname = ");
        self.quoted(name(&class.name));
        self.raw("\nmax = ");
        self.number(class.max as u32);
        self.raw("\ntimeout = ");
        self.number(class.timeout);
        self.raw("\n");
    }

    const fn grants(&mut self, grants: &Grants) {
        self.raw("[grants]\n");
        self.flag("third-party", grants.third_party);
        self.flag("privileged-ports", grants.privileged_ports);
        self.flag("any-source", grants.any_source);
        self.raw("introduces = [");
        let mut index = 0;
        while index < grants.introduces.len() {
            self.number(grants.introduces[index] as u32);
            self.raw(", ");
            index += 1;
        }
        self.raw("]\n");
        self.list("attaches", grants.attaches);
    }
}
