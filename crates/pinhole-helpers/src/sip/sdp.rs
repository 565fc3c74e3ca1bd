//! Session descriptions (SDP, RFC 8866) as SIP's offers and answers carry them (RFC 3264): where each medium is received.
//!
//! | line | RFC |
//! |---|---|
//! | `c=`, of the session or a medium; `o=` | 8866 §5.7, §5.2 |
//! | `m=`, port 0 refuses a medium | 8866 §5.14, 3264 §6 |
//! | `a=rtcp:`, `a=rtcp-mux`, `a=rtcp-mux-only` | 3605, 5761, 8858 |
//! | `a=candidate:` (ICE) | 8839 §5.1 |
//! | `a=setup:` of media over TCP | 4145 |
//!
//! BUNDLE (RFC 9143) needs nothing of its own: bundled media of an answer repeat one port, and those that an offer has only in a bundle
//! have port 0. Lines end with LF or CRLF.

use super::parse::ip_text;
use crate::number::port;
use crate::text_message::trim;
use pinhole_helper::Refusal;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

/// Most media of a description; more are refused.
pub(super) const MEDIA_LIMIT: usize = 12;
/// Most ICE candidates of a medium that are read.
const CANDIDATE_LIMIT: usize = 8;
/// Most ports of one `m=` line (`port/count`).
const COUNT_LIMIT: u16 = 4;

/// A session description.
#[derive(Debug, Default)]
pub(super) struct Description {
    pub(super) origin: Option<Connection>,
    pub(super) connection: Option<Connection>,
    /// The sender will connect, not listen, where a medium says nothing else.
    active: bool,
    pub(super) media: Vec<Media>,
    /// Where the first medium beyond [`MEDIA_LIMIT`] stands.
    pub(super) excess: Option<Range<usize>>,
}

/// The address of a `c=`, `o=` or `a=rtcp:` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Connection {
    /// `None`: the unspecified address, which puts a medium on hold (RFC 3264 §8.4).
    pub(super) address: Result<Option<IpAddr>, Refusal>,
    pub(super) place: Range<usize>,
}

/// What a medium is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Audio,
    Video,
    /// Another of the registered ones (RFC 8866 §8.2.1).
    Other,
    /// What it is like is not known: nothing is opened but what it names.
    Unknown,
}

/// An `m=` line and what belongs to it.
#[derive(Debug)]
pub(super) struct Media {
    pub(super) kind: Kind,
    pub(super) line: Range<usize>,
    pub(super) port: Result<u16, Refusal>,
    pub(super) port_place: Range<usize>,
    /// Ports, or pairs of them.
    pub(super) count: u16,
    pub(super) tcp: bool,
    /// RTP, whose control protocol has a port of its own.
    pub(super) rtp: bool,
    pub(super) connection: Option<Connection>,
    pub(super) rtcp: Option<Rtcp>,
    /// RTP and RTCP may share a port.
    pub(super) mux: bool,
    /// They must.
    pub(super) mux_only: bool,
    /// The sender will connect, not listen.
    pub(super) active: bool,
    pub(super) candidates: Vec<Candidate>,
}

/// `a=rtcp:port` or `a=rtcp:port IN IP4 address`.
#[derive(Debug)]
pub(super) struct Rtcp {
    pub(super) port: Result<u16, Refusal>,
    pub(super) place: Range<usize>,
    pub(super) connection: Option<Connection>,
}

/// An ICE candidate of the sender's own host.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) address: IpAddr,
    pub(super) port: u16,
    pub(super) tcp: bool,
    pub(super) line: Range<usize>,
    pub(super) address_place: Range<usize>,
    pub(super) port_place: Range<usize>,
}

impl Description {
    /// Reads the description that stands in a range of a message.
    pub(super) fn read(bytes: &[u8], range: Range<usize>) -> Self {
        let mut description = Self::default();
        let mut at = range.start;
        while let Some(rest) = bytes.get(at..range.end).filter(|rest| !rest.is_empty()) {
            let end = rest.iter().position(|&b| b == b'\n').map_or(range.end, |length| at + length);
            description.line(bytes, trim(bytes, at..end));
            at = end + 1;
        }
        description
    }

    fn line(&mut self, bytes: &[u8], line: Range<usize>) {
        let Some([kind, b'=', ..]) = bytes.get(line.clone()) else { return };
        let value = line.start + 2..line.end;
        match kind {
            b'o' => self.origin = self.origin.take().or_else(|| Connection::after(bytes, value, 3)),
            b'c' => {
                let connection = Connection::after(bytes, value, 0);
                match self.media.last_mut() {
                    Some(media) => media.connection = connection,
                    None => self.connection = connection,
                }
            }
            b'm' if self.media.len() == MEDIA_LIMIT || self.excess.is_some() => {
                self.excess.get_or_insert(line);
            }
            b'm' => {
                let media = Media::read(bytes, line, value);
                self.media.extend(media.map(|media| Media { active: self.active, ..media }));
            }
            b'a' if self.excess.is_none() => match self.media.last_mut() {
                Some(media) => media.attribute(bytes, line, value),
                // Of the session's attributes one holds for all media (RFC 4145 §4).
                None => {
                    if let Some(role) = bytes.get(value).and_then(|text| text.strip_prefix(b"setup:")) {
                        self.active = role.trim_ascii() == b"active";
                    }
                }
            },
            _ => {}
        }
    }
}

