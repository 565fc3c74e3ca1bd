//! SANE: saned with its test device, and scanimage.

use super::uses::{Host, Use, V4, V6, bracketed, check, folder, in_topologies, same};
use crate::bench::{Bench, ControlOnly, Net, missing};
use std::fs;
use std::process::Stdio;

const SANE: ControlOnly<'_> = ControlOnly { helper: "sane", protocol: "tcp", port: 6566, attached: true };

/// Scans the test picture as `scanimage` in this namespace sees the device.
fn scan(bench: &Bench, role: &str, settings: &str, device: &str, picture: &str) -> Result<(), String> {
    let settings = format!("SANE_CONFIG_DIR={}", bench.folder().join(settings).display());
    let file = fs::File::create(bench.folder().join(picture)).unwrap();
    let scanimage = ["scanimage", "--device-name", device, "--format=pnm"];
    let mut command = bench.inside(role, &["timeout", "--kill-after", "1", "4", "env", &settings]);
    let output = command.args(scanimage).stdin(Stdio::null()).stdout(file).output().unwrap();
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

#[test]
#[ignore = "takes root and network namespaces"]
fn saned_and_scanimage_in_every_topology() {
    over(V4);
}

#[test]
#[ignore = "takes root and network namespaces"]
fn saned_and_scanimage_over_ipv6_in_every_topology() {
    over(V6);
}

fn over(version: usize) {
    if missing(&["saned", "scanimage"]) {
        return;
    }
    in_topologies(&Net::ROUTED, |net| {
        let bench = Bench::with(&format!("sane{version}-{net:?}"), net);
        let host = Host::new(&bench, "server");
        let (daemon, asker) = (folder(&bench, "saned"), folder(&bench, "scanimage"));
        fs::write(daemon.join("dll.conf"), "test\n").unwrap();
        fs::write(daemon.join("saned.conf"), "10.0.0.0/8\n[fd01::]/64\n[fd02::]/64\n").unwrap();
        fs::write(asker.join("dll.conf"), "net\n").unwrap();
        fs::write(asker.join("net.conf"), "connect_timeout = 3\n").unwrap();
        scan(&bench, "server", "saned", "test:0", "expected.pnm").unwrap();

        let settings = format!("SANE_CONFIG_DIR={}", daemon.display());
        host.start("saned", &["env", &settings, "saned", "-l", "-b", net.server()[version]]);
        bench.await_listener("server", 6566);
        let device = format!("net:{}:test:0", bracketed(net.service()[version]));
        // The client connects to the port that the server announces: a masqueraded client needs no translation.
        let run = Box::new(|_: &_| {
            scan(&bench, "client", "scanimage", &device, "got.pnm")?;
            same(&bench.folder().join("got.pnm"), &bench.folder().join("expected.pnm"))
        });
        check(
            &bench,
            SANE,
            "tcp",
            &[Use { name: "scan".to_owned(), needs_nat_half: net.forwards_ports(), run }],
        );
    });
}
