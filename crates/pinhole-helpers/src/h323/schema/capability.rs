//! H.245 §B.2: capabilities of multiplexes, audio, data and conferences.

use super::video::VIDEO_CAPABILITY;
use super::{
    BOOLEAN, FROM_1_TO_256, Mark, NULL, OBJECT_IDENTIFIER, OCTET_STRING, POSITIVE_16, UNSIGNED_8,
    UNSIGNED_16, UNSIGNED_32, element,
};
use crate::h323::per::{Component, Size, Type, optional, required};

/// NonStandardParameter of H.245, whose parts cannot be extended as those of H.225.0 can.
pub(super) static NON_STANDARD: Type = Type::Sequence {
    root: &[required("nonStandardIdentifier", &NON_STANDARD_IDENTIFIER), required("data", &OCTET_STRING)],
    extensible: false,
    additions: &[],
};
pub(super) static NON_STANDARD_ELEMENT: Component = element(&NON_STANDARD);
static NON_STANDARD_IDENTIFIER: Type = Type::Choice {
    root: &[required("object", &OBJECT_IDENTIFIER), required("h221NonStandard", &H221_NON_STANDARD)],
    extensible: false,
    additions: &[],
};
static H221_NON_STANDARD: Type = Type::Sequence {
    root: &[
        required("t35CountryCode", &UNSIGNED_8),
        required("t35Extension", &UNSIGNED_8),
        required("manufacturerCode", &UNSIGNED_16),
    ],
    extensible: false,
    additions: &[],
};

pub(super) static CAPABILITY: Type = Type::Choice {
    root: &[
        required("nonStandard", &NON_STANDARD),
        required("receiveVideoCapability", &VIDEO_CAPABILITY),
        required("transmitVideoCapability", &VIDEO_CAPABILITY),
        required("receiveAndTransmitVideoCapability", &VIDEO_CAPABILITY),
        required("receiveAudioCapability", &AUDIO_CAPABILITY),
        required("transmitAudioCapability", &AUDIO_CAPABILITY),
        required("receiveAndTransmitAudioCapability", &AUDIO_CAPABILITY),
        required("receiveDataApplicationCapability", &DATA_APPLICATION_CAPABILITY),
        required("transmitDataApplicationCapability", &DATA_APPLICATION_CAPABILITY),
        required("receiveAndTransmitDataApplicationCapability", &DATA_APPLICATION_CAPABILITY),
        required("h233EncryptionTransmitCapability", &BOOLEAN),
        required("h233EncryptionReceiveCapability", &H233_RECEIVE),
    ],
    extensible: true,
    additions: &[],
};
static H233_RECEIVE: Type =
    Type::Sequence { root: &[required("h233IVResponseTime", &UNSIGNED_8)], extensible: true, additions: &[] };

pub(super) static MULTIPLEX_CAPABILITY: Type = Type::Choice {
    root: &[
        required("nonStandard", &NON_STANDARD),
        required("h222Capability", &H222_CAPABILITY),
        required("h223Capability", &H223_CAPABILITY),
        required("v76Capability", &V76_CAPABILITY),
    ],
    extensible: true,
    additions: &[required("h2250Capability", &H2250_CAPABILITY)],
};
static H222_CAPABILITY: Type = Type::Sequence {
    root: &[
        required("numberOfVCs", &FROM_1_TO_256),
        required("vcCapability", &Type::List(&VC_CAPABILITY, Size::Any)),
    ],
    extensible: true,
    additions: &[],
};
static VC_CAPABILITY: Component = element(&VC_CAPABILITY_KIND);
static VC_CAPABILITY_KIND: Type = Type::Sequence {
    root: &[
        optional("aal1", &VC_AAL1),
        optional("aal5", &VC_AAL5),
        required("transportStream, programStream", &Type::Flags(2)),
        required("availableBitRates", &AVAILABLE_BIT_RATES),
    ],
    extensible: true,
    additions: &[],
};
static VC_AAL1: Type = Type::Sequence {
    root: &[required("nullClockRecovery … partiallyFilledCells", &Type::Flags(9))],
    extensible: true,
    additions: &[],
};
static VC_AAL5: Type = Type::Sequence {
    root: &[
        required("forwardMaximumSDUSize", &UNSIGNED_16),
        required("backwardMaximumSDUSize", &UNSIGNED_16),
    ],
    extensible: true,
    additions: &[],
};
static AVAILABLE_BIT_RATES: Type =
    Type::Sequence { root: &[required("type", &BIT_RATE_TYPE)], extensible: true, additions: &[] };
