//! FTP through the router: every way to agree on a data connection, in every topology, with and without the helper's two halves.

use crate::bench::{Bench, ControlOnly, Net, missing};
use crate::ftp_clients::WAYS;
use crate::servers::Server;

const FTP: ControlOnly<'_> = ControlOnly { helper: "ftp", protocol: "tcp", port: 21, attached: true };

/// Whether an announcement of this way must be rewritten for the transfer to work: that of a translated end.
fn needs_nat_helper(net: Net, way: &str) -> bool {
    let active = way.starts_with("PORT") || way.starts_with("EPRT");
    if active { net.masquerades() } else { net.forwards_ports() }
}

/// All transfers that curl can agree on, at the same time: those that fail do so for want of an answer.
fn fetch_all(bench: &Bench) -> Vec<(&'static str, Result<(), String>)> {
    let running: Vec<_> =
        WAYS.iter().map(|(name, options, six)| (*name, bench.start_curl(name, options, *six))).collect();
    running.into_iter().map(|(name, transfer)| (name, transfer.result())).collect()
}

fn check_with_helper(net: Net, bench: &Bench, server: &str) {
    let gateway = bench.gateway(&FTP.rules(net));
    for (name, result) in fetch_all(bench) {
        assert_eq!(result, Ok(()), "{server}, {net:?}, {name}: {}", gateway.ask(&["stats"]));
    }
    for six in [false, true] {
        for passive in [true, false] {
            assert_eq!(
                bench.fetch_by_lftp(passive, six),
                Ok(()),
                "{server}, {net:?}, lftp, passive {passive}, {six}"
            );
            assert_eq!(
                bench.fetch_by_tnftp(passive, six),
                Ok(()),
                "{server}, {net:?}, tnftp, passive {passive}, {six}"
            );
        }
    }
    let statistics = gateway.statistics();
    assert!(statistics["expectations_fulfilled"].as_u64() >= Some(WAYS.len() as u64 + 8), "{statistics}");
}

fn check_without(net: Net, bench: &Bench) {
    let gateway = bench.gateway(&ControlOnly { attached: false, ..FTP }.rules(net));
    for (name, result) in fetch_all(bench) {
        assert!(result.is_err(), "{net:?}, {name} without the helper");
    }
    let story = gateway.ask(&["explain", "tcp"]);
    assert!(story.contains("drop"), "{story}");
    drop(gateway);

    if net == Net::Plain {
        return;
    }
    let gateway = bench.gateway_with(&FTP.rules(net), "[helpers]\nnat = []\n");
    for (name, result) in fetch_all(bench) {
        if needs_nat_helper(net, name) {
            assert!(result.is_err(), "{net:?}, {name} without the NAT helper");
        }
    }
    let story = gateway.ask(&["explain", "tcp"]);
    assert!(story.contains("NAT helper ftp is not loaded"), "{story}");
}

#[test]
#[ignore = "takes root and network namespaces"]
fn vsftpd_in_every_topology() {
    if missing(&["vsftpd", "curl", "lftp", "tnftp"]) {
        return;
    }
    for net in Net::ROUTED {
        let bench = Bench::with("f", net);
        let _server = Server::vsftpd(&bench);
        check_with_helper(net, &bench, "vsftpd");
        check_without(net, &bench);
    }
}

#[test]
#[ignore = "takes root and network namespaces"]
fn pure_ftpd_and_proftpd_in_every_topology() {
    if missing(&["curl", "lftp", "tnftp"]) {
        return;
    }
    for (name, start) in
        [("pure-ftpd", Server::pure_ftpd as fn(&Bench) -> Option<Server>), ("proftpd", Server::proftpd)]
    {
        for net in Net::ROUTED {
            let bench = Bench::with("g", net);
            let Some(_server) = start(&bench) else {
                eprintln!("SKIPPED: {name} is not unpacked (PINHOLE_PEERS)");
                break;
            };
            check_with_helper(net, &bench, name);
            // What fails takes its time to fail; vsftpd is tried in every topology.
            if matches!(net, Net::Plain | Net::Both) {
                check_without(net, &bench);
            }
        }
    }
}
