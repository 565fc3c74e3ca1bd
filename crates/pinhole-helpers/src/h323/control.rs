//! H.245 messages, wherever they come from: their own channel, `h245Control` or `fastStart` of call signalling.
//!
//! | message | effect |
//! |---|---|
//! | openLogicalChannel | the opener's endpoints are expected; the channel awaits its answer |
//! | openLogicalChannelAck | of a channel that awaits it: the answerer's endpoints are expected |
//! | openLogicalChannelReject, closeLogicalChannel | what the channel announced is cancelled |
//!
//! Only what is announced is opened: an opener names the port for RTCP that comes back to it, and none for RTP.

use super::address::{AddressReader, Announced};
use super::announce::{Announcements, Opening, Purpose};
use super::few::Few;
use super::per::{Fault, Found, Visitor, walk};
use super::schema::{CONTROL_MESSAGE, FAST_START, Mark};
use super::{MEDIA, T120};
use pinhole_helper::Refusal;
use pinhole_wire::Direction;
use serde::{Deserialize, Serialize};

/// Channels of a conn that are remembered.
const CHANNELS: usize = 32;

const OPEN_LOGICAL_CHANNEL: u32 = 3;
const CLOSE_LOGICAL_CHANNEL: u32 = 4;
const OPEN_LOGICAL_CHANNEL_ACK: u32 = 5;
const OPEN_LOGICAL_CHANNEL_REJECT: u32 = 6;
/// Number of `t120` among the applications.
const APPLICATION_T120: u32 = 1;
/// Number of `tcp` among the data protocols: seven stand ahead of the extension marker.
const PROTOCOL_TCP: u32 = 7 + 5;

/// The channels of a conn.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Channels {
    open: Few<Channel, CHANNELS>,
}

/// A channel that was asked for.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Channel {
    call: u32,
    opener: Direction,
    number: u16,
    /// Whether its media, there and back, are a TCP conn.
    tcp: [bool; 2],
}

impl Channels {
    /// Carries out one message of a call.
    pub(super) fn message(&mut self, to: &mut Announcements<'_, '_>, call: u32, message: &Message) {
        let from = to.from;
        match message.kind {
            Some(Kind::Open) => {
                let tcp = [message.forward.tcp, message.reverse.tcp];
                self.forget(call, from, message.number);
                self.open.push_over(Channel { call, opener: from, number: message.number, tcp });
                message.announce(to, purpose(call, from, message.number), tcp);
            }
            Some(Kind::Ack) => {
                let opener = from.opposite();
                match self.find(call, opener, message.number) {
                    Some(channel) => {
                        message.announce(to, purpose(call, opener, message.number), channel.tcp);
                    }
                    None => message.refuse(to),
                }
            }
            Some(Kind::Reject) => self.end(to, call, from.opposite(), message.number),
            Some(Kind::Close) => self.end(to, call, from, message.number),
            None => {}
        }
    }

    /// Carries out an element of `fastStart`: a channel that needs no acknowledgement.
    pub(super) fn fast_start(&mut self, to: &mut Announcements<'_, '_>, call: u32, message: &Message) {
        message.announce(to, Purpose { call, channel: 0 }, [message.forward.tcp, message.reverse.tcp]);
    }

    /// Forgets the channels of a call that has ended.
    pub(super) fn release(&mut self, call: u32) {
        self.open.retain(|channel| channel.call != call);
    }

    fn end(&mut self, to: &mut Announcements<'_, '_>, call: u32, opener: Direction, number: u16) {
        if self.find(call, opener, number).is_some() {
            self.forget(call, opener, number);
            let ended = purpose(call, opener, number);
            to.ledger.cancel(to.cx, |purpose| purpose == ended);
        }
    }

    fn find(&self, call: u32, opener: Direction, number: u16) -> Option<Channel> {
        self.open.iter().find(|c| (c.call, c.opener, c.number) == (call, opener, number))
    }

    fn forget(&mut self, call: u32, opener: Direction, number: u16) {
        self.open.retain(|c| (c.call, c.opener, c.number) != (call, opener, number));
    }
}

fn purpose(call: u32, opener: Direction, number: u16) -> Purpose {
    Purpose { call, channel: u32::from(number) | (1 + opener.index() as u32) << 16 }
}

