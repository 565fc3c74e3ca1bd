//! Every weakness of §4.1 and every advisory of §4.2 of `shared/reference/helpers.md`, with the tests that show that it is none of ours. A test
//! that is named here and does not exist fails this one.

use std::path::Path;

/// How it is shown.
enum Shown {
    /// By these tests: a file, and a function in it.
    By(&'static [(&'static str, &'static str)]),
    /// By how things are made.
    ByDesign(&'static str),
}

use Shown::{By, ByDesign};

const WEAKNESSES: &[(&str, &str, Shown)] = &[
    (
        "W1",
        "a command must be whole, at the beginning of one segment",
        By(&[
            ("pinhole-engine/tests/splitting.rs", "ftp_announcements_and_refusals_in_every_way"),
            ("pinhole-engine/tests/conformance/sip.rs", "calls_over_tcp"),
            ("pinhole-engine/tests/conformance/h323.rs", "a_call_with_a_control_channel"),
            ("pinhole-engine/tests/conformance/services.rs", "sane_scans"),
        ]),
    ),
    (
        "W2",
        "two remembered sequence numbers stand for the order of the stream",
        By(&[("pinhole-engine/tests/splitting.rs", "ftp_announcements_and_refusals_in_every_way")]),
    ),
    (
        "W3",
        "a partial match drops the segment",
        By(&[
            ("pinhole-engine/tests/nat/ftp.rs", "a_line_in_two_segments_is_held_and_leaves_whole"),
            ("pinhole-engine/tests/conformance/streaming.rs", "streams_of_version_1"),
        ]),
    ),
    (
        "W4",
        "only the first command of a packet counts",
        By(&[
            ("pinhole-helpers/src/ftp/tests.rs", "pipelined_commands_are_answered_in_order"),
            ("pinhole-helpers/src/irc/tests.rs", "several_offers_in_a_message"),
            ("pinhole-engine/tests/conformance/sip.rs", "long_and_short_messages_share_a_stream"),
        ]),
    ),
    (
        "W5",
        "answers count without their commands",
        By(&[
            ("pinhole-engine/tests/attacks/announcements.rs", "attack_3_injected_answers"),
            ("pinhole-helpers/src/sip/tests.rs", "answers_count_only_for_a_request"),
            ("pinhole-helpers/src/amanda/tests.rs", "an_answer_counts_once_and_for_its_request"),
            ("pinhole-helpers/src/pptp/tests.rs", "what_was_not_asked_for"),
            ("pinhole-helpers/src/talk/tests.rs", "attack_3_unsolicited_answers"),
        ]),
    ),
    (
        "W6",
        "any port may be announced",
        By(&[("pinhole-engine/tests/weaknesses/announcements.rs", "services")]),
    ),
    (
        "W7",
        "anyone may connect",
        By(&[
            ("pinhole-helpers/src/sip/tests.rs", "media_come_from_where_the_other_end_has_them"),
            ("pinhole-helpers/src/oscar/tests.rs", "proposals_of_others_and_redirects_of_the_client"),
            ("pinhole-engine/tests/weaknesses/announcements.rs", "third_hosts"),
        ]),
    ),
    (
        "W8",
        "one position of sequence adjustment a direction",
        By(&[
            ("pinhole-nat/tests/model/main.rs", "both_streams_arrive_edited"),
            ("pinhole-engine/tests/nat_behaviour/ftp.rs", "texts_grow_and_shrink_in_one_stream"),
        ]),
    ),
    (
        "W9",
        "what grows leaves oversized, or untranslated",
        By(&[("pinhole-nat/src/rewrite/tests.rs", "growth_beyond_the_segment_size")]),
    ),
    (
        "W10",
        "IPv4 only",
        By(&[
            ("pinhole-engine/tests/conformance/sip.rs", "calls_over_udp"),
            ("pinhole-engine/tests/conformance/h323.rs", "a_gatekeeper"),
            ("pinhole-engine/tests/conformance/services.rs", "pptp_calls"),
        ]),
    ),
    (
        "W11",
        "encryption is a silent failure",
        By(&[
            ("pinhole-helpers/src/ftp/tests.rs", "encryption_and_its_end"),
            ("pinhole-helpers/src/irc/tests.rs", "encryption"),
            (
                "pinhole-engine/tests/weaknesses/openings.rs",
                "words_behind_another_protocol_s_opening_open_nothing",
            ),
        ]),
    ),
    (
        "W12",
        "kernel context, whole packets copied, one lock",
        ByDesign(
            "user space, no unsafe outside pinhole-io, no lock; a panic of a parser is a bug that fuzzing looks for",
        ),
    ),
    ("W13", "helpers in another process, over a fragile path", ByDesign("sessions are called, not messaged")),
    (
        "W14",
        "nobody says why",
        By(&[
            ("pinhole-engine/tests/attacks/announcements.rs", "attack_2_low_ports"),
            ("pinhole-engine/tests/attacks/announcements.rs", "what_is_announced_in_order_comes_in"),
        ]),
    ),
    ("W15", "host names are ignored", By(&[("pinhole-helpers/src/sip/tests.rs", "what_is_refused")])),
    (
        "W16",
        "three media, no ICE, no shared ports, six methods",
        By(&[
            ("pinhole-helpers/src/sip/tests.rs", "kinds_of_media"),
            ("pinhole-helpers/src/sip/tests.rs", "rtcp_shares_the_port_if_both_agree"),
            ("pinhole-helpers/src/sip/tests.rs", "candidates_of_the_own_host"),
            ("pinhole-engine/tests/conformance/sip.rs", "other_descriptions_over_udp"),
        ]),
    ),
    (
        "W17",
        "one PPTP call, its id the port",
        By(&[("pinhole-helpers/src/pptp/tests.rs", "several_calls_and_their_ends")]),
    ),
    (
        "W18",
        "expectations fail silently",
        By(&[
            ("pinhole-engine/tests/attacks/table.rs", "attack_15_exhaustion"),
            ("pinhole-engine/tests/weaknesses/floods.rs", "one_host_cannot_use_up_the_table"),
        ]),
    ),
    (
        "W19",
        "after a fail-over any segment is believed",
        By(&[
            (
                "pinhole-engine/tests/attacks/streams.rs",
                "a_stream_whose_beginning_was_not_seen_opens_nothing",
            ),
            (
                "pinhole-engine/tests/attacks/streams.rs",
                "a_picked_up_stream_opens_nothing_before_it_is_answered",
            ),
        ]),
    ),
    (
        "W20",
        "case, blanks and compact forms are read in one way only",
        By(&[
            ("pinhole-helpers/src/ftp/tests.rs", "case_blanks_and_line_ends"),
            ("pinhole-helpers/src/irc/tests.rs", "offers_of_the_client"),
            ("pinhole-helpers/src/sip/tests.rs", "odd_but_legal_messages"),
        ]),
    ),
    (
        "W21",
        "expectations without an end; any packet to TFTP's port opens one",
        By(&[
            ("pinhole-engine/tests/attacks/table.rs", "attack_16_expectations_end_with_their_master"),
            ("pinhole-helpers/src/tftp/tests.rs", "attack_14_what_is_no_request"),
        ]),
    ),
    (
        "W22",
        "state that conns share, text searched beyond its end",
        By(&[("pinhole-engine/tests/attacks/table.rs", "attack_23_two_hosts_claim_one_port")]),
    ),
    (
        "W23",
        "will not be mended",
        ByDesign("a difference from the reference that opens something is a bug here"),
    ),
];

const ADVISORIES: &[(&str, &str, Shown)] = &[
    (
        "CVE-2001-0405",
        "PORT to a third party",
        By(&[
            ("pinhole-engine/tests/attacks/announcements.rs", "attack_1_bounce"),
            ("pinhole-engine/tests/weaknesses/announcements.rs", "third_hosts"),
        ]),
    ),
    (
        "VU#230307",
        "an expectation's mask is too wide",
        By(&[("pinhole-engine/tests/attacks/announcements.rs", "what_is_announced_in_order_comes_in")]),
    ),
    (
        "VU#328867 VU#288905",
        "a server is made to echo 227 or PORT",
        By(&[("pinhole-engine/tests/attacks/announcements.rs", "attack_3_injected_answers")]),
    ),
    (
        "CVE-2006-2444 CVE-2019-9162",
        "BER lengths of SNMP",
        By(&[
            ("pinhole-helpers/src/snmp/tests.rs", "malformed_messages_are_refused"),
            ("pinhole-helpers/src/snmp/tests.rs", "hostile_bytes_never_panic"),
        ]),
    ),
    (
        "CVE-2007-3642 CVE-2020-14305 CVE-2024-26851 CVE-2026-23455",
        "choices, bitmaps, empty and short elements of H.323; the two bytes {08 00} of 2026",
        By(&[
            ("pinhole-helpers/src/h323/tests/attacks.rs", "triggers_of_kernel_faults"),
            ("pinhole-helpers/src/h323/tests/attacks.rs", "damaged_messages_are_harmless"),
        ]),
    ),
    (
        "CVE-2019-6778 CVE-2020-7039 CVE-2020-8608 vuxml-30ce591c",
        "texts longer than their buffers",
        By(&[
            ("pinhole-helpers/src/irc/tests.rs", "hostile_bytes_never_panic_and_memory_is_bounded"),
            ("pinhole-helpers/src/ftp/tests.rs", "long_lines_are_skipped_but_counted"),
        ]),
    ),
    (
        "CVE-2022-2663",
        "DCC anywhere in a text",
        By(&[("pinhole-engine/tests/attacks/announcements.rs", "attack_11_offers_that_are_none")]),
    ),
    (
        "CVE-2026-23457",
        "a Content-Length that is cut off",
        By(&[("pinhole-engine/tests/signalling.rs", "attack_12_lengths_and_folds")]),
    ),
    (
        "CVE-2026-31427",
        "a description without an address",
        By(&[("pinhole-helpers/src/sip/tests.rs", "what_is_refused")]),
    ),
    (
        "CVE-2026-53268",
        "a DCC offer that ends early",
        By(&[("pinhole-helpers/src/irc/tests.rs", "every_beginning_that_holds_a_part_of_an_offer_is_held")]),
    ),
    (
        "2026: numbers of ports and octets",
        "FTP's octets, Amanda's and IRC's ports above 65535, URIs",
        By(&[
            ("pinhole-engine/tests/attacks/announcements.rs", "attack_9_numbers"),
            ("pinhole-helpers/src/amanda/tests.rs", "refused"),
            ("pinhole-helpers/src/sip/tests.rs", "what_is_refused"),
        ]),
    ),
    (
        "2026: delta s16",
        "differences of sequence numbers overflow",
        By(&[("pinhole-engine/tests/nat_behaviour/attacks.rs", "differences_add_up_without_end")]),
    ),
    (
        "2026-07-10 (J. Lee)",
        "an expectation is changed while it is linked",
        By(&[("pinhole-engine/tests/conformance/sip.rs", "two_phones_with_one_port")]),
    ),
    (
        "2026: expectfn dangling, helper gone",
        "what an unloaded helper leaves behind",
        ByDesign(
            "expectations hold names and numbers, never code; tests/loading.rs unloads helpers that are at work",
        ),
    ),
];

#[test]
fn every_weakness_is_answered() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut missing = String::new();
    for (id, about, shown) in WEAKNESSES.iter().chain(ADVISORIES) {
        match shown {
            ByDesign(why) => assert!(why.len() > 20, "{id}: {about}: {why}"),
            By(tests) => {
                assert!(!tests.is_empty(), "{id}: {about}");
                for (file, test) in *tests {
                    let text = std::fs::read_to_string(crates.join(file)).unwrap_or_default();
                    if !text.contains(&format!("fn {test}(")) {
                        missing.push_str(&format!("{id}: {about}: no {test} in {file}\n"));
                    }
                }
            }
        }
    }
    assert!(missing.is_empty(), "\n{missing}");
    for number in 1..=23 {
        assert!(WEAKNESSES.iter().any(|(id, ..)| *id == format!("W{number}")), "W{number}");
    }
}
