//! The dialogue: which request an answer belongs to.

use super::grammar::{Event, Expected, Listed, Part, Told};
use super::notation;
use crate::endpoint::admit_port;
use pinhole_helper::{AddressMatch, BlindReason, Context, Expect, Progress, Refusal, Session, saved};
use pinhole_wire::{Direction, Protocol};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::net::SocketAddr;

pub use super::grammar::VALUE_LIMIT;

/// Requests that may wait for their answers. Front ends send one at a time.
pub const OUTSTANDING_LIMIT: usize = 16;

/// The requests (SANE Standard 1.06 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Request {
    Init,
    Devices,
    Open,
    Close,
    Options,
    Control,
    Parameters,
    Start,
    Cancel,
    Authorize,
    /// Has no answer; the daemon closes the conn.
    Exit,
}

impl Request {
    const ALL: [Self; 11] = [
        Self::Init,
        Self::Devices,
        Self::Open,
        Self::Close,
        Self::Options,
        Self::Control,
        Self::Parameters,
        Self::Start,
        Self::Cancel,
        Self::Authorize,
        Self::Exit,
    ];

    /// What follows its code.
    const fn arguments(self) -> &'static [Part] {
        match self {
            Self::Init => &[Part::Told(Told::Version), Part::Bytes],
            Self::Open => &[Part::Bytes],
            Self::Control => &[Part::Words(2), Part::Action],
            Self::Close | Self::Options | Self::Parameters | Self::Start | Self::Cancel => &[Part::Words(1)],
            Self::Authorize => &[Part::Bytes, Part::Bytes, Part::Bytes],
            Self::Devices | Self::Exit => &[],
        }
    }

    const fn answer(self) -> &'static [Part] {
        match self {
            Self::Init => &[Part::Words(2)],
            Self::Devices => &[Part::Words(1), Part::List(Listed::Device)],
            Self::Open => &[Part::Words(2), Part::Resource],
            Self::Options => &[Part::List(Listed::Option)],
            Self::Control => &[Part::Words(2), Part::Value, Part::Resource],
            Self::Parameters => &[Part::Words(7)],
            Self::Start => {
                &[Part::Told(Told::Status), Part::Told(Told::Port), Part::Words(1), Part::Resource]
            }
            Self::Close | Self::Cancel | Self::Authorize => &[Part::Words(1)],
            Self::Exit => &[],
        }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct SaneSession {
    has_opened: bool,
    requests: Expected,
    answers: Expected,
    /// Oldest first; the first is being answered.
    outstanding: VecDeque<Request>,
    /// The first of them wants authorization, after which it is answered again.
    wants_authorization: bool,
    start_succeeded: bool,
}

/// Why a conn cannot be read on.
type Stop = BlindReason;

impl Session for SaneSession {
    fn read(&mut self, cx: &mut Context<'_>, from: Direction, bytes: &[u8]) -> Progress {
        let mut at = 0;
        loop {
            let before = at;
            let result = match from {
                Direction::Original => self.request(bytes, &mut at),
                Direction::Reply => self.answer(cx, bytes, &mut at),
            };
            match result {
                Err(reason) => return Progress::Blind(reason),
                Ok(true) => return Progress::Done,
                Ok(false) if at == before => return Progress::Consumed(at),
                Ok(false) => {}
            }
        }
    }

    fn save(&self) -> Option<Vec<u8>> {
        saved::encode(self)
    }

    fn longest_message(&self) -> usize {
        // No part needs more than a word to be understood.
        64
    }

    fn memory(&self) -> usize {
        self.requests.memory() + self.answers.memory() + self.outstanding.capacity() * size_of::<Request>()
    }
}

impl SaneSession {
    /// Reads on in a request. `Ok(true)`: the dialogue is over.
    fn request(&mut self, bytes: &[u8], at: &mut usize) -> Result<bool, Stop> {
        if self.requests.is_empty() {
            self.requests.extend(&[Part::Told(Told::Request)]);
        }
        let (end, event) = self.requests.take(bytes, *at).map_err(|_| BlindReason::NotThisProtocol)?;
        *at = end;
        match event {
            Some(Event::Word(Told::Request, code, _)) => self.begin(code),
            // Major version 1, the most significant byte (SANE Standard 1.06 §4.2).
            Some(Event::Word(Told::Version, version, _)) if version >> 24 != 1 => {
                Err(BlindReason::NotThisProtocol)
            }
            _ => Ok(false),
        }
    }

    fn begin(&mut self, code: u32) -> Result<bool, Stop> {
        let request = usize::try_from(code).ok().and_then(|code| Request::ALL.get(code).copied());
        let request = request.ok_or(BlindReason::NotThisProtocol)?;
        if self.has_opened == (request == Request::Init) {
            return Err(BlindReason::NotThisProtocol);
        }
        self.has_opened = true;
        self.requests.extend(request.arguments());
        match request {
            Request::Exit => return Ok(true),
            // It is answered first; what wants it is answered again after that.
            Request::Authorize if self.wants_authorization => self.outstanding.push_front(request),
            Request::Authorize => return Err(BlindReason::NotThisProtocol),
            _ => self.outstanding.push_back(request),
        }
        if self.outstanding.len() > OUTSTANDING_LIMIT {
            return Err(BlindReason::BufferFull);
        }
        self.wants_authorization = false;
        Ok(false)
    }

    /// Reads on in an answer.
    fn answer(&mut self, cx: &mut Context<'_>, bytes: &[u8], at: &mut usize) -> Result<bool, Stop> {
        if self.answers.is_empty() {
            if *at == bytes.len() {
                return Ok(false);
            }
            let answered = self.outstanding.front().filter(|_| !self.wants_authorization);
            self.answers.extend(answered.ok_or(BlindReason::NotThisProtocol)?.answer());
        }
        let (end, event) = self.answers.take(bytes, *at).map_err(|_| BlindReason::NotThisProtocol)?;
        *at = end;
        match event {
            Some(Event::Word(Told::Status, status, _)) => self.start_succeeded = status == 0,
            Some(Event::Word(Told::Port, port, offset)) => self.announce(cx, port, offset),
            Some(Event::Resource) => self.wants_authorization = true,
            _ => {}
        }
        if self.answers.is_empty() && !self.wants_authorization {
            self.outstanding.pop_front();
        }
        Ok(false)
    }

    fn announce(&mut self, cx: &mut Context<'_>, port: u32, offset: usize) {
        // An answer that failed, or that wants authorization, names none.
        if !self.start_succeeded || port == 0 {
            return;
        }
        let span = cx.span(offset, offset + 4);
        let admitted = u16::try_from(port).map_err(|_| Refusal::BadNumber);
        let port = match admitted.and_then(|port| admit_port(port, cx.policy).map(|()| port)) {
            Ok(port) => port,
            Err(why) => return cx.refuse(why, span),
        };
        let handle = cx.expect(Expect::to(
            Protocol::TCP,
            AddressMatch::Exact(cx.master.receiver(Direction::Reply).ip()),
            SocketAddr::new(cx.master.sender_seen_by_peer(Direction::Reply).ip(), port),
            span,
        ));
        cx.locate(handle, span, notation::PORT);
    }
}
