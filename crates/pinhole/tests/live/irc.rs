//! IRC through the router: irssi behind `pg0` sends files and chats to one at the server's side, past the server, in every topology.

use crate::bench::{Bench, ControlOnly, Net, missing};
use crate::servers::Server;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

const IRC: ControlOnly<'_> = ControlOnly { helper: "irc", protocol: "tcp", port: 6667, attached: true };

/// Longest that a file which ought to come is waited for.
const PATIENCE: Duration = Duration::from_secs(8);

/// How long one is waited for which ought not to come.
const SHORT: Duration = Duration::from_secs(3);

/// irssi in a terminal of its own.
struct Irssi {
    terminal: String,
}

impl Irssi {
    fn start(bench: &Bench, role: &str, nick: &str, server: &str) -> Self {
        let home = bench.folder().join(nick);
        fs::create_dir_all(&home).unwrap();
        let startup = format!(
            "/set dcc_autoget on\n/set dcc_autoget_lowports on\n/set dcc_download_path {}\n/set dcc_autochat_masks *\n",
            home.display()
        );
        fs::write(home.join("startup"), startup).unwrap();
        let irssi = Self { terminal: format!("{}-{nick}", bench.space(role)) };
        let program = format!("TERM=xterm irssi --home={} -c {server} -n {nick}", home.display());
        let status = bench
            .inside(
                role,
                &["tmux", "-L", &irssi.terminal, "new-session", "-d", "-x", "150", "-y", "40", &program],
            )
            .status()
            .unwrap();
        assert!(status.success());
        assert!(irssi.shows(&format!("{nick}(+"), PATIENCE), "{nick} is not welcome: {}", irssi.screen());
        irssi
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux").args(["-L", &self.terminal]).args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn types(&self, line: &str) {
        self.tmux(&["send-keys", "-l", line]);
        self.tmux(&["send-keys", "Enter"]);
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Whether a text comes up in time.
    fn shows(&self, text: &str, patience: Duration) -> bool {
        wait_for(patience, || self.screen().contains(text))
    }
}

impl Drop for Irssi {
    fn drop(&mut self) {
        self.types("/quit");
        wait_for(SHORT, || self.screen().is_empty());
        self.tmux(&["kill-server"]);
    }
}

fn wait_for(patience: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while start.elapsed() < patience {
        if condition() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    false
}

/// A file to be sent, and where it arrives.
fn file(bench: &Bench) -> [PathBuf; 2] {
    let sent = bench.folder().join("dcc.bin");
    let bytes: Vec<u8> = (0..30_000u32).map(|n| ((n * n) >> 5) as u8).collect();
    fs::write(&sent, bytes).unwrap();
    [sent, bench.folder().join("bob/dcc.bin")]
}

/// Sends a file, and if it arrives chats. Returns whether that worked.
fn talk(bench: &Bench, patience: Duration) -> bool {
    let _server = Server::ngircd(bench);
    let [sent, got] = file(bench);
    let _ = fs::remove_file(&got);
    let bob = Irssi::start(bench, "server", "bob", bench.net.server()[0]);
    let alice = Irssi::start(bench, "client", "alice", bench.net.service()[0]);
    alice.types(&format!("/dcc send bob {}", sent.display()));
    let same = || fs::read(&got).is_ok_and(|bytes| bytes == fs::read(&sent).unwrap());
    if !wait_for(patience, same) {
        return false;
    }
    alice.types("/dcc chat bob");
    assert!(alice.shows("DCC CHAT connection with bob", patience), "{}", alice.screen());
    alice.types("/msg =bob what only bob shall read");
    bob.types("/query =alice");
    assert!(bob.shows("what only bob shall read", patience), "{}", bob.screen());
    true
}

#[test]
#[ignore = "takes root and network namespaces"]
fn files_and_chats_reach_the_other_side() {
    if missing(&["ngircd", "irssi", "tmux"]) {
        return;
    }
    for net in Net::ROUTED {
        let bench = Bench::with("i", net);
        let gateway = bench.gateway(&IRC.rules(net));
        assert!(talk(&bench, PATIENCE), "{net:?}: {}", gateway.ask(&["explain", "tcp"]));
        assert_eq!(gateway.statistics()["expectations_fulfilled"], 2, "{net:?}");
        drop(gateway);

        let gateway = bench.gateway(&ControlOnly { attached: false, ..IRC }.rules(net));
        assert!(!talk(&bench, SHORT), "{net:?} without the helper");
        // Behind masquerade the other side knows no way to the client, and does not even try.
        let story = gateway.ask(&["explain", "tcp"]);
        assert!(story.contains("drop") || net.masquerades(), "{net:?}: {story}");
        drop(gateway);

        if net.masquerades() {
            let gateway = bench.gateway_with(&IRC.rules(net), "[helpers]\nnat = []\n");
            assert!(!talk(&bench, SHORT), "{net:?} without the NAT helper");
            let story = gateway.ask(&["explain", "tcp"]);
            assert!(story.contains("NAT helper irc is not loaded"), "{story}");
        }
    }
}
