//! Three namespaces, the gateway in the middle one, and its rules.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Says what is missing for a test.
pub(crate) fn missing(programs: &[&str]) -> bool {
    let found = |program: &&&str| {
        let there = |folder: &str| PathBuf::from(folder).join(program).exists();
        !["/usr/sbin", "/usr/bin", "/sbin", "/bin"].into_iter().any(there)
    };
    let lacking: Vec<&str> = programs.iter().filter(found).copied().collect();
    if !lacking.is_empty() {
        eprintln!("SKIPPED: {} not installed", lacking.join(", "));
    }
    !lacking.is_empty()
}

/// What stands between client and server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Net {
    /// A bridge: client 10.9.0.1, fd09::1, server 10.9.0.2, fd09::2 on one network.
    Bridged,
    /// A router: client 10.1.0.2, fd01::2 behind its `pg0` (.1), server 10.2.0.2, fd02::2 behind its `pg1` (.1). Nothing is translated.
    Plain,
    /// The same; the server does not know a way to the client, which is masqueraded.
    Masquerade,
    /// The same; the client asks the router's own address, which stands for the server.
    PortForward,
    /// Both.
    Both,
}

impl Net {
    /// All that a router can be.
    pub(crate) const ROUTED: [Self; 4] = [Self::Plain, Self::Masquerade, Self::PortForward, Self::Both];

    pub(crate) fn masquerades(self) -> bool {
        matches!(self, Self::Masquerade | Self::Both)
    }

    pub(crate) fn forwards_ports(self) -> bool {
        matches!(self, Self::PortForward | Self::Both)
    }

    /// The client's addresses, IPv4 and IPv6.
    pub(crate) fn client(self) -> [&'static str; 2] {
        if self == Self::Bridged { ["10.9.0.1", "fd09::1"] } else { ["10.1.0.2", "fd01::2"] }
    }

    /// The server's addresses.
    pub(crate) fn server(self) -> [&'static str; 2] {
        if self == Self::Bridged { ["10.9.0.2", "fd09::2"] } else { ["10.2.0.2", "fd02::2"] }
    }

    /// The addresses under which the client asks for the server.
    pub(crate) fn service(self) -> [&'static str; 2] {
        if self.forwards_ports() { ["10.1.0.1", "fd01::1"] } else { self.server() }
    }
}

/// Default drop, and one control port open to new connections of the client's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ControlOnly<'a> {
    /// The helper of its connections.
    pub(crate) helper: &'a str,
    /// `tcp` or `udp`.
    pub(crate) protocol: &'a str,
    pub(crate) port: u16,
    /// Whether the helper is attached.
    pub(crate) attached: bool,
}

impl ControlOnly<'_> {
    /// The ruleset of a router for this network.
    pub(crate) fn rules(&self, net: Net) -> String {
        let Self { helper, protocol, port, attached } = self;
        let attach = if *attached {
            format!("{protocol} dport {port} ct helper set \"reader\";")
        } else {
            String::new()
        };
        let [four, six] = net.server();
        let forward = if net.forwards_ports() {
            format!(
                "chain d {{ type nat hook prerouting priority -100;
                    iifname \"pg0\" ip daddr 10.1.0.1 {protocol} dport {port} dnat ip to {four}
                    iifname \"pg0\" ip6 daddr fd01::1 {protocol} dport {port} dnat ip6 to {six}
                }}"
            )
        } else {
            String::new()
        };
        let masquerade = if net.masquerades() {
            "chain s { type nat hook postrouting priority 100; oifname \"pg1\" masquerade; }"
        } else {
            ""
        };
        format!(
            "table inet f {{
    ct helper reader {{ type \"{helper}\" protocol {protocol}; }}
    chain p {{ type filter hook prerouting priority 0; {attach} }}
    chain i {{ type filter hook input priority 0; policy drop; ct state established,related accept; }}
    chain c {{ type filter hook forward priority 0; policy drop;
        ct state established,related accept
        iifname \"pg0\" {protocol} dport {port} ct state new accept
    }}
    {forward}
    {masquerade}
}}
"
        )
    }
}

