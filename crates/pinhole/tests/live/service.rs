//! The unit of `packaging/`, run by a real systemd that is the first process of namespaces of its own.

use crate::bench::missing;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const SYSTEMD: &str = "/usr/lib/systemd/systemd";

/// How long it may take until something is so.
const PATIENCE: Duration = Duration::from_secs(10);

/// `WatchdogSec` of the unit, and what it takes to start again.
const WATCHDOG: Duration = Duration::from_secs(20);

/// What belongs to the unit, at the places that it names, in mounts that nobody else sees; two ports; then systemd, with nothing but the unit to start.
const BOOT: &str = r#"set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system/pinhole.service.d
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs tmpfs /var/lib
mount --bind "$FOLDER" /etc/pinhole
mount --bind "$PROGRAM" /usr/bin/pinhole
for n in 0 1; do
    ip link add pg$n type veth peer name far$n
    ip link set pg$n up
    ip link set far$n up
    ip address add 10.9$n.0.1/24 dev pg$n
done
cp "$FOLDER/pinhole.service" /run/systemd/system/
printf '[Unit]\nDefaultDependencies=no\n[Service]\nStandardOutput=file:/run/told\nStandardError=append:/run/told\n' > /run/systemd/system/pinhole.service.d/test.conf
exec env container=other "$SYSTEMD" --system --unit=pinhole.service --log-target=null --show-status=no
"#;

/// A file or folder that is made if it is not there, and then removed.
struct Place(Option<PathBuf>);

impl Place {
    fn of(path: &str, make: impl Fn(&Path) -> std::io::Result<()>) -> Self {
        let path = PathBuf::from(path);
        if path.exists() {
            return Self(None);
        }
        make(&path).unwrap();
        Self(Some(path))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _ = fs::remove_dir(path).or_else(|_| fs::remove_file(path));
        }
    }
}

/// A machine of one service.
struct Machine {
    unshare: Child,
    first: String,
    _folder: TempDir,
    _places: [Place; 2],
}

impl Machine {
    /// `None`: systemd does not run here.
    fn boot(config: &str) -> Option<Self> {
        let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging");
        let folder = TempDir::with_prefix("pinhole-service").unwrap();
        for name in ["pinhole.service", "fw.nft"] {
            fs::copy(packaging.join(name), folder.path().join(name)).unwrap();
        }
        fs::write(folder.path().join("pinhole.toml"), config).unwrap();
        let places = [
            Place::of("/etc/pinhole", |path| fs::create_dir(path)),
            Place::of("/usr/bin/pinhole", |path| fs::write(path, "")),
        ];
        let mut command = Command::new("unshare");
        command.args([
            "--pid",
            "--fork",
            "--kill-child",
            "--mount",
            "--mount-proc",
            "--cgroup",
            "--net",
            "--ipc",
            "--uts",
        ]);
        command.args(["sh", "-c", BOOT]).env("FOLDER", folder.path()).env("SYSTEMD", SYSTEMD);
        let unshare =
            command.env("PROGRAM", env!("CARGO_BIN_EXE_pinhole")).stdin(Stdio::null()).spawn().unwrap();
        let children = format!("/proc/{0}/task/{0}/children", unshare.id());
        let mut machine = Self { unshare, first: String::new(), _folder: folder, _places: places };
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            machine.first = fs::read_to_string(&children).unwrap_or_default().trim().to_owned();
            let state = machine.first.parse::<u32>().ok().map(|_| machine.show("ActiveState"));
            if state.is_some_and(|state| !state.is_empty()) {
                return Some(machine);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        None
    }

    fn inside(&self, arguments: &[&str]) -> (bool, String) {
        let output =
            Command::new("nsenter").args(["-t", &self.first, "-a"]).args(arguments).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    fn show(&self, property: &str) -> String {
        self.inside(&["systemctl", "show", "pinhole", "--value", "-p", property]).1
    }

    #[track_caller]
    fn order(&self, verb: &str) {
        assert!(self.inside(&["systemctl", verb, "pinhole"]).0, "{verb}: {}", self.told());
    }

    fn told(&self) -> String {
        self.inside(&["cat", "/run/told"]).1
    }

    #[track_caller]
    fn await_property(&self, property: &str, value: &str, patience: Duration) {
        let begun = Instant::now();
        while self.show(property) != value {
            assert!(begun.elapsed() < patience, "{property}={}: {}", self.show(property), self.told());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-KILL", &self.first]).status();
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
    }
}

#[test]
#[ignore = "takes root and network namespaces"]
fn systemd_starts_reloads_watches_and_stops_it() {
    if missing(&["systemctl", "unshare", "nsenter"]) || !Path::new(SYSTEMD).exists() {
        eprintln!("SKIPPED: systemd is not installed");
        return;
    }
    for mode in ["bridge", "router"] {
        let config = format!(
            "mode = \"{mode}\"\nports = [\"pg0\", \"pg1\"]\nrules = \"fw.nft\"\ncontrol = \"/run/pinhole/control.sock\"\n[state]\nfile = \"/var/lib/pinhole/state\"\n"
        );
        let Some(machine) = Machine::boot(&config) else {
            eprintln!("SKIPPED: systemd does not come up in namespaces of its own here");
            return;
        };
        machine.await_property("ActiveState", "active", PATIENCE);
        assert_eq!(machine.show("StatusText"), format!("{mode} pg0 - pg1"), "what it has told systemd");
        assert_eq!(machine.show("NRestarts"), "0", "{}", machine.told());
        // All that is demanded is to be had within the unit's bounds.
        assert!(!machine.told().contains("the kernel carries no packets"), "{}", machine.told());
        let (answered, statistics) =
            machine.inside(&["pinhole", "stats", "--json", "--socket", "/run/pinhole/control.sock"]);
        assert!(answered && statistics.contains("\"type\":\"stats\""), "{statistics}");
        let capabilities =
            machine.inside(&["grep", "CapEff", &format!("/proc/{}/status", machine.show("MainPID"))]).1;
        assert!(capabilities.ends_with("0000000000003000"), "{capabilities}");

        machine.order("reload");
        let begun = Instant::now();
        while !machine.told().contains("the ruleset is in force") {
            assert!(begun.elapsed() < PATIENCE, "{}", machine.told());
            std::thread::sleep(Duration::from_millis(50));
        }

        if mode == "bridge" {
            // Who does not go round any more is put out of its misery, and begins anew.
            assert!(machine.inside(&["kill", "-STOP", &machine.show("MainPID")]).0);
            machine.await_property("NRestarts", "1", WATCHDOG);
            machine.await_property("ActiveState", "active", PATIENCE);
        }

        let begun = Instant::now();
        machine.order("stop");
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        assert_eq!(
            (machine.show("ActiveState"), machine.show("Result")),
            ("inactive".into(), "success".into())
        );
        assert!(machine.inside(&["test", "-s", "/var/lib/pinhole/state"]).0, "{}", machine.told());
    }
}
