//! FTP by its modules on the command line: what a replay shows is what it shows with the built-in helper.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap is the test's message")]

mod support;

use std::path::{Path, PathBuf};
use support::{pinhole, stdout};

/// The modules that `cargo xtask guests` has built; `None`, said aloud, if there are none.
fn guests(test: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("PINHOLE_GUESTS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/guests"), PathBuf::from);
    if folder.join("conntrack_ftp.wasm").is_file() {
        return folder.canonicalize().ok();
    }
    eprintln!("SKIPPED {test}: no modules in {} (cargo xtask guests builds them)", folder.display());
    None
}

#[test]
fn a_replay_by_modules_is_one_by_the_built_in() {
    let Some(folder) = guests("a replay by modules") else { return };
    let (conntrack, nat) = (folder.join("conntrack_ftp.wasm"), folder.join("nat_ftp.wasm"));
    let load = ["--load", conntrack.to_str().unwrap(), "--load", nat.to_str().unwrap()];
    for capture in ["ftp-active.pcap", "ftp-passive.pcap", "ftp-eprt-ipv6.pcap", "ftp-epsv-ipv6.pcap"] {
        for more in [
            &["--format", "table"][..],
            &["--explain"],
            &["--nat", "snat:10.0.0.0/8=203.0.113.7", "--explain"],
        ] {
            let built_in = [&["replay", capture, "--helpers", "ftp"], more].concat();
            let loaded = [&built_in[..], &load].concat();
            assert_eq!(stdout(&pinhole(&built_in)), stdout(&pinhole(&loaded)), "{capture} {more:?}");
        }
    }
}

#[test]
fn modules_are_described_and_refused() {
    let Some(folder) = guests("modules are described") else { return };
    let (conntrack, nat) = (folder.join("conntrack_ftp.wasm"), folder.join("nat_ftp.wasm"));
    let page = stdout(&pinhole(&["helpers", "ftp", "--load", conntrack.to_str().unwrap()]));
    let sum = page.lines().find_map(|line| line.strip_prefix("sha256 ")).unwrap();
    assert_eq!(sum.len(), 64);
    assert!(
        page.contains(&format!("module {}, version 1.0.0, MIT OR Apache-2.0", conntrack.display())),
        "{page}"
    );
    // Twice the same half.
    let conntrack = conntrack.to_str().unwrap();
    let twice = pinhole(&["helpers", "--load", conntrack, "--load", conntrack]);
    assert!(!twice.status.success());
    let cut = tempfile::Builder::new().suffix(".wasm").tempfile().unwrap();
    std::fs::write(cut.path(), &std::fs::read(&nat).unwrap()[..5000]).unwrap();
    let refused = pinhole(&["helpers", "--load", cut.path().to_str().unwrap()]);
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(message.contains("truncated or damaged at byte"), "{message}");
}

/// A module that takes the place of FTP's helper, and traps when it is to read.
const TRAP: &str = r#"(module (memory (export "memory") 2)
    (func (export "pinhole_exchange") (result i32)
        (i32.store (i32.const 0) (i32.const 1))
        (i32.store (i32.const 4) (i32.const 1024)) (i32.store (i32.const 8) (i32.const 8192))
        (i32.store (i32.const 12) (i32.const 16384)) (i32.store (i32.const 16) (i32.const 32768))
        (i32.store (i32.const 20) (i32.const 65536)) (i32.store (i32.const 24) (i32.const 4096))
        (i32.const 0))
    (func (export "pinhole_attach") (result i32) (i32.const 0))
    (func (export "pinhole_read") (param i32 i32) (result i64) unreachable))"#;

const TRAP_MANIFEST: &str = "contract = 1\nhalf = \"conntrack\"\nname = \"ftp\"\nversion = \"1\"\nlicense = \"MIT\"\n\
                             summary = \"traps\"\nprotocols = [\"tcp\"]\nports = [21]\n";

#[test]
fn what_a_faulty_module_reads_goes_on_or_is_dropped() {
    let file = tempfile::Builder::new().suffix(".wasm").tempfile().unwrap();
    let code = wat::parse_str(TRAP).unwrap();
    std::fs::write(file.path(), pinhole_modules::seal(&code, TRAP_MANIFEST.as_bytes()).unwrap()).unwrap();
    let replay = |more: &[&str]| {
        let load =
            ["replay", "ftp-passive.pcap", "--helpers", "ftp", "--load", file.path().to_str().unwrap()];
        stdout(&pinhole(&[&load[..], more].concat()))
    };
    let quarantined = |text: &str| text.matches("helper-quarantined").count();
    assert_eq!(quarantined(&replay(&["--format", "json"])), 0);
    let dropped = replay(&["--format", "json", "--on-fault", "drop"]);
    // All packets of the control conn but its three first.
    let packets = dropped.lines().filter(|line| line.contains(r#""type":"packet""#));
    let control = packets.filter(|line| line.contains(r#"port":21,"#)).count();
    assert_eq!(quarantined(&dropped), control - 3, "{dropped}");
    let told = replay(&["--on-fault", "drop", "--explain"]);
    assert!(told.contains("the helper that reads its connection was quarantined"), "{told}");
    assert!(told.contains("trap"), "{told}");
}
