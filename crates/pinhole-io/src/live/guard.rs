//! Keeps the host's own stack away from the interfaces that a gateway owns.
//!
//! A packet socket only gets a copy of each frame: the host would also answer it, and might forward it. The guard is a netfilter table of the
//! `netdev` family, hooked in where frames come in (after packet sockets have seen them) and go out (where the ports' own frames are known by
//! their mark).
//!
//! Life cycle: put up before the first frame is handled, taken down by [`Guard::remove`]. If the process dies without doing so the guard stays
//! and the interfaces are closed (fail closed); the next start replaces it. `nft delete table netdev NAME` opens them by hand.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::{Command, Stdio};

/// Mark of the frames that ports send: `pinh`.
pub(super) const MARK: u32 = 0x7069_6e68;

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
        // Two gateways on one host guard different interfaces.
        let name = interfaces.join("_").replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        let table = format!("pinhole_{name}");
        let mut script =
            format!("table netdev {table}\ndelete table netdev {table}\ntable netdev {table} {{\n");
        for (number, interface) in interfaces.iter().enumerate() {
            for (hook, exception) in
                [("ingress", String::new()), ("egress", format!("meta mark {MARK:#x} accept; "))]
            {
                let _ = writeln!(
                    script,
                    " chain {hook}{number} {{ type filter hook {hook} device \"{interface}\" priority -500; policy drop; {exception}}}"
                );
            }
        }
        script.push_str("}\n");
        run_nft(&script)?;
        Ok(Self { table })
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
