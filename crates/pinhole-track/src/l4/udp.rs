//! UDP and UDP-Lite: a conn is two ends that talk to each other; one that goes on for a while is a stream.

use super::Step;
use crate::timeouts::Timeout;
use crate::{Status, Timeouts};
use pinhole_wire::Time;
use serde::{Deserialize, Serialize};

/// An exchange that lasts longer is a stream: no question and answer, worth keeping.
const STREAM_AFTER_SECONDS: u64 = 2;

/// State of a UDP conn.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Udp {
    stream_after: Time,
}

impl Udp {
    /// A conn that begins now.
    pub const fn open(now: Time) -> Self {
        Self { stream_after: now.plus_seconds(STREAM_AFTER_SECONDS) }
    }

    /// As [`update`](Self::update), for an answered conn: the seconds that it may now live, and whether it is a stream.
    #[inline]
    pub(crate) fn go_on(self, now: Time, timeouts: &Timeouts) -> (u32, bool) {
        let stream = now > self.stream_after;
        (timeouts[if stream { Timeout::UdpReplied } else { Timeout::UdpUnreplied }], stream)
    }

    #[inline]
    pub(crate) fn update(self, now: Time, status: Status, timeouts: &Timeouts) -> Step {
        let stream = status.contains(Status::SEEN_REPLY) && now > self.stream_after;
        Step::Accept {
            timeout: timeouts[if stream { Timeout::UdpReplied } else { Timeout::UdpUnreplied }],
            assure: stream && !status.contains(Status::ASSURED),
            changed: false,
        }
    }
}

/// UDP-Lite (RFC 3828) has no such delay: an answer suffices.
pub(super) fn update_lite(status: Status, timeouts: &Timeouts) -> Step {
    super::update_replied(Timeout::UdpliteUnreplied, Timeout::UdpliteReplied, status, timeouts)
}
