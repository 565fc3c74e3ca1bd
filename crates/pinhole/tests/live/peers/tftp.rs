//! TFTP: tftpd-hpa and atftpd, asked by tftp-hpa and atftp; reads and writes, options, IPv4 and IPv6.

use super::uses::{Host, Use, await_receiver, check, client, folder, in_topologies, same};
use crate::bench::{Bench, ControlOnly, Net, missing};
use crate::servers::{Server, unpacked};
use std::fs;
use std::path::Path;

const TFTP: ControlOnly<'_> = ControlOnly { helper: "tftp", protocol: "udp", port: 69, attached: true };
/// Seconds that a transfer may take.
const PATIENCE: u32 = 4;

/// What is done in a folder of the client's.
type Transfer<'a> = Box<dyn Fn(&Path) -> Result<(), String> + Sync + 'a>;

/// Reads by the client of tftp-hpa, and by atftp with these options; writes by tftp-hpa.
fn uses<'a>(bench: &'a Bench, root: &'a Path, is_dual: bool) -> Vec<Use<'a>> {
    let masquerades = bench.net.masquerades();
    let one = |name: String, run: Transfer<'a>| {
        let place = folder(bench, &name);
        let run = Box::new(move |_: &_| {
            let _ = fs::remove_file(place.join("f.bin"));
            run(&place)
        });
        Use { name, needs_nat_half: masquerades, run }
    };
    let mut uses = Vec::new();
    for (version, service) in
        ["IPv4", "IPv6"].into_iter().zip(bench.net.service()).take(if is_dual { 2 } else { 1 })
    {
        uses.push(one(
            format!("tftp-hpa reads, {version}"),
            Box::new(move |place| {
                client(bench, PATIENCE, place, &["tftp", "-m", "binary", service, "-c", "get", "f.bin"])?;
                same(&place.join("f.bin"), &root.join("f.bin"))
            }),
        ));
        uses.push(one(
            format!("tftp-hpa writes, {version}"),
            Box::new(move |place| {
                let name = format!("sent-{version}.bin");
                fs::copy(root.join("f.bin"), place.join(&name)).unwrap();
                let _ = fs::remove_file(root.join(&name));
                client(bench, PATIENCE, place, &["tftp", "-m", "binary", service, "-c", "put", &name])?;
                same(&root.join(&name), &root.join("f.bin"))
            }),
        ));
        for options in [&[][..], &["blksize 1400", "tsize 0"], &["windowsize 8", "blksize 1000"]] {
            uses.push(one(
                format!("atftp reads, {version}, {options:?}"),
                Box::new(move |place| {
                    let mut words = vec!["atftp"];
                    words.extend(options.iter().flat_map(|option| ["--option", option]));
                    words.extend(["--get", "--remote-file", "f.bin", "--local-file", "f.bin", service, "69"]);
                    client(bench, PATIENCE, place, &words)?;
                    same(&place.join("f.bin"), &root.join("f.bin"))
                }),
            ));
        }
    }
    uses
}

#[test]
#[ignore = "takes root and network namespaces"]
fn tftpd_hpa_in_every_topology() {
    if missing(&["in.tftpd", "tftp", "atftp"]) {
        return;
    }
    in_topologies(&Net::ROUTED, |net| {
        let bench = Bench::with(&format!("tftp-{net:?}"), net);
        let host = Host::new(&bench, "server");
        let root = folder(&bench, "tftp");
        fs::copy(Server::files(&bench).join("pub/f.bin"), root.join("f.bin")).unwrap();
        let path = root.to_str().unwrap();
        host.start("tftpd", &["in.tftpd", "-L", "--secure", "--create", "--user", "nobody", path]);
        await_receiver(&bench, "server", 69);
        check(&bench, TFTP, "udp", &uses(&bench, &root, true));
    });
}

#[test]
#[ignore = "takes root and network namespaces"]
fn atftpd_in_every_topology() {
    if missing(&["tftp", "atftp"]) {
        return;
    }
    let Some(atftpd) = unpacked("atftpd/usr/sbin/atftpd") else {
        eprintln!("SKIPPED: atftpd is not unpacked (PINHOLE_PEERS)");
        return;
    };
    in_topologies(&[Net::Plain, Net::Both], |net| {
        let bench = Bench::with(&format!("atftp-{net:?}"), net);
        let host = Host::new(&bench, "server");
        let root = folder(&bench, "tftp");
        fs::copy(Server::files(&bench).join("pub/f.bin"), root.join("f.bin")).unwrap();
        let [program, path] = [&atftpd, &root].map(|path| path.to_str().unwrap());
        let arguments = ["--daemon", "--no-fork", "--logfile", "-", "--user", "nobody.nogroup", path];
        host.start("atftpd", &[&[program][..], &arguments].concat());
        await_receiver(&bench, "server", 69);
        check(&bench, TFTP, "udp", &uses(&bench, &root, false));
    });
}
