//! Real clients and servers through `pinhole run`, in network namespaces.

use super::tests;
use crate::command::cargo;
use crate::repository::Repository;
use crate::stage::{Notes, Outcome};
use crate::tool;

/// Programs, and the Debian packages that have them.
const NEEDED: [(&str, &str); 12] = [
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("sysctl", "procps"),
    ("setpriv", "util-linux"),
    ("vsftpd", "vsftpd"),
    ("curl", "curl"),
    ("lftp", "lftp"),
    ("tnftp", "tnftp"),
    ("ngircd", "ngircd"),
    ("irssi", "irssi"),
    ("tmux", "tmux"),
    ("python3", "python3"),
];

/// Servers that Debian does not install beside each other: they are unpacked.
const UNPACKED: [&str; 2] = ["pure-ftpd", "proftpd-core"];

pub(crate) fn run(repository: &Repository, notes: &mut Notes) -> Outcome {
    if !tool::is_root() {
        return Outcome::Skipped("it takes root to set up network namespaces".to_owned());
    }
    for (program, package) in NEEDED {
        if let Err(reason) = tool::debian(program, package) {
            return Outcome::Skipped(reason);
        }
    }
    let peers = repository.target("peers");
    for package in UNPACKED {
        // Tests that lack it say so.
        if let Err(reason) = tool::unpack(package, &peers) {
            notes.skipped(reason);
        }
    }
    let mut command = cargo(repository);
    command.env("PINHOLE_PEERS", &peers);
    command.args(["test", "--package", "pinhole", "--test", "live"]);
    // One network at a time: a transfer that must time out shall do so for the firewall's sake, not the machine's.
    let only = ["--ignored", "--test-threads", "1"];
    tests::outcome(tests::libtest(&mut command, &only, notes), "live tests")
}
