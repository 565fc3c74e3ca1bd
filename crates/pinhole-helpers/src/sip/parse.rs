//! The grammar of SIP (RFC 3261 §7, §25): start lines, header fields, addresses. No state; positions are relative to the message.

use crate::number::{decimal, port};
use crate::text_message::{
    BadLength, BodyLength, HeaderField, Start, fields, find_outside, first_line, parameter, trim,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

/// The port of `sip:` URIs and `Via` fields that name none (RFC 3261 §19.1.2).
pub(super) const DEFAULT_PORT: u16 = 5060;
/// The same for `sips:`.
const DEFAULT_TLS_PORT: u16 = 5061;

/// Methods that mean something to the helper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Invite,
    Ack,
    Prack,
    Update,
    Bye,
    Cancel,
    Register,
    Other,
}

impl Method {
    /// Methods are case-sensitive (RFC 3261 §7.1).
    fn read(token: &[u8]) -> Self {
        match token {
            b"INVITE" => Self::Invite,
            b"ACK" => Self::Ack,
            b"PRACK" => Self::Prack,
            b"UPDATE" => Self::Update,
            b"BYE" => Self::Bye,
            b"CANCEL" => Self::Cancel,
            b"REGISTER" => Self::Register,
            _ => Self::Other,
        }
    }

    /// Whether the bodies of its requests and answers offer or answer a session (RFC 6337 §2).
    pub(super) fn negotiates(self) -> bool {
        matches!(self, Self::Invite | Self::Ack | Self::Prack | Self::Update)
    }
}

/// The first line of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StartLine {
    Request { method: Method, uri: Range<usize> },
    Response { code: u16 },
}

impl StartLine {
    /// Reads `METHOD uri SIP/2.0` or `SIP/2.0 code reason` (RFC 3261 §7.1, §7.2). `None`: the line is not SIP.
    pub(super) fn read(line: &[u8]) -> Option<Self> {
        match Start::read(line, is_version)? {
            Start::Response { code } => (code < 700).then_some(Self::Response { code }),
            Start::Request { method, target } => {
                Some(Self::Request { method: Method::read(method), uri: target })
            }
        }
    }

    /// Whether the first line of a message, which is no start line, has SIP's version where one has it.
    pub(super) fn is_damaged(message: &[u8]) -> bool {
        let line = first_line(message).and_then(|line| message.get(line)).unwrap_or_default();
        let (_, last) = line.split_last_chunk::<7>().unwrap_or((&[], &[0; 7]));
        is_version(last) || line.first_chunk::<7>().is_some_and(|first| is_version(first))
    }
}

/// The version is compared without regard to case (RFC 3261 §7.1).
fn is_version(word: &[u8]) -> bool {
    word.eq_ignore_ascii_case(b"SIP/2.0")
}

/// Header fields that mean something to the helper, with their compact forms (RFC 3261 §7.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// One of the fields that name somebody, and mean nothing else here.
    Address,
    CallId,
    Contact,
    ContentEncoding,
    ContentLength,
    ContentType,
    Cseq,
    Expires,
    From,
    RecordRoute,
    Route,
    To,
    Via,
}

impl Name {
    pub(super) fn of(field: &HeaderField<'_>) -> Option<Self> {
        // RFC 3261; RFC 3327 (Path), RFC 3608 (Service-Route), RFC 3515, RFC 3892 (referrals), RFC 3325 (asserted identities).
        const NAMES: [(&[u8], &[u8], Name); 20] = [
            (b"Call-ID", b"i", Name::CallId),
            (b"Contact", b"m", Name::Contact),
            (b"Content-Encoding", b"e", Name::ContentEncoding),
            (b"Content-Length", b"l", Name::ContentLength),
            (b"Content-Type", b"c", Name::ContentType),
            (b"CSeq", b"CSeq", Name::Cseq),
            (b"Expires", b"Expires", Name::Expires),
            (b"From", b"f", Name::From),
            (b"P-Asserted-Identity", b"P-Asserted-Identity", Name::Address),
            (b"P-Preferred-Identity", b"P-Preferred-Identity", Name::Address),
            (b"Path", b"Path", Name::Address),
            (b"Record-Route", b"Record-Route", Name::RecordRoute),
            (b"Refer-To", b"r", Name::Address),
            (b"Referred-By", b"b", Name::Address),
            (b"Remote-Party-ID", b"Remote-Party-ID", Name::Address),
            (b"Reply-To", b"Reply-To", Name::Address),
            (b"Route", b"Route", Name::Route),
            (b"Service-Route", b"Service-Route", Name::Address),
            (b"To", b"t", Name::To),
            (b"Via", b"v", Name::Via),
        ];
        NAMES.iter().find(|(long, short, _)| field.is(long) || field.is(short)).map(|&(_, _, name)| name)
    }
}