static BIT_RATE_TYPE: Type = Type::Choice {
    root: &[required("singleBitRate", &POSITIVE_16), required("rangeOfBitRates", &BIT_RATE_RANGE)],
    extensible: false,
    additions: &[],
};
static BIT_RATE_RANGE: Type = Type::Sequence {
    root: &[required("lowerBitRate", &POSITIVE_16), required("higherBitRate", &POSITIVE_16)],
    extensible: false,
    additions: &[],
};
static H223_CAPABILITY: Type = Type::Sequence {
    root: &[
        required("transportWithI-frames … dataWithAL3", &Type::Flags(10)),
        required("maximumAl2SDUSize", &UNSIGNED_16),
        required("maximumAl3SDUSize", &UNSIGNED_16),
        required("maximumDelayJitter", &DELAY_JITTER),
        required("h223MultiplexTableCapability", &H223_TABLE_CAPABILITY),
    ],
    extensible: true,
    additions: &[],
};
static DELAY_JITTER: Type = Type::Integer(0, 1023);
static H223_TABLE_CAPABILITY: Type = Type::Choice {
    root: &[required("basic", &NULL), required("enhanced", &H223_ENHANCED_TABLE)],
    extensible: false,
    additions: &[],
};
static H223_ENHANCED_TABLE: Type = Type::Sequence {
    root: &[
        required("maximumNestingDepth", &Type::Integer(1, 14)),
        required("maximumElementListSize", &Type::Integer(2, 253)),
        required("maximumSubElementListSize", &Type::Integer(2, 253)),
    ],
    extensible: true,
    additions: &[],
};
static V76_CAPABILITY: Type = Type::Sequence {
    root: &[
        required("suspendResumeCapabilitywAddress … uihCapability", &Type::Flags(9)),
        required("numOfDLCS", &Type::Integer(2, 8189)),
        required("twoOctetAddressFieldCapability, loopBackTestCapability", &Type::Flags(2)),
        required("n401Capability", &Type::Integer(1, 4094)),
        required("maxWindowSizeCapability", &Type::Integer(1, 126)),
        required("v75Capability", &V75_CAPABILITY),
    ],
    extensible: true,
    additions: &[],
};
static V75_CAPABILITY: Type =
    Type::Sequence { root: &[required("audioHeader", &BOOLEAN)], extensible: true, additions: &[] };

static H2250_CAPABILITY: Type = Type::Sequence {
    root: &[
        required("maximumAudioDelayJitter", &DELAY_JITTER),
        required("receiveMultipointCapability", &MULTIPOINT_CAPABILITY),
        required("transmitMultipointCapability", &MULTIPOINT_CAPABILITY),
        required("receiveAndTransmitMultipointCapability", &MULTIPOINT_CAPABILITY),
        required("mcCapability", &MC_CAPABILITY),
        required("rtcpVideoControlCapability", &BOOLEAN),
        required("mediaPacketizationCapability", &MEDIA_PACKETIZATION_CAPABILITY),
    ],
    extensible: true,
    additions: &[],
};
static MC_CAPABILITY: Type = Type::Sequence {
    root: &[required("centralizedConferenceMC, decentralizedConferenceMC", &Type::Flags(2))],
    extensible: true,
    additions: &[],
};
static MEDIA_PACKETIZATION_CAPABILITY: Type = Type::Sequence {
    root: &[required("h261aVideoPacketization", &BOOLEAN)],
    extensible: true,
    additions: &[],
};
static MULTIPOINT_CAPABILITY: Type = Type::Sequence {
    root: &[
        required("multicastCapability, multiUniCastConference", &Type::Flags(2)),
        required("mediaDistributionCapability", &Type::List(&MEDIA_DISTRIBUTION, Size::Any)),
    ],
    extensible: true,
    additions: &[],
};
static MEDIA_DISTRIBUTION: Component = element(&MEDIA_DISTRIBUTION_KIND);
static MEDIA_DISTRIBUTION_KIND: Type = Type::Sequence {
    root: &[
        required("centralizedControl … distributedVideo", &Type::Flags(6)),
        optional("centralizedData", &Type::List(&DATA_ELEMENT, Size::Any)),
        optional("distributedData", &Type::List(&DATA_ELEMENT, Size::Any)),
    ],
    extensible: true,
    additions: &[],
};
static DATA_ELEMENT: Component = element(&DATA_APPLICATION_CAPABILITY);

