//! FTP clients in the client's namespace.

use crate::bench::Bench;
use std::fs;
use std::process::{Child, Command, Output};

/// What curl is told, and whether the server is asked over IPv6: every way to agree on a data connection.
pub(crate) const WAYS: [(&str, &[&str], bool); 6] = [
    ("PASV", &["--disable-epsv"], false),
    ("EPSV", &["--ftp-pasv"], false),
    ("PORT", &["-P", "-", "--disable-eprt"], false),
    ("EPRT", &["-P", "-"], false),
    ("EPSV over IPv6", &["--ftp-pasv"], true),
    ("EPRT over IPv6", &["-P", "-"], true),
];

/// Longest that a transfer is waited for, in seconds: one that ought to fail takes as long.
const PATIENCE: &str = "5";

/// A transfer that runs.
pub(crate) struct Transfer {
    child: Child,
    got: std::path::PathBuf,
    expected: std::path::PathBuf,
}

impl Transfer {
    /// Waits for its end. An error says what the client said.
    pub(crate) fn result(self) -> Result<(), String> {
        let Output { status, stderr, .. } = self.child.wait_with_output().unwrap();
        if !status.success() {
            return Err(format!("{status}: {}", String::from_utf8_lossy(&stderr)));
        }
        match fs::read(&self.got) {
            Ok(bytes) if bytes == fs::read(&self.expected).unwrap() => Ok(()),
            Ok(_) => Err("the file is another one".to_owned()),
            Err(error) => Err(format!("no file: {error}")),
        }
    }
}

impl Bench {
    fn transfer(&self, name: &str, mut command: Command, got: std::path::PathBuf) -> Transfer {
        let _ = name;
        command
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::piped());
        Transfer { child: command.spawn().unwrap(), got, expected: self.folder().join("root/pub/f.bin") }
    }

    fn url(&self, six: bool) -> String {
        let [v4, v6] = self.net.service();
        if six { format!("ftp://[{v6}]/pub/f.bin") } else { format!("ftp://{v4}/pub/f.bin") }
    }

    /// Starts to fetch the server's file by curl, which believes what the server says of its address.
    pub(crate) fn start_curl(&self, name: &str, options: &[&str], six: bool) -> Transfer {
        let got = self.folder().join(format!("got {name}"));
        let _ = fs::remove_file(&got);
        let mut curl =
            self.inside("client", &["curl", "-sS", "-g", "--no-ftp-skip-pasv-ip", "-m", PATIENCE, "-o"]);
        curl.arg(&got).args(options).arg(self.url(six));
        self.transfer(name, curl, got)
    }

    /// Fetches the server's file by curl, and compares it.
    pub(crate) fn fetch(&self, options: &[&str], six: bool) -> Result<(), String> {
        self.start_curl("by curl", options, six).result()
    }

    /// Fetches it by lftp.
    pub(crate) fn fetch_by_lftp(&self, passive: bool, six: bool) -> Result<(), String> {
        let got = self.folder().join("got by lftp");
        let _ = fs::remove_file(&got);
        let script = format!(
            "set net:timeout 5; set net:max-retries 1; set ftp:passive-mode {}; set ftp:fix-pasv-address no; set dns:order \"inet6 inet\"; \
             get {} -o {:?}; bye",
            if passive { "on" } else { "off" },
            self.url(six),
            got.display().to_string(),
        );
        let lftp = self.inside("client", &["timeout", "20", "lftp", "--norc", "-c", &script]);
        self.transfer("lftp", lftp, got).result()
    }

    /// Fetches it by tnftp.
    pub(crate) fn fetch_by_tnftp(&self, passive: bool, six: bool) -> Result<(), String> {
        let got = self.folder().join("got by tnftp");
        let _ = fs::remove_file(&got);
        let mode = if passive { "-p" } else { "-A" };
        let url = self.url(six);
        let arguments = ["timeout", "20", "tnftp", "-a", mode, "-V", "-o", got.to_str().unwrap(), &url];
        let tnftp = self.inside("client", &arguments);
        self.transfer("tnftp", tnftp, got.clone()).result()
    }

    /// Starts to fetch a large file at a limited rate.
    pub(crate) fn slow_fetch(&self, options: &[&str], rate: &str) -> Child {
        let mut curl =
            self.inside("client", &["curl", "-sS", "-m", "60", "--limit-rate", rate, "-o", "/dev/null"]);
        let url = self.url(false).replace("f.bin", "large.bin");
        curl.args(options).arg(url).spawn().unwrap()
    }
}
