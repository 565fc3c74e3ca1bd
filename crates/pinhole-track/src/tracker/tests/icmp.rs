//! Queries, errors, and what is not tracked.

use super::*;
use Direction::{Original, Reply};

#[test]
fn queries_pair_with_their_replies() {
    let mut lab = Lab::new();
    for (request, reply) in [(8, 0), (13, 14), (15, 16), (17, 18)] {
        let first = lab.send(&icmp(A.0, B.0, request, 0, 7, &[]));
        assert_eq!(state(&first), (State::New, Original));
        let tuple = lab.tracker.original(first.conn.unwrap()).unwrap();
        assert_eq!((tuple.source_port, tuple.destination_port), (7, u16::from(request) << 8));
        let tuple = lab.tracker.reply(first.conn.unwrap()).unwrap();
        assert_eq!((tuple.source_port, tuple.destination_port), (7, u16::from(reply) << 8));
        let answer = lab.send(&icmp(B.0, A.0, reply, 0, 7, &[]));
        assert_eq!((state(&answer), answer.conn), ((State::Established, Reply), first.conn));
    }
    for (request, reply) in [(128, 129), (139, 140)] {
        lab.send(&icmp("2001:db8::1", "2001:db8::2", request, 0, 7, &[]));
        let answer = lab.send(&icmp("2001:db8::2", "2001:db8::1", reply, 0, 7, &[]));
        assert_eq!(state(&answer), (State::Established, Reply));
    }
    assert_eq!(lab.tracker.len(), 6);
}

#[test]
fn both_ends_may_ask_with_the_same_identifier() {
    let mut lab = Lab::new();
    let one = lab.conn(&icmp(A.0, B.0, 8, 0, 7, &[]));
    let other = lab.conn(&icmp(B.0, A.0, 8, 0, 7, &[]));
    assert_ne!(one, other);
    assert_eq!(lab.send(&icmp(B.0, A.0, 0, 0, 7, &[])).conn, Some(one));
    assert_eq!(lab.send(&icmp(A.0, B.0, 0, 0, 7, &[])).conn, Some(other));
    let source = |lab: &Lab, id| lab.tracker.original(id).unwrap().source;
    assert_eq!(source(&lab, one), A.0.parse::<IpAddr>().unwrap().into());
    assert_eq!(source(&lab, other), B.0.parse::<IpAddr>().unwrap().into());
    assert_ne!(lab.conn(&icmp(A.0, B.0, 8, 1, 7, &[])), one, "the code is part of the tuple");
}

#[test]
fn replies_and_other_types_open_nothing() {
    let mut lab = Lab::new();
    for kind in [0, 9, 10, 14, 16, 18, 30, 255] {
        assert_eq!(
            invalid(&lab.send(&icmp(A.0, B.0, kind, 0, 7, &[]))),
            Some(Invalid::IcmpNotRequest),
            "{kind}"
        );
    }
    for kind in [129, 138, 140, 144, 145, 255] {
        let tracked = lab.send(&icmp("2001:db8::1", "2001:db8::2", kind, 0, 7, &[]));
        assert_eq!(invalid(&tracked), Some(Invalid::IcmpNotRequest), "{kind}");
    }
    assert!(lab.tracker.is_empty());
}

#[test]
fn an_error_is_related_against_the_quoted_packets_direction() {
    let mut lab = Lab::new();
    let id = lab.conn(&udp(A, B));
    let before = (lab.tracker.counters(id), lab.tracker.timeout_left(id, lab.now));
    lab.wait(5);
    for kind in [3, 4, 5, 11, 12] {
        let error = lab.send(&icmp(C.0, A.0, kind, 1, 0, &udp(A, B)));
        assert_eq!((state(&error), error.conn), ((State::Related, Reply), Some(id)));
        assert!(error.icmp_error && !error.created);
    }
    let error = lab.send(&icmp(A.0, B.0, 3, 3, 0, &udp(B, A)));
    assert_eq!(state(&error), (State::Related, Original));
    assert_eq!(lab.tracker.counters(id), before.0, "it does not count");
    assert_eq!(lab.tracker.timeout_left(id, lab.now), Some(25), "it does not refresh");
}

