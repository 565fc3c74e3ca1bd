//! Three namespaces and what runs in them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longest that a transfer which ought to fail is waited for, in seconds.
const PATIENCE: &str = "5";

/// Says what is missing for a test.
pub(crate) fn missing(programs: &[&str]) -> bool {
    let found = |program: &&&str| {
        let there = |folder: &str| PathBuf::from(folder).join(program).exists();
        !["/usr/sbin", "/usr/bin", "/sbin", "/bin"].into_iter().any(there)
    };
    let lacking: Vec<&str> = programs.iter().filter(found).copied().collect();
    if !lacking.is_empty() {
        eprintln!("SKIPPED: {} not installed", lacking.join(", "));
    }
    !lacking.is_empty()
}

/// A client (10.9.0.1, fd09::1), a gateway with ports pg0 and pg1, and a server (10.9.0.2, fd09::2) on one network.
pub(crate) struct Bench {
    name: String,
    folder: TempDir,
}

impl Bench {
    pub(crate) fn new(name: &str) -> Self {
        let name = format!("pinhole-{}-{name}", std::process::id());
        let bench = Self { name, folder: tempfile::Builder::new().prefix("pinhole-live").tempdir().unwrap() };
        // The server's files are read by a user of its own.
        command(&["chmod", "755", bench.folder.path().to_str().unwrap()]);
        for role in ["client", "gateway", "server"] {
            command(&["ip", "netns", "add", &bench.space(role)]);
            bench.run(role, &["ip", "link", "set", "lo", "up"]);
        }
        for (role, port, number) in [("client", "pg0", 1), ("server", "pg1", 2)] {
            let (near, far) = (bench.space("gateway"), bench.space(role));
            command(&[
                "ip", "link", "add", port, "netns", &near, "type", "veth", "peer", "name", "eth0", "netns",
                &far,
            ]);
            bench.run("gateway", &["sysctl", "-qw", &format!("net.ipv6.conf.{port}.disable_ipv6=1")]);
            bench.run("gateway", &["ip", "link", "set", port, "up"]);
            bench.run(role, &["ip", "addr", "add", &format!("10.9.0.{number}/24"), "dev", "eth0"]);
            bench.run(role, &["ip", "addr", "add", &format!("fd09::{number}/64"), "dev", "eth0", "nodad"]);
            bench.run(role, &["ip", "link", "set", "eth0", "up"]);
        }
        bench
    }

    fn space(&self, role: &str) -> String {
        format!("{}-{role}", self.name)
    }

