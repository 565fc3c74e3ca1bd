//! Real clients and servers through `pinhole run`, in network namespaces.

use super::tests;
use crate::command::{WORKSPACE, cargo};
use crate::repository::Repository;
use crate::stage::{Notes, Outcome};
use crate::tool;

/// Programs, and the Debian packages that have them.
const NEEDED: [(&str, &str); 9] = [
    ("vsftpd", "vsftpd"),
    ("curl", "curl"),
    ("lftp", "lftp"),
    ("tnftp", "tnftp"),
    ("ngircd", "ngircd"),
    ("irssi", "irssi"),
    ("tmux", "tmux"),
    ("python3", "python3"),
    ("turnserver", "coturn"),
];

/// Peers, and the Debian packages that they take; tests of those that cannot be had are skipped.
const PEERS: [(&str, &str); 18] = [
    ("talk", "talk"),
    ("in.ntalkd", "talkd"),
    ("inetd", "openbsd-inetd"),
    ("in.tftpd", "tftpd-hpa"),
    ("tftp", "tftp-hpa"),
    ("atftp", "atftp"),
    ("scanimage", "sane-utils"),
    ("pptpd", "pptpd"),
    ("pptp", "pptp-linux"),
    ("sipp", "sip-tester"),
    ("kamailio", "kamailio"),
    ("baresip", "baresip-core"),
    ("ffmpeg", "ffmpeg"),
    (
        "/usr/share/doc/gir1.2-gst-rtsp-server-1.0/copyright",
        "gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-base gstreamer1.0-plugins-good",
    ),
    ("nmbd", "samba"),
    ("snmpd", "snmpd"),
    ("snmptrapd", "snmptrapd snmp"),
    ("/usr/lib/amanda/amandad", "amanda-client amanda-server"),
];

/// Packages that cannot be installed beside others, or are not to be: they are unpacked, where `PINHOLE_PEERS` says.
const UNPACKED: [&str; 4] = ["pure-ftpd", "proftpd-core", "atftpd", "cups"];

pub(crate) fn run(repository: &Repository, notes: &mut Notes) -> Outcome {
    if let Err(reason) = tool::namespaces() {
        return Outcome::Skipped(reason);
    }
    for (program, package) in NEEDED {
        if let Err(reason) = tool::debian(program, package) {
            return Outcome::Skipped(reason);
        }
    }
    for (program, packages) in PEERS {
        if let Err(reason) = tool::debian(program, packages) {
            notes.skipped(reason);
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
    // As the stage of all tests built it.
    command.arg("test").args(WORKSPACE).args(["--test", "live"]);
    // One network at a time: a transfer that must time out shall do so for the firewall's sake, not the machine's.
    let only = ["--ignored", "--test-threads", "1"];
    tests::outcome(tests::libtest(&mut command, &only, notes), "live tests")
}