/// What the head of a message says.
#[derive(Debug)]
pub(super) struct Head<'a> {
    /// All of the head.
    pub(super) bytes: &'a [u8],
    pub(super) start: StartLine,
    pub(super) call_id: &'a [u8],
    /// Number and method of `CSeq`.
    pub(super) sequence: Option<(u32, Method)>,
    pub(super) from_tag: &'a [u8],
    pub(super) to_tag: &'a [u8],
    /// Seconds of `Expires`.
    pub(super) expires: Option<u32>,
    pub(super) content_type: Range<usize>,
    /// The body is compressed or the like.
    pub(super) encoded: bool,
    pub(super) length: Result<Option<BodyLength>, BadLength>,
}

impl<'a> Head<'a> {
    /// Reads a head. `None`: it does not begin with SIP's start line.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let line = first_line(bytes).unwrap_or(0..bytes.len());
        let mut head = Self {
            bytes,
            start: StartLine::read(bytes.get(line)?)?,
            call_id: &[],
            sequence: None,
            from_tag: &[],
            to_tag: &[],
            expires: None,
            content_type: 0..0,
            encoded: false,
            length: Ok(None),
        };
        for field in fields(bytes) {
            let value = bytes.get(field.value.clone()).unwrap_or_default();
            match Name::of(&field) {
                Some(Name::CallId) => head.call_id = value,
                Some(Name::Cseq) => head.sequence = sequence(value),
                Some(Name::From) => head.from_tag = tag(bytes, field.value),
                Some(Name::To) => head.to_tag = tag(bytes, field.value),
                Some(Name::Expires) => head.expires = decimal(value),
                Some(Name::ContentType) => head.content_type = field.value,
                Some(Name::ContentEncoding) => head.encoded = !value.eq_ignore_ascii_case(b"identity"),
                Some(Name::ContentLength) => {
                    head.length =
                        head.length.and_then(|before| BodyLength::read(bytes, field.value, before).map(Some));
                }
                _ => {}
            }
        }
        Some(head)
    }

    /// The method that the message is about: its own, or that of the request it answers.
    pub(super) fn method(&self) -> Method {
        match self.start {
            StartLine::Request { method, .. } => method,
            StartLine::Response { .. } => self.sequence.map_or(Method::Other, |(_, method)| method),
        }
    }

    /// The status code, if this is an answer.
    pub(super) fn code(&self) -> Option<u16> {
        match self.start {
            StartLine::Request { .. } => None,
            StartLine::Response { code } => Some(code),
        }
    }

    /// Positions of the values of all fields of a name; several values of one field are separate.
    pub(super) fn values(&self, name: Name) -> impl Iterator<Item = Range<usize>> + '_ {
        fields(self.bytes)
            .filter(move |field| Name::of(field) == Some(name))
            .flat_map(|field| crate::text_message::split(self.bytes, field.value, b','))
            .filter(|value| !value.is_empty())
    }
}

/// `number METHOD` (RFC 3261 §20.16).
fn sequence(value: &[u8]) -> Option<(u32, Method)> {
    let mut words = value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    Some((decimal(words.next()?)?, Method::read(words.next()?)))
}

/// The tag of a From or To field.
fn tag(bytes: &[u8], value: Range<usize>) -> &[u8] {
    NameAddress::read(bytes, value)
        .and_then(|address| bytes.get(parameter(bytes, address.parameters, b"tag")?))
        .unwrap_or_default()
}

/// `"name" <uri>;parameters` or `uri;parameters` (RFC 3261 §20.10).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NameAddress {
    pub(super) uri: Range<usize>,
    pub(super) parameters: Range<usize>,
}

impl NameAddress {
    pub(super) fn read(bytes: &[u8], value: Range<usize>) -> Option<Self> {
        // The opening bracket is the first one outside of the quotes of the name.
        if let Some(open) = find_outside(bytes, value.clone(), b'<') {
            let length = bytes.get(open..value.end)?.iter().position(|&b| b == b'>')?;
            let close = open + length;
            return Some(Self { uri: trim(bytes, open + 1..close), parameters: close + 1..value.end });
        }
        let end = find_outside(bytes, value.clone(), b';').unwrap_or(value.end);
        Some(Self { uri: trim(bytes, value.start..end), parameters: end..value.end })
    }
}

