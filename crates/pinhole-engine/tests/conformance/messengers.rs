//! talk, ICQ and OSCAR. None of them has room for IPv6 addresses.

use crate::frames::{Ntalk, Talk, flap, icq, oscar};
use crate::world::{Cut, IPV4, Translation, Way, datagrams, streams};
use crate::{Host, View, World};
use pinhole_wire::{Direction, Protocol};
use std::net::{IpAddr, SocketAddr};

const C: Direction = Direction::Original;
const S: Direction = Direction::Reply;
const TALK: &[(&str, &[u16])] = &[("talk", &[518])];
const ICQ: &[(&str, &[u16])] = &[("icq", &[4000])];
const OSCAR: &[(&str, &[u16])] = &[("oscar", &[5190])];
const LISTENS: u16 = 43031;

/// The address of an end, as its four bytes.
fn host(end: SocketAddr) -> [u8; 4] {
    let IpAddr::V4(ip) = end.ip() else { panic!("{end}") };
    ip.octets()
}

#[test]
fn talk_calls() {
    datagrams(TALK, IPV4, |world| {
        let conn = world.open(Protocol::UDP, (Host::Client, 42155), (Host::Server, 518));
        world.say(conn, C, |v| Ntalk::LookUp.request(host(v.client), 0, v.client.port()));
        world.say(conn, S, |_| Ntalk::LookUp.answer(1, [0; 4], 0));
        world.say(conn, C, |v| Ntalk::Announce.request(host(v.client), LISTENS, v.client.port()));
        world.is_strange(Protocol::TCP, (Host::Server, 50000), (Host::Client, LISTENS));
        world.say(conn, S, |_| Ntalk::Announce.answer(0, [0; 4], 0));
        // The callee asks the caller's daemon, and calls back.
        let look_up = world.open_related(Protocol::UDP, (Host::Server, 37347), (Host::Client, 518));
        world.say(look_up, C, |v| Ntalk::LookUp.request(host(v.client), 0, v.client.port()));
        world.say(look_up, S, |v| Ntalk::LookUp.answer(0, host(v.server), LISTENS));
        world.is_strange(Protocol::TCP, (Host::Stranger, 50000), (Host::Client, LISTENS));
        world.comes(Protocol::TCP, (Host::Server, 50001), (Host::Client, LISTENS));
        world.assert_no_refusals();
    });
}

#[test]
fn calls_of_the_older_talk() {
    datagrams(&[("talk", &[517])], IPV4, |world| {
        let conn = world.open(Protocol::UDP, (Host::Client, 42155), (Host::Server, 517));
        world.say(conn, C, |v| Talk::LookUp.request(host(v.client), 0, v.client.port()));
        world.say(conn, S, |_| Talk::LookUp.answer(1, [0; 4], 0));
        world.say(conn, C, |v| Talk::Announce.request(host(v.client), LISTENS, v.client.port()));
        world.is_strange(Protocol::TCP, (Host::Server, 50000), (Host::Client, LISTENS));
        world.say(conn, S, |_| Talk::Announce.answer(0, [0; 4], 0));
        let look_up = world.open_related(Protocol::UDP, (Host::Server, 37347), (Host::Client, 517));
        world.say(look_up, C, |v| Talk::LookUp.request(host(v.client), 0, v.client.port()));
        world.say(look_up, S, |v| Talk::LookUp.answer(0, host(v.server), LISTENS));
        world.is_strange(Protocol::TCP, (Host::Stranger, 50000), (Host::Client, LISTENS));
        world.comes(Protocol::TCP, (Host::Server, 50001), (Host::Client, LISTENS));
        world.assert_no_refusals();
    });
}

#[test]
fn icq_logins_of_version_4() {
    for covers in [6, icq::PORT_AT_4] {
        datagrams(ICQ, IPV4, |world| {
            let conn = world.open(Protocol::UDP, (Host::Client, 1027), (Host::Server, 4000));
            world.say(conn, C, |v| icq::login_of_version_4(host(v.client), 50123, covers));
            world.is_strange(Protocol::TCP, (Host::Stranger, 2000), (Host::Client, 50123));
            world.say(conn, S, |_| icq::login_reply());
            world.comes(Protocol::TCP, (Host::Stranger, 2001), (Host::Client, 50123));
            world.assert_no_refusals();
        });
    }
}

#[test]
fn icq_logins() {
    // The check code covers a byte of the header, of the port, of the address.
    for covers in [6, icq::PORT_AT, icq::ADDRESS_AT + 3] {
        datagrams(ICQ, IPV4, |world| {
            let conn = world.open(Protocol::UDP, (Host::Client, 1027), (Host::Server, 4000));
            world.say(conn, C, |v| icq::login_checked(host(v.client), 50123, covers));
            world.is_strange(Protocol::TCP, (Host::Stranger, 2000), (Host::Client, 50123));
            world.say(conn, S, |_| icq::login_reply());
            world.comes(Protocol::TCP, (Host::Stranger, 2001), (Host::Client, 50123));
            world.say(conn, C, |_| icq::keep_alive());
            // A user at the server's own address.
            world.say(conn, S, |v| icq::user_online(host(v.server), 4099));
            world.comes(Protocol::TCP, (Host::Client, 2002), (Host::Server, 4099));
            world.assert_no_refusals();
        });
    }
}

