//! Requests as records.

use crate::bytes::{address, byte, family, put, read_address, short, word};
use crate::number;
use alloc::vec::Vec;
use core::net::IpAddr;
use pinhole_helper::{
    Action, AddressMatch, Condition, End, Expect, Field, GroupRule, Handle, Lifetime, Name, PortMatch, Span,
};
use pinhole_wire::Protocol;

/// Bytes of an expectation without the name of a helper.
pub const EXPECT: usize = 80;
/// Bytes of an expectation's new aim.
const AIM: usize = 28;
/// Most records of one answer.
pub const MOST: usize = 256;

mod kind {
    pub(super) const EXPECT: u16 = 1;
    pub(super) const ACTIVATE: u16 = 2;
    pub(super) const EXTEND: u16 = 3;
    pub(super) const PROLONG: u16 = 4;
    pub(super) const CANCEL: u16 = 5;
    pub(super) const LOCATE: u16 = 6;
    pub(super) const MENTION: u16 = 7;
    pub(super) const LENGTH: u16 = 8;
    pub(super) const RENUMBER: u16 = 9;
    pub(super) const LEAD: u16 = 10;
    pub(super) const REFUSE: u16 = 11;
    pub(super) const CONDITION: u16 = 12;
    pub(super) const AIM: u16 = 13;
}

const ACTIVE: u8 = 1;
const GROUP: u8 = 2;
const FIRST_HIT_CANCELS: u8 = 4;
const TIMEOUT: u8 = 8;

/// Appends a request. `false`: the interface has no record for it.
pub fn write(action: &Action, out: &mut Vec<u8>) -> bool {
    match action {
        Action::Expect(handle, expect) => write_expect(*handle, expect, out),
        Action::Activate(handle) => words(out, kind::ACTIVATE, &[handle.0]),
        Action::Extend(handle, seconds) => words(out, kind::EXTEND, &[handle.0, *seconds]),
        Action::Prolong(seconds) => words(out, kind::PROLONG, &[*seconds]),
        Action::Aim(handle, source) => write_aim(*handle, *source, out),
        Action::Cancel(handle) => words(out, kind::CANCEL, &[handle.0]),
        Action::Locate(handle, at, field) => {
            words(out, kind::LOCATE, &[handle.0, start(*at), end(*at), pack(*field, 0)]);
        }
        Action::Mention(which, at, field) => {
            let which = match which {
                End::Sender => 0,
                End::Peer => 1,
            };
            words(out, kind::MENTION, &[which, start(*at), end(*at), pack(*field, 0)]);
        }
        Action::Length(digits, body) => {
            words(out, kind::LENGTH, &[start(*digits), end(*digits), start(*body), end(*body)]);
        }
        Action::Renumber(at, field, number) => {
            words(out, kind::RENUMBER, &[start(*at), end(*at), pack(*field, *number)]);
        }
        Action::Lead(handle, source, destination) => {
            words(out, kind::LEAD, &[handle.0, u32::from(*source) | u32::from(*destination) << 16]);
        }
        Action::Refuse(why, at) => {
            words(out, kind::REFUSE, &[number::of_refusal(*why), start(*at), end(*at)]);
        }
        Action::Condition(condition) => {
            let condition = match condition {
                Condition::Reading => 0,
                Condition::Encrypted => 1,
            };
            words(out, kind::CONDITION, &[condition]);
        }
        _ => return false,
    }
    true
}

