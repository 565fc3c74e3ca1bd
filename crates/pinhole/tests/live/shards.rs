//! Several shards: whatever the traffic, they do what one does. Every other test beside this one can be run with several, too:
//! `PINHOLE_SHARDS=2 cargo test -p pinhole --test live -- --ignored --test-threads 1`.
//!
//! Which shard has a conn is seen by its number: of two shards, one gives the odd ones.

use crate::bench::{Bench, ControlOnly, Gateway, Net, missing};
use crate::ftp_clients::WAYS;
use crate::servers::Server;
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

const FTP: ControlOnly<'_> = ControlOnly { helper: "ftp", protocol: "tcp", port: 21, attached: true };
const CLIENTS: std::ops::Range<u8> = 10..30;

/// Holds a connection from each of its addresses to one of the server's, which gives every line back, and says how many of them do when it is asked.
const HOLDING: &str = r"
import socket, sys
count = len(sys.argv[1:]) // 2
held = []
for client, server in zip(sys.argv[1:1 + count], sys.argv[1 + count:]):
    s = socket.create_connection((server, 7777), timeout=4, source_address=(client, 0))
    s.settimeout(1)
    held.append(s)
print('begun', flush=True)
for line in sys.stdin:
    good = 0
    for s in held:
        try:
            s.sendall(line.encode())
            good += s.recv(1000) == line.encode()
        except OSError as error:
            if good: print(error, file=sys.stderr)
    print(good, flush=True)
";

const ECHO: &str = r"
import socket, threading
s = socket.create_server(('', 7777), family=socket.AF_INET6, dualstack_ipv6=True)
def serve(c):
    while (data := c.recv(1000)):
        c.sendall(data)
while True:
    threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
";

