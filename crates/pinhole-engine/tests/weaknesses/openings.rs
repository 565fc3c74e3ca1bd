//! NAT slipstreaming, version 1 (SIP behind HTTP) and 2 (H.323 and the rest, behind STUN, TURN and whatever a browser can be made to send):
//! whatever a conn opens with but its own protocol, what follows is not read, wherever a segment or datagram of it begins.

use crate::baits::{BAITS, PORT};
use crate::{Talk, assert_taken, baits, lab};
use pinhole_wire::{Direction, Protocol};

/// Openings that a browser, or its user, can be brought to send to any port.
fn openings(protocol: Protocol) -> Vec<Vec<u8>> {
    let post =
        "POST /x HTTP/1.1\r\nHost: a:5060\r\nContent-Type: text/plain\r\nContent-Length: 90000\r\n\r\n";
    let stun = b"\0\x01\0\x08\x21\x12\xa4\x42abcdefghijkl\0\x06\0\x04user";
    let mut openings = vec![
        post.as_bytes().to_vec(),
        format!("{post}{}\r\n\r\n", "x".repeat(1300)).into_bytes(),
        b"GET http://a/ HTTP/1.0\r\n\r\n".to_vec(),
        stun.to_vec(),
    ];
    if protocol == Protocol::TCP {
        openings.push(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec());
        openings.push(b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03".to_vec());
        openings.push(b"SSH-2.0-x\r\n".to_vec());
        openings.push(b"EHLO a\r\n".to_vec());
        openings.push(vec![0; 64]);
    } else {
        // DTLS, QUIC, DNS.
        openings.push(b"\x16\xfe\xfd\0\0\0\0\0\0\0\0\0\x10".to_vec());
        openings.push(b"\xc0\0\0\0\x01\x08abcdefgh\0\0".to_vec());
        openings.push(b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01".to_vec());
    }
    openings
}

#[test]
fn words_behind_another_protocol_s_opening_open_nothing() {
    for bait in BAITS {
        assert_taken(bait, baits::CLIENT, 50001);
        for opening in openings(bait.protocol) {
            // A DNS query is what a NetBIOS query looks like.
            if bait.helper == "netbios-ns" && opening.starts_with(b"\x12\x34\x01") {
                continue;
            }
            let mut lab = lab(bait);
            let mut talk = Talk::open(&mut lab, bait, PORT);
            talk.say(&mut lab, &[(Direction::Original, opening.clone())]);
            talk.say(&mut lab, &(bait.opening)());
            for port in [50001, 50003] {
                talk.say(&mut lab, &(bait.announce)(baits::CLIENT, port));
            }
            let shown = opening.escape_ascii();
            assert_eq!(lab.blind().len(), 1, "{} behind {shown}", bait.helper);
            lab.assert_nothing_open();
        }
    }
}

/// The same with the words in the very segment that the opening is in, at every place in it.
#[test]
fn nor_do_words_within_its_segment() {
    for bait in BAITS.iter().filter(|bait| bait.protocol == Protocol::TCP) {
        let words: Vec<u8> = (bait.opening)()
            .into_iter()
            .chain((bait.announce)(baits::CLIENT, 50001))
            .filter(|(from, _)| *from == Direction::Original)
            .flat_map(|(_, bytes)| bytes)
            .collect();
        for padding in 0..32 {
            let mut lab = lab(bait);
            let mut talk = Talk::open(&mut lab, bait, PORT);
            let head = format!("POST /{} HTTP/1.1\r\n\r\n", "x".repeat(padding));
            talk.say(&mut lab, &[(Direction::Original, [head.as_bytes(), &words].concat())]);
            lab.assert_nothing_open();
        }
    }
}
