//! Questions to a whole subnet, through the bridge: nmblookup asks nmbd, CUPS looks for printers at snmpd; and SNMP traps through a router.

use super::uses::{Host, Use, await_receiver, check, client, folder, until};
use crate::bench::{Bench, ControlOnly, Net, missing};
use crate::servers::unpacked;
use std::fs;

#[test]
#[ignore = "takes root and network namespaces"]
fn nmblookup_finds_nmbd() {
    if missing(&["nmbd", "nmblookup"]) {
        return;
    }
    let bench = Bench::new("nmb");
    let host = Host::new(&bench, "server");
    let settings = |name: &str, address: &str| {
        let place = folder(&bench, name);
        let folders: String =
            ["private dir", "lock directory", "state directory", "cache directory", "pid directory"]
                .map(|what| format!(" {what} = {}\n", place.display()))
                .concat();
        bench.write(&format!("{name}.conf"), &format!(
            "[global]\n netbios name = {name}\n workgroup = PINHOLE\n interfaces = {address}/24\n bind interfaces only = yes\n{folders} \
             log file = {}/log\n local master = no\n preferred master = no\n dns proxy = no\n",
            place.display()
        ))
    };
    let (server, asker) = (settings("shelf", "10.9.0.2"), settings("desk", "10.9.0.1"));
    let [server, asker] = [&server, &asker].map(|path| path.to_str().unwrap());
    host.start("nmbd", &["nmbd", "-F", "--no-process-group", "-s", server]);
    let question = ["nmblookup", "-s", server, "-B", "10.9.0.255", "SHELF"];
    until("nmbd does not answer", || {
        bench.inside("server", &question).status().is_ok_and(|status| status.success())
    });
    let run = Box::new(|_: &_| {
        let told =
            client(&bench, 5, bench.folder(), &["nmblookup", "-s", asker, "-B", "10.9.0.255", "SHELF"])?;
        if told.contains("10.9.0.2 SHELF") { Ok(()) } else { Err(told) }
    });
    let control = ControlOnly { helper: "netbios-ns", protocol: "udp", port: 137, attached: true };
    check(&bench, control, "udp", &[Use { name: "look-up".to_owned(), needs_nat_half: false, run }]);
}

#[test]
#[ignore = "takes root and network namespaces"]
fn cups_finds_a_printer_by_snmp() {
    if missing(&["snmpd", "nft"]) {
        return;
    }
    let Some(backend) = unpacked("cups/usr/lib/cups/backend-available/snmp") else {
        eprintln!("SKIPPED: cups is not unpacked (PINHOLE_PEERS)");
        return;
    };
    let bench = Bench::new("snmp");
    let host = Host::new(&bench, "server");
    // What a printer says of itself (RFC 2790: hrDeviceType, hrDeviceDescr).
    let config = bench.write(
        "snmpd.conf",
        "rocommunity public 10.9.0.0/24\noverride .1.3.6.1.2.1.25.3.2.1.2.1 object_id .1.3.6.1.2.1.25.3.1.5\n\
         override .1.3.6.1.2.1.25.3.2.1.3.1 octet_str \"Shelf printer\"\n",
    );
    // snmpd answers from the address that it was asked at, which cannot be a broadcast's.
    let own = bench.write(
        "own.nft",
        "table ip own { chain p { type filter hook prerouting priority -300; ip daddr 10.9.0.255 ip daddr set 10.9.0.2; }; }",
    );
    bench.run("server", &["nft", "-f", own.to_str().unwrap()]);
    host.start(
        "snmpd",
        &["env", "MIBS=", "snmpd", "-f", "-Lo", "-C", "-c", config.to_str().unwrap(), "udp:161"],
    );
    await_receiver(&bench, "server", 161);
    let settings = folder(&bench, "cups");
    fs::write(settings.join("snmp.conf"), "Address 10.9.0.255\nCommunity public\nMaxRunTime 3\n").unwrap();
    let settings = format!("CUPS_SERVERROOT={}", settings.display());
    let run = Box::new(|_: &_| {
        let debug = "CUPS_DEBUG_LEVEL=2";
        let told = client(&bench, 8, bench.folder(), &["env", &settings, debug, backend.to_str().unwrap()])?;
        if told.contains("Shelf printer") { Ok(()) } else { Err(told) }
    });
    let control = ControlOnly { helper: "snmp", protocol: "udp", port: 161, attached: true };
    check(&bench, control, "udp", &[Use { name: "discovery".to_owned(), needs_nat_half: false, run }]);
}

/// The agent's address in a trap of version 1 is the one that the receiver can reach (RFC 2962).
#[test]
#[ignore = "takes root and network namespaces"]
fn snmptrapd_is_told_the_translated_agent() {
    if missing(&["snmptrap", "snmptrapd"]) {
        return;
    }
    let bench = Bench::with("trap", Net::Masquerade);
    let host = Host::new(&bench, "server");
    let config = bench.write("snmptrapd.conf", "disableAuthorization yes\n");
    let format = ["-F", "agent %a\n", "-C", "-c", config.to_str().unwrap(), "udp:162"];
    host.start("traps", &[&["env", "MIBS=", "snmptrapd", "-f", "-Lo"][..], &format].concat());
    await_receiver(&bench, "server", 162);
    let control = ControlOnly { helper: "snmp", protocol: "udp", port: 162, attached: true };
    for (more, agent) in [("", "agent 10.2.0.1"), ("[helpers]\nnat = []\n", "agent 10.1.0.2")] {
        let _gateway = bench.gateway_with(&control.rules(bench.net), more);
        let place = bench.folder().to_path_buf();
        let trap = [
            "snmptrap",
            "-v",
            "1",
            "-c",
            "public",
            "10.2.0.2",
            ".1.3.6.1.4.1.8072",
            "10.1.0.2",
            "6",
            "1",
            "",
        ];
        client(&bench, 3, &place, &[&["env", "MIBS="], &trap[..]].concat()).unwrap();
        until(&format!("no {agent}"), || super::uses::said(&bench, "traps").contains(agent));
    }
}
