//! Amanda: amandad under inetd dumps a folder for amservice. By `bsd` each stream has a conn of its own, by `bsdudp` all share the first.

use super::uses::{Host, Use, await_receiver, check, client, folder, in_topologies};
use crate::bench::{Bench, ControlOnly, Net, missing};
use std::fs;
use std::path::Path;
use std::process::Command;

const AMANDA: ControlOnly<'_> =
    ControlOnly { helper: "amanda", protocol: "udp", port: 10080, attached: true };

const DAEMON: &str = "/usr/lib/amanda/amandad";

/// Both hosts know themselves and each other, and the service, by files of their own: `ip netns exec` has mounts of its own.
fn mounts(bench: &Bench, role: &str, server: &str) -> String {
    let hosts = format!("10.1.0.2 asker\n10.2.0.1 asker\n{server} keeper\n127.0.0.1 localhost\n");
    let hosts = bench.write(&format!("hosts.{role}"), &hosts);
    let services = bench.write("services", "amanda 10080/udp\n");
    format!(
        "mount --bind {} /etc/hosts && mount --bind {} /etc/services",
        hosts.display(),
        services.display()
    )
}

/// Asks for a dump, and looks for the dumped file's bytes in it.
fn dump(bench: &Bench, auth: &str) -> Result<(), String> {
    let request = format!(
        "<dle>\n <program>GNUTAR</program>\n <disk>{}</disk>\n <level>0</level>\n <auth>{auth}</auth>\n <index>YES</index>\n</dle>\n",
        bench.folder().join("root").display()
    );
    bench.write("request", &request);
    // The streams are descriptors of amservice's; the one that it reads from must not end before the dump does.
    let script = format!(
        "{} && exec amservice -f request --stream DATA,10,11 --stream MESG,10,12 --stream INDEX,10,13 --stream STATE,10,14 keeper {auth} \
         sendbackup 10< <(exec sleep 2) 11>dump.tar 12>messages 13>index 14>state",
        mounts(bench, "client", bench.net.service()[0])
    );
    let _ = fs::remove_file(bench.folder().join("dump.tar"));
    let told = client(bench, 5, bench.folder(), &["bash", "-c", &script]);
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--to-stdout", "--file"]).arg(bench.folder().join("dump.tar"));
    let output = tar.arg("./pub/f.bin").output().unwrap();
    let expected = fs::read(bench.folder().join("root/pub/f.bin")).unwrap();
    if output.stdout == expected { Ok(()) } else { Err(format!("{told:?}, {} bytes", output.stdout.len())) }
}

fn by(auth: &str, nets: &[Net]) {
    if missing(&["amservice", "inetd"]) {
        return;
    }
    if !Path::new(DAEMON).exists() {
        eprintln!("SKIPPED: amanda-client is not installed");
        return;
    }
    in_topologies(nets, |net| {
        let bench = Bench::with(&format!("{auth}-{net:?}"), net);
        let (host, _client) = (Host::new(&bench, "server"), Host::new(&bench, "client"));
        crate::servers::Server::files(&bench);
        let home = folder(&bench, "home");
        let allowed = home.join(".amandahosts");
        fs::write(&allowed, "asker root amdump\nasker backup amdump\n").unwrap();
        for (program, mode, path) in
            [("chown", "backup", &home), ("chown", "backup", &allowed), ("chmod", "600", &allowed)]
        {
            assert!(Command::new(program).arg(mode).arg(path).status().unwrap().success());
        }
        let service = format!("amanda dgram udp wait backup {DAEMON} amandad -auth={auth} amdump\n");
        let service = bench.write("inetd.conf", &service);
        let script = format!(
            "{} && mount --bind {} \"$(getent passwd backup | cut -d: -f6)\" && exec inetd -i {}",
            mounts(&bench, "server", net.server()[0]),
            Path::new(&home).display(),
            service.display()
        );
        host.start("inetd", &["sh", "-c", &script]);
        await_receiver(&bench, "server", 10080);
        let run = Box::new(|_: &_| dump(&bench, auth));
        check(
            &bench,
            AMANDA,
            "tcp",
            &[Use { name: "dump".to_owned(), needs_nat_half: net.forwards_ports(), run }],
        );
    });
}

#[test]
#[ignore = "takes root and network namespaces"]
fn a_dump_with_streams_of_their_own() {
    by("bsd", &Net::ROUTED);
}

#[test]
#[ignore = "takes root and network namespaces"]
fn a_dump_with_streams_in_one() {
    by("bsdudp", &[Net::Plain, Net::Both]);
}
