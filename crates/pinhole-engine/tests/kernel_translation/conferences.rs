//! H.323 calls and registrations by chance, behind the running kernel and behind pinhole: signalling, control and media are alike. Where the kernel does not translate
//! (`h323-ipv6` and `h323-follow` in docs/divergences.md), calls are compared without NAT only.
//!
//! Messages are written by the peer of the helper's own tests, from the ASN.1. An address that is translated keeps its place and its length, so who
//! reads a message finds it where its sender put it.

#[path = "../../../pinhole-helpers/src/h323/tests/encoder.rs"]
#[allow(dead_code, reason = "the helper's own tests use the rest")]
mod encoder;

use super::address;
use super::support::conversation::Dice;
use super::trial::{Conn, Setting, Trial, attached, compare};
use encoder::{Call, Carries, Media, tpkt};
use std::net::{IpAddr, SocketAddr};

const CALLS: usize = 24;
const TERMINALS: usize = 24;
const PORT: u16 = 1720;

impl Trial<'_> {
    fn media(&mut self, what: &str, source: SocketAddr, destination: SocketAddr) -> Option<()> {
        self.datagram(what, source, destination, b"\x80\x00media").map(drop)
    }
}

/// An endpoint as its announcer wrote it.
fn written(endpoint: SocketAddr) -> Vec<u8> {
    let port = endpoint.port().to_be_bytes();
    match endpoint.ip() {
        IpAddr::V4(ip) => [&ip.octets()[..], &port].concat(),
        IpAddr::V6(ip) => [&ip.octets()[..], &port].concat(),
    }
}

/// What stands in a message as it is read where its sender wrote this endpoint.
fn read(sent: &[u8], heard: &[u8], endpoint: SocketAddr) -> SocketAddr {
    let old = written(endpoint);
    let place = sent.windows(old.len()).position(|bytes| bytes == old).unwrap();
    let (ip, port) = heard[place..place + old.len()].split_last_chunk::<2>().unwrap();
    let ip: IpAddr = match ip.first_chunk::<16>() {
        Some(six) => (*six).into(),
        None => (*ip.first_chunk::<4>().unwrap()).into(),
    };
    SocketAddr::new(ip, u16::from_be_bytes(*port))
}

fn pair(ip: IpAddr, port: u16) -> Media {
    Media { media: Some(SocketAddr::new(ip, port)), control: Some(SocketAddr::new(ip, port + 1)) }
}

#[test]
fn conferences_by_chance() {
    let helpers = attached(&[("Q.931", "tcp", PORT, false)]);
    let compared = |number: &u64| {
        let Setting { is_v6, hides_client, hides_server } = Setting::of(*number);
        !(hides_server && !hides_client || is_v6 && hides_client)
    };
    compare("conferences", (0..Setting::COUNT).filter(compared), &helpers, |_, trial, dice| {
        for call in 0..CALLS {
            run(trial, call, dice);
        }
    });
}

#[test]
fn registrations_by_chance() {
    let helpers = attached(&[("RAS", "udp", 1719, false)]);
    // The gatekeeper is not hidden: `h323-own-address`.
    let compared = |number: &u64| {
        let Setting { is_v6, hides_client, hides_server } = Setting::of(*number);
        !(hides_server || is_v6 && hides_client)
    };
    compare("registrations", (0..Setting::COUNT).filter(compared), &helpers, |_, trial, dice| {
        for terminal in 0..TERMINALS {
            register(trial, terminal, dice);
        }
    });
}

/// A terminal and its gatekeeper.
fn register(trial: &mut Trial<'_>, number: usize, dice: &mut Dice) -> Option<()> {
    let client = address(trial.setting.is_v6, "client", 5 + number, 30_000 + number);
    let (server, _) = trial.setting.server(1719);
    let sequence = 10 * number as u16 + 1;
    let own = SocketAddr::new(client.ip(), 20_000 + number as u16);
    let signal = SocketAddr::new(server.ip(), PORT);
    if dice.one_in(2) {
        let question = encoder::gatekeeper_request(sequence, client);
        let (seen, _) = trial.datagram("gatekeeper request", client, server, &question)?;
        trial.datagram("gatekeeper confirm", server, seen, &encoder::gatekeeper_confirm(sequence, server))?;
    }
    let seconds = dice.one_in(2).then_some(60 + dice.below(3000) as u32);
    let sent = encoder::registration_request(sequence + 1, &[own], &[client], seconds, false);
    let (seen, heard) = trial.datagram("registration request", client, server, &sent)?;
    let called = read(&sent, &heard, own);
    if dice.one_in(6) {
        trial.datagram("registration reject", server, seen, &encoder::registration_reject(sequence + 1))?;
        return Some(());
    }
    let confirm = encoder::registration_confirm(sequence + 1, &[signal], seconds);
    trial.datagram("registration confirm", server, seen, &confirm)?;

    // The terminal is called, perhaps again.
    for call in 0..1 + dice.below(2) as u16 {
        let caller = SocketAddr::new(server.ip(), 40_000 + 2 * number as u16 + call);
        let conn = Conn::new(caller, called, own, 3000);
        let mut conns = trial.open("call of the terminal", [conn; 2])?;
        let sent = encoder::setup(number as u16 + 1, &Call::default());
        trial.tell("setup to the terminal", &mut conns, 0, &sent)?;
        let control = SocketAddr::new(own.ip(), 10_000 + 2 * number as u16 + call);
        let answer = Call { h245: Some(control), ..Call::default() };
        let sent = encoder::alerting(number as u16 + 1, &answer);
        let heard = trial.tell("alerting of the terminal", &mut conns, 1, &sent)?;
        let caller = SocketAddr::new(server.ip(), 50_000 + 2 * number as u16 + call);
        trial.open(
            "control of the terminal",
            [Conn::new(caller, read(&sent, &heard, control), control, 1); 2],
        )?;
    }
    // It calls.
    let question = encoder::admission_request(sequence + 2, dice.one_in(2).then_some(own));
    let (seen, _) = trial.datagram("admission request", client, server, &question)?;
    trial.datagram("admission confirm", server, seen, &encoder::admission_confirm(sequence + 2, signal))?;
    let caller = SocketAddr::new(client.ip(), 45_000 + number as u16);
    trial.open("call by the terminal", [Conn::new(caller, signal, signal, 5000); 2])?;
    // It goes.
    if dice.one_in(2) {
        let question = encoder::unregistration_request(sequence + 3, &[own]);
        let (seen, _) = trial.datagram("unregistration request", client, server, &question)?;
        trial.datagram(
            "unregistration confirm",
            server,
            seen,
            &encoder::unregistration_confirm(sequence + 3),
        )?;
        let caller = SocketAddr::new(server.ip(), 48_000 + number as u16);
        trial.open("call of who went", [Conn::new(caller, called, own, 3000); 2])?;
    }
    Some(())
}

