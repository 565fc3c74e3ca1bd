//! What somebody does through the gateway, and what must become of it: it works with the helper, it fails without the helper, and,
//! where a translated end is announced, it fails without the NAT half.

use crate::bench::{Bench, ControlOnly, Gateway, Net};
use std::cell::RefCell;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A test in several topologies at the same time: most of it is waiting.
pub(super) fn in_topologies(nets: &[Net], test: impl Fn(Net) + Sync) {
    std::thread::scope(|scope| {
        for net in nets {
            scope.spawn(|| test(*net));
        }
    });
}

/// What is done; an error says what the programs said.
pub(super) type Run<'a> = Box<dyn Fn(&Gateway) -> Result<(), String> + Sync + 'a>;

/// One way of using a service.
pub(super) struct Use<'a> {
    pub(super) name: String,
    /// Whether it cannot work unless announcements are translated.
    pub(super) needs_nat_half: bool,
    pub(super) run: Run<'a>,
}

/// All at the same time: those that fail do so for want of an answer.
fn run_all(uses: &[Use<'_>], gateway: &Gateway) -> Vec<Result<(), String>> {
    std::thread::scope(|scope| {
        let running: Vec<_> = uses.iter().map(|one| scope.spawn(|| (one.run)(gateway))).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// Tries them all with the helper, without it, and without its NAT half. `data` is a flow that the helper opens, for `explain`.
#[track_caller]
pub(super) fn check(bench: &Bench, control: ControlOnly<'_>, data: &str, uses: &[Use<'_>]) {
    let (net, helper) = (bench.net, control.helper);
    let gateway = bench.gateway(&control.rules(net));
    for (one, result) in uses.iter().zip(run_all(uses, &gateway)) {
        let told =
            || format!("{net:?}, {}\n{}\n{}", one.name, gateway.ask(&["list"]), explained(&gateway, data));
        assert_eq!(result, Ok(()), "{}", told());
    }
    let conns = gateway.ask(&["list"]);
    assert!(conns.contains(&format!("helper={helper} ")) && conns.contains("master="), "{conns}");
    let story = explained(&gateway, data);
    assert!(story.contains("RELATED for that reason"), "{net:?}: {story}");
    assert!(!story.contains("is not loaded"), "{net:?}: {story}");
    drop(gateway);

    let gateway = bench.gateway(&ControlOnly { attached: false, ..control }.rules(net));
    for (one, result) in uses.iter().zip(run_all(uses, &gateway)) {
        assert!(result.is_err(), "{net:?}, {}: without the helper\n{}", one.name, gateway.ask(&["list"]));
    }
    let story = explained(&gateway, "");
    let hint = format!("has no helper: a rule with `ct helper set` and type \"{helper}\"");
    assert!(story.contains("drop"), "{net:?}: {story}");
    assert!(net == Net::Bridged || story.contains(&hint), "{net:?}: {story}");
    drop(gateway);

    let needy = |one: &&Use<'_>| one.needs_nat_half;
    if uses.iter().any(|one| needy(&one)) {
        let gateway = bench.gateway_with(&control.rules(net), "[helpers]\nnat = []\n");
        for (one, result) in uses.iter().zip(run_all(uses, &gateway)).filter(|(one, _)| needy(one)) {
            assert!(
                result.is_err(),
                "{net:?}, {}: without the NAT half\n{}",
                one.name,
                gateway.ask(&["list"])
            );
        }
        let story = explained(&gateway, "");
        assert!(story.contains(&format!("NAT helper {helper} is not loaded")), "{net:?}: {story}");
    }
}

/// What the gateway knows of a flow; of all, if none is named.
fn explained(gateway: &Gateway, flow: &str) -> String {
    let flows: &[&str] = if flow.is_empty() { &["tcp", "udp", "gre"] } else { &[flow] };
    flows.iter().map(|flow| gateway.ask(&["explain", flow])).collect()
}

/// Packets of the original and of the reply direction of the conn to one of these ports that has most.
pub(super) fn packets(gateway: &Gateway, destination_ports: &[u16]) -> Option<[u64; 2]> {
    let conns = gateway.ask(&["list"]);
    let is_one = |line: &&str| {
        let first = line.split(" dport=").nth(1).and_then(|rest| rest.split(' ').next());
        first.and_then(|port| port.parse().ok()).is_some_and(|port| destination_ports.contains(&port))
    };
    let counts = |line: &str| {
        let mut numbers =
            line.split(" packets=").skip(1).map(|rest| rest.split(' ').next().unwrap().parse().unwrap());
        Some([numbers.next()?, numbers.next()?])
    };
    conns.lines().filter(is_one).filter_map(counts).max()
}

/// A host's programs that go on until this goes out of scope; daemons have children of their own, which end with them.
pub(super) struct Host<'a> {
    bench: &'a Bench,
    role: &'static str,
    started: RefCell<Vec<Child>>,
}

impl<'a> Host<'a> {
    pub(super) fn new(bench: &'a Bench, role: &'static str) -> Self {
        Self { bench, role, started: RefCell::default() }
    }

    /// Starts a program. What it says goes to a file of this name.
    pub(super) fn start(&self, name: &str, arguments: &[&str]) {
        let log = File::create(self.bench.folder().join(format!("{name}.log"))).unwrap();
        let mut command = self.bench.inside(self.role, arguments);
        command.current_dir(self.bench.folder()).env("HOME", self.bench.folder()).stdin(Stdio::null());
        self.started.borrow_mut().push(command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap());
    }
}

impl Drop for Host<'_> {
    fn drop(&mut self) {
        let mut pids = Command::new("ip");
        let Ok(output) = pids.args(["netns", "pids", &self.bench.space(self.role)]).output() else { return };
        let pids = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut kill = Command::new("kill");
        let _ = kill.arg("-KILL").args(pids.split_whitespace()).stderr(Stdio::null()).status();
        for mut child in self.started.take() {
            let _ = child.wait();
        }
    }
}

/// IP versions of a test, as indices of a host's addresses.
pub(super) const V4: usize = 0;
pub(super) const V6: usize = 1;

/// An address as URIs and the like have it: IPv6 in brackets.
pub(super) fn bracketed(address: &str) -> String {
    if address.contains(':') { format!("[{address}]") } else { address.to_owned() }
}

/// A folder of the test's, open to everyone.
pub(super) fn folder(bench: &Bench, name: &str) -> PathBuf {
    let path = bench.folder().join(name);
    std::fs::create_dir_all(&path).unwrap();
    assert!(Command::new("chmod").arg("777").arg(&path).status().unwrap().success());
    path
}

/// What a started program said.
pub(super) fn said(bench: &Bench, name: &str) -> String {
    let bytes = std::fs::read(bench.folder().join(format!("{name}.log"))).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Runs a program in the client's namespace for at most so many seconds; all that it said, as an error if it failed.
pub(super) fn client(
    bench: &Bench,
    seconds: u32,
    place: &std::path::Path,
    arguments: &[&str],
) -> Result<String, String> {
    let seconds = seconds.to_string();
    let mut command = bench.inside("client", &["timeout", "--kill-after", "1", &seconds]);
    command.args(arguments).current_dir(place).env("HOME", bench.folder()).stdin(Stdio::null());
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    if status.success() { Ok(text) } else { Err(format!("{arguments:?}: {status}: {text}")) }
}

/// Whether two files are the same.
pub(super) fn same(got: &std::path::Path, expected: &std::path::Path) -> Result<(), String> {
    let expected = std::fs::read(expected).unwrap();
    let bytes = std::fs::read(got).map_err(|error| format!("{}: {error}", got.display()))?;
    if bytes == expected { Ok(()) } else { Err(format!("{} of {} bytes", bytes.len(), expected.len())) }
}

/// Waits until something is so.
#[track_caller]
pub(super) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(15), "{what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Waits until somebody receives on a UDP port.
#[track_caller]
pub(super) fn await_receiver(bench: &Bench, role: &str, port: u16) {
    let filter = format!(":{port}");
    until("nobody receives", || !bench.run(role, &["ss", "-Hlnu", "sport", "=", &filter]).is_empty());
}
