//! Registrations, admissions, locations.

use super::encoder;
use super::*;
use Direction::{Original, Reply};

const ENDPOINT: &str = "10.0.0.1:1719";
const GATEKEEPER: &str = "192.0.2.9:1719";

fn conn() -> Datagrams {
    Datagrams::open(ENDPOINT, GATEKEEPER, Policy::default())
}

fn register(seq: u16, seconds: Option<u32>) -> Vec<u8> {
    encoder::registration_request(seq, &[at("10.0.0.1:1720")], &[at(ENDPOINT)], seconds, false)
}

#[test]
fn a_registration_opens_the_endpoint_for_its_gatekeeper() {
    let mut ras = conn();
    ras.say(Original, &register(1, Some(90)));
    assert_eq!(expected(ras.actions.iter()), ["tcp 192.0.2.9 10.0.0.1:1720 Q.931 many"]);
    let confirm = encoder::registration_confirm(1, &[at("10.0.0.1:1720")], Some(60));
    let actions = ras.say(Reply, &confirm);
    assert!(actions.contains(&Action::Activate(Handle(0))));
    assert!(actions.contains(&Action::Extend(Handle(0), 60)));
    assert!(actions.contains(&Action::Prolong(60)), "the control conn must not end before the registration");
}

#[test]
fn lifetimes_are_those_granted_or_asked_for_or_usual_and_bounded() {
    for (asked, granted, lives) in [
        (Some(90), None, 90),
        (None, None, 300),
        (None, Some(u32::MAX), 86_400),
        (Some(5), Some(70_000), 70_000),
    ] {
        let mut ras = conn();
        ras.say(Original, &register(3, asked));
        let actions = ras.say(Reply, &encoder::registration_confirm(3, &[], granted));
        assert!(actions.contains(&Action::Extend(Handle(0), lives)), "{asked:?} {granted:?}: {actions:?}");
    }
}

#[test]
fn a_keep_alive_prolongs_without_addresses() {
    let mut ras = conn();
    ras.say(Original, &register(1, Some(60)));
    ras.say(Reply, &encoder::registration_confirm(1, &[], None));
    ras.say(Original, &encoder::registration_request(2, &[], &[at(ENDPOINT)], Some(60), true));
    let actions = ras.say(Reply, &encoder::registration_confirm(2, &[], Some(60)));
    assert!(actions.contains(&Action::Extend(Handle(0), 60)));
}

#[test]
fn a_strict_registration_waits_for_its_confirm_and_stays_open_when_renewed() {
    let active = |actions: &[Action]| {
        let active = |a: &Action| if let Action::Expect(_, e) = a { Some(e.active) } else { None };
        actions.iter().find_map(active)
    };
    let policy = Policy { wait_for_answer: true, ..Policy::default() };
    let mut ras = Datagrams::open(ENDPOINT, GATEKEEPER, policy);
    assert_eq!(active(&ras.say(Original, &register(1, None))), Some(false));
    ras.say(Reply, &encoder::registration_confirm(1, &[], None));
    assert_eq!(active(&ras.say(Original, &register(2, None))), Some(true));
}

#[test]
fn a_rejected_or_ended_registration_opens_nothing() {
    let mut ras = conn();
    ras.say(Original, &register(1, None));
    assert!(ras.say(Reply, &encoder::registration_reject(1)).contains(&Action::Cancel(Handle(0))));

    let mut ras = conn();
    ras.say(Original, &register(1, None));
    ras.say(Reply, &encoder::registration_confirm(1, &[], None));
    ras.say(Original, &encoder::unregistration_request(2, &[at("10.0.0.1:1720")]));
    assert!(!ras.actions.contains(&Action::Cancel(Handle(0))), "the gatekeeper may refuse to let it go");
    assert!(ras.say(Reply, &encoder::unregistration_confirm(2)).contains(&Action::Cancel(Handle(0))));
}

#[test]
fn a_gatekeeper_may_ask_for_the_end_too() {
    let mut ras = conn();
    ras.say(Original, &register(1, None));
    ras.say(Reply, &encoder::unregistration_request(9, &[]));
    assert!(ras.say(Original, &encoder::unregistration_confirm(9)).contains(&Action::Cancel(Handle(0))));
}