#[test]
fn older_icq_logins_and_many_messages_at_once() {
    for version in [2, 3] {
        datagrams(ICQ, IPV4, |world| {
            let conn = world.open(Protocol::UDP, (Host::Client, 1027), (Host::Server, 4000));
            world.say(conn, C, |v| icq::plain_login(version, host(v.client), 50123));
            world.say(conn, S, |v| {
                let online = icq::user_online(host(v.server), 4099);
                icq::several(&[icq::login_reply(), online])
            });
            world.comes(Protocol::TCP, (Host::Stranger, 2001), (Host::Client, 50123));
            world.comes(Protocol::TCP, (Host::Client, 2002), (Host::Server, 4099));
            world.assert_no_refusals();
        });
    }
}

/// Up to the sign-on of both sides.
fn signed_on(world: &mut World, client: (Host, u16)) -> crate::world::Conn {
    let conn = world.open(Protocol::TCP, client, (Host::Server, 5190));
    world.say(conn, S, |_| flap(1, &[0, 0, 0, 1]));
    world.say(conn, C, |_| flap(1, &[0, 0, 0, 1]));
    conn
}

#[test]
fn oscar_files() {
    streams(OSCAR, IPV4, |world| {
        let conn = signed_on(world, (Host::Client, 40000));
        world.say(conn, C, |v| oscar::proposal(1, 1, host(v.client), 50123));
        world.comes(Protocol::TCP, (Host::Stranger, 2000), (Host::Client, 50123));
        // A redirect: only from where the server has seen the other user.
        let stranger = [198, 51, 100, 77];
        world.say(conn, S, |v| oscar::relayed(2, 1, host(v.server), 4443, stranger));
        world.comes(Protocol::TCP, (Host::Client, 2001), (Host::Server, 4443));
        world.say(conn, C, |v| oscar::proposal(2, 2, host(v.client), 50125));
        world.is_strange(Protocol::TCP, (Host::Server, 2002), (Host::Client, 50125));
        world.comes(Protocol::TCP, (Host::Stranger, 2002), (Host::Client, 50125));
        // Where an ICQ client listens, until it says otherwise.
        world.say(conn, C, |v| oscar::status(host(v.client), 50127));
        world.comes(Protocol::TCP, (Host::Stranger, 2003), (Host::Client, 50127));
        world.say(conn, C, |v| oscar::proposal(3, 1, host(v.client), 50129));
        world.say(conn, C, |_| oscar::cancel(3));
        world.is_strange(Protocol::TCP, (Host::Stranger, 2004), (Host::Client, 50129));
        world.assert_no_refusals();
    });
}

/// The listening port of another user behind the same address.
#[test]
fn two_users_with_one_port() {
    let way = Way { translation: Translation::Client, cut: Cut::Whole, over_ipv6: false };
    let mut world = World::new(ICQ, way);
    let login = |v: &View, port: u16| icq::login_checked(host(v.client), port.into(), icq::PORT_AT);
    let first = world.open(Protocol::UDP, (Host::Neighbour, 1026), (Host::Server, 4000));
    world.say(first, C, |v| login(v, 50123));
    let second = world.open(Protocol::UDP, (Host::Client, 1027), (Host::Server, 4000));
    let outer = world.say_elsewhere(second, C, 50123, login);
    for conn in [first, second] {
        world.say(conn, S, |_| icq::login_reply());
    }
    world.comes_by(Protocol::TCP, (Host::Stranger, 2001), (Host::Client, 50123), outer);
    world.comes(Protocol::TCP, (Host::Stranger, 2002), (Host::Neighbour, 50123));

    let mut world = World::new(OSCAR, way);
    let first = signed_on(&mut world, (Host::Neighbour, 40000));
    world.say(first, C, |v| oscar::proposal(1, 1, host(v.client), 50123));
    let second = signed_on(&mut world, (Host::Client, 40001));
    let outer = world.say_elsewhere(second, C, 50123, |v, port| oscar::proposal(1, 1, host(v.client), port));
    world.comes_by(Protocol::TCP, (Host::Stranger, 2001), (Host::Client, 50123), outer);
    world.comes(Protocol::TCP, (Host::Stranger, 2001), (Host::Neighbour, 50123));

    let mut world = World::new(TALK, way);
    let announce = |v: &View, port: u16| Ntalk::Announce.request(host(v.client), port, v.client.port());
    let first = world.open(Protocol::UDP, (Host::Neighbour, 42154), (Host::Server, 518));
    world.say(first, C, |v| announce(v, LISTENS));
    world.say(first, S, |_| Ntalk::Announce.answer(0, [0; 4], 0));
    let second = world.open(Protocol::UDP, (Host::Client, 42155), (Host::Server, 518));
    let outer = world.say_elsewhere(second, C, LISTENS, announce);
    world.say(second, S, |_| Ntalk::Announce.answer(0, [0; 4], 0));
    world.comes_by(Protocol::TCP, (Host::Server, 50001), (Host::Client, LISTENS), outer);
    world.comes(Protocol::TCP, (Host::Server, 50001), (Host::Neighbour, LISTENS));
}
