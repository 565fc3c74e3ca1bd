//! The router that packets are sent through: devices, routes, kernel settings, rules.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::ops::RangeInclusive;
use std::process::{Command, Stdio};

use pinhole_wire::Protocol;

use super::{OracleError, observe};

/// How an oracle's router is set up.
#[derive(Clone, Debug)]
pub struct OracleSettings {
    /// An nft script that is loaded first, as `nft -f` would.
    pub ruleset: Option<String>,
    /// The kernel's helpers to attach by port, beside what the ruleset attaches.
    pub helpers: Vec<HelperAssignment>,
    /// Kernel settings as `sysctl` names them, such as `net.netfilter.nf_conntrack_tcp_loose`.
    pub sysctls: Vec<(String, String)>,
    /// Name of the device that packets enter by (rules see it as `iifname`); at most 15 bytes.
    pub ingress: String,
    /// Name of the device that packets leave by (`oifname`).
    pub egress: String,
}

impl Default for OracleSettings {
    /// No rules, no helpers, devices `tin` and `tout`.
    fn default() -> Self {
        Self {
            ruleset: None,
            helpers: Vec::new(),
            sysctls: Vec::new(),
            ingress: "tin".to_owned(),
            egress: "tout".to_owned(),
        }
    }
}

/// A helper of the kernel's and the ports of the conns that it is attached to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HelperAssignment {
    /// The kernel's name for it: `ftp`, `irc`, `RAS`, …
    pub helper: String,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// Destination ports.
    pub ports: Vec<RangeInclusive<u16>>,
}

impl HelperAssignment {
    /// An assignment.
    pub fn new(helper: &str, protocol: Protocol, ports: &[RangeInclusive<u16>]) -> Self {
        Self { helper: helper.to_owned(), protocol, ports: ports.to_vec() }
    }

    /// All helpers that a kernel may have built in, on their customary ports.
    pub fn customary() -> Vec<Self> {
        let (tcp, udp) = (Protocol::TCP, Protocol::UDP);
        vec![
            Self::new("ftp", tcp, &[21..=21]),
            Self::new("irc", tcp, &[6660..=6669, 7000..=7000]),
            Self::new("tftp", udp, &[69..=69]),
            Self::new("sip", udp, &[5060..=5060]),
            Self::new("sip", tcp, &[5060..=5060]),
            Self::new("pptp", tcp, &[1723..=1723]),
            Self::new("RAS", udp, &[1719..=1719]),
            Self::new("Q.931", tcp, &[1720..=1720]),
            Self::new("amanda", udp, &[10080..=10080]),
            Self::new("sane", tcp, &[6566..=6566]),
            Self::new("netbios-ns", udp, &[137..=137]),
            Self::new("snmp", udp, &[161..=161]),
        ]
    }

    /// The kernel has these for IPv4 alone.
    fn is_ipv4_only(&self) -> bool {
        matches!(self.helper.as_str(), "irc" | "pptp" | "netbios-ns" | "snmp")
    }
}

/// Configures the namespace that the thread is in. The two devices exist already.
pub(super) fn configure(settings: &OracleSettings) -> Result<(), OracleError> {
    let OracleSettings { ingress, egress, .. } = settings;
    run(
        "ip",
        &["-batch", "-"],
        &format!("link set {ingress} mtu 65535 up\nlink set {egress} mtu 65535 up\n"),
    )?;
    for (name, value) in router_sysctls(ingress, egress) {
        write_sysctl(&name, value)?;
    }
    for (name, value) in &settings.sysctls {
        write_sysctl(name, value)?;
    }
    // An address to answer from; every destination is beyond the egress device.
    run(
        "ip",
        &["-batch", "-"],
        &format!(
            "addr add 192.0.2.253/32 dev {egress}\nroute add default dev {egress}\nroute add ::/0 dev {egress} metric 1\n"
        ),
    )?;
    // The user's rules first: they may flush the ruleset.
    if let Some(ruleset) = &settings.ruleset {
        run("nft", &["-f", "-"], ruleset)?;
    }
    run("nft", &["-f", "-"], &(observe::table(ingress) + &helper_table(&settings.helpers)))
}

/// Packets of a capture come and go by the same two devices whatever their addresses are: nothing about an address may
/// make the kernel refuse it, and the events must be on.
fn router_sysctls(ingress: &str, egress: &str) -> Vec<(String, &'static str)> {
    let mut sysctls = Vec::new();
    for device in ["all", "default", ingress, egress] {
        for (name, value) in
            [("rp_filter", "0"), ("accept_local", "1"), ("route_localnet", "1"), ("send_redirects", "0")]
        {
            sysctls.push((format!("net.ipv4.conf.{device}.{name}"), value));
        }
    }
    for device in ["all", ingress] {
        sysctls.push((format!("net.ipv4.conf.{device}.bc_forwarding"), "1"));
    }
    for name in ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding", "net.netfilter.nf_conntrack_events"] {
        sysctls.push((name.to_owned(), "1"));
    }
    sysctls
}

/// Rules that attach helpers by port (the kernel itself no longer does), before the customary filter priority.
fn helper_table(helpers: &[HelperAssignment]) -> String {
    if helpers.is_empty() {
        return String::new();
    }
    let mut objects = String::new();
    let mut rules = String::new();
    for (index, assignment) in helpers.iter().enumerate() {
        let HelperAssignment { helper, protocol, ports } = assignment;
        let (family, restriction) =
            if assignment.is_ipv4_only() { ("ip", "meta nfproto ipv4 ") } else { ("inet", "") };
        let ports: Vec<_> = ports.iter().map(|range| format!("{}-{}", range.start(), range.end())).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(
            objects,
            " ct helper h{index} {{ type \"{helper}\" protocol {protocol}; l3proto {family}; }}"
        );
        let _ = writeln!(
            rules,
            "  {restriction}ct state new {protocol} dport {{ {} }} ct helper set \"h{index}\"",
            ports.join(", ")
        );
    }
    format!(
        "table inet pinhole_oracle_helpers {{\n{objects} chain attach {{\n  \
         type filter hook prerouting priority -100; policy accept;\n{rules} }}\n}}\n"
    )
}

fn write_sysctl(name: &str, value: &str) -> Result<(), OracleError> {
    fs::write(format!("/proc/sys/{}", name.replace('.', "/")), value)
        .map_err(|source| OracleError::Sysctl { name: name.to_owned(), source })
}

/// Runs a program in the thread's namespace with this input.
fn run(program: &'static str, arguments: &[&str], input: &str) -> Result<(), OracleError> {
    let failed = |message: String| OracleError::Program { program, message };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(format!("cannot run it: {error}")))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that stops reading tells why by its exit.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
    }
}
