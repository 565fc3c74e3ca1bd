//! Real clients and servers through `pinhole run`, in network namespaces.

use super::tests;
use crate::command::cargo;
use crate::repository::Repository;
use crate::stage::{Notes, Outcome};
use crate::tool;

/// Programs, and the Debian packages that have them.
const NEEDED: [(&str, &str); 6] = [
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("sysctl", "procps"),
    ("setpriv", "util-linux"),
    ("vsftpd", "vsftpd"),
    ("curl", "curl"),
];

pub(crate) fn run(repository: &Repository, notes: &mut Notes) -> Outcome {
    if !tool::is_root() {
        return Outcome::Skipped("it takes root to set up network namespaces".to_owned());
    }
    for (program, package) in NEEDED {
        if let Err(reason) = tool::debian(program, package) {
            return Outcome::Skipped(reason);
        }
    }
    let mut command = cargo(repository);
    command.args(["test", "--package", "pinhole", "--test", "live"]);
    // One network at a time: a transfer that must time out shall do so for the firewall's sake, not the machine's.
    let only = ["--ignored", "--test-threads", "1"];
    tests::outcome(tests::libtest(&mut command, &only, notes), "live tests")
}
