//! H.323: call signalling with its control channel, fast start, tunnelled control, a gatekeeper.

#[path = "../../../pinhole-helpers/src/h323/tests/encoder.rs"]
#[allow(dead_code, reason = "the helper's own tests use the rest")]
mod encoder;

use crate::world::{BOTH, Cut, IPV4, Translation, Way, datagrams, streams};
use crate::{Host, View, World};
use encoder::{Call, Carries, Media};
use pinhole_wire::{Direction, Protocol};
use std::net::SocketAddr;

const H323: &[(&str, &[u16])] = &[("Q.931", &[1720]), ("RAS", &[1719])];
const C: Direction = Direction::Original;
const S: Direction = Direction::Reply;
const CALLED: (Host, u16) = (Host::Server, 1720);

fn at(end: SocketAddr, port: u16) -> SocketAddr {
    SocketAddr::new(end.ip(), port)
}

fn media(end: SocketAddr, port: u16) -> Media {
    Media { media: Some(at(end, port)), control: Some(at(end, port.wrapping_add(1))) }
}

fn only_control(end: SocketAddr, port: u16) -> Media {
    Media { media: None, control: Some(at(end, port)) }
}

/// The caller's end and the called one's are named, and so is the control channel; media are agreed on there.
#[test]
fn a_call_with_a_control_channel() {
    streams(H323, BOTH, |world| {
        let call = world.open(Protocol::TCP, (Host::Client, 40000), CALLED);
        world.say(call, C, |v| {
            let ends = Call { source: Some(v.client), destination: Some(v.server), ..Call::default() };
            encoder::setup(5, &ends)
        });
        world.say(call, S, |_| encoder::call_proceeding(5, &Call::default()));
        world.say(call, S, |v| {
            encoder::connect(5, &Call { h245: Some(at(v.server, 20000)), ..Call::default() })
        });
        world.is_strange(Protocol::TCP, (Host::Stranger, 40009), (Host::Server, 20000));
        let control = world.open_related(Protocol::TCP, (Host::Client, 40001), (Host::Server, 20000));
        for from in [C, S] {
            world.say(control, from, |_| {
                [encoder::tpkt(&encoder::capabilities()), encoder::tpkt(&encoder::master_slave())].concat()
            });
        }
        world.say(control, C, |v| {
            encoder::tpkt(&encoder::open(1, Carries::Audio, only_control(v.client, 5001)))
        });
        world.say(control, S, |v| {
            // Two packets in a row.
            [
                encoder::tpkt(&encoder::open_ack(1, media(v.server, 6000))),
                encoder::tpkt(&encoder::open(1, Carries::Audio, only_control(v.server, 6003))),
            ]
            .concat()
        });
        world.say(control, C, |v| encoder::tpkt(&encoder::open_ack(1, media(v.client, 5002))));
        world.comes(Protocol::UDP, (Host::Client, 5100), (Host::Server, 6000));
        world.comes(Protocol::UDP, (Host::Client, 5101), (Host::Server, 6001));
        world.comes(Protocol::UDP, (Host::Server, 6001), (Host::Client, 5001));
        world.comes(Protocol::UDP, (Host::Server, 6002), (Host::Client, 5002));
        world.comes(Protocol::UDP, (Host::Server, 6003), (Host::Client, 5003));
        world.is_strange(Protocol::UDP, (Host::Stranger, 6002), (Host::Client, 5003));
        // T.120 beside it.
        world.say(control, S, |v| encoder::tpkt(&encoder::open_stack(2, at(v.server, 1503))));
        world.comes(Protocol::TCP, (Host::Client, 5010), (Host::Server, 1503));
        world.say(control, S, |_| encoder::tpkt(&encoder::close(2)));
        world.is_strange(Protocol::TCP, (Host::Client, 5011), (Host::Server, 1503));
        world.assert_no_refusals();
    });
}

/// Media are proposed in Setup and taken in Connect; the answer repeats the caller's ports.
#[test]
fn a_call_with_fast_start() {
    streams(H323, BOTH, |world| {
        let call = world.open(Protocol::TCP, (Host::Client, 40000), CALLED);
        world.say(call, C, |v| {
            let proposals = vec![
                encoder::channel(1, Carries::Audio, only_control(v.client, 5001), None),
                encoder::channel(2, Carries::Audio, Media::default(), Some(media(v.client, 5000))),
            ];
            encoder::setup(6, &Call { fast_start: proposals, source: Some(v.client), ..Call::default() })
        });
        world.say(call, S, |v| {
            let back = Media { media: Some(at(v.client, 5000)), control: Some(at(v.server, 6001)) };
            let accepted = vec![
                encoder::channel(1, Carries::Audio, media(v.server, 6000), None),
                encoder::channel(2, Carries::Audio, Media::default(), Some(back)),
            ];
            encoder::connect(6, &Call { fast_start: accepted, ..Call::default() })
        });
        world.comes(Protocol::UDP, (Host::Server, 6000), (Host::Client, 5000));
        world.comes(Protocol::UDP, (Host::Server, 6001), (Host::Client, 5001));
        world.comes(Protocol::UDP, (Host::Client, 5100), (Host::Server, 6000));
        world.comes(Protocol::UDP, (Host::Client, 5101), (Host::Server, 6001));
        world.say(call, S, |_| encoder::release_complete(6));
        world.assert_no_refusals();
    });
}