/// A client, a gateway with ports pg0 and pg1, and a server.
pub(crate) struct Bench {
    name: String,
    pub(crate) net: Net,
    folder: TempDir,
}

impl Bench {
    /// A bridge between two hosts.
    pub(crate) fn new(name: &str) -> Self {
        Self::with(name, Net::Bridged)
    }

    pub(crate) fn with(name: &str, net: Net) -> Self {
        let name = format!("pinhole-{}-{name}", std::process::id());
        let folder = tempfile::Builder::new().prefix("pinhole-live").tempdir().unwrap();
        let bench = Self { name, net, folder };
        // The server's files are read by a user of its own.
        command(&["chmod", "755", bench.folder().to_str().unwrap()]);
        for role in ["client", "gateway", "server"] {
            command(&["ip", "netns", "add", &bench.space(role)]);
            bench.run(role, &["ip", "link", "set", "lo", "up"]);
            // Servers look names up, and would wait long for a name server that is not there.
            let files = bench.files_of(role);
            fs::create_dir_all(&files).unwrap();
            fs::write(files.join("resolv.conf"), "nameserver 127.0.0.1\n").unwrap();
        }
        for (role, port, [four, six]) in [("client", "pg0", net.client()), ("server", "pg1", net.server())] {
            let (near, far) = (bench.space("gateway"), bench.space(role));
            command(&[
                "ip", "link", "add", port, "netns", &near, "type", "veth", "peer", "name", "eth0", "netns",
                &far,
            ]);
            if net == Net::Bridged {
                bench.run("gateway", &["sysctl", "-qw", &format!("net.ipv6.conf.{port}.disable_ipv6=1")]);
            }
            // Addresses are there at once, without a look for duplicates.
            bench.run("gateway", &["sysctl", "-qw", &format!("net.ipv6.conf.{port}.accept_dad=0")]);
            bench.run(role, &["sysctl", "-qw", "net.ipv6.conf.eth0.accept_dad=0"]);
            bench.run("gateway", &["ip", "link", "set", port, "up"]);
            bench.run(role, &["ip", "addr", "add", &format!("{four}/24"), "dev", "eth0"]);
            bench.run(role, &["ip", "addr", "add", &format!("{six}/64"), "dev", "eth0", "nodad"]);
            bench.run(role, &["ip", "link", "set", "eth0", "up"]);
            if net != Net::Bridged {
                bench.set_up_router(role, port, [four, six]);
            }
        }
        bench
    }

    fn set_up_router(&self, role: &str, port: &str, [four, six]: [&str; 2]) {
        // Theirs end in 2, the router's in 1.
        let own = [four, six].map(|address| format!("{}1", address.trim_end_matches('2')));
        self.run("gateway", &["ip", "addr", "add", &format!("{}/24", own[0]), "dev", port]);
        self.run("gateway", &["ip", "addr", "add", &format!("{}/64", own[1]), "dev", port, "nodad"]);
        if role == "client" || !self.net.masquerades() {
            for address in &own {
                self.run(role, &["ip", "route", "add", "default", "via", address, "dev", "eth0"]);
            }
        }
    }