#[test]
fn admissions_lead_the_asker_to_the_gatekeeper_or_past_it() {
    for (destination, opens) in [
        (GATEKEEPER, "tcp 10.0.0.1 192.0.2.9:1719 Q.931 many"),
        ("198.51.100.7:1720", "tcp 10.0.0.1 198.51.100.7:1720 Q.931 many"),
    ] {
        let mut ras = conn();
        ras.say(Original, &encoder::admission_request(5, Some(at("10.0.0.1:1720"))));
        ras.say(Reply, &encoder::admission_confirm(5, at(destination)));
        assert_eq!(expected(ras.actions.iter()), [opens]);
    }
}

#[test]
fn a_called_end_that_may_answer_opens_nothing() {
    let mut ras = conn();
    ras.say(Original, &encoder::admission_request(5, None));
    ras.say(Reply, &encoder::admission_confirm(5, at("10.0.0.1:1720")));
    assert_eq!(expected(ras.actions.iter()), [""; 0]);
}

#[test]
fn a_location_is_an_admission_too() {
    let mut ras = conn();
    ras.say(Original, &encoder::location_request(8, at(ENDPOINT)));
    ras.say(Reply, &encoder::location_confirm(8, at("198.51.100.7:1720"), at(GATEKEEPER)));
    assert_eq!(expected(ras.actions.iter()), ["tcp 10.0.0.1 198.51.100.7:1720 Q.931 many"]);
}

#[test]
fn confirms_answer_requests() {
    for confirm in [
        encoder::admission_confirm(5, at("198.51.100.7:1720")),
        encoder::location_confirm(5, at("198.51.100.7:1720"), at(GATEKEEPER)),
        encoder::gatekeeper_confirm(5, at("192.0.2.9:2719")),
    ] {
        let mut ras = conn();
        // Wrong number, wrong subject, and from the answerer itself.
        ras.say(Original, &encoder::admission_request(4, None));
        ras.say(Original, &register(5, None));
        ras.say(Reply, &encoder::admission_request(5, None));
        let actions = ras.say(Reply, &confirm);
        assert_eq!(expected(actions.iter()), [""; 0]);
        assert!(ras.refusals().contains(&Refusal::Unsolicited));
    }
}

#[test]
fn third_hosts_must_be_hosts() {
    for (destination, why) in [
        ("224.0.1.41:1720", Refusal::ForeignAddress),
        ("127.0.0.1:1720", Refusal::ForeignAddress),
        ("0.0.0.0:1720", Refusal::ForeignAddress),
        ("198.51.100.7:22", Refusal::PrivilegedPort),
        ("198.51.100.7:0", Refusal::PortZero),
        ("[2001:db8::7]:1720", Refusal::AddressFamily),
    ] {
        let mut ras = conn();
        ras.say(Original, &encoder::admission_request(5, None));
        ras.say(Reply, &encoder::admission_confirm(5, at(destination)));
        assert_eq!((expected(ras.actions.iter()), ras.refusals()), (vec![], vec![why]), "{destination}");
    }
}

#[test]
fn a_gatekeeper_may_want_ras_elsewhere() {
    let mut ras = conn();
    ras.say(Original, &encoder::gatekeeper_request(1, at(ENDPOINT)));
    ras.say(Reply, &encoder::gatekeeper_confirm(1, at(GATEKEEPER)));
    assert_eq!(expected(ras.actions.iter()), [""; 0]);
    ras.say(Reply, &encoder::gatekeeper_confirm(1, at("192.0.2.9:2719")));
    assert_eq!(expected(ras.actions.iter()), ["udp 10.0.0.1 192.0.2.9:2719 RAS many"]);
    ras.say(Reply, &encoder::gatekeeper_confirm(1, at("198.51.100.7:1719")));
    assert_eq!(ras.refusals(), [Refusal::ForeignAddress]);
}

#[test]
fn foreign_registrations_are_refused() {
    let mut ras = conn();
    let addresses = [at("10.0.0.7:1720"), at("10.0.0.1:1720"), at("10.0.0.1:22")];
    ras.say(Original, &encoder::registration_request(1, &addresses, &[], None, false));
    assert_eq!(expected(ras.actions.iter()), ["tcp 192.0.2.9 10.0.0.1:1720 Q.931 many"]);
    assert_eq!(ras.refusals(), [Refusal::ForeignAddress, Refusal::PrivilegedPort]);
}

#[test]
fn what_is_not_ras_is_given_up() {
    let mut ras = conn();
    for _ in 0..8 {
        ras.say(Original, b"\xff");
    }
    assert_eq!(ras.reader.blind(), Some(pinhole_helper::BlindReason::NotThisProtocol));
}
