//! talk and talkd: a user behind the router calls one beyond it, who answers; each look-up and the conversation need the helper.

use super::uses::{Host, Use, check, folder, in_topologies};
use crate::bench::{Bench, ControlOnly, Net, missing};
use std::fs;
use std::process::{Command, Stdio};

const TALK: ControlOnly<'_> = ControlOnly { helper: "talk", protocol: "udp", port: 518, attached: true };

/// A call, in which each says something to the other.
fn call(bench: &Bench) -> Result<(), String> {
    let place = folder(bench, "talk");
    // The callee answers the address that the caller's invitation came from.
    let calling = if bench.net.masquerades() { "10.2.0.1" } else { bench.net.client()[0] };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/live/peers/talk.sh");
    let output = Command::new(script)
        .arg(&place)
        .args([&bench.space("client"), &bench.space("server")])
        .args([bench.net.service()[0], calling])
        .stdin(Stdio::null())
        .env("TERM", "xterm")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let screens = ["caller.txt", "callee.txt"].map(|name| fs::read_to_string(place.join(name)).unwrap());
    let [caller, callee] = &screens;
    let is_heard = caller.contains("hello from the callee") && callee.contains("hello from the caller");
    if is_heard {
        Ok(())
    } else {
        Err(format!("the caller saw: {}\nthe callee saw: {}", caller.trim(), callee.trim()))
    }
}

#[test]
#[ignore = "takes root and network namespaces"]
fn talkd_and_talk_in_every_topology() {
    if missing(&["talk", "in.ntalkd", "inetd", "tmux", "perl"]) {
        return;
    }
    in_topologies(&Net::ROUTED, |net| {
        let bench = Bench::with(&format!("talk-{net:?}"), net);
        let (_server, _client) = (Host::new(&bench, "server"), Host::new(&bench, "client"));
        let run = Box::new(|_: &_| call(&bench));
        check(
            &bench,
            TALK,
            "tcp",
            &[Use { name: "call".to_owned(), needs_nat_half: net.masquerades(), run }],
        );
    });
}
