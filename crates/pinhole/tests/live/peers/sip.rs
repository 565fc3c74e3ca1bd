//! SIP between two SIPp, with media of both ends, over UDP and TCP.

use super::uses::{
    Host, Use, V4, V6, await_receiver, bracketed, check, client, folder, in_topologies, packets, said,
};
use crate::bench::{Bench, ControlOnly, Net, missing};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Media that ship with SIPp; its scenario `uac_pcap` sends them.
const MEDIA: &str = "/usr/share/sip-tester";

/// SIPp's own scenario, its call cut short.
fn scenario(place: &Path) {
    std::os::unix::fs::symlink(MEDIA, place.join("pcap")).unwrap();
    let output = Command::new("sipp").args(["-sd", "uac_pcap"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("<pause milliseconds=\"8000\"/>"), "{text}");
    fs::write(place.join("call.xml"), text.replace("\"8000\"", "\"1500\"").replace("\"1000\"", "\"300\""))
        .unwrap();
}

/// A call; its media must have gone both ways.
fn call(
    bench: &Bench,
    transport: &str,
    version: usize,
    gateway: &crate::bench::Gateway,
) -> Result<(), String> {
    let [service, own] = [bench.net.service()[version], bench.net.client()[version]];
    let target = format!("{}:5060", bracketed(service));
    let arguments =
        ["sipp", &target, "-sf", "call.xml", "-t", transport, "-i", own, "-mi", own, "-p", "5060"];
    // A busy machine takes its time; what must fail does not wait for this.
    let limits = ["-m", "1", "-nostdin", "-timeout", "20", "-timeout_error"];
    let told = client(bench, 22, &bench.folder().join("sipp"), &[&arguments[..], &limits].concat());
    told.map_err(|told| format!("{told}\nthe called end: {}", said(bench, "sipp")))?;
    match packets(gateway, &[6000]) {
        Some([sent, echoed]) if sent > 10 && echoed > 10 => Ok(()),
        counts => Err(format!("media packets: {counts:?}\n{}", said(bench, "sipp"))),
    }
}

fn over(transport: &str, protocol: &str, version: usize) {
    if missing(&["sipp"]) {
        return;
    }
    let control = ControlOnly { helper: "sip", protocol, port: 5060, attached: true };
    in_topologies(&Net::ROUTED, |net| {
        let bench = Bench::with(&format!("sip{version}{protocol}-{net:?}"), net);
        let (host, _client) = (Host::new(&bench, "server"), Host::new(&bench, "client"));
        scenario(&folder(&bench, "sipp"));
        let server = net.server()[version];
        let arguments = ["sipp", "-sn", "uas", "-t", transport, "-i", server, "-mi", server, "-rtp_echo"];
        host.start("sipp", &[&arguments[..], &["-p", "5060", "-nostdin"]].concat());
        match protocol {
            "udp" => await_receiver(&bench, "server", 5060),
            _ => bench.await_listener("server", 5060),
        }
        // The called end echoes media to where they come from: the caller's address need not be translated for this.
        let run = Box::new(|gateway: &_| call(&bench, transport, version, gateway));
        let use_ = Use { name: format!("a call over {protocol}"), needs_nat_half: net.forwards_ports(), run };
        check(&bench, control, "udp", &[use_]);
    });
}

#[test]
#[ignore = "takes root and network namespaces"]
fn sipp_over_udp_in_every_topology() {
    over("u1", "udp", V4);
}

#[test]
#[ignore = "takes root and network namespaces"]
fn sipp_over_udp_and_ipv6_in_every_topology() {
    over("u1", "udp", V6);
}

#[test]
#[ignore = "takes root and network namespaces"]
fn sipp_over_tcp_in_every_topology() {
    over("t1", "tcp", V4);
}
