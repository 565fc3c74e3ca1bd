//! What hosts, callers and gatekeepers may try. Each opens nothing, and costs little.

use super::encoder::{self, Bits, Call, Carries};
use super::*;
use Direction::{Original, Reply};
use pinhole_helper::BlindReason;
use proptest::prelude::*;

fn nothing(wire: &Wire, why: &[Refusal]) {
    assert_eq!((of(wire), wire.refusals()), (vec![], why.to_vec()));
}

/// NAT slipstreaming v2: a called "end" sends the caller to a third host.
#[test]
fn call_forwarding_to_a_third_host() {
    let setup = encoder::setup(1, &Call::default());
    for reason in 0..3 {
        let facility = encoder::forward(1, at("10.0.0.77:8080"), reason);
        nothing(&call(&[(Original, &setup), (Reply, &facility)]), &[Refusal::ForeignAddress]);
    }
    // undefinedReason sends nobody anywhere.
    let facility = encoder::forward(1, at("10.0.0.77:8080"), 3);
    nothing(&call(&[(Original, &setup), (Reply, &facility)]), &[]);
    // To another port of the same host, or anywhere if the policy says so.
    let facility = encoder::forward(1, at("192.0.2.2:1721"), 1);
    assert_eq!(of(&call(&[(Original, &setup), (Reply, &facility)])), ["tcp 10.0.0.1 192.0.2.2:1721 Q.931"]);
    let policy = Policy { third_party: true, ..Policy::default() };
    let mut wire = Wire::with(Reader::new(&Q931, master(CALLER, CALLED), policy, Pickup::Strict));
    wire.handshake();
    wire.say(Original, &setup);
    wire.say(Reply, &encoder::forward(1, at("198.51.100.7:1720"), 1));
    assert_eq!(of(&wire), ["tcp 10.0.0.1 198.51.100.7:1720 Q.931"]);
}

#[test]
fn announcements_of_others_and_of_services() {
    for (address, why) in [
        ("10.0.0.7:5001", Refusal::ForeignAddress),
        ("127.0.0.1:5001", Refusal::ForeignAddress),
        ("10.0.0.1:22", Refusal::PrivilegedPort),
        ("10.0.0.1:0", Refusal::PortZero),
        ("[2001:db8::1]:5001", Refusal::AddressFamily),
        ("[::ffff:10.0.0.1]:5001", Refusal::AddressFamily),
    ] {
        let setup = encoder::setup(1, &Call { h245: Some(at(address)), ..Call::default() });
        nothing(&call(&[(Original, &setup)]), &[why]);
        let open = encoder::tpkt(&encoder::open(1, Carries::Audio, only_control(address)));
        nothing(&control(&[(Original, &open)]), &[why]);
    }
}

/// Browsers can be made to connect to any port.
#[test]
fn other_protocols_on_the_port() {
    let stun = [0, 3, 0, 8, 0x21, 0x12, 0xa4, 0x42];
    let hidden = [
        b"POST / HTTP/1.1\r\n\r\n".as_slice(),
        &encoder::setup(1, &Call { h245: Some(at("10.0.0.1:5001")), ..Call::default() }),
    ]
    .concat();
    for helper in STREAMS {
        for (opening, reason) in [
            (&hidden[..], BlindReason::NotThisProtocol),
            (&stun, BlindReason::NotThisProtocol),
            (&[22, 3, 1, 0, 200], BlindReason::Encrypted),
            (&[3, 0, 0, 3], BlindReason::NotThisProtocol),
            (&[3, 0, 0, 6, 0xff, 0xff], BlindReason::NotThisProtocol),
            (&[3, 0, 255, 255], BlindReason::MessageTooLong),
        ] {
            let wire = run(helper, CALLER, CALLED, &[(Original, opening)]);
            assert_eq!((of(&wire), wire.reader.blind()), (vec![], Some(reason)), "{opening:?}");
        }
    }
}

/// The triggers of the kernel's faults.
#[test]
fn triggers_of_kernel_faults() {
    let mut cases: Vec<Vec<u8>> = vec![
        // CVE-2007-3642 and its like of 2026: a choice with nothing behind it; `{08 00}` as the whole message.
        vec![0x08, 0x00],
        encoder::tpkt(&[0x08, 0x00]),
        // CVE-2026-23455: a user-user element of no length, and one that claims more than there is.
        encoder::tpkt(&[8, 2, 0, 1, 5, 0x7e, 0, 0]),
        encoder::tpkt(&[8, 2, 0, 1, 5, 0x7e, 0, 1, 5]),
        encoder::tpkt(&[8, 2, 0, 1, 5, 0x7e, 255, 255, 5]),
        encoder::tpkt(&[8, 2, 0, 1, 5, 0x7e, 0]),
        encoder::tpkt(&[8, 15, 0]),
    ];
    // CVE-2024-26851: extension bitmaps of the longest kind.
    for additions in [64u8, 127] {
        let mut bits = Bits::default();
        bits.bit(true)
            .bit(false)
            .bit(true)
            .bit(false)
            .bit(true)
            .bits(9, 7)
            .string(&[])
            .bit(true)
            .octets(&[additions]);
        bits.octets(&[0xff; 20]);
        cases.push(encoder::q931(5, 1, &bits.finish()));
    }
    for case in &cases {
        let wire = call(&[(Original, case)]);
        assert_eq!(of(&wire), [""; 0], "{case:?}");
    }
    // CVE-2020-14305: IPv6 on port 1720.
    let setup = encoder::setup(
        1,
        &Call { h245: Some(at("[2001:db8::1]:5001")), source: Some(at(CALLER_6)), ..Call::default() },
    );
    for length in 0..setup.len() {
        let mut cut = setup[..length].to_vec();
        if length >= 4 {
            cut[2..4].copy_from_slice(&(length as u16).to_be_bytes());
        }
        run(&Q931, CALLER_6, CALLED_6, &[(Original, &cut)]);
    }
}

