//! Servers in the server's namespace.

use crate::bench::Bench;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};

/// A server that runs; it ends with this.
pub(crate) struct Server(Child);

/// Programs that cannot be installed beside each other: `cargo xtask test` unpacks their Debian packages here.
pub(crate) fn unpacked(program: &str) -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os("PINHOLE_PEERS")?).join(program);
    path.exists().then_some(path)
}

impl Server {
    fn start(bench: &Bench, port: u16, arguments: &[&str]) -> Self {
        let mut command = bench.inside("server", arguments);
        let server =
            Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        bench.await_listener("server", port);
        server
    }

    /// A script that listens on a port.
    pub(crate) fn python(bench: &Bench, port: u16, script: &std::path::Path) -> Self {
        Self::start(bench, port, &["python3", script.to_str().unwrap()])
    }

    /// A small and a large file for anonymous users of FTP.
    pub(crate) fn files(bench: &Bench) -> PathBuf {
        let root = bench.folder().join("root");
        fs::create_dir_all(root.join("pub")).unwrap();
        let bytes: Vec<u8> = (0..20_000u32).map(|n| ((n * n) >> 3) as u8).collect();
        fs::write(root.join("pub/f.bin"), &bytes).unwrap();
        fs::write(root.join("pub/large.bin"), bytes.repeat(300)).unwrap();
        root
    }

    pub(crate) fn vsftpd(bench: &Bench) -> Self {
        Self::vsftpd_with(bench, "")
    }

    /// One that sends at most two megabytes a second: a client's own limit lets much through at once.
    pub(crate) fn paced_vsftpd(bench: &Bench) -> Self {
        Self::vsftpd_with(bench, "anon_max_rate=2000000\n")
    }

    fn vsftpd_with(bench: &Bench, more: &str) -> Self {
        let root = Self::files(bench);
        let config = bench.write("vsftpd.conf", &format!(
            "listen=NO\nlisten_ipv6=YES\nanonymous_enable=YES\nno_anon_password=YES\nanon_root={}\nwrite_enable=NO\n\
             port_enable=YES\npasv_enable=YES\nconnect_from_port_20=YES\nseccomp_sandbox=NO\nbackground=NO\n\
             secure_chroot_dir=/var/run/vsftpd/empty\n{more}",
            root.display()
        ));
        fs::create_dir_all("/var/run/vsftpd/empty").unwrap();
        Self::start(bench, 21, &["vsftpd", config.to_str().unwrap()])
    }

    /// `None`: its package is not unpacked.
    pub(crate) fn pure_ftpd(bench: &Bench) -> Option<Self> {
        let program = unpacked("pure-ftpd/usr/sbin/pure-ftpd")?;
        let root = Self::files(bench);
        // Anonymous users get the home of the user ftp, here another one: `ip netns exec` has mounts of its own.
        let script = format!(
            "mkdir -p /srv/ftp && mount --bind {} /srv/ftp && exec {} -e -i -H -S 21",
            root.display(),
            program.display()
        );
        Some(Self::start(bench, 21, &["sh", "-c", &script]))
    }

    /// `None`: its package is not unpacked.
    pub(crate) fn proftpd(bench: &Bench) -> Option<Self> {
        let program = unpacked("proftpd-core/usr/sbin/proftpd")?;
        let root = Self::files(bench);
        let folder = bench.folder().display();
        let config = bench.write("proftpd.conf", &format!(
            "ServerName test\nServerType standalone\nDefaultServer on\nPort 21\nUseIPv6 on\nUseReverseDNS off\n\
             User ftp\nGroup nogroup\nPidFile {folder}/proftpd.pid\nScoreboardFile {folder}/scoreboard\nWtmpLog off\n\
             TransferLog none\nSystemLog none\n<Anonymous {}>\n User ftp\n Group nogroup\n UserAlias anonymous ftp\n RequireValidShell off\n\
             </Anonymous>\n",
            root.display()
        ));
        Some(Self::start(bench, 21, &[program.to_str().unwrap(), "-n", "-c", config.to_str().unwrap()]))
    }
}

impl Server {
    pub(crate) fn ngircd(bench: &Bench) -> Self {
        let config = bench.write(
            "ngircd.conf",
            "[Global]\nName = irc.test.local\nInfo = test\nPorts = 6667\nServerGID = irc\nServerUID = irc\nMotdPhrase = hello\n\
             [Options]\nDNS = no\nIdent = no\nPAM = no\n",
        );
        Self::start(bench, 6667, &["ngircd", "-n", "-f", config.to_str().unwrap()])
    }
}

impl Server {
    /// A STUN server with two addresses, as RFC 5780 takes it.
    pub(crate) fn turn(bench: &Bench) -> Self {
        let pid = bench.folder().join("turn.pid");
        let arguments = [
            "turnserver",
            "-n",
            "-S",
            "-L",
            "10.2.0.2",
            "-L",
            "10.2.0.3",
            "--no-tls",
            "--no-dtls",
            "--no-cli",
        ];
        let more = ["--log-file", "stdout", "--pidfile", pid.to_str().unwrap()];
        Self::start(bench, 3478, &[&arguments[..], &more].concat())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
