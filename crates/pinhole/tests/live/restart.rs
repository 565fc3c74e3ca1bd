//! A gateway that is stopped, or killed, in the middle of a transfer and started again: the transfer goes on, and so does the helper.

use crate::bench::{Bench, ControlOnly, Gateway, Net, missing};
use crate::servers::Server;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

/// Fetches a large file slowly; then, by the same control connection, a small one in active and in passive mode.
const CLIENT: &str = "
import ftplib, sys, time
ftp = ftplib.FTP()
ftp.connect(sys.argv[1], 21, timeout=30)
ftp.login()
size = ftp.size('pub/large.bin')
data = ftp.transfercmd('RETR pub/large.bin')
got = len(data.recv(65536))
print('begun', flush=True)
while True:
    bytes = data.recv(65536)
    if not bytes: break
    got += len(bytes)
    time.sleep(0.04)
data.close()
ftp.voidresp()
assert got == size, (got, size)
for passive in False, True:
    ftp.set_pasv(passive)
    parts = []
    ftp.retrbinary('RETR pub/f.bin', parts.append)
    assert sum(map(len, parts)) == 20000
ftp.quit()
print('done', flush=True)
";

fn goes_on(name: &str, net: Net, end: impl FnOnce(Gateway)) {
    if missing(&["vsftpd", "python3"]) {
        return;
    }
    let bench = Bench::with(name, net);
    let _server = Server::vsftpd(&bench);
    let state = bench.folder().join("state");
    let more = format!("[state]\nfile = {state:?}\nevery = 1\n");
    let rules = ControlOnly { helper: "ftp", protocol: "tcp", port: 21, attached: true }.rules(net);
    let gateway = bench.gateway_with(&rules, &more);
    let [address, _] = net.service();
    let mut client = bench
        .inside("client", &["python3", "-c", CLIENT, address])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(client.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "begun");
    std::thread::sleep(Duration::from_millis(1_500));
    end(gateway);
    let gateway = bench.gateway_with(&rules, &more);
    let conns = gateway.ask(&["list", "--format", "table"]);
    let child = conns.lines().find(|line| line.contains("related to conn "));
    let child = child.and_then(|line| line.split_whitespace().next()).unwrap_or_else(|| panic!("{conns}"));
    let last = lines.next();
    let output = client.wait_with_output().unwrap();
    let story = || {
        let list = gateway.ask(&["list", "--format", "table"]);
        format!("{}{list}{}", String::from_utf8_lossy(&output.stderr), gateway.ask(&["stats"]))
    };
    assert!(matches!(last, Some(Ok(line)) if line == "done"), "{}", story());
    let story = gateway.ask(&["explain", &format!("conn {child}")]);
    assert!(story.contains("a frame before the restart") && story.contains("is expected"), "{story}");
}

#[test]
#[ignore = "takes root and network namespaces"]
fn a_transfer_through_a_bridge_outlives_a_stop() {
    goes_on("rs", Net::Bridged, Gateway::stop);
}

#[test]
#[ignore = "takes root and network namespaces"]
fn a_transfer_through_a_bridge_outlives_a_crash() {
    goes_on("rk", Net::Bridged, Gateway::kill);
}

#[test]
#[ignore = "takes root and network namespaces"]
fn a_translated_transfer_outlives_a_stop() {
    goes_on("rn", Net::Both, Gateway::stop);
}

#[test]
#[ignore = "takes root and network namespaces"]
fn a_translated_transfer_outlives_a_crash() {
    goes_on("rx", Net::Both, Gateway::kill);
}