fn run(trial: &mut Trial<'_>, number: usize, dice: &mut Dice) -> Option<()> {
    let client = address(trial.setting.is_v6, "client", 5 + number % 5, 30_000 + 10 * number);
    let (server, called) = trial.setting.server(PORT);
    let reference = 1 + number as u16;
    let first = 10_000 + 100 * number as u16;
    let mut signalling = trial.open("signalling", [Conn::new(client, called, server, 1000); 2])?;

    // The caller proposes media, and takes what the called one has.
    let is_fast = dice.one_in(2);
    let forward = Media { media: None, ..pair(client.ip(), first) };
    let proposals = vec![
        encoder::channel(1, Carries::Audio, forward, None),
        encoder::channel(2, Carries::Audio, Media::default(), Some(pair(client.ip(), first))),
    ];
    let ends = Call {
        source: dice.one_in(2).then_some(client),
        destination: dice.one_in(2).then_some(called),
        fast_start: if is_fast { proposals } else { Vec::new() },
        ..Call::default()
    };
    let sent = encoder::setup(reference, &ends);
    let heard = trial.tell("setup", &mut signalling, 0, &sent)?;
    let proposed = is_fast.then(|| read(&sent, &heard, SocketAddr::new(client.ip(), first)));

    let control_end = SocketAddr::new(server.ip(), first + 10);
    let own = pair(server.ip(), first + 20);
    let answers = vec![encoder::channel(1, Carries::Audio, own, None)];
    let answer = Call {
        h245: Some(control_end),
        fast_start: if is_fast { answers } else { Vec::new() },
        ..Call::default()
    };
    let none = Call::default();
    let early = dice.below(3);
    let message = |name: usize, call: &Call| match name {
        0 => encoder::call_proceeding(reference, call),
        1 => encoder::alerting(reference, call),
        _ => encoder::connect(reference, call),
    };
    let mut control_seen = None;
    let mut taken = None;
    for name in 0..3 {
        let sent = message(name, if name == early { &answer } else { &none });
        let heard = trial.tell(["proceeding", "alerting", "connect"][name], &mut signalling, 1, &sent)?;
        if name == early {
            control_seen = Some(read(&sent, &heard, control_end));
            taken = is_fast.then(|| read(&sent, &heard, own.media.unwrap()));
        }
    }
    if let (Some(proposed), Some(taken)) = (proposed, taken) {
        for step in 0..2 {
            let (from, to) = (SocketAddr::new(client.ip(), first), SocketAddr::new(server.ip(), first + 20));
            trial.media(&format!("fast media {step}"), from, taken)?;
            trial.media(&format!("fast media back {step}"), to, proposed)?;
        }
    }

    // The control conn, and a channel each way.
    let caller = SocketAddr::new(client.ip(), client.port() + 1);
    let conn = Conn::new(caller, control_seen?, control_end, 2000);
    let mut control = trial.open("control", [conn; 2])?;
    for from in [0, 1] {
        let message = [tpkt(&encoder::capabilities()), tpkt(&encoder::master_slave())];
        for (name, message) in ["capabilities", "master and slave"].iter().zip(message) {
            trial.tell(name, &mut control, from, &message)?;
        }
    }
    let carries = [Carries::Audio, Carries::Video][dice.below(2)];
    for (opener, ends) in [(0, [client.ip(), server.ip()]), (1, [server.ip(), client.ip()])] {
        let [own, other] = ends;
        let base = first + 40 + 20 * opener as u16;
        let forward = Media { media: None, control: Some(SocketAddr::new(own, base + 1)) };
        let sent = tpkt(&encoder::open(3, carries, forward));
        let heard = trial.tell("open", &mut control, opener, &sent)?;
        let reports = read(&sent, &heard, SocketAddr::new(own, base + 1));
        let accepted = pair(other, base + 10);
        let sent = tpkt(&encoder::open_ack(3, accepted));
        let heard = trial.tell("open acknowledged", &mut control, 1 - opener, &sent)?;
        let target = read(&sent, &heard, accepted.media.unwrap());
        for step in 0..2 {
            trial.media(&format!("media {step}"), SocketAddr::new(own, base), target)?;
            let to = SocketAddr::new(target.ip(), target.port() + 1);
            trial.media(&format!("reports {step}"), SocketAddr::new(own, base + 1), to)?;
            trial.media(&format!("reports back {step}"), SocketAddr::new(other, base + 11), reports)?;
        }
    }
    if dice.one_in(2) {
        trial.tell("release", &mut signalling, dice.below(2), &encoder::release_complete(reference))?;
    }
    Some(())
}
