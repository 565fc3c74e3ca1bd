//! Calls that work, from announcement to expectation.

use super::encoder::{self, Call, Carries, Media};
use super::*;
use crate::transcript::run_every_way;
use Direction::{Original, Reply};

fn call_with(h245: &str) -> Call {
    Call { h245: Some(at(h245)), ..Call::default() }
}

#[test]
fn every_message_may_name_the_control_channel() {
    let setup = encoder::setup(7, &call_with("10.0.0.1:5001"));
    let answers = [
        encoder::call_proceeding(7, &call_with("192.0.2.2:5002")),
        encoder::alerting(7, &call_with("192.0.2.2:5003")),
        encoder::progress(7, &call_with("192.0.2.2:5004")),
        encoder::connect(7, &call_with("192.0.2.2:5005")),
    ];
    let mut said: Vec<Said<'_>> = vec![(Original, &setup)];
    said.extend(answers.iter().map(|answer| (Reply, answer.as_slice())));
    let wire = call(&said);
    assert_eq!(
        of(&wire),
        [
            "tcp 192.0.2.2 10.0.0.1:5001 H.245",
            "tcp 10.0.0.1 192.0.2.2:5002 H.245",
            "tcp 10.0.0.1 192.0.2.2:5003 H.245",
            "tcp 10.0.0.1 192.0.2.2:5004 H.245",
            "tcp 10.0.0.1 192.0.2.2:5005 H.245",
        ]
    );
    assert_eq!((wire.refusals(), wire.reader.blind()), (vec![], None));
}

#[test]
fn a_call_over_ipv6() {
    let setup = encoder::setup(1, &Call { h245: Some(at("[2001:db8::1]:5001")), ..Call::default() });
    let wire = run(&Q931, CALLER_6, CALLED_6, &[(Original, &setup)]);
    assert_eq!(of(&wire), ["tcp 2001:db8:2::2 [2001:db8::1]:5001 H.245"]);
}

/// A proposal to send, and one to receive.
fn proposals(rtp: &str, rtcp: &str) -> Vec<Vec<u8>> {
    vec![
        encoder::channel(1, Carries::Audio, only_control(rtcp), None),
        encoder::channel(2, Carries::Audio, Media::default(), Some(media(rtp, rtcp))),
    ]
}

#[test]
fn fast_start_opens_what_each_end_announces() {
    let setup = encoder::setup(
        9,
        &Call { fast_start: proposals("10.0.0.1:5000", "10.0.0.1:5001"), ..Call::default() },
    );
    let accepted = vec![
        encoder::channel(1, Carries::Audio, media("192.0.2.2:6000", "192.0.2.2:6001"), None),
        encoder::channel(2, Carries::Audio, Media::default(), Some(media("10.0.0.1:5000", "192.0.2.2:6001"))),
    ];
    let connect = encoder::connect(9, &Call { fast_start: accepted, ..Call::default() });
    let wire = call(&[(Original, &setup), (Reply, &connect)]);
    // The same port twice is one expectation; the caller's own port, repeated by the called end, is nothing new.
    assert_eq!(
        of(&wire),
        [
            "udp 192.0.2.2 10.0.0.1:5001",
            "udp 192.0.2.2 10.0.0.1:5000",
            "udp 10.0.0.1 192.0.2.2:6000",
            "udp 10.0.0.1 192.0.2.2:6001",
        ]
    );
    assert_eq!(wire.refusals(), []);
}

