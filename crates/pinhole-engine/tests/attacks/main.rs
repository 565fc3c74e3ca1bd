//! The classic ways to make a firewall's helpers open what they must not, against the whole engine behind a default-drop ruleset.
//!
//! The numbers are those of the list of evasion classics in `shared/reference/helpers.md` §4.3. Each attack opens nothing (or exactly what the
//! attacked server itself understands), what it was meant to let in is dropped by the policy of the chain, and the reason is on record with the
//! bytes that gave rise to it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap is the test's message")]

mod announcements;
mod streams;
#[path = "../support/mod.rs"]
mod support;
mod table;

use pinhole_engine::defrag::DefragDrop;
use pinhole_engine::{Event, InterfaceId, Outcome, Reason, Settings, Verdict};
use pinhole_helper::{BlindReason, Pickup, Refusal};
use pinhole_track::{EndCause, Invalid, State};
use pinhole_wire::{Direction, TcpFlags};
use support::conversation::{Conversation, Segment, fragment, syn, tcp, unreachable};
use support::lab::{Lab, address, text};

/// Nothing comes in but what a helper announced.
const RULES: &str = r#"table inet firewall {
    ct helper ftp-reader { type "ftp" protocol tcp; }
    ct helper irc-reader { type "irc" protocol tcp; }
    chain forward {
        type filter hook forward priority filter; policy drop;
        ct state invalid drop
        ct state established,related accept
        ct state new tcp dport 21 ct helper set "ftp-reader" accept
        ct state new tcp dport 6667 ct helper set "irc-reader" accept
    }
}
"#;
const POLICY_LINE: u32 = 5;
const INVALID_LINE: u32 = 6;
const FTP_LINE: u32 = 8;
const IRC_LINE: u32 = 9;

const C: Direction = Direction::Original;
const S: Direction = Direction::Reply;

const CLIENT: &str = "10.0.0.1:40000";
const FTP_SERVER: &str = "192.0.2.1:21";
const FTP_DATA: &str = "192.0.2.1:20";
const IRC_SERVER: &str = "192.0.2.1:6667";
/// What a port in these tests comes to: 195 * 256 + 81.
const HOLE: &str = "10.0.0.1:50001";

fn lab() -> Lab {
    Lab::new(Settings::default(), Some(RULES))
}

/// An FTP session up to its banner.
fn ftp() -> (Lab, Conversation) {
    let mut lab = lab();
    let mut conversation = lab.connect(CLIENT, FTP_SERVER);
    lab.say(&mut conversation, S, b"220 ready\r\n");
    (lab, conversation)
}

/// An IRC session after its registration.
fn irc() -> (Lab, Conversation) {
    let mut lab = lab();
    let conversation = irc_of(&mut lab, CLIENT);
    (lab, conversation)
}

fn irc_of(lab: &mut Lab, client: &str) -> Conversation {
    let mut conversation = lab.connect(client, IRC_SERVER);
    lab.say(&mut conversation, C, b"NICK a\r\nUSER a 0 * :a\r\n");
    lab.say(&mut conversation, S, b":irc 001 a :hello\r\n");
    conversation
}

/// The refusals are these, each with the words that caused it, its helper and the rule that attached the helper; nothing is open.
fn assert_refused(lab: &Lab, helper: &str, expected: &[(Refusal, &str)]) {
    let expected: Vec<_> = expected.iter().map(|(why, words)| (*why, (*words).to_owned())).collect();
    assert_eq!(lab.refusals(), expected);
    let line = if helper == "ftp" { FTP_LINE } else { IRC_LINE };
    for record in lab.refused() {
        assert_eq!(record.provenance.helper, helper);
        let rule = record.provenance.attached_by.unwrap();
        assert_eq!(lab.engine.ruleset().unwrap().location(rule).unwrap().line, line);
    }
    lab.assert_nothing_open();
}

/// Dropped by the rule for invalid packets, for this reason.
fn assert_invalid(lab: &Lab, outcome: &Outcome, why: Invalid) {
    assert_eq!(outcome.state, Some(State::Invalid), "{outcome:?}");
    assert_eq!(outcome.verdict, Verdict::Drop);
    assert_eq!(outcome.reason, Some(Reason::Invalid(why)));
    assert_eq!(lab.decided_at(outcome), ("firewall.nft".to_owned(), INVALID_LINE));
}

/// The words of the expectations that were entered, in order.
fn announced(lab: &Lab) -> Vec<String> {
    lab.expected().map(|record| text(&record.provenance.bytes)).collect()
}

fn ends(lab: &Lab) -> Vec<EndCause> {
    let cause = |event: &Event| match event {
        Event::ExpectationEnd { cause, .. } => Some(*cause),
        _ => None,
    };
    lab.events.iter().filter_map(cause).collect()
}
