//! What no helper opens, whoever announces it: another host than the announcer, and a service.

use crate::baits::{BAITS, Names, PORT};
use crate::{Talk, assert_taken, baits, lab};
use pinhole_helper::Refusal;
use std::net::Ipv4Addr;

/// What an announcement of this endpoint is refused for.
fn refused(bait: &baits::Bait, host: Ipv4Addr, port: u16) -> Vec<Refusal> {
    let mut lab = lab(bait);
    let mut talk = Talk::open(&mut lab, bait, PORT);
    talk.say(&mut lab, &(bait.opening)());
    talk.say(&mut lab, &(bait.announce)(host, port));
    lab.assert_nothing_open();
    lab.refusals().into_iter().map(|(why, _)| why).collect()
}

#[test]
fn third_hosts() {
    for bait in BAITS.iter().filter(|bait| bait.names == Names::AddressAndPort) {
        assert_taken(bait, baits::CLIENT, 50001);
        let victims =
            [[10, 0, 0, 9], [192, 0, 2, 1], [127, 0, 0, 1], [224, 0, 0, 1], [255; 4], [10, 0, 0, 255]];
        for victim in victims {
            let refusals = refused(bait, Ipv4Addr::from(victim), 50001);
            // An H.323 answer may name its receiver, who is no stranger to it.
            let names_its_receiver = victim == [192, 0, 2, 1] && matches!(bait.helper, "Q.931" | "RAS");
            assert!(!refusals.is_empty() || names_its_receiver, "{} for {victim:?}", bait.helper);
            assert!(
                refusals.iter().all(|why| matches!(why, Refusal::ForeignAddress | Refusal::Unsolicited)),
                "{} for {victim:?}: {refusals:?}",
                bait.helper
            );
        }
    }
}

#[test]
fn services() {
    for bait in BAITS.iter().filter(|bait| bait.names != Names::Neither) {
        assert_taken(bait, baits::CLIENT, 1024);
        for port in [22, 80, 445, 1023] {
            let refusals = refused(bait, baits::CLIENT, port);
            let expected = |why: &&Refusal| **why == Refusal::PrivilegedPort;
            assert!(refusals.iter().any(|why| expected(&why)), "{} for {port}: {refusals:?}", bait.helper);
        }
    }
}
