//! What the kernel carries by itself (`router.flowtable`).

use crate::bench::{Bench, Gateway, Net};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const RULES: &str = "table inet f {
    chain c { type filter hook forward priority 0; policy drop; ct state established,related accept; iifname \"pg0\" accept; }
    chain s { type nat hook postrouting priority 100; oifname \"pg1\" masquerade; }
}";

/// Sends bytes to whoever connects, as many as are asked for; or, without a number, for ever, but slowly.
const SENDER: &str = "import socket, sys, time
s = socket.create_server((sys.argv[1], 5001), family=socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET).accept()[0]
if len(sys.argv) > 2:
    b = bytes(1 << 20)
    for _ in range(int(sys.argv[2])): s.sendall(b)
    s.shutdown(1)
    n = 0
    while k := len(s.recv(99)): n += k
    print(n)
else:
    while True:
        s.sendall(bytes(10000))
        time.sleep(0.005)
";

/// Takes all that comes; says how much, at the end or every tenth of a second.
const TAKER: &str = "import socket, sys, time
s = socket.create_connection((sys.argv[1], 5001))
b, n, told = bytearray(1 << 20), 0, time.monotonic()
while k := s.recv_into(b):
    n += k
    if len(sys.argv) > 2 and time.monotonic() > told + 0.1:
        told = time.monotonic()
        print(n, flush=True)
print(n)
s.sendall(b'that is all')
";

fn start(bench: &Bench, role: &str, script: &str, arguments: &[&str]) -> Child {
    let file = bench.write(&format!("{role}.py"), script);
    let arguments = [&["python3", file.to_str().unwrap()], arguments].concat();
    bench.inside(role, &arguments).stdout(Stdio::piped()).spawn().unwrap()
}

fn said(child: Child) -> String {
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

/// A field of the statistics reaches a value.
#[track_caller]
fn await_statistic(gateway: &Gateway, name: &str, least: u64) {
    let begun = Instant::now();
    while gateway.statistics()[name].as_u64().unwrap() < least {
        assert!(begun.elapsed() < Duration::from_secs(10), "{name}: {}", gateway.statistics());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
#[ignore = "takes root and network namespaces"]
fn the_kernel_carries_a_transfer_and_all_of_it_is_known() {
    const MEGABYTES: u64 = 300;
    for (name, net, address) in
        [("ca", Net::Masquerade, "10.2.0.2"), ("cb", Net::Plain, "10.2.0.2"), ("cc", Net::Plain, "fd02::2")]
    {
        let bench = Bench::with(name, net);
        let rules = if net == Net::Plain { RULES.replace("masquerade", "accept") } else { RULES.to_owned() };
        for (flowtable, is_carried) in [("on", true), ("off", false)] {
            let gateway = bench.gateway_with(&rules, &format!("[router]\nflowtable = \"{flowtable}\"\n"));
            let sender = start(&bench, "server", SENDER, &[address, &MEGABYTES.to_string()]);
            bench.await_listener("server", 5001);
            let taker = start(&bench, "client", TAKER, &[address]);
            assert_eq!(said(taker).trim(), (MEGABYTES << 20).to_string());
            assert_eq!(said(sender).trim(), "11", "what came behind the data was taken, too");
            let statistics = gateway.statistics();
            let carried = statistics["carried_bytes"].as_u64().unwrap();
            assert_eq!(carried > MEGABYTES << 19, is_carried, "{statistics}");
            let listed = gateway.ask(&["list", "conns"]);
            // Both FINs were seen, and fitted the windows. Who has closed answers a FIN that is sent again by a RST.
            assert!(["TIME_WAIT", "LAST_ACK", " CLOSE "].iter().any(|s| listed.contains(s)), "{listed}");
            assert_eq!(statistics["invalid"].as_u64(), Some(0), "{statistics}");
            let bytes = listed.split("bytes=").filter_map(|rest| rest.split(' ').next()?.parse::<u64>().ok());
            assert!(bytes.max().unwrap() > MEGABYTES << 20, "{listed}");
        }
    }
}

#[test]
#[ignore = "takes root and network namespaces"]
fn what_is_carried_obeys_at_once() {
    let closed = RULES.replace("ct state established,related accept; iifname \"pg0\" accept;", "");
    type Order<'a> = (&'a str, &'a dyn Fn(&Bench, &Gateway));
    let orders: [Order<'_>; 3] = [
        ("rules that drop it", &|bench, gateway| {
            bench.write("fw.nft", &closed);
            gateway.ask(&["reload"]);
        }),
        ("its end, and rules that open no other", &|bench, gateway| {
            bench.write("fw.nft", &RULES.replace("iifname \"pg0\" accept;", ""));
            gateway.ask(&["reload"]);
            await_statistic(gateway, "carried_conns", 1);
            gateway.ask(&["flush"]);
        }),
        ("the gateway's own end", &|_, gateway| gateway.signal("KILL")),
    ];
    for (what, order) in orders {
        let bench = Bench::with("cd", Net::Masquerade);
        let gateway = bench.gateway_with(RULES, "[router]\nflowtable = \"on\"\n");
        let mut sender = start(&bench, "server", SENDER, &["10.2.0.2"]);
        bench.await_listener("server", 5001);
        let taker = start(&bench, "client", TAKER, &["10.2.0.2", "often"]);
        await_statistic(&gateway, "carried_conns", 1);
        await_statistic(&gateway, "carried_bytes", 100_000);
        let listed = gateway.ask(&["list", "conns"]);
        assert!(listed.contains("[OFFLOAD]"), "{listed}");
        order(&bench, &gateway);
        let received = || bench.run("client", &["cat", "/sys/class/net/eth0/statistics/rx_bytes"]);
        std::thread::sleep(Duration::from_millis(100));
        let before: u64 = received().trim().parse().unwrap();
        std::thread::sleep(Duration::from_millis(500));
        let after: u64 = received().trim().parse().unwrap();
        // A megabyte would have come.
        assert!(after - before < 20_000, "{what}: {} bytes came", after - before);
        sender.kill().unwrap();
        sender.wait().unwrap();
        let mut taker = taker;
        taker.kill().unwrap();
        taker.wait().unwrap();
    }
}

/// Whoever connects says how many bytes each sends to the other, in both directions at once.
const BOTH: &str = "import random, socket, sys, threading
def both(s, size):
    s.settimeout(20)
    def pump():
        left = size
        while left: left -= s.send(bytes(min(left, random.choice([100, 1448, 9000, 65536]))))
        s.shutdown(1)
    pumping = threading.Thread(target=pump)
    pumping.start()
    got = 0
    while k := len(s.recv(random.choice([500, 65536, 1 << 20]))): got += k
    pumping.join()
    if got != size: print('short', got, size, flush=True)
    s.close()
def serve(s):
    both(s, int(s.recv(16, socket.MSG_WAITALL)))
def ask(n):
    for _ in range(n):
        s = socket.create_connection((sys.argv[1], 5001), 10)
        size = random.choice([100_000, 3_000_000, 20_000_000])
        s.sendall(str(size).rjust(16).encode())
        both(s, size)
        print('done\\n', end='', flush=True)
if len(sys.argv) > 2:
    asking = [threading.Thread(target=ask, args=[int(sys.argv[2])]) for _ in range(8)]
    for thread in asking: thread.start()
else:
    door = socket.create_server((sys.argv[1], 5001), backlog=50)
    while True: threading.Thread(target=serve, args=[door.accept()[0]], daemon=True).start()
";

#[test]
#[ignore = "takes root and network namespaces"]
fn conns_that_send_both_ways_at_once_never_stall() {
    const EACH: usize = 40;
    let bench = Bench::with("ce", Net::Masquerade);
    let rules = RULES.replace("ct state", "ct state invalid drop; ct state");
    let gateway = bench.gateway_with(&rules, "[router]\nflowtable = \"on\"\n");
    let mut server = start(&bench, "server", BOTH, &["10.2.0.2"]);
    bench.await_listener("server", 5001);
    let told = said(start(&bench, "client", BOTH, &["10.2.0.2", &EACH.to_string()]));
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(told.lines().all(|line| line == "done") && told.lines().count() == 8 * EACH, "{told}");
    let statistics = gateway.statistics();
    assert_eq!(statistics["invalid"].as_u64(), Some(0), "{statistics}");
    assert!(statistics["carried_packets"].as_u64() > Some(10_000), "{statistics}");
}
