//! A bad wire, a flood, and frames that no honest host sends: transfers go on, and the gateway does not grow.

use crate::bench::{Bench, ControlOnly, Gateway, Net, missing};
use crate::ftp_clients::WAYS;
use crate::servers::Server;
use std::process::Child;
use std::time::{Duration, Instant};

const FTP: ControlOnly<'_> = ControlOnly { helper: "ftp", protocol: "tcp", port: 21, attached: true };

/// Each frame may be lost, repeated, held or changed, in both directions.
const BAD_WIRE: &str = "[faults]\nloss = 0.01\nduplication = 0.02\ncorruption = 0.01\nreordering = 0.03\nhold-ms = 5\ndelay-ms = 1\nseed = 11\n";

/// SYNs from hosts of the client's network that are not there, as fast as they can be written; or as many a second as are asked for.
const FLOOD: &str = "
import random, socket, struct, sys, time
def checksum(data):
    total = sum(struct.unpack('!%dH' % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff
random.seed(5)
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
link.bind(('eth0', 0))
own = open('/sys/class/net/eth0/address').read().strip()
router, server, seconds = sys.argv[1], socket.inet_aton(sys.argv[2]), float(sys.argv[3])
rate = float(sys.argv[4])
ether = bytes.fromhex(router.replace(':', '') + own.replace(':', '')) + b'\\x08\\x00'
start, sent = time.monotonic(), 0
while (now := time.monotonic()) < start + seconds:
    time.sleep(max(0, sent / rate - (now - start)))
    for _ in range(64):
        source = bytes((10, 1, random.randrange(1, 255), random.randrange(1, 255)))
        port, sequence = random.randrange(1024, 65536), random.getrandbits(32)
        tcp = struct.pack('!HHIIBBHHH', port, 21, sequence, 0, 0x50, 2, 64240, 0, 0)
        tcp = tcp[:16] + struct.pack('!H', checksum(source + server + struct.pack('!HH', 6, len(tcp)) + tcp)) + tcp[18:]
        ip = struct.pack('!BBHHHBBH', 0x45, 0, 40, 0, 0x4000, 64, 6, 0) + source + server
        ip = ip[:10] + struct.pack('!H', checksum(ip)) + ip[12:]
        link.send(ether + ip + tcp)
        sent += 1
";

/// Frames of all kinds, most of them damaged: bytes changed, cut off, put in; lengths and offsets that lie.
const NOISE: &str = "
import random, socket, struct, sys, time
random.seed(int(sys.argv[4]))
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
link.bind(('eth0', 0))
own = bytes.fromhex(open('/sys/class/net/eth0/address').read().strip().replace(':', ''))
router = bytes.fromhex(sys.argv[1].replace(':', ''))
client, server = socket.inet_aton(sys.argv[2]), socket.inet_aton(sys.argv[3])
client6, server6 = (socket.inet_pton(socket.AF_INET6, a) for a in sys.argv[5:7])
ports = struct.pack('!HH', 40000, 21)
tcp = ports + struct.pack('!IIBBHHH', 1, 1, 0x80, 0x18, 64240, 0, 0) + b'\\x01\\x01\\x08\\x0a' + bytes(8) + b'PORT 10,1,0,2,200,10\\r\\n'
udp = ports + struct.pack('!HH', 28, 0) + bytes(20)
def ip4(protocol, payload, options=b'', fragment=0):
    head = struct.pack('!BBHHHBBH', 0x45 + len(options) // 4, 0, 20 + len(options) + len(payload), 7, fragment, 64, protocol, 0)
    return b'\\x08\\x00' + head + client + server + options + payload
def ip6(following, payload):
    return b'\\x86\\xdd' + struct.pack('!IHBB', 0x60000000, len(payload), following, 64) + client6 + server6 + payload
seeds = [
    ip4(6, tcp), ip4(17, udp), ip4(6, tcp, b'\\x07\\x07\\x04' + bytes(5)), ip4(17, udp, fragment=0x2000), ip4(17, udp, fragment=0x2003),
    ip4(1, b'\\x03\\x04' + bytes(6) + ip4(6, tcp)[2:]), ip4(132, ports + bytes(8) + b'\\x01\\x00\\x00\\x14' + bytes(16)), ip4(33, ports + bytes(12)),
    ip4(47, b'\\x30\\x01\\x88\\x0b' + bytes(12)), ip6(6, tcp), ip6(0, b'\\x06\\x00\\x01\\x04' + bytes(4) + tcp), ip6(44, b'\\x11\\x00\\x00\\x01' + bytes(4) + udp),
    ip6(43, b'\\x06\\x02\\x02\\x01' + bytes(20) + tcp), ip6(58, b'\\x01\\x00' + bytes(6) + ip6(17, udp)[2:]), ip6(60, (b'\\x3c\\x00' + bytes(6)) * 30 + tcp),
    b'\\x81\\x00\\x00\\x05' + ip4(6, tcp), b'\\x88\\xa8\\x00\\x05\\x81\\x00\\x00\\x06' + ip4(17, udp), b'\\x08\\x06' + bytes(28), b'\\x00\\x04' + bytes(30),
]
for n in range(int(sys.argv[7])):
    frame = bytearray(router + own + random.choice(seeds))
    for _ in range(random.randrange(4)):
        at = random.randrange(12, len(frame))
        match random.randrange(4):
            case 0: frame[at] = random.choice((0, 1, 0x7f, 0x80, 0xff, random.randrange(256)))
            case 1: frame[at] ^= 1 << random.randrange(8)
            case 2: del frame[max(14, at):]
            case 3: frame[at:at] = random.randbytes(random.randrange(1, 40))
    try:
        link.send(frame)
    except OSError:
        pass  # shorter than a link header, or longer than the link carries
    if n % 64 == 0:
        time.sleep(0.002)
";

/// Kilobytes that the gateway holds.
fn resident(gateway: &Gateway) -> u64 {
    gateway.process_status("VmRSS").trim_end_matches(" kB").parse().unwrap()
}

/// What the client's frames to the server are addressed to.
fn next_hop(bench: &Bench) -> String {
    let (role, link) = if bench.net == Net::Bridged { ("server", "eth0") } else { ("gateway", "pg0") };
    bench.run(role, &["cat", &format!("/sys/class/net/{link}/address")]).trim().to_owned()
}

fn start(bench: &Bench, script: &str, text: &str, arguments: &[&str]) -> Child {
    let script = bench.write(script, text);
    let program = [&["python3", script.to_str().unwrap()], arguments].concat();
    bench.inside("client", &program).stdout(std::process::Stdio::piped()).spawn().unwrap()
}

/// `PINHOLE_SOAK` says for how many seconds (`cargo xtask soak`).
#[test]
#[ignore = "takes root and network namespaces"]
fn a_bad_wire_is_borne_for_long() {
    if missing(&["vsftpd", "curl", "ethtool"]) {
        return;
    }
    let seconds = std::env::var("PINHOLE_SOAK").map_or(12, |text| text.parse().unwrap());
    let bench = Bench::with("fs", Net::Masquerade);
    // Whole checksums: a changed frame is to be noticed at its end, as on a wire.
    for role in ["client", "server"] {
        bench.run(role, &["ethtool", "-K", "eth0", "tx", "off"]);
    }
    let _server = Server::vsftpd(&bench);
    let gateway = bench.gateway_with(&FTP.rules(Net::Masquerade), BAD_WIRE);
    let start = Instant::now();
    let (mut transfers, mut good, mut early) = (0, 0, None);
    while start.elapsed() < Duration::from_secs(seconds) {
        for (name, options, six) in WAYS {
            transfers += 1;
            // A lost SYN may take longer than curl's patience; another file is never an accident.
            match bench.fetch(options, six) {
                Ok(()) => good += 1,
                Err(error) => assert!(!error.contains("another one"), "{name}: {error}"),
            }
        }
        // A minute on, all that is allocated once is there.
        if start.elapsed().as_secs() * 10 >= seconds.min(600) {
            early.get_or_insert_with(|| resident(&gateway));
        }
    }
    let (early, late) = (early.unwrap(), resident(&gateway));
    let told = std::fs::read_to_string(bench.folder().join("stderr")).unwrap();
    assert!(told.contains("as `[faults]` says"), "{told}");
    eprintln!("{good} of {transfers} transfers, {early} kB resident at first, {late} kB in the end");
    assert!(good * 4 >= transfers * 3, "{good} of {transfers}: {}", gateway.ask(&["stats"]));
    assert!(late < early + early / 4 + 4096, "{early} kB, then {late} kB: {}", gateway.ask(&["stats"]));
    let statistics = gateway.ask(&["stats"]);
    let invalid =
        statistics.lines().find_map(|line| line.strip_prefix("invalid, drop")?.trim().parse::<u64>().ok());
    assert!(invalid > Some(0), "changed frames are invalid: {statistics}");
}

#[test]
#[ignore = "takes root and network namespaces"]
fn transfers_outlive_a_flood_of_syns_and_a_full_table() {
    if missing(&["vsftpd", "curl", "python3"]) {
        return;
    }
    // Some tenths of a second of the flood: a handshake must be over by then.
    const MOST: u64 = 16_384;
    let bench = Bench::with("ff", Net::Plain);
    let _server = Server::paced_vsftpd(&bench);
    // Those hosts are in the client's network as far as the router knows.
    bench.run("gateway", &["ip", "route", "add", "10.1.0.0/16", "dev", "pg0"]);
    let gateway = bench.gateway_with(&FTP.rules(Net::Plain), &format!("[conntrack]\nmax-conns = {MOST}\n"));
    let flood = |seconds, rate| {
        start(&bench, "flood.py", FLOOD, &[&next_hop(&bench), bench.net.server()[0], seconds, rate])
    };
    // More than this build of the gateway can take: what waits at its ports comes late, but what is open stays so.
    let mut transfer = bench.slow_fetch(WAYS[0].1, "2M");
    std::thread::sleep(Duration::from_millis(500));
    assert!(matches!(transfer.try_wait(), Ok(None)), "it is under way");
    assert!(flood("4", "inf").wait().unwrap().success());
    assert!(transfer.wait().unwrap().success());
    let before = gateway.statistics();
    assert!(before["conns"].as_u64() > Some(MOST - 16), "{before}");
    // Somebody new comes while the table is full.
    let mut flooding = flood("6", "4000");
    std::thread::sleep(Duration::from_millis(500));
    for (name, options, _) in &WAYS[..4] {
        assert_eq!(bench.fetch(options, false), Ok(()), "{name}: {}", gateway.ask(&["stats"]));
    }
    assert!(matches!(flooding.try_wait(), Ok(None)), "that took longer than the flood");
    assert!(flooding.wait().unwrap().success());
    let statistics = gateway.statistics();
    assert!(statistics["early_drop"].as_u64() > Some(MOST), "{statistics}");
    assert!(statistics["conns"].as_u64() <= Some(MOST), "{statistics}");
}

#[test]
#[ignore = "takes root and network namespaces"]
fn frames_that_no_host_sends_harm_nobody() {
    if missing(&["vsftpd", "curl", "python3"]) {
        return;
    }
    for net in [Net::Bridged, Net::Masquerade] {
        let bench = Bench::with("fn", net);
        let _server = Server::vsftpd(&bench);
        let gateway = bench.gateway(&FTP.rules(net));
        assert_eq!(bench.fetch(WAYS[0].1, false), Ok(()));
        let mut transfer = bench.slow_fetch(WAYS[0].1, "2M");
        let before = resident(&gateway);
        let [client, client6] = net.client();
        let [server, server6] = net.server();
        let arguments = [&next_hop(&bench), client, server, "3", client6, server6, "60000"];
        let mut noise = start(&bench, "noise.py", NOISE, &arguments);
        for (name, options, six) in WAYS {
            assert_eq!(bench.fetch(options, six), Ok(()), "{net:?}, {name}: {}", gateway.ask(&["stats"]));
        }
        assert!(noise.wait().unwrap().success());
        assert!(transfer.wait().unwrap().success());
        let statistics = gateway.statistics();
        let counted = |name: &str| statistics[name].as_u64().unwrap();
        assert!(counted("invalid") > 1000 && counted("link_dropped") > 100, "{statistics}");
        // The table may have filled a little, with what looked like connections.
        let after = resident(&gateway);
        assert!(after < before + 48 * 1024, "{before} kB, then {after} kB: {statistics}");
        let told = std::fs::read_to_string(bench.folder().join("stderr")).unwrap();
        assert!(!told.contains("panicked"), "{told}");
    }
}
