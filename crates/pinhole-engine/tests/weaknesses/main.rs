//! The weaknesses of other helpers, one by one (`shared/reference/helpers.md` §4): which test shows that these do not have them ([`catalogue`]),
//! and three attacks that every protocol must stand: its words behind another protocol's opening (NAT slipstreaming), its announcements
//! of other hosts and of services, and as many of them as one can send.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap is the test's message")]

mod announcements;
mod baits;
mod catalogue;
mod floods;
#[path = "../messengers/frames.rs"]
mod frames;
mod openings;
#[path = "../support/mod.rs"]
mod support;

use baits::{Bait, CLIENT};
use pinhole_engine::{Attachment, Settings};
use pinhole_wire::{Direction, Protocol};
use std::net::{Ipv4Addr, SocketAddr};
use support::conversation::{Conversation, udp};
use support::lab::Lab;

/// An engine that reads a bait's protocol.
pub(crate) fn lab(bait: &Bait) -> Lab {
    let attachments = vec![Attachment { helper: bait.helper.to_owned(), ports: vec![bait.server.1] }];
    Lab::new(Settings { attachments, ..Settings::default() }, None)
}

/// A conn of a client with a bait's server.
pub(crate) struct Talk {
    conversation: Conversation,
    is_stream: bool,
}

impl Talk {
    pub(crate) fn open(lab: &mut Lab, bait: &Bait, port: u16) -> Self {
        let client = SocketAddr::from((CLIENT, port));
        let conversation = Conversation::new(client, SocketAddr::from(bait.server));
        let is_stream = bait.protocol == Protocol::TCP;
        if is_stream {
            lab.send_all(&conversation.handshake());
        }
        Self { conversation, is_stream }
    }

    /// Says everything in turn; how it is taken is not asked.
    pub(crate) fn say(&mut self, lab: &mut Lab, said: &[(Direction, Vec<u8>)]) {
        for (from, bytes) in said {
            let Conversation { client, server, .. } = self.conversation;
            let packet = match (self.is_stream, from) {
                (true, _) => self.conversation.say(*from, bytes),
                (false, Direction::Original) => udp(client, server, bytes),
                (false, Direction::Reply) => udp(server, client, bytes),
            };
            lab.send(&packet);
        }
    }
}

/// A bait that is taken opens something: without this an attack proves nothing.
pub(crate) fn assert_taken(bait: &Bait, host: Ipv4Addr, port: u16) {
    let mut lab = lab(bait);
    let mut talk = Talk::open(&mut lab, bait, baits::PORT);
    talk.say(&mut lab, &(bait.opening)());
    talk.say(&mut lab, &(bait.announce)(host, port));
    let open = lab.engine.tracker().expectations().filter(|e| e.active).count();
    assert!(open > 0, "{} is not taken: {:?} {:?}", bait.helper, lab.refusals(), lab.blind());
}