impl Connection {
    /// Reads `IN IP4 address` after so many other words. `None`: the line has fewer words.
    fn after(bytes: &[u8], value: Range<usize>, skipped: usize) -> Option<Self> {
        let mut words = words(bytes, value).skip(skipped);
        let (network, family, place) = (words.next()?, words.next()?, words.next()?);
        let text = bytes.get(place.clone())?;
        // A multicast address is followed by its TTL and a count.
        let length = text.iter().position(|&b| b == b'/').unwrap_or(text.len());
        let place = place.start..place.start + length;
        let text = bytes.get(place.clone())?;
        let is =
            |word: Range<usize>, name: &[u8]| bytes.get(word).is_some_and(|w| w.eq_ignore_ascii_case(name));
        let address = if !is(network, b"IN") {
            Err(Refusal::Unsupported)
        } else if is(family.clone(), b"IP4") {
            ip_text::<Ipv4Addr>(text).map(IpAddr::V4).ok_or_else(|| not_an_address(text))
        } else if is(family, b"IP6") {
            ip_text::<Ipv6Addr>(text).map(IpAddr::V6).ok_or_else(|| not_an_address(text))
        } else {
            Err(Refusal::Unsupported)
        };
        Some(Self { address: address.map(|ip| (!ip.is_unspecified()).then_some(ip)), place })
    }
}

/// A host name cannot be resolved here; anything else is an error.
fn not_an_address(text: &[u8]) -> Refusal {
    let is_name = text.iter().any(u8::is_ascii_alphabetic)
        && text.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'));
    if is_name { Refusal::Unsupported } else { Refusal::Malformed }
}

impl Media {
    /// `kind port[/count] protocol formats…`
    fn read(bytes: &[u8], line: Range<usize>, value: Range<usize>) -> Option<Self> {
        let mut words = words(bytes, value);
        let (kind, number, protocol) = (words.next()?, words.next()?, words.next()?);
        let text = bytes.get(number.clone())?;
        let slash = text.iter().position(|&b| b == b'/').unwrap_or(text.len());
        let count = text.get(slash + 1..).map_or(Some(1), port);
        let protocol = bytes.get(protocol)?;
        let mut parts = protocol.split(|&b| b == b'/');
        Some(Self {
            kind: match bytes.get(kind)? {
                b"audio" => Kind::Audio,
                b"video" => Kind::Video,
                b"text" | b"application" | b"message" | b"image" => Kind::Other,
                _ => Kind::Unknown,
            },
            line,
            port: match (port(text.get(..slash)?), count) {
                (Some(_), Some(count)) if count > COUNT_LIMIT => Err(Refusal::Limit),
                (Some(port), Some(_)) => Ok(port),
                _ => Err(Refusal::BadNumber),
            },
            port_place: number.start..number.start + slash,
            count: count.unwrap_or(1).max(1),
            tcp: protocol.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(b"TCP")),
            rtp: parts.any(|part| part.eq_ignore_ascii_case(b"RTP")),
            connection: None,
            rtcp: None,
            mux: false,
            mux_only: false,
            active: false,
            candidates: Vec::new(),
        })
    }

    /// Whether RTCP has, or may have, a port of its own.
    pub(super) fn has_rtcp(&self) -> bool {
        self.rtp && !self.tcp && !self.mux_only && self.kind != Kind::Unknown
    }

    fn attribute(&mut self, bytes: &[u8], line: Range<usize>, value: Range<usize>) {
        let text = bytes.get(value.clone()).unwrap_or_default();
        let colon = text.iter().position(|&b| b == b':').unwrap_or(text.len());
        let argument = (value.start + colon + 1).min(value.end)..value.end;
        let content = bytes.get(argument.clone()).unwrap_or_default().trim_ascii();
        match text.get(..colon).unwrap_or_default() {
            b"rtcp-mux" => self.mux = true,
            b"rtcp-mux-only" => self.mux_only = true,
            b"setup" => self.active = content == b"active",
            b"rtcp" => {
                if let Some(place) = words(bytes, argument.clone()).next() {
                    let port = bytes.get(place.clone()).and_then(port).ok_or(Refusal::BadNumber);
                    self.rtcp = Some(Rtcp { port, place, connection: Connection::after(bytes, argument, 1) });
                }
            }
            b"candidate" if self.candidates.len() < CANDIDATE_LIMIT => {
                self.candidates.extend(Candidate::read(bytes, line, argument));
            }
            _ => {}
        }
    }
}

impl Candidate {
    /// `foundation component transport priority address port typ host …` (RFC 8839 §5.1). `None` for what is not the host's own
    /// listening address: the others are those of a NAT or a relay.
    fn read(bytes: &[u8], line: Range<usize>, value: Range<usize>) -> Option<Self> {
        let mut words = words(bytes, value);
        let transport = bytes.get(words.nth(2)?)?;
        let address_place = words.nth(1)?;
        let port_place = words.next()?;
        let (typ, kind) = (bytes.get(words.next()?)?, bytes.get(words.next()?)?);
        let rest: Vec<&[u8]> = words.filter_map(|word| bytes.get(word)).collect();
        let connects = rest.windows(2).any(|pair| pair == [&b"tcptype"[..], b"active"]);
        let tcp = transport.eq_ignore_ascii_case(b"TCP");
        if typ != b"typ" || kind != b"host" || connects || !(tcp || transport.eq_ignore_ascii_case(b"UDP")) {
            return None;
        }
        let address = ip_text(bytes.get(address_place.clone())?)?;
        let port = port(bytes.get(port_place.clone())?)?;
        Some(Self { address, port, tcp, line, address_place, port_place })
    }
}

/// The words of a range, between blanks.
fn words(bytes: &[u8], range: Range<usize>) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut at = range.start;
    std::iter::from_fn(move || {
        let rest = trim(bytes, at..range.end.max(at));
        let text = bytes.get(rest.clone()).filter(|text| !text.is_empty())?;
        let length = text.iter().position(u8::is_ascii_whitespace).unwrap_or(text.len());
        at = rest.start + length;
        Some(rest.start..at)
    })
}