#[test]
fn fast_start_of_the_called_end_must_answer_a_proposal() {
    let setup = encoder::setup(9, &Call::default());
    let connect = |reference| {
        let fast_start =
            vec![encoder::channel(1, Carries::Audio, media("192.0.2.2:6000", "192.0.2.2:6001"), None)];
        encoder::connect(reference, &Call { fast_start, ..Call::default() })
    };
    let wire = call(&[(Original, &setup), (Reply, &connect(9))]);
    assert_eq!(of(&wire), [""; 0]);
    assert_eq!(wire.refusals(), [Refusal::Unsolicited; 2]);
    // Another call's proposal does not count either.
    let proposing = encoder::setup(
        8,
        &Call { fast_start: proposals("10.0.0.1:5000", "10.0.0.1:5001"), ..Call::default() },
    );
    let wire = call(&[(Original, &proposing), (Reply, &connect(9))]);
    assert_eq!(wire.refusals(), [Refusal::Unsolicited; 2]);
}

#[test]
fn progress_has_its_fast_start_behind_tokens() {
    let setup = encoder::setup(
        9,
        &Call { fast_start: proposals("10.0.0.1:5000", "10.0.0.1:5001"), ..Call::default() },
    );
    let fast_start =
        vec![encoder::channel(1, Carries::Video, media("192.0.2.2:6000", "192.0.2.2:6001"), None)];
    let progress = encoder::progress(9, &Call { fast_start, ..Call::default() });
    let wire = call(&[(Original, &setup), (Reply, &progress)]);
    assert_eq!(of(&wire)[2..], ["udp 10.0.0.1 192.0.2.2:6000", "udp 10.0.0.1 192.0.2.2:6001"]);
}

#[test]
fn control_messages_may_be_tunnelled() {
    let ask = Call {
        tunnelled: vec![
            encoder::capabilities(),
            encoder::master_slave(),
            encoder::open(3, Carries::Video, only_control("10.0.0.1:5003")),
        ],
        ..Call::default()
    };
    let answer = Call {
        tunnelled: vec![encoder::open_ack(3, media("192.0.2.2:6002", "192.0.2.2:6003"))],
        ..Call::default()
    };
    let (setup, alerting) = (encoder::setup(4, &ask), encoder::alerting(4, &answer));
    let wire = call(&[(Original, &setup), (Reply, &alerting)]);
    assert_eq!(
        of(&wire),
        ["udp 192.0.2.2 10.0.0.1:5003", "udp 10.0.0.1 192.0.2.2:6002", "udp 10.0.0.1 192.0.2.2:6003"]
    );
    assert_eq!((wire.refusals(), wire.reader.blind()), (vec![], None));
}

#[test]
fn calls_on_one_conn_are_told_apart() {
    let first = encoder::setup(
        1,
        &Call {
            tunnelled: vec![encoder::open(3, Carries::Audio, only_control("10.0.0.1:5001"))],
            ..Call::default()
        },
    );
    let second = encoder::setup(2, &call_with("10.0.0.1:5009"));
    let ack = |reference| {
        let tunnelled = vec![encoder::open_ack(3, media("192.0.2.2:6000", "192.0.2.2:6001"))];
        encoder::connect(reference, &Call { tunnelled, ..Call::default() })
    };
    let release = encoder::release_complete(0x8001);
    let (wrong, right) = (ack(2), ack(1));
    let wire =
        call(&[(Original, &first), (Original, &second), (Reply, &wrong), (Reply, &right), (Reply, &release)]);
    assert_eq!(wire.refusals(), [Refusal::Unsolicited; 2]);
    assert_eq!(of(&wire).len(), 4);
    // The end of the first call cancels its three expectations, and leaves the second call's alone.
    assert_eq!(cancelled(&wire), [Handle(0), Handle(2), Handle(3)]);
    assert_eq!(wire.open_ports(), [5009]);
}

