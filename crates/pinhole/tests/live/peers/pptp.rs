//! PPTP: pptpd and pptp-linux. What pppd would be is a script at the server's end and the test at the client's: the kernel need not know PPP.

use super::uses::{Host, Use, check, in_topologies};
use crate::bench::{Bench, ControlOnly, Net, missing};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

const PPTP: ControlOnly<'_> = ControlOnly { helper: "pptp", protocol: "tcp", port: 1723, attached: true };

/// Sends its own frame (LCP's Configure-Request, magic number 11223344) until the tunnel is there, and all others back.
const PPPD: &str = r"#!/bin/sh
stty raw -echo
for time in 1 2 3 4 5 6 7 8 9 10; do
    printf '\176\377\175\043\300\041\175\041\175\041\175\040\175\052\175\045\175\046\175\061\042\063\104\372\226\176'
    sleep 0.2
done &
exec cat
";
/// The same with magic number 55667788, in HDLC-like framing (RFC 1662).
const FRAME: &[u8] =
    b"\x7e\xff\x7d\x23\xc0\x21\x7d\x21\x7d\x21\x7d\x20\x7d\x2a\x7d\x25\x7d\x26\x55\x66\x77\x88\xd0\xba\x7e";

/// Builds a tunnel, and waits for a frame of the client's to come back.
fn call(bench: &Bench) -> Result<(), String> {
    let _client = Host::new(bench, "client");
    let (mut own, theirs) = UnixStream::pair().unwrap();
    own.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    // Its call managers meet in a folder that is named by the server only.
    let script = format!(
        "mkdir -p /run/pptp && mount -t tmpfs none /run/pptp && exec pptp {} --nolaunchpppd",
        bench.net.service()[0]
    );
    let mut child = bench
        .inside("client", &["sh", "-c", &script])
        .stdin(OwnedFd::from(theirs.try_clone().unwrap()))
        .stdout(OwnedFd::from(theirs))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    let (mut got, mut buffer) = (Vec::new(), [0; 1024]);
    while start.elapsed() < Duration::from_secs(5) {
        let Ok(length) = own.read(&mut buffer) else { continue };
        got.extend_from_slice(&buffer[..length]);
        if length == 0
            || got.windows(FRAME.len()).any(|bytes| bytes == FRAME)
            || own.write_all(FRAME).is_err()
        {
            break;
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    let is_back = got.windows(FRAME.len()).any(|bytes| bytes == FRAME);
    if is_back { Ok(()) } else { Err(format!("{} bytes came: {got:x?}", got.len())) }
}

#[test]
#[ignore = "takes root and network namespaces"]
fn pptpd_and_pptp_linux_in_every_topology() {
    if missing(&["pptpd", "pptp"]) {
        return;
    }
    in_topologies(&Net::ROUTED, |net| {
        let bench = Bench::with(&format!("pptp-{net:?}"), net);
        let host = Host::new(&bench, "server");
        let pppd = bench.write("pppd", PPPD);
        std::fs::set_permissions(&pppd, std::fs::Permissions::from_mode(0o755)).unwrap();
        let options = bench.write("options", "name pptpd\n");
        let settings = format!(
            "ppp {}\noption {}\nlocalip 192.168.77.1\nremoteip 192.168.77.10-20\n",
            pppd.display(),
            options.display()
        );
        let settings = bench.write("pptpd.conf", &settings);
        let pid = bench.folder().join("pptpd.pid");
        let [settings, pid] = [&settings, &pid].map(|path| path.to_str().unwrap());
        host.start("pptpd", &["pptpd", "-f", "-c", settings, "-p", pid, "-l", net.server()[0]]);
        bench.await_listener("server", 1723);
        let run = Box::new(|_: &_| call(&bench));
        // A call's packets come from either end: all translated ends must be led.
        let use_ = Use { name: "call".to_owned(), needs_nat_half: net != Net::Plain, run };
        check(&bench, PPTP, "gre", &[use_]);
    });
}
