//! The differences from the kernel that are meant, by capture and frame, each with its name in docs/divergences.md.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aspect {
    /// State, direction, or whether the conn was expected.
    State,
    /// What left.
    Datagram,
    /// What is expected from a frame on.
    Expectation,
}

struct Divergence {
    /// As `Job::name` gives it, or any part of it.
    job: &'static str,
    /// First and last frame.
    frames: (u64, u64),
    aspect: Aspect,
    /// Its id in docs/divergences.md.
    id: &'static str,
}

/// All frames of a capture.
const ALL: (u64, u64) = (1, u64::MAX);
const LEAK: &str = "ftp suricata-verify__ftp-ippair-leak-5204__input.pcap";
const NUMBERS: &str = "ftp zeek__ftp-with-numbers-in-filename.pcap";
const PPTP: &str = "pptp PcapPlusPlus__GrePackets.pcap";
const ARKIME: &str = "tftp arkime__arkime_synthetic.pcap";
const H323: &str = "h323 nDPI__h323.pcap";
const SIP: &str = "ftp suricata-verify__sip-method__sip.pcap nat";

const DIVERGENCES: &[Divergence] = &[
    // Its client repeats one PORT four times.
    Divergence { job: LEAK, frames: (19, 22), aspect: Aspect::Expectation, id: "read-once" },
    // The recorder takes each copy for another edit, and acknowledges five bytes less than there are.
    Divergence { job: LEAK, frames: (23, 23), aspect: Aspect::Datagram, id: "nat-ack-within" },
    Divergence { job: LEAK, frames: (38, 38), aspect: Aspect::Datagram, id: "nat-ack-within" },
    Divergence { job: "ftp zeek__retr.pcap", frames: (24, 24), aspect: Aspect::Expectation, id: "read-once" },
    // The capture begins within the session, with the 227.
    Divergence { job: NUMBERS, frames: (1, 24), aspect: Aspect::State, id: "reads-from-the-first-byte" },
    Divergence { job: NUMBERS, frames: ALL, aspect: Aspect::Datagram, id: "reads-from-the-first-byte" },
    Divergence {
        job: NUMBERS,
        frames: (1, 24),
        aspect: Aspect::Expectation,
        id: "reads-from-the-first-byte",
    },
    // The capture's answers repeat the id that the client gave, not the one that left.
    Divergence { job: PPTP, frames: (11, u64::MAX), aspect: Aspect::Datagram, id: "pptp-call-id" },
    Divergence { job: PPTP, frames: (11, u64::MAX), aspect: Aspect::State, id: "pptp-call-id" },
    Divergence { job: PPTP, frames: (10, 10), aspect: Aspect::Expectation, id: "pptp-call-id" },
    // From 0.0.0.0, and to multicast groups.
    Divergence { job: ARKIME, frames: (223, 223), aspect: Aspect::Datagram, id: "martian" },
    Divergence { job: ARKIME, frames: (346, 349), aspect: Aspect::Datagram, id: "not-forwarded" },
    Divergence { job: ARKIME, frames: (401, 401), aspect: Aspect::Datagram, id: "martian" },
    Divergence { job: H323, frames: (19, 19), aspect: Aspect::Expectation, id: "read-once" },
    Divergence { job: H323, frames: (38, 42), aspect: Aspect::Expectation, id: "h323-announced-only" },
    Divergence { job: SIP, frames: (620, 620), aspect: Aspect::Datagram, id: "sip-origin" },
];

/// The list, and which of it occurred.
pub(crate) struct Listed {
    occurred: Vec<usize>,
}

impl Listed {
    pub(crate) fn new() -> Self {
        Self { occurred: vec![0; DIVERGENCES.len()] }
    }

    /// Whether a difference is listed; it has occurred, then.
    pub(crate) fn covers(&mut self, job: &str, frame: u64, aspect: Aspect) -> bool {
        let covers = |d: &Divergence| {
            job.contains(d.job) && (d.frames.0..=d.frames.1).contains(&frame) && d.aspect == aspect
        };
        match DIVERGENCES.iter().position(covers) {
            Some(index) => {
                self.occurred[index] += 1;
                true
            }
            None => false,
        }
    }

    /// How often each id occurred.
    pub(crate) fn counts(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for (divergence, count) in DIVERGENCES.iter().zip(&self.occurred) {
            *counts.entry(divergence.id).or_default() += count;
        }
        counts
    }

    /// Entries that no difference needs any more.
    pub(crate) fn stale(&self) -> String {
        let mut text = String::new();
        for (divergence, _) in DIVERGENCES.iter().zip(&self.occurred).filter(|&(_, &count)| count == 0) {
            let Divergence { job, frames, aspect, id } = divergence;
            let _ = writeln!(text, "stale: {id}: {job}, frames {frames:?}, {aspect:?}");
        }
        text
    }
}
