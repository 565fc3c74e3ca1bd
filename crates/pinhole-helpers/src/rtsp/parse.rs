//! The grammar of RTSP (RFC 2326 §6, §7; RFC 7826 §20.2): start lines and the header fields that count.

use crate::number::decimal;
use crate::text_message::{BadLength, BodyLength, Start, fields, first_line, split};
use std::ops::Range;

/// Methods that mean something to the helper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Setup,
    Play,
    Teardown,
    Other,
}

/// The first line of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StartLine {
    Request { method: Method, url: Range<usize> },
    Response { code: u16 },
}

impl StartLine {
    /// Reads `METHOD url RTSP/1.0` or `RTSP/1.0 code reason`. `None`: the line is not RTSP.
    pub(super) fn read(line: &[u8]) -> Option<Self> {
        match Start::read(line, is_version)? {
            Start::Response { code } => (code < 600).then_some(Self::Response { code }),
            Start::Request { method, target } => {
                let method = match method {
                    b"SETUP" => Method::Setup,
                    // Both start the streams of a session, or go on with them.
                    b"PLAY" | b"RECORD" => Method::Play,
                    b"TEARDOWN" => Method::Teardown,
                    _ => Method::Other,
                };
                Some(Self::Request { method, url: target })
            }
        }
    }
}

fn is_version(word: &[u8]) -> bool {
    [&b"RTSP/1.0"[..], b"RTSP/2.0"].iter().any(|version| word.eq_ignore_ascii_case(version))
}

/// What the head of a message says.
#[derive(Debug)]
pub(super) struct Head<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) start: StartLine,
    pub(super) sequence: Option<u32>,
    /// The identifier of `Session`, without its parameters.
    pub(super) session: &'a [u8],
    pub(super) length: Result<Option<BodyLength>, BadLength>,
}

impl<'a> Head<'a> {
    /// Reads a head. `None`: it does not begin with RTSP's start line.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let line = first_line(bytes)?;
        let start = StartLine::read(bytes.get(line)?)?;
        let mut head = Self { bytes, start, sequence: None, session: &[], length: Ok(None) };
        for field in fields(bytes) {
            let value = bytes.get(field.value.clone()).unwrap_or_default();
            if field.is(b"CSeq") {
                head.sequence = decimal(value);
            } else if field.is(b"Session") {
                head.session = value.split(|&b| b == b';').next().unwrap_or_default().trim_ascii();
            } else if field.is(b"Content-Length") {
                head.length =
                    head.length.and_then(|before| BodyLength::read(bytes, field.value, before).map(Some));
            }
        }
        Some(head)
    }

    /// Where the transport specifications stand.
    pub(super) fn transports(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        fields(self.bytes)
            .filter(|field| field.is(b"Transport"))
            .flat_map(|field| split(self.bytes, field.value, b','))
            .filter(|specification| !specification.is_empty())
    }
}