/// Reads the first record of an answer, and says how long it is. `None`: it is no record.
pub fn read(bytes: &[u8]) -> Option<(Action, usize)> {
    let (kind, size) = (short(bytes, 0), usize::from(short(bytes, 2)));
    let record = bytes.get(..size).filter(|_| bytes.len() >= 4)?;
    let at = |index: usize| word(record, 4 + index * 4);
    let span = |index: usize| Span { start: at(index).into(), end: at(index + 1).into() };
    let field = |index: usize| unpack(at(index));
    let fixed = |words: usize| (size == 4 + words * 4).then_some(());
    let action = match kind {
        kind::EXPECT => read_expect(record)?,
        kind::ACTIVATE => fixed(1).map(|()| Action::Activate(Handle(at(0))))?,
        kind::EXTEND => fixed(2).map(|()| Action::Extend(Handle(at(0)), at(1)))?,
        kind::PROLONG => fixed(1).map(|()| Action::Prolong(at(0)))?,
        kind::AIM if size == AIM && byte(record, 11) == 0 => {
            let source = read_source(record, byte(record, 8), byte(record, 9), byte(record, 10), 12)?;
            Action::Aim(Handle(at(0)), source)
        }
        kind::CANCEL => fixed(1).map(|()| Action::Cancel(Handle(at(0))))?,
        kind::LOCATE => fixed(4).and_then(|()| Some(Action::Locate(Handle(at(0)), span(1), field(3)?.0)))?,
        kind::MENTION => {
            fixed(4)?;
            let end = match at(0) {
                0 => End::Sender,
                1 => End::Peer,
                _ => return None,
            };
            Action::Mention(end, span(1), field(3)?.0)
        }
        kind::LENGTH => fixed(4).map(|()| Action::Length(span(0), span(2)))?,
        kind::RENUMBER => {
            fixed(3)?;
            let (field, number) = field(2)?;
            Action::Renumber(span(0), field, number)
        }
        kind::LEAD => fixed(2).map(|()| Action::Lead(Handle(at(0)), short(record, 8), short(record, 10)))?,
        kind::REFUSE => fixed(3).and_then(|()| Some(Action::Refuse(number::refusal(at(0))?, span(1))))?,
        kind::CONDITION => {
            fixed(1)?;
            Action::Condition(match at(0) {
                0 => Condition::Reading,
                1 => Condition::Encrypted,
                _ => return None,
            })
        }
        _ => return None,
    };
    Some((action, size))
}

fn write_expect(handle: Handle, expect: &Expect, out: &mut Vec<u8>) {
    let helper = expect.helper.as_deref().unwrap_or_default();
    let size = EXPECT + helper.len().next_multiple_of(4);
    let begin = out.len();
    out.resize(begin + size, 0);
    let Some(record) = out.get_mut(begin..) else { return };
    // A name has at most 31 bytes.
    put(record, 0, &kind::EXPECT.to_le_bytes());
    put(record, 2, &(size as u16).to_le_bytes());
    put(record, 4, &handle.0.to_le_bytes());
    let flag = |set: bool, bit: u8| if set { bit } else { 0 };
    let cancels = matches!(expect.group, Some((_, GroupRule::FirstHitCancels)));
    let flags = flag(expect.active, ACTIVE)
        | flag(expect.group.is_some(), GROUP)
        | flag(cancels, FIRST_HIT_CANCELS)
        | flag(expect.timeout.is_some(), TIMEOUT);
    let lifetime = match expect.lifetime {
        Lifetime::OneShot => 0,
        Lifetime::Permanent => 1,
    };
    put(record, 8, &[expect.class, expect.protocol.0, lifetime, flags]);
    let (source_kind, source, prefix) = source(expect.source);
    let (source_port, destination_port) = (ports(expect.source_port), ports(expect.destination_port));
    put(record, 12, &[source_kind, prefix, source_port.0, destination_port.0]);
    put(record, 16, &[source.map_or(0, family), family(expect.destination), helper.len() as u8]);
    put(record, 20, &source.map_or([0; 16], address));
    put(record, 36, &address(expect.destination));
    for (at, port) in
        [(52, source_port.1), (54, source_port.2), (56, destination_port.1), (58, destination_port.2)]
    {
        put(record, at, &port.to_le_bytes());
    }
    let group = expect.group.map_or(0, |(group, _)| group);
    for (at, word) in [
        (60, group),
        (64, expect.timeout.unwrap_or_default()),
        (68, start(expect.span)),
        (72, end(expect.span)),
    ] {
        put(record, at, &word.to_le_bytes());
    }
    put(record, EXPECT, helper.as_bytes());
}

fn read_expect(record: &[u8]) -> Option<Action> {
    let name = usize::from(byte(record, 18));
    let flags = byte(record, 11);
    if record.len() != EXPECT + name.next_multiple_of(4) || flags > 15 {
        return None;
    }
    let helper = match name {
        0 => None,
        _ => {
            let name = core::str::from_utf8(record.get(EXPECT..EXPECT + name)?).ok()?;
            Some(Name::try_from(name).ok()?)
        }
    };
    let expect = Expect {
        class: byte(record, 8),
        protocol: Protocol(byte(record, 9)),
        source: read_source(record, byte(record, 12), byte(record, 13), byte(record, 16), 20)?,
        source_port: read_ports(record, 14, 52)?,
        destination: read_address(record, 36, byte(record, 17))?,
        destination_port: read_ports(record, 15, 56)?,
        lifetime: match byte(record, 10) {
            0 => Lifetime::OneShot,
            1 => Lifetime::Permanent,
            _ => return None,
        },
        active: flags & ACTIVE != 0,
        group: (flags & GROUP != 0).then(|| {
            let cancels = flags & FIRST_HIT_CANCELS != 0;
            let rule = if cancels { GroupRule::FirstHitCancels } else { GroupRule::Independent };
            (word(record, 60), rule)
        }),
        timeout: (flags & TIMEOUT != 0).then(|| word(record, 64)),
        helper,
        span: Span { start: word(record, 68).into(), end: word(record, 72).into() },
    };
    Some(Action::Expect(Handle(word(record, 4)), expect))
}