#[test]
fn a_control_conn_opens_and_closes_channels() {
    let packets = [
        (Original, encoder::capabilities()),
        (Reply, encoder::capabilities()),
        (Original, encoder::open(101, Carries::Audio, only_control("10.0.0.1:5001"))),
        (Reply, encoder::open_ack(101, media("192.0.2.2:6000", "192.0.2.2:6001"))),
        (Reply, encoder::open(102, Carries::Audio, only_control("192.0.2.2:6003"))),
        (Original, encoder::open_reject(102)),
        (Original, encoder::close(101)),
    ];
    let packets: Vec<_> = packets.iter().map(|(from, message)| (*from, encoder::tpkt(message))).collect();
    let said: Vec<Said<'_>> = packets.iter().map(|(from, packet)| (*from, packet.as_slice())).collect();
    let wire = control(&said);
    assert_eq!(
        of(&wire),
        [
            "udp 192.0.2.2 10.0.0.1:5001",
            "udp 10.0.0.1 192.0.2.2:6000",
            "udp 10.0.0.1 192.0.2.2:6001",
            "udp 10.0.0.1 192.0.2.2:6003",
        ]
    );
    assert_eq!(cancelled(&wire), [Handle(3), Handle(0), Handle(1), Handle(2)]);
    let grouped =
        wire.noted.iter().filter(|n| matches!(&n.action, Action::Expect(_, e) if e.group.is_some()));
    assert_eq!(grouped.count(), 2, "RTP and RTCP of the acknowledgement go together");
}

#[test]
fn several_messages_may_share_a_packet() {
    let mut contents = encoder::master_slave();
    contents.extend(encoder::capabilities());
    contents.extend(encoder::open(5, Carries::Video, only_control("10.0.0.1:5001")));
    let packet = encoder::tpkt(&contents);
    assert_eq!(of(&control(&[(Original, &packet)])), ["udp 192.0.2.2 10.0.0.1:5001"]);
}

#[test]
fn t120_is_a_conn_of_its_own() {
    let stack = encoder::tpkt(&encoder::open_stack(6, at("10.0.0.1:1503")));
    assert_eq!(of(&control(&[(Original, &stack)])), ["tcp 192.0.2.2 10.0.0.1:1503 many"]);
    let open = encoder::tpkt(&encoder::open(6, Carries::T120, Media::default()));
    let ack = encoder::tpkt(&encoder::open_ack(6, media("192.0.2.2:1503", "192.0.2.2:1504")));
    let wire = control(&[(Original, &open), (Reply, &ack)]);
    assert_eq!(of(&wire), ["tcp 10.0.0.1 192.0.2.2:1503 many"]);
}

#[test]
fn calls_however_they_are_cut() {
    let call = Call {
        h245: Some(at("10.0.0.1:5001")),
        destination: Some(at(CALLED)),
        source: Some(at(CALLER)),
        fast_start: proposals("10.0.0.1:5002", "10.0.0.1:5003"),
        tunnelled: vec![encoder::open(1, Carries::Video, only_control("10.0.0.1:5005"))],
    };
    let setup = encoder::setup(3, &call);
    let connect = encoder::connect(
        3,
        &Call {
            h245: Some(at("192.0.2.2:6001")),
            tunnelled: vec![encoder::open_ack(1, media("192.0.2.2:6004", "192.0.2.2:6005"))],
            ..Call::default()
        },
    );
    let release = encoder::release_complete(3);
    let keep_alive = encoder::tpkt(&[]);
    let said: [Said<'_>; 4] =
        [(Original, &setup), (Reply, &keep_alive), (Reply, &connect), (Original, &release)];
    let wire = run_every_way(&Q931, CALLER, CALLED, &said);
    assert_eq!(of(&wire).len(), 7);
    assert_eq!(wire.open_ports(), [0u16; 0]);
}

#[test]
fn a_conn_picked_up_in_mid_stream_is_read_from_the_next_packet_on() {
    let alerting = encoder::alerting(1, &call_with("192.0.2.2:6001"));
    let mut wire = Wire::mid_stream(&Q931, CALLER, CALLED, Pickup::Lenient);
    wire.at(Reply, 0, b"the rest of a packet");
    assert_eq!(wire.reader.blind(), None);
    wire.at(Reply, 20, &alerting);
    assert_eq!(of(&wire), ["tcp 10.0.0.1 192.0.2.2:6001 H.245"]);
}
