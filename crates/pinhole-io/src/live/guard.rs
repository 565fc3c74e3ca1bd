//! Keeps the host's own stack away from the interfaces that a gateway owns.
//!
//! A packet socket only gets a copy of each frame: the host would also answer it, and might forward it. The guard is a netfilter table of the
//! `netdev` family, hooked in where frames come in (after packet sockets have seen them) and go out (where the ports' own frames are known by
//! their mark).
//!
//! Life cycle: put up before the first frame is handled, taken down by [`Guard::remove`]. If the process dies without doing so the guard stays
//! and the interfaces are closed (fail closed); the next start replaces it. `nft delete table netdev NAME` opens them by hand.

use super::host::Pair;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::{Command, Stdio};

/// Mark of the frames that ports send: `pinh`.
pub(super) const MARK: u32 = 0x7069_6e68;

/// ARP, and neighbour discovery that was sent on this link (RFC 4861 §7.1).
const RESOLUTION: &str =
    "ether type arp accept; ip6 hoplimit 255 icmpv6 type { 133, 134, 135, 136, 137 } accept;";

/// What no router may forward: the limited broadcast and the groups of a link (RFC 1122 §3.2.1.3, RFC 5771 §4, RFC 4291 §2.7), link-local addresses
/// (RFC 4291 §2.5.6).
const LINK_SCOPE: &str = "ip daddr { 224.0.0.0/24, 255.255.255.255 } accept; ip6 daddr { fe80::/10, ff01::/16, ff02::/16 } accept;";

/// A guard that is up.
#[derive(Debug)]
pub struct Guard {
    table: String,
}

impl Guard {
    /// Puts up a guard that keeps every frame of these interfaces from the host, and every frame of the host from them.
    ///
    /// # Errors
    /// `nft` is missing or refuses: it says why.
    pub fn isolate(interfaces: &[&str]) -> io::Result<Self> {
        let mut script = Script::new(interfaces);
        for interface in interfaces {
            script.chain("ingress", interface, "");
            script.chain("egress", interface, &format!("meta mark {MARK:#x} accept;"));
        }
        script.load()
    }

    /// Puts up a guard for a router: of these interfaces, each with its [`Pair`], the host gets ARP and neighbour discovery, and what it sends comes
    /// out of the pair's far end; with `link_scope` it also gets what is sent on the link only.
    ///
    /// # Errors
    /// `nft` is missing or refuses: it says why.
    pub fn share(interfaces: &[(&str, &Pair)], link_scope: bool) -> io::Result<Self> {
        let names: Vec<&str> = interfaces.iter().map(|(interface, _)| *interface).collect();
        let link_scope = if link_scope { LINK_SCOPE } else { "" };
        let mut script = Script::new(&names);
        for (interface, pair) in interfaces {
            script.chain("ingress", interface, &format!("{RESOLUTION} {link_scope}"));
            let aside = format!("meta protocol {{ ip, ip6 }} fwd to \"{}\";", pair.host);
            script.chain("egress", interface, &format!("meta mark {MARK:#x} accept; {RESOLUTION} {aside}"));
            script.chain("ingress", &pair.router, "");
        }
        script.load()
    }

    /// Takes the guard down.
    ///
    /// # Errors
    /// What `nft` says.
    pub fn remove(&self) -> io::Result<()> {
        run_nft(&format!("delete table netdev {}\n", self.table))
    }

    /// The table's name, for messages.
    pub fn table(&self) -> &str {
        &self.table
    }
}

/// A table under construction.
struct Script {
    table: String,
    text: String,
    chains: usize,
}

impl Script {
    fn new(interfaces: &[&str]) -> Self {
        // Two gateways on one host guard different interfaces.
        let name = interfaces.join("_").replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        let table = format!("pinhole_{name}");
        let text = format!("table netdev {table}\ndelete table netdev {table}\ntable netdev {table} {{\n");
        Self { table, text, chains: 0 }
    }

    /// Drops all frames at a hook of an interface, but for exceptions.
    fn chain(&mut self, hook: &str, interface: &str, exceptions: &str) {
        self.chains += 1;
        let number = self.chains;
        let _ = writeln!(
            self.text,
            " chain {hook}{number} {{ type filter hook {hook} device \"{interface}\" priority -500; policy drop; {exceptions} }}"
        );
    }

    fn load(mut self) -> io::Result<Guard> {
        self.text.push_str("}\n");
        run_nft(&self.text)?;
        Ok(Guard { table: self.table })
    }
}

fn run_nft(script: &str) -> io::Result<()> {
    let mut child = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| io::Error::new(error.kind(), format!("cannot run nft: {error}")))?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(script.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("nft: {}", said.lines().next().unwrap_or("failed without a word"))))
}