/// Two calls on one conn, each with its control messages inside.
#[test]
fn calls_with_tunnelled_control() {
    streams(H323, IPV4, |world| {
        let conn = world.open(Protocol::TCP, (Host::Client, 40000), CALLED);
        for call in [7, 8] {
            let port = 5000 + 10 * call;
            world.say(conn, C, |v| {
                let open = encoder::open(1, Carries::Video, only_control(v.client, port + 1));
                encoder::setup(
                    call,
                    &Call { tunnelled: vec![encoder::capabilities(), open], ..Call::default() },
                )
            });
            world.say(conn, S, |v| {
                let ack = encoder::open_ack(1, media(v.server, port + 1000));
                encoder::connect(call, &Call { tunnelled: vec![ack], ..Call::default() })
            });
        }
        world.say(conn, C, |_| encoder::release_complete(7));
        world.is_strange(Protocol::UDP, (Host::Client, 5070), (Host::Server, 6070));
        world.comes(Protocol::UDP, (Host::Client, 5080), (Host::Server, 6080));
        world.comes(Protocol::UDP, (Host::Server, 6081), (Host::Client, 5081));
        world.assert_no_refusals();
    });
}

/// A terminal is found, registered, admitted to a call that its gatekeeper routes, and called.
#[test]
fn a_gatekeeper() {
    datagrams(H323, BOTH, |world| {
        let ras = world.open(Protocol::UDP, (Host::Client, 1719), (Host::Server, 1719));
        world.say(ras, C, |v| encoder::gatekeeper_request(1, v.client));
        world.say(ras, S, |v| encoder::gatekeeper_confirm(1, v.server));
        world.say(ras, C, |v| {
            encoder::registration_request(2, &[at(v.client, 1720)], &[v.client], Some(300), false)
        });
        world.say(ras, S, |v| encoder::registration_confirm(2, &[at(v.server, 1720)], Some(300)));
        world.say(ras, C, |v| encoder::admission_request(3, Some(at(v.client, 1720))));
        world.say(ras, S, |v| encoder::admission_confirm(3, at(v.server, 1720)));
        // The terminal calls through its gatekeeper: the helper is there though no rule attached it.
        let out = world.open_related(Protocol::TCP, (Host::Client, 40000), CALLED);
        world.say(out, C, |v| encoder::setup(5, &Call { h245: Some(at(v.client, 5000)), ..Call::default() }));
        world.comes(Protocol::TCP, (Host::Server, 30000), (Host::Client, 5000));
        // It is called.
        world.lab.wait(200);
        let call = world.open_related(Protocol::TCP, (Host::Server, 30001), (Host::Client, 1720));
        world.say(call, C, |_| encoder::setup(6, &Call::default()));
        world.say(call, S, |v| {
            encoder::alerting(6, &Call { h245: Some(at(v.server, 5002)), ..Call::default() })
        });
        world.comes(Protocol::TCP, (Host::Server, 30002), (Host::Client, 5002));
        world.is_strange(Protocol::TCP, (Host::Stranger, 30003), (Host::Client, 1720));
        world.assert_no_refusals();
    });
}

/// The ports of another terminal behind the same address.
#[test]
fn two_terminals_with_one_port() {
    let way = Way { translation: Translation::Client, cut: Cut::Whole, over_ipv6: false };
    let setup = |v: &View, port: u16| {
        let channel = encoder::channel(2, Carries::Audio, Media::default(), Some(media(v.client, port)));
        encoder::setup(6, &Call { fast_start: vec![channel], ..Call::default() })
    };
    let mut world = World::new(H323, way);
    let first = world.open(Protocol::TCP, (Host::Neighbour, 40000), CALLED);
    world.say(first, C, |v| setup(v, 5000));
    let second = world.open(Protocol::TCP, (Host::Client, 40001), CALLED);
    let outer = world.say_elsewhere(second, C, 5000, setup);
    assert_eq!(outer % 2, 0);
    world.comes_by(Protocol::UDP, (Host::Server, 6000), (Host::Client, 5000), outer);
    world.comes_by(Protocol::UDP, (Host::Server, 6001), (Host::Client, 5001), outer + 1);
    world.comes(Protocol::UDP, (Host::Server, 6000), (Host::Neighbour, 5000));
}