/// What a message does to a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Open,
    Ack,
    Reject,
    Close,
}

/// What matters of a message.
#[derive(Debug, Default)]
pub(super) struct Message {
    kind: Option<Kind>,
    number: u16,
    forward: Media,
    reverse: Media,
    stack: Option<Announced>,
}

/// Endpoints for one direction of a channel.
#[derive(Clone, Copy, Debug, Default)]
struct Media {
    media: Option<Announced>,
    control: Option<Announced>,
    tcp: bool,
}

impl Message {
    /// Reads a control message at the beginning of `bytes`, which stand `base` octets into what the session was given. Also says how
    /// many octets it takes.
    pub(super) fn read(&mut self, bytes: &[u8], base: usize) -> Result<usize, Fault> {
        walk(bytes, &CONTROL_MESSAGE, &mut Reader::new(self, bytes, base))
    }

    /// Reads an element of `fastStart`.
    pub(super) fn read_fast_start(&mut self, bytes: &[u8], base: usize) -> Result<(), Fault> {
        walk(bytes, &FAST_START, &mut Reader::new(self, bytes, base)).map(drop)
    }

    fn announce(&self, to: &mut Announcements<'_, '_>, purpose: Purpose, tcp: [bool; 2]) {
        for (media, tcp) in [(self.forward, tcp[0]), (self.reverse, tcp[1])] {
            let opening: Opening = if tcp { T120 } else { MEDIA };
            let control = media.control.filter(|_| !tcp);
            to.open(opening, purpose, [media.media, control].into_iter().flatten());
        }
        to.open(T120, purpose, self.stack.into_iter());
    }

    /// Refuses what it announces, for nobody asked.
    pub(super) fn refuse(&self, to: &mut Announcements<'_, '_>) {
        let media = [self.forward, self.reverse].into_iter().flat_map(|media| [media.media, media.control]);
        for announced in media.chain([self.stack]).flatten() {
            to.cx.refuse(Refusal::Unsolicited, announced.span(to.cx));
        }
    }
}

struct Reader<'m> {
    bytes: &'m [u8],
    base: usize,
    address: AddressReader,
    media: Media,
    message: &'m mut Message,
}

impl<'m> Reader<'m> {
    fn new(message: &'m mut Message, bytes: &'m [u8], base: usize) -> Self {
        let (address, media) = Default::default();
        Self { bytes, base, address, media, message }
    }
}

impl Visitor for Reader<'_> {
    fn found(&mut self, found: Found) {
        let message = &mut *self.message;
        match found.mark {
            Mark::Ip4 | Mark::Ip6 | Mark::Port => self.address.see(&found, self.bytes, self.base),
            Mark::ChannelNumber => message.number = u16::try_from(found.number).unwrap_or_default(),
            Mark::Application => self.media.tcp |= found.number == APPLICATION_T120,
            Mark::DataProtocol => self.media.tcp |= found.number == PROTOCOL_TCP,
            Mark::MediaChannel => self.media.media = Some(self.address.take(&found, self.base)),
            Mark::MediaControlChannel => self.media.control = Some(self.address.take(&found, self.base)),
            Mark::Forward => message.forward = std::mem::take(&mut self.media),
            Mark::Reverse => message.reverse = std::mem::take(&mut self.media),
            Mark::StackAddress => message.stack = Some(self.address.take(&found, self.base)),
            Mark::Channel => message.kind = Some(Kind::Open),
            Mark::Request | Mark::Response => {
                message.kind = match (found.mark, found.number) {
                    (Mark::Request, OPEN_LOGICAL_CHANNEL) => Some(Kind::Open),
                    (Mark::Request, CLOSE_LOGICAL_CHANNEL) => Some(Kind::Close),
                    (Mark::Response, OPEN_LOGICAL_CHANNEL_ACK) => Some(Kind::Ack),
                    (Mark::Response, OPEN_LOGICAL_CHANNEL_REJECT) => Some(Kind::Reject),
                    _ => None,
                };
            }
            // A functionNotUnderstood returns a message; what it holds means nothing any more.
            Mark::Indication => *message = Message::default(),
            _ => {}
        }
    }
}