#[test]
fn nesting_has_an_end() {
    // multiplexEntrySend: elements within elements, one each.
    let mut bits = Bits::default();
    bits.bit(false)
        .bits(0, 2)
        .bit(false)
        .bits(6, 4)
        .bit(false)
        .octets(&[1])
        .bits(0, 4)
        .bit(true)
        .bits(0, 4)
        .octets(&[0]);
    for _ in 0..200 {
        bits.bit(true).bits(0, 8);
    }
    let message = encoder::tpkt(&bits.finish());
    let wire = control(&[(Original, &message)]);
    assert_eq!(wire.reader.blind(), Some(BlindReason::NotThisProtocol));
}

#[test]
fn long_lists_are_cut_short() {
    let fast_start: Vec<_> = (0..40)
        .map(|n| {
            encoder::channel(n + 1, Carries::Audio, only_control(&format!("10.0.0.1:{}", 5001 + 2 * n)), None)
        })
        .collect();
    let setup = encoder::setup(1, &Call { fast_start, ..Call::default() });
    let wire = call(&[(Original, &setup)]);
    assert_eq!((of(&wire).len(), wire.refusals()), (32, vec![Refusal::Limit]));
}

#[test]
fn errors_are_counted() {
    let good = encoder::tpkt(&encoder::master_slave());
    let bad = encoder::tpkt(&[0xff; 3]);
    let mut said: Vec<Said<'_>> = vec![(Original, &good)];
    said.extend(std::iter::repeat_n((Original, bad.as_slice()), 8));
    let wire = control(&said);
    assert_eq!(wire.refusals(), [Refusal::Malformed; 8]);
    assert_eq!(wire.reader.blind(), Some(BlindReason::TooManyErrors));
}

#[test]
fn a_message_that_ends_malformed_announces_nothing() {
    let good = encoder::tpkt(&encoder::master_slave());
    let mut open = encoder::open(1, Carries::Audio, only_control("10.0.0.1:5001"));
    open.truncate(open.len() - 1);
    let cut = encoder::tpkt(&open);
    nothing(&control(&[(Original, &good), (Original, &cut)]), &[Refusal::Malformed]);
}

/// Messages of all kinds, to be damaged.
fn messages() -> Vec<Vec<u8>> {
    let call = Call {
        h245: Some(at("10.0.0.1:5001")),
        destination: Some(at(CALLED)),
        source: Some(at(CALLER)),
        fast_start: vec![encoder::channel(
            1,
            Carries::Video,
            only_control("10.0.0.1:5003"),
            Some(media("10.0.0.1:5002", "10.0.0.1:5003")),
        )],
        tunnelled: vec![
            encoder::capabilities(),
            encoder::open_ack(1, media("10.0.0.1:5004", "10.0.0.1:5005")),
        ],
    };
    vec![
        encoder::setup(1, &call),
        encoder::progress(1, &call),
        encoder::connect(1, &call),
        encoder::forward(1, at("10.0.0.1:1721"), 1),
        encoder::tpkt(&encoder::capabilities()),
        encoder::tpkt(&encoder::open_stack(1, at("10.0.0.1:1503"))),
        encoder::registration_request(1, &[at("10.0.0.1:1720")], &[at("10.0.0.1:1719")], Some(60), false),
        encoder::admission_request(1, Some(at("10.0.0.1:1720"))),
    ]
}

proptest! {
    /// Whatever comes: no panic, and every span lies within what was sent.
    #[test]
    fn damaged_messages_are_harmless(
        which in 0usize..8,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        tail in prop::collection::vec(any::<u8>(), 0..16),
    ) {
        let mut message = messages().swap_remove(which);
        message.extend(tail);
        for (place, byte) in damage {
            let place = place.index(message.len());
            message[place] = byte;
        }
        for helper in STREAMS {
            let mut wire = Wire::open(helper, CALLER, CALLED);
            wire.say(Original, &message);
            within(wire.noted.iter().map(|noted| &noted.action), message.len());
        }
        let mut ras = Datagrams::open(CALLER, CALLED, Policy::default());
        ras.say(Original, &message);
        within(ras.actions.iter(), message.len());
    }

    #[test]
    fn noise_is_harmless(noise in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut ras = Datagrams::open(CALLER, CALLED, Policy::default());
        ras.say(Original, &noise);
        within(ras.actions.iter(), noise.len());
        for helper in STREAMS {
            let packet = encoder::tpkt(&noise);
            let wire = run(helper, CALLER, CALLED, &[(Original, &packet)]);
            within(wire.noted.iter().map(|noted| &noted.action), packet.len());
        }
    }
}

fn within<'a>(actions: impl Iterator<Item = &'a Action>, length: usize) {
    for action in actions {
        let span = match action {
            Action::Expect(_, expect) => expect.span,
            Action::Refuse(_, span) | Action::Locate(_, span, _) | Action::Mention(_, span, _) => *span,
            _ => continue,
        };
        assert!(span.start <= span.end && span.end <= length as u64, "{action:?} of {length}");
    }
}