pub(super) static AUDIO_CAPABILITY: Type = Type::Choice {
    root: &[
        required("nonStandard", &NON_STANDARD),
        required("g711Alaw64k", &FROM_1_TO_256),
        required("g711Alaw56k", &FROM_1_TO_256),
        required("g711Ulaw64k", &FROM_1_TO_256),
        required("g711Ulaw56k", &FROM_1_TO_256),
        required("g722-64k", &FROM_1_TO_256),
        required("g722-56k", &FROM_1_TO_256),
        required("g722-48k", &FROM_1_TO_256),
        required("g7231", &G7231),
        required("g728", &FROM_1_TO_256),
        required("g729", &FROM_1_TO_256),
        required("g729AnnexA", &FROM_1_TO_256),
        required("is11172AudioCapability", &IS11172_AUDIO),
        required("is13818AudioCapability", &IS13818_AUDIO),
    ],
    extensible: true,
    additions: &[],
};
static G7231: Type = Type::Sequence {
    root: &[required("maxAl-sduAudioFrames", &FROM_1_TO_256), required("silenceSuppression", &BOOLEAN)],
    extensible: false,
    additions: &[],
};
static IS11172_AUDIO: Type = Type::Sequence {
    root: &[
        required("audioLayer1 … twoChannels", &Type::Flags(8)),
        required("bitRate", &Type::Integer(1, 447)),
    ],
    extensible: true,
    additions: &[],
};
static IS13818_AUDIO: Type = Type::Sequence {
    root: &[
        required("audioLayer1 … multilingual", &Type::Flags(20)),
        required("bitRate", &Type::Integer(1, 1129)),
    ],
    extensible: true,
    additions: &[],
};

pub(super) static DATA_APPLICATION_CAPABILITY: Type = Type::Sequence {
    root: &[
        required("application", &APPLICATION).marked(Mark::Application),
        required("maxBitRate", &UNSIGNED_32),
    ],
    extensible: true,
    additions: &[],
};
static APPLICATION: Type = Type::Choice {
    root: &[
        required("nonStandard", &NON_STANDARD),
        required("t120", &DATA_PROTOCOL),
        required("dsm-cc", &DATA_PROTOCOL),
        required("userData", &DATA_PROTOCOL),
        required("t84", &T84),
        required("t434", &DATA_PROTOCOL),
        required("h224", &DATA_PROTOCOL),
        required("nlpid", &NLPID),
        required("dsvdControl", &NULL),
        required("h222DataPartitioning", &DATA_PROTOCOL),
    ],
    extensible: true,
    additions: &[
        required("t30fax", &DATA_PROTOCOL),
        required("t140", &DATA_PROTOCOL),
        required("t38fax", &T38_FAX),
    ],
};
pub(super) static DATA_PROTOCOL: Type = Type::Choice {
    root: &[
        required("nonStandard", &NON_STANDARD),
        required("v14buffered", &NULL),
        required("v42lapm", &NULL),
        required("hdlcFrameTunnelling", &NULL),
        required("h310SeparateVCStack", &NULL),
        required("h310SingleVCStack", &NULL),
        required("transparent", &NULL),
    ],
    extensible: true,
    additions: &[],
};
static T84: Type = Type::Sequence {
    root: &[required("t84Protocol", &DATA_PROTOCOL), required("t84Profile", &T84_PROFILE)],
    extensible: false,
    additions: &[],
};
static T84_PROFILE: Type = Type::Choice {
    root: &[required("t84Unrestricted", &NULL), required("t84Restricted", &T84_RESTRICTED)],
    extensible: false,
    additions: &[],
};
static T84_RESTRICTED: Type = Type::Sequence {
    root: &[required("qcif … digPhotoHighProg", &Type::Flags(19))],
    extensible: true,
    additions: &[],
};
pub(super) static NLPID: Type = Type::Sequence {
    root: &[required("nlpidProtocol", &DATA_PROTOCOL), required("nlpidData", &OCTET_STRING)],
    extensible: false,
    additions: &[],
};
static T38_FAX: Type = Type::Sequence {
    root: &[
        required("t38FaxProtocol", &DATA_PROTOCOL).marked(Mark::DataProtocol),
        required("t38FaxProfile", &T38_FAX_PROFILE),
    ],
    extensible: false,
    additions: &[],
};
static T38_FAX_PROFILE: Type = Type::Sequence {
    root: &[required("fillBitRemoval, transcodingJBIG, transcodingMMR", &Type::Flags(3))],
    extensible: true,
    additions: &[],
};

pub(super) static ENCRYPTION_MODE: Type = Type::Choice {
    root: &[required("nonStandard", &NON_STANDARD), required("h233Encryption", &NULL)],
    extensible: true,
    additions: &[],
};