#[test]
fn an_error_may_quote_eight_bytes_only() {
    let mut lab = Lab::new();
    let id = lab.conn(&tcp(A, B, SYN, 1, 0));
    let error = lab.send(&icmp(B.0, A.0, 3, 3, 0, &tcp(A, B, SYN, 1, 0)[..28]));
    assert_eq!((error.state, error.conn), (State::Related, Some(id)));
    let short = lab.send(&icmp(B.0, A.0, 3, 3, 0, &tcp(A, B, SYN, 1, 0)[..22]));
    assert_eq!(invalid(&short), Some(Invalid::IcmpErrorQuote));
}

#[test]
fn errors_about_queries_and_over_ipv6() {
    let mut lab = Lab::new();
    let (a, b) = (("2001:db8::1", 1000), ("2001:db8::2", 2000));
    let ping = icmp(a.0, b.0, 128, 0, 7, &[]);
    let id = lab.conn(&ping);
    for kind in [1, 2, 3, 4, 100] {
        let error = lab.send(&icmp(b.0, a.0, kind, 0, 0, &ping));
        assert_eq!((state(&error), error.conn), ((State::Related, Reply), Some(id)));
    }
    let id = lab.conn(&udp(a, b));
    assert_eq!(lab.send(&icmp(b.0, a.0, 1, 4, 0, &udp(a, b))).conn, Some(id));
}

#[test]
fn errors_about_nothing_are_invalid() {
    let mut lab = Lab::new();
    let id = lab.conn(&udp(A, B));
    assert_eq!(invalid(&lab.send(&icmp(B.0, A.0, 3, 3, 0, &udp(A, C)))), Some(Invalid::IcmpErrorUnknown));
    let strange = lab.send(&icmp(B.0, C.0, 3, 3, 0, &udp(A, B)));
    assert_eq!((invalid(&strange), strange.about), (Some(Invalid::IcmpErrorAddress), Some(id)));
    assert_eq!(invalid(&lab.send(&icmp(B.0, A.0, 3, 3, 0, &[]))), Some(Invalid::IcmpErrorQuote));
    // An error about an error.
    let error = icmp(A.0, B.0, 3, 3, 0, &udp(B, A));
    assert_eq!(invalid(&lab.send(&icmp(B.0, A.0, 3, 3, 0, &error))), Some(Invalid::IcmpErrorQuote));
    // About a fragment that holds no ports.
    let mut fragment = udp(A, B);
    fragment[7] = 1;
    assert_eq!(invalid(&lab.send(&icmp(B.0, A.0, 3, 3, 0, &fragment))), Some(Invalid::IcmpErrorQuote));
    lab.wait(31);
    assert_eq!(invalid(&lab.send(&icmp(B.0, A.0, 3, 3, 0, &udp(A, B)))), Some(Invalid::IcmpErrorUnknown));
}

#[test]
fn link_scope_icmpv6_is_untracked() {
    let mut lab = Lab::new();
    for kind in (130..=136).chain([143]) {
        let tracked = lab.send(&icmp("fe80::1", "ff02::1", kind, 0, 0, &[0; 20]));
        assert_eq!((tracked.state, tracked.conn), (State::Untracked, None), "{kind}");
    }
    assert!(lab.tracker.is_empty());
}

#[test]
fn a_redirect_is_related_to_what_it_redirects() {
    let mut lab = Lab::new();
    let (a, b) = (("2001:db8::1", 1000), ("2001:db8::2", 2000));
    let id = lab.conn(&udp(a, b));
    let redirect = |router: &str, option: [u8; 2]| {
        let mut rest = vec![0; 32];
        rest.extend(option);
        rest.extend([0; 6]);
        rest.extend(udp(a, b));
        icmp(router, a.0, 137, 0, 0, &rest)
    };
    let tracked = lab.send(&redirect("fe80::9", [4, 7]));
    assert_eq!((state(&tracked), tracked.conn), ((State::Related, Reply), Some(id)));
    for bad in [redirect("2001:db8::9", [4, 7]), redirect("fe80::9", [2, 7]), redirect("fe80::9", [4, 0])] {
        assert_eq!(invalid(&lab.send(&bad)), Some(Invalid::IcmpErrorQuote));
    }
}
