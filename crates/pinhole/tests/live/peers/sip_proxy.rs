//! SIP through a proxy: baresip registers at kamailio and calls another baresip, which is on kamailio's host, or on a third one.

use super::uses::{Host, Use, await_receiver, check, client, folder, in_topologies, packets, said, until};
use crate::bench::{Bench, ControlOnly, Gateway, Net, missing};
use std::fs;
use std::path::Path;

/// Ports of both ends' media, chosen by chance.
const MEDIA: [u16; 8] = [10_040, 10_042, 10_044, 10_046, 10_060, 10_062, 10_064, 10_066];
const SIP: ControlOnly<'_> = ControlOnly { helper: "sip", protocol: "udp", port: 5060, attached: true };

/// Twelve seconds of a tone: a WAVE file of 8000 samples a second.
fn tone() -> Vec<u8> {
    let samples: Vec<u8> =
        (0..96_000u32).flat_map(|n| (if n % 20 < 10 { 9000i16 } else { -9000 }).to_le_bytes()).collect();
    let length = samples.len() as u32;
    let mut wave = b"RIFF".to_vec();
    wave.extend((36 + length).to_le_bytes());
    wave.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data");
    wave.extend(length.to_le_bytes());
    [wave, samples].concat()
}

/// Settings of a user agent at this address and port, whose media are at this port.
fn settings(bench: &Bench, user: &str, registrar: &str, listen: &str, media: u16) {
    let place = folder(bench, user);
    let tone = bench.folder().join("tone.wav");
    let config = format!(
        "sip_listen {listen}\naudio_source aufile,{tone}\naudio_player aufile,heard.wav\naudio_alert aufile,/dev/null\n\
         ausrc_srate 8000\nauplay_srate 8000\nausrc_channels 1\nauplay_channels 1\nrtp_ports {media}-{}\n\
         module_path /usr/lib/baresip/modules\nmodule g711.so\nmodule aufile.so\nmodule_tmp uuid.so\nmodule_tmp account.so\n\
         module_app menu.so\n",
        media + 7,
        tone = tone.display()
    );
    fs::write(place.join("config"), config).unwrap();
    let account =
        format!("<sip:{user}@{registrar};transport=udp>;auth_pass=none;regint=60;answermode=auto\n");
    fs::write(place.join("accounts"), account).unwrap();
    fs::write(place.join("contacts"), "").unwrap();
}

/// Registers, calls, and listens: media must have come and gone.
fn call(bench: &Bench, gateway: &Gateway, service: &str) -> Result<(), String> {
    let place = folder(bench, "alice");
    let dial = format!("/dial sip:bob@{service}");
    let told = client(bench, 9, &place, &["baresip", "-f", place.to_str().unwrap(), "-t", "4", "-e", &dial])?;
    match packets(gateway, &MEDIA) {
        Some([sent, received]) if sent > 50 && received > 50 => Ok(()),
        counts => Err(format!("media packets: {counts:?}\nalice: {told}\nbob: {}", said(bench, "bob"))),
    }
}

/// A third host's address: neither the client's nor kamailio's.
const ELSEWHERE: &str = "10.2.0.3";

#[test]
#[ignore = "takes root and network namespaces"]
fn baresip_through_kamailio_in_every_topology() {
    through_kamailio("proxy", false);
}

#[test]
#[ignore = "takes root and network namespaces"]
fn baresip_through_kamailio_to_a_third_host_in_every_topology() {
    through_kamailio("third", true);
}

fn through_kamailio(test: &str, elsewhere: bool) {
    if missing(&["kamailio", "baresip"]) {
        return;
    }
    in_topologies(&Net::ROUTED, |net| {
        let bench = Bench::with(&format!("{test}-{net:?}"), net);
        let (host, _client) = (Host::new(&bench, "server"), Host::new(&bench, "client"));
        let (server, service) = (net.server()[0], net.service()[0]);
        let bobs = if elsewhere { ELSEWHERE } else { server };
        if elsewhere {
            let device = bench.run("server", &["ip", "-o", "-4", "addr", "show", "to", server]);
            let device = device.split_whitespace().nth(1).unwrap().to_owned();
            bench.run("server", &["ip", "addr", "add", &format!("{ELSEWHERE}/24"), "dev", &device]);
        }
        fs::write(bench.folder().join("tone.wav"), tone()).unwrap();
        settings(&bench, "alice", service, &format!("{}:5060", net.client()[0]), 10_040);
        settings(&bench, "bob", server, &format!("{bobs}:5070"), 10_060);
        let config = bench.write("kamailio.cfg", &include_str!("kamailio.cfg").replace("ADDRESS", server));
        let place = folder(&bench, "kamailio");
        let [config, place] = [config.as_path(), Path::new(&place)].map(|path| path.to_str().unwrap());
        host.start("kamailio", &["kamailio", "-DD", "-E", "-f", config, "-w", place, "-Y", place]);
        await_receiver(&bench, "server", 5060);
        let bob = bench.folder().join("bob");
        host.start("bob", &["baresip", "-f", bob.to_str().unwrap()]);
        until("bob cannot register", || said(&bench, "bob").contains("200 OK"));
        let run = Box::new(|gateway: &_| call(&bench, gateway, service));
        // A client behind a forwarded port finds its way to the server's own address, too: it needs no rule but the helper's.
        let use_ = Use { name: "a call".to_owned(), needs_nat_half: net.masquerades(), run };
        check(&bench, SIP, "udp", &[use_]);
    });
}