/// A host as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Host {
    Ip(IpAddr),
    Name,
}

/// `host` or `host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostPort {
    pub(super) host: Host,
    pub(super) port: Option<u16>,
    pub(super) place: Range<usize>,
}

impl HostPort {
    /// Reads what begins at the start of a range; it ends with the range or before a delimiter.
    pub(super) fn read(bytes: &[u8], range: Range<usize>) -> Option<Self> {
        Self::read_with(bytes, range, |text| text.strip_prefix(b":"))
    }

    /// The same in Via, where blanks may stand around the colon (RFC 3261 §25.1, `sent-by`).
    fn read_sent_by(bytes: &[u8], range: Range<usize>) -> Option<Self> {
        Self::read_with(bytes, range, |text| {
            text.trim_ascii_start().strip_prefix(b":").map(<[u8]>::trim_ascii_start)
        })
    }

    /// `after_colon`: what follows the colon, if the text begins with one.
    fn read_with(
        bytes: &[u8],
        range: Range<usize>,
        after_colon: impl Fn(&[u8]) -> Option<&[u8]>,
    ) -> Option<Self> {
        let text = bytes.get(range.clone())?;
        let (host, length) = if text.first() == Some(&b'[') {
            let close = text.iter().position(|&b| b == b']')?;
            (Host::Ip(IpAddr::V6(ip_text::<Ipv6Addr>(text.get(1..close)?)?)), close + 1)
        } else {
            let is_host = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
            let length = text.iter().position(|b| !is_host(b)).unwrap_or(text.len());
            let name = text.get(..length).filter(|name| !name.is_empty())?;
            (ip_text::<Ipv4Addr>(name).map_or(Host::Name, |ip| Host::Ip(IpAddr::V4(ip))), length)
        };
        let mut end = length;
        let mut number = None;
        if let Some(digits) = after_colon(text.get(length..)?) {
            let count = digits.iter().take_while(|b| b.is_ascii_digit()).count();
            number = Some(port(digits.get(..count)?)?);
            end = text.len() - digits.len() + count;
        }
        let ended =
            text.get(end).is_none_or(|b| matches!(b, b';' | b'?' | b'>' | b',') || b.is_ascii_whitespace());
        ended.then_some(Self { host, port: number, place: range.start..range.start + end })
    }
}

/// An address that is written as Rust reads it: no leading zeros, no zone.
pub(super) fn ip_text<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// A `sip:` or `sips:` URI (RFC 3261 §19.1).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Uri {
    pub(super) secure: bool,
    pub(super) host_port: HostPort,
    /// From the first semicolon on.
    pub(super) parameters: Range<usize>,
}

impl Uri {
    /// `None`: another scheme, or not well-formed.
    pub(super) fn read(bytes: &[u8], range: Range<usize>) -> Option<Self> {
        let text = bytes.get(range.clone())?;
        let colon = text.iter().position(|&b| b == b':')?;
        let scheme = text.get(..colon)?;
        let secure = scheme.eq_ignore_ascii_case(b"sips");
        if !secure && !scheme.eq_ignore_ascii_case(b"sip") {
            return None;
        }
        let start = range.start + colon + 1;
        let user = bytes.get(start..range.end)?.iter().position(|&b| b == b'@').map_or(0, |at| at + 1);
        let host_port = HostPort::read(bytes, start + user..range.end)?;
        let end = host_port.place.end;
        Some(Self { secure, host_port, parameters: end..range.end })
    }

    /// Its port, or the one that its scheme stands for.
    pub(super) fn port(&self) -> u16 {
        self.host_port.port.unwrap_or(if self.secure { DEFAULT_TLS_PORT } else { DEFAULT_PORT })
    }
}

/// One value of Via: `SIP/2.0/UDP host:port;parameters` (RFC 3261 §20.42).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Via {
    pub(super) sent_by: HostPort,
    pub(super) parameters: Range<usize>,
}

impl Via {
    pub(super) fn read(bytes: &[u8], value: Range<usize>) -> Option<Self> {
        let text = bytes.get(value.clone())?;
        let mut slashes = text.iter().enumerate().filter(|&(_, &b)| b == b'/').map(|(at, _)| at);
        let transport = trim(bytes, value.start + slashes.nth(1)? + 1..value.end);
        let length = bytes.get(transport.clone())?.iter().position(u8::is_ascii_whitespace)?;
        let sent_by = HostPort::read_sent_by(bytes, trim(bytes, transport.start + length..value.end))?;
        let end = sent_by.place.end;
        Some(Self { sent_by, parameters: end..value.end })
    }
}