    fn inside(&self, role: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.space(role)]).args(arguments);
        command
    }

    /// Runs a program in a namespace, which must succeed.
    #[track_caller]
    pub(crate) fn run(&self, role: &str, arguments: &[&str]) {
        let output = self.inside(role, arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Starts `pinhole run` with these rules, and waits until it runs.
    pub(crate) fn gateway(&self, rules: &str) -> Gateway {
        let (rules_file, config) =
            (self.folder.path().join("fw.nft"), self.folder.path().join("pinhole.toml"));
        let socket = self.folder.path().join("control.sock");
        fs::write(&rules_file, rules).unwrap();
        let text = format!("ports = [\"pg0\", \"pg1\"]\nrules = \"fw.nft\"\ncontrol = {socket:?}\n");
        fs::write(&config, text).unwrap();
        let mut child = self
            .inside("gateway", &[env!("CARGO_BIN_EXE_pinhole"), "run", "--config", config.to_str().unwrap()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        assert!(first.contains("running"), "{first}");
        Gateway { child, socket }
    }

    /// Whether a host answers the client: by refusing a connection to a port where nobody listens.
    pub(crate) fn reaches(&self, address: &str) -> bool {
        const REFUSED: i32 = 7;
        let url = format!("http://{address}:9/");
        // Sooner than address resolution gives up, which curl reports alike.
        let status = self.inside("client", &["curl", "-s", "-m", "2", &url]).status().unwrap();
        status.code() == Some(REFUSED)
    }

    /// Fetches the server's file by FTP, and compares it.
    pub(crate) fn fetch(&self, options: &[&str], six: bool) -> Result<(), String> {
        let got = self.folder.path().join("got");
        let _ = fs::remove_file(&got);
        let url = if six { "ftp://[fd09::2]/pub/f.bin" } else { "ftp://10.9.0.2/pub/f.bin" };
        let mut curl =
            self.inside("client", &["curl", "-sS", "-g", "-m", PATIENCE, "-o", got.to_str().unwrap()]);
        let output = curl.args(options).arg(url).output().unwrap();
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let same = fs::read(got).unwrap() == fs::read(self.folder.path().join("root/pub/f.bin")).unwrap();
        if same { Ok(()) } else { Err("the file is another one".to_owned()) }
    }

    /// Starts to fetch a large file at a limited rate.
    pub(crate) fn slow_fetch(&self, options: &[&str], rate: &str) -> Child {
        let mut curl =
            self.inside("client", &["curl", "-sS", "-m", "60", "--limit-rate", rate, "-o", "/dev/null"]);
        curl.args(options).arg("ftp://10.9.0.2/pub/large.bin").spawn().unwrap()
    }

    /// What a user without rights is told at the control socket.
    pub(crate) fn ask_as_nobody(&self, gateway: &Gateway) -> String {
        let binary = self.folder.path().join("pinhole");
        fs::copy(env!("CARGO_BIN_EXE_pinhole"), &binary).unwrap();
        let output = Command::new("setpriv")
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
            .arg(binary)
            .args(["flush", "--socket"])
            .arg(&gateway.socket)
            .output()
            .unwrap();
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        for role in ["client", "gateway", "server"] {
            let _ = Command::new("ip").args(["netns", "del", &self.space(role)]).status();
        }
    }
}

#[track_caller]
fn command(words: &[&str]) {
    let (program, arguments) = words.split_first().unwrap();
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A gateway that runs.
pub(crate) struct Gateway {
    child: Child,
    socket: PathBuf,
}

impl Gateway {
    /// What a command on the control socket writes.
    #[track_caller]
    pub(crate) fn ask(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pinhole"));
        let output = command.args(arguments).arg("--socket").arg(&self.socket).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Stops it with SIGTERM; it must end well.
    pub(crate) fn stop(mut self) {
        assert!(self.terminate());
    }

    fn terminate(&mut self) -> bool {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        self.child.wait().is_ok_and(|status| status.success())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.terminate();
        }
    }
}

/// A server in the server's namespace.
pub(crate) struct Server(Child);

impl Server {
    /// vsftpd, with a small and a large file for anonymous users.
    pub(crate) fn vsftpd(bench: &Bench) -> Self {
        let folder = bench.folder.path();
        let root = folder.join("root");
        fs::create_dir_all(root.join("pub")).unwrap();
        let bytes: Vec<u8> = (0..20_000u32).map(|n| ((n * n) >> 3) as u8).collect();
        fs::write(root.join("pub/f.bin"), &bytes).unwrap();
        fs::write(root.join("pub/large.bin"), bytes.repeat(300)).unwrap();
        let config = folder.join("vsftpd.conf");
        let text = format!(
            "listen=NO\nlisten_ipv6=YES\nanonymous_enable=YES\nno_anon_password=YES\nanon_root={}\nwrite_enable=NO\n\
             port_enable=YES\npasv_enable=YES\nconnect_from_port_20=YES\nseccomp_sandbox=NO\nbackground=NO\n\
             secure_chroot_dir=/var/run/vsftpd/empty\n",
            root.display()
        );
        fs::write(&config, text).unwrap();
        fs::create_dir_all("/var/run/vsftpd/empty").unwrap();
        let server = Self(bench.inside("server", &["vsftpd", config.to_str().unwrap()]).spawn().unwrap());
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(5) {
            let output = bench.inside("server", &["ss", "-Hlnt", "sport", "=", ":21"]).output().unwrap();
            if !output.stdout.is_empty() {
                return server;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("vsftpd does not listen");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