    /// Where files of the test are.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn space(&self, role: &str) -> String {
        format!("{}-{role}", self.name)
    }

    /// Files that a namespace has in the stead of those in /etc (ip-netns(8)).
    fn files_of(&self, role: &str) -> PathBuf {
        Path::new("/etc/netns").join(self.space(role))
    }

    /// A program in a namespace.
    pub(crate) fn inside(&self, role: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.space(role)]).args(arguments);
        command
    }

    /// Runs a program in a namespace, which must succeed.
    #[track_caller]
    pub(crate) fn run(&self, role: &str, arguments: &[&str]) -> String {
        let output = self.inside(role, arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Starts `pinhole run` with these rules, and waits until it runs.
    pub(crate) fn gateway(&self, rules: &str) -> Gateway {
        self.gateway_with(rules, "")
    }

    /// The same, with more lines of configuration. What it tells goes to the file `stderr`.
    pub(crate) fn gateway_with(&self, rules: &str, more: &str) -> Gateway {
        let socket = self.folder().join("control.sock");
        let mode = if self.net == Net::Bridged { "bridge" } else { "router" };
        // Every test can be run with several shards.
        let shards = std::env::var("PINHOLE_SHARDS").ok().filter(|_| !more.contains("shards ="));
        let shards = shards.map_or_else(String::new, |count| format!("shards = {count}\n"));
        let config = self.write("pinhole.toml", &format!(
            "mode = \"{mode}\"\nports = [\"pg0\", \"pg1\"]\nrules = \"fw.nft\"\ncontrol = {socket:?}\n{shards}{more}"
        ));
        self.write("fw.nft", rules);
        let told = self.folder().join("stderr");
        let errors = fs::File::create(&told).unwrap();
        let mut child = self.gateway_command(&config).stdout(Stdio::piped()).stderr(errors).spawn().unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        assert!(first.contains("running"), "{first}{}", fs::read_to_string(&told).unwrap());
        Gateway { child, socket }
    }

    /// `pinhole run` with a configuration file.
    pub(crate) fn gateway_command(&self, config: &Path) -> Command {
        self.inside("gateway", &[env!("CARGO_BIN_EXE_pinhole"), "run", "--config", config.to_str().unwrap()])
    }

    /// Writes a file into the test's folder.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Waits until somebody listens on a TCP port.
    #[track_caller]
    pub(crate) fn await_listener(&self, role: &str, port: u16) {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(10) {
            if !self.run(role, &["ss", "-Hlnt", "sport", "=", &format!(":{port}")]).is_empty() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("nobody listens on port {port}");
    }

    /// Whether a host answers the client: by refusing a connection to a port where nobody listens.
    pub(crate) fn reaches(&self, address: &str) -> bool {
        const REFUSED: i32 = 7;
        let url = format!("http://{address}:9/");
        // Sooner than address resolution gives up, which curl reports alike.
        let status = self.inside("client", &["curl", "-g", "-s", "-m", "2", &url]).status().unwrap();
        status.code() == Some(REFUSED)
    }

    /// What a user without rights is told at the control socket.
    pub(crate) fn ask_as_nobody(&self, gateway: &Gateway) -> String {
        let binary = self.folder().join("pinhole");
        fs::copy(env!("CARGO_BIN_EXE_pinhole"), &binary).unwrap();
        let output = Command::new("setpriv")
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
            .arg(binary)
            .args(["flush", "--socket"])
            .arg(&gateway.socket)
            .output()
            .unwrap();
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        for role in ["client", "gateway", "server"] {
            let _ = Command::new("ip").args(["netns", "del", &self.space(role)]).status();
            let _ = fs::remove_dir_all(self.files_of(role));
        }
    }
}

/// What a program writes, which must succeed.
#[track_caller]
pub(crate) fn command_output(words: &[&str]) -> String {
    let (program, arguments) = words.split_first().unwrap();
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[track_caller]
fn command(words: &[&str]) {
    let (program, arguments) = words.split_first().unwrap();
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A gateway that runs.
pub(crate) struct Gateway {
    pub(crate) child: Child,
    socket: PathBuf,
}

impl Gateway {
    /// What a command on the control socket writes.
    #[track_caller]
    pub(crate) fn ask(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pinhole"));
        let output = command.args(arguments).arg("--socket").arg(&self.socket).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Its counters.
    #[track_caller]
    pub(crate) fn statistics(&self) -> serde_json::Value {
        serde_json::from_str(&self.ask(&["stats", "--json"])).unwrap()
    }

    /// Stops it with SIGTERM; it must end well.
    pub(crate) fn stop(mut self) {
        assert!(self.terminate());
    }

    /// A field of its `/proc/PID/status`.
    pub(crate) fn process_status(&self, field: &str) -> String {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.unwrap_or_default().trim().to_owned()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        command(&["kill", "-s", name, &self.child.id().to_string()]);
    }

    /// Where it is asked.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Ends it with SIGKILL, as a crash would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn terminate(&mut self) -> bool {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        self.child.wait().is_ok_and(|status| status.success())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.terminate();
        }
    }
}
