//! Programs that the toolchain does not bring along: found, or installed where that is possible.

use crate::command::{capture, cargo, succeeds};
use crate::repository::Repository;
use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Looks a program up in `PATH`.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// Whether this process is root.
pub(crate) fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// Makes sure of a cargo subcommand, by `cargo install` where it is missing. `Err` says why it cannot be had.
///
/// Built without optimisation: that halves the wait, and none of these tools runs long.
pub(crate) fn cargo_subcommand(repository: &Repository, package: &str) -> Result<(), String> {
    if find(package).is_some()
        || succeeds(cargo(repository).args([package.trim_start_matches("cargo-"), "--version"]))
    {
        return Ok(());
    }
    let mut install = cargo(repository);
    install.args(["install", "--locked", "--debug", "--quiet", package]);
    let output = capture(&mut install).map_err(|failure| failure.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let reason = text.lines().find(|line| line.starts_with("error")).unwrap_or("no reason given");
    Err(format!("{package} is missing and cannot be installed ({reason})"))
}

/// Programs that set up networks, and the Debian packages that have them.
const NETWORK: [(&str, &str); 5] = [
    ("ip", "iproute2"),
    ("ethtool", "ethtool"),
    ("nft", "nftables"),
    ("sysctl", "procps"),
    ("setpriv", "util-linux"),
];

/// Makes sure of a program (or a file) that Debian packages, by `apt-get` where we are root. `Err` says why it cannot be had.
pub(crate) fn debian(program: &str, package: &str) -> Result<(), String> {
    if find(program).is_some() {
        return Ok(());
    }
    let missing = format!("{program} is missing (Debian package {package})");
    if !is_root() || find("apt-get").is_none() {
        return Err(missing);
    }
    // The list of packages is fetched only if the package is not known: a machine may be offline and have a cache.
    if !install(package) {
        fetch_package_list();
        install(package);
    }
    if find(program).is_some() { Ok(()) } else { Err(format!("{missing} and cannot be installed")) }
}

/// Makes sure of what it takes to set up network namespaces, hosts in them, and a router between.
pub(crate) fn namespaces() -> Result<(), String> {
    if !is_root() {
        return Err("it takes root to set up network namespaces".to_owned());
    }
    NETWORK.iter().try_for_each(|(program, package)| debian(program, package))
}

/// Unpacks a Debian package into a folder of its own name, with the libraries that it needs installed, unless it is there already.
pub(crate) fn unpack(package: &str, folder: &Path) -> Result<(), String> {
    let target = folder.join(package);
    if target.is_dir() {
        return Ok(());
    }
    let failed = |step: &str| format!("{package} cannot be unpacked: {step}");
    let archive = folder.join(format!("{package}.deb"));
    fs::create_dir_all(folder).map_err(|error| failed(&error.to_string()))?;
    if !download(package, folder, &archive) {
        fetch_package_list();
        if !download(package, folder, &archive) {
            return Err(failed("apt-get download"));
        }
    }
    let depends = capture(Command::new("dpkg-deb").arg("--field").arg(&archive).arg("Depends"))
        .map_err(|failure| failed(&failure.to_string()))?;
    let depends = String::from_utf8_lossy(&depends.stdout).into_owned();
    let names = depends.split(',').filter_map(|choice| choice.split_whitespace().next());
    for library in names.filter(|name| name.starts_with("lib")) {
        if !is_installed(library) && !install(library) {
            return Err(failed(library));
        }
    }
    let unpacked = target.with_extension("part");
    if !succeeds(Command::new("dpkg-deb").arg("--extract").arg(&archive).arg(&unpacked)) {
        return Err(failed("dpkg-deb"));
    }
    fs::rename(&unpacked, &target).map_err(|error| failed(&error.to_string()))
}

/// Fetches Debian's list of packages. Without a network, or root, it stays as it is.
pub(crate) fn fetch_package_list() {
    let _ = capture(Command::new("apt-get").args(["update", "--quiet=2"]));
}

fn is_installed(package: &str) -> bool {
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat", "${db:Status-Status}\n", package]).stderr(Stdio::null());
    query.output().is_ok_and(|output| output.stdout.starts_with(b"installed"))
}

/// Downloads a package, under a name that does not tell its version.
fn download(package: &str, folder: &Path, archive: &Path) -> bool {
    let mut command = Command::new("apt-get");
    command.args(["download", "--quiet=2", package]).current_dir(folder);
    let prefix = format!("{package}_");
    let done = capture(&mut command).is_ok_and(|output| output.status.success());
    let Ok(entries) = fs::read_dir(folder) else { return false };
    let found =
        entries.filter_map(Result::ok).find(|entry| entry.file_name().to_string_lossy().starts_with(&prefix));
    done && found.is_some_and(|entry| fs::rename(entry.path(), archive).is_ok())
}

fn install(packages: &str) -> bool {
    let silence = Silence::new();
    let mut command = Command::new("apt-get");
    command.args(["install", "--yes", "--quiet=2", "--no-install-recommends"]).args(packages.split(' '));
    let output = capture(command.env("DEBIAN_FRONTEND", "noninteractive"));
    drop(silence);
    output.is_ok_and(|output| output.status.success())
}

/// While it lives, packages that are installed start no service: whoever tests must not open ports on the machine.
struct Silence(Option<&'static Path>);

impl Silence {
    fn new() -> Self {
        let policy = Path::new("/usr/sbin/policy-rc.d");
        let is_ours = !policy.exists()
            && fs::write(policy, "#!/bin/sh\nexit 101\n").is_ok()
            && fs::set_permissions(policy, fs::Permissions::from_mode(0o755)).is_ok();
        Self(is_ours.then_some(policy))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        if let Some(policy) = self.0 {
            let _ = fs::remove_file(policy);
        }
    }
}
