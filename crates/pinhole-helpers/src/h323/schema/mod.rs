//! The tables: what H.225.0 and H.245 messages look like.
//!
//! Written by hand from the ASN.1 of H.225.0 (2022, version 8), H.245 (2022, version 17) and H.235.0; names and order are those of the
//! Recommendations, so that a table can be laid beside its original. Everything ahead of an extension marker is complete, in every
//! message. Behind it stands only what leads to an address, a lifetime or a list of contained messages, and what lies between.

mod capability;
mod channel;
mod h225;
mod h245;
mod mode;
mod ras;
mod security;
mod signalling;
mod video;

pub(crate) use channel::FAST_START;
pub(crate) use h245::CONTROL_MESSAGE;
pub(crate) use ras::RAS_MESSAGE;
pub(crate) use signalling::USER_INFORMATION;

use super::per::{Component, Size, Type, required, sequence};

/// What the tables point out to a [`Visitor`](super::per::Visitor).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// IPv4 address of a transport address.
    Ip4,
    /// IPv6 address of a transport address.
    Ip6,
    /// Port of either.
    Port,

    /// Call signalling: which message (number of the alternative).
    Body,
    /// `h245Address`.
    H245Address,
    /// `destCallSignalAddress`, of signalling or admission.
    DestinationAddress,
    /// `sourceCallSignalAddress`, or an admission's `srcCallSignalAddress`.
    SourceAddress,
    /// `alternativeAddress` of a Facility.
    AlternativeAddress,
    /// Its reason (number of the alternative).
    FacilityReason,
    /// An element of `fastStart`: an OpenLogicalChannel.
    FastStart,
    /// An element of `h245Control` or `parallelH245Control`: a control message.
    Tunnelled,

    /// RAS: which message (number of the alternative).
    Ras,
    /// `requestSeqNum`.
    SequenceNumber,
    /// `callSignalAddress`, one or an element of many.
    SignalAddress,
    /// `rasAddress`, one or an element of many.
    RasAddress,
    /// `replyAddress`.
    ReplyAddress,
    /// `timeToLive`.
    TimeToLive,
    /// `keepAlive`.
    KeepAlive,

    /// Control: which request, response, command, indication (number of the alternative).
    Request,
    /// See [`Self::Request`].
    Response,
    /// See [`Self::Request`].
    Command,
    /// See [`Self::Request`].
    Indication,
    /// `forwardLogicalChannelNumber`.
    ChannelNumber,
    /// Application of a data channel (number of the alternative).
    Application,
    /// Protocol of a data channel (number of the alternative).
    DataProtocol,
    /// `mediaChannel`.
    MediaChannel,
    /// `mediaControlChannel`.
    MediaControlChannel,
    /// All of `forwardLogicalChannelParameters`.
    Forward,
    /// All of `reverseLogicalChannelParameters`.
    Reverse,
    /// `localAreaAddress` of `separateStack`.
    StackAddress,
    /// All of an OpenLogicalChannel that stands alone, in `fastStart`.
    Channel,
}

static NULL: Type = Type::Null;
static ANY: Type = Type::Any;
static BOOLEAN: Type = Type::Flags(1);
static OBJECT_IDENTIFIER: Type = Type::Opaque;
static GENERAL_STRING: Type = Type::Opaque;
static OCTET_STRING: Type = Type::Octets(Size::Any);
static OCTET_STRING_4: Type = Type::Octets(Size::Exactly(4));
static OCTET_STRING_16: Type = Type::Octets(Size::Exactly(16));
static OCTET_STRING_1_TO_20: Type = Type::Octets(Size::Between(1, 20));
static OCTET_STRING_1_TO_256: Type = Type::Octets(Size::Between(1, 256));
/// INTEGER (0..127).
static UNSIGNED_7: Type = Type::Integer(0, 127);
/// INTEGER (0..255).
static UNSIGNED_8: Type = Type::Integer(0, 255);
/// INTEGER (0..65535).
static UNSIGNED_16: Type = Type::Integer(0, 65535);
/// INTEGER (0..4294967295).
static UNSIGNED_32: Type = Type::Integer(0, u32::MAX);
/// INTEGER (1..256).
static FROM_1_TO_256: Type = Type::Integer(1, 255);
/// INTEGER (1..65535).
static POSITIVE_16: Type = Type::Integer(1, 65534);
/// INTEGER (1..4294967295).
static POSITIVE_32: Type = Type::Integer(1, u32::MAX - 1);
/// SEQUENCE { ... }, as it was when it was first defined.
static EMPTY_SEQUENCE: Type = sequence(&[], true, &[]);

/// A choice of as many NULLs, none to be added.
const fn alternatives(count: u8) -> Type {
    Type::Alternatives { count, extensible: false }
}

/// A choice of as many NULLs, to which others may be added.
const fn alternatives_and_more(count: u8) -> Type {
    Type::Alternatives { count, extensible: true }
}

/// NonStandardParameter of H.225.0 §7.6, NonStandardIdentifier and H221NonStandard.
static NON_STANDARD_PARAMETER: Type = sequence(
    &[required("nonStandardIdentifier", &NON_STANDARD_IDENTIFIER), required("data", &OCTET_STRING)],
    false,
    &[],
);
static NON_STANDARD_IDENTIFIER: Type = Type::Choice {
    root: &[required("object", &OBJECT_IDENTIFIER), required("h221NonStandard", &H221_NON_STANDARD)],
    extensible: true,
    additions: &[],
};
static H221_NON_STANDARD: Type = sequence(
    &[
        required("t35CountryCode", &UNSIGNED_8),
        required("t35Extension", &UNSIGNED_8),
        required("manufacturerCode", &UNSIGNED_16),
    ],
    true,
    &[],
);

/// A component of a list whose elements are not marked.
const fn element(kind: &'static Type) -> Component {
    required("element", kind)
}
