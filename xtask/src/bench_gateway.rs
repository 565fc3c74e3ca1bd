//! `cargo xtask bench-gateway`: the gateway beside the kernel, on the same namespaces, in one run.
//!
//! A client, a router and a server in network namespaces. The router is the kernel with an nft ruleset, or `pinhole run` with the same ruleset; they
//! take turns, so that what else happens on the machine meets both. Loads are those of `crates/pinhole-io/examples/load.rs`. Of each cell
//! the median of all rounds is shown, and the goals of the project with it.

use crate::command::{Failure, cargo, run as run_command};
use crate::repository::Repository;
use crate::tool;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Options of `cargo xtask bench-gateway`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How often each load is measured with each router
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How long each load lasts
    #[arg(long, default_value_t = 3)]
    seconds: u32,
    /// Connections that are open beside the load
    #[arg(long, default_value_t = 0)]
    conns: u32,
    /// Measure only the loads with this text in their names
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
}

/// Hardware addresses: client, router's two, server.
const MACS: [&str; 4] = ["02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03", "02:00:00:00:00:04"];

const STATEFUL: &str = "table inet f {
 ct helper ftp { type \"ftp\" protocol tcp; }
 chain p { type filter hook prerouting priority 0; tcp dport 21 ct helper set \"ftp\"; }
 chain c { type filter hook forward priority 0; policy drop;
  ct state established,related accept
  ct state invalid drop
  iifname \"pg0\" ct state new accept
 }
}
";

const MASQUERADE: &str = "table ip nat {
 chain s { type nat hook postrouting priority 100; oifname \"pg1\" masquerade; }
}
";

#[derive(Clone, Copy, PartialEq, Eq)]
enum RouterKind {
    Kernel,
    Pinhole,
}

#[derive(Clone, Copy)]
enum Measure {
    Ask,
    Packets,
    Stream,
    NewFlows,
}

/// What is measured, with the goal: so many times what the kernel does.
struct Load {
    name: &'static str,
    masquerade: bool,
    measure: Measure,
    goal: f64,
}

const LOADS: [Load; 7] = [
    Load { name: "connect, ask, answer, reset /s", masquerade: false, measure: Measure::Ask, goal: 1.2 },
    Load { name: "small packets /s, 1000 flows", masquerade: false, measure: Measure::Packets, goal: 1.2 },
    Load { name: "one TCP stream, MB/s", masquerade: false, measure: Measure::Stream, goal: 0.9 },
    Load { name: "connect, ask, … masqueraded /s", masquerade: true, measure: Measure::Ask, goal: 1.3 },
    Load { name: "small packets, masqueraded /s", masquerade: true, measure: Measure::Packets, goal: 1.3 },
    Load { name: "one TCP stream, masqueraded, MB/s", masquerade: true, measure: Measure::Stream, goal: 0.9 },
    Load {
        name: "new flows to one end, masqueraded /s",
        masquerade: true,
        measure: Measure::NewFlows,
        goal: 4.0,
    },
];

pub(crate) fn run(repository: &Repository, options: &Options) -> Result<(), Failure> {
    tool::namespaces().map_err(Failure)?;
    run_command(cargo(repository).args(["build", "--release", "--package", "pinhole"]))?;
    run_command(cargo(repository).args([
        "build",
        "--release",
        "--package",
        "pinhole-io",
        "--features",
        "live",
        "--example",
        "load",
    ]))?;
    println!(
        "| load | kernel | pinhole | ratio | goal | CPU s kernel | CPU s pinhole |\n|---|---|---|---|---|---|---|"
    );
    for load in LOADS.iter().filter(|load| load.name.contains(&options.only)) {
        let mut results = [Vec::new(), Vec::new()];
        let mut busy = [Vec::new(), Vec::new()];
        for _ in 0..options.rounds.max(1) {
            for (place, kind) in [RouterKind::Kernel, RouterKind::Pinhole].into_iter().enumerate() {
                let bench = Bench::new(repository, options, kind, load.masquerade)?;
                bench.open_conns()?;
                let before = busy_seconds()?;
                results[place].push(bench.measure(load.measure)?);
                busy[place].push(busy_seconds()? - before);
            }
        }
        let [kernel, pinhole] = results.map(median);
        let [kernel_busy, pinhole_busy] = busy.map(median);
        println!(
            "| {} | {kernel:.0} | {pinhole:.0} | {:.2} | {} | {kernel_busy:.1} | {pinhole_busy:.1} |",
            load.name,
            pinhole / kernel,
            load.goal
        );
    }
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Seconds that all processors were busy since the start of the machine (proc(5)).
fn busy_seconds() -> Result<f64, Failure> {
    const TICKS: f64 = 100.0;
    let text = fs::read_to_string("/proc/stat")?;
    let line = text.lines().next().unwrap_or_default();
    let ticks: Vec<f64> = line.split_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect();
    // user, nice, system; idle and waiting left out; interrupts.
    Ok([0, 1, 2, 5, 6].into_iter().filter_map(|field| ticks.get(field)).sum::<f64>() / TICKS)
}

/// The three namespaces, with a router that runs.
struct Bench<'a> {
    options: &'a Options,
    name: String,
    load: PathBuf,
    program: PathBuf,
    folder: PathBuf,
    router: Option<Child>,
}

impl<'a> Bench<'a> {
    fn new(
        repository: &Repository,
        options: &'a Options,
        kind: RouterKind,
        masquerade: bool,
    ) -> Result<Self, Failure> {
        let name = format!("pinhole-bench-{}", std::process::id());
        let folder = repository.target("bench-gateway");
        fs::create_dir_all(&folder)?;
        let load = repository.target("release/examples/load");
        let program = repository.target("release/pinhole");
        let mut bench = Self { options, name, load, program, folder, router: None };
        for role in ["client", "gateway", "server"] {
            succeed(Command::new("ip").args(["netns", "add", &bench.space(role)]))?;
            bench.ip(role, &["link", "set", "lo", "up"])?;
        }
        bench.wire("client", "pg0", 1, [MACS[0], MACS[1]])?;
        bench.wire("server", "pg1", 2, [MACS[3], MACS[2]])?;
        bench.ip("gateway", &["route", "add", "10.64.0.0/12", "via", "10.1.0.2"])?;
        for role in ["client", "server"] {
            bench.run(
                role,
                &["sysctl", "-qw", "net.ipv4.ip_local_port_range=1024 65535", "net.ipv4.tcp_tw_reuse=1"],
            )?;
        }
        // The packets of the load end at the server's interface.
        bench.nft("server", "table netdev s { chain i { type filter hook ingress device \"eth0\" priority -500; udp dport 9000 drop; }; }\n")?;
        let rules = if masquerade { [STATEFUL, MASQUERADE].concat() } else { STATEFUL.to_owned() };
        match kind {
            RouterKind::Kernel => {
                bench.run("gateway", &["sysctl", "-qw", "net.ipv4.ip_forward=1"])?;
                bench.nft("gateway", &rules)?;
            }
            RouterKind::Pinhole => bench.router = Some(bench.start_pinhole(&rules)?),
        }
        Ok(bench)
    }

    /// A veth pair between the router and a host, 10.N.0.0/24: the host is .2, the router .1.
    fn wire(&self, role: &str, port: &str, net: u8, [host, own]: [&str; 2]) -> Result<(), Failure> {
        let (near, far) = (self.space("gateway"), self.space(role));
        succeed(Command::new("ip").args([
            "link", "add", port, "address", own, "netns", &near, "type", "veth", "peer", "name", "eth0",
            "address", host, "netns", &far,
        ]))?;
        for (role, device, last, peer, mac) in [(role, "eth0", 2, 1, own), ("gateway", port, 1, 2, host)] {
            self.ip(role, &["address", "add", &format!("10.{net}.0.{last}/24"), "dev", device])?;
            self.ip(role, &["link", "set", device, "up"])?;
            let peer = format!("10.{net}.0.{peer}");
            self.ip(role, &["neighbour", "add", &peer, "lladdr", mac, "dev", device])?;
        }
        self.ip(role, &["route", "add", "default", "via", &format!("10.{net}.0.1")])
    }

    fn start_pinhole(&self, rules: &str) -> Result<Child, Failure> {
        fs::write(self.folder.join("fw.nft"), rules)?;
        let config = self.folder.join("pinhole.toml");
        let control = self.folder.join("control");
        fs::write(
            &config,
            format!(
                "mode = \"router\"\nports = [\"pg0\", \"pg1\"]\nrules = \"fw.nft\"\ncontrol = {control:?}\n[conntrack]\nmax-conns = 1000000\n"
            ),
        )?;
        let mut command = self.inside("gateway", &self.program);
        let mut child = command.args(["run", "--config"]).arg(&config).stdout(Stdio::piped()).spawn()?;
        let mut first = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut first)?;
        }
        if first.contains("running") { Ok(child) } else { Err(Failure("pinhole does not run".to_owned())) }
    }

    fn space(&self, role: &str) -> String {
        format!("{}-{role}", self.name)
    }

    fn inside(&self, role: &str, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.space(role)]).arg(program);
        command
    }

    fn run(&self, role: &str, arguments: &[&str]) -> Result<(), Failure> {
        let (program, rest) = arguments.split_first().ok_or_else(|| Failure("no program".to_owned()))?;
        succeed(self.inside(role, Path::new(program)).args(rest))
    }

    fn ip(&self, role: &str, arguments: &[&str]) -> Result<(), Failure> {
        succeed(Command::new("ip").args(["-n", &self.space(role)]).args(arguments))
    }

    fn nft(&self, role: &str, rules: &str) -> Result<(), Failure> {
        let file = self.folder.join(format!("{role}.nft"));
        fs::write(&file, rules)?;
        succeed(self.inside(role, Path::new("nft")).arg("-f").arg(&file))
    }

    /// What a load writes.
    fn load(&self, role: &str, arguments: &[&str]) -> Result<String, Failure> {
        let output = self.inside(role, &self.load).args(arguments).stderr(Stdio::inherit()).output()?;
        if !output.status.success() {
            return Err(Failure(format!("load {}: {}", arguments.join(" "), output.status)));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    fn serve(&self) -> Result<Server, Failure> {
        let child = self.inside("server", &self.load).args(["serve", "10.2.0.2:7777"]).spawn()?;
        std::thread::sleep(Duration::from_millis(300));
        Ok(Server(child))
    }

    fn measure(&self, what: Measure) -> Result<f64, Failure> {
        match what {
            Measure::Ask => self.ask(),
            Measure::Packets => self.packets(),
            Measure::Stream => self.stream(),
            Measure::NewFlows => self.new_flows(),
        }
    }

    fn ask(&self) -> Result<f64, Failure> {
        let _server = self.serve()?;
        number(&self.load("client", &["ask", "10.2.0.2:7777", &self.options.seconds.to_string(), "32"])?)
    }

    fn stream(&self) -> Result<f64, Failure> {
        let _server = self.serve()?;
        number(&self.load("client", &["stream", "10.2.0.2:7777", &self.options.seconds.to_string()])?)
    }

    fn blast(&self, to: &str, flows: u32, seconds: u32) -> Result<f64, Failure> {
        let (flows, seconds) = (flows.to_string(), seconds.to_string());
        let written = self.load("client", &["blast", "eth0", MACS[0], MACS[1], to, &flows, &seconds])?;
        number(written.split_whitespace().nth(1).unwrap_or_default())
    }

    fn received(&self) -> Result<f64, Failure> {
        let output = self
            .inside("server", Path::new("cat"))
            .arg("/sys/class/net/eth0/statistics/rx_packets")
            .output()?;
        number(&String::from_utf8_lossy(&output.stdout))
    }

    /// Packets that arrive, a second.
    fn packets(&self) -> Result<f64, Failure> {
        let before = self.received()?;
        let seconds = self.blast("10.2.0.2", 1000, self.options.seconds)?;
        std::thread::sleep(Duration::from_millis(100));
        Ok((self.received()? - before) / seconds)
    }

    /// Flows that arrive, a second, from the first to the last of nearly as many as one address has ports. What does not arrive (the kernel
    /// gives up after some ports that are taken) is not counted. As many have come and gone before: a router is new only once.
    fn new_flows(&self) -> Result<f64, Failure> {
        /// How long both routers keep a flow that nobody answers, and a little.
        const KEPT: Duration = Duration::from_secs(32);
        self.flows_that_arrive()?;
        std::thread::sleep(KEPT);
        let (count, seconds) = self.flows_that_arrive()?;
        Ok(count / seconds)
    }

    /// How many of new flows arrive, and the seconds from the first to the last.
    fn flows_that_arrive(&self) -> Result<(f64, f64), Failure> {
        const FLOWS: u32 = 60_000;
        let watch = ["watch", "eth0"];
        let mut watcher = self.inside("server", &self.load).args(watch).stdout(Stdio::piped()).spawn()?;
        let output = watcher.stdout.take().ok_or_else(|| Failure("the watcher has no output".to_owned()))?;
        let mut lines = BufReader::new(output).lines();
        lines.next().transpose()?;
        self.blast("10.2.0.2", FLOWS, 0)?;
        let counted = lines.next().transpose()?.unwrap_or_default();
        watcher.wait()?;
        let (count, seconds) = counted.split_once(' ').unwrap_or_default();
        Ok((number(count)?, number(seconds)?))
    }

    /// Opens connections that stay, towards an address where nobody answers.
    fn open_conns(&self) -> Result<(), Failure> {
        if self.options.conns == 0 {
            return Ok(());
        }
        self.ip("gateway", &["route", "add", "10.99.0.0/16", "via", "10.2.0.2"])?;
        self.run("gateway", &["sysctl", "-qw", "net.netfilter.nf_conntrack_max=1000000"])?;
        std::thread::sleep(Duration::from_millis(200));
        self.blast("10.99.0.1", self.options.conns, 0).map(|_| ())
    }
}

impl Drop for Bench<'_> {
    fn drop(&mut self) {
        if let Some(router) = &mut self.router {
            // It takes its devices down by itself; what it leaves goes with the namespace.
            let _ = Command::new("kill").arg(router.id().to_string()).status();
            let _ = router.wait();
        }
        for role in ["client", "gateway", "server"] {
            let _ = Command::new("ip").args(["netns", "del", &self.space(role)]).status();
        }
    }
}

/// A server that ends with this.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn number(text: &str) -> Result<f64, Failure> {
    text.trim().parse().map_err(|_| Failure(format!("`{text}` is not a number")))
}

fn succeed(command: &mut Command) -> Result<(), Failure> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Failure(format!("`{}`: {}", crate::command::line(command), said.trim())))
}