fn write_aim(handle: Handle, aim: AddressMatch, out: &mut Vec<u8>) {
    let mut record = [0; AIM];
    let (kind, source, prefix) = source(aim);
    put(&mut record, 0, &kind::AIM.to_le_bytes());
    put(&mut record, 2, &(AIM as u16).to_le_bytes());
    put(&mut record, 4, &handle.0.to_le_bytes());
    put(&mut record, 8, &[kind, prefix, source.map_or(0, family)]);
    put(&mut record, 12, &source.map_or([0; 16], address));
    out.extend_from_slice(&record);
}

/// Kind, address, and length of the prefix.
const fn source(source: AddressMatch) -> (u8, Option<IpAddr>, u8) {
    match source {
        AddressMatch::Exact(source) => (0, Some(source), 0),
        AddressMatch::Prefix(source, length) => (1, Some(source), length),
        AddressMatch::Any => (2, None, 0),
    }
}

/// A source of this kind, with this prefix, whose address is of this family and stands at `at`.
fn read_source(record: &[u8], kind: u8, prefix: u8, family: u8, at: usize) -> Option<AddressMatch> {
    let source = || read_address(record, at, family);
    let fits = |ip: IpAddr| prefix <= if ip.is_ipv4() { 32 } else { 128 };
    Some(match kind {
        0 => AddressMatch::Exact(source()?),
        1 => AddressMatch::Prefix(source().filter(|ip| fits(*ip))?, prefix),
        2 => AddressMatch::Any,
        _ => return None,
    })
}

/// Kind, first and last.
const fn ports(ports: PortMatch) -> (u8, u16, u16) {
    match ports {
        PortMatch::Exact(port) => (0, port, port),
        PortMatch::Range(first, last) => (1, first, last),
        PortMatch::Any => (2, 0, 0),
    }
}

fn read_ports(record: &[u8], kind: usize, at: usize) -> Option<PortMatch> {
    Some(match byte(record, kind) {
        0 => PortMatch::Exact(short(record, at)),
        1 => PortMatch::Range(short(record, at), short(record, at + 2)),
        2 => PortMatch::Any,
        _ => return None,
    })
}

/// Kind and notation of a field, as `pinhole_encode` takes them.
pub const fn field(field: Field) -> Option<(u8, u8)> {
    match field {
        Field::Endpoint(notation) => Some((0, notation)),
        Field::Address(notation) => Some((1, notation)),
        Field::Port(notation) => Some((2, notation)),
        _ => None,
    }
}

/// The field of a kind and a notation.
pub const fn read_field(kind: u8, notation: u8) -> Option<Field> {
    match kind {
        0 => Some(Field::Endpoint(notation)),
        1 => Some(Field::Address(notation)),
        2 => Some(Field::Port(notation)),
        _ => None,
    }
}

fn pack(located: Field, number: u16) -> u32 {
    let (kind, notation) = field(located).unwrap_or_default();
    u32::from_le_bytes([kind, notation, number as u8, (number >> 8) as u8])
}

fn unpack(packed: u32) -> Option<(Field, u16)> {
    let [kind, notation, low, high] = packed.to_le_bytes();
    Some((read_field(kind, notation)?, u16::from_le_bytes([low, high])))
}

fn words(out: &mut Vec<u8>, kind: u16, words: &[u32]) {
    // At most four words.
    let size = 4 + words.len() as u16 * 4;
    out.extend_from_slice(&kind.to_le_bytes());
    out.extend_from_slice(&size.to_le_bytes());
    for word in words {
        out.extend_from_slice(&word.to_le_bytes());
    }
}

/// A span's bounds in one answer are those of its input. What does not fit is out of every input's bounds.
fn start(span: Span) -> u32 {
    u32::try_from(span.start).unwrap_or(u32::MAX)
}

fn end(span: Span) -> u32 {
    u32::try_from(span.end).unwrap_or(u32::MAX)
}