struct Held {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Held {
    /// Opens the connections: each from another client, and to another server unless ports are forwarded.
    fn open(bench: &Bench) -> Self {
        let mut arguments = vec!["python3".to_owned(), "-c".to_owned(), HOLDING.to_owned()];
        for host in CLIENTS {
            bench.run("client", &["ip", "addr", "replace", &format!("10.1.0.{host}/24"), "dev", "eth0"]);
            bench.run("server", &["ip", "addr", "replace", &format!("10.2.0.{host}/24"), "dev", "eth0"]);
            arguments.push(format!("10.1.0.{host}"));
        }
        let forwards = bench.net.forwards_ports();
        arguments.extend(
            CLIENTS.map(|host| if forwards { "10.1.0.1".to_owned() } else { format!("10.2.0.{host}") }),
        );
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut child =
            bench.inside("client", &arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut held = Self { child, input, output };
        assert_eq!(held.line(), "begun");
        held
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    /// How many of them pass.
    fn pass(&mut self) -> usize {
        self.input.write_all(b"hello\n").unwrap();
        self.line().parse().unwrap()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn echo(bench: &Bench) -> Server {
    let script = bench.write("echo.py", ECHO);
    Server::python(bench, 7777, &script)
}

fn rules(net: Net) -> String {
    let rules = FTP.rules(net).replace(
        "iifname \"pg0\" tcp dport 21 ct state new accept",
        "iifname \"pg0\" tcp dport { 21, 7777 } ct state new counter accept",
    );
    rules.replace("tcp dport 21 dnat", "tcp dport { 21, 7777 } dnat")
}

fn conns(gateway: &Gateway) -> Vec<Value> {
    let list = gateway.ask(&["list", "--format", "json"]);
    list.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn number(conn: &Value) -> u64 {
    conn["conn"].as_u64().unwrap()
}

/// How many conns each of so many shards has.
fn by_shard(conns: &[Value], shards: u64) -> Vec<usize> {
    (0..shards)
        .map(|shard| conns.iter().filter(|conn| (number(conn) - 1) % shards == shard).count())
        .collect()
}

/// What a request is refused with.
fn refused(gateway: &Gateway, request: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pinhole"));
    let output = command.args([request, "--socket"]).arg(gateway.socket()).output().unwrap();
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
#[ignore = "takes root and network namespaces"]
fn ftp_works_in_every_way_in_every_topology() {
    if missing(&["vsftpd", "curl"]) {
        return;
    }
    for net in [Net::Bridged].into_iter().chain(Net::ROUTED) {
        let bench = Bench::with("h", net);
        let _server = Server::vsftpd(&bench);
        let gateway = bench.gateway_with(&FTP.rules(net), "shards = 2\n");
        for (name, options, six) in WAYS {
            assert_eq!(bench.fetch(options, six), Ok(()), "{net:?}, {name}: {}", gateway.ask(&["stats"]));
        }
        let statistics = gateway.statistics();
        assert_eq!(statistics["expectations_fulfilled"], WAYS.len() as u64, "{statistics}");
        for lost in ["handed_over_lost", "notices_lost", "clashes"] {
            assert_eq!(statistics[lost], 0, "{net:?}: {statistics}");
        }
        gateway.stop();
    }
}

#[test]
#[ignore = "takes root and network namespaces"]
fn all_shards_have_conns_and_answer_as_one() {
    if missing(&["python3", "curl"]) {
        return;
    }
    for net in Net::ROUTED {
        let bench = Bench::with("hm", net);
        let _server = echo(&bench);
        let folder = bench.folder().to_owned();
        let metrics = folder.join("metrics.sock");
        let gateway = bench.gateway_with(&rules(net), &format!("shards = 2\nmetrics = {metrics:?}\n"));
        let mut monitor = Command::new(env!("CARGO_BIN_EXE_pinhole"));
        let monitor = monitor.args(["monitor", "--socket"]).arg(gateway.socket());
        let mut monitor = monitor.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(300));
        let mut held = Held::open(&bench);
        assert_eq!(held.pass(), CLIENTS.len(), "{net:?}: {}", gateway.ask(&["stats"]));

        // Threads are as confined as the process, and have no more rights.
        let tasks = fs::read_dir(format!("/proc/{}/task", gateway.child.id())).unwrap();
        let fields = |status: &str| -> Vec<String> {
            let wanted = ["Seccomp:", "NoNewPrivs:", "CapEff:", "CapPrm:"];
            status
                .lines()
                .filter(|line| wanted.iter().any(|w| line.starts_with(w)))
                .map(str::to_owned)
                .collect()
        };
        let status = |task: fs::DirEntry| fields(&fs::read_to_string(task.path().join("status")).unwrap());
        let tasks: Vec<Vec<String>> = tasks.map(|task| status(task.unwrap())).collect();
        assert!(tasks.len() >= 3 && tasks.iter().all(|task| *task == tasks[0]), "{tasks:?}");
        assert!(tasks[0].contains(&"Seccomp:\t2".to_owned()), "{tasks:?}");

        // What both have is listed as one, in the order of the numbers.
        let all = conns(&gateway);
        assert_eq!(all.len(), CLIENTS.len(), "{}", gateway.ask(&["stats"]));
        let shards = by_shard(&all, 2);
        assert!(shards.iter().all(|count| *count > 0), "{net:?}: {shards:?}");
        let numbers: Vec<u64> = all.iter().map(number).collect();
        assert!(numbers.is_sorted(), "{numbers:?}");
        for shard in [0, 1] {
            let number = numbers.iter().find(|number| (**number - 1) % 2 == shard).unwrap();
            let story = gateway.ask(&["explain", &format!("conn {number}")]);
            assert!(story.starts_with(&format!("conn {number} ")), "{story}");
        }
        for host in CLIENTS {
            let story = gateway.ask(&["explain", &format!("10.1.0.{host}")]);
            assert!(story.contains("ESTABLISHED"), "{story}");
        }
        let counted = gateway.ask(&["list", "rules"]);
        assert!(counted.contains(&format!("packets {} ", CLIENTS.len())), "{counted}");
        let statistics = gateway.statistics();
        assert_eq!((&statistics["shards"], &statistics["conns"]), (&2.into(), &CLIENTS.len().into()));
        let curl = ["curl", "-s", "--unix-socket", metrics.to_str().unwrap(), "http://x/metrics"];
        let metrics = crate::bench::command_output(&curl);
        assert!(metrics.contains(&format!("\npinhole_conns {}\n", CLIENTS.len())), "{metrics}");
        assert!(metrics.contains("\npinhole_shards 2\n"), "{metrics}");

        // A ruleset that is wrong changes nothing in any of them; another one holds in all.
        fs::write(folder.join("fw.nft"), "table inet f { chain").unwrap();
        assert!(refused(&gateway, "reload").contains("the ruleset stays as it was"));
        fs::write(folder.join("fw.nft"), rules(net).replace("counter accept", "quota over 1 mbytes drop"))
            .unwrap();
        assert!(refused(&gateway, "reload").contains("several shards do not"));
        assert_eq!(held.pass(), CLIENTS.len());
        let shut = "table inet f { chain c { type filter hook forward priority 0; policy drop; } }";
        fs::write(folder.join("fw.nft"), shut).unwrap();
        gateway.ask(&["reload"]);
        assert_eq!(held.pass(), 0, "the same for all");

        // One helper for all.
        let told = gateway.ask(&["disable", "ftp"]);
        assert!(told.contains("helper ftp is disabled"), "{told}");
        let modules = gateway.ask(&["list", "modules"]);
        assert!(
            modules.lines().any(|l| l.starts_with("conntrack_ftp ") && l.contains("disabled")),
            "{modules}"
        );

        // One of them goes, then all.
        assert_eq!(gateway.ask(&["delete", &format!("conn {}", numbers[0])]), "1 connections ended\n");
        assert_eq!(gateway.ask(&["flush"]), format!("{} connections ended\n", CLIENTS.len() - 1));
        assert_eq!(conns(&gateway).len(), 0);
        let start = Instant::now();
        gateway.stop();
        assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
        let mut told = String::new();
        monitor.stdout.take().unwrap().read_to_string(&mut told).unwrap();
        let _ = monitor.wait();
        let new = told.lines().filter(|line| line.contains("[NEW]")).count();
        assert_eq!(new, CLIENTS.len(), "{told}");
    }
}

/// A server that tells of files at other addresses: its data conns have other homes than its control conn, and are RELATED all the same.
const ELSEWHERE: &str = r"
import socket
control = socket.create_server(('10.2.0.2', 21))
while True:
    c, _ = control.accept()
    f = c.makefile('rw', newline='\r\n')
    def say(text):
        f.write(text + '\n'); f.flush()
    say('220 ready')
    data, host = None, 3
    for line in f:
        word = line.split()[0].upper()
        if word == 'USER': say('331 password')
        elif word == 'PASS': say('230 in')
        elif word == 'TYPE': say('200 type')
        elif word == 'PASV':
            data = socket.create_server((f'10.2.0.{host}', 0))
            port = data.getsockname()[1]
            say(f'227 Entering Passive Mode (10,2,0,{host},{port >> 8},{port & 255})')
            host += 1
        elif word == 'RETR':
            say('150 here')
            d, _ = data.accept()
            d.sendall(b'x' * 5000); d.close(); data.close()
            say('226 done')
        else:
            say('221 bye'); break
    c.close()
";

const FETCHING: &str = r"
import ftplib
ftp = ftplib.FTP('10.2.0.2', timeout=8)
ftp.trust_server_pasv_ipv4_address = True
ftp.login()
good = 0
for n in range(16):
    parts = []
    ftp.retrbinary('RETR f', parts.append)
    good += sum(map(len, parts)) == 5000
ftp.quit()
print(good)
";

#[test]
#[ignore = "takes root and network namespaces"]
fn data_conns_are_related_wherever_their_addresses_lead() {
    if missing(&["python3"]) {
        return;
    }
    let bench = Bench::with("hd", Net::Plain);
    for host in 3..19 {
        bench.run("server", &["ip", "addr", "add", &format!("10.2.0.{host}/24"), "dev", "eth0"]);
    }
    let script = bench.write("elsewhere.py", ELSEWHERE);
    let _server = Server::python(&bench, 21, &script);
    let more = "shards = 2\n[helpers]\nthird-party = true\n";
    let gateway = bench.gateway_with(&FTP.rules(Net::Plain), more);
    let got = bench.run("client", &["python3", "-c", FETCHING]);
    assert_eq!(got.trim(), "16", "{}", gateway.ask(&["stats"]));
    let statistics = gateway.statistics();
    assert_eq!(statistics["expectations_fulfilled"], 16, "{statistics}");
    assert!(statistics["handed_over"].as_u64() > Some(0), "some have another home: {statistics}");
    assert_eq!((&statistics["handed_over_lost"], &statistics["clashes"]), (&0.into(), &0.into()));
    // They lie with their master, whose story they are part of.
    let shards = by_shard(&conns(&gateway), 2);
    assert!(shards.contains(&0), "all in one shard: {shards:?}");
}

#[test]
#[ignore = "takes root and network namespaces"]
fn conns_outlive_restarts_with_other_numbers_of_shards() {
    if missing(&["python3"]) {
        return;
    }
    for net in [Net::Plain, Net::Masquerade, Net::Both] {
        let bench = Bench::with("hr", net);
        let _server = echo(&bench);
        let state = bench.folder().join("state");
        let more = |shards| format!("shards = {shards}\n[state]\nfile = {state:?}\n");
        let mut gateway = bench.gateway_with(&rules(net), &more(2));
        let mut held = Held::open(&bench);
        for shards in [2, 3, 1, 2] {
            gateway.stop();
            gateway = bench.gateway_with(&rules(net), &more(shards));
            let told = fs::read_to_string(bench.folder().join("stderr")).unwrap();
            assert!(told.contains(&format!("{} connections", CLIENTS.len())), "{net:?}, {shards}: {told}");
            let spread = by_shard(&conns(&gateway), shards);
            assert_eq!(
                held.pass(),
                CLIENTS.len(),
                "{net:?}, {shards}: {spread:?} {}",
                gateway.ask(&["stats"])
            );
            assert!(spread.iter().all(|count| *count > 0), "{spread:?}");
        }
    }
}
